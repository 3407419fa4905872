//! Plays a scenario: the phases of a run, as the simulator has them, in real time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, io, process};

use bytes::Bytes;
use rs2p_core::Config;
use rs2p_driver::BindError;
use rs2p_sim::{
    Back, Checker, Fault, Life, Load, Look, Outcome, Promise, Referee, Scenario, Step, Stop, Storm,
    Wire, memory_bound,
};
use smol::Timer;

use super::brisk::{Brisk, Unplayable, check};
use super::life::{Alive, Plan};
use super::net::{Net, State, Words};
use super::proxy;

/// How long a network may take to form.
const FORMS_WITHIN: Duration = Duration::from_secs(60);

/// So often nodes are looked at, to see whether what is waited for has come.
const LOOK: Duration = Duration::from_millis(50);

/// For how long a network that has nothing to say is listened to.
const QUIET: Duration = Duration::from_secs(2);

/// Why a scenario was not played to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlayError {
    /// It cannot be played with real nodes.
    Unplayable(Unplayable),
    /// A node did not start.
    Bind(BindError),
    /// The system has no port, or no folder.
    Io(io::Error),
}

impl fmt::Display for PlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplayable(error) => error.fmt(f),
            Self::Bind(error) => write!(f, "a node does not start: {error}"),
            Self::Io(error) => write!(f, "there is no place for the nodes: {error}"),
        }
    }
}

impl std::error::Error for PlayError {}

impl From<io::Error> for PlayError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<BindError> for PlayError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

/// Plays a scenario with real nodes, and judges it as the simulator would: what is promised may take
/// [three times as long](Brisk::promise_for_real). With the first rule that is broken it ends.
///
/// # Errors
///
/// The scenario cannot be played, or the system does not let nodes start.
pub async fn play(brisk: Brisk, scenario: &Scenario) -> Result<Outcome, PlayError> {
    check(scenario).map_err(PlayError::Unplayable)?;
    let mut player = Player::new(brisk, scenario)?;
    let played = player.play().await;
    let outcome = player.finish().await;
    played.map(|()| outcome)
}

struct Player {
    net: Arc<Net>,
    scenario: Scenario,
    promise: Promise,
    config: Config,
    alive: Vec<Option<Alive>>,
    places: Arc<BTreeSet<SocketAddr>>,
    folder: Folder,
}

impl Player {
    fn new(brisk: Brisk, scenario: &Scenario) -> Result<Self, PlayError> {
        let promise = brisk.promise_for_real(scenario);
        let nodes = u32::from(scenario.nodes.max(1));
        let listeners: Vec<_> = (0..nodes)
            .map(|_| proxy::bind())
            .collect::<Result<_, _>>()?;
        let places: Vec<SocketAddr> = listeners.iter().map(|(_, at)| *at).collect();
        let all = places.iter().copied().collect();
        let referee = Referee::new(scenario, &promise);
        let net = Arc::new(Net::new(State::new(scenario, referee, places)));
        for (node, (listener, _)) in (0..).zip(listeners) {
            smol::spawn(proxy::serve(Arc::clone(&net), listener, node)).detach();
        }
        Ok(Self {
            net,
            scenario: scenario.clone(),
            promise,
            config: brisk.config(scenario),
            alive: (0..nodes).map(|_| None).collect(),
            places: Arc::new(all),
            folder: Folder::new()?,
        })
    }

    async fn play(&mut self) -> Result<(), PlayError> {
        self.form().await?;
        self.storm().await?;
        self.converge().await;
        self.probe().await;
        self.listen().await;
        Ok(())
    }

    fn phase(&self, name: &str) {
        self.net.enter(|state| state.referee.phase(name));
    }

    /// Returns whether a rule was broken: there is no use in going on.
    fn has_failed(&self) -> bool {
        self.net
            .enter(|state| !state.referee.violations().is_empty())
    }

