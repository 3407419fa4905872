//! How far a legacy peer has come with what it was sent.
//!
//! py2p and js2p look at all messages of the last minute for each that comes, so a burst of thousands takes them the best
//! part of a minute; and what they come to a minute after it was sent they drop. Left to TCP, the burst waits in buffers
//! and is lost there. So they are asked now and then for something that they answer in turn, and get no more than they have
//! lately taken in about a second: the rest waits in the log, from where it goes out in a form that does not expire.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// How many messages may be under way on a new link.
const FIRST_WINDOW: u64 = 64;

/// The fewest, however slow the peer is: about a second of a py2p that has 5,000 messages to look at, on half a core.
const MIN_WINDOW: u64 = 32;

/// The most, however fast: what a py2p takes in within a second when it has not much to look at.
const MAX_WINDOW: u64 = 1024;

/// An answer that comes sooner lets the window grow.
const QUICK: Duration = Duration::from_millis(300);

/// An answer that comes later lets it shrink.
const SLOW: Duration = Duration::from_millis(1500);

/// How long an answer is waited for before it is asked again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a peer that has answered before may be silent until it gets all there is regardless. One that is halted for
/// longer loses the messages of that time; one that cannot answer any more is as well off as without any of this.
const TRUST: Duration = Duration::from_secs(120);

/// What one link's peer was sent, and has said that it got.
#[derive(Clone, Debug)]
pub(crate) struct Receipts {
    sent: u64,
    received: u64,
    window: u64,
    asked: VecDeque<Asked>,
    /// The number in the last question.
    last_number: u64,
    heard_at: Option<Instant>,
    /// Whether the peer does not answer, and so is not waited for.
    is_mute: bool,
}

/// A question that was not answered yet.
#[derive(Clone, Copy, Debug)]
struct Asked {
    number: u64,
    /// How many messages were sent before.
    sent: u64,
    at: Instant,
}

/// What to do when no answer has come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    AskAgain,
    GoOn,
}

impl Receipts {
    pub(crate) const fn new() -> Self {
        Self {
            sent: 0,
            received: 0,
            window: FIRST_WINDOW,
            asked: VecDeque::new(),
            last_number: 0,
            heard_at: None,
            is_mute: false,
        }
    }

    /// Returns whether one more message may be under way.
    pub(crate) const fn has_room(&self) -> bool {
        self.is_mute || self.sent - self.received < self.window
    }

    /// Notes that a message was sent.
    pub(crate) const fn count(&mut self) {
        self.sent += 1;
    }

    /// Returns whether it is time to ask how far the peer is.
    pub(crate) fn should_ask(&self) -> bool {
        let asked = self.asked.back().map_or(self.received, |last| last.sent);
        !self.is_mute && self.sent - asked >= self.window / 2
    }

    /// Returns the number for a question.
    pub(crate) fn ask(&mut self, now: Instant) -> u64 {
        self.last_number += 1;
        self.asked.push_back(Asked {
            number: self.last_number,
            sent: self.sent,
            at: now,
        });
        self.last_number
    }

    /// Takes an answer: all that was sent before the question was taken in.
    pub(crate) fn answer(&mut self, number: u64, now: Instant) {
        let Some(place) = self.asked.iter().position(|asked| asked.number == number) else {
            return;
        };
        let Some(asked) = self.asked.drain(..=place).next_back() else {
            return;
        };
        self.received = asked.sent;
        self.heard_at = Some(now);
        self.is_mute = false;
        let took = now.saturating_duration_since(asked.at);
        if took < QUICK {
            self.window = (self.window * 2).min(MAX_WINDOW);
        } else if took > SLOW {
            self.window = (self.window / 2).max(MIN_WINDOW);
        }
    }

