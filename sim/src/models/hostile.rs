//! A node that means harm.
//!
//! It hides in an honest node, of rs2p or py2p as it is drawn, so that it gets past greetings; what it does on top of that is
//! its kind. Besides the connections of the node in which it hides it opens some of its own, on which it greets nobody.
//! All that it does has limits, so that a world stays cheap: it is there to be odd, not to be big.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::wire::{self, Value};
use super::{Flavour, Legacy};
use crate::chance::mix;
use crate::mesh::Mesh;
use crate::node::{
    Action, Birth, ConnId, DialError, Io, Node, NodeStatus, PeerKey, Place, Receipt, Refusal,
};
use crate::scenario::{Hostile, Limits};

/// How often it acts.
const TICK: Duration = Duration::from_millis(100);

/// How long a connection is left in peace at most before it is attacked, so that greetings may pass.
const PATIENCE: u64 = 2_000;

/// How many bytes it writes to one connection at one tick.
const MAX_BURST: usize = 4 << 10;

/// How many connections it opens by itself; for a storm of dials, and otherwise.
const MAX_STORM: usize = 128;
const MAX_OWN: usize = 4;

/// How many dials of a storm it makes at one tick.
const STORM_DIALS: usize = 4;

/// How many messages under false names it sends to one connection at one tick.
const FLOOD: usize = 8;

/// How many bytes of others it keeps, to send them again.
const MAX_LOOT: usize = 32 << 10;

/// Set in the numbers of its own dials, to tell them from those of the node in which it hides.
const OWN_DIAL: u64 = 1 << 63;

/// A node that means harm.
pub struct HostileNode {
    kind: Hostile,
    disguise: Box<dyn Node>,
    chance: u64,
    conns: BTreeMap<ConnId, Victim>,
    /// Where somebody lives, or has called from.
    places: BTreeSet<Place>,
    /// Own dials under way.
    dials: usize,
    last_dial: u64,
    /// What it heard.
    loot: VecDeque<Bytes>,
    loot_len: usize,
    sent: u64,
    next: Duration,
    has_left: bool,
}

/// A connection.
#[derive(Debug)]
struct Victim {
    /// Whether the disguise knows it.
    is_shared: bool,
    /// What the disguise leaves of the room.
    room: usize,
    /// When the attack begins.
    from: Duration,
    /// What is to be written a byte at a time.
    drops: VecDeque<u8>,
    /// Whether a frame without an end has begun.
    has_begun: bool,
}