    async fn form(&mut self) -> Result<(), PlayError> {
        self.phase("form");
        let storm = Storm::new(&self.scenario);
        for node in (0..storm.nodes()).filter(|node| !storm.is_late(*node)) {
            self.start(node, false).await?;
        }
        // Who is given little time to heal gets no more to form.
        let within = self.promise.heals_within.min(FORMS_WITHIN);
        self.wait(within, |state, looks, wires| {
            state.referee.is_one(looks, wires)
        })
        .await;
        Ok(())
    }

    /// Looks at the network until it is as it is to be, or the time is up, or a rule is broken. Returns what it saw last.
    async fn wait(
        &self,
        within: Duration,
        is_there: impl Fn(&mut State, &[Look], &[Wire]) -> bool,
    ) -> (Vec<Look>, Vec<Wire>) {
        let end = Instant::now() + within;
        loop {
            let (looks, wires) = self.look();
            let is_there = self.net.enter(|state| is_there(state, &looks, &wires));
            if is_there || Instant::now() >= end || self.has_failed() {
                return (looks, wires);
            }
            Timer::after(LOOK).await;
        }
    }

    /// Looks at all nodes that are up and at all connections, and whether a node holds too much or has panicked.
    fn look(&self) -> (Vec<Look>, Vec<Wire>) {
        let alive = self.alive.iter().flatten();
        let seen: Vec<_> = alive
            .map(|alive| (alive.life, alive.socket.status(), alive.gate.panic()))
            .collect();
        self.net.enter(|state| {
            let mut looks = Vec::new();
            for (life, status, panic) in &seen {
                if !state.is_up(*life) {
                    continue;
                }
                if let Some(words) = panic {
                    let sentence = format!("a node panicked: {words}");
                    let node = Some(life.node);
                    state
                        .referee
                        .violate(Checker::Panic, "panic", node, sentence);
                }
                let peers = status.peers().iter();
                let peers = peers.map(|peer| (state.conn_of(*life, peer.link), peer.id.clone()));
                looks.push(Look {
                    life: *life,
                    peers: peers.collect(),
                    conns: status.links().len(),
                    conns_there: state.conn_count(*life),
                    memory: status.memory,
                    memory_limit: memory_bound(&self.config),
                });
            }
            state.referee.check_memory(&looks);
            (looks, state.wires())
        })
    }

    // The storm.

