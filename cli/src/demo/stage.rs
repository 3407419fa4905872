//! The nodes of the demonstration, what they report, and what is shown of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use rs2p_smol::{Address, Builder, Config, Event, MeshSocket, NodeId};
use smol::channel::{Receiver, Sender, unbounded};
use smol::future::or;
use smol::stream::StreamExt as _;
use smol::{Task, Timer};

use super::cable::Cable;
use super::ledger::Ledger;
use super::mortal::Mortal;
use super::{HEALING, PATIENCE};
use crate::exit::Failure;
use crate::paint::{Paint, Style};

/// A node dials one other of its own accord. With more, five nodes would soon all be linked to each
/// other, and the loss of one would be nothing to see.
const MAX_DIALED: usize = 1;

/// A lost neighbour is dialled again after a second or two, however often that failed: nobody watches for a minute.
const REDIAL_MAX: Duration = Duration::from_secs(2);

/// How long to rest before each scene, if there is a person to watch.
const PAUSE: Duration = Duration::from_millis(600);

/// Something that a node has met with.
#[derive(Debug)]
struct Report {
    at: Instant,
    node: &'static str,
    what: What,
}

#[derive(Debug)]
enum What {
    Heard { sender: NodeId, text: String },
    Event(Event),
}

#[derive(Debug)]
struct Actor {
    socket: MeshSocket,
    runtime: Mortal,
    address: Address,
    /// They report what it meets with, and end with the socket.
    reporters: [Task<()>; 2],
}

