//! Room: what becomes of those for whom a node has no place.
//!
//! A node with all the links that it may have hears out whoever dials it before it turns them away: of a stranger that has not
//! said yet which network it is of, nobody could say what to tell it, and a scan of ports would be told addresses. Whoever
//! dials says at once who it is, so that takes one way of the link; those that are heard out are bounded by
//! [`Config::max_pending`](crate::Config::max_pending).
//!
//! - A native node of the same island is turned away, and told of some of the neighbours. It goes on to those, and by them
//!   to theirs, and so comes by everyone: if there is a place, it finds it.
//! - One of another island may not find any, for there may be none. It gets the place of the neighbour that came last, and that
//!   neighbour is told of it: a way of one link becomes one of two, and nobody has more links than before. A node that has no
//!   link to any native node is an island of its own, so nobody is left out.
//! - A legacy node is greeted and told of others that it can live with, as if it were to stay. It cannot say whether it
//!   has another way in, and the links of others are not given up for it.
//!
//! An island is a claim, like all that a hello says, so what it gets is little: a node gives up one link in the time in which it would
//! become known that an island fell apart; none that it dialled itself; and that of the neighbour that came last, which is the
//! liar's own, the next time.

use std::time::Duration;

use super::MeshState;
use crate::book::Standing;
use crate::error::CloseReason;
use crate::id::NodeId;
use crate::link::{Card, Link, Stage};
use crate::output::{LinkId, PeerKind, Side};
use crate::time::Instant;
use crate::wire::fields::PeerEntry;
use crate::wire::native::Goodbye;

impl MeshState {
    /// Returns how many places are taken: by links whose peer is known, by those that this node dialled, and by dials.
    fn places_taken(&self) -> usize {
        let takes_one = |link: &&Link| match link.stage {
            Stage::Greeting => link.side == Side::Dialed,
            Stage::Held | Stage::Offered | Stage::Awaiting | Stage::Established => true,
            Stage::Closing => false,
        };
        self.links.values().filter(takes_one).count() + self.dials_in_the_air()
    }

    /// Returns whether there is a place for another link.
    pub(super) fn has_place(&self) -> bool {
        self.places_taken() < self.config.max_links
    }

    /// Returns whether there may be another probe: for a place that is free, or that could be made.
    pub(super) fn has_place_to_probe(&self, now: Instant) -> bool {
        let taken = self.places_taken();
        taken < self.config.max_links
            || (taken == self.config.max_links && self.may_make_room(Side::Dialed, now))
    }

    /// Returns whether a link whose peer has just told who it is can stay, as far as places go. What is promised to it here is
    /// kept by [`make_room`](Self::make_room).
    pub(super) fn finds_place(&mut self, id: LinkId, peer: &NodeId, now: Instant) -> bool {
        let Some(link) = self.links.get(&id) else {
            return false;
        };
        if self.peers.contains_key(peer) {
            // There are rules for second links, and an answer to one could cost a py2p the first.
            return true;
        }
        let island = link.island.as_ref();
        let is_stranger = island.is_some_and(|theirs| !self.island.beacon().agrees(theirs));
        match (link.side, link.kind) {
            // It has had a place since it was dialled; only probes may have been one too many.
            (Side::Dialed, PeerKind::Native) => return true,
            (Side::Dialed, _) => return self.places_taken() <= self.config.max_links,
            (Side::Accepted, _) => {}
        }
        if self.has_place() || sabotaged!(self.config, Sabotage::LinkLimitIgnored) {
            return true;
        }
        let makes_room = is_stranger
            && self.may_make_room(Side::Accepted, now)
            && !sabotaged!(self.config, Sabotage::NoRoomMade);
        if makes_room {
            self.made_room = Some(now);
        }
        makes_room
    }

