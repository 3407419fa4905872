//! Many states in virtual time, joined by pipes with a latency. What the simulator does in earnest, small enough to
//! test the core with.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::solo::{EPOCH, address};
use crate::chance::Chance;
use crate::*;

/// Bytes a pipe takes before it has to be drained; small, so that credit matters.
const WINDOW: usize = 16 << 10;

pub(super) struct Net {
    pub(super) nodes: Vec<Node>,
    /// How many there were.
    pub(super) dials: usize,
    /// How many bytes were sent.
    pub(super) sent: usize,
    now: Instant,
    /// What happens when; the number keeps the order of what happens at the same time.
    due: BTreeMap<(Instant, u64), Happening>,
    last_number: u64,
    pipes: BTreeMap<(usize, LinkId), Pipe>,
    cut: BTreeSet<(usize, usize)>,
    swallowed: BTreeSet<(usize, usize)>,
    /// Directions in which nothing gets through for now, and what waits there.
    stopped: BTreeMap<(usize, usize), Vec<Happening>>,
    chance: Chance,
    /// The longest latency; each chunk draws its own, and chunks stay in order.
    latency: Duration,
}

pub(super) struct Node {
    pub(super) state: MeshState,
    pub(super) address: Address,
    pub(super) messages: Vec<Message>,
    pub(super) events: Vec<Event>,
    /// Which broadcasts it delivered or gave up, in that order: their stream, the first, the last.
    pub(super) told: Vec<((NodeId, u64), u64, u64)>,
    /// All that it gave out to be stored, the last at the end.
    pub(super) saved: Vec<Bytes>,
    config: Config,
}

struct Pipe {
    to: (usize, LinkId),
    /// When the last chunk arrives.
    busy_until: Instant,
}

enum Happening {
    Dial(usize, DialId, Address),
    Bytes((usize, LinkId), (usize, LinkId), Bytes),
    Closed((usize, LinkId)),
}

impl Happening {
    fn is_for(&self, n: usize) -> bool {
        match self {
            Self::Dial(from, ..) => *from == n,
            Self::Bytes(from, to, _) => from.0 == n || to.0 == n,
            Self::Closed(end) => end.0 == n,
        }
    }
}

impl Node {
    /// Returns the stream of its broadcasts.
    pub(super) fn stream(&self) -> (NodeId, u64) {
        (self.state.id().clone(), self.state.epoch_for_tests())
    }
}

impl Net {
    pub(super) fn new(count: usize, seed: u8) -> Self {
        Self::with(count, seed, |_, _| {})
    }

    pub(super) fn with(count: usize, seed: u8, adapt: impl Fn(usize, &mut Config)) -> Self {
        let mut net = Self {
            nodes: Vec::new(),
            dials: 0,
            sent: 0,
            now: Instant::from_micros(1),
            due: BTreeMap::new(),
            last_number: 0,
            pipes: BTreeMap::new(),
            cut: BTreeSet::new(),
            swallowed: BTreeSet::new(),
            stopped: BTreeMap::new(),
            chance: Chance::new([seed; 32]),
            latency: Duration::from_millis(50),
        };
        for n in 0..count {
            net.add(|config| adapt(n, config));
        }
        net
    }

    pub(super) fn add(&mut self, adapt: impl FnOnce(&mut Config)) -> usize {
        self.add_at(0, adapt)
    }

    /// Adds a node whose clock is ahead by so many seconds.
    pub(super) fn add_at(&mut self, ahead: i64, adapt: impl FnOnce(&mut Config)) -> usize {
        let n = self.nodes.len();
        let place = Self::place(n);
        let mut config = Config {
            advertised: Some(place.clone()),
            ..Config::default()
        };
        adapt(&mut config);
        let epoch = EPOCH.checked_add_signed(ahead).expect("after 1970");
        let wall =
            UnixTime::from_secs(epoch).saturating_add(Duration::from_micros(self.now.as_micros()));
        let state = MeshState::new(config.clone(), self.chance.bytes(), self.now, wall);
        self.nodes.push(Node {
            state: state.expect("a good configuration"),
            address: place,
            messages: Vec::new(),
            events: Vec::new(),
            told: Vec::new(),
            saved: Vec::new(),
            config,
        });
        self.drain(n);
        n
    }

