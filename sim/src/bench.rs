//! How fast worlds run, and what their nodes take: a network that forms, rests, and carries broadcasts.
//!
//! The crate has no clock of its own, and asks nobody how much memory there is: whoever measures brings both, as a
//! [`Meter`]. The numbers of a machine that is shared by others mean little by themselves; [`Measured::bare`] is what the
//! same number of events cost in the same process without any protocol, and the ratio to that means more.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::facts::Fact;
use crate::mesh::Mesh;
use crate::queue::{Key, Queue};
use crate::scenario::{Bootstrap, Cutting, Ending, Limits, Net, Scenario};
use crate::time::Time;
use crate::world::World;

/// The clock and the scales of whoever measures.
pub trait Meter {
    /// Returns how much time has passed since any moment that stays the same.
    fn elapsed(&mut self) -> Duration;

    /// Returns how many bytes of memory the process holds, or 0 if that is not known.
    fn memory(&mut self) -> u64;
}

/// What is to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bench {
    /// Nodes of rs2p. Default: 1,000.
    pub nodes: u32,
    /// How long the network is given to form. Default: 30 s of virtual time.
    pub forms: Duration,
    /// For how long it then has nothing to do. Default: 60 s of virtual time.
    pub rests: Duration,
    /// Broadcasts, each of another node than the one before. Default: 100.
    pub messages: u32,
    /// The time between them. Default: 100 ms of virtual time.
    pub interval: Duration,
    /// The bytes of each. Default: 64.
    pub len: usize,
    /// What everything is drawn from. Default: 1.
    pub seed: u64,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            nodes: 1000,
            forms: Duration::from_secs(30),
            rests: Duration::from_secs(60),
            messages: 100,
            interval: Duration::from_millis(100),
            len: 64,
            seed: 1,
        }
    }
}

/// What one part of a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Chunks handled, deadlines, and what else happened to nodes.
    pub events: u64,
    /// Bytes that nodes read.
    pub carried: u64,
    /// Messages that applications got.
    pub deliveries: u64,
    /// How much virtual time it was.
    pub lasted: Duration,
    /// How long it took.
    pub took: Duration,
}

impl Part {
    /// Returns how many events there were in a second.
    pub fn events_per_second(&self) -> f64 {
        ratio(self.events, self.took)
    }

    /// Returns how many messages were delivered in a second.
    pub fn deliveries_per_second(&self) -> f64 {
        ratio(self.deliveries, self.took)
    }
}

/// What a run came to. Shown as text by [`Display`](fmt::Display).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// What was measured.
    pub bench: Bench,
    /// The network forms.
    pub forming: Part,
    /// It has nothing to do.
    pub resting: Part,
    /// It carries broadcasts.
    pub loaded: Part,
    /// As many events as in the last part, put in a queue and taken out, with nothing behind them.
    pub bare: Part,
    /// Bytes of memory for each node, after resting and after the load. 0: not known.
    pub memory: [u64; 2],
    /// Connections that are open when the network rests.
    pub conns: usize,
    /// A hash of all that happened: it is the same on every machine.
    pub hash: u64,
}

impl Bench {
    /// Measures.
    pub fn run(&self, meter: &mut dyn Meter) -> Measured {
        let before = meter.memory();
        let mut world = self.world();
        let mut memory = [0; 2];
        let forming = part(&mut world, meter, |world| world.run_for_drained(self.forms));
        let resting = part(&mut world, meter, |world| world.run_for_drained(self.rests));
        let per_node = |memory: u64| memory.saturating_sub(before) / u64::from(self.nodes.max(1));
        memory[0] = per_node(meter.memory());
        let conns = world.open_conns();
        let loaded = part(&mut world, meter, |world| {
            let mut deliveries = 0;
            for number in 0..self.messages {
                // A prime step, so that neighbouring numbers are far apart.
                let node = number.wrapping_mul(7919) % self.nodes.max(1);
                let mut payload = vec![0; self.len];
                for (byte, drawn) in payload.iter_mut().zip(number.to_be_bytes()) {
                    *byte = drawn;
                }
                world.publish(node, Bytes::from(payload));
                deliveries += world.run_for_drained(self.interval);
            }
            // The last one gets everywhere, and what neighbours say of it is said.
            deliveries + world.run_for_drained(Duration::from_secs(5))
        });
        memory[1] = per_node(meter.memory());
        Measured {
            bench: *self,
            forming,
            resting,
            loaded,
            bare: self.bare(loaded.events, meter),
            memory,
            conns,
            hash: world.hash(),
        }
    }