    /// Returns until when to wait for the next answer.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let is_awaited = !self.is_mute && !self.asked.is_empty();
        is_awaited.then(|| now.saturating_add(PATIENCE))
    }

    /// Decides what follows when no answer has come for [`PATIENCE`].
    pub(crate) fn give_up(&mut self, now: Instant) -> Unanswered {
        let heard = self.heard_at;
        if heard.is_some_and(|heard| now.saturating_duration_since(heard) < TRUST) {
            return Unanswered::AskAgain;
        }
        self.is_mute = true;
        Unanswered::GoOn
    }

    pub(crate) fn check_invariants(&self) {
        debug_assert!(self.received <= self.sent, "what was received was sent");
        let questions = MAX_WINDOW / (MIN_WINDOW / 2) + TRUST.as_secs() / PATIENCE.as_secs();
        debug_assert!(
            self.asked.len() as u64 <= questions + 1,
            "questions are bounded"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    /// Sends until there is no room, and returns the numbers of the questions on the way.
    fn fill(receipts: &mut Receipts, now: Instant) -> (u64, Vec<u64>) {
        let (mut sent, mut asked) = (0, Vec::new());
        while receipts.has_room() && sent < 5000 {
            sent += 1;
            receipts.count();
            if receipts.should_ask() {
                asked.push(receipts.ask(now));
            }
            receipts.check_invariants();
        }
        (sent, asked)
    }

    #[test]
    fn no_more_is_under_way_than_the_window() {
        let mut receipts = Receipts::new();
        assert_eq!(fill(&mut receipts, at(0)), (64, vec![1, 2]));
        receipts.answer(7, at(100));
        assert!(!receipts.has_room(), "nobody has asked that");
        receipts.answer(1, at(1000));
        assert_eq!(fill(&mut receipts, at(1000)), (32, vec![3]));
        receipts.answer(3, at(1100));
        assert_eq!(fill(&mut receipts, at(1100)).0, 128, "it was quick");
    }

    #[test]
    fn the_window_follows_the_peer_within_limits() {
        let mut receipts = Receipts::new();
        let mut now = 0;
        for (took, expected) in [(10, MAX_WINDOW), (5000, MIN_WINDOW)] {
            for _ in 0..40 {
                let (_, asked) = fill(&mut receipts, at(now));
                now += took;
                for number in asked {
                    receipts.answer(number, at(now));
                }
            }
            assert_eq!(receipts.window, expected);
        }
    }

    #[test]
    fn a_peer_that_never_answers_gets_all_regardless() {
        let mut receipts = Receipts::new();
        fill(&mut receipts, at(0));
        assert_eq!(receipts.deadline(at(0)), Some(at(5000)));
        assert_eq!(receipts.give_up(at(5000)), Unanswered::GoOn);
        assert_eq!(receipts.deadline(at(5000)), None);
        assert_eq!(fill(&mut receipts, at(5000)), (5000, vec![]));
    }

    #[test]
    fn a_peer_that_has_answered_is_asked_again_for_two_minutes() {
        let mut receipts = Receipts::new();
        let (_, asked) = fill(&mut receipts, at(0));
        receipts.answer(asked[1], at(100));
        fill(&mut receipts, at(100));
        for second in (5..120).step_by(5) {
            assert_eq!(receipts.give_up(at(second * 1000)), Unanswered::AskAgain);
            receipts.ask(at(second * 1000));
            receipts.check_invariants();
        }
        assert!(!receipts.has_room());
        assert_eq!(receipts.give_up(at(120_100)), Unanswered::GoOn);
        assert!(receipts.has_room());
        assert_eq!(fill(&mut receipts, at(120_100)), (5000, vec![]));
        receipts.answer(receipts.last_number, at(130_000));
        assert!(
            !receipts.has_room() && receipts.should_ask(),
            "what it got meanwhile is under way"
        );
        let number = receipts.ask(at(130_000));
        receipts.answer(number, at(133_000));
        assert_eq!(fill(&mut receipts, at(133_000)).0, 32, "it counts again");
    }
}