impl std::fmt::Debug for HostileNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostileNode")
            .field("kind", &self.kind)
            .field("conns", &self.conns)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl HostileNode {
    /// What the payloads begin with that it makes up. Nobody published them, and nodes cannot know.
    pub const MARK: &[u8] = b"hostile ";

    /// Returns a node that begins its life.
    pub fn new(birth: &Birth, kind: Hostile) -> Self {
        let first = birth.seed.first_chunk::<8>();
        let chance = mix(first.map_or(0, |bytes| u64::from_be_bytes(*bytes)));
        let disguise: Box<dyn Node> = if chance & 1 == 0 {
            Box::new(Mesh::new(birth, &Limits::default()))
        } else {
            Box::new(Legacy::new(birth, Flavour::Py2p))
        };
        let seeds = birth.seeds.iter().copied();
        Self {
            kind,
            disguise,
            chance,
            conns: BTreeMap::new(),
            places: seeds.filter(|place| *place != birth.place).collect(),
            dials: 0,
            last_dial: OWN_DIAL,
            loot: VecDeque::new(),
            loot_len: 0,
            sent: 0,
            next: birth.now + TICK,
            has_left: false,
        }
    }

    fn draw(&mut self) -> u64 {
        self.chance = mix(self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15));
        self.chance
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.draw() >> 16) % end.max(1)
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        let words = (0..len.div_ceil(8)).map(|_| self.draw().to_le_bytes());
        let mut bytes: Vec<u8> = words.flatten().collect();
        bytes.truncate(len);
        bytes
    }

    /// Lets the disguise handle an input, and passes on what it does to the network. What it says to its application is of
    /// no interest.
    fn behind(&mut self, io: &mut Io<'_>, act: impl FnOnce(&mut dyn Node, &mut Io<'_>)) {
        let mut actions = Vec::new();
        let mut inner = Io::new(io.now(), io.wall(), &mut actions);
        act(&mut *self.disguise, &mut inner);
        for action in actions {
            match &action {
                Action::Close(conn, _) => {
                    self.conns.remove(conn);
                }
                Action::Write(conn, _) if !self.conns.contains_key(conn) => continue,
                Action::Deliver(_) | Action::Tell(_) | Action::Persist(_) | Action::Ended => {
                    continue;
                }
                Action::Dial(..) | Action::CancelDial(_) | Action::Write(..) => {}
            }
            io.act(action);
        }
    }

    fn meet(&mut self, conn: ConnId, is_shared: bool, now: Duration) {
        let patience = self.below(PATIENCE);
        let victim = Victim {
            is_shared,
            room: 0,
            from: now + Duration::from_millis(patience),
            drops: VecDeque::new(),
            has_begun: false,
        };
        self.conns.insert(conn, victim);
    }

    /// Writes to a connection, as much as there is room for.
    fn write(&mut self, conn: ConnId, mut bytes: Vec<u8>, io: &mut Io<'_>) {
        let Some(victim) = self.conns.get_mut(&conn) else {
            return;
        };
        bytes.truncate(victim.room.min(MAX_BURST));
        if !bytes.is_empty() {
            victim.room -= bytes.len();
            io.act(Action::Write(conn, bytes.into()));
        }
    }

    fn attack(&mut self, conn: ConnId, io: &mut Io<'_>) {
        match self.kind {
            Hostile::Garbage => {
                let len = self.below(600);
                let bytes = self.noise(usize::try_from(len).unwrap_or(0));
                self.write(conn, bytes, io);
            }
            Hostile::Oversize => self.oversize(conn, io),
            Hostile::Replay => {
                let bytes: Vec<u8> = self
                    .loot
                    .iter()
                    .flatten()
                    .copied()
                    .take(MAX_BURST)
                    .collect();
                // What comes next time is something else.
                if let Some(first) = self.loot.pop_front() {
                    self.loot.push_back(first);
                }
                self.write(conn, bytes, io);
            }
            Hostile::Flood => {
                for _ in 0..FLOOD {
                    let frame = self.lie(io);
                    self.write(conn, frame, io);
                }
            }
            Hostile::Slowloris => self.drip(conn, io),
            // They do nothing to a connection; that is the harm.
            Hostile::NeverReads | Hostile::Dials => {}
        }
    }

    /// Begins a frame that would be far too long, and goes on with it.
    fn oversize(&mut self, conn: ConnId, io: &mut Io<'_>) {
        let len = u32::try_from(self.below(1 << 31)).unwrap_or(0) | 1 << 30;
        let mut bytes = self.noise(512);
        if let Some(victim) = self.conns.get_mut(&conn)
            && !std::mem::replace(&mut victim.has_begun, true)
        {
            bytes.splice(..0, len.to_be_bytes());
        }
        self.write(conn, bytes, io);
    }

    /// A broadcast of somebody whom nobody knows.
    fn lie(&mut self, io: &Io<'_>) -> Vec<u8> {
        self.sent += 1;
        let name = wire::base58(&self.noise(48));
        let mut payload = Self::MARK.to_vec();
        payload.extend_from_slice(self.sent.to_string().as_bytes());
        let items = vec![
            Value::Int(0),
            Value::text(&name),
            Value::Int(i128::from(io.wall().as_secs())),
            Value::Int(0),
            Value::Bin(payload),
        ];
        let mut packed = Vec::new();
        wire::pack(&Value::Array(items), Flavour::Py2p, &mut packed);
        wire::seal(&packed, &[]).to_vec()
    }

    /// One byte of a good message, now and then.
    fn drip(&mut self, conn: ConnId, io: &mut Io<'_>) {
        if self.below(10) > 0 {
            return;
        }
        let frame = self.lie(io);
        let Some(victim) = self.conns.get_mut(&conn) else {
            return;
        };
        if victim.drops.is_empty() {
            victim.drops.extend(frame);
        }
        if victim.room > 0
            && let Some(byte) = victim.drops.pop_front()
        {
            self.write(conn, vec![byte], io);
        }
    }

    /// Opens connections of its own.
    fn dial(&mut self, io: &mut Io<'_>) {
        let (most, at_once) = match self.kind {
            Hostile::Dials => (MAX_STORM, STORM_DIALS),
            Hostile::NeverReads => (0, 0),
            Hostile::Garbage
            | Hostile::Oversize
            | Hostile::Replay
            | Hostile::Flood
            | Hostile::Slowloris => (MAX_OWN, 1),
        };
        let own = self
            .conns
            .values()
            .filter(|victim| !victim.is_shared)
            .count();
        let free = most.saturating_sub(own + self.dials);
        for _ in 0..free.min(at_once) {
            let at = self.below(u64::try_from(self.places.len()).unwrap_or(0));
            let at = usize::try_from(at).unwrap_or(0);
            let Some(place) = self.places.iter().nth(at).copied() else {
                return;
            };
            self.last_dial += 1;
            self.dials += 1;
            io.act(Action::Dial(self.last_dial, place));
        }
    }
}