    async fn storm(&mut self) -> Result<(), PlayError> {
        self.phase("storm");
        let began = Instant::now();
        for (at, step) in self.net.enter(|state| state.steps()) {
            Timer::at(began + at).await;
            match step {
                Step::Begin(fault) => self.begin_fault(fault).await,
                Step::Change(fault, step) => self.net.change(|state| {
                    if state.storm.change(fault, step) {
                        state.break_across(fault);
                        state.tell_held();
                    }
                }),
                Step::End(fault) => self.end_fault(fault).await?,
                Step::Load(load, turn) => self.hand_in(load, turn),
            }
            self.look();
            if self.has_failed() {
                break;
            }
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others are about bytes and dials that come later"
    )]
    async fn begin_fault(&mut self, fault: usize) {
        let what = self.scenario.faults[fault].what;
        let nodes = self.nodes();
        let pair = self.net.change(|state| {
            state.referee.fault_began(fault, what.describe(nodes));
            let pair = state.strike(fault).unwrap_or_default();
            state.tell_held();
            pair
        });
        let effect = match what {
            Fault::Split { .. } => {
                self.net.change(|state| state.break_across(fault));
                0
            }
            Fault::Stop { node, kind, .. } => self.stop(node.of(nodes), kind).await,
            Fault::Late { .. } => 1,
            Fault::Pause { node } => {
                let node = node.of(nodes);
                let is_up = self.net.enter(|state| state.is_up(state.life(node)));
                self.pause(node, true);
                usize::from(is_up)
            }
            Fault::Reset { .. } => self.net.change(|state| state.reset_between(pair.0, pair.1)),
            Fault::HalfOpen { .. } => self
                .net
                .change(|state| state.silence_between(pair.0, pair.1)),
            _ => 0,
        };
        self.net.change(|state| {
            state.storm.note_effect(fault, effect as u64);
            state.tell_held();
        });
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of the others nothing is left to undo"
    )]
    async fn end_fault(&mut self, fault: usize) -> Result<(), PlayError> {
        let what = self.scenario.faults[fault].what;
        let nodes = self.nodes();
        self.net.change(|state| {
            state.referee.fault_ended(fault);
            let pair = state.storm.end(fault);
            if let (Some(pair), Fault::Slow { .. } | Fault::Drip { .. }) = (pair, what) {
                state.hasten(pair);
            }
            state.tell_held();
        });
        match what {
            Fault::Stop {
                node,
                back: Some(back),
                ..
            } => self.bring_back(node.of(nodes), back).await?,
            Fault::Late { node } => self.start(node.of(nodes), false).await?,
            Fault::Pause { node } => self.pause(node.of(nodes), false),
            _ => {}
        }
        Ok(())
    }

    fn nodes(&self) -> u32 {
        u32::from(self.scenario.nodes.max(1))
    }

    /// Begins a life at a place where nobody is.
    async fn start(&mut self, node: u32, is_restored: bool) -> Result<(), PlayError> {
        let (mut life, is_up) = self.net.enter(|state| {
            let life = state.life(node);
            (life, state.is_up(life))
        });
        if is_up {
            return Ok(());
        }
        if let Some(gone) = self.alive[node as usize].take() {
            // It has left.
            gone.end(&self.net, Stop::Leave).await;
        }
        life.life += 1;
        let plan = self.plan(life, is_restored)?;
        let alive = Alive::begin(&self.net, life, plan).await?;
        self.alive[node as usize] = Some(alive);
        Ok(())
    }

    fn plan(&self, life: Life, is_restored: bool) -> Result<Plan, PlayError> {
        let path = self.folder.0.join(life.node.to_string());
        let goes_on = is_restored && path.exists();
        if !goes_on && path.exists() {
            fs::remove_file(&path)?;
        }
        let store = self.config.save_interval.map(|_| (path, goes_on));
        Ok(self.net.enter(|state| {
            let seeds = state.storm.seeds(life.node).into_iter();
            let slot = &state.slots[life.node as usize];
            Plan {
                config: self.config.clone(),
                place: slot.place,
                seeds: seeds.map(|seed| state.slots[seed as usize].place).collect(),
                places: Arc::clone(&self.places),
                store,
                is_paused: slot.paused > 0,
            }
        }))
    }

    /// Ends a life, or lets it leave. Returns 0 if there is none, or if it is leaving.
    async fn stop(&mut self, node: u32, how: Stop) -> usize {
        let (is_up, can_leave) = self.net.enter(|state| {
            let is_up = state.is_up(state.life(node));
            let slot = &state.slots[node as usize];
            (is_up && !slot.is_leaving, slot.paused == 0)
        });
        let slot = &mut self.alive[node as usize];
        if !is_up {
            return 0;
        }
        if how == Stop::Leave && can_leave {
            slot.iter_mut().for_each(|alive| alive.leave(&self.net));
        } else if let Some(alive) = slot.take() {
            alive.end(&self.net, how).await;
        }
        1
    }

    async fn bring_back(&mut self, node: u32, back: Back) -> Result<(), PlayError> {
        let is_leaving = self
            .net
            .enter(|state| state.slots[node as usize].is_leaving);
        if is_leaving && let Some(alive) = self.alive[node as usize].take() {
            alive.end(&self.net, Stop::Leave).await;
        }
        self.start(node, back == Back::Restored).await
    }

    fn pause(&self, node: u32, is_paused: bool) {
        let alive = self.alive[node as usize].as_ref();
        // It stands still before that is noted, and goes on after.
        if is_paused {
            alive.inspect(|alive| alive.gate.shut());
        }
        let has_changed = self.net.change(|state| state.pause(node, is_paused));
        if !is_paused && has_changed {
            alive.inspect(|alive| alive.gate.open());
        }
    }

    fn hand_in(&self, load: usize, turn: u32) {
        let nodes = self.nodes();
        let payload = self.net.enter(|state| state.storm.payload(load, turn));
        let (by, words) = match self.scenario.load[load].what {
            Load::Publish { by, .. } => (by.of(nodes), Words::All(payload)),
            Load::Send { pair, .. } => {
                let (by, to) = pair.of(nodes);
                (by, Words::One(to, payload))
            }
            // Whoever adds another kind sees it here.
            other => unreachable!("a load that nobody can play: {other:?}"),
        };
        if let Some(alive) = &self.alive[by as usize]
            && self.net.enter(|state| state.is_talkative(by))
        {
            alive.say(&self.net, words);
        }
    }

    // The ending.

    async fn converge(&self) {
        if self.has_failed() {
            return;
        }
        self.phase("converge");
        self.net.enter(|state| {
            let lives = state.lives();
            state.referee.begin_core(&lives);
        });
        let within = self.promise.heals_within;
        let seen = self.wait(within, |state, looks, wires| {
            state.waiting == 0
                && state.unresolved().is_none()
                && state.false_claims().is_empty()
                && state.referee.outstanding() == 0
                && state.referee.is_one(looks, wires)
        });
        let (looks, wires) = seen.await;
        self.net.enter(|state| {
            state.judge_claims();
            state.referee.check_converged(&looks, &wires);
            if let Some((sender, number)) = state.unresolved() {
                let node = sender.node;
                let sentence = format!(
                    "node {node} has not told what became of its message {number} to one node"
                );
                state
                    .referee
                    .violate(Checker::Owed, "no outcome", Some(node), sentence);
            }
        });
    }

    async fn probe(&self) {
        if self.has_failed() {
            return;
        }
        self.phase("probe");
        let since = self.net.now();
        for alive in self.alive.iter().flatten() {
            if self.net.enter(|state| state.is_up(alive.life)) {
                let number = alive.life.node.to_be_bytes();
                let payload = [&b"probe       "[..], &number].concat();
                alive.say(&self.net, Words::All(Bytes::from(payload)));
            }
        }
        self.wait(self.promise.heals_within, |state, _, _| {
            state.waiting == 0 && state.referee.is_heard(since)
        })
        .await;
        self.net.enter(|state| state.referee.check_probe(since));
    }

    /// Waits until the network is quiet for some time.
    async fn listen(&self) {
        if self.has_failed() {
            return;
        }
        self.phase("quiet");
        let end = Instant::now() + self.promise.heals_within;
        loop {
            let (_, before) = self.look();
            let start = Instant::now();
            Timer::after(QUIET).await;
            let (_, after) = self.look();
            let length = start.elapsed();
            let is_over = self.net.enter(|state| {
                let is_quiet = state.referee.is_quiet(&before, &after, length);
                let is_over = is_quiet || Instant::now() >= end;
                if is_over {
                    state.referee.check_quiet(&before, &after, length);
                }
                is_over
            });
            if is_over || self.has_failed() {
                return;
            }
        }
    }

    /// Ends all that is left.
    async fn finish(mut self) -> Outcome {
        let outcome = self.net.enter(|state| {
            let effects = state.storm.effects().to_vec();
            state.referee.finish(&effects)
        });
        self.net.change(State::finish);
        for alive in self.alive.iter_mut().filter_map(Option::take) {
            alive.end(&self.net, Stop::Crash).await;
        }
        outcome
    }
}

/// A folder that is gone in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("rs2p-real-{}-{number}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be taken away is left to the system.
        let _ = fs::remove_dir_all(&self.0);
    }
}
