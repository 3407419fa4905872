//! Which records someone needs to see to understand a failure.
//!
//! What led to a violation are the records that it follows from: by their causes, and by what happened before at the same
//! node. That soon is nearly everything, so what matters is taken first: the message that it is about, on its way; the node
//! that it is about, its links and its lives; the faults of that time. Room that is left goes to the nearest of the rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::words::{Family, says};
use crate::report::Violation;
use crate::time::Time;
use crate::trace::{Record, Trace, What};

/// How many records a story of a violation has at most.
pub const MAX_CONE: usize = 60;

/// The part of a run that explains its violation, or a run without one, thinned.
#[derive(Clone, Debug)]
pub struct Story<'a> {
    pub(super) trace: &'a Trace,
    pub(super) violation: Option<&'a Violation>,
    /// The places in the trace of the records chosen, in order.
    pub(super) chosen: Vec<usize>,
    pub(super) carried: Carried<'a>,
}

impl<'a> Story<'a> {
    /// Returns the story of a violation, with so many records before and after it at its node whether they matter or not.
    pub fn of_violation(trace: &'a Trace, violation: &'a Violation, around: usize) -> Self {
        let record = place_of(trace, violation);
        let carried = Carried::new(trace);
        let teller = Teller {
            trace,
            violation,
            end: record.unwrap_or(trace.records.len()),
            carried: &carried,
        };
        let mut chosen = BTreeSet::new();
        for index in record.into_iter().chain(teller.by_importance(around)) {
            if chosen.len() >= MAX_CONE {
                break;
            }
            chosen.insert(index);
        }
        Self {
            trace,
            violation: Some(violation),
            chosen: chosen.into_iter().collect(),
            carried,
        }
    }

    /// Returns the whole run in so many records at most: what is rare first, and of the rest every so many.
    pub fn of_run(trace: &'a Trace, limit: usize) -> Self {
        let mut chosen = BTreeSet::new();
        for rank in 0..RANKS {
            let all = trace.records.iter().enumerate();
            let of_rank =
                |(index, record): (usize, &Record)| (run_rank(record) == rank).then_some(index);
            let all: Vec<usize> = all.filter_map(of_rank).collect();
            // A delivery brings the bytes that it came in, and their being sent.
            let share = if rank == DELIVERIES { 3 } else { 1 };
            let room = (limit.saturating_sub(chosen.len()) / share).min(all.len());
            for index in (0..room).map(|place| all[place * all.len() / room]) {
                chosen.insert(index);
                if rank == DELIVERIES {
                    let received = trace.records[index]
                        .cause
                        .and_then(|cause| find(trace, cause));
                    let sent = received.and_then(|received| trace.records[received].cause);
                    chosen.extend(received);
                    chosen.extend(sent.and_then(|sent| find(trace, sent)));
                }
            }
        }
        Self {
            trace,
            violation: None,
            chosen: chosen.into_iter().collect(),
            carried: Carried::new(trace),
        }
    }

    /// Returns its records, in order.
    pub fn records(&self) -> impl Iterator<Item = &'a Record> + '_ {
        self.chosen.iter().map(|index| &self.trace.records[*index])
    }

    /// Returns the message that it is about, if it is about one.
    pub(super) fn message(&self) -> Option<u32> {
        self.violation?.message
    }

    /// Returns the node that it is about, if it is about one.
    pub(super) fn node(&self) -> Option<u32> {
        self.violation?.node
    }
}

/// How many ranks of importance the records of a run have, and which of them deliveries are.
const RANKS: usize = 6;
const DELIVERIES: usize = 2;

/// Returns how important a record is for a run as a whole: the less, the more.
const fn run_rank(record: &Record) -> usize {
    match Family::of(&record.what) {
        // That all nodes begin goes without saying.
        Family::Life if matches!(record.what, What::Started { .. }) && record.life == 1 => 5,
        Family::Violation | Family::World | Family::Life => 0,
        Family::Publish => 1,
        Family::Deliver => DELIVERIES,
        Family::Told | Family::Link => 3,
        Family::Frame => 4,
    }
}

/// Returns the place in the trace of the record with this number.
pub(super) fn find(trace: &Trace, number: u64) -> Option<usize> {
    let found = trace
        .records
        .binary_search_by_key(&number, |record| record.number);
    found.ok()
}

fn place_of(trace: &Trace, violation: &Violation) -> Option<usize> {
    let is_it = |record: &Record| {
        matches!(&record.what, What::Violated { checker, sentence }
            if checker == violation.checker.code() && *sentence == violation.sentence)
    };
    trace.records.iter().position(is_it)
}

