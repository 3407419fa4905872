//! Scripts told to the real packages, each node a process of its own on loopback.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rs2p_smol::{Encryption, MeshSocket, MessageKind, Protocol, Side};
use rs2p_tests::peers::{
    Flag, Flood, Peer, PeerMessage, PeerOptions, RoutingRow, next_address, value,
};
use serde::Deserialize as _;

use super::script::{Agreement, Heard, Kind, Link, Name, Outcome, Script, Stand, State, Step, Who};
use super::{burst_fault, stranger};

/// Far more than a step takes, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(15);

/// How often nodes are looked at. They do not tell when their tables change.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// How far a second may have gone when something begins that is to be over before the next one. In the beginning the
/// clock by which py2p tells the time still shows the one before: it goes on with the kernel's ticks.
const YOUNG: std::ops::Range<Duration> = Duration::from_millis(30)..Duration::from_millis(850);

/// The nodes of a script, running.
pub(super) struct Cast<'a> {
    script: &'a Script,
    /// The port of all, unless each has its own.
    port: Option<u16>,
    actors: Vec<Actor>,
    addresses: Vec<SocketAddrV4>,
    hidden: Vec<SocketAddrV4>,
    names: Vec<(String, Name)>,
    stranger: Option<TcpStream>,
    /// What the stranger was sent.
    read: Arc<Mutex<Vec<u8>>>,
    /// The second in which something was said last.
    last_said: u64,
}

enum Actor {
    Peer(Peer),
    Ours(Box<Ours>),
    Gone,
}

/// A node of rs2p, and what it has received.
struct Ours {
    socket: MeshSocket,
    heard: Vec<(bool, String, String)>,
}

/// A second of the calendar turned while something was said: what comes of that is another story, so it is told anew.
#[derive(Debug)]
pub(super) struct Spoiled;

impl<'a> Cast<'a> {
    /// Starts the nodes, or says loudly what is missing for that.
    pub(super) fn start(script: &'a Script) -> Option<Self> {
        let port = (!script.has_own_ports).then(|| next_address().port());
        let mut cast = Self {
            script,
            port,
            actors: Vec::new(),
            addresses: script.nodes.iter().map(|_| address(port)).collect(),
            hidden: script.nodes.iter().map(|_| address(port)).collect(),
            names: Vec::new(),
            stranger: None,
            read: Arc::default(),
            last_said: 0,
        };
        // Together, since most of it is waiting for interpreters.
        let actors: Vec<Option<Actor>> = thread::scope(|scope| {
            let starts: Vec<_> = (0..script.nodes.len())
                .map(|node| {
                    let cast = &cast;
                    scope.spawn(move || cast.begin_life(node))
                })
                .collect();
            let joined = starts.into_iter().map(thread::ScopedJoinHandle::join);
            joined.map(|it| it.expect("it starts")).collect()
        });
        cast.actors = actors.into_iter().collect::<Option<_>>()?;
        for node in 0..script.nodes.len() {
            cast.register(node);
        }
        Some(cast)
    }

    fn begin_life(&self, node: usize) -> Option<Actor> {
        let who = self.script.nodes[node];
        let start = match who.kind {
            Kind::Py2p => Peer::py2p,
            Kind::Js2p => Peer::js2p,
            Kind::Rs2p => return Some(Actor::Ours(Box::new(ours(who, self.addresses[node])))),
        };
        let mut options = PeerOptions::new()
            .address(self.addresses[node])
            .subnet(who.subnet);
        if who.is_hidden {
            let hidden = self.hidden[node];
            options = options.out_address(&hidden.ip().to_string(), hidden.port());
        }
        if !who.is_compressed {
            options = options.compression(&[]);
        }
        start(options).or_skip().map(Actor::Peer)
    }

    fn register(&mut self, node: usize) {
        let lives = self.lives_of(node);
        let id = self.actors[node].id();
        self.names.push((id, Name::Node(node, lives + 1)));
    }

    fn lives_of(&self, node: usize) -> u32 {
        let lives = self.names.iter();
        let lives =
            lives.filter(|(_, name)| matches!(name, Name::Node(other, _) if *other == node));
        u32::try_from(lives.count()).expect("few lives")
    }

    /// Returns the nodes in the order of their ids, the smallest first.
    pub(super) fn ranks(&self) -> Vec<usize> {
        let ids: Vec<&str> = self.names.iter().map(|(id, _)| id.as_str()).collect();
        super::ranks(&ids)
    }

