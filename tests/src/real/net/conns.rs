//! The connections of a network that is played: what is under way on them, and what faults do to them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rs2p_sim::{Life, Manner, Storm, Wire};

use super::State;

/// A connection between two nodes, which is two streams with the proxy between them.
#[derive(Debug)]
pub(in crate::real) struct Conn {
    /// The first has dialled.
    pub(in crate::real) ends: [Life; 2],
    /// Where the first has dialled the second.
    pub(in crate::real) dialed: SocketAddr,
    /// Where the connection comes from in the eyes of the second.
    pub(in crate::real) from: SocketAddr,
    pub(in crate::real) is_open: [bool; 2],
    /// Which ways carry nothing any more, without a word to anybody.
    pub(in crate::real) is_silent: [bool; 2],
    is_held: [bool; 2],
    /// Whether it is to break.
    is_reset: bool,
    carried: u64,
    flights: [Flight; 2],
}

/// What is under way in one direction.
#[derive(Debug, Default)]
struct Flight {
    chunks: VecDeque<(Instant, Chunk)>,
    bytes: usize,
    last: Option<Instant>,
    /// How many chunks there were.
    count: u64,
}

/// Bytes, or the end of them.
#[derive(Debug)]
enum Chunk {
    Bytes(Vec<u8>),
    End,
}

/// What to do at the end of a direction.
#[derive(Debug)]
pub(in crate::real) enum Next {
    Write(Vec<u8>),
    Finish,
    WaitUntil(Instant),
    Wait,
}

impl State {
    /// Notes a connection that was just made. Returns its number; `None` if one of its ends is over by now.
    pub(in crate::real) fn connect(&mut self, ends: [Life; 2], from: SocketAddr) -> Option<u64> {
        if self.is_over || !ends.iter().all(|end| self.is_up(*end)) {
            return None;
        }
        self.made += 1;
        let conn = Conn {
            ends,
            dialed: self.slots[ends[1].node as usize].place,
            from,
            is_open: [true; 2],
            is_silent: [false; 2],
            is_held: [false; 2],
            is_reset: false,
            carried: 0,
            flights: [Flight::default(), Flight::default()],
        };
        self.conns.insert(self.made, conn);
        self.referee.connected(self.made, ends);
        self.tell_held();
        Some(self.made)
    }

    // What becomes of bytes.

    /// Returns whether a connection is to break now.
    pub(in crate::real) fn is_broken(&self, number: u64) -> bool {
        self.is_over || self.conns.get(&number).is_none_or(|conn| conn.is_reset)
    }

    /// Returns whether there is room for what one end sends.
    pub(in crate::real) fn may_read(&self, number: u64, side: usize) -> bool {
        let window = usize::try_from(self.scenario.net.window.max(1)).unwrap_or(usize::MAX);
        self.conns
            .get(&number)
            .is_some_and(|conn| !conn.is_silent[side] && conn.flights[side].bytes < window)
    }

    /// Takes in what one end has sent.
    pub(in crate::real) fn take_in(&mut self, number: u64, side: usize, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        if conn.is_silent[side] {
            return;
        }
        let (from, to) = way(conn, side);
        let storm = &mut self.storm;
        let mut bytes = bytes.to_vec();
        if let Some(fault) = storm.flip(from, to, &mut bytes) {
            storm.note_effect(fault, 1);
        }
        let burden = storm.burden(from, to);
        for fault in &burden.by {
            storm.note_effect(*fault, bytes.len() as u64);
        }
        let limit = self.scenario.net.bandwidth;
        let limit = (limit > 0).then_some(limit);
        let rate = [burden.rate, limit].into_iter().flatten().min();
        let stream = number << 1 | side as u64;
        let flight = &mut conn.flights[side];
        let now = Instant::now();
        let pieces = storm.pieces(stream, flight.count, bytes.len(), burden.drips);
        let mut rest = &bytes[..];
        for (place, len) in pieces.into_iter().enumerate() {
            let (piece, after) = rest.split_at(len);
            rest = after;
            let latency = storm.latency(from, to, stream, flight.count) + burden.delay;
            let mut at = flight.after(now + latency);
            if let Some(rate) = rate {
                at += Duration::from_micros(len as u64 * 1_000_000 / u64::from(rate));
            }
            if burden.drips && place > 0 {
                at = at.max(flight.after(at) + Storm::DRIP_INTERVAL);
            }
            flight.push(at, Chunk::Bytes(piece.to_vec()));
        }
    }

