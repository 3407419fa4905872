//! What happens to streams: bytes on their way, room for more, and the ends that a connection can come to.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::conn::{Chunk, Conn};
use super::storm;
use super::weather::pair;
use super::{Event, WORLD, World};
use crate::chance::{Chance, Purpose, hash_bytes, name};
use crate::facts::{Fact, Life};
use crate::node::{ConnId, Node};
use crate::report::Checker;
use crate::scenario::{Cutting, Jitter, Net};
use crate::time::Time;
use crate::trace::What;

/// The longest piece of a stream that is cut in segments.
const SEGMENT: usize = 1448;

/// So many pieces a chunk that drips is cut into at most, and how long after each other they arrive.
const DRIPS: usize = 64;
pub(super) const DRIP_INTERVAL: Duration = Duration::from_millis(20);

/// Returns how long a chunk takes from one node to another.
pub(super) fn latency(
    net: &Net,
    chance: Chance,
    from: u32,
    to: u32,
    entity: u64,
    n: u64,
) -> Duration {
    let base = u64::from(net.latency_us) * 1000;
    let spread = base * u64::from(net.spread_ppm) / 1_000_000;
    let base = base + chance.below(spread + 1, Purpose::Latency, pair(from, to), 0);
    let mean = Duration::from_micros(u64::from(net.jitter_us));
    let jitter = match net.jitter {
        Jitter::None => Duration::ZERO,
        Jitter::Uniform => {
            let most = u64::from(net.jitter_us) * 1000;
            Duration::from_nanos(chance.below(most + 1, Purpose::Jitter, entity, n))
        }
        Jitter::Exponential => chance.exponential(mean, Purpose::Jitter, entity, n),
        Jitter::Bimodal if chance.below(1000, Purpose::Jitter, entity, n) == 0 => mean * 100,
        Jitter::Bimodal => Duration::ZERO,
    };
    Duration::from_nanos(base.max(1)) + jitter
}

impl<N: Node> World<N> {
    /// Keeps what happens to a paused node for later. Returns whether it did.
    pub(super) fn postpone(&mut self, life: Life, event: Event) -> bool {
        let slot = &mut self.slots[life.node as usize];
        let is_late = slot.paused > 0 && slot.life == life.life && slot.node.is_some();
        if is_late {
            slot.missed.push_back(event);
        }
        is_late
    }

    pub(super) fn write(&mut self, life: Life, id: ConnId, bytes: Bytes) {
        let Some((place, side)) = self.open_end(life, id) else {
            let sentence = format!(
                "node {} wrote to a connection that it had closed",
                life.node
            );
            return self.breach(life, Checker::Discipline, "write after close", sentence);
        };
        if bytes.is_empty() {
            return;
        }
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        let (from, to) = conn.way(side);
        let pipe = &mut conn.pipes[side];
        if bytes.len() > pipe.room {
            let room = pipe.room;
            pipe.room = 0;
            let sentence = format!(
                "node {from} wrote {} bytes where there was room for {room}",
                bytes.len()
            );
            self.breach(life, Checker::Discipline, "write without room", sentence);
        } else {
            pipe.room -= bytes.len();
        }
        let cause = self.record_bytes(life, place, side, &bytes, None);
        self.send(place, side, (from, to), bytes, cause);
    }

