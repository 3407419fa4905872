//! What the program around a package can do with it, and see of it; and how it is set up besides the usual.

use bytes::Bytes;

use super::{End, Key, Legacy};
use crate::models::wire::Value;
use crate::node::{Io, Place};

/// Places from here on have nobody who listens there.
const NOWHERE: u32 = 0x00ff_0000;

/// An entry of a legacy node's routing table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is what can be seen of the packages as well"
)]
pub struct LegacyRow {
    /// The id of the other node, as text: that of its handshake, or before that the one which others told.
    pub id: String,
    /// Whether this node dialled.
    pub is_dialed: bool,
    /// Whether the other node's handshake has come. Without it, the entry is of a dial under way. What is dead stays as it was.
    pub is_up: bool,
}

impl Legacy {
    /// Tells others an address at which nobody listens, so that it has no links but those that users make.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.advertised = Place(NOWHERE + self.place.0);
        self
    }

    /// Offers no compression, and uses none.
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.methods.clear();
        self
    }

    /// Listens at a port that no other node has: 4444 and the number of its place. All others of the world have to do the
    /// same, for a node takes it for granted of whom it dials. js2p dials nobody whose port it is linked to already.
    #[must_use]
    pub fn with_own_port(mut self) -> Self {
        self.has_own_port = true;
        self
    }

    /// Dials a place, without knowing who is there.
    pub fn connect(&mut self, place: Place, io: &mut Io<'_>) {
        self.dial(place, io);
        self.settle(io);
    }

    /// Whispers to all that it is linked to.
    pub fn whisper_to_all(&mut self, payload: &Bytes, io: &mut Io<'_>) {
        let fields = vec![Value::Int(0), Value::Bin(payload.to_vec())];
        for number in self.table_links() {
            self.whisper(number, 2, fields.clone(), io);
        }
        self.settle(io);
    }

    /// Closes the link to the node with this id, if there is one.
    pub fn disconnect(&mut self, id: &str, io: &mut Io<'_>) {
        let is_it = |key: &Key| key.bytes() == id.as_bytes();
        let entry = self.table.iter().find(|(key, _)| is_it(key)).cloned();
        if let Some((_, number)) = entry {
            self.end(number, End::Closed, "its user wants it so", io);
        }
        self.settle(io);
    }

    /// Returns its routing table, dead entries included, sorted.
    pub fn routing(&self) -> Vec<LegacyRow> {
        let rows = self.table.iter().map(|(key, number)| {
            let alive = self.links.get(number);
            let alive = alive.map(|link| [link.is_dialed, link.id.is_some()]);
            let dead = || self.dead.get(number).copied();
            let [is_dialed, is_up] = alive.or_else(dead).unwrap_or_default();
            let id = String::from_utf8_lossy(key.bytes()).into_owned();
            LegacyRow {
                id,
                is_dialed,
                is_up,
            }
        });
        let mut rows: Vec<LegacyRow> = rows.collect();
        rows.sort();
        rows
    }

    /// Returns how many links it has that are in no table, because their handshake has not come.
    pub fn awaiting(&self) -> usize {
        let links = self.links.values();
        links
            .filter(|link| link.id.is_none() && link.known.is_none())
            .count()
    }
}