    /// Ends a link for which there is no place, and tells whoever is there of others.
    pub(super) fn turn_away(&mut self, id: LinkId, card: &Card, now: Instant) {
        reached!(self, Mark::TooManyLinks);
        let Some(link) = self.links.get(&id) else {
            return;
        };
        match (link.side, link.kind) {
            (Side::Dialed, _) => {}
            (Side::Accepted, PeerKind::Native) => {
                if let Some(address) = &card.address {
                    self.book.add(address, Some(&card.id), Standing::Told, now);
                }
                let others = self.neighbours_to_name(&card.id);
                self.send_greeting(id, &Goodbye::Full(others).encode(), now);
            }
            (Side::Accepted, _) => {
                self.introduce(id, now);
                self.tell_peers(id, now);
            }
        }
        self.close(id, CloseReason::NoPlace, now);
    }

    /// Gives up a link if there is one too many, now that one was established.
    pub(super) fn make_room(&mut self, newcomer: LinkId, now: Instant) {
        if self.peers.len() <= self.config.max_links
            || sabotaged!(self.config, Sabotage::LinkLimitIgnored)
        {
            return;
        }
        self.made_room = Some(now);
        let side = self.links.get(&newcomer).map(|link| link.side);
        let last = side.and_then(|side| self.to_give_up(side, newcomer));
        let Some(last) = last else {
            return self.close(newcomer, CloseReason::NoPlace, now);
        };
        reached!(self, Mark::RoomMade);
        tracing::debug!(%newcomer, %last, "a link is given up for another island");
        let newcomer = self.links.get(&newcomer).and_then(entry_of);
        let goodbye = Goodbye::Full(newcomer.into_iter().collect());
        self.send_control(last, &goodbye.encode(), now);
        self.close(last, CloseReason::NoPlace, now);
    }

    /// Notes the nodes that one was told of who was turned away, or whose link was given up.
    pub(super) fn note_named(&mut self, named: &[PeerEntry], standing: Standing, now: Instant) {
        for entry in named {
            if entry.id != self.id && !self.peers.contains_key(&entry.id) {
                reached!(self, Mark::NamedOnTurningAway);
                self.book
                    .add(&entry.address, Some(&entry.id), standing, now);
            }
        }
    }

    /// Returns whether a link could be given up for one on this side.
    fn may_make_room(&self, side: Side, now: Instant) -> bool {
        let is_recent = self
            .made_room
            .is_some_and(|made| now.saturating_duration_since(made) < self.time_between_rooms());
        // Whoever gives up its only link may have no other way to those behind it.
        !is_recent && self.peers.len() > 1 && self.to_give_up(side, LinkId(0)).is_some()
    }

    /// Returns how long it takes until all know it that an island has fallen apart.
    fn time_between_rooms(&self) -> Duration {
        self.config.beacon_interval.saturating_mul(2)
    }

    /// Returns the link to give up for a newcomer: the youngest native one, of those that others dialled. For a newcomer that this
    /// node dialled, and chose, any.
    fn to_give_up(&self, side: Side, newcomer: LinkId) -> Option<LinkId> {
        let links = self.links.values();
        let native = links.filter(|link| link.is_native_peer());
        native
            .filter(|link| link.id != newcomer)
            .filter(|link| link.side == Side::Accepted || side == Side::Dialed)
            .max_by_key(|link| (link.side == Side::Accepted, link.established_at, link.id))
            .map(|link| link.id)
    }

    /// Returns some native neighbours that can be dialled, drawn.
    fn neighbours_to_name(&mut self, to: &NodeId) -> Vec<PeerEntry> {
        if sabotaged!(self.config, Sabotage::NobodyNamed) {
            return Vec::new();
        }
        let links = self.links.values();
        let native = links.filter(|link| link.is_native_peer());
        let mut entries: Vec<_> = native
            .filter(|link| !link.leads_to(to))
            .filter_map(entry_of)
            .collect();
        while entries.len() > Goodbye::MAX_NAMED {
            let drawn = self.chance.below(entries.len() as u64);
            entries.swap_remove(usize::try_from(drawn).unwrap_or(0));
        }
        entries
    }
}

/// Returns how others are told of the peer of a link, if it can be dialled.
fn entry_of(link: &Link) -> Option<PeerEntry> {
    let card = link.card.as_ref()?;
    Some(PeerEntry {
        address: card.address.clone()?,
        id: card.id.clone(),
        id_form: card.id_form,
    })
}