    fn send(
        &mut self,
        place: u32,
        side: usize,
        (from, to): (u32, u32),
        bytes: Bytes,
        cause: Option<u64>,
    ) {
        let (mut delay, mut rate, mut drips) = (Duration::ZERO, self.scenario.net.bandwidth, false);
        let mut bytes = bytes;
        if !self.weather.is_calm() {
            let burden = self.weather.burden(from, to);
            for fault in &burden.by {
                self.weather.note_effect(*fault, bytes.len() as u64);
            }
            delay = burden.delay;
            rate = burden
                .rate
                .map_or(rate, |slow| if rate == 0 { slow } else { slow.min(rate) });
            drips = burden.drips;
            if let Some((fault, bits)) = self.weather.flip(from, to) {
                bytes = self.flipped(bytes, bits, pair(from, to));
                self.weather.note_effect(fault, 1);
            }
        }
        let (net, chance, now) = (self.scenario.net, self.chance, self.now);
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        let entity = conn.name ^ side as u64;
        let generation = conn.generation;
        let pipe = &mut conn.pipes[side];
        if pipe.is_silent {
            return;
        }
        let mut first = 0;
        if net.cutting == Cutting::Anywhere && !drips {
            let drawn = chance.below(bytes.len() as u64, Purpose::Cut, entity, pipe.draws);
            first = usize::try_from(drawn).unwrap_or(0);
        }
        let mut number = 0;
        while !bytes.is_empty() {
            let len = piece_len(net.cutting, drips, first, number, bytes.len());
            let piece = bytes.split_to(len);
            pipe.draws += 1;
            let mut at = now.after(latency(&net, chance, from, to, entity, pipe.draws) + delay);
            at = at.max(pipe.last_at);
            if rate > 0 {
                let micros = piece.len() as u64 * 1_000_000 / u64::from(rate);
                at = at.after(Duration::from_micros(micros));
            }
            if drips && number > 0 {
                at = at.max(pipe.last_at.after(DRIP_INTERVAL));
            }
            pipe.last_at = at;
            pipe.flight.push_back(Chunk {
                at,
                bytes: piece,
                cause,
            });
            number += 1;
        }
        self.arm_pipe(place, generation, side);
    }

    /// Returns bytes with so many bits flipped.
    fn flipped(&self, bytes: Bytes, bits: u8, entity: u64) -> Bytes {
        let mut flipped = BytesMut::from(&bytes[..]);
        storm::flip(self.chance, &mut flipped, bits, entity);
        flipped.freeze()
    }

    /// Sees to it that the first chunk of a pipe arrives.
    pub(super) fn arm_pipe(&mut self, place: u32, generation: u32, side: usize) {
        let Some(conn) = self.conns.current(place, generation) else {
            return;
        };
        let (from, _) = conn.way(side);
        let pipe = &mut conn.pipes[side];
        let Some(first) = pipe.flight.front() else {
            return;
        };
        if pipe.is_armed || pipe.is_parked {
            return;
        }
        pipe.is_armed = true;
        let at = first.at;
        let pipe = u8::try_from(side).unwrap_or(0);
        self.plan(
            at,
            from,
            Event::Arrive {
                conn: place,
                generation,
                pipe,
            },
        );
    }

    pub(super) fn arrive(&mut self, place: u32, generation: u32, side: usize) {
        let now = self.now;
        let Some(conn) = self.conns.current(place, generation) else {
            return;
        };
        let (from, to) = conn.way(side);
        let reader = conn.ends[1 - side];
        conn.pipes[side].is_armed = false;
        let is_alive = reader.is_open && self.life_of(to) == reader.life;
        if is_alive && self.does_not_read(to) {
            if let Some(conn) = self.conns.get_mut(place) {
                conn.pipes[side].is_parked = true;
            }
            return;
        }
        if !self.weather.is_calm()
            && let Some(fault) = self.weather.holds(from, to)
        {
            self.hold(place, side, fault);
            return;
        }
        while let Some(chunk) = self.next_chunk(place, generation, side, now) {
            if chunk.bytes.is_empty() {
                self.end_arrives(place, side, chunk.cause);
            } else {
                self.bytes_arrive(place, side, &chunk);
            }
        }
        self.arm_pipe(place, generation, side);
    }

    fn does_not_read(&self, node: u32) -> bool {
        let slot = &self.slots[node as usize];
        slot.paused > 0 || slot.node.as_ref().is_some_and(|node| !node.reads())
    }

    fn hold(&mut self, place: u32, side: usize, fault: usize) {
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        let pipe = &mut conn.pipes[side];
        pipe.is_parked = true;
        let held: usize = pipe.flight.iter().map(|chunk| chunk.bytes.len()).sum();
        self.weather.note_effect(fault, held.max(1) as u64);
    }

