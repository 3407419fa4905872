//! What is delivered: genuine, from who sent it, once, in order, and nothing that was declared missing.

use super::lives::{LifeIndex, ReaderIndex};
use super::messages::{InStream, MessageIndex};
use super::{About, Judge};
use crate::facts::Life;
use crate::node::{Delivery, StreamKey};
use crate::report::Checker;
use crate::scenario::Kind;
use crate::time::Time;

/// So many deliveries are remembered with their time, for the sentence that tells of two of them.
const MAX_LOGGED: usize = 1 << 20;

/// When what was delivered to whom, as far as there is room.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Vec<(MessageIndex, ReaderIndex, Time)>);

impl Log {
    fn add(&mut self, message: MessageIndex, reader: ReaderIndex, at: Time) {
        if self.0.len() < MAX_LOGGED {
            self.0.push((message, reader, at));
        }
    }

    fn find(&self, message: MessageIndex, reader: ReaderIndex) -> Option<Time> {
        let mut all = self.0.iter();
        all.find(|(m, r, _)| (*m, *r) == (message, reader))
            .map(|(_, _, at)| *at)
    }
}

/// What a reader was told is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) life: LifeIndex,
    pub(super) message: MessageIndex,
    pub(super) at: Time,
}

impl Judge {
    pub(super) fn on_delivered(&mut self, at: Time, life: Life, delivery: &Delivery, content: u64) {
        let Some(life) = self.lives.find(life) else {
            return;
        };
        if self.lives.life(life).is_hostile {
            return;
        }
        self.tally.seen += 1;
        let Some(message) = self.identify(at, life, delivery, content) else {
            self.tally.foreign += 1;
            return;
        };
        self.check_sender(at, life, delivery, message);
        self.check_receiver(at, life, delivery, message);
        let state = self.lives.life(life);
        let (reader, is_mesh) = (state.reader, state.is_mesh());
        let entry = self.messages.get(message);
        // Who means harm can say to one, in the author's name, what was for all; before it comes, or after.
        let is_replay = delivery.is_private && entry.to.is_none() && self.lives.has_hostile;
        let is_again = entry.delivered.contains(reader);
        if entry.own == reader {
            self.tally.repeated += 1;
            self.on_own(at, life, message);
        } else if is_replay && (is_mesh || is_again) {
            self.tally.repeated += 1;
        } else if self.messages.get_mut(message).delivered.insert(reader) {
            self.on_first(at, life, delivery, message);
        } else {
            self.tally.repeated += 1;
            self.on_again(at, life, message);
        }
    }

    /// Finds out which message it is, and whether it is as it was published.
    fn identify(
        &mut self,
        at: Time,
        life: LifeIndex,
        delivery: &Delivery,
        content: u64,
    ) -> Option<MessageIndex> {
        if let Some(key) = delivery.key
            && let Some(message) = self.messages.find(key)
        {
            if self.messages.get(message).content == content {
                return Some(message);
            }
            let (about, which) = (self.about(at, life, message), self.tell(message));
            self.docket.note(Checker::Genuine, "altered", about, || {
                let node = about.node.unwrap_or_default();
                format!("node {node} got {which} with another content than was published")
            });
            return None;
        }
        if (delivery.key.is_none() || delivery.is_private)
            && let Some(message) = self.by_content(life, delivery, content)
        {
            return Some(message);
        }
        self.on_unknown(at, life, delivery);
        None
    }

    /// Finds a message by what it says: of equal ones the first that this reader has not got, or else the last; rather
    /// from the sender that is claimed than from another.
    fn by_content(
        &self,
        life: LifeIndex,
        delivery: &Delivery,
        content: u64,
    ) -> Option<MessageIndex> {
        let state = self.lives.life(life);
        let fit = |index: &MessageIndex| {
            let message = self.messages.get(*index);
            let is_for_it = message.to.is_none_or(|node| node == state.life.node);
            let is_as_told = message.to.is_some() == delivery.is_private;
            let is_sender = self.lives.life(message.by).identity == Some(delivery.sender);
            let is_new = !message.delivered.contains(state.reader);
            (is_sender, is_for_it, is_new, is_as_told)
        };
        self.messages.with_content(content).max_by_key(fit)
    }

