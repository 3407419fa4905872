//! Dials: those the application asks for, and those the node makes of its own accord.

use std::time::Duration;

use super::greeting::lost_standing;
use super::{MeshState, Phase};
use crate::address::Address;
use crate::book::{Standing, Wanted};
use crate::error::{CloseReason, ConnectError};
use crate::id::NodeId;
use crate::link::{Link, Stage};
use crate::output::{DialId, Event, LinkId, Output, Side};
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::native::Goodbye;

/// How many seeds more than [`max_dialed`](crate::Config::max_dialed) are dialled at a time while there is no link.
const MAX_SEEDS: usize = 16;

/// An attempt to reach an address, until there is an established link or none is to be had.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    pub(super) address: Address,
    purpose: Purpose,
    pub(super) started: Instant,
    /// The link that it gave.
    pub(super) link: Option<LinkId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    /// The application asked for it, and is told the outcome.
    Asked,
    /// The node wants more links.
    Own,
    /// A message waits for a link to this node.
    Reply(NodeId),
    /// Is there another island? Of no interest to anybody if not.
    Probe,
}

impl MeshState {
    /// Dials an address. What comes of it is told by [`Event::Connected`] or
    /// [`Event::ConnectFailed`] with the id that this returns; that of the dial under way, if there
    /// is one to the same address.
    ///
    /// # Errors
    ///
    /// The address cannot be dialled, is our own, or there is a link to the node there; or a limit is
    /// reached, or the node is shut down. Nothing has changed.
    pub fn connect(&mut self, address: Address, now: Instant) -> Result<DialId, ConnectError> {
        if self.phase != Phase::Running {
            return Err(ConnectError::ShutDown);
        }
        if address.port() == 0 {
            return Err(ConnectError::BadAddress(address));
        }
        if self.book.is_own(&address) {
            return Err(ConnectError::Ourselves);
        }
        if let Some(peer) = self.peer_at(&address) {
            return Err(ConnectError::Duplicate(peer.clone()));
        }
        let under_way = self
            .dials
            .iter_mut()
            .find(|(_, dial)| dial.address == address);
        if let Some((id, dial)) = under_way {
            dial.purpose = Purpose::Asked;
            return Ok(*id);
        }
        if !self.has_place() {
            let limit = self.config.max_links;
            return Err(ConnectError::TooManyLinks { limit });
        }
        Ok(self.dial(address, Purpose::Asked, now))
    }

    /// Adds an address to dial whenever this node has fewer dialled links than
    /// [`Config::max_dialed`](crate::Config::max_dialed), for as long as it lives, as if it had been in [`Config::seeds`](crate::Config::seeds).
    ///
    /// # Errors
    ///
    /// The address cannot be dialled or is our own. Nothing has changed.
    pub fn add_seed(&mut self, address: Address, now: Instant) -> Result<(), ConnectError> {
        if address.port() == 0 {
            return Err(ConnectError::BadAddress(address));
        }
        if self.book.is_own(&address) {
            return Err(ConnectError::Ourselves);
        }
        self.book.add_seed(&address, now);
        self.should_dial = true;
        self.settle(now);
        Ok(())
    }

    /// Dials the node that a response names, for the messages that wait for it.
    pub(super) fn dial_for_reply(&mut self, node: &NodeId, address: &Address, now: Instant) {
        let is_full = !self.has_place();
        if is_full || address.port() == 0 || self.book.is_own(address) {
            let error = if is_full {
                ConnectError::TooManyLinks {
                    limit: self.config.max_links,
                }
            } else {
                ConnectError::BadAddress(address.clone())
            };
            return self.give_up(node, &error);
        }
        let under_way = self
            .dials
            .values_mut()
            .find(|dial| dial.address == *address);
        match under_way {
            Some(dial) if dial.purpose == Purpose::Probe => {
                dial.purpose = Purpose::Reply(node.clone());
            }
            Some(_) => {}
            None => {
                self.dial(address.clone(), Purpose::Reply(node.clone()), now);
            }
        }
    }

