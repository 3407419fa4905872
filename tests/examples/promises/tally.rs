//! How long deliveries took, and how many there were.

use std::time::Duration;

/// Deliveries that should have been, and how long those took that were.
#[derive(Debug, Default)]
pub(crate) struct Times {
    owed: u64,
    took: Vec<Duration>,
}

impl Times {
    /// Notes a delivery that took so long, or that never was.
    pub(crate) fn add(&mut self, took: Option<Duration>) {
        self.owed += 1;
        self.took.extend(took);
    }

    pub(crate) fn add_all(&mut self, other: Self) {
        self.owed += other.owed;
        self.took.extend(other.took);
    }

    /// Returns whether there was something, and all of it came.
    pub(crate) fn is_whole(&self) -> bool {
        self.owed > 0 && self.took.len() as u64 == self.owed
    }

    /// Returns how many of a million came, rounded down.
    pub(crate) fn ppm(&self) -> u64 {
        self.took.len() as u64 * 1_000_000 / self.owed.max(1)
    }

    /// Returns the share that came, for a table.
    pub(crate) fn share(&self) -> String {
        percent(self.ppm())
    }

    /// Returns what so many of a hundred took at most.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default()
    }

    /// Returns the same for a table.
    pub(crate) fn shown(&self, percent: usize) -> String {
        format!("{:>6.2} s", self.percentile(percent).as_secs_f64())
    }
}

/// Returns parts of a million as percent, for a table.
fn percent(ppm: u64) -> String {
    format!("{:>3}.{:03} %", ppm / 10_000, ppm % 10_000 / 10)
}
