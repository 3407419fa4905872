//! Scripts told to the models, in a world with its own time.

use std::sync::Arc;

use bytes::Bytes;
use rs2p_core::Side;
use rs2p_sim::{
    Action, Back, Birth, Bootstrap, ConnId, Cutting, DialError, Ending, Fault, Flavour, Io, Jitter,
    Legacy, Limits, Mesh, MessageKey, Net, Node, NodeStatus, PeerKey, Pick, Place, Receipt,
    Refusal, Scenario, Stop, Time, Timed, World,
};

use super::script::{Heard, Kind, Link, Name, Outcome, Script, Stand, State, Step, Who};
use super::stranger;

/// How long each step is given. Everything that comes of one is over in a few milliseconds, but for a dial to nobody.
const STEP_MS: u32 = 5000;

/// When the first step is taken: while a second of the calendar is young, and after all nodes have started.
const BEGIN_MS: u64 = 1300;

/// How many seeds are tried until the ids are in the wanted order.
const SEEDS: u64 = 10_000;

/// Tells a script to models whose ids are in the order given: `ranks` names the nodes, the one with the smallest id first.
pub(super) fn play(script: &Script, ranks: &[usize]) -> Outcome {
    let found = (0..SEEDS).find_map(|seed| {
        let mut world = world(script, seed);
        world.run_until(Time::from_millis(BEGIN_MS));
        let mut names = Vec::new();
        register(&world, &mut names);
        let ids: Vec<&str> = names.iter().map(|(id, _)| id.as_str()).collect();
        (super::ranks(&ids) == ranks).then_some((world, names))
    });
    let (mut world, mut names) = found.expect("any order comes up sooner or later");
    world.begin_storm();
    let mut outcome = Vec::new();
    for (number, step) in (0..).zip(&script.steps) {
        take_step(&mut world, script, number, step, &names);
        register(&world, &mut names);
        outcome.push(Stand {
            after: format!("{step:?}"),
            states: stand(&world, script, &names),
            stranger: told_stranger(&world, script),
        });
    }
    outcome
}

fn take_step(
    world: &mut World<Puppet>,
    script: &Script,
    number: u32,
    step: &Step,
    names: &[(String, Name)],
) {
    let begin = BEGIN_MS + u64::from(number * STEP_MS);
    world.run_until(Time::from_millis(begin));
    // The scenario lets nodes leave and come back by itself.
    if !matches!(step, Step::Leave(_) | Step::Return(_)) {
        let by = step.by().unwrap_or(script.nodes.len());
        let by = u32::try_from(by).expect("few nodes");
        let other = id_of_other(step, names);
        let order = [&number.to_be_bytes(), other.as_bytes()].concat();
        assert!(world.publish(by, order.into()), "{by} is there");
    }
    world.run_until(Time::from_millis(begin + u64::from(STEP_MS) - 1));
}

/// Returns the id of the node that a user names to its own, in its latest life; empty if none is named.
fn id_of_other(step: &Step, names: &[(String, Name)]) -> String {
    let Step::Disconnect(_, from) = step else {
        return String::new();
    };
    let mut latest = names.iter().rev();
    let found = latest.find(|(_, name)| matches!(name, Name::Node(node, _) if node == from));
    found.map(|(id, _)| id.clone()).unwrap_or_default()
}

/// Adds the ids of all lives that began to the names.
fn register(world: &World<Puppet>, names: &mut Vec<(String, Name)>) {
    for node in 0..world.nodes() {
        let puppet = world.node(node);
        let named = puppet.and_then(|puppet| {
            let name = Name::Node(usize::try_from(node).ok()?, puppet.life);
            Some((puppet.id()?, name))
        });
        names.extend(named.filter(|(_, name)| names.iter().all(|(_, other)| other != name)));
    }
}

fn stand(world: &World<Puppet>, script: &Script, names: &[(String, Name)]) -> Vec<Option<State>> {
    let nodes = 0..u32::try_from(script.nodes.len()).expect("few nodes");
    let states = nodes.map(|node| world.node(node).map(|puppet| puppet.state(names)));
    states.collect()
}

fn told_stranger(world: &World<Puppet>, script: &Script) -> Vec<String> {
    let number = u32::try_from(script.nodes.len()).expect("few nodes");
    let puppet = world.node(number).expect("the stranger is always there");
    let Inner::Stranger(stranger) = &puppet.inner else {
        panic!("the last one is the stranger");
    };
    stranger::told(&stranger.read)
}