impl Node for HostileNode {
    fn on_start(&mut self, io: &mut Io<'_>) {
        self.behind(io, |node, io| node.on_start(io));
    }

    fn on_accepted(&mut self, conn: ConnId, from: Place, io: &mut Io<'_>) {
        self.places.insert(from);
        self.meet(conn, true, io.now());
        self.behind(io, |node, io| node.on_accepted(conn, from, io));
    }

    fn on_dialed(&mut self, dial: u64, conn: ConnId, io: &mut Io<'_>) {
        if self.has_left {
            return io.act(Action::Close(conn, "it has left".to_owned()));
        }
        let is_shared = dial & OWN_DIAL == 0;
        self.meet(conn, is_shared, io.now());
        if is_shared {
            self.behind(io, |node, io| node.on_dialed(dial, conn, io));
        } else {
            self.dials = self.dials.saturating_sub(1);
        }
    }

    fn on_dial_failed(&mut self, dial: u64, why: DialError, io: &mut Io<'_>) {
        if dial & OWN_DIAL == 0 {
            self.behind(io, |node, io| node.on_dial_failed(dial, why, io));
        } else {
            self.dials = self.dials.saturating_sub(1);
        }
    }

    fn on_bytes(&mut self, conn: ConnId, bytes: &Bytes, io: &mut Io<'_>) {
        let Some(victim) = self.conns.get(&conn) else {
            return;
        };
        let is_shared = victim.is_shared;
        if self.kind == Hostile::Replay && self.loot_len < MAX_LOOT {
            self.loot_len += bytes.len();
            self.loot.push_back(bytes.clone());
        }
        if is_shared {
            self.behind(io, |node, io| node.on_bytes(conn, bytes, io));
        }
    }

    fn on_room(&mut self, conn: ConnId, more: usize, io: &mut Io<'_>) {
        let Some(victim) = self.conns.get_mut(&conn) else {
            return;
        };
        // Half for the disguise, half for what it hides.
        let theirs = if victim.is_shared { more / 2 } else { 0 };
        victim.room += more - theirs;
        if theirs > 0 {
            self.behind(io, |node, io| node.on_room(conn, theirs, io));
        }
    }

    fn on_closed(&mut self, conn: ConnId, io: &mut Io<'_>) {
        let victim = self.conns.remove(&conn);
        if victim.is_some_and(|victim| victim.is_shared) {
            self.behind(io, |node, io| node.on_closed(conn, io));
        }
    }

    fn on_deadline(&mut self, io: &mut Io<'_>) {
        let now = io.now();
        if self.disguise.deadline().is_some_and(|due| due <= now) {
            self.behind(io, |node, io| node.on_deadline(io));
        }
        if self.next > now || self.has_left {
            return;
        }
        self.next = now + TICK;
        let ripe = self.conns.iter().filter(|(_, victim)| victim.from <= now);
        let ripe: Vec<ConnId> = ripe.map(|(conn, _)| *conn).collect();
        for conn in ripe {
            self.attack(conn, io);
        }
        self.dial(io);
    }

    fn on_wall_clock(&mut self, io: &mut Io<'_>) {
        self.behind(io, |node, io| node.on_wall_clock(io));
    }

    fn deadline(&self) -> Option<Duration> {
        let own = (!self.has_left).then_some(self.next);
        self.disguise.deadline().into_iter().chain(own).min()
    }

    fn publish(&mut self, _payload: &Bytes, _io: &mut Io<'_>) -> Result<Receipt, Refusal> {
        Err(Refusal::Never("it has nothing good to say".to_owned()))
    }

