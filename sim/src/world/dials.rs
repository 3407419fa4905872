//! Dials: how long they take, and what becomes of them.

use std::time::Duration;

use super::streams::latency;
use super::{Event, World};
use crate::chance::{mix, name};
use crate::facts::{Fact, Life};
use crate::node::{DialError, Node, Place};
use crate::report::Checker;
use crate::scenario::DialManner;
use crate::trace::What;

/// How long a dial takes to which nothing comes back.
const DIAL_TIMEOUT: Duration = Duration::from_secs(20);

/// A dial under way.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    from: Life,
    /// The dialler's own name for it.
    tag: u64,
    to: Place,
    /// Its name, for draws.
    name: u64,
    /// The connection that came of it.
    conn: Option<(u32, u32)>,
    is_cancelled: bool,
    /// Whether the connection is to break as soon as it is there.
    is_dropped: bool,
}

impl<N: Node> World<N> {
    pub(super) fn dial(&mut self, life: Life, tag: u64, to: Place) {
        self.record_of(life, None, |_| What::Dialed { dial: tag, to });
        let slot = &mut self.slots[life.node as usize];
        if slot.place == to {
            let sentence = format!("node {} dialled itself", life.node);
            self.breach(life, Checker::Discipline, "self dial", sentence);
        }
        let slot = &mut self.slots[life.node as usize];
        let times = match slot.dialed.iter_mut().find(|(place, _)| *place == to) {
            Some((_, times)) => {
                *times += 1;
                *times
            }
            None => {
                slot.dialed.push((to, 1));
                1
            }
        };
        let entity = mix(name(life.node, to.0)) ^ u64::from(times);
        let dial = Dial {
            from: life,
            tag,
            to,
            name: entity,
            conn: None,
            is_cancelled: false,
            is_dropped: false,
        };
        let place = self.free_dials.pop().unwrap_or_else(|| {
            self.dials.push(None);
            u32::try_from(self.dials.len() - 1).expect("fewer than 2^32 dials at once")
        });
        self.dials[place as usize] = Some(dial);
        let target = self.resident(to).unwrap_or(life.node);
        let net = &self.scenario.net;
        let after = latency(net, self.chance, life.node, target, entity, 0);
        self.plan(
            self.now.after(after),
            life.node,
            Event::DialArrives { dial: place },
        );
    }

    pub(super) fn cancel_dial(&mut self, life: Life, tag: u64) {
        let mut dials = self.dials.iter_mut().flatten();
        if let Some(dial) = dials.find(|dial| dial.from == life && dial.tag == tag) {
            dial.is_cancelled = true;
        }
    }

    /// Returns the node that lives at a place.
    pub(super) fn resident(&self, place: Place) -> Option<u32> {
        *self.places.get(place.0 as usize)?
    }

    pub(super) fn dial_arrives(&mut self, place: u32) {
        let Some(dial) = self.dials[place as usize].clone() else {
            return;
        };
        let Some(target) = self.resident(dial.to) else {
            return self.plan_dial_failure(place, dial.from.node, DialManner::Refused);
        };
        let from = dial.from.node;
        if let Some((fault, manner)) = self.weather.dial(from, target) {
            self.weather.note_effect(fault, 1);
            if manner != DialManner::Dropped {
                return self.plan_dial_failure(place, target, manner);
            }
            if let Some(dial) = &mut self.dials[place as usize] {
                dial.is_dropped = true;
            }
        }
        let slot = &mut self.slots[target as usize];
        if slot.node.is_none() {
            let manner = if slot.is_dark {
                DialManner::Silent
            } else {
                DialManner::Refused
            };
            return self.plan_dial_failure(place, target, manner);
        }
        if slot.paused > 0 {
            return slot.missed.push_back(Event::DialArrives { dial: place });
        }
        let theirs = self.life_of(target);
        let window = usize::try_from(self.scenario.net.window.max(1)).unwrap_or(usize::MAX);
        let conn = self.conns.add([dial.from, theirs], dial.name, window);
        let net = &self.scenario.net;
        let back = latency(net, self.chance, target, from, dial.name, 1);
        let at = self.now.after(back);
        let Some(made) = self.conns.get_mut(conn) else {
            return;
        };
        made.ends[1].is_open = true;
        // What the accepting side says does not arrive before the dial has succeeded.
        made.pipes[1].last_at = at;
        made.ends[0].is_open = true;
        let generation = made.generation;
        if let Some(dial) = &mut self.dials[place as usize] {
            dial.conn = Some((conn, generation));
        }
        self.slots[target as usize].conns.push(conn);
        self.slots[from as usize].conns.push(conn);
        self.plan(at, target, Event::DialDone { dial: place });
        self.fold(name(target, from) ^ dial.name);
        let id = self.conns.id(conn, 1);
        self.record_of(theirs, None, |_| What::Connected {
            conn: id,
            peer: from,
            dialed: false,
        });
        let place = self.slots[from as usize].place;
        self.with_node(target, |node, io| {
            node.on_accepted(id, place, io);
            node.on_room(id, window, io);
        });
    }