/// A calm and quick network, in which nothing goes wrong but that nodes leave as the script says.
fn world(script: &Script, seed: u64) -> World<Puppet> {
    let nodes = u16::try_from(script.nodes.len() + 1).expect("few nodes");
    let scenario = Scenario {
        seed,
        nodes,
        kinds: Vec::new(),
        net: Net {
            latency_us: 100,
            spread_ppm: 0,
            jitter: Jitter::None,
            jitter_us: 0,
            // What the kernels on both sides of a loopback connection hold, about.
            window: 4 << 20,
            // A reader on loopback finds all that was written while it did something else.
            cutting: Cutting::Together,
            lateness_us: 0,
            drift_ppm: 0,
            ..Net::default()
        },
        bootstrap: Bootstrap::One,
        limits: Limits::default(),
        load: Vec::new(),
        faults: leaves(script),
        ending: Ending::Heal,
    };
    let script = Arc::new(script.clone());
    let maker = move |birth: &Birth, _| Some(Puppet::new(birth, &script));
    World::new(scenario, Box::new(maker))
}

fn leaves(script: &Script) -> Vec<Timed<Fault>> {
    let mut faults: Vec<Timed<Fault>> = Vec::new();
    for (number, step) in (0..).zip(&script.steps) {
        let at_ms = number * STEP_MS;
        let node = Pick(u16::try_from(step.by().unwrap_or(0)).expect("few nodes"));
        if matches!(step, Step::Leave(_)) {
            let (kind, back) = (Stop::Leave, None);
            faults.push(Timed {
                at_ms,
                lasts_ms: 0,
                what: Fault::Stop { node, kind, back },
            });
        } else if matches!(step, Step::Return(_)) {
            let last = faults.iter_mut().rev().find(
                |timed| matches!(timed.what, Fault::Stop { node: other, .. } if other == node),
            );
            let last = last.expect("who comes back has left");
            last.lasts_ms = at_ms - last.at_ms;
            if let Fault::Stop { back, .. } = &mut last.what {
                *back = Some(Back::New);
            }
        }
    }
    faults
}

/// A model, and what its user does: the number of a step is handed in as if it were a message.
struct Puppet {
    life: u32,
    script: Arc<Script>,
    inner: Inner,
    heard: Vec<(bool, PeerKey, String)>,
}

enum Inner {
    Legacy(Box<Legacy>),
    Mesh(Box<Mesh>),
    Stranger(Stranger),
}

impl Puppet {
    fn new(birth: &Birth, script: &Arc<Script>) -> Self {
        let number = usize::try_from(birth.node).expect("few nodes");
        // Only users dial.
        let birth = Birth {
            seeds: Vec::new(),
            ..birth.clone()
        };
        let inner = match script.nodes.get(number) {
            Some(who) => Inner::new(&birth, *who, script.has_own_ports),
            None => Inner::Stranger(Stranger::default()),
        };
        Self {
            life: birth.life,
            script: Arc::clone(script),
            inner,
            heard: Vec::new(),
        }
    }

    fn id(&self) -> Option<String> {
        match &self.inner {
            Inner::Legacy(node) => Some(node.id().to_owned()),
            Inner::Mesh(node) => Some(node.state().id().as_str().to_owned()),
            Inner::Stranger(_) => None,
        }
    }

    fn state(&self, names: &[(String, Name)]) -> State {
        let name = |is_it: &dyn Fn(&str) -> bool| {
            let known = names.iter().find(|(id, _)| is_it(id));
            let stranger = is_it(stranger::ID).then_some(Name::Stranger);
            known
                .map(|(_, name)| name.clone())
                .or(stranger)
                .unwrap_or(Name::Nobody)
        };
        let heard = self.heard.iter().map(|(is_broadcast, from, text)| Heard {
            is_broadcast: *is_broadcast,
            from: name(&|id| PeerKey::of_id(id.as_bytes()) == *from),
            text: text.clone(),
        });
        let links = self.links().into_iter();
        let links = links.map(|(id, is_dialed, is_up)| Link {
            to: name(&|other| other == id),
            is_dialed,
            is_up,
        });
        let mut links: Vec<Link> = links.collect();
        links.sort();
        State {
            heard: heard.collect(),
            links,
            awaiting: match &self.inner {
                Inner::Legacy(node) => node.awaiting(),
                Inner::Mesh(_) | Inner::Stranger(_) => 0,
            },
        }
    }

