//! The messages that wait for the program.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use futures_lite::Stream;
use rs2p_core::Message;

use crate::MeshSocket;
use crate::error::{Lagged, Missed, RecvError};
use crate::missed::{Gap, MAX_RANGES};
use crate::wait::{Waiters, Wakes, lock, wait_for};

/// How much waits for the program before what comes is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) messages: usize,
    /// The bytes of their packets.
    pub(crate) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 65_536,
            bytes: 64 << 20,
        }
    }
}

/// A bounded queue of messages, in order, with a mark where some are missing.
#[derive(Debug)]
pub(crate) struct Backlog {
    limits: Limits,
    entries: VecDeque<Entry>,
    messages: usize,
    bytes: usize,
    /// The ranges in all gaps.
    ranges: usize,
}

#[derive(Debug)]
enum Entry {
    Message(Message),
    Gap(Gap),
}

impl Backlog {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: VecDeque::new(),
            messages: 0,
            bytes: 0,
            ranges: 0,
        }
    }

    /// Adds a message, or notes it as missing. One that is alone may be longer than the limit.
    /// Returns whether it was added.
    pub(crate) fn push(&mut self, message: Message) -> bool {
        let len = message.packets().as_bytes().len();
        let fits = self.messages < self.limits.messages
            && (self.messages == 0 || self.bytes.saturating_add(len) <= self.limits.bytes);
        if fits {
            self.messages += 1;
            self.bytes += len;
            self.entries.push_back(Entry::Message(message));
        } else {
            self.widen(|gap, left| gap.add(&message, left));
        }
        fits
    }

    pub(crate) fn push_gap(&mut self, lagged: &Lagged) {
        self.widen(|gap, left| gap.append(lagged, left));
    }

    /// Adds to the gap at the end of the queue.
    fn widen(&mut self, add: impl FnOnce(&mut Gap, usize)) {
        if !self.ends_with_gap() {
            self.entries.push_back(Entry::Gap(Gap::default()));
        }
        if let Some(Entry::Gap(gap)) = self.entries.back_mut() {
            let before = gap.range_count();
            add(gap, MAX_RANGES - self.ranges);
            self.ranges += gap.range_count() - before;
        }
    }

    pub(crate) fn ends_with_gap(&self) -> bool {
        matches!(self.entries.back(), Some(Entry::Gap(_)))
    }

    /// Takes the oldest message, or the mark that stands before it.
    pub(crate) fn pop(&mut self) -> Option<Result<Message, Lagged>> {
        match self.entries.pop_front()? {
            Entry::Message(message) => {
                self.messages -= 1;
                self.bytes -= message.packets().as_bytes().len();
                Some(Ok(message))
            }
            Entry::Gap(gap) => {
                self.ranges -= gap.range_count();
                Some(Err(gap.told()))
            }
        }
    }
}

/// The queue that [`MeshSocket::recv`] reads. One, however many clones of the socket there are.
#[derive(Debug)]
pub(crate) struct Inbox(Mutex<State>);

#[derive(Debug)]
struct State {
    backlog: Backlog,
    missed: u64,
    is_closed: bool,
    waiters: Waiters,
    /// What was taken out since the node was told, if it wants to know.
    handed: Option<Vec<Handed>>,
}

/// What a program got, and is done with when it comes for more.
#[derive(Debug)]
pub(crate) enum Handed {
    Message(Message),
    Missed(Missed),
}

impl Inbox {
    /// With `keeps_account` it is noted what was taken out: see [`take_handed`](Self::take_handed).
    pub(crate) fn new(limits: Limits, keeps_account: bool) -> Self {
        Self(Mutex::new(State {
            backlog: Backlog::new(limits),
            missed: 0,
            is_closed: false,
            waiters: Waiters::default(),
            handed: keeps_account.then(Vec::new),
        }))
    }

    pub(crate) fn push(&self, message: Message, wakes: &mut Wakes) -> bool {
        let mut state = lock(&self.0);
        let fits = state.backlog.push(message);
        state.missed += u64::from(!fits);
        state.waiters.take_all(wakes);
        fits
    }

    pub(crate) fn push_gap(&self, lagged: &Lagged, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        state.backlog.push_gap(lagged);
        state.missed += lagged.missed;
        state.waiters.take_all(wakes);
    }