    /// Judges what nobody published. Those who mean harm do publish, and are not told of: under names of their own.
    fn on_unknown(&mut self, at: Time, life: LifeIndex, delivery: &Delivery) {
        let claimed = self.lives.by_identity(delivery.sender);
        if self.lives.has_hostile && claimed.is_none() {
            self.tally.strange += 1;
            self.messages.strange.0 += 1;
            self.messages.strange.1 +=
                delivery.payload.len() as u64 + self.rules.retention.overhead;
            return;
        }
        let node = self.lives.life(life).life.node;
        let sender = claimed.map(|state| state.life.node);
        let about = About {
            at,
            node: Some(node),
            message: None,
        };
        self.docket.note(Checker::Genuine, "invented", about, || {
            let sender = sender.map_or_else(
                || "someone whom nobody knows".to_owned(),
                |node| format!("node {node}"),
            );
            let len = delivery.payload.len();
            format!(
                "node {node} got {len} bytes as a message from {sender}, and nobody published that"
            )
        });
    }

    fn check_sender(
        &mut self,
        at: Time,
        life: LifeIndex,
        delivery: &Delivery,
        message: MessageIndex,
    ) {
        let published = self.messages.get(message);
        let by = self.lives.life(published.by);
        if by
            .identity
            .is_none_or(|identity| identity == delivery.sender)
        {
            return;
        }
        let claimed = self.lives.by_identity(delivery.sender);
        let claimed = claimed.map(|state| state.life.node);
        let (about, which) = (self.about(at, life, message), self.tell(message));
        self.docket
            .note(Checker::Sender, "wrong sender", about, || {
                let node = about.node.unwrap_or_default();
                let claimed = claimed.map_or_else(
                    || "someone whom nobody knows".to_owned(),
                    |node| format!("node {node}"),
                );
                format!("node {node} got {which} as a message from {claimed}")
            });
    }

    /// Judges whether the message was for this node, and for it alone if it says so. Who means harm can say to one what was
    /// for all: a sender is a claim.
    fn check_receiver(
        &mut self,
        at: Time,
        life: LifeIndex,
        delivery: &Delivery,
        message: MessageIndex,
    ) {
        let to = self.messages.get(message).to;
        let (about, state) = (self.about(at, life, message), self.lives.life(life));
        let node = state.life.node;
        // Whoever means harm can tell anybody what was said to him, and to one what was for all.
        let is_told_on = match to {
            Some(to) => to != node && self.lives.of_node(to).any(|life| life.is_hostile),
            None => delivery.is_private && self.lives.has_hostile,
        };
        if is_told_on {
            self.tally.strange += 1;
        } else if let Some(to) = to.filter(|to| *to != node) {
            let which = self.tell(message);
            self.docket
                .note(Checker::Genuine, "misdirected", about, || {
                    format!("node {node} got {which}, which was for node {to} alone")
                });
        } else if to.is_some() != delivery.is_private && state.kind == Kind::Mesh {
            let which = self.tell(message);
            self.docket.note(Checker::Genuine, "audience", about, || {
                let (was, seems) = match to {
                    Some(_) => ("for it alone", "one for all"),
                    None => ("for all", "one for it alone"),
                };
                format!("node {node} got {which} as {seems}, and it was {was}")
            });
        }
    }

    fn on_own(&mut self, at: Time, life: LifeIndex, message: MessageIndex) {
        let (about, which) = (self.about(at, life, message), self.tell(message));
        self.docket.note(Checker::Once, "own", about, || {
            let node = about.node.unwrap_or_default();
            format!("node {node} got its own {which}")
        });
    }

    fn on_first(&mut self, at: Time, life: LifeIndex, delivery: &Delivery, message: MessageIndex) {
        let reader = self.lives.life(life).reader;
        if let Some(resumed) = &mut self.lives.reader_mut(reader).resumed {
            resumed.insert(message);
        }
        let published = self.messages.get_mut(message);
        published.last_got = at;
        self.deliveries.add(message, reader, at);
        self.tally.latency.add(at.since(published.at));
        if published.to.is_some() {
            self.tally.private_firsts += 1;
            return;
        }
        self.tally.firsts += 1;
        self.check_birth(at, life, message);
        self.check_undeclared(at, life, message);
        if let Some(in_stream) = self.messages.get(message).in_stream {
            self.check_order(at, life, delivery, message, in_stream);
        }
        self.core_has_got(at, life, message);
    }