    fn links(&self) -> Vec<(String, bool, bool)> {
        match &self.inner {
            Inner::Legacy(node) => {
                let rows = node.routing().into_iter();
                rows.map(|row| (row.id, row.is_dialed, row.is_up)).collect()
            }
            Inner::Mesh(node) => {
                let peers = node.state().peers();
                let peers = peers
                    .into_iter()
                    .map(|it| (it.id.as_str().to_owned(), it.side == Side::Dialed, true));
                peers.collect()
            }
            Inner::Stranger(_) => Vec::new(),
        }
    }

    /// Lets the model handle something, and hears what it has for its application.
    fn with<T>(&mut self, io: &mut Io<'_>, act: impl FnOnce(&mut Inner, &mut Io<'_>) -> T) -> T {
        let mut actions = Vec::new();
        let mut inner_io = Io::new(io.now(), io.wall(), &mut actions);
        let result = act(&mut self.inner, &mut inner_io);
        for action in actions {
            if let Action::Deliver(delivery) = &action {
                let text = String::from_utf8_lossy(&delivery.payload);
                let text = super::text(&text);
                self.heard
                    .push((!delivery.is_private, delivery.sender, text));
            }
            io.act(action);
        }
        result
    }
}

impl Inner {
    fn new(birth: &Birth, who: Who, has_own_port: bool) -> Self {
        let flavour = match who.kind {
            Kind::Py2p => Flavour::Py2p,
            Kind::Js2p => Flavour::Js2p,
            Kind::Rs2p => return Self::Mesh(Box::new(Mesh::new(birth, &Limits::default()))),
        };
        let mut node = Legacy::with_subnet(birth, flavour, who.subnet);
        if has_own_port {
            node = node.with_own_port();
        }
        if who.is_hidden {
            node = node.hidden();
        }
        if !who.is_compressed {
            node = node.uncompressed();
        }
        Self::Legacy(Box::new(node))
    }

    fn node(&mut self) -> &mut dyn Node {
        match self {
            Self::Legacy(node) => node.as_mut(),
            Self::Mesh(node) => node.as_mut(),
            Self::Stranger(node) => node,
        }
    }

    fn as_node(&self) -> &dyn Node {
        match self {
            Self::Legacy(node) => node.as_ref(),
            Self::Mesh(node) => node.as_ref(),
            Self::Stranger(node) => node,
        }
    }

    /// Does what a user does. `other` is the id of the node that the step names, if it names one by its id.
    fn take(&mut self, step: &Step, other: &str, io: &mut Io<'_>) {
        match (self, step) {
            (Self::Legacy(node), Step::Disconnect(..)) => node.disconnect(other, io),
            (Self::Legacy(node), Step::Join(_, to)) => node.connect(place(*to), io),
            (Self::Legacy(node), Step::Whisper(_, text)) => {
                node.whisper_to_all(&Bytes::copy_from_slice(text.as_bytes()), io);
            }
            (Self::Legacy(node), Step::Burst(_, count, rest)) => {
                for number in 0..*count {
                    let text = super::burst_text(number, node.id().len(), *rest);
                    say(node.as_mut(), &text, io);
                }
            }
            (Self::Stranger(node), Step::Stranger(to, bits)) => {
                node.waiting = stranger::bytes(bits, io.wall().as_secs());
                io.act(Action::Dial(1, place(*to)));
            }
            (Self::Stranger(node), Step::StrangerWrites(bits)) => {
                node.waiting = stranger::bytes(bits, io.wall().as_secs());
                node.flush(io);
            }
            (Self::Stranger(node), Step::StrangerGoes) => {
                if let Some(conn) = node.conn.take() {
                    io.act(Action::Close(conn, "it goes".to_owned()));
                }
            }
            (node, Step::Say(_, text) | Step::SayLater(_, text)) => say(node.node(), text, io),
            (node, Step::SayTwice(_, text)) => {
                say(node.node(), text, io);
                say(node.node(), text, io);
            }
            (_, step) => panic!("this node cannot do {step:?}"),
        }
    }
}

fn say(node: &mut dyn Node, text: &str, io: &mut Io<'_>) {
    let payload = Bytes::copy_from_slice(text.as_bytes());
    node.publish(&payload, io).expect("it takes what is said");
}

fn place(node: usize) -> Place {
    Place(u32::try_from(node).expect("few nodes"))
}

impl Node for Puppet {
    fn on_start(&mut self, io: &mut Io<'_>) {
        self.with(io, |inner, io| inner.node().on_start(io));
    }

    fn on_accepted(&mut self, conn: ConnId, from: Place, io: &mut Io<'_>) {
        self.with(io, |inner, io| inner.node().on_accepted(conn, from, io));
    }

