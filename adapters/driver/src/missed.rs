//! Which messages a program missed, because it did not read: by name, in bounded memory.

use std::collections::BTreeMap;

use rs2p_core::{Message, NodeId};

use crate::error::{Lagged, Missed};

/// How many ranges are kept for one queue. What is beyond is only counted.
pub(crate) const MAX_RANGES: usize = 1024;

/// Messages that are missing at one place of a queue.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Gap {
    missed: u64,
    /// By sender and epoch: first and last of each range, ascending.
    ranges: BTreeMap<(NodeId, u64), Vec<(u64, u64)>>,
    range_count: usize,
}

impl Gap {
    /// Notes a message. `left` is how many ranges there may be more.
    pub(crate) fn add(&mut self, message: &Message, left: usize) {
        self.missed += 1;
        let (Some(epoch), Some(sequence)) = (message.epoch(), message.sequence()) else {
            return;
        };
        let key = (message.sender().clone(), epoch);
        let last = self
            .ranges
            .get_mut(&key)
            .and_then(|ranges| ranges.last_mut());
        match last {
            // They come in order.
            Some((_, last)) if last.checked_add(1) == Some(sequence) => *last = sequence,
            _ if left > 0 => {
                self.ranges
                    .entry(key)
                    .or_default()
                    .push((sequence, sequence));
                self.range_count += 1;
            }
            _ => {}
        }
    }

    /// Adds another gap that follows. `left` is how many ranges there may be more.
    pub(crate) fn append(&mut self, lagged: &Lagged, mut left: usize) {
        self.missed += lagged.missed;
        for range in &lagged.ranges {
            if left == 0 {
                return;
            }
            left -= 1;
            let key = (range.origin.clone(), range.epoch);
            let ranges = self.ranges.entry(key).or_default();
            ranges.push((range.first, range.last));
            self.range_count += 1;
        }
    }

    /// Returns of how many ranges it is known which messages they are.
    pub(crate) const fn range_count(&self) -> usize {
        self.range_count
    }

    /// Returns what the program is told.
    pub(crate) fn told(self) -> Lagged {
        let ranges = self
            .ranges
            .into_iter()
            .flat_map(|((origin, epoch), ranges)| {
                ranges.into_iter().map(move |(first, last)| Missed {
                    origin: origin.clone(),
                    epoch,
                    first,
                    last,
                })
            });
        Lagged {
            missed: self.missed,
            ranges: ranges.collect(),
        }
    }
}