    /// Notes that one end has closed a connection, or broken it.
    pub(in crate::real) fn end_read(&mut self, number: u64, side: usize, is_broken: bool) {
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        let (from, to) = way(conn, side);
        let stream = number << 1 | side as u64;
        let flight = &mut conn.flights[side];
        let latency = self.storm.latency(from, to, stream, flight.count);
        flight.push(flight.after(Instant::now() + latency), Chunk::End);
        if is_broken {
            conn.is_reset = true;
        }
        let how = if is_broken { "broke it" } else { "closed it" };
        self.close_end(number, side, how);
    }

    /// Notes that one end of a connection cannot be written to any more.
    pub(in crate::real) fn end_write(&mut self, number: u64, side: usize) {
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.is_reset = true;
            self.close_end(number, side, "is gone");
        }
    }

    fn close_end(&mut self, number: u64, side: usize, how: &str) {
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        let end = conn.ends[side];
        if std::mem::replace(&mut conn.is_open[side], false) {
            self.referee.disconnected(number, end, how);
        }
    }

    /// Returns what to do next at the far end of a direction.
    pub(in crate::real) fn next(&mut self, number: u64, side: usize) -> Next {
        let Some(conn) = self.conns.get_mut(&number) else {
            return Next::Wait;
        };
        let (from, to) = way(conn, side);
        let Some((at, _)) = conn.flights[side].chunks.front() else {
            return Next::Wait;
        };
        if conn.is_silent[side] {
            return Next::Wait;
        }
        if *at > Instant::now() {
            return Next::WaitUntil(*at);
        }
        if let Some(fault) = self.storm.holds(from, to) {
            let held = conn.flights[side].bytes.max(1);
            self.storm.note_effect(fault, held as u64);
            return Next::Wait;
        }
        match conn.flights[side].pop() {
            Some(Chunk::Bytes(bytes)) => {
                conn.carried += bytes.len() as u64;
                Next::Write(bytes)
            }
            Some(Chunk::End) => Next::Finish,
            None => Next::Wait,
        }
    }

    /// Forgets a connection of which nothing is left.
    pub(in crate::real) fn forget(&mut self, number: u64) {
        for side in [0, 1] {
            self.close_end(number, side, "lost it");
        }
        self.conns.remove(&number);
    }

    // What faults do to connections.

    fn between(&self, one: u32, other: u32) -> Vec<u64> {
        let ends = [[one, other], [other, one]];
        let conns = self.conns.iter();
        conns
            .filter(|(_, conn)| ends.contains(&conn.ends.map(|end| end.node)))
            .filter(|(_, conn)| conn.is_open.contains(&true) && !conn.is_reset)
            .map(|(number, _)| *number)
            .collect()
    }

    /// Begins a fault that is about connections and dials. Returns the two nodes that it is between, if it is between two.
    pub(in crate::real) fn strike(&mut self, fault: usize) -> Option<(u32, u32)> {
        let open = self.conns.values().filter(|conn| conn.is_open == [true; 2]);
        let pairs: Vec<[u32; 2]> = open.map(|conn| conn.ends.map(|end| end.node)).collect();
        let linked = |node: u32| {
            let others = pairs.iter().filter_map(|[a, b]| {
                let is_second = *b == node;
                (*a == node)
                    .then_some(*b)
                    .or_else(|| is_second.then_some(*a))
            });
            others.collect()
        };
        self.storm.begin(fault, linked)
    }

    /// Breaks the connections between two nodes. Returns how many there were.
    pub(in crate::real) fn reset_between(&mut self, one: u32, other: u32) -> usize {
        let hit = self.between(one, other);
        for number in &hit {
            self.reset(*number);
        }
        hit.len()
    }

    /// Silences the connections between two nodes. Returns how many there were.
    pub(in crate::real) fn silence_between(&mut self, one: u32, other: u32) -> usize {
        let hit = self.between(one, other);
        for number in &hit {
            self.silence(*number, [true; 2]);
        }
        hit.len()
    }

    fn reset(&mut self, number: u64) {
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.is_reset = true;
            for side in [0, 1] {
                self.close_end(number, side, "reset");
            }
        }
    }

    fn silence(&mut self, number: u64, sides: [bool; 2]) {
        if let Some(conn) = self.conns.get_mut(&number) {
            for (is_silent, is_hit) in conn.is_silent.iter_mut().zip(sides) {
                *is_silent |= is_hit;
            }
        }
    }

    /// Does to the connections across a cut what the cut does to them.
    pub(in crate::real) fn break_across(&mut self, fault: usize) {
        let all: Vec<u64> = self.conns.keys().copied().collect();
        for number in all {
            let conn = &self.conns[&number];
            if conn.is_reset || !conn.is_open.contains(&true) {
                continue;
            }
            let hits = [0, 1].map(|side| {
                let (from, to) = way(conn, side);
                self.storm.split(from, to)
            });
            let Some((_, manner)) = hits.iter().flatten().find(|(by, _)| *by == fault) else {
                continue;
            };
            self.storm.note_effect(fault, 1);
            match manner {
                Manner::Reset => self.reset(number),
                Manner::Silent => self.silence(number, hits.map(|hit| hit.is_some())),
                Manner::Freeze | _ => {}
            }
        }
    }

    /// Lets one end of each connection of a life be gone without a word.
    pub(in crate::real) fn vanish(&mut self, life: Life) {
        let all: Vec<u64> = self.conns.keys().copied().collect();
        for number in all {
            let ends = self.conns[&number].ends;
            if let Some(side) = ends.iter().position(|end| *end == life) {
                self.silence(number, [true; 2]);
                self.close_end(number, side, "lost power");
            }
        }
    }

    /// Lets what is under way between two nodes go on at the usual speed.
    pub(in crate::real) fn hasten(&mut self, (one, other): (u32, u32)) {
        let now = Instant::now();
        for number in self.between(one, other) {
            let Some(conn) = self.conns.get_mut(&number) else {
                continue;
            };
            for side in [0, 1] {
                let (from, to) = way(conn, side);
                let flight = &mut conn.flights[side];
                let stream = number << 1 | side as u64;
                let latest = now + self.storm.latency(from, to, stream, flight.count);
                for (at, _) in &mut flight.chunks {
                    *at = (*at).min(latest);
                }
                flight.last = flight.last.map(|last| last.min(latest));
            }
        }
    }

    /// Tells the referee which connections are held by a fault, where that has changed.
    pub(in crate::real) fn tell_held(&mut self) {
        for (number, conn) in &mut self.conns {
            let is_held = [0, 1].map(|side| {
                let (from, to) = way(conn, side);
                conn.is_silent[side] || self.storm.holds(from, to).is_some()
            });
            if std::mem::replace(&mut conn.is_held, is_held) != is_held {
                self.referee.held(*number, is_held);
            }
        }
    }

    // What can be seen of them.

    /// Returns the connections that both ends have.
    pub(in crate::real) fn wires(&self) -> Vec<Wire> {
        let whole = self.conns.iter();
        let whole = whole.filter(|(_, conn)| conn.is_open == [true; 2] && !conn.is_reset);
        whole
            .map(|(number, conn)| Wire {
                conn: *number,
                ends: conn.ends,
                carried: conn.carried,
            })
            .collect()
    }

    /// Returns how many connections a life has. Whether those that are silent were closed nobody can see.
    pub(in crate::real) fn conn_count(&self, life: Life) -> usize {
        let has = |conn: &&Conn| {
            let mut ends = conn.ends.iter().zip(conn.is_open);
            let is_open = ends.any(|(end, is_open)| *end == life && is_open);
            is_open && conn.is_silent == [false; 2] && !conn.is_reset
        };
        self.conns.values().filter(has).count()
    }
}

impl Flight {
    fn push(&mut self, at: Instant, chunk: Chunk) {
        if let Chunk::Bytes(bytes) = &chunk {
            self.bytes += bytes.len();
        }
        self.count += 1;
        self.last = Some(at);
        self.chunks.push_back((at, chunk));
    }

    fn pop(&mut self) -> Option<Chunk> {
        let (_, chunk) = self.chunks.pop_front()?;
        if let Chunk::Bytes(bytes) = &chunk {
            self.bytes -= bytes.len();
        }
        Some(chunk)
    }

    /// Returns a moment, or that at which the last chunk arrives if that is later: none overtakes another.
    fn after(&self, at: Instant) -> Instant {
        self.last.map_or(at, |last| last.max(at))
    }
}

/// Returns the nodes that a direction leads from and to.
const fn way(conn: &Conn, side: usize) -> (u32, u32) {
    (conn.ends[side].node, conn.ends[1 - side].node)
}