    fn world(&self) -> World<Mesh> {
        let limits = Limits {
            addresses: 32,
            ..Limits::default()
        };
        let scenario = Scenario {
            seed: self.seed,
            nodes: 1,
            kinds: Vec::new(),
            net: Net {
                cutting: Cutting::Whole,
                ..Net::default()
            },
            bootstrap: Bootstrap::Random,
            limits,
            load: Vec::new(),
            faults: Vec::new(),
            ending: Ending::Heal,
        };
        let maker = move |birth: &_, _| Some(Mesh::new(birth, &limits));
        let mut world = World::new(scenario, Box::new(maker));
        world.add_nodes(self.nodes.saturating_sub(1));
        world
    }

    /// Measures a queue that has as much to do and holds about as much, and nothing else.
    fn bare(&self, events: u64, meter: &mut dyn Meter) -> Part {
        let began = meter.elapsed();
        let mut queue = Queue::new();
        let net = Net::default();
        let latency = u64::from(net.latency_us) * 1000;
        for node in 0..self.nodes {
            let at = Time::from_nanos(u64::from(node) * 1_000);
            let key = Key {
                at,
                source: node,
                counter: 0,
            };
            // As large as what a world plans.
            queue.push(key, [u64::from(node), 0]);
        }
        let mut sum = 0;
        let mut now = Time::ZERO;
        for counter in 0..events {
            let Some((key, what)) = queue.pop() else {
                break;
            };
            sum ^= what[0];
            now = key.at;
            let key = Key {
                at: Time::from_nanos(key.at.as_nanos() + latency + sum % 1024),
                source: key.source,
                counter: u32::try_from(counter).unwrap_or(u32::MAX),
            };
            queue.push(key, what);
        }
        std::hint::black_box(sum);
        Part {
            events,
            lasted: now.since(Time::ZERO),
            took: meter.elapsed().saturating_sub(began),
            ..Part::default()
        }
    }
}

fn part(
    world: &mut World<Mesh>,
    meter: &mut dyn Meter,
    run: impl FnOnce(&mut World<Mesh>) -> u64,
) -> Part {
    let (events, carried, now) = (world.events(), world.carried(), world.now());
    let began = meter.elapsed();
    let deliveries = run(world);
    Part {
        events: world.events() - events,
        carried: world.carried() - carried,
        deliveries,
        lasted: world.now().since(now),
        took: meter.elapsed().saturating_sub(began),
    }
}

impl World<Mesh> {
    /// Lets everything happen for so long, and forgets what would have to be judged. Returns how many deliveries it was.
    fn run_for_drained(&mut self, length: Duration) -> u64 {
        let end = self.now().after(length);
        let mut deliveries = 0;
        while self.now() < end {
            let next = self.now().after(Duration::from_millis(20));
            self.run_until(next.min(end));
            let facts = self.take_facts();
            let delivered = facts
                .iter()
                .filter(|(_, fact)| matches!(fact, Fact::Delivered { .. }));
            deliveries += delivered.count() as u64;
            self.recycle(facts);
        }
        deliveries
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bench {
            nodes,
            messages,
            len,
            ..
        } = self.bench;
        writeln!(
            f,
            "{nodes} nodes, {} connections, {messages} broadcasts of {len} bytes",
            self.conns
        )?;
        writeln!(
            f,
            "          virtual s    events  bytes read  deliveries   seconds  events/s  deliveries/s"
        )?;
        for (name, part) in [
            ("forming", &self.forming),
            ("resting", &self.resting),
            ("loaded", &self.loaded),
            ("bare queue", &self.bare),
        ] {
            writeln!(
                f,
                "{name:<10}{:>9.1}{:>10}{:>12}{:>12}{:>10.2}{:>10.0}{:>14.0}",
                part.lasted.as_secs_f64(),
                part.events,
                part.carried,
                part.deliveries,
                part.took.as_secs_f64(),
                part.events_per_second(),
                part.deliveries_per_second(),
            )?;
        }
        let idle = self.resting.events as f64
            / f64::from(self.bench.nodes.max(1))
            / self.resting.lasted.as_secs_f64().max(1e-9);
        writeln!(f, "events per idle node and second: {idle:.3}")?;
        let slower = self.bare.events_per_second() / self.loaded.events_per_second().max(1e-9);
        writeln!(f, "the bare queue is faster by a factor of {slower:.1}")?;
        let [idle, after] = self.memory;
        writeln!(f, "bytes per node: {idle} idle, {after} after the load")?;
        write!(f, "hash {:016x}", self.hash)
    }
}

fn ratio(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}