    fn on_again(&mut self, at: Time, life: LifeIndex, message: MessageIndex) {
        let state = self.lives.life(life);
        let (reader, kind) = (state.reader, state.kind);
        let published = self.messages.get(message);
        let age = at.since(published.at);
        let resumed = self.lives.reader_mut(reader).resumed.as_mut();
        let is_after_restart = resumed.is_some_and(|resumed| resumed.insert(message));
        if is_after_restart {
            self.tally.after_restart += 1;
            if let Some(in_stream) = published.in_stream {
                let stream = &mut self.messages.streams[in_stream.stream as usize];
                *stream.last_mut(reader) = in_stream.place + 1;
            }
            self.core_has_again(at, life, message);
            if self.rules.redelivery_after_crash {
                return;
            }
        } else if kind != Kind::Mesh && age > self.rules.legacy_window {
            self.tally.late_again += 1;
            return;
        } else if published.has_twin {
            self.tally.merged += 1;
            return;
        }
        let kind = if is_after_restart {
            "again after restart"
        } else {
            "twice"
        };
        let (about, which) = (self.about(at, life, message), self.tell(message));
        let log = &self.deliveries;
        self.docket.note(Checker::Once, kind, about, || {
            let node = about.node.unwrap_or_default();
            let times = log.find(message, reader).map_or_else(
                || format!("the second time at {at} s"),
                |first| format!("at {first} s and again at {at} s"),
            );
            let restart = if is_after_restart {
                ", after it came back with its memory"
            } else {
                ""
            };
            format!("node {node} got {which} twice: {times}{restart}")
        });
    }

    /// Judges whether a node delivers what is older than it is.
    fn check_birth(&mut self, at: Time, life: LifeIndex, message: MessageIndex) {
        let (state, published) = (self.lives.life(life), self.messages.get(message));
        let born = self.lives.reader(state.reader).born;
        if !state.is_mesh() || published.at.after(self.rules.birth_slack) >= born {
            return;
        }
        // A life that was restored sends what the one before it could not, and sends it as of then.
        let publisher = self.lives.life(published.by).reader;
        if self.lives.reader(publisher).life != published.by {
            return;
        }
        let checker = match published.in_stream {
            Some(_) => Checker::Order,
            None => Checker::Genuine,
        };
        let (about, which) = (self.about(at, life, message), self.tell(message));
        self.docket.note(checker, "before birth", about, || {
            let node = about.node.unwrap_or_default();
            format!("node {node} got {which}, but began only at {born} s and is to get what is sent from then on")
        });
    }

    fn check_undeclared(&mut self, at: Time, life: LifeIndex, message: MessageIndex) {
        let reader = self.lives.life(life).reader;
        if !self.messages.get(message).declared.contains(reader) {
            return;
        }
        let (about, which) = (self.about(at, life, message), self.tell(message));
        self.docket
            .note(Checker::Order, "after its gap", about, || {
                let node = about.node.unwrap_or_default();
                format!("node {node} got {which} at {at} s, after it had declared it missing")
            });
    }

    /// Judges whether all that comes before it in its stream was delivered or declared, and nothing that comes after it.
    fn check_order(
        &mut self,
        at: Time,
        life: LifeIndex,
        delivery: &Delivery,
        message: MessageIndex,
        in_stream: InStream,
    ) {
        let state = self.lives.life(life);
        let reader = state.reader;
        let is_judged = self.rules.is_ordered && state.is_mesh();
        let Some(position) = delivery.position.filter(|_| is_judged) else {
            return;
        };
        let stream = &mut self.messages.streams[in_stream.stream as usize];
        let sequence = stream.messages[in_stream.place as usize].0;
        let last = stream.last_mut(reader);
        let before = *last;
        *last = before.max(in_stream.place + 1);
        if before > in_stream.place {
            let later = stream.messages[before as usize - 1].1;
            self.note_order("out of order", (at, life, message), |which| {
                format!(
                    "{which} after message {later} of the same sender, which was published later"
                )
            });
        } else if let Some((first, count)) = self.skipped(reader, before, in_stream) {
            let first = self.tell(first);
            self.note_order("skipped", (at, life, message), |which| {
                format!(
                    "{which}, and neither got {first} of the same sender nor declared it missing; {count} were skipped in all"
                )
            });
        }
        if position.sequence != sequence {
            let told = position.sequence;
            self.note_order("renumbered", (at, life, message), |which| {
                format!("{which} as number {told} of its stream, and it is number {sequence}")
            });
        }
    }

