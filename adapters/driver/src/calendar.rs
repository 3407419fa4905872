//! What day it is, for the messages of a node.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rs2p_core::{Instant, UnixTime};

/// How often the state is told. Legacy nodes drop messages that are 60 s old by the calendar.
const INTERVAL: Duration = Duration::from_secs(1);

/// The calendar, and when the state was last told what it says: it may be set, or the machine sleep, at any time.
#[derive(Debug)]
pub(crate) struct Calendar {
    read: fn() -> UnixTime,
    told: Instant,
}

impl Calendar {
    /// `read` says what the calendar says now.
    pub(crate) const fn new(read: fn() -> UnixTime) -> Self {
        let told = Instant::ZERO;
        Self { read, told }
    }

    /// Returns what to tell the state, if it is time to.
    pub(crate) fn due(&mut self, now: Instant) -> Option<UnixTime> {
        if now.saturating_duration_since(self.told) < INTERVAL {
            return None;
        }
        self.told = now;
        Some((self.read)())
    }
}

/// Returns what the system's calendar says.
pub(crate) fn system() -> UnixTime {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH);
    // A calendar before 1970 is wrong anyway.
    let micros = passed.map_or(0, |passed| {
        u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)
    });
    UnixTime::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{CALENDAR, START, link, node, node_since, pipe, settle};
    use rs2p_core::Config;

    #[test]
    fn a_calendar_that_is_set_shows_in_the_messages_from_then_on() {
        // The clock of the first stands at zero, that of the second somewhat later.
        let long_ago = std::time::Instant::now().checked_sub(INTERVAL * 3);
        let old = node_since(
            long_ago.expect("the machine is up longer"),
            Config::default(),
            2,
        );
        let new = node(Config::default(), 1);
        let mut tasks = Vec::from(link(&new, &old, pipe(1 << 20)));
        settle(&mut tasks);
        for node in [&new, &old] {
            node.enter(|inner, now| inner.state.broadcast("now", now).map(drop).unwrap());
        }
        settle(&mut tasks);
        let time = |node: &crate::shared::Shared| node.inbox.try_recv().unwrap().unwrap().time();
        let of_new = u64::try_from(time(&old)).unwrap();
        assert!((START..START + 60).contains(&of_new), "{of_new}");
        assert_eq!(u64::try_from(time(&new)).unwrap(), CALENDAR);
    }
}
