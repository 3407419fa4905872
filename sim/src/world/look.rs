//! What those who judge look at, from time to time.

use super::World;
use crate::facts::{ConnNumber, Life};
use crate::node::{ConnId, Node};

/// A connection as it is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnView {
    pub(crate) conn: ConnNumber,
    pub(crate) ends: [(Life, ConnId); 2],
    /// How many bytes were written to it so far, in both directions, apart from those that were lost on the way.
    pub(crate) written: u64,
    /// Which ends have all the room there can be, with nothing of theirs under way.
    pub(crate) is_free: [bool; 2],
}

impl<N: Node> World<N> {
    /// Returns the connections that both ends have.
    pub(crate) fn conn_views(&self) -> Vec<ConnView> {
        let window = usize::try_from(self.scenario.net.window.max(1)).unwrap_or(usize::MAX);
        let places = self.conns.places();
        places
            .filter_map(|place| {
                let conn = self.conns.get(place)?;
                let is_whole = conn.ends.iter().all(|end| end.is_open);
                let end = |side: usize| (conn.ends[side].life, self.conns.id(place, side));
                let is_free = [0, 1].map(|side| {
                    let pipe: &super::conn::Pipe = &conn.pipes[side];
                    let is_open = !pipe.is_silent && !pipe.is_parked;
                    is_open && pipe.room >= window / 2 && pipe.flight.is_empty()
                });
                is_whole.then_some(ConnView {
                    conn: conn.number,
                    ends: [end(0), end(1)],
                    written: conn.pipes.iter().map(super::conn::Pipe::written).sum(),
                    is_free,
                })
            })
            .collect()
    }

    /// Returns what a node is, apart from those that mean harm.
    pub(crate) fn kind(&self, node: u32) -> crate::Kind {
        self.slots[node as usize].kind
    }

    pub(crate) fn is_paused(&self, node: u32) -> bool {
        self.slots[node as usize].paused > 0
    }

    /// Returns whether bytes are under way that will be so for seconds.
    pub(crate) fn is_anything_late(&self) -> bool {
        let soon = self.now.after(std::time::Duration::from_secs(5));
        self.conns.places().any(|place| {
            let pipes = self.conns.get(place).map(|conn| &conn.pipes);
            pipes.is_some_and(|pipes| pipes.iter().any(|pipe| pipe.last_at > soon))
        })
    }

    /// Returns whether no application waits to send something.
    pub(crate) fn is_all_handed_in(&self) -> bool {
        self.slots.iter().all(|slot| slot.waiting.is_empty())
    }

    /// Returns when the next thing happens.
    pub(crate) fn next_at(&mut self) -> Option<crate::Time> {
        self.queue.next_at()
    }

    /// Returns how many connections a node has, by the account of the world.
    pub(crate) fn conn_count(&self, node: u32) -> usize {
        self.slots[node as usize].conns.len()
    }
}
