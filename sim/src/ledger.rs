//! An account of who got what when, for those who want to count for themselves.

use std::collections::BTreeMap;

use crate::facts::{Fact, Life};
use crate::node::MessageKey;
use crate::time::Time;

/// A message to all, and who got it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// When it was published.
    pub at: Time,
    /// By whom.
    pub by: Life,
    /// Who got it, and when for the first time. The publisher is not among them.
    pub got: BTreeMap<Life, Time>,
}

/// How long a life lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// When it began.
    pub from: Time,
    /// When it ended; `None` if it did not.
    pub to: Option<Time>,
}

/// All messages to all of a run, and all lives; kept if [`Options::has_ledger`](crate::Options::has_ledger) says so.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    by_key: BTreeMap<MessageKey, usize>,
    lives: BTreeMap<Life, Span>,
    /// The most that each node was seen to hold.
    memory: BTreeMap<u32, usize>,
    repeated: u64,
    pub(crate) storm: Time,
    pub(crate) healed: Time,
}

impl Ledger {
    /// Returns the messages to all, in the order in which they were published.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns all lives.
    pub const fn lives(&self) -> &BTreeMap<Life, Span> {
        &self.lives
    }

    /// Returns how often a message came to a life that had it already.
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Returns the most bytes that a node was seen to hold, by its own estimate; it is looked at every five seconds.
    pub fn most_memory(&self, node: u32) -> usize {
        self.memory.get(&node).copied().unwrap_or(0)
    }

    /// Returns when load and faults began.
    pub const fn storm(&self) -> Time {
        self.storm
    }

    /// Returns when the last of them was over.
    pub const fn healed(&self) -> Time {
        self.healed
    }

    pub(crate) fn note(&mut self, at: Time, fact: &Fact) {
        match fact {
            Fact::Born {
                life, is_hostile, ..
            } if !is_hostile => {
                let (from, to) = (at, None);
                self.lives.insert(*life, Span { from, to });
            }
            Fact::Died { life, .. } => {
                if let Some(span) = self.lives.get_mut(life) {
                    span.to = Some(at);
                }
            }
            Fact::Published(published) if published.to.is_none() => {
                self.by_key.insert(published.key, self.entries.len());
                self.entries.push(Entry {
                    at,
                    by: published.by,
                    got: BTreeMap::new(),
                });
            }
            Fact::Delivered { life, delivery, .. } => {
                let place = delivery.key.and_then(|key| self.by_key.get(&key));
                let entry = place.and_then(|place| self.entries.get_mut(*place));
                let Some(entry) = entry else {
                    return;
                };
                if entry.got.contains_key(life) {
                    self.repeated += 1;
                } else {
                    entry.got.insert(*life, at);
                }
            }
            Fact::Born { .. }
            | Fact::Published(_)
            | Fact::Paused { .. }
            | Fact::Refused { .. }
            | Fact::Gap { .. }
            | Fact::Outcome { .. }
            | Fact::Connected { .. }
            | Fact::Disconnected { .. }
            | Fact::Held { .. }
            | Fact::Peer { .. }
            | Fact::Breach { .. } => {}
        }
    }

    pub(crate) fn note_memory(&mut self, node: u32, bytes: usize) {
        let most = self.memory.entry(node).or_default();
        *most = bytes.max(*most);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Options, Rs2p, Sim, crash, publish, run, s};

    #[test]
    fn it_tells_who_was_there_and_who_got_what() {
        let sim = Sim::new(4)
            .fault(s(5), crash(3).lasts(s(10)))
            .load(s(7), publish(0).times(2));
        let options = Options::default().with_ledger();
        let outcome = run(&Rs2p::default(), &sim.scenario(1), options);
        let ledger = outcome.ledger.expect("it was asked for");
        assert_eq!(ledger.lives().len(), 5, "one of four began twice");
        let died = ledger.lives().iter().find(|(_, span)| span.to.is_some());
        let (dead, span) = died.expect("one crashed");
        assert_eq!(dead.node, 3);
        assert_eq!(span.to, Some(ledger.storm().after(s(5))));
        for entry in &ledger.entries()[..2] {
            assert!(entry.at >= ledger.storm() && entry.at <= ledger.healed());
            let got: Vec<u32> = entry.got.keys().map(|life| life.node).collect();
            assert_eq!(got[..2], [1, 2], "{got:?}");
            assert!(!entry.got.contains_key(dead));
            assert!(entry.got.values().all(|at| *at > entry.at));
        }
        assert_eq!(ledger.repeated(), 0);
        assert!(ledger.most_memory(1) > 0);
    }
}