/// All nodes, and the account of what they do.
#[derive(Debug)]
pub(super) struct Stage {
    start: Instant,
    paint: Paint,
    alive: BTreeMap<&'static str, Actor>,
    /// All that there ever were.
    names: BTreeMap<NodeId, &'static str>,
    /// The same, in the order in which they came.
    cast: Vec<&'static str>,
    /// Who is linked to whom, as far as it was shown.
    links: BTreeMap<&'static str, BTreeSet<&'static str>>,
    /// When each node was last told of the loss of another.
    losses: BTreeMap<(&'static str, &'static str), Instant>,
    crashed_at: Option<Instant>,
    cable: Cable,
    ledger: Ledger,
    reports: Receiver<Report>,
    reporter: Sender<Report>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let (reporter, reports) = unbounded();
        Self {
            start: Instant::now(),
            paint: Paint::for_output(&io::stdout()),
            alive: BTreeMap::new(),
            names: BTreeMap::new(),
            cast: Vec::new(),
            links: BTreeMap::new(),
            losses: BTreeMap::new(),
            crashed_at: None,
            cable: Cable::default(),
            ledger: Ledger::default(),
            reports,
            reporter,
        }
    }

    /// Shows what comes next. A person is given the time to read what came before.
    pub(super) async fn scene(&mut self, text: &str) -> Result<(), Failure> {
        if io::stdout().is_terminal() && !self.names.is_empty() {
            self.watch(PAUSE).await?;
        }
        write(format_args!("\n{}\n", self.paint.with(Style::Bold, text)))
    }

    /// Starts a node, which knows of another, or of nobody.
    pub(super) async fn enter(
        &mut self,
        name: &'static str,
        knows: Option<&str>,
    ) -> Result<(), Failure> {
        let runtime = Mortal::on(&self.cable);
        let config = Config {
            max_dialed: MAX_DIALED,
            redial_max: REDIAL_MAX,
            ..Config::default()
        };
        let builder = Builder::new(runtime.clone()).config(config);
        let bound = builder.listen("127.0.0.1:0").bind().await;
        let socket = bound.map_err(Failure::failed)?;
        let [address] = socket.local_addresses() else {
            return Err(Failure::failed("a listener has no address"));
        };
        let address = address.clone();
        self.names.insert(socket.id().clone(), name);
        self.cast.push(name);
        let reporters = self.report(name, &socket);
        let known = knows.and_then(|knows| self.alive.get(knows));
        match (knows, known) {
            (Some(knows), Some(known)) => {
                let to = &known.address;
                self.show(
                    name,
                    format_args!("listens on {address}, and dials {knows} at {to}"),
                )?;
                socket.add_seed(to).map_err(Failure::failed)?;
            }
            _ => self.show(name, format_args!("listens on {address}"))?,
        }
        let actor = Actor {
            socket,
            runtime,
            address,
            reporters,
        };
        self.alive.insert(name, actor);
        Ok(())
    }

    fn report(&self, node: &'static str, socket: &MeshSocket) -> [Task<()>; 2] {
        let mut events = socket.events();
        let reporter = self.reporter.clone();
        let tell_events = async move {
            while let Some(event) = events.next().await {
                let Ok(event) = event else { continue };
                report(&reporter, node, What::Event(event));
            }
        };
        let mut messages = socket.messages();
        let reporter = self.reporter.clone();
        let tell_messages = async move {
            while let Some(message) = messages.next().await {
                let Ok(message) = message else { continue };
                let what = What::Heard {
                    sender: message.sender().clone(),
                    text: message.text().unwrap_or_default(),
                };
                report(&reporter, node, what);
            }
        };
        [smol::spawn(tell_events), smol::spawn(tell_messages)]
    }

    /// Waits until two nodes are linked, as both see it.
    pub(super) async fn until_linked(&mut self, one: &str, other: &str) -> Result<(), Failure> {
        let is_linked = |stage: &Self| {
            stage.neighbours(one).contains(other) && stage.neighbours(other).contains(one)
        };
        if self.until(is_linked).await? {
            return Ok(());
        }
        Err(self.give_up(&format!("{one} and {other} are not linked")))
    }

    /// Has every node send a message, and waits until all others have it.
    pub(super) async fn exchange(&mut self, round: &str, greeting: &str) -> Result<(), Failure> {
        self.all_send(round, greeting)?;
        // What is missing shows up in the account.
        self.until(|stage| stage.ledger.is_complete()).await?;
        Ok(())
    }

    fn all_send(&mut self, round: &str, greeting: &str) -> Result<(), Failure> {
        self.ledger.begin_round(round);
        let names: Vec<&str> = self.alive.keys().copied().collect();
        for name in &names {
            let text = format!("{greeting}, says {name}");
            let others = names.iter().filter(|other| *other != name);
            self.ledger.sent(&text, others.map(ToString::to_string));
            self.show(name, format_args!("sends \"{text}\""))?;
            let sent = self
                .alive
                .get(name)
                .map(|actor| actor.socket.broadcast(text));
            if let Some(Err(error)) = sent {
                self.ledger
                    .troubles
                    .push(format!("{name} cannot send: {error}"));
            }
        }
        Ok(())
    }

    /// Cuts the network in two, and waits until both halves have noticed. Returns who is in the first half.
    pub(super) async fn cut(&mut self) -> Result<BTreeSet<&'static str>, Failure> {
        let Some(half) = self.half() else {
            return Err(self.give_up("there are no two halves to cut apart"));
        };
        let apart = half.iter().filter_map(|name| self.alive.get(name));
        self.cable
            .cut(apart.filter_map(|actor| actor.runtime.address()).collect());
        let is_noticed = |stage: &Self| !stage.has_link_across(&half);
        if !self.until(is_noticed).await? {
            return Err(self.give_up("the halves are still linked"));
        }
        Ok(half)
    }

    /// Has every node send a message while the network is cut, and waits until those on its own side have it. Returns how
    /// many deliveries wait for the others.
    pub(super) async fn exchange_apart(
        &mut self,
        half: &BTreeSet<&'static str>,
        round: &str,
        greeting: &str,
    ) -> Result<usize, Failure> {
        self.all_send(round, greeting)?;
        let far = half.len() * (self.alive.len() - half.len()) * 2;
        let is_told_here = |stage: &Self| stage.ledger.missing().len() <= far;
        if !self.until(is_told_here).await? {
            return Err(self.give_up("not everybody in a half has heard the others there"));
        }
        Ok(self.ledger.missing().len())
    }

    /// Mends the network, and waits until all is everywhere.
    pub(super) async fn mend(&mut self) -> Result<(), Failure> {
        let mended = Instant::now();
        self.cable.mend();
        let is_healed = |stage: &Self| stage.ledger.is_complete() && stage.is_connected();
        if !self.until_or(HEALING, is_healed).await? {
            return Err(self.give_up("the network has not healed"));
        }
        let took = mended.elapsed();
        self.ledger.times.push(("healed after".to_owned(), took));
        Ok(())
    }

    /// Returns about half of the nodes that hang together, such that the others hang together, too.
    fn half(&self) -> Option<BTreeSet<&'static str>> {
        let names: Vec<&'static str> = self.alive.keys().copied().collect();
        let halves = (1_u32..1 << names.len()).map(|mask| {
            let is_in =
                |(place, name): (usize, &&'static str)| (mask >> place & 1 == 1).then_some(*name);
            names
                .iter()
                .enumerate()
                .filter_map(is_in)
                .collect::<BTreeSet<_>>()
        });
        let hang_together = |half: &BTreeSet<&'static str>| {
            let others = names.iter().copied().filter(|name| !half.contains(name));
            half.len() == names.len() / 2
                && self.are_connected(half)
                && self.are_connected(&others.collect())
        };
        halves.into_iter().find(hang_together)
    }

    fn has_link_across(&self, half: &BTreeSet<&'static str>) -> bool {
        self.alive.keys().any(|name| {
            let mut neighbours = self.neighbours(name).into_iter();
            neighbours.any(|other| half.contains(name) != half.contains(other))
        })
    }

    /// Ends a node as a crash would.
    pub(super) fn crash(&mut self, name: &str) -> Result<(), Failure> {
        let Some((name, actor)) = self.alive.remove_entry(name) else {
            return Err(Failure::failed(format_args!("there is no {name}")));
        };
        self.show(name, self.paint.with(Style::Warning, "crashes"))?;
        self.crashed_at = Some(Instant::now());
        self.links.remove(name);
        // What it has heard until now counts; nothing that it does from now on is of interest.
        let Actor {
            runtime, reporters, ..
        } = actor;
        drop(reporters);
        runtime.kill();
        Ok(())
    }

    /// Waits until those who are left have noticed a crash, and are one network again.
    pub(super) async fn until_whole(&mut self, crashed: &'static str) -> Result<(), Failure> {
        let crash = self.crashed_at.unwrap_or_else(Instant::now);
        let orphans: Vec<_> = self
            .alive
            .keys()
            .copied()
            .filter(|name| self.neighbours(name).contains(crashed))
            .collect();
        let is_whole = |stage: &Self| {
            let has_noticed = |name: &&'static str| stage.losses.contains_key(&(*name, crashed));
            orphans.iter().all(has_noticed) && stage.is_connected()
        };
        if !self.until(is_whole).await? {
            return Err(self.give_up("the network is not whole again"));
        }
        for name in orphans {
            if let Some(at) = self.losses.get(&(name, crashed)) {
                let took = at.saturating_duration_since(crash);
                let what = format!("{name} notices the crash after");
                self.ledger.times.push((what, took));
            }
        }
        let took = crash.elapsed();
        self.ledger
            .times
            .push(("whole again after".to_owned(), took));
        Ok(())
    }

    /// Shows what happens for a while, whatever it is.
    pub(super) async fn watch(&mut self, time: Duration) -> Result<(), Failure> {
        self.until_or(time, |_| false).await?;
        Ok(())
    }

    /// Closes all nodes, and judges.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        for actor in std::mem::take(&mut self.alive).into_values() {
            actor.socket.close().await;
            // What was received before it closed is told.
            for reporter in actor.reporters {
                reporter.await;
            }
        }
        while let Ok(report) = self.reports.try_recv() {
            self.take(report, false)?;
        }
        self.scene("account").await?;
        write(format_args!("{}\n", self.ledger.table(self.paint)))?;
        let faults = self.ledger.faults();
        if faults.is_empty() {
            let result = "every message arrived everywhere, exactly once";
            return write(format_args!("{}\n", self.paint.with(Style::Good, result)));
        }
        Err(Failure::failed(faults.join("\nrs2p: ")))
    }

    /// Tells what is missing, and what is known by then.
    fn give_up(&self, what: &str) -> Failure {
        let seconds = PATIENCE.as_secs_f64();
        let mut reason = format!("after {seconds} s {what}");
        for name in self.alive.keys() {
            let neighbours: Vec<_> = self.neighbours(name).into_iter().collect();
            reason += &format!("\nrs2p: {name} is linked to: {}", neighbours.join(", "));
        }
        Failure::failed(reason)
    }

    /// Takes reports until a condition holds, but no longer than is decent. Returns whether it does.
    async fn until(&mut self, holds: impl Fn(&Self) -> bool) -> Result<bool, Failure> {
        self.until_or(PATIENCE, holds).await
    }

    async fn until_or(
        &mut self,
        limit: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<bool, Failure> {
        let deadline = Instant::now() + limit;
        loop {
            if self.reports.is_empty() && holds(self) {
                return Ok(true);
            }
            let report = async { self.reports.recv().await.ok() };
            let given_up = async {
                Timer::at(deadline).await;
                None
            };
            match or(report, given_up).await {
                Some(report) => self.take(report, true)?,
                None => return Ok(false),
            }
        }
    }

    /// Enters a report into the account, and shows it.
    fn take(&mut self, report: Report, shows_links: bool) -> Result<(), Failure> {
        let Report { at, node, what } = report;
        match what {
            What::Heard { sender, text } => {
                self.ledger.delivered(&text, node);
                let sender = self.name_of(&sender);
                self.show_at(at, node, format_args!("hears {sender}: \"{text}\""))
            }
            What::Event(Event::PeerUp(peer)) if shows_links => {
                let peer = self.name_of(&peer.id);
                self.links.entry(node).or_default().insert(peer);
                self.show_at(at, node, format_args!("is linked to {peer}"))
            }
            What::Event(Event::PeerDown { peer, reason }) if shows_links => {
                let peer = self.name_of(&peer.id);
                self.losses.insert((node, peer), at);
                self.links.entry(node).or_default().remove(peer);
                let line = format!("has lost {peer}: {reason}");
                self.show_at(at, node, self.paint.with(Style::Warning, line))
            }
            What::Event(Event::DialFailed { address, error, .. }) if shows_links => {
                self.show_at(at, node, format_args!("cannot reach {address}: {error}"))
            }
            What::Event(Event::Isolated) if shows_links => self.show_at(at, node, "is alone"),
            What::Event(_) => Ok(()),
        }
    }

    fn neighbours(&self, name: &str) -> BTreeSet<&'static str> {
        self.links.get(name).cloned().unwrap_or_default()
    }

    /// Returns whether every node can be reached from every other.
    fn is_connected(&self) -> bool {
        self.are_connected(&self.alive.keys().copied().collect())
    }

    /// Returns whether each of these can be reached from every other by way of these alone.
    fn are_connected(&self, these: &BTreeSet<&'static str>) -> bool {
        let mut reached = BTreeSet::new();
        let mut to_visit: Vec<&str> = these.first().copied().into_iter().collect();
        while let Some(name) = to_visit.pop() {
            if these.contains(name) && reached.insert(name) {
                to_visit.extend(self.neighbours(name));
            }
        }
        reached.len() == these.len()
    }

    fn name_of(&self, id: &NodeId) -> &'static str {
        self.names.get(id).copied().unwrap_or("a stranger")
    }

    fn show(&self, node: &str, text: impl Display) -> Result<(), Failure> {
        self.show_at(Instant::now(), node, text)
    }

    fn show_at(&self, at: Instant, node: &str, text: impl Display) -> Result<(), Failure> {
        let time = at.saturating_duration_since(self.start).as_secs_f64();
        let time = self.paint.with(Style::Dim, format!("{time:7.3} s"));
        let number = self.cast.iter().position(|name| *name == node);
        let number = number.and_then(|number| u8::try_from(number).ok());
        let style = Style::Name(number.unwrap_or_default());
        let name = self.paint.with(style, node);
        write(format_args!("{time}  {name:5} {text}\n"))
    }
}

fn report(reporter: &Sender<Report>, node: &'static str, what: What) {
    let at = Instant::now();
    // Nobody listens any more once the demonstration has failed.
    let _ = reporter.try_send(Report { at, node, what });
}

/// Writes at once: it is to be seen as it happens.
fn write(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = write!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|error| Failure::output(&error))
}