    /// Returns what was taken out since the last time.
    pub(crate) fn take_handed(&self) -> Vec<Handed> {
        let mut state = lock(&self.0);
        state
            .handed
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// What is in it can still be received; then it ends.
    pub(crate) fn close(&self, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        state.is_closed = true;
        state.waiters.take_all(wakes);
    }

    pub(crate) async fn recv(&self) -> Result<Message, RecvError> {
        wait_for(&self.0, |state| &mut state.waiters, State::next).await
    }

    pub(crate) fn try_recv(&self) -> Result<Option<Message>, RecvError> {
        lock(&self.0).next().transpose()
    }

    /// Takes up to `count` messages, up to the next gap.
    pub(crate) fn try_recv_many(&self, count: usize) -> Result<Vec<Message>, RecvError> {
        let mut state = lock(&self.0);
        let mut messages = Vec::with_capacity(count.min(state.backlog.messages));
        while messages.len() < count {
            let is_gap = matches!(state.backlog.entries.front(), Some(Entry::Gap(_)));
            if is_gap && !messages.is_empty() {
                break;
            }
            match state.next() {
                Some(Ok(message)) => messages.push(message),
                Some(Err(RecvError::Closed)) if !messages.is_empty() => break,
                Some(Err(error)) => return Err(error),
                None => break,
            }
        }
        Ok(messages)
    }

    /// Returns how many messages wait, how many bytes they have, and how many were missed so far.
    pub(crate) fn levels(&self) -> (usize, usize, u64) {
        let state = lock(&self.0);
        (state.backlog.messages, state.backlog.bytes, state.missed)
    }
}

impl State {
    fn next(&mut self) -> Option<Result<Message, RecvError>> {
        match self.backlog.pop() {
            Some(Ok(message)) => {
                if let Some(handed) = &mut self.handed {
                    handed.push(Handed::Message(message.clone()));
                }
                Some(Ok(message))
            }
            Some(Err(lagged)) => {
                if let Some(handed) = &mut self.handed {
                    handed.extend(lagged.ranges.iter().cloned().map(Handed::Missed));
                }
                Some(Err(RecvError::Lagged(lagged)))
            }
            None => self.is_closed.then_some(Err(RecvError::Closed)),
        }
    }
}

/// The messages of a socket as a stream; see [`MeshSocket::messages`].
///
/// Ends when the socket is closed and everything was received. Holds the socket open.
#[derive(Debug)]
pub struct Messages {
    socket: MeshSocket,
    key: Option<u64>,
}

impl Messages {
    pub(crate) const fn new(socket: MeshSocket) -> Self {
        Self { socket, key: None }
    }
}

impl Stream for Messages {
    type Item = Result<Message, Lagged>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { socket, key } = self.get_mut();
        socket.acknowledge_handed();
        let mut state = lock(&socket.inbox().0);
        match state.next() {
            Some(Ok(message)) => Poll::Ready(Some(Ok(message))),
            Some(Err(RecvError::Lagged(lagged))) => Poll::Ready(Some(Err(lagged))),
            Some(Err(RecvError::Closed)) => Poll::Ready(None),
            None => {
                state.waiters.register(key, cx.waker());
                Poll::Pending
            }
        }
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        lock(&self.socket.inbox().0).waiters.forget(&mut self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{link, node, pipe, settle};
    use rs2p_core::Config;

    /// Messages as they come from a node: a message cannot be made up.
    fn messages(lens: &[usize]) -> Vec<Message> {
        let (alice, bob) = (node(Config::default(), 1), node(Config::default(), 2));
        let mut tasks = Vec::from(link(&alice, &bob, pipe(1 << 20)));
        settle(&mut tasks);
        for len in lens {
            // A str of up to 31 bytes has a head of one byte.
            let text = "x".repeat(len - 1);
            alice.enter(|inner, now| inner.state.broadcast(text, now).map(drop).unwrap());
        }
        settle(&mut tasks);
        bob.inbox.try_recv_many(usize::MAX).unwrap()
    }

    fn inbox(messages: usize, bytes: usize) -> Inbox {
        Inbox::new(Limits { messages, bytes }, false)
    }

    fn drain(inbox: &Inbox) -> Vec<Result<usize, u64>> {
        let next = || match inbox.try_recv() {
            Ok(message) => message.map(|message| Ok(message.packets().as_bytes().len())),
            Err(RecvError::Lagged(lagged)) => Some(Err(lagged.missed)),
            Err(error) => panic!("{error}"),
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn each_limit_leaves_a_gap_of_the_exact_size() {
        type Row = (&'static str, usize, usize, &'static [Result<usize, u64>]);
        let table: [Row; 6] = [
            ("all fit", 5, 60, &[Ok(10), Ok(11), Ok(12), Ok(13), Ok(14)]),
            (
                "one message too many",
                4,
                60,
                &[Ok(10), Ok(11), Ok(12), Ok(13), Err(1)],
            ),
            (
                "one byte too many",
                5,
                59,
                &[Ok(10), Ok(11), Ok(12), Ok(13), Err(1)],
            ),
            ("room for two", 2, 60, &[Ok(10), Ok(11), Err(3)]),
            ("no room at all", 0, 60, &[Err(5)]),
            ("one that is alone is taken", 5, 0, &[Ok(10), Err(4)]),
        ];
        for (why, count, bytes, expected) in table {
            let inbox = inbox(count, bytes);
            for message in messages(&[10, 11, 12, 13, 14]) {
                inbox.push(message, &mut Wakes::default());
            }
            assert_eq!(drain(&inbox), expected, "{why}");
            assert_eq!(inbox.levels().1, 0, "{why}: no bytes are left");
        }
    }

    #[test]
    fn gaps_stand_where_messages_are_missing() {
        let inbox = inbox(2, 1000);
        let mut wakes = Wakes::default();
        for message in messages(&[10, 11, 12, 13]) {
            inbox.push(message, &mut wakes);
        }
        inbox.try_recv().unwrap();
        for message in messages(&[14, 15]) {
            inbox.push(message, &mut wakes);
        }
        assert_eq!(drain(&inbox), [Ok(11), Err(2), Ok(14), Err(1)]);
        assert_eq!(inbox.levels(), (0, 0, 3));
    }

    #[test]
    fn many_are_taken_up_to_the_next_gap() {
        let inbox = inbox(3, 1000);
        for message in messages(&[10, 11, 12, 13]) {
            inbox.push(message, &mut Wakes::default());
        }
        assert_eq!(inbox.try_recv_many(2).unwrap().len(), 2);
        assert_eq!(inbox.try_recv_many(5).unwrap().len(), 1);
        let lagged = inbox.try_recv_many(5).unwrap_err();
        assert!(matches!(
            lagged,
            RecvError::Lagged(Lagged { missed: 1, .. })
        ));
        assert_eq!(inbox.try_recv_many(5), Ok(Vec::new()));
        inbox.close(&mut Wakes::default());
        assert_eq!(inbox.try_recv_many(5), Err(RecvError::Closed));
    }

    /// Takes out all, and returns the sequences: those that came, and the ranges of those that are missing.
    fn sequences(inbox: &Inbox) -> Vec<Result<u64, Vec<(u64, u64)>>> {
        let next = || match inbox.try_recv() {
            Ok(message) => message.map(|message| Ok(message.sequence().unwrap())),
            Err(RecvError::Lagged(lagged)) => {
                let ranges = lagged.ranges.iter().map(|range| (range.first, range.last));
                Some(Err(ranges.collect()))
            }
            Err(error) => panic!("{error}"),
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_reader_that_lags_is_told_which_messages_are_missing() {
        let inbox = inbox(2, 1000);
        let mut wakes = Wakes::default();
        let all = messages(&[10; 9]);
        for message in &all[..5] {
            inbox.push(message.clone(), &mut wakes);
        }
        inbox.try_recv().unwrap();
        inbox.push(all[5].clone(), &mut wakes);
        // The eighth goes elsewhere, to a handler.
        for message in [&all[6], &all[8]] {
            inbox.push(message.clone(), &mut wakes);
        }
        assert_eq!(
            sequences(&inbox),
            [Ok(2), Err(vec![(3, 5)]), Ok(6), Err(vec![(7, 7), (9, 9)])]
        );
        let State { backlog, .. } = &*lock(&inbox.0);
        assert_eq!(backlog.ranges, 0);
    }

    #[test]
    fn what_is_known_of_missing_messages_is_bounded() {
        let inbox = inbox(0, 0);
        let mut wakes = Wakes::default();
        // Every other one of them, so that none adjoins the one before.
        let all = messages(&vec![10; 2 * MAX_RANGES + 100]);
        for message in all.iter().step_by(2) {
            inbox.push(message.clone(), &mut wakes);
        }
        let Err(RecvError::Lagged(lagged)) = inbox.try_recv() else {
            panic!("there is no room at all");
        };
        assert_eq!(lagged.missed, MAX_RANGES as u64 + 50, "the count is exact");
        assert_eq!(lagged.ranges.len(), MAX_RANGES);
        let origin = all[0].sender();
        assert!(lagged.ranges.iter().all(|range| range.origin == *origin));
    }

    #[test]
    fn what_was_taken_out_is_noted_if_that_is_wanted() {
        let inbox = Inbox::new(
            Limits {
                messages: 1,
                bytes: 1000,
            },
            true,
        );
        for message in messages(&[10, 11]) {
            inbox.push(message, &mut Wakes::default());
        }
        assert!(inbox.take_handed().is_empty());
        inbox.try_recv().unwrap();
        inbox.try_recv().unwrap_err();
        let handed = inbox.take_handed();
        let is_right = matches!(
            &handed[..],
            [
                Handed::Message(_),
                Handed::Missed(Missed {
                    first: 2,
                    last: 2,
                    ..
                })
            ]
        );
        assert!(is_right, "{handed:?}");
        assert!(inbox.take_handed().is_empty());
    }
}
