//! The messages that wait for the program.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use futures_lite::Stream;
use rs2p_core::Message;

use crate::MeshSocket;
use crate::error::{Lagged, RecvError};
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
}

#[derive(Debug)]
enum Entry {
    Message(Message),
    Gap(u64),
}

impl Backlog {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: VecDeque::new(),
            messages: 0,
            bytes: 0,
        }
    }

    /// Adds a message, or counts it as missing. One that is alone may be longer than the limit.
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
            self.push_gap(1);
        }
        fits
    }

    pub(crate) fn push_gap(&mut self, missed: u64) {
        if let Some(Entry::Gap(gap)) = self.entries.back_mut() {
            *gap += missed;
        } else {
            self.entries.push_back(Entry::Gap(missed));
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
            Entry::Gap(missed) => Some(Err(Lagged { missed })),
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
}

impl Inbox {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Mutex::new(State {
            backlog: Backlog::new(limits),
            missed: 0,
            is_closed: false,
            waiters: Waiters::default(),
        }))
    }

    pub(crate) fn push(&self, message: Message, wakes: &mut Wakes) -> bool {
        let mut state = lock(&self.0);
        let fits = state.backlog.push(message);
        state.missed += u64::from(!fits);
        state.waiters.take_all(wakes);
        fits
    }

    pub(crate) fn push_gap(&self, missed: u64, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        state.backlog.push_gap(missed);
        state.missed += missed;
        state.waiters.take_all(wakes);
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
            Some(Ok(message)) => Some(Ok(message)),
            Some(Err(Lagged { missed })) => Some(Err(RecvError::Lagged { missed })),
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
        let mut state = lock(&socket.inbox().0);
        match state.next() {
            Some(Ok(message)) => Poll::Ready(Some(Ok(message))),
            Some(Err(RecvError::Lagged { missed })) => Poll::Ready(Some(Err(Lagged { missed }))),
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
        Inbox::new(Limits { messages, bytes })
    }

    fn drain(inbox: &Inbox) -> Vec<Result<usize, u64>> {
        let next = || match inbox.try_recv() {
            Ok(message) => message.map(|message| Ok(message.packets().as_bytes().len())),
            Err(RecvError::Lagged { missed }) => Some(Err(missed)),
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
        let lagged = RecvError::Lagged { missed: 1 };
        assert_eq!(inbox.try_recv_many(5), Err(lagged));
        assert_eq!(inbox.try_recv_many(5), Ok(Vec::new()));
        inbox.close(&mut Wakes::default());
        assert_eq!(inbox.try_recv_many(5), Err(RecvError::Closed));
    }
}