/// Which message a frame carries, as far as the deliveries tell: where as many messages were delivered as frames arrived, each
/// frame carried one.
#[derive(Clone, Debug)]
pub(super) struct Carried<'a> {
    /// By what the frame says; none if that is said of several.
    by_line: BTreeMap<&'a str, Option<u32>>,
    /// Records of bytes that messages were delivered from, and of their being sent.
    by_record: BTreeMap<u64, Vec<u32>>,
}

impl<'a> Carried<'a> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        let mut by_record: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for record in &trace.records {
            if let (What::Delivered { message, .. }, Some(cause)) = (&record.what, record.cause)
                && let Some(message) = message
            {
                by_record.entry(cause).or_default().push(*message);
            }
        }
        let mut by_line = BTreeMap::new();
        let mut sent: Vec<(u64, Vec<u32>)> = Vec::new();
        for (number, messages) in &by_record {
            let Some(index) = find(trace, *number) else {
                continue;
            };
            let record = &trace.records[index];
            if let Some(cause) = record.cause {
                sent.push((cause, messages.clone()));
            }
            let Some(lines) = says(&record.what).filter(|lines| lines.len() == messages.len())
            else {
                continue;
            };
            for (line, message) in lines.iter().zip(messages) {
                let known = by_line.entry(line.as_str()).or_insert(Some(*message));
                if *known != Some(*message) {
                    *known = None;
                }
            }
        }
        for (number, messages) in sent {
            by_record.entry(number).or_default().extend(messages);
        }
        Self { by_line, by_record }
    }

    /// Returns whether a record is of bytes that carry a message.
    pub(super) fn carries(&self, record: &Record, message: u32) -> bool {
        let by_record = self.by_record.get(&record.number);
        let is_said = |line: &String| self.by_line.get(line.as_str()) == Some(&Some(message));
        let Some(lines) = says(&record.what) else {
            return false;
        };
        by_record.is_some_and(|messages| messages.contains(&message)) || lines.iter().any(is_said)
    }
}

/// Returns whether a record is of the application's dealings with a message.
pub(super) fn is_of_message(what: &What, wanted: u32) -> bool {
    if let What::Published { message, .. } = what {
        *message == wanted
    } else {
        matches!(what, What::Delivered { message, .. } if *message == Some(wanted))
    }
}

struct Teller<'a> {
    trace: &'a Trace,
    violation: &'a Violation,
    /// The place of the violation; what comes after it is of little interest.
    end: usize,
    carried: &'a Carried<'a>,
}