    fn on_dialed(&mut self, dial: u64, conn: ConnId, io: &mut Io<'_>) {
        self.with(io, |inner, io| inner.node().on_dialed(dial, conn, io));
    }

    fn on_dial_failed(&mut self, dial: u64, why: DialError, io: &mut Io<'_>) {
        self.with(io, |inner, io| inner.node().on_dial_failed(dial, why, io));
    }

    fn on_bytes(&mut self, conn: ConnId, bytes: &Bytes, io: &mut Io<'_>) {
        self.with(io, |inner, io| inner.node().on_bytes(conn, bytes, io));
    }

    fn on_room(&mut self, conn: ConnId, more: usize, io: &mut Io<'_>) {
        self.with(io, |inner, io| inner.node().on_room(conn, more, io));
    }

    fn on_closed(&mut self, conn: ConnId, io: &mut Io<'_>) {
        self.with(io, |inner, io| inner.node().on_closed(conn, io));
    }

    fn on_deadline(&mut self, io: &mut Io<'_>) {
        self.with(io, |inner, io| inner.node().on_deadline(io));
    }

    fn deadline(&self) -> Option<std::time::Duration> {
        self.inner.as_node().deadline()
    }

    /// Takes the step of the script that has this number.
    fn publish(&mut self, order: &Bytes, io: &mut Io<'_>) -> Result<Receipt, Refusal> {
        let (number, other) = order.split_first_chunk().expect("the number of a step");
        let number = usize::try_from(u32::from_be_bytes(*number)).expect("few steps");
        let other = String::from_utf8_lossy(other);
        let script = Arc::clone(&self.script);
        self.with(io, |inner, io| {
            inner.take(&script.steps[number], &other, io)
        });
        Ok(Receipt {
            key: MessageKey(0),
            position: None,
        })
    }

    fn leave(&mut self, io: &mut Io<'_>) {
        self.with(io, |inner, io| inner.node().leave(io));
    }

    fn identity(&self) -> Option<PeerKey> {
        self.inner.as_node().identity()
    }

    fn status(&self) -> NodeStatus {
        self.inner.as_node().status()
    }
}

/// Dials whom it is told to, and writes what it is told to.
#[derive(Default)]
struct Stranger {
    conn: Option<ConnId>,
    room: usize,
    waiting: Vec<u8>,
    read: Vec<u8>,
}

impl Stranger {
    /// Writes what waits in one piece, once there is room for that.
    fn flush(&mut self, io: &mut Io<'_>) {
        if let Some(conn) = self.conn
            && !self.waiting.is_empty()
            && self.room >= self.waiting.len()
        {
            self.room -= self.waiting.len();
            let bytes = std::mem::take(&mut self.waiting);
            io.act(Action::Write(conn, bytes.into()));
        }
    }
}

impl Node for Stranger {
    fn on_start(&mut self, _io: &mut Io<'_>) {}

    fn on_accepted(&mut self, conn: ConnId, _from: Place, io: &mut Io<'_>) {
        io.act(Action::Close(conn, "nobody listens here".to_owned()));
    }

    fn on_dialed(&mut self, _dial: u64, conn: ConnId, io: &mut Io<'_>) {
        self.conn = Some(conn);
        self.flush(io);
    }

    fn on_dial_failed(&mut self, _dial: u64, _why: DialError, _io: &mut Io<'_>) {}

    fn on_bytes(&mut self, _conn: ConnId, bytes: &Bytes, _io: &mut Io<'_>) {
        self.read.extend_from_slice(bytes);
    }

    fn on_room(&mut self, _conn: ConnId, more: usize, io: &mut Io<'_>) {
        self.room += more;
        self.flush(io);
    }

    fn on_closed(&mut self, _conn: ConnId, _io: &mut Io<'_>) {
        self.conn = None;
    }

    fn on_deadline(&mut self, _io: &mut Io<'_>) {}

    fn deadline(&self) -> Option<std::time::Duration> {
        None
    }

    fn publish(&mut self, _payload: &Bytes, _io: &mut Io<'_>) -> Result<Receipt, Refusal> {
        Err(Refusal::Never("it has nothing to say".to_owned()))
    }

    fn leave(&mut self, io: &mut Io<'_>) {
        io.act(Action::Ended);
    }

    fn identity(&self) -> Option<PeerKey> {
        None
    }

    fn status(&self) -> NodeStatus {
        NodeStatus::default()
    }
}
