//! What is owed because there was a way: and what was declared missing though there was one.

use super::bits::Bits;
use super::deliveries::Gap;
use super::lives::{LifeIndex, ReaderIndex};
use super::messages::MessageIndex;
use super::paths::Map;
use super::tally::{Reason, Reasons};
use super::{About, Judge};
use crate::report::Checker;
use crate::time::Time;

/// In a world with more nodes than this, ways are only looked for of so many messages.
const MAX_NODES: u32 = 64;
const SAMPLED: usize = 32;

impl Judge {
    /// The rule of ways.
    pub(super) fn check_ways(&mut self, at: Time) {
        if !self.rules.retention.is_promised() {
            return;
        }
        let chosen = self.worth_a_look();
        if chosen.is_empty() {
            return;
        }
        let map = self.map(at);
        let mut gaps = self.gaps.clone();
        gaps.sort_by_key(|gap| gap.message);
        for message in chosen {
            let arrivals = self.arrivals(&map, message);
            self.check_lost(at, message, &arrivals);
            let start = gaps.partition_point(|gap| gap.message < message);
            let end = gaps.partition_point(|gap| gap.message <= message);
            self.check_needless(message, &arrivals, &gaps[start..end]);
        }
    }

    /// Returns the messages that someone lacks or declared missing: all of them, or in a large world some.
    fn worth_a_look(&self) -> Vec<MessageIndex> {
        let mut readers = Bits::default();
        for reader in 0..self.lives.reader_count() {
            if self.lives.last_life(reader).is_mesh() {
                readers.insert(reader);
            }
        }
        let nothing = Bits::default();
        let mut chosen = Vec::new();
        for (index, message) in self.messages.public() {
            let mut lacking = readers.without(&message.delivered, &nothing);
            if !message.has_twin && self.is_kept(index) && lacking.any(|r| self.is_due(index, r)) {
                chosen.push(index);
            }
        }
        if self.rules.nodes > MAX_NODES {
            let step = chosen.len().div_ceil(SAMPLED).max(1);
            chosen = chosen.into_iter().step_by(step).collect();
        }
        chosen
    }

    /// Returns when messages could flow between lives that pass them on.
    fn map(&self, at: Time) -> Map {
        let mut stretches = self.links.stretches(at);
        stretches.retain(|stretch| {
            let ends = [stretch.from, stretch.to];
            ends.iter().all(|end| self.lives.life(*end).is_mesh())
        });
        Map::new(self.lives.len(), stretches)
    }

    fn arrivals(&self, map: &Map, message: MessageIndex) -> Vec<Time> {
        let published = self.messages.get(message);
        let until = self.messages.kept_until(message, &self.rules.retention);
        map.arrivals(published.by, published.at, self.rules.hop, until)
    }

    /// Judges those that neither got the message nor declared it missing.
    fn check_lost(&mut self, at: Time, message: MessageIndex, arrivals: &[Time]) {
        let mut told = Bits::default();
        for (life, arrival) in (0..).zip(arrivals) {
            let reader = self.lives.life(life).reader;
            if *arrival > at || !self.lacks(message, reader) || !self.is_due(message, reader) {
                continue;
            }
            if self.is_held_back(message, reader) || self.lost.contains(&(message, reader)) {
                continue;
            }
            if told.insert(reader) {
                self.tally.owed += 1;
                self.lost.insert((message, reader));
                self.note_lost(at, life, message, *arrival);
            }
        }
    }

    /// Returns whether a message has to wait for another, of the same sender, that its reader lacks as well. What is wrong is
    /// then told of the first.
    fn is_held_back(&self, message: MessageIndex, reader: ReaderIndex) -> bool {
        let Some(in_stream) = self.messages.get(message).in_stream else {
            return false;
        };
        let stream = &self.messages.streams[in_stream.stream as usize];
        let before = in_stream.place.checked_sub(1);
        let before = before.and_then(|place| stream.messages.get(place as usize));
        before.is_some_and(|(_, index)| self.is_due(*index, reader) && self.lacks(*index, reader))
    }