    /// Takes the next chunk that has arrived off a pipe; all that have, where they arrive together.
    fn next_chunk(&mut self, place: u32, generation: u32, side: usize, now: Time) -> Option<Chunk> {
        let cutting = self.scenario.net.cutting;
        let pipe = &mut self.conns.current(place, generation)?.pipes[side];
        if pipe.is_parked || pipe.flight.front()?.at > now {
            return None;
        }
        let mut chunk = pipe.flight.pop_front()?;
        if cutting == Cutting::Together && !chunk.bytes.is_empty() {
            let mut all = BytesMut::from(&chunk.bytes[..]);
            while let Some(next) = pipe.flight.front()
                && next.at <= now
                && !next.bytes.is_empty()
            {
                all.extend_from_slice(&next.bytes);
                chunk.cause = next.cause.or(chunk.cause);
                pipe.flight.pop_front();
            }
            chunk.bytes = all.freeze();
        }
        Some(chunk)
    }

    fn bytes_arrive(&mut self, place: u32, side: usize, chunk: &Chunk) {
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        let reader = conn.ends[1 - side];
        let to = reader.life.node;
        let generation = conn.generation;
        let slot = &self.slots[to as usize];
        if slot.node.is_none() || slot.life != reader.life.life {
            // The machine is gone, or knows nothing of this connection.
            if slot.node.is_some() {
                self.abandon(place, 1 - side);
            }
            return;
        }
        if !reader.is_open {
            return;
        }
        let pipe = &mut conn.pipes[side];
        pipe.read += chunk.bytes.len();
        pipe.carried += chunk.bytes.len() as u64;
        let window = usize::try_from(self.scenario.net.window.max(1)).unwrap_or(usize::MAX);
        if pipe.read >= window.div_ceil(4) {
            self.return_room(place, generation, side);
        }
        self.carried += chunk.bytes.len() as u64;
        self.fold(hash_bytes(&chunk.bytes) ^ u64::from(to));
        let id = self.conns.id(place, 1 - side);
        let heard = self.record_bytes(reader.life, place, side, &chunk.bytes, Some(chunk.cause));
        self.slots[to as usize].heard = heard;
        self.with_node(to, |node, io| node.on_bytes(id, &chunk.bytes, io));
    }

    fn return_room(&mut self, place: u32, generation: u32, side: usize) {
        let Some(conn) = self.conns.current(place, generation) else {
            return;
        };
        let (from, to) = conn.way(side);
        let entity = conn.name ^ 2;
        let net = &self.scenario.net;
        let after = latency(net, self.chance, to, from, entity, 0);
        let pipe = u8::try_from(side).unwrap_or(0);
        self.plan(
            self.now.after(after),
            to,
            Event::Room {
                conn: place,
                generation,
                pipe,
            },
        );
    }

    pub(super) fn give_room(&mut self, place: u32, generation: u32, side: usize) {
        let Some(conn) = self.conns.current(place, generation) else {
            return;
        };
        let (from, to) = conn.way(side);
        let writer = conn.ends[side];
        let is_silent = conn.pipes[side].is_silent;
        let event = Event::Room {
            conn: place,
            generation,
            pipe: u8::try_from(side).unwrap_or(0),
        };
        if is_silent || !writer.is_open || self.life_of(from) != writer.life {
            return;
        }
        if self.postpone(writer.life, event) {
            return;
        }
        if self.weather.split(to, from).is_some() && self.weather.holds(to, from).is_some() {
            // It comes when the network is whole again.
            return self.plan(self.now.after(Duration::from_secs(1)), to, event);
        }
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        let pipe = &mut conn.pipes[side];
        let more = std::mem::take(&mut pipe.read);
        pipe.room += more;
        if more == 0 {
            return;
        }
        let id = self.conns.id(place, side);
        self.fold(name(from, to) ^ more as u64);
        self.with_node(from, |node, io| node.on_room(id, more, io));
    }

    pub(super) fn close(&mut self, life: Life, id: ConnId, why: String) {
        let Some((place, side)) = self.open_end(life, id) else {
            let sentence = format!("node {} closed a connection twice", life.node);
            return self.breach(life, Checker::Discipline, "closed twice", sentence);
        };
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        let peer = conn.ends[1 - side].life.node;
        let cause = self.record_of(life, None, |_| What::Closed {
            conn: id,
            peer,
            why,
        });
        self.finish(place, side, cause);
    }

