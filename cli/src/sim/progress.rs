//! One line on standard error that says how far it is, where a person watches.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The line is written so often at most.
const INTERVAL: Duration = Duration::from_millis(100);

/// How many characters wide the bar is.
const BAR: usize = 24;

/// How long the line may be, so that it does not break in a usual terminal.
const WIDTH: usize = 79;

/// The line. It is gone when this is dropped.
pub(super) struct Progress {
    /// When it was written last; `None` if nobody watches.
    shown: Option<Mutex<Option<Instant>>>,
}

impl Progress {
    /// Returns a line that is shown if it is wanted, and standard error is a terminal.
    pub(super) fn new(is_wanted: bool) -> Self {
        let is_shown = is_wanted && io::stderr().is_terminal();
        Self {
            shown: is_shown.then(Mutex::default),
        }
    }

    /// Shows another line, unless the last one is too new.
    pub(super) fn show(&self, line: impl FnOnce() -> String) {
        let Some(Ok(mut shown)) = self.shown.as_ref().map(Mutex::lock) else {
            return;
        };
        if shown.is_some_and(|shown| shown.elapsed() < INTERVAL) {
            return;
        }
        *shown = Some(Instant::now());
        let line: String = line().chars().take(WIDTH).collect();
        // Nobody is left to tell if this fails.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// How far many runs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Done {
    /// How many are over.
    pub(super) runs: u64,
    /// How many there are to be, if that is known.
    pub(super) of: Option<u64>,
    pub(super) failures: u64,
    pub(super) elapsed: Duration,
    /// After how long it ends, if that is known.
    pub(super) limit: Option<Duration>,
}

impl Done {
    /// Returns the line: a bar, how many of how many, how many in a second, how many failed, and how long it will take.
    pub(super) fn line(&self) -> String {
        let share = self.share();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the share is from 0 to 1"
        )]
        let full = (share * BAR as f64) as usize;
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(BAR - full));
        let of = self.of.map(|of| format!("/{of}")).unwrap_or_default();
        let seconds = self.elapsed.as_secs_f64().max(0.001);
        let rate = self.runs as f64 / seconds;
        let digits = usize::from(rate < 10.0);
        let left = (share > 0.0).then(|| seconds / share - seconds);
        let left = left.map(|left| format!(", {} left", duration(left)));
        format!(
            "[{bar}] {}{of} runs, {rate:.digits$}/s, {} failed{}",
            self.runs,
            self.failures,
            left.unwrap_or_default()
        )
    }

    /// Returns which share is done, by whichever limit comes first.
    fn share(&self) -> f64 {
        let by_runs = self.of.map(|of| self.runs as f64 / of.max(1) as f64);
        let by_time = self
            .limit
            .map(|limit| self.elapsed.as_secs_f64() / limit.as_secs_f64().max(0.001));
        let share = by_runs.into_iter().chain(by_time).fold(0.0, f64::max);
        share.clamp(0.0, 1.0)
    }
}

fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).floor();
    if minutes >= 1.0 {
        format!(
            "{minutes:.0} min {:.0} s",
            (seconds - minutes * 60.0).floor()
        )
    } else {
        format!("{seconds:.0} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let mut done = Done {
            runs: 25,
            of: Some(100),
            failures: 1,
            elapsed: Duration::from_secs(50),
            limit: None,
        };
        let expected = "[######..................] 25/100 runs, 0.5/s, 1 failed, 2 min 30 s left";
        assert_eq!(done.line(), expected);
        done.limit = Some(Duration::from_secs(60));
        assert!(done.line().ends_with("10 s left"), "{}", done.line());
        done.of = None;
        done.elapsed = Duration::from_secs(100);
        let expected = "[########################] 25 runs, 0.2/s, 1 failed, 0 s left";
        assert_eq!(done.line(), expected);
        done.limit = None;
        assert!(done.line().ends_with("1 failed"), "{}", done.line());
    }
}