    fn note_lost(&mut self, at: Time, life: LifeIndex, message: MessageIndex, arrival: Time) {
        self.tally.owed_and_missing += 1;
        let (about, which) = (self.about(at, life, message), self.tell(message));
        let died = self.lives.life(life).died;
        self.docket.note(Checker::Owed, "lost", about, || {
            let node = about.node.unwrap_or_default();
            let end = died.map_or_else(String::new, |died| format!(" (it ended at {died} s)"));
            format!(
                "node {node}{end} neither got {which} nor declared it missing, though links that worked led there from \
                 its publisher, and it was due by {arrival} s"
            )
        });
    }

    /// Judges those that declared the message missing when they should have had it.
    fn check_needless(&mut self, message: MessageIndex, arrivals: &[Time], gaps: &[Gap]) {
        for gap in gaps {
            let reader = self.lives.life(gap.life).reader;
            let arrival = arrivals.get(gap.life as usize).copied();
            let way = arrival.filter(|arrival| *arrival <= gap.at);
            if let Some(arrival) = way
                && self.is_due(message, reader)
            {
                self.note_needless(gap.at, gap.life, message, arrival);
            }
        }
    }

    fn note_needless(&mut self, at: Time, life: LifeIndex, message: MessageIndex, arrival: Time) {
        let (about, which) = (self.about(at, life, message), self.tell(message));
        self.docket
            .note(Checker::Owed, "declared without need", about, || {
                let node = about.node.unwrap_or_default();
                format!(
                    "node {node} declared {which} missing at {at} s, though links that worked led there from its publisher, \
                     it was due by {arrival} s, and no log was too small to keep it until then"
                )
            });
    }

    /// Judges whether all is accounted for, and counts why what was not delivered was not.
    pub(super) fn check_accounts(&mut self, at: Time) {
        let mut all = Bits::default();
        for reader in 0..self.lives.reader_count() {
            all.insert(reader);
        }
        let (mut delivered, mut declared, mut both, mut both_count) = (0, 0, None, 0);
        let mut reasons = Reasons::default();
        for (index, message) in self.messages.public() {
            delivered += message.delivered.count();
            declared += message.declared.count();
            let common = message.delivered.common(&message.declared);
            if common > 0 {
                both = both.or(Some(index));
                both_count += common;
            }
            let until = self.messages.kept_until(index, &self.rules.retention);
            for reader in all.without(&message.delivered, &message.declared) {
                if reader != message.own {
                    reasons.add(self.reason(at, index, reader, until));
                }
            }
        }
        self.tally.reasons = reasons;
        let about = About {
            at,
            node: None,
            message: both,
        };
        if let Some(message) = both {
            let which = self.tell(message);
            self.docket
                .note(Checker::Accounts, "in two classes", about, || {
                    format!("{which} was both delivered to a node and declared missing by it")
                });
        }
        let others = u64::from(self.lives.reader_count().saturating_sub(1));
        let pairs = self.messages.public_count() as u64 * others;
        let neither = reasons.sum();
        let is_whole = delivered + declared + neither - both_count == pairs;
        if !is_whole || !self.tally.adds_up(delivered, declared) {
            self.docket.note(Checker::Accounts, "sum", about, || {
                format!(
                    "of {pairs} deliveries that were possible {delivered} were made, {declared} were declared missing and \
                     {neither} neither, which is not what was seen"
                )
            });
        }
    }

    /// Returns why a reader neither got a message nor declared it missing, as far as that is known.
    fn reason(&self, at: Time, message: MessageIndex, reader: ReaderIndex, until: Time) -> Reason {
        let state = self.lives.last_life(reader);
        let published = self.messages.get(message);
        let died = state.died.unwrap_or(Time::MAX);
        if state.is_hostile {
            Reason::Hostile
        } else if self.lost.contains(&(message, reader)) {
            Reason::Owed
        } else if !state.is_mesh() {
            Reason::Legacy
        } else if !self.is_due(message, reader) {
            Reason::BornLater
        } else if died <= published.at {
            Reason::GoneBefore
        } else if until <= at.min(died) {
            Reason::TooOld
        } else if self.is_held_back(message, reader) {
            Reason::HeldBack
        } else {
            Reason::NoWay
        }
    }
}