    /// Ends what one side has of a connection: what it wrote still arrives, and then the end.
    pub(super) fn finish(&mut self, place: u32, side: usize, cause: Option<u64>) {
        let (net, chance, now) = (self.scenario.net, self.chance, self.now);
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        let (from, to) = conn.way(side);
        let (name, number, generation) = (conn.name, conn.number, conn.generation);
        conn.ends[side].is_open = false;
        let pipe = &mut conn.pipes[side];
        if !pipe.is_silent && !pipe.is_finished {
            pipe.is_finished = true;
            pipe.draws += 1;
            let at = now.after(latency(
                &net,
                chance,
                from,
                to,
                name ^ side as u64,
                pipe.draws,
            ));
            pipe.last_at = pipe.last_at.max(at);
            pipe.flight.push_back(Chunk {
                at: pipe.last_at,
                bytes: Bytes::new(),
                cause,
            });
        }
        self.slots[from as usize]
            .conns
            .retain(|conn| *conn != place);
        self.tell(Fact::Disconnected { conn: number });
        self.arm_pipe(place, generation, side);
        self.forget_if_gone(place);
    }

    /// Breaks a connection of which one side knows nothing any more: the other learns of it.
    pub(super) fn abandon(&mut self, place: u32, side: usize) {
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        conn.ends[side].is_open = false;
        let (from, to) = conn.way(side);
        let (entity, generation) = (conn.name, conn.generation);
        self.slots[from as usize]
            .conns
            .retain(|conn| *conn != place);
        let after = latency(&self.scenario.net, self.chance, from, to, entity, 2);
        let side = u8::try_from(1 - side).unwrap_or(0);
        self.plan(
            self.now.after(after),
            from,
            Event::Lost {
                conn: place,
                generation,
                side,
            },
        );
    }

    fn end_arrives(&mut self, place: u32, side: usize, cause: Option<u64>) {
        self.learn_of_end(place, 1 - side, "closed", cause);
    }

    pub(super) fn lose(&mut self, place: u32, generation: u32, side: usize) {
        if self.conns.current(place, generation).is_some() {
            self.learn_of_end(place, side, "reset", None);
        }
    }

    /// Breaks a connection, so that both ends learn of it now, and what is under way is lost.
    pub(super) fn reset(&mut self, place: u32, cause: Option<u64>) {
        for side in [0, 1] {
            self.learn_of_end(place, side, "reset", cause);
        }
    }

    /// One end learns that its connection is closed.
    fn learn_of_end(&mut self, place: u32, side: usize, how: &str, cause: Option<u64>) {
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        let (end, peer) = (conn.ends[side], conn.ends[1 - side].life.node);
        if !end.is_open {
            return self.forget_if_gone(place);
        }
        let number = conn.number;
        let generation = conn.generation;
        let event = Event::Lost {
            conn: place,
            generation,
            side: u8::try_from(side).unwrap_or(0),
        };
        if self.postpone(end.life, event) {
            return;
        }
        let id = self.conns.id(place, side);
        if let Some(conn) = self.conns.get_mut(place) {
            conn.ends[side].is_open = false;
            // Nobody reads on what comes, and nothing more is written.
            conn.pipes[side].is_silent = true;
            conn.pipes[side].flight.clear();
        }
        let node = end.life.node;
        self.slots[node as usize]
            .conns
            .retain(|conn| *conn != place);
        self.tell(Fact::Disconnected { conn: number });
        if self.life_of(node) == end.life {
            self.fold(name(node, peer) ^ 3);
            self.record_of(end.life, cause, |_| What::Lost {
                conn: id,
                peer,
                how: how.to_owned(),
            });
            self.with_node(node, |node, io| node.on_closed(id, io));
        }
        self.forget_if_gone(place);
    }

    fn forget_if_gone(&mut self, place: u32) {
        let is_gone =
            |conn: &Conn| conn.is_gone() && conn.pipes.iter().all(|pipe| pipe.flight.is_empty());
        if self.conns.get(place).is_some_and(is_gone)
            && let Some(gone) = self.conns.remove(place)
            && let Some(tracer) = &mut self.tracer
        {
            tracer.forget(gone.number);
        }
    }

