//! The deadline table: what is due when.

use std::collections::{BTreeMap, BTreeSet};

use crate::output::{DialId, LinkId};
use crate::time::Instant;

/// Everything that the state waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// When a dial that has not been answered by the driver is given up.
    Dial(DialId),
    /// When a dialled link whose other side is silent gets our handshake all the same.
    Silence(LinkId),
    /// When a link whose handshake is not complete is closed.
    Handshake(LinkId),
    /// When a link that holds part of a frame is closed.
    HalfFrame(LinkId),
    /// When a link that has taken no bytes although some wait is closed.
    Stall(LinkId),
    /// When the next frame may follow one whose length is a danger to a py2p reader.
    Pace(LinkId),
    /// When a native link on which nothing came is looked after.
    Idle(LinkId),
    /// When a link that is being closed is cut, flushed or not.
    Linger(LinkId),
    /// When a js2p peer is told our handshake again, because a second link to it was closed.
    Reintroduce(LinkId),
    /// When the first comparison of logs on a link is cut short.
    Compare(LinkId),
    /// When a neighbour has had enough time to send what it was asked for.
    Pull(LinkId),
    /// When a legacy peer has had enough time to say how far it is.
    Receipt(LinkId),
    /// When an address becomes worth dialling again.
    Redial,
    /// When an address is dialled to see whether there is another part of the network.
    Probe,
    /// When this node tells its island that it is there, or takes over doing so.
    Beacon,
    /// When a message to one node is sent again, or given up; or a search goes on, or ends.
    Search,
    /// When what has changed is saved.
    Save,
    /// When the neighbours are told what came.
    Have,
    /// When a stream without a beginning gets one.
    Decide,
    /// When what nobody seems to have is declared gone.
    Gap,
    /// When the next message is too old for the log.
    Log,
    /// When it is looked again whether there is room.
    Room,
    /// When the neighbours are told of what some of them were not pushed.
    Tell,
    /// When those that are not to push are asked again.
    Prune,
    /// When what was to come by itself is overdue.
    Graft,
}

impl Timer {
    const KINDS: usize = 25;

    /// Returns which of the variants it is.
    const fn kind(self) -> usize {
        match self {
            Self::Dial(_) => 0,
            Self::Silence(_) => 1,
            Self::Handshake(_) => 2,
            Self::HalfFrame(_) => 3,
            Self::Stall(_) => 4,
            Self::Pace(_) => 5,
            Self::Idle(_) => 6,
            Self::Linger(_) => 7,
            Self::Reintroduce(_) => 8,
            Self::Compare(_) => 9,
            Self::Pull(_) => 10,
            Self::Redial => 11,
            Self::Probe => 12,
            Self::Beacon => 13,
            Self::Search => 14,
            Self::Have => 15,
            Self::Decide => 16,
            Self::Gap => 17,
            Self::Log => 18,
            Self::Room => 19,
            Self::Receipt(_) => 20,
            Self::Save => 21,
            Self::Tell => 22,
            Self::Prune => 23,
            Self::Graft => 24,
        }
    }
}

/// At most one deadline for each timer. Cancelling is forgetting: no stale timer can fire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Instant, Timer)>,
    at: BTreeMap<Timer, Instant>,
    /// How many of each kind are in `at`. With each frame timers are cancelled of kinds that are hardly ever set.
    counts: [u32; Timer::KINDS],
    /// The earliest of `due`. A driver asks for it after every input.
    next: Option<Instant>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        match self.at.insert(timer, at) {
            Some(old) if old == at => return,
            Some(old) => {
                self.due.remove(&(old, timer));
            }
            None => self.counts[timer.kind()] += 1,
        }
        self.due.insert((at, timer));
        self.look();
    }

    fn look(&mut self) {
        self.next = self.due.first().map(|(at, _)| *at);
    }

    /// Sets the timer unless it runs already.
    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        if !self.is_set(timer) {
            self.set(timer, at);
        }
    }

    /// Returns whether the timer runs.
    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.counts[timer.kind()] > 0 && self.at.contains_key(&timer)
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        if self.counts[timer.kind()] == 0 {
            return;
        }
        if let Some(at) = self.at.remove(&timer) {
            self.counts[timer.kind()] -= 1;
            self.due.remove(&(at, timer));
            self.look();
        }
    }

    pub(crate) fn cancel_link(&mut self, link: LinkId) {
        for timer in [
            Timer::Silence(link),
            Timer::Handshake(link),
            Timer::HalfFrame(link),
            Timer::Stall(link),
            Timer::Pace(link),
            Timer::Idle(link),
            Timer::Linger(link),
            Timer::Reintroduce(link),
            Timer::Compare(link),
            Timer::Receipt(link),
            Timer::Pull(link),
        ] {
            self.cancel(timer);
        }
    }

    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Takes out the earliest timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next? > now {
            return None;
        }
        let (_, timer) = self.due.pop_first()?;
        self.look();
        self.at.remove(&timer);
        self.counts[timer.kind()] -= 1;
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Instant = Instant::from_micros(1_000_000);
    const LATER: Instant = Instant::from_micros(2_000_000);

    #[test]
    fn a_timer_set_again_fires_once_at_its_new_time() {
        let mut timers = Timers::default();
        timers.set(Timer::Redial, SECOND);
        timers.set(Timer::Redial, LATER);
        assert_eq!(timers.pop_due(SECOND), None);
        assert_eq!(timers.next(), Some(LATER));
        assert_eq!(timers.pop_due(LATER), Some(Timer::Redial));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn an_armed_timer_keeps_its_first_deadline() {
        let mut timers = Timers::default();
        timers.arm(Timer::Search, SECOND);
        timers.arm(Timer::Search, LATER);
        assert_eq!(timers.next(), Some(SECOND));
    }

    #[test]
    fn a_closed_link_leaves_no_timer_behind() {
        let link = LinkId(4);
        let mut timers = Timers::default();
        for timer in [
            Timer::Silence(link),
            Timer::Handshake(link),
            Timer::HalfFrame(link),
            Timer::Stall(link),
            Timer::Pace(link),
            Timer::Idle(link),
            Timer::Linger(link),
            Timer::Reintroduce(link),
            Timer::Compare(link),
            Timer::Receipt(link),
            Timer::Pull(link),
        ] {
            timers.set(timer, SECOND);
        }
        timers.set(Timer::Stall(LinkId(5)), LATER);
        timers.cancel_link(link);
        assert_eq!(timers.next(), Some(LATER));
    }
}