    /// Tells the script. After each step it waits until things stand as they did with the models, but not for ever: what
    /// it returns is how they really stood then. It ends early where they never came to that.
    pub(super) fn play(mut self, modelled: &Outcome) -> Result<Outcome, Spoiled> {
        let mut outcome = Vec::new();
        let count = self.script.steps.len();
        for (number, step) in self.script.steps.iter().enumerate() {
            self.take(step)?;
            let is_free = self.script.agreement == Agreement::UpToTheBurst && number + 1 == count;
            let script = self.script;
            let is_there = |stand: &Stand| {
                if is_free {
                    burst_fault(script, stand).is_none()
                } else {
                    *stand == modelled[number]
                }
            };
            let stand = self.wait_until(step, is_there);
            let goes_on = is_there(&stand);
            outcome.push(stand);
            if !goes_on {
                break;
            }
        }
        Ok(outcome)
    }

    /// Waits until things stand as wanted, and returns how they stand in the end.
    fn wait_until(&mut self, step: &Step, is_there: impl Fn(&Stand) -> bool) -> Stand {
        let deadline = Instant::now() + LIMIT;
        loop {
            let stand = Stand {
                after: format!("{step:?}"),
                states: self.stand(),
                stranger: self.told_stranger(),
            };
            if is_there(&stand) || Instant::now() >= deadline {
                return stand;
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    fn take(&mut self, step: &Step) -> Result<(), Spoiled> {
        match step {
            Step::Join(by, to) => {
                let dialed = self.peer(*by).connect(self.addresses[*to]);
                dialed.expect("somebody listens there");
            }
            Step::Say(by, text) => {
                wait_for_a_young_second();
                let second = self.say(*by, text);
                is_still(second)?;
            }
            Step::SayTwice(by, text) => {
                wait_for_a_young_second();
                let second = self.say(*by, text);
                self.say(*by, text);
                is_still(second)?;
            }
            Step::SayLater(by, text) => {
                while now().as_secs() == self.last_said {
                    thread::sleep(LOOK_INTERVAL);
                }
                wait_for_a_young_second();
                let second = self.say(*by, text);
                is_still(second)?;
            }
            Step::Whisper(by, text) => {
                let text = value::bin(text.as_bytes());
                let sent = self.peer(*by).send([text], Flag::Whisper, None);
                sent.expect("it whispers");
            }
            Step::Burst(by, count, rest) => {
                let peer = self.peer(*by);
                let flood = Flood::new(*count).tag("burst");
                let flood = flood.size(super::burst_len(peer.id().len(), *rest));
                peer.flood(&flood).expect("it bursts");
            }
            Step::Disconnect(by, from) => {
                let id = self.actors[*from].id();
                let rows = self.peer(*by).routing().expect("a table");
                let row = rows.iter().find(|row| row.id_text() == id);
                let row = row.unwrap_or_else(|| panic!("no link to close: {rows:?}"));
                let closed = self.peer(*by).disconnect(&row.key);
                closed.expect("it disconnects");
            }
            Step::Leave(node) => {
                if let Actor::Peer(peer) = &self.actors[*node] {
                    peer.close();
                }
                self.actors[*node] = Actor::Gone;
            }
            Step::Return(node) => {
                // py2p cannot listen for a minute where it closed links that it had accepted.
                self.addresses[*node] = address(self.port);
                let started = self.begin_life(*node);
                self.actors[*node] = started.expect("it was there before");
                self.register(*node);
            }
            Step::Stranger(to, bits) => {
                let stream = TcpStream::connect(self.addresses[*to]).expect("it listens");
                stream.set_nodelay(true).expect("a TCP stream");
                let reading = stream.try_clone().expect("a TCP stream");
                let read = Arc::clone(&self.read);
                thread::spawn(move || read_all(reading, &read));
                self.stranger = Some(stream);
                self.stranger_writes(bits);
            }
            Step::StrangerWrites(bits) => self.stranger_writes(bits),
            Step::StrangerGoes => {
                let stream = self.stranger.take().expect("it is there");
                // The one who reads holds it as well. It may be closed already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        Ok(())
    }

    fn peer(&self, node: usize) -> &Peer {
        match &self.actors[node] {
            Actor::Peer(peer) => peer,
            Actor::Ours(_) | Actor::Gone => panic!("{node} is no package that is there"),
        }
    }

    /// Broadcasts, and returns the second in which that began.
    fn say(&mut self, by: usize, text: &str) -> u64 {
        let second = now().as_secs();
        self.last_said = second;
        match &self.actors[by] {
            Actor::Peer(peer) => {
                let text = value::bin(text.as_bytes());
                peer.send([text], Flag::Broadcast, None).expect("it says");
            }
            Actor::Ours(ours) => {
                let text = text.as_bytes().to_vec();
                ours.socket.broadcast(text).expect("it says");
            }
            Actor::Gone => panic!("{by} is gone"),
        }
        second
    }

    fn stranger_writes(&mut self, bits: &[super::script::Bit]) {
        let bytes = stranger::bytes(bits, now().as_secs());
        let stream = self.stranger.as_mut().expect("it is there");
        stream.write_all(&bytes).expect("there is room");
    }

    fn told_stranger(&self) -> Vec<String> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        stranger::told(&read)
    }

    fn stand(&mut self) -> Vec<Option<State>> {
        let names = self.names.clone();
        let name = |id: &str| {
            let known = names.iter().find(|(other, _)| other == id);
            let stranger = (id == stranger::ID).then_some(Name::Stranger);
            known
                .map(|(_, name)| name.clone())
                .or(stranger)
                .unwrap_or(Name::Nobody)
        };
        let states = self.actors.iter_mut().map(|actor| match actor {
            Actor::Peer(peer) => Some(state_of(peer, &name)),
            Actor::Ours(ours) => Some(ours.state(&name)),
            Actor::Gone => None,
        });
        states.collect()
    }
}

/// Reads until the other side closes.
fn read_all(mut stream: TcpStream, read: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        read.extend_from_slice(&buffer[..len]);
    }
}

impl Drop for Cast<'_> {
    /// Lets the one who reads for the stranger end.
    fn drop(&mut self) {
        if let Some(stream) = &self.stranger {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Actor {
    fn id(&self) -> String {
        match self {
            Self::Peer(peer) => peer.id().to_owned(),
            Self::Ours(ours) => ours.socket.id().as_str().to_owned(),
            Self::Gone => panic!("it is gone"),
        }
    }
}

/// Returns an address on a host that nobody has.
fn address(port: Option<u16>) -> SocketAddrV4 {
    let own = next_address();
    SocketAddrV4::new(*own.ip(), port.unwrap_or_else(|| own.port()))
}

fn state_of(peer: &Peer, name: &impl Fn(&str) -> Name) -> State {
    let status = peer.status().expect("a status");
    let rows = Vec::<RoutingRow>::deserialize(&status["routing"]).expect("a table");
    let links = rows.iter().map(|row| Link {
        to: name(&value::text(&row.key).unwrap_or_default()),
        is_dialed: row.outgoing,
        is_up: row.is_established(),
    });
    let mut links: Vec<Link> = links.collect();
    links.sort();
    let heard = peer.messages();
    State {
        heard: heard
            .iter()
            .map(|message| heard_of(message, name))
            .collect(),
        links,
        awaiting: usize::try_from(status["awaiting"].as_u64().expect("a number")).expect("few"),
    }
}

fn heard_of(message: &PeerMessage, name: &impl Fn(&str) -> Name) -> Heard {
    let text = message.user_packets().first().and_then(value::text);
    Heard {
        is_broadcast: message.main_type == value::int(0),
        from: name(&message.sender_text()),
        text: super::text(&text.unwrap_or_default()),
    }
}

fn ours(who: Who, address: SocketAddrV4) -> Ours {
    let binding = rs2p_smol::builder()
        .protocol(Protocol::new(who.subnet, Encryption::Plaintext))
        .listen(address.to_string())
        .bind();
    let socket = smol::block_on(binding).expect("it listens");
    let heard = Vec::new();
    Ours { socket, heard }
}

impl Ours {
    fn state(&mut self, name: &impl Fn(&str) -> Name) -> State {
        while let Some(message) = self.socket.try_recv().expect("it is open") {
            let packet = message.packets().iter().next();
            let text = match packet {
                Some(Ok(rs2p_smol::Value::Bin(bytes))) => String::from_utf8_lossy(&bytes).into(),
                other => format!("{other:?}"),
            };
            let is_broadcast = message.kind() == MessageKind::Broadcast;
            let from = message.sender().as_str().to_owned();
            self.heard.push((is_broadcast, from, super::text(&text)));
        }
        let heard = self.heard.iter().map(|(is_broadcast, from, text)| Heard {
            is_broadcast: *is_broadcast,
            from: name(from),
            text: text.clone(),
        });
        let peers = self.socket.peers().into_iter();
        let links = peers.map(|peer| Link {
            to: name(peer.id.as_str()),
            is_dialed: peer.side == Side::Dialed,
            is_up: true,
        });
        let mut links: Vec<Link> = links.collect();
        links.sort();
        State {
            heard: heard.collect(),
            links,
            awaiting: 0,
        }
    }
}

/// Returns the time since 1970.
fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a calendar that is not that wrong")
}

/// Waits until a second of the calendar is young, so that what is said next is said within it.
fn wait_for_a_young_second() {
    loop {
        let part = Duration::from_nanos(u64::from(now().subsec_nanos()));
        if YOUNG.contains(&part) {
            return;
        }
        // From the end of it on the way is around the turn.
        let begin = YOUNG.start + Duration::from_secs(u64::from(part >= YOUNG.end));
        thread::sleep(begin.saturating_sub(part));
    }
}

fn is_still(second: u64) -> Result<(), Spoiled> {
    if now().as_secs() == second {
        Ok(())
    } else {
        Err(Spoiled)
    }
}
