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
    /// When an address becomes worth dialling again.
    Redial,
    /// When an address is dialled to see whether there is another part of the network.
    Probe,
    /// When this node tells its island that it is there, or takes over doing so.
    Beacon,
    /// When the oldest search for a distant node is given up.
    Search,
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
}

/// At most one deadline for each timer. Cancelling is forgetting: no stale timer can fire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Instant, Timer)>,
    at: BTreeMap<Timer, Instant>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(old) = self.at.insert(timer, at) {
            if old == at {
                return;
            }
            self.due.remove(&(old, timer));
        }
        self.due.insert((at, timer));
    }

    /// Sets the timer unless it runs already.
    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        if !self.at.contains_key(&timer) {
            self.set(timer, at);
        }
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.due.remove(&(at, timer));
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
            Timer::Pull(link),
        ] {
            self.cancel(timer);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let &(at, timer) = self.due.first()?;
        if at > now {
            return None;
        }
        self.due.remove(&(at, timer));
        self.at.remove(&timer);
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
            Timer::Pull(link),
        ] {
            timers.set(timer, SECOND);
        }
        timers.set(Timer::Stall(LinkId(5)), LATER);
        timers.cancel_link(link);
        assert_eq!(timers.next(), Some(LATER));
    }
}