    /// Sets the timer for the next probe.
    pub(super) fn plan_probe(&mut self, now: Instant) {
        if sabotaged!(self.config, Sabotage::ProbesDisabled) {
            return;
        }
        let divisor = sabotaged!(self.config, Sabotage::ProbesWithoutPause => 100, else 1);
        let least = self.config.probe_interval / divisor * 3 / 4;
        let micros = u64::try_from(least.as_micros()).unwrap_or(u64::MAX);
        let more = Duration::from_micros(self.chance.below(micros));
        self.timers
            .set(Timer::Probe, now.saturating_add(least).saturating_add(more));
    }

    /// Dials an address to see whether it leads to another island.
    pub(super) fn probe(&mut self, now: Instant) {
        if !sabotaged!(self.config, Sabotage::ProbeTimerNotRearmed) {
            self.plan_probe(now);
        }
        self.book.expire(self.config.address_age, now);
        if !self.has_place_to_probe(now) {
            return;
        }
        let is_linked = |id: &NodeId| self.peers.contains_key(id);
        let Some(address) = self.book.to_probe(is_linked, &mut self.chance) else {
            return;
        };
        if self.is_dialing(&address) || self.peer_at(&address).is_some() {
            self.book.set_busy(&address, now);
        } else {
            reached!(self, Mark::ProbeDialed);
            self.dial(address, Purpose::Probe, now);
        }
    }

    /// Returns whether a link was only a probe, and leads to where its peer is reached anyhow.
    pub(super) fn is_redundant(&self, id: LinkId) -> bool {
        let Some(link) = self.links.get(&id) else {
            return false;
        };
        let dial = link.dial.and_then(|dial| self.dials.get(&dial));
        let island = link.island.as_ref();
        dial.is_some_and(|dial| dial.purpose == Purpose::Probe)
            && island.is_some_and(|island| self.island.beacon().agrees(island))
    }

    /// Returns whether this dial is a probe.
    pub(super) fn is_probe(&self, dial: DialId) -> bool {
        let dial = self.dials.get(&dial);
        dial.is_some_and(|dial| dial.purpose == Purpose::Probe)
    }

    /// Dials as many addresses as there are places for, and sets the timer for the next.
    pub(super) fn dial_what_is_due(&mut self, now: Instant) {
        self.timers.cancel(Timer::Redial);
        if self.phase != Phase::Running {
            return;
        }
        while self.has_place() {
            let wanted = self.wanted();
            let is_linked = |id: &NodeId| self.peers.contains_key(id);
            let Some(address) = self.book.due(wanted, is_linked, now) else {
                if let Some(next) = self.book.next(wanted, is_linked)
                    && !sabotaged!(self.config, Sabotage::RedialTimerForgotten)
                {
                    self.timers.set(Timer::Redial, next);
                }
                return;
            };
            if self.is_dialing(&address) || self.peer_at(&address).is_some() {
                self.book.set_busy(&address, now);
            } else {
                self.dial(address, Purpose::Own, now);
            }
        }
    }

    /// Returns which addresses there is a place for.
    fn wanted(&self) -> Wanted {
        let dialed = self.dialed_count();
        if dialed < self.config.max_dialed {
            Wanted::All
        } else if self.peers.is_empty()
            && self.config.max_dialed > 0
            && dialed < self.config.max_dialed + MAX_SEEDS
            && !sabotaged!(self.config, Sabotage::SeedsInTurn)
        {
            Wanted::Seeds
        } else {
            Wanted::Strays
        }
    }

    /// Stops dials that were made while there was no link, and are too many now that there is one.
    pub(super) fn drop_surplus_dials(&mut self) {
        let in_the_air = self.dials.iter();
        let in_the_air = in_the_air.filter(|(_, dial)| dial.link.is_none());
        let own = in_the_air.filter(|(_, dial)| dial.purpose == Purpose::Own);
        let surplus = self.dialed_count().saturating_sub(self.config.max_dialed);
        let ids: Vec<DialId> = own.map(|(id, _)| *id).rev().take(surplus).collect();
        for id in ids {
            reached!(self, Mark::DialCancelled);
            self.outputs.push(Output::CancelDial(id));
            if let Some(dial) = self.end_dial(id) {
                self.book.probed(&dial.address);
            }
        }
    }