    fn leave(&mut self, io: &mut Io<'_>) {
        self.has_left = true;
        self.behind(io, |node, io| node.leave(io));
        for conn in std::mem::take(&mut self.conns).into_keys() {
            io.act(Action::Close(conn, "it leaves".to_owned()));
        }
        io.act(Action::Ended);
    }

    fn identity(&self) -> Option<PeerKey> {
        self.disguise.identity()
    }

    fn status(&self) -> NodeStatus {
        NodeStatus {
            conns: self.conns.len(),
            memory_limit: usize::MAX,
            memory: self.loot_len,
            ..self.disguise.status()
        }
    }

    fn reads(&self) -> bool {
        // It reads until it is a peer of somebody, and of no use to anybody from then on.
        self.kind != Hostile::NeverReads || self.disguise.status().peers.is_empty()
    }

    fn describe(&self, bytes: &[u8]) -> (Vec<String>, usize) {
        self.disguise.describe(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::bench::{Bench, birth};

    const KINDS: [Hostile; 7] = [
        Hostile::Garbage,
        Hostile::Oversize,
        Hostile::Replay,
        Hostile::Flood,
        Hostile::Slowloris,
        Hostile::NeverReads,
        Hostile::Dials,
    ];

    /// Two honest nodes of rs2p, and one that is not.
    fn run(kind: Hostile, who: u32) -> Bench<Box<dyn Node>> {
        let honest = |n: u32, seeds: &[u32]| -> Box<dyn Node> {
            Box::new(Mesh::new(&birth(n, seeds), &Limits::default()))
        };
        let mut birth = birth(2, &[0]);
        birth.seed[0] = u8::try_from(who).expect("small");
        let hostile = Box::new(HostileNode::new(&birth, kind));
        let mut bench = Bench::new(vec![honest(0, &[]), honest(1, &[0]), hostile]);
        bench.room = 1 << 20;
        bench.advance(Duration::from_secs(8));
        bench
    }

    #[test]
    fn honest_nodes_live_on_beside_every_kind() {
        for kind in KINDS {
            for who in 0..2 {
                let mut bench = run(kind, who);
                assert!(bench.peers(0).contains(&1), "{kind:?} {who}");
                bench.publish(0, b"fire").expect("accepted");
                bench.advance(Duration::from_secs(1));
                let heard = bench.delivered(1);
                assert!(heard.iter().any(|it| it == "fire"), "{kind:?} {who}");
                let made_up = heard.iter().filter(|it| it.starts_with(HostileNode::MARK));
                assert!(
                    kind == Hostile::Flood || made_up.count() <= 30,
                    "{kind:?} {who}"
                );
            }
        }
    }

    #[test]
    fn each_kind_does_its_harm() {
        for kind in KINDS {
            let mut harm = 0;
            for who in 0..4 {
                let bench = run(kind, who);
                let written = bench.written.iter().filter(|(node, _)| *node == 2);
                let written: usize = written.map(|(_, bytes)| bytes.len()).sum();
                let heard = bench.delivered(0).len();
                harm += match kind {
                    Hostile::Garbage | Hostile::Oversize => usize::from(written > 1_000),
                    Hostile::Replay => usize::from(written > 5_000),
                    Hostile::Flood => usize::from(heard > 100),
                    Hostile::Slowloris => usize::from((4..10_000).contains(&written)),
                    Hostile::NeverReads => usize::from(!bench.nodes[2].reads()),
                    Hostile::Dials => usize::from(bench.nodes[2].status().conns >= 4),
                };
            }
            assert!(harm >= 3, "{kind:?}: {harm} of 4");
        }
    }

    #[test]
    fn the_same_seed_does_the_same() {
        for kind in [Hostile::Garbage, Hostile::Replay, Hostile::Flood] {
            let (one, other) = (run(kind, 1), run(kind, 1));
            assert_eq!(one.written, other.written, "{kind:?}");
        }
        assert_ne!(
            run(Hostile::Garbage, 1).written,
            run(Hostile::Garbage, 3).written
        );
    }

    #[test]
    fn what_it_writes_has_a_limit() {
        for kind in KINDS {
            for who in 0..2 {
                let bench = run(kind, who);
                let written = bench.written.iter().filter(|(node, _)| *node == 2);
                let written: usize = written.map(|(_, bytes)| bytes.len()).sum();
                assert!(written < 8 * 200_000, "{kind:?}: {written} bytes in 8 s");
                assert!(bench.nodes[2].status().conns <= MAX_STORM + 16);
            }
        }
    }
}
