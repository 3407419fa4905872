//! When messages could flow between which lives.

use std::time::Duration;

use super::lives::{LifeIndex, Lives, NumberMap};
use super::paths::Stretch;
use crate::facts::ConnNumber;
use crate::time::Time;

/// A connection.
#[derive(Clone, Debug)]
struct Conn {
    ends: [LifeIndex; 2],
    /// Which end says that it leads to a peer.
    is_up: [bool; 2],
    /// Which end's bytes are held by a fault.
    is_held: [bool; 2],
    /// Since when messages can flow.
    since: Option<Time>,
}

/// The connections there are, and the times during which they were usable.
#[derive(Clone, Debug)]
pub(super) struct Links {
    conns: NumberMap<ConnNumber, Conn>,
    /// The numbers of all that are there, in the order in which they were made, for walking through them.
    order: std::collections::BTreeSet<ConnNumber>,
    stretches: Vec<Stretch>,
    /// What is shorter is of no use to anyone.
    hop: Duration,
    pub(super) opened: u64,
}

impl Links {
    pub(super) fn new(hop: Duration) -> Self {
        Self {
            conns: NumberMap::default(),
            order: std::collections::BTreeSet::new(),
            stretches: Vec::new(),
            hop,
            opened: 0,
        }
    }

    pub(super) fn open(&mut self, conn: ConnNumber, ends: [LifeIndex; 2]) {
        self.opened += 1;
        self.order.insert(conn);
        let fresh = Conn {
            ends,
            is_up: [false; 2],
            is_held: [false; 2],
            since: None,
        };
        self.conns.insert(conn, fresh);
    }

    /// Forgets a connection, and returns whose it was.
    pub(super) fn close(&mut self, at: Time, conn: ConnNumber) -> Option<[LifeIndex; 2]> {
        let gone = self.conns.remove(&conn)?;
        self.order.remove(&conn);
        self.keep(at, &gone);
        Some(gone.ends)
    }

    pub(super) fn hold(&mut self, at: Time, conn: ConnNumber, is_held: [bool; 2], lives: &Lives) {
        if let Some(state) = self.conns.get_mut(&conn) {
            state.is_held = is_held;
        }
        self.update(at, conn, lives);
    }

    pub(super) fn set_up(
        &mut self,
        at: Time,
        conn: ConnNumber,
        (life, is_up): (LifeIndex, bool),
        lives: &Lives,
    ) {
        if let Some(state) = self.conns.get_mut(&conn) {
            for (end, up) in state.ends.iter().zip(&mut state.is_up) {
                if *end == life {
                    *up = is_up;
                }
            }
        }
        self.update(at, conn, lives);
    }

    /// Looks again at whether a connection is usable.
    pub(super) fn update(&mut self, at: Time, conn: ConnNumber, lives: &Lives) {
        let Some(state) = self.conns.get_mut(&conn) else {
            return;
        };
        let are_awake = state.ends.iter().all(|end| lives.life(*end).is_awake());
        // Held one way is held: what is missing has to be asked for.
        let is_usable = are_awake && state.is_up == [true; 2] && state.is_held == [false; 2];
        match (is_usable, state.since) {
            (true, None) => state.since = Some(at),
            (false, Some(_)) => {
                let ended = state.clone();
                state.since = None;
                self.keep(at, &ended);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    fn keep(&mut self, at: Time, conn: &Conn) {
        self.stretches.extend(stretches(at, conn, self.hop));
    }

    /// Returns all times during which something could flow, up to a moment.
    pub(super) fn stretches(&self, at: Time) -> Vec<Stretch> {
        let open = self.order.iter().filter_map(|conn| self.conns.get(conn));
        let open = open.flat_map(|conn| stretches(at, conn, self.hop));
        self.stretches.iter().copied().chain(open).collect()
    }
}

/// Returns the time during which a connection was usable, for both directions, if it was long enough.
fn stretches(until: Time, conn: &Conn, hop: Duration) -> impl Iterator<Item = Stretch> + use<> {
    let [a, b] = conn.ends;
    let since = conn.since.filter(|since| until.since(*since) >= hop);
    since.into_iter().flat_map(move |since| {
        [(a, b), (b, a)].map(|(from, to)| Stretch {
            from,
            to,
            since,
            until,
        })
    })
}