    fn note_order(
        &mut self,
        kind: &str,
        (at, life, message): (Time, LifeIndex, MessageIndex),
        how: impl FnOnce(&str) -> String,
    ) {
        let (about, which) = (self.about(at, life, message), self.tell(message));
        self.docket.note(Checker::Order, kind, about, || {
            let node = about.node.unwrap_or_default();
            format!("node {node} got {}", how(&which))
        });
    }

    /// Returns the first that was skipped between two messages of a stream, and how many were.
    fn skipped(
        &self,
        reader: ReaderIndex,
        before: u32,
        in_stream: InStream,
    ) -> Option<(MessageIndex, u64)> {
        let stream = &self.messages.streams[in_stream.stream as usize];
        let between = &stream.messages[before as usize..in_stream.place as usize];
        let mut found = None;
        // From the last: all before the first that is older than the reader are.
        for (_, index) in between.iter().rev() {
            if !self.is_due(*index, reader) {
                break;
            }
            let message = self.messages.get(*index);
            if !message.delivered.contains(reader) && !message.declared.contains(reader) {
                let count = found.map_or(0, |(_, count)| count);
                found = Some((*index, count + 1));
            }
        }
        found
    }

    /// Returns whether a message was published clearly after a reader began, and by another.
    ///
    /// One that came back knows by its calendar alone how long it was away, and so how old messages are that it is to get:
    /// where calendars are set meanwhile, that is clear only for those since it came back.
    pub(super) fn is_due(&self, message: MessageIndex, reader: ReaderIndex) -> bool {
        let message = self.messages.get(message);
        let reader_state = self.lives.reader(reader);
        let born = match reader_state.resumed {
            Some(_) if self.rules.calendars_jump => reader_state.came_back,
            _ => reader_state.born,
        };
        message.own != reader && message.at >= born.after(self.rules.birth_slack)
    }

    pub(super) fn on_gap(
        &mut self,
        at: Time,
        life: Life,
        stream: StreamKey,
        (first, last): (u64, u64),
    ) {
        let Some(life) = self.lives.find(life) else {
            return;
        };
        if self.lives.life(life).is_hostile {
            return;
        }
        self.tally.gaps += 1;
        let Some(stream) = self.messages.find_stream(stream) else {
            // Who means harm may have streams, and gaps in them.
            if !self.lives.has_hostile {
                self.note_nothing(at, life, (first, last));
            }
            return;
        };
        let places = self.messages.streams[stream as usize].places(first, last);
        if places.len() as u64 != last.wrapping_sub(first).wrapping_add(1) {
            self.note_nothing(at, life, (first, last));
        }
        for place in places {
            let message = self.messages.streams[stream as usize].messages[place].1;
            self.declare(at, life, message);
        }
    }

    fn note_nothing(&mut self, at: Time, life: LifeIndex, (first, last): (u64, u64)) {
        let node = self.lives.life(life).life.node;
        let about = About {
            at,
            node: Some(node),
            message: None,
        };
        self.docket
            .note(Checker::Accounts, "gap of nothing", about, || {
                format!("node {node} declared the messages {first} to {last} of a stream missing, which were not all published")
            });
    }

    fn declare(&mut self, at: Time, life: LifeIndex, message: MessageIndex) {
        let reader = self.lives.life(life).reader;
        let published = self.messages.get_mut(message);
        if published.delivered.contains(reader) {
            // A life that came back with an old memory may know no better.
            let resumed = &self.lives.reader(reader).resumed;
            if resumed.as_ref().is_none_or(|got| got.contains(message)) {
                let (about, which) = (self.about(at, life, message), self.tell(message));
                self.docket
                    .note(Checker::Order, "gap over delivered", about, || {
                        let node = about.node.unwrap_or_default();
                        format!(
                            "node {node} declared {which} missing at {at} s, and had got it before"
                        )
                    });
            }
        } else if published.declared.insert(reader) {
            self.tally.declared += 1;
            self.gaps.push(Gap { life, message, at });
            self.core_is_settled(at, life, message);
        } else if self.lives.reader(reader).resumed.is_none() {
            let (about, which) = (self.about(at, life, message), self.tell(message));
            self.docket
                .note(Checker::Accounts, "declared twice", about, || {
                    let node = about.node.unwrap_or_default();
                    format!("node {node} declared {which} missing once more")
                });
        }
    }
}