    fn dial(&mut self, address: Address, purpose: Purpose, now: Instant) -> DialId {
        let id = DialId(self.number());
        tracing::debug!(dial = id.as_u64(), %address, ?purpose, "dialling");
        self.book.set_busy(&address, now);
        self.outputs.push(Output::Dial(id, address.clone()));
        self.dials.insert(
            id,
            Dial {
                address,
                purpose,
                started: now,
                link: None,
            },
        );
        let deadline = now.saturating_add(self.config.dial_timeout);
        if !sabotaged!(self.config, Sabotage::DialTimeoutMissing) {
            self.timers.set(Timer::Dial(id), deadline);
        }
        id
    }

    /// A dial gave no peer.
    pub(super) fn dial_failed(&mut self, id: DialId, error: ConnectError, now: Instant) {
        let Some(dial) = self.end_dial(id) else {
            return;
        };
        tracing::debug!(dial = id.as_u64(), address = %dial.address, %error, "dial failed");
        if error == ConnectError::Ourselves
            || sabotaged!(self.config, Sabotage::FailedAddressForgotten)
        {
            self.book.set_own(&dial.address);
        }
        if dial.purpose == Purpose::Probe {
            self.book.probed(&dial.address);
            return self.revive_held(now);
        }
        if error == ConnectError::Closed(CloseReason::TurnedAway) && !self.peers.is_empty() {
            self.book.turned_away(&dial.address);
        }
        let retry_in = self.book.failed(&dial.address, &mut self.chance, now);
        self.should_dial = true;
        match dial.purpose {
            Purpose::Asked => self.event(Event::ConnectFailed {
                dial: id,
                address: dial.address,
                error,
            }),
            Purpose::Own => self.event(Event::DialFailed {
                address: dial.address,
                error,
                retry_in: retry_in.unwrap_or(self.config.redial_max),
            }),
            Purpose::Reply(node) => self.give_up(&node, &error),
            Purpose::Probe => {}
        }
        self.revive_held(now);
    }

    /// A dial led to a peer, by whichever link.
    pub(super) fn dial_reached(&mut self, id: DialId, peer: &NodeId) {
        let Some(dial) = self.end_dial(id) else {
            return;
        };
        self.book.belongs_to(&dial.address, peer);
        match dial.purpose {
            Purpose::Asked => {
                let peer = peer.clone();
                self.event(Event::Connected { dial: id, peer });
            }
            // Somebody else lives there now.
            Purpose::Reply(node) if node != *peer => {
                self.give_up(&node, &ConnectError::Duplicate(peer.clone()))
            }
            Purpose::Own | Purpose::Reply(_) | Purpose::Probe => {}
        }
    }

    /// A dial led to a peer that was linked already.
    pub(super) fn dial_useless(&mut self, id: DialId, error: ConnectError, peer: &NodeId) {
        let Some(dial) = self.end_dial(id) else {
            return;
        };
        self.book.belongs_to(&dial.address, peer);
        match dial.purpose {
            Purpose::Asked => self.event(Event::ConnectFailed {
                dial: id,
                address: dial.address,
                error,
            }),
            Purpose::Reply(node) => self.give_up(&node, &error),
            Purpose::Own | Purpose::Probe => {}
        }
    }

    /// Ends the dials to an address whose node is linked now.
    pub(super) fn end_dials_to(&mut self, address: &Address, peer: &NodeId) {
        let in_the_air = self.dials.iter();
        let in_the_air = in_the_air.filter(|(_, d)| d.link.is_none() && d.address == *address);
        let ids: Vec<DialId> = in_the_air.map(|(id, _)| *id).collect();
        for id in ids {
            reached!(self, Mark::DialCancelled);
            self.outputs.push(Output::CancelDial(id));
            self.dial_reached(id, peer);
        }
    }