    fn plan_dial_failure(&mut self, dial: u32, source: u32, manner: DialManner) {
        let Some(failed) = &self.dials[dial as usize] else {
            return;
        };
        let is_refusal = manner != DialManner::Silent;
        let after = if is_refusal {
            latency(
                &self.scenario.net,
                self.chance,
                source,
                failed.from.node,
                failed.name,
                1,
            )
        } else {
            DIAL_TIMEOUT
        };
        let event = Event::DialFailed { dial, is_refusal };
        self.plan(self.now.after(after), source, event);
    }

    fn take_dial(&mut self, place: u32) -> Option<Dial> {
        let dial = self.dials[place as usize].take()?;
        self.free_dials.push(place);
        Some(dial)
    }

    pub(super) fn dial_failed(&mut self, place: u32, is_refusal: bool) {
        let Some(dial) = &self.dials[place as usize] else {
            return;
        };
        let from = dial.from;
        if self.postpone(
            from,
            Event::DialFailed {
                dial: place,
                is_refusal,
            },
        ) {
            return;
        }
        let Some(dial) = self.take_dial(place) else {
            return;
        };
        if !self.is_up(from) || dial.is_cancelled {
            return;
        }
        let why = if is_refusal {
            DialError::Refused
        } else {
            DialError::TimedOut
        };
        self.fold(u64::from(from.node) << 8 | 2);
        self.record_of(from, None, |_| What::DialFailed {
            dial: dial.tag,
            to: dial.to,
            why: format!("{why:?}"),
        });
        self.with_node(from.node, |node, io| node.on_dial_failed(dial.tag, why, io));
    }

    pub(super) fn dial_done(&mut self, place: u32) {
        let Some(dial) = &self.dials[place as usize] else {
            return;
        };
        let from = dial.from;
        if self.postpone(from, Event::DialDone { dial: place }) {
            return;
        }
        let Some(dial) = self.take_dial(place) else {
            return;
        };
        let is_wanted = self.is_up(from) && !dial.is_cancelled;
        let made = dial.conn.filter(|(conn, generation)| {
            let made = self.conns.current(*conn, *generation);
            made.is_some_and(|made| made.ends[0].is_open)
        });
        let Some((conn, _)) = made.filter(|_| is_wanted) else {
            match made {
                // A machine without power refuses nothing: who accepted learns nothing of it.
                Some((conn, _)) if self.slots[from.node as usize].is_dark => self.vanish(conn, 0),
                Some((conn, _)) => self.abandon(conn, 0),
                None => {}
            }
            if is_wanted {
                self.tell_of_broken_dial(&dial);
            }
            return;
        };
        if dial.is_dropped {
            self.abandon(conn, 0);
            return self.tell_of_broken_dial(&dial);
        }
        let Some(made) = self.conns.get(conn) else {
            return;
        };
        let (window, peer) = (made.pipes[0].room, made.ends[1].life.node);
        let (number, ends) = (made.number, [made.ends[0].life, made.ends[1].life]);
        self.tell(Fact::Connected { conn: number, ends });
        let id = self.conns.id(conn, 0);
        self.record_of(from, None, |_| What::Connected {
            conn: id,
            peer,
            dialed: true,
        });
        self.with_node(from.node, |node, io| {
            node.on_dialed(dial.tag, id, io);
            node.on_room(id, window, io);
        });
    }

    /// Tells who dialled that there is no connection: it broke before it was of use.
    fn tell_of_broken_dial(&mut self, dial: &Dial) {
        let from = dial.from;
        self.record_of(from, None, |_| What::DialFailed {
            dial: dial.tag,
            to: dial.to,
            why: "broken at once".to_owned(),
        });
        self.with_node(from.node, |node, io| {
            node.on_dial_failed(dial.tag, DialError::Refused, io);
        });
    }
}
