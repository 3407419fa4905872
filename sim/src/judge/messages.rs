//! What was published, and who has it.

use super::Retention;
use super::bits::Bits;
use super::lives::{LifeIndex, NumberMap, ReaderIndex, next_place};
use crate::facts::Published;
use crate::node::{MessageKey, StreamKey};
use crate::time::Time;

/// The place of a message in [`Messages`]: its number in order of publishing.
pub(super) type MessageIndex = u32;

/// Where a message is among those of its stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct InStream {
    /// Which stream.
    pub(super) stream: u32,
    /// Which of its messages, counted from 0.
    pub(super) place: u32,
}

/// A message, and who has it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) by: LifeIndex,
    /// The reader that its publisher is.
    pub(super) own: ReaderIndex,
    pub(super) at: Time,
    pub(super) content: u64,
    /// How many bytes its payload has.
    pub(super) len: u64,
    pub(super) in_stream: Option<InStream>,
    /// Its place among the messages to all, if it is one.
    public: u32,
    /// When it was last delivered to someone for the first time.
    pub(super) last_got: Time,
    /// The only node that it is for, if it is not for all.
    pub(super) to: Option<u32>,
    pub(super) delivered: Bits,
    /// Who declared it missing.
    pub(super) declared: Bits,
    /// The message before it with the same content.
    pub(super) equal: Option<MessageIndex>,
    /// Whether another has the same identity, as equal messages of legacy nodes have within a second.
    pub(super) has_twin: bool,
    /// Whether the core is owed it.
    pub(super) is_owed: bool,
    /// How many of the core still lack it. Only counted if it is owed.
    pub(super) missing: u32,
    /// What its sender was told of it, if it is private.
    pub(super) outcome: Option<bool>,
}

/// The messages of one life, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Their sequences and numbers.
    pub(super) messages: Vec<(u64, MessageIndex)>,
    /// How far each reader is: one more than the place of the last message that it delivered; zero if there is none.
    pub(super) last: Vec<u32>,
}

impl Stream {
    /// Returns the places of the messages from one sequence to another.
    pub(super) fn places(&self, first: u64, last: u64) -> std::ops::Range<usize> {
        let start = self
            .messages
            .partition_point(|(sequence, _)| *sequence < first);
        let end = self
            .messages
            .partition_point(|(sequence, _)| *sequence <= last);
        start..end.max(start)
    }

    /// Returns how far a reader is.
    pub(super) fn last_mut(&mut self, reader: ReaderIndex) -> &mut u32 {
        if self.last.len() <= reader as usize {
            self.last.resize(reader as usize + 1, 0);
        }
        &mut self.last[reader as usize]
    }
}

/// All that was published.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    pub(super) list: Vec<Message>,
    pub(super) streams: Vec<Stream>,
    by_key: NumberMap<u64, MessageIndex>,
    by_stream: NumberMap<u64, u32>,
    /// The last message with a content.
    by_content: NumberMap<u64, MessageIndex>,
    /// When the messages to all were published, and the bytes that they and those before them take in a log.
    public: Vec<(Time, u64)>,
    /// What others than publishers brought into the logs: messages and bytes, each counted as often as it was delivered.
    pub(super) strange: (u64, u64),
    /// When the last life began.
    pub(super) last_birth: Time,
    /// For each message to all: how many older ones may have come to someone after it, and their bytes. Empty if unknown.
    stragglers: Vec<(u64, u64)>,
}

/// What is odd about a message that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// An earlier one has the same identity.
    SameKey(MessageIndex),
    /// Its sequence does not follow that of the one before it.
    Numbering { before: u64 },
}

impl Messages {
    /// Forgets how far a reader is in all streams: its memory may be an old one, and then it is not as far.
    pub(super) fn rewind(&mut self, reader: ReaderIndex) {
        for stream in &mut self.streams {
            if let Some(last) = stream.last.get_mut(reader as usize) {
                *last = 0;
            }
        }
    }

    /// Notes a message that was just published.
    pub(super) fn add(
        &mut self,
        at: Time,
        (by, own): (LifeIndex, ReaderIndex),
        published: &Published,
        readers: u32,
        retention: &Retention,
    ) -> (MessageIndex, Option<Oddity>) {
        let index = next_place(&self.list);
        let (mut oddity, mut in_stream, mut has_twin) = (None, None, false);
        if published.to.is_none() {
            if let Some(first) = self.by_key.get(&published.key.0).copied() {
                oddity = Some(Oddity::SameKey(first));
                has_twin = true;
                self.list[first as usize].has_twin = true;
            } else {
                self.by_key.insert(published.key.0, index);
            }
            let before = self.public.last().map_or(0, |(_, bytes)| *bytes);
            let bytes = (published.len as u64).saturating_add(retention.overhead);
            self.public.push((at, before.saturating_add(bytes)));
            if let Some(position) = published.position {
                let stream = self.stream_of(position.stream);
                let messages = &mut self.streams[stream as usize].messages;
                let before = messages.last().map_or(0, |(sequence, _)| *sequence);
                if position.sequence != before + 1 {
                    oddity.get_or_insert(Oddity::Numbering { before });
                }
                if position.sequence > before {
                    let place = next_place(messages);
                    messages.push((position.sequence, index));
                    in_stream = Some(InStream { stream, place });
                }
            }
        }
        self.list.push(Message {
            by,
            own,
            at,
            content: published.content,
            len: published.len as u64,
            in_stream,
            public: next_place(&self.public).saturating_sub(1),
            last_got: at,
            to: published.to.map(|(_, node)| node),
            delivered: Bits::with_room(readers as usize),
            declared: Bits::default(),
            equal: self.by_content.insert(published.content, index),
            has_twin,
            is_owed: false,
            missing: 0,
            outcome: None,
        });
        (index, oddity)
    }