    /// Notes what the end of a link means for its address.
    pub(super) fn retry_after(&mut self, gone: &Link, reason: &CloseReason, now: Instant) {
        if let Some(dial) = gone.dial {
            let error = match reason {
                CloseReason::WrongNetwork { theirs } => ConnectError::WrongNetwork {
                    theirs: theirs.clone(),
                },
                CloseReason::Ourselves => ConnectError::Ourselves,
                CloseReason::Duplicate(id) => ConnectError::Duplicate(id.clone()),
                CloseReason::ShutDown => ConnectError::ShutDown,
                CloseReason::Fault(_)
                | CloseReason::HandshakeTimeout
                | CloseReason::HalfFrameTimeout
                | CloseReason::Stalled
                | CloseReason::Silent
                | CloseReason::Overflow { .. }
                | CloseReason::Requested
                | CloseReason::PeerClosed
                | CloseReason::PeerLeft
                | CloseReason::TurnedAway
                | CloseReason::NoPlace
                | CloseReason::Redundant => ConnectError::Closed(reason.clone()),
            };
            return self.dial_failed(dial, error, now);
        }
        let Some(established_at) = gone.established_at else {
            return;
        };
        if sabotaged!(self.config, Sabotage::LostNeverRedialed) {
            return;
        }
        let began =
            sabotaged!(self.config, Sabotage::BackoffNeverResets => now, else established_at);
        let lived = now.saturating_duration_since(began);
        if let Some(Goodbye::Full(others)) = &gone.goodbye {
            // For the sake of one of these: it comes before all others.
            self.note_named(others, Standing::Lost, now);
        }
        let advertised = gone.card.as_ref().and_then(|card| card.address.as_ref());
        let best = gone.dial_address();
        for address in best.into_iter().chain(advertised) {
            let is_unwanted = (*reason == CloseReason::Requested
                || gone.goodbye == Some(Goodbye::Unwanted))
                && !sabotaged!(self.config, Sabotage::UnwantedRedialed);
            if is_unwanted || Some(address) != best {
                // The one that is known to work will do; and what an application ends stays
                // ended.
                self.book.forget(address);
            } else {
                let standing = lost_standing(gone.kind);
                self.book.add(address, gone.peer_id(), standing, now);
                self.book.lost(address, lived, &mut self.chance, now);
            }
        }
    }

    pub(super) fn is_dialing(&self, address: &Address) -> bool {
        self.dials.values().any(|dial| dial.address == *address)
    }

    /// Returns how many dials have no link yet.
    pub(super) fn dials_in_the_air(&self) -> usize {
        self.dials
            .values()
            .filter(|dial| dial.link.is_none())
            .count()
    }

    /// Stops all dials that have no link yet.
    pub(super) fn cancel_dials(&mut self) {
        let in_the_air: Vec<DialId> = self
            .dials
            .iter()
            .filter(|(_, dial)| dial.link.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in in_the_air {
            self.outputs.push(Output::CancelDial(id));
            let Some(dial) = self.end_dial(id) else {
                continue;
            };
            if dial.purpose == Purpose::Asked {
                self.event(Event::ConnectFailed {
                    dial: id,
                    address: dial.address,
                    error: ConnectError::ShutDown,
                });
            }
        }
    }

    /// Returns how many links this node has dialled, or is dialling.
    fn dialed_count(&self) -> usize {
        let links = self.links.values().filter(|link| {
            link.side == Side::Dialed && !matches!(link.stage, Stage::Closing | Stage::Held)
        });
        links.count() + self.dials_in_the_air()
    }

    /// Returns the peer that is reached at an address.
    fn peer_at(&self, address: &Address) -> Option<&NodeId> {
        let is_there = |link: &&Link| {
            let card = link.card.as_ref();
            (link.side == Side::Dialed && link.remote == *address)
                || card.and_then(|card| card.address.as_ref()) == Some(address)
        };
        let mut links = self.links.values().filter(|link| link.is_established());
        links.find(is_there).and_then(Link::peer_id)
    }

    fn end_dial(&mut self, id: DialId) -> Option<Dial> {
        let dial = self.dials.remove(&id)?;
        if self.dials.is_empty() {
            // An empty tree keeps a block of memory, and there is seldom anything in this one.
            self.dials = std::collections::BTreeMap::new();
        }
        self.timers.cancel(Timer::Dial(id));
        Some(dial)
    }

    /// Tells that the messages which wait for a node cannot reach it.
    fn give_up(&mut self, node: &NodeId, error: &ConnectError) {
        self.dial_led_nowhere(node, error);
        self.watch_posts();
    }
}
