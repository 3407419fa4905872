//! What is to be written on one link, between the state and the link's task.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::Waker;

use bytes::Bytes;
use rs2p_core::Batching;

use crate::wait::{Wakes, lock};

/// How many bytes the state may hand out for one link ahead of their being written: the bound of
/// a slow link's queue. Several times what a socket takes at once.
pub(crate) const GRANT: usize = 256 << 10;

/// Written bytes are reported in steps of at least this, since each report takes the lock. Less
/// than [`GRANT`], so that a link whose queue is empty always has credit.
pub(crate) const CREDIT_STEP: usize = GRANT / 2;

/// Bytes to be written, after everything before them.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    pub(crate) batching: Batching,
}

/// How a link is to end, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Not at all.
    Open,
    /// Once everything is written.
    Flush,
    /// Now.
    Abort,
}

/// The queue of one link. Holds at most [`GRANT`] bytes, with what the task took and did not write.
#[derive(Debug)]
pub(crate) struct Queue(Mutex<State>);

#[derive(Debug)]
struct State {
    chunks: VecDeque<Chunk>,
    /// The bytes in `chunks` and those taken from it that were not reported as written.
    unwritten: usize,
    ending: Ending,
    /// The link's task, once it has run.
    waker: Option<Waker>,
    /// Whether the task waits for chunks, not for the stream.
    is_idle: bool,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State {
            chunks: VecDeque::new(),
            unwritten: 0,
            ending: Ending::Open,
            waker: None,
            is_idle: false,
        }))
    }

    /// Adds a chunk, and wakes the task only if there is nothing that it is busy with.
    pub(crate) fn push(&self, chunk: Chunk, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        state.unwritten += chunk.bytes.len();
        debug_assert!(state.unwritten <= GRANT, "never more than was granted");
        state.chunks.push_back(chunk);
        if std::mem::take(&mut state.is_idle)
            && let Some(waker) = &state.waker
        {
            wakes.add(waker.clone());
        }
    }

    /// Says how the link is to end. What was said before is only made harsher.
    pub(crate) fn end(&self, ending: Ending, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        if ending > state.ending {
            state.ending = ending;
            if let Some(waker) = &state.waker {
                wakes.add(waker.clone());
            }
        }
    }

    pub(crate) fn ending(&self) -> Ending {
        lock(&self.0).ending
    }

    /// Takes all chunks. If there are none, the next one wakes the task.
    pub(crate) fn take(&self, into: &mut VecDeque<Chunk>) {
        let mut state = lock(&self.0);
        state.is_idle = state.chunks.is_empty();
        if into.is_empty() {
            std::mem::swap(&mut state.chunks, into);
        } else {
            into.append(&mut state.chunks);
        }
    }

    /// Notes that so many bytes were written, before the state is given credit for them.
    pub(crate) fn written(&self, bytes: usize) {
        let mut state = lock(&self.0);
        state.unwritten = state.unwritten.saturating_sub(bytes);
    }

    pub(crate) fn unwritten(&self) -> usize {
        lock(&self.0).unwritten
    }

    /// Notes whom to wake.
    pub(crate) fn attend(&self, waker: &Waker) {
        let mut state = lock(&self.0);
        if !state.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
    }
}