    /// Ends a node at once, and begins it anew: from what it saved, or as a node that nobody knows. What it had told is
    /// kept with what it will.
    pub(super) fn restart(&mut self, n: usize, saved: Option<&Bytes>) {
        let ends: Vec<_> = self
            .pipes
            .keys()
            .filter(|end| end.0 == n)
            .copied()
            .collect();
        for end in ends {
            if let Some(pipe) = self.pipes.remove(&end) {
                self.closed_at(pipe.to, self.now);
            }
        }
        // Nothing that is under way arrives.
        self.due.retain(|_, happening| !happening.is_for(n));
        let config = self.nodes[n].config.clone();
        let wall =
            UnixTime::from_secs(EPOCH).saturating_add(Duration::from_micros(self.now.as_micros()));
        let (seed, now) = (self.chance.bytes(), self.now);
        self.nodes[n].state = match saved {
            Some(saved) => MeshState::restore(config, seed, saved, now, wall).expect("a good save"),
            None => MeshState::new(config, seed, now, wall).expect("a good configuration"),
        };
        self.drain(n);
    }

    /// Returns the address of a node.
    pub(super) fn place(n: usize) -> Address {
        address(&format!("10.1.{}.{}:4444", n / 250, n % 250 + 1))
    }

    pub(super) fn connect(&mut self, from: usize, to: usize) -> Result<DialId, ConnectError> {
        let to = self.nodes[to].address.clone();
        let dial = self.nodes[from].state.connect(to, self.now);
        self.drain(from);
        dial
    }

    pub(super) fn broadcast(&mut self, from: usize, text: &str) {
        let sent = self.nodes[from].state.broadcast(text, self.now);
        sent.expect("accepted");
        self.drain(from);
    }

    /// Does something with a node's state, now.
    pub(super) fn with_state<T>(
        &mut self,
        n: usize,
        act: impl FnOnce(&mut MeshState, Instant) -> T,
    ) -> T {
        let result = act(&mut self.nodes[n].state, self.now);
        self.drain(n);
        result
    }

    /// Cuts every pair with one node from each of two ranges.
    pub(super) fn cut_between(&mut self, ones: Range<usize>, others: Range<usize>) {
        for a in ones {
            for b in others.clone() {
                self.cut(a, b);
            }
        }
    }

    /// Ends every link between two nodes, and lets no new one be made.
    pub(super) fn cut(&mut self, a: usize, b: usize) {
        self.cut.extend([(a, b), (b, a)]);
        let between: Vec<_> = self
            .pipes
            .iter()
            .filter(|((from, _), pipe)| self.cut.contains(&(*from, pipe.to.0)))
            .map(|(end, _)| *end)
            .collect();
        for end in between {
            if let Some(pipe) = self.pipes.remove(&end) {
                self.closed_at(pipe.to, self.now);
            }
        }
    }

    /// From now on bytes between two nodes are lost, and neither end is told.
    pub(super) fn swallow(&mut self, a: usize, b: usize) {
        self.swallowed.extend([(a, b), (b, a)]);
    }

    /// From now on bytes from one node to another are held up.
    pub(super) fn stop(&mut self, from: usize, to: usize) {
        self.stopped.entry((from, to)).or_default();
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
        self.swallowed.clear();
        for happening in std::mem::take(&mut self.stopped).into_values().flatten() {
            self.at(self.now, happening);
        }
    }