    /// Returns the place and the side of a connection that this life has.
    fn open_end(&self, life: Life, id: ConnId) -> Option<(u32, usize)> {
        let (place, side) = self.conns.find(id)?;
        let end = self.conns.get(place)?.ends[side];
        (end.is_open && end.life == life).then_some((place, side))
    }

    /// Looks again at every pipe that waits.
    pub(super) fn unpark_all(&mut self) {
        for place in self.conns.places() {
            self.unpark(place);
        }
    }

    pub(super) fn unpark(&mut self, place: u32) {
        for side in [0, 1] {
            let Some(conn) = self.conns.get_mut(place) else {
                return;
            };
            let generation = conn.generation;
            if std::mem::take(&mut conn.pipes[side].is_parked) {
                self.arm_pipe(place, generation, side);
            }
        }
    }

    /// Lets what is under way between two nodes go on at the usual speed.
    pub(super) fn hasten(&mut self, (from, to): (u32, u32)) {
        let (net, chance, now) = (self.scenario.net, self.chance, self.now);
        for place in self.conns_between(from, to) {
            for side in [0, 1] {
                let Some(conn) = self.conns.get_mut(place) else {
                    continue;
                };
                let (generation, entity) = (conn.generation, conn.name ^ side as u64);
                let (a, b) = conn.way(side);
                let pipe = &mut conn.pipes[side];
                let latest = now.after(latency(&net, chance, a, b, entity, pipe.draws));
                for chunk in pipe.flight.iter_mut() {
                    chunk.at = chunk.at.min(latest);
                }
                pipe.last_at = pipe.last_at.min(latest);
                pipe.is_armed = false;
                self.arm_pipe(place, generation, side);
            }
        }
    }

    /// Makes a connection carry nothing any more in some directions, without a word to its ends.
    pub(super) fn silence(&mut self, place: u32, sides: [bool; 2]) {
        let Some(conn) = self.conns.get_mut(place) else {
            return;
        };
        for (pipe, is_hit) in conn.pipes.iter_mut().zip(sides) {
            if is_hit {
                pipe.is_silent = true;
                pipe.flight.clear();
            }
        }
        let is_held = [conn.pipes[0].is_silent, conn.pipes[1].is_silent];
        let conn = conn.number;
        self.tell(Fact::Held { conn, is_held });
    }

    /// Returns a node's open connections, by place.
    pub(super) fn conns_of(&self, node: u32) -> Vec<u32> {
        self.slots[node as usize].conns.clone()
    }

    /// Returns the connections between two nodes, by place: also those that one of them has left already, as what is under way
    /// on them still has to arrive.
    pub(super) fn conns_between(&self, one: u32, other: u32) -> Vec<u32> {
        let is_between = |place: &u32| {
            let ends = self.conns.get(*place).map(|conn| conn.ends);
            ends.is_some_and(|ends| {
                [one, other]
                    .iter()
                    .all(|node| ends.iter().any(|end| end.life.node == *node))
            })
        };
        let of_one = &self.slots[one as usize].conns;
        let left_by_one = self.slots[other as usize].conns.iter();
        let left_by_one = left_by_one.filter(|place| !of_one.contains(place));
        let all = of_one.iter().chain(left_by_one).copied();
        all.filter(is_between).collect()
    }

    /// The world's own events have no node behind them.
    pub(super) fn plan_own(&mut self, at: Time, event: Event) {
        self.plan(at, WORLD, event);
    }
}

/// Returns how much of what was written at once arrives at once: the `number`th piece, of the bytes that are left.
/// `first` is where it is cut, if that is drawn.
pub(super) fn piece_len(
    cutting: Cutting,
    drips: bool,
    first: usize,
    number: usize,
    rest: usize,
) -> usize {
    if drips {
        return drip_len(number, rest);
    }
    match cutting {
        Cutting::Whole | Cutting::Together => rest,
        Cutting::Segments => rest.min(SEGMENT),
        Cutting::Anywhere if number == 0 && first > 0 => first.min(rest),
        Cutting::Anywhere => rest,
    }
}

/// The same for a connection that drips.
fn drip_len(number: usize, rest: usize) -> usize {
    if number < DRIPS {
        rest.min(number % 3 + 1)
    } else {
        rest
    }
}
