//! What waits to be sent on one link: bounded, and let out only as far as the driver's credit
//! goes.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::encode::ALIGNMENT;
use crate::output::SendId;

/// A queue of frames for one link.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    limit: usize,
    frames: VecDeque<Queued>,
    /// The bytes in `frames`.
    len: usize,
    /// How many of them are of long frames that were taken when there was room: what comes behind them is not to be refused for
    /// their length.
    long: usize,
    credit: usize,
    /// Whether the first of `frames` has lost its beginning to an earlier chunk.
    begun: bool,
}

#[derive(Clone, Debug)]
struct Queued {
    bytes: Bytes,
    /// The length of the whole frame.
    frame_len: usize,
    /// Whether its bytes are counted in `long`.
    is_long: bool,
    send: Option<SendId>,
}

/// What may be written now.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    /// The length of the frame that ends with it.
    pub(crate) ended: Option<usize>,
    /// The tracked message that is all out with it.
    pub(crate) sent: Option<SendId>,
}

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow {
    pub(crate) limit: usize,
}

impl Outbox {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            frames: VecDeque::new(),
            len: 0,
            long: 0,
            credit: 0,
            begun: false,
        }
    }

    /// Adds a frame. The last one may exceed the limit: what is within it when a frame comes has room for that frame. One that is
    /// longer than a quarter of the limit and comes when there [is room](Self::has_room) does not count for those behind it: a
    /// link that was given as much as it was said to have room for is not to be closed for the next beacon.
    pub(crate) fn push(&mut self, frame: Bytes, send: Option<SendId>) -> Result<(), Overflow> {
        if self.len - self.long > self.limit {
            return Err(Overflow { limit: self.limit });
        }
        let is_long = self.has_room() && frame.len() > self.limit / 4;
        self.len += frame.len();
        if is_long {
            self.long += frame.len();
        }
        self.frames.push_back(Queued {
            frame_len: frame.len(),
            bytes: frame,
            is_long,
            send,
        });
        Ok(())
    }

    /// Takes the credit for a frame that may be written at once, past an empty queue. Returns whether it may.
    pub(crate) fn pass(&mut self, len: usize) -> bool {
        let passes = self.frames.is_empty() && len <= self.credit;
        if passes {
            self.credit -= len;
        }
        passes
    }

    pub(crate) const fn grant(&mut self, credit: usize) {
        self.credit = self.credit.saturating_add(credit);
    }

    /// Takes out what may be written now: a frame, or the part of one that the credit allows. With
    /// `aligned`, a frame is only cut at multiples of 8 bytes, as it is the reader that must never
    /// see it cut elsewhere.
    pub(crate) fn pop(&mut self, aligned: bool) -> Option<Chunk> {
        let first = self.frames.front_mut()?;
        let whole = first.bytes.len();
        let allowed = if whole <= self.credit {
            whole
        } else if aligned {
            self.credit - self.credit % ALIGNMENT
        } else {
            self.credit
        };
        if allowed == 0 {
            return None;
        }
        let bytes = first.bytes.split_to(allowed);
        if first.is_long {
            self.long -= allowed;
        }
        let is_whole = first.bytes.is_empty();
        let done = is_whole.then_some((first.frame_len, first.send));
        if is_whole {
            self.frames.pop_front();
            if self.frames.is_empty() {
                // Nearly always there is nothing in it: what can be written at once never is. And there is one for each link.
                self.frames = VecDeque::new();
            }
        }
        self.begun = !is_whole;
        self.len -= allowed;
        self.credit -= allowed;
        Some(Chunk {
            bytes,
            ended: done.map(|(frame_len, _)| frame_len),
            sent: done.and_then(|(_, send)| send),
        })
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Returns whether a frame of this length is within the limit, or alone.
    pub(crate) fn fits(&self, len: usize) -> bool {
        self.frames.is_empty() || self.len.saturating_add(len) <= self.limit
    }

    /// Returns whether so little waits that more of an application's messages are taken.
    pub(crate) const fn has_room(&self) -> bool {
        self.len <= self.limit / 2
    }

    /// Drops what waits, but for the rest of a frame whose beginning is out, and returns the tracked messages among it.
    pub(crate) fn abandon(&mut self) -> Vec<SendId> {
        let keep = usize::from(self.begun);
        let dropped = self.frames.split_off(keep.min(self.frames.len()));
        self.len = self.frames.iter().map(|frame| frame.bytes.len()).sum();
        let long = self.frames.iter().filter(|frame| frame.is_long);
        self.long = long.map(|frame| frame.bytes.len()).sum();
        dropped.into_iter().filter_map(|frame| frame.send).collect()
    }

    /// Returns the tracked messages that are not all out.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = SendId> + '_ {
        self.frames.iter().filter_map(|frame| frame.send)
    }

    pub(crate) fn check_invariants(&self) {
        let len: usize = self.frames.iter().map(|frame| frame.bytes.len()).sum();
        debug_assert_eq!(len, self.len, "the byte count is that of the queue");
        debug_assert!(
            self.frames.back().is_none_or(|last| {
                let last = if last.is_long { 0 } else { last.bytes.len() };
                self.len - self.long - last <= self.limit
            }),
            "only the last frame, and a long one, may be over the limit"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize) -> Bytes {
        Bytes::from(vec![1; len])
    }

    fn drain(outbox: &mut Outbox, aligned: bool) -> Vec<usize> {
        std::iter::from_fn(|| outbox.pop(aligned))
            .map(|chunk| chunk.bytes.len())
            .collect()
    }

    #[test]
    fn no_more_goes_out_than_was_granted() {
        let mut outbox = Outbox::new(1000);
        outbox.push(frame(100), None).unwrap();
        outbox.push(frame(50), None).unwrap();
        assert_eq!(drain(&mut outbox, false), [0; 0]);
        outbox.grant(30);
        assert_eq!(drain(&mut outbox, false), [30]);
        outbox.grant(90);
        assert_eq!(drain(&mut outbox, false), [70, 20]);
        assert_eq!(outbox.len(), 30);
        outbox.grant(usize::MAX);
        assert_eq!(drain(&mut outbox, false), [30]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_frame_passes_an_empty_queue_for_which_there_is_credit() {
        let mut outbox = Outbox::new(1000);
        outbox.grant(100);
        assert!(outbox.pass(60));
        assert!(!outbox.pass(41), "no credit for all of it");
        assert!(outbox.pass(40));
        outbox.push(frame(10), None).unwrap();
        outbox.grant(100);
        assert!(!outbox.pass(1), "one is before it");
        assert_eq!(drain(&mut outbox, false), [10]);
        assert!(outbox.pass(90));
        assert!(!outbox.pass(1));
    }

    #[test]
    fn an_aligned_frame_is_cut_at_multiples_of_eight() {
        let mut outbox = Outbox::new(1000);
        outbox.push(frame(64), None).unwrap();
        outbox.grant(30);
        assert_eq!(drain(&mut outbox, true), [24]);
        outbox.grant(1);
        assert_eq!(drain(&mut outbox, true), [0; 0], "seven bytes of credit");
        outbox.grant(1);
        assert_eq!(drain(&mut outbox, true), [8]);
        outbox.grant(100);
        assert_eq!(drain(&mut outbox, true), [32]);
    }

    #[test]
    fn the_limit_holds_but_for_the_last_frame() {
        let mut outbox = Outbox::new(100);
        assert!(outbox.fits(500), "alone");
        for (len, fits, expected) in [
            (60, true, Ok(())),
            (40, true, Ok(())),
            (99, false, Ok(())),
            (1, false, Err(Overflow { limit: 100 })),
        ] {
            assert_eq!(outbox.fits(len), fits, "{len} more");
            assert_eq!(outbox.push(frame(len), None), expected, "{len} more");
        }
        outbox.check_invariants();
    }

    #[test]
    fn what_comes_behind_a_frame_over_the_limit_has_the_limit_to_itself() {
        let mut outbox = Outbox::new(100);
        for (len, expected) in [
            (20, Ok(())),
            (500, Ok(())),
            (80, Ok(())),
            // The second of the long ones counts.
            (500, Ok(())),
            (1, Err(Overflow { limit: 100 })),
        ] {
            assert_eq!(outbox.push(frame(len), None), expected, "{len} more");
        }
        outbox.check_invariants();
        outbox.grant(300);
        drain(&mut outbox, false);
        outbox.check_invariants();
        let refused = outbox.push(frame(1), None);
        assert_eq!(refused, Err(Overflow { limit: 100 }));
        outbox.grant(300);
        drain(&mut outbox, false);
        assert!(outbox.push(frame(1), None).is_err(), "the second is there");
        outbox.grant(500);
        drain(&mut outbox, false);
        assert_eq!(outbox.push(frame(100), None), Ok(()));
        outbox.check_invariants();
    }

    #[test]
    fn what_was_taken_when_there_was_room_leaves_room_for_what_is_short() {
        let mut outbox = Outbox::new(1000);
        for len in [500, 990] {
            assert!(outbox.has_room());
            assert_eq!(outbox.push(frame(len), None), Ok(()));
        }
        assert!(!outbox.has_room());
        for _ in 0..10 {
            assert_eq!(outbox.push(frame(100), None), Ok(()));
        }
        outbox.check_invariants();
        outbox.grant(1500);
        drain(&mut outbox, false);
        outbox.check_invariants();
        assert_eq!(outbox.len(), 990);
    }

    #[test]
    fn what_was_begun_is_finished_when_the_rest_is_abandoned() {
        let mut outbox = Outbox::new(1000);
        outbox.push(frame(10), Some(SendId(1))).unwrap();
        outbox.push(frame(10), Some(SendId(2))).unwrap();
        outbox.grant(4);
        drain(&mut outbox, false);
        assert_eq!(outbox.abandon(), [SendId(2)]);
        outbox.grant(100);
        assert_eq!(drain(&mut outbox, false), [6]);
    }
}