impl Teller<'_> {
    /// Returns the places of the records that matter, the most important first. Some may come twice.
    fn by_importance(&self, around: usize) -> Vec<usize> {
        let mut all = Vec::new();
        let mut own_way = Vec::new();
        let begin = match self.violation.message {
            Some(message) => {
                let published = |record: &Record| matches!(&record.what, What::Published { message: other, .. } if *other == message);
                let begin = self.trace.records.iter().position(published);
                all.extend(begin);
                all.extend(
                    begin
                        .into_iter()
                        .flat_map(|begin| self.published_before(begin)),
                );
                own_way = self.way(message);
                begin
            }
            None => None,
        };
        all.append(&mut own_way);
        all.extend(self.around(around));
        all.extend(self.faults(begin));
        all.extend(self.states(begin));
        if let Some(message) = self.violation.message {
            all.extend(self.travels(message));
        }
        // What was before the message has no part in what became of it.
        let begin = begin.unwrap_or(0);
        all.extend(self.cone().into_iter().filter(|index| *index >= begin));
        all
    }

    fn at(&self, index: usize) -> &Record {
        &self.trace.records[index]
    }

    /// Returns the places before the violation, the last first.
    fn backwards(&self) -> impl Iterator<Item = usize> {
        (0..self.end.min(self.trace.records.len())).rev()
    }

    /// The messages that the same node published last before this one: of order, and of gaps, they are the other half.
    fn published_before(&self, begin: usize) -> impl Iterator<Item = usize> {
        let node = self.at(begin).node;
        let is_of_node = move |index: &usize| {
            let record = self.at(*index);
            record.node == node && matches!(record.what, What::Published { .. })
        };
        (0..begin).rev().filter(is_of_node).take(2)
    }

    /// How the message came to the node of the violation, each time that it did: back from each delivery.
    fn way(&self, message: u32) -> Vec<usize> {
        let mut way = Vec::new();
        let is_arrival = |index: &usize| {
            let record = self.at(*index);
            record.node == self.violation.node && is_of_message(&record.what, message)
        };
        let mut open: Vec<usize> = self.backwards().filter(is_arrival).take(4).collect();
        while let Some(index) = open.pop() {
            if way.contains(&index) {
                continue;
            }
            way.push(index);
            let record = self.at(index);
            let cause = record.cause.and_then(|cause| find(self.trace, cause));
            open.extend(cause.filter(|cause| *cause < index));
            if cause.is_none() && matches!(record.what, What::Sent { .. }) {
                // It sent what it had: published, or got from someone.
                let had = (0..index).rev().find(|other| {
                    let other = self.at(*other);
                    other.node == record.node && is_of_message(&other.what, message)
                });
                open.extend(had);
            }
        }
        way
    }

    /// What happened at the node of the violation just before it, and just after.
    fn around(&self, around: usize) -> Vec<usize> {
        let Some(node) = self.violation.node else {
            return Vec::new();
        };
        let is_here = |index: &usize| self.at(*index).node == Some(node);
        let after = self.end.saturating_add(1)..self.trace.records.len();
        let mut all: Vec<usize> = self.backwards().filter(is_here).take(around).collect();
        all.extend(after.filter(is_here).take(around));
        all
    }

    /// The beginnings and ends of faults that were on while it mattered, those of the node of the violation first.
    fn faults(&self, begin: Option<usize>) -> Vec<usize> {
        let since = begin.map_or(Time::ZERO, |begin| self.at(begin).at);
        let until = self.violation.at;
        let mut spans: Vec<(bool, usize)> = Vec::new();
        for (index, span) in self.trace.faults.iter().enumerate() {
            let is_on = span.began <= until && span.ended.is_none_or(|ended| ended >= since);
            let is_of_node = span.nodes.is_empty()
                || self
                    .violation
                    .node
                    .is_none_or(|node| span.nodes.contains(&node));
            if is_on {
                spans.push((!is_of_node, index));
            }
        }
        spans.sort_unstable();
        let mut all = Vec::new();
        for (_, span) in spans.into_iter().take(8) {
            let span = &self.trace.faults[span];
            let is_edge = |record: &&Record| {
                if let What::FaultBegan(_, what) = &record.what {
                    record.at == span.began && *what == span.what
                } else if let What::FaultEnded(fault) = &record.what {
                    Some(record.at) == span.ended && self.is_named(*fault, &span.what)
                } else {
                    false
                }
            };
            let edges = self.trace.records.iter().filter(is_edge);
            all.extend(edges.filter_map(|record| find(self.trace, record.number)));
        }
        all
    }

    fn is_named(&self, fault: u32, wanted: &str) -> bool {
        let mut records = self.trace.records.iter();
        records.any(|record| {
            matches!(&record.what, What::FaultBegan(other, what) if *other == fault && what == wanted)
        })
    }

    /// Lives and links of the node of the violation, or of all: those since it began to matter, and before that how each stood.
    fn states(&self, begin: Option<usize>) -> Vec<usize> {
        let begin = begin.unwrap_or(0);
        let is_state = |index: &usize| {
            let record = self.at(*index);
            let is_here = self.violation.node.is_none() || record.node == self.violation.node;
            let family = Family::of(&record.what);
            let is_mere_dial = matches!(record.what, What::Dialed { .. });
            is_here && matches!(family, Family::Life | Family::Link | Family::Told) && !is_mere_dial
        };
        let since: Vec<usize> = self
            .backwards()
            .take_while(|index| *index >= begin)
            .filter(is_state)
            .take(18)
            .collect();
        let before = (0..begin.min(self.end)).rev().filter(is_state).take(4);
        since.into_iter().chain(before).collect()
    }

    /// The message on its way: what the node of the violation was sent, then who else got it, then all frames of it.
    fn travels(&self, message: u32) -> Vec<usize> {
        let node = self.violation.node;
        let mut to_node = Vec::new();
        let mut deliveries = Vec::new();
        let mut others = Vec::new();
        for index in (0..self.end.min(self.trace.records.len())).filter(|index| {
            let record = self.at(*index);
            is_of_message(&record.what, message) || self.carried.carries(record, message)
        }) {
            let record = self.at(index);
            let is_near = record.node == node || super::words::peer(&record.what) == node;
            if Family::of(&record.what) == Family::Frame {
                let frames = if is_near { &mut to_node } else { &mut others };
                frames.push(index);
                continue;
            }
            deliveries.push(index);
            // The bytes that it came in, and their being sent: an arrow.
            let mut at = record.cause;
            while let Some(cause) = at.and_then(|number| find(self.trace, number)) {
                deliveries.push(cause);
                let next = self.at(cause).cause;
                at = next.filter(|next| *next < self.at(cause).number);
            }
        }
        to_node.truncate(16);
        to_node.extend(deliveries);
        to_node.extend(others);
        to_node
    }

    /// Everything that the violation follows from, the nearest first.
    fn cone(&self) -> Vec<usize> {
        let records = &self.trace.records;
        let mut last: BTreeMap<Option<u32>, usize> = BTreeMap::new();
        let mut before = vec![None; records.len()];
        for (index, record) in records.iter().enumerate() {
            before[index] = last.insert(record.node, index);
        }
        let mut open = VecDeque::new();
        if self.end < records.len() {
            open.push_back(self.end);
        }
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        while let Some(index) = open.pop_front() {
            // Twice as many as are shown, for some are chosen already.
            if all.len() > 2 * MAX_CONE {
                break;
            }
            if !seen.insert(index) {
                continue;
            }
            all.push(index);
            let cause = records[index]
                .cause
                .and_then(|cause| find(self.trace, cause));
            open.extend(cause.filter(|cause| *cause < index));
            // What the world did before is no cause.
            open.extend(before[index].filter(|_| records[index].node.is_some()));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;

    #[test]
    fn the_story_of_a_missing_message_tells_who_published_it_who_has_it_and_what_broke() {
        let (trace, violation) = sample::split();
        let story = Story::of_violation(&trace, &violation, 2);
        let records: Vec<&Record> = story.records().collect();
        assert!(records.len() <= MAX_CONE);
        let count = |is: &dyn Fn(&What) -> bool| records.iter().filter(|r| is(&r.what)).count();
        assert_eq!(
            count(&|what| matches!(what, What::Published { message: 1, .. })),
            1
        );
        let delivered = |what: &What| {
            matches!(
                what,
                What::Delivered {
                    message: Some(1),
                    ..
                }
            )
        };
        assert_eq!(count(&delivered), 4);
        assert_eq!(count(&|what| matches!(what, What::FaultBegan(..))), 1);
        assert_eq!(count(&|what| matches!(what, What::FaultEnded(_))), 1);
        assert_eq!(count(&|what| matches!(what, What::Violated { .. })), 1);
        let lost = |record: &&Record| {
            record.node == Some(5)
                && matches!(record.what, What::Lost { .. } | What::PeerDown { .. })
        };
        assert!(records.iter().any(lost));
    }

    #[test]
    fn the_story_of_a_message_delivered_twice_has_both_ways_that_it_came() {
        let (trace, violation) = sample::twice(40, 30);
        let story = Story::of_violation(&trace, &violation, 2);
        let node = violation.node;
        let message = violation.message.expect("a message");
        let records: Vec<&Record> = story.records().collect();
        let deliveries: Vec<&&Record> = records
            .iter()
            .filter(|r| r.node == node && is_of_message(&r.what, message))
            .collect();
        assert_eq!(deliveries.len(), 2);
        for delivery in deliveries {
            let received = records.iter().find(|r| Some(r.number) == delivery.cause);
            let sent = received.and_then(|r| r.cause).expect("it was sent");
            assert!(records.iter().any(|r| r.number == sent));
        }
        assert!(records.len() <= MAX_CONE);
    }

    #[test]
    fn a_frame_that_arrives_again_is_known_by_what_it_says() {
        let (trace, _) = sample::split();
        let carried = Carried::new(&trace);
        let count = |message| {
            let records = trace.records.iter();
            records.filter(|r| carried.carries(r, message)).count()
        };
        assert_eq!(count(0), 2 * sample::FRAMES_OF_FIRST);
        assert_eq!(count(99), 0);
    }

    #[test]
    fn a_run_is_thinned_but_keeps_what_is_rare() {
        let (trace, _) = sample::twice(40, 30);
        let story = Story::of_run(&trace, 200);
        assert_eq!(story.records().count(), 200);
        let phases = |what: &What| matches!(what, What::Phase(_));
        let all = trace.records.iter().filter(|r| phases(&r.what)).count();
        assert_eq!(story.records().filter(|r| phases(&r.what)).count(), all);
    }
}