    pub(super) fn run(&mut self, length: Duration) {
        let end = self.now.saturating_add(length);
        loop {
            let event = self.due.keys().next().map(|(at, _)| *at);
            let timers = self.nodes.iter().enumerate();
            let timer = timers
                .filter_map(|(n, node)| Some((node.state.poll_timeout()?, n)))
                .min();
            match (event, timer) {
                (Some(at), timer) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                    self.now = self.now.max(at);
                    let (_, happening) = self.due.pop_first().expect("just seen");
                    self.happen(happening);
                }
                (_, Some((due, n))) if due <= end => {
                    self.now = self.now.max(due);
                    self.nodes[n].state.handle_timeout(self.now);
                    self.drain(n);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    pub(super) fn texts(&self, n: usize) -> Vec<String> {
        let messages = self.nodes[n].messages.iter();
        messages.filter_map(Message::text).collect()
    }

    /// Returns the links between each two nodes, as each end sees them.
    pub(super) fn links(&self) -> BTreeMap<(usize, usize), usize> {
        let mut links = BTreeMap::new();
        for (n, node) in self.nodes.iter().enumerate() {
            for peer in node.state.peers() {
                let other = self.nodes.iter().position(|o| *o.state.id() == peer.id);
                *links.entry((n, other.expect("one of ours"))).or_insert(0) += 1;
            }
        }
        links
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Dial(from, dial, to) => self.dial(from, dial, &to),
            Happening::Bytes(from, to, bytes) => {
                if let Some(held) = self.stopped.get_mut(&(from.0, to.0)) {
                    held.push(Happening::Bytes(from, to, bytes));
                    return;
                }
                self.nodes[to.0].state.handle_bytes(to.1, &bytes, self.now);
                self.drain(to.0);
                self.nodes[from.0]
                    .state
                    .handle_credit(from.1, bytes.len(), self.now);
                self.drain(from.0);
            }
            Happening::Closed(end) => {
                self.pipes.remove(&end);
                self.nodes[end.0].state.handle_closed(end.1, self.now);
                self.drain(end.0);
            }
        }
    }

    fn dial(&mut self, from: usize, dial: DialId, to: &Address) {
        self.dials += 1;
        let there = self.nodes.iter().position(|node| node.address == *to);
        let reachable = there.filter(|there| !self.cut.contains(&(from, *there)));
        let accepted = reachable.and_then(|there| {
            let state = &mut self.nodes[there].state;
            let link = state.handle_accepted(address("10.1.0.0:50000"), self.now);
            Some((there, link.ok()?))
        });
        let Some(theirs) = accepted else {
            let state = &mut self.nodes[from].state;
            state.handle_dial_failed(dial, DialFailure::Refused, self.now);
            return self.drain(from);
        };
        let ours = self.nodes[from].state.handle_dial_succeeded(dial, self.now);
        let Some(ours) = ours.map(|link| (from, link)) else {
            self.drain(theirs.0);
            return self.closed_at(theirs, self.now);
        };
        for (end, to) in [(ours, theirs), (theirs, ours)] {
            let busy_until = self.now;
            self.pipes.insert(end, Pipe { to, busy_until });
            let state = &mut self.nodes[end.0].state;
            state.handle_credit(end.1, WINDOW, self.now);
        }
        self.drain(ours.0);
        self.drain(theirs.0);
    }

    fn drain(&mut self, n: usize) {
        while let Some(output) = self.nodes[n].state.poll_output() {
            match output {
                Output::Dial(dial, to) => {
                    let at = self.after_latency();
                    self.at(at, Happening::Dial(n, dial, to));
                }
                // Told all the same, late: it must do no harm.
                Output::CancelDial(_) => {}
                Output::Send { link, bytes, .. } => self.send((n, link), bytes),
                Output::Close(link, _) => {
                    if let Some(pipe) = self.pipes.remove(&(n, link)) {
                        self.closed_at(pipe.to, pipe.busy_until);
                    }
                }
                Output::Message(message) => {
                    if let Some((epoch, sequence)) = message.place {
                        let stream = (message.sender().clone(), epoch);
                        self.nodes[n].told.push((stream, sequence, sequence));
                    }
                    self.nodes[n].messages.push(message);
                }
                Output::Event(event) => {
                    if let Event::Gap {
                        origin,
                        epoch,
                        first,
                        last,
                        ..
                    } = &event
                    {
                        let stream = (origin.clone(), *epoch);
                        self.nodes[n].told.push((stream, *first, *last));
                    }
                    self.nodes[n].events.push(event);
                }
                Output::Persist(bytes) => self.nodes[n].saved.push(bytes),
            }
        }
    }

    fn send(&mut self, from: (usize, LinkId), bytes: Bytes) {
        self.sent += bytes.len();
        let after = self.after_latency();
        // A pipe that is gone: the bytes are lost on their way.
        let Some(pipe) = self.pipes.get_mut(&from) else {
            return;
        };
        if self.swallowed.contains(&(from.0, pipe.to.0)) {
            return;
        }
        pipe.busy_until = pipe.busy_until.max(after);
        let (at, to) = (pipe.busy_until, pipe.to);
        // Cut where chance has it.
        let middle = usize::try_from(self.chance.below(bytes.len() as u64)).expect("a length");
        for piece in [bytes.slice(..middle), bytes.slice(middle..)] {
            if !piece.is_empty() {
                self.at(at, Happening::Bytes(from, to, piece));
            }
        }
    }

    fn closed_at(&mut self, end: (usize, LinkId), at: Instant) {
        self.at(at.max(self.now), Happening::Closed(end));
    }

    fn after_latency(&mut self) -> Instant {
        let most = u64::try_from(self.latency.as_micros()).expect("short");
        let drawn = Duration::from_micros(1 + self.chance.below(most));
        self.now.saturating_add(drawn)
    }

    fn at(&mut self, at: Instant, happening: Happening) {
        self.last_number += 1;
        self.due.insert((at, self.last_number), happening);
    }
}