    fn stream_of(&mut self, key: StreamKey) -> u32 {
        let next = next_place(&self.streams);
        let stream = *self.by_stream.entry(key.0).or_insert(next);
        if stream == next {
            self.streams.push(Stream::default());
        }
        stream
    }

    pub(super) fn find_stream(&self, key: StreamKey) -> Option<u32> {
        self.by_stream.get(&key.0).copied()
    }

    pub(super) fn find(&self, key: MessageKey) -> Option<MessageIndex> {
        self.by_key.get(&key.0).copied()
    }

    pub(super) fn get(&self, index: MessageIndex) -> &Message {
        &self.list[index as usize]
    }

    pub(super) fn get_mut(&mut self, index: MessageIndex) -> &mut Message {
        &mut self.list[index as usize]
    }

    /// Returns the messages with a content, the last first.
    pub(super) fn with_content(&self, content: u64) -> impl Iterator<Item = MessageIndex> + '_ {
        let last = self.by_content.get(&content).copied();
        std::iter::successors(last, |index| self.get(*index).equal)
    }

    /// Returns the messages to all.
    pub(super) fn public(&self) -> impl Iterator<Item = (MessageIndex, &Message)> {
        let all = (0..).zip(&self.list);
        all.filter(|(_, message)| message.to.is_none())
    }

    pub(super) const fn public_count(&self) -> usize {
        self.public.len()
    }

    /// Notes when each message to all had reached everyone, or that it has not.
    pub(super) fn set_stragglers(&mut self, settled: &[Time]) {
        let mut changes = vec![(0_i64, 0_i64); settled.len() + 1];
        let mut before = 0;
        for ((place, until), (at, sum)) in settled.iter().enumerate().zip(&self.public) {
            let bytes = i64::try_from(sum - before).unwrap_or(i64::MAX);
            before = *sum;
            // It may displace those that were published after it and before it had reached everyone.
            let end = self.public.partition_point(|(at, _)| at <= until);
            if *until > *at {
                changes[place + 1].0 += 1;
                changes[place + 1].1 += bytes;
                changes[end.max(place + 1)].0 -= 1;
                changes[end.max(place + 1)].1 -= bytes;
            }
        }
        let sums = changes.iter().scan((0_i64, 0_i64), |sum, change| {
            *sum = (sum.0 + change.0, sum.1 + change.1);
            Some((sum.0.unsigned_abs(), sum.1.unsigned_abs()))
        });
        self.stragglers = sums.take(settled.len()).collect();
    }

    /// Returns until when a message certainly is in the log of everyone who got it, as far as is known by now.
    ///
    /// A log drops what is too old, and then, while it holds too much, the oldest of those who have more than their share,
    /// or the oldest of all. So there are two ways to be certain. Either all that may be in any log together is within
    /// the limits. Or what may have come after the message is less than one share: then it cannot be the oldest of one.
    pub(super) fn kept_until(&self, index: MessageIndex, retention: &Retention) -> Time {
        let message = self.get(index);
        if message.to.is_some() || !retention.is_promised() {
            return message.at;
        }
        let until = message.at.after(retention.age);
        let overflow = self.all_fit_until(message, retention);
        if overflow >= until {
            return until;
        }
        until.min(overflow.max(self.is_new_until(message, retention)))
    }

    /// Returns when all that may be in a log is more than it holds: all that was published since twice the age before the
    /// message, and all that came from strangers.
    fn all_fit_until(&self, message: &Message, retention: &Retention) -> Time {
        let oldest = message
            .at
            .since(Time::ZERO)
            .saturating_sub(retention.age * 2);
        let oldest = Time::ZERO.after(oldest);
        let start = self.public.partition_point(|(at, _)| *at < oldest);
        let count = retention.count.saturating_sub(self.strange.0);
        let bytes = retention.bytes.saturating_sub(self.strange.1);
        self.overflow(start, count, bytes)
    }

    /// Returns when what may have come after a message, itself included, is more than a share of a log.
    fn is_new_until(&self, message: &Message, retention: &Retention) -> Time {
        let Some((late, late_bytes)) = self.stragglers.get(message.public as usize) else {
            return message.at;
        };
        // Who began later may get older messages after newer ones.
        if retention.parts == 0 || message.at <= self.last_birth {
            return message.at;
        }
        let share = |limit: u64, strange: u64, late: u64| {
            (limit / retention.parts)
                .saturating_sub(strange)
                .saturating_sub(late)
        };
        let count = share(retention.count, self.strange.0, *late);
        let bytes = share(retention.bytes, self.strange.1, *late_bytes);
        self.overflow(message.public as usize, count, bytes)
    }

    /// Returns when the messages to all, from a place on, were more than so many, or more than so many bytes.
    fn overflow(&self, start: usize, count: u64, bytes: u64) -> Time {
        let before = start.checked_sub(1).map_or(0, |at| self.public[at].1);
        let limit = before.saturating_add(bytes);
        let too_many =
            usize::try_from(count).map_or(usize::MAX, |count| start.saturating_add(count));
        let too_long = self.public.partition_point(|(_, sum)| *sum <= limit);
        let first = self.public.get(too_many.min(too_long.max(start)));
        first.map_or(Time::MAX, |(at, _)| *at)
    }
}
