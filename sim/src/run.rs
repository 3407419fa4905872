//! One run of a scenario, from the first node to the verdict.
//!
//! It has phases: the network *forms*; a *storm* of load and faults; everything that is to be whole heals, and has to
//! *converge*; everybody says something, the *probe*, which has to reach all; and then it has to be *quiet*.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;

use crate::facts::{Fact, Life};
use crate::findings::{FORGOTTEN, Findings, TOO_MUCH, forgotten, too_much};
use crate::judge::{Judge, LinkTraffic, Pair};
use crate::ledger::Ledger;
use crate::node::{Birth, Node, NodeStatus};
use crate::protocol::{Promise, Protocol};
use crate::report::{Better, Checker, Number, Report, Unit, Violation};
use crate::rules::{is_one_network, is_rs2p_alone, rules};
use crate::scenario::{Ending, Kind, Scenario};
use crate::time::{Time, s};
use crate::trace::Trace;
use crate::world::{Maker, World};

#[cfg(test)]
mod tests;

/// How a scenario is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whether a trace is kept. The run is the same, and slower.
    pub is_traced: bool,
    /// Whether an account of all messages is kept.
    pub has_ledger: bool,
    /// Whether a fault that does nothing is a failure.
    pub is_effect_demanded: bool,
    /// Whether there is a probe, and a quiet time, in the end.
    pub has_epilogue: bool,
    /// The longest time that the network may take to form.
    pub forms_within: Duration,
    /// Whether the run ends as soon as something is violated: for those who only ask whether anything is.
    pub stops_at_violation: bool,
    /// If it is set: after this moment of world time, all that happens by chance is drawn from this seed in the place of
    /// the scenario's. Load and faults stay what they are.
    pub turn: Option<(Time, u64)>,
}

impl Default for Options {
    /// Not traced, no ledger, effects not demanded, with probe and quiet time, a minute to form, and to the end whatever happens.
    fn default() -> Self {
        Self {
            is_traced: false,
            has_ledger: false,
            is_effect_demanded: false,
            has_epilogue: true,
            forms_within: s(60),
            stops_at_violation: false,
            turn: None,
        }
    }
}

impl Options {
    /// The same, with a trace.
    #[must_use]
    pub const fn traced(mut self) -> Self {
        self.is_traced = true;
        self
    }

    /// The same, with an account of all messages.
    #[must_use]
    pub const fn with_ledger(mut self) -> Self {
        self.has_ledger = true;
        self
    }

    /// The same, and faults without effect are failures.
    #[must_use]
    pub const fn demanding_effects(mut self) -> Self {
        self.is_effect_demanded = true;
        self
    }

    /// The same, and the run ends as soon as something is violated.
    #[must_use]
    pub const fn stopping(mut self) -> Self {
        self.stops_at_violation = true;
        self
    }

    /// The same, and after this moment of world time chance is that of another seed.
    #[must_use]
    pub const fn turning(mut self, after: Time, seed: u64) -> Self {
        self.turn = Some((after, seed));
        self
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// What was violated, and the numbers.
    pub report: Report,
    /// All that happened, if a trace was asked for.
    pub trace: Option<Trace>,
    /// Who got what when, if that was asked for.
    pub ledger: Option<Ledger>,
    /// What each fault of the scenario came to: bytes held, connections hit, dials refused. Zero is nothing.
    pub effects: Vec<u64>,
    /// The branches of the core that were reached.
    #[cfg(feature = "marks")]
    pub marks: rs2p_core::Marks,
}

impl Outcome {
    /// Compares it with another run of the same scenario, and notes a violation if they differ.
    pub(crate) fn compare(&mut self, again: &Self) {
        let (one, other) = (self.report.hash, again.report.hash);
        if one != other {
            self.report.violations.push(Violation {
                checker: Checker::Determinism,
                kind: "another run".to_owned(),
                at: Time::ZERO,
                node: None,
                message: None,
                sentence: format!(
                    "two runs of the same scenario differ: {one:016x} and {other:016x}"
                ),
            });
        }
    }
}

/// So often those who judge look at what happened.
const SLICE: Duration = Duration::from_millis(200);

/// So often nodes are looked into.
const INSPECTION: Duration = Duration::from_secs(5);

/// For how long a connection may stand still on which something waits and nothing is in the way.
const STANDSTILL: Duration = Duration::from_secs(30);

/// For how long a message may be on its way to everybody without a fault.
const SPREADING: Duration = Duration::from_secs(20);

/// How long a network may take to come to rest, and for how long it is listened to then.
const REST: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_secs(60);

/// Runs a scenario and judges it. A node that panics is a violation like any other.
pub fn run<P: Protocol>(protocol: &P, scenario: &Scenario, options: Options) -> Outcome {
    let promise = protocol.promise(scenario);
    let (maker, of) = (protocol.clone(), scenario.clone());
    let maker = move |birth: &Birth, role| maker.make_any(&of, birth, role);
    play(Box::new(maker), scenario, promise, options)
}

/// Not generic, so that it is compiled once, and not by each crate that runs something.
fn play(
    maker: Maker<Box<dyn Node>>,
    scenario: &Scenario,
    promise: Promise,
    options: Options,
) -> Outcome {
    let mut run = Run::new(maker, scenario, promise, options);
    let result = catch_unwind(AssertUnwindSafe(|| run.play()));
    if let Err(panic) = result {
        run.note_panic(&*panic);
    }
    run.finish()
}

struct Run<'a> {
    world: World<Box<dyn Node>>,
    judge: Judge,
    promise: Promise,
    options: Options,
    ledger: Option<Ledger>,
    scenario: &'a Scenario,
    /// Violations that are none of the judge's.
    others: Findings,
    /// How many violations are in the trace.
    traced: usize,
    inspected: Time,
    /// Since when each connection stands still, by number and end.
    still: Vec<((u64, usize), Time)>,
    formed: Option<Duration>,
    healed: Option<Time>,
    converged: Option<Duration>,
    /// What was carried when all had healed, and how many bytes nodes may have had to fetch by then.
    carried_and_missing: (u64, u64),
    peak_memory: usize,
    /// When the last message was published.
    published: Time,
    /// Whether no message was spreading when all was healed.
    is_at_rest: bool,
}

impl<'a> Run<'a> {
    fn new(
        maker: Maker<Box<dyn Node>>,
        scenario: &'a Scenario,
        promise: Promise,
        options: Options,
    ) -> Self {
        let mut world = World::new(scenario.clone(), maker);
        if options.is_traced {
            world.trace();
        }
        if let Some((after, seed)) = options.turn {
            world.turn_chance(after, seed);
        }
        Self {
            world,
            judge: Judge::new(rules(scenario, &promise)),
            promise,
            options,
            ledger: options.has_ledger.then(Ledger::default),
            scenario,
            others: Findings::default(),
            traced: 0,
            inspected: Time::ZERO,
            still: Vec::new(),
            formed: None,
            healed: None,
            converged: None,
            carried_and_missing: (0, 0),
            peak_memory: 0,
            published: Time::ZERO,
            is_at_rest: false,
        }
    }
    fn play(&mut self) {
        self.world.phase("form");
        self.form();
        self.world.phase("storm");
        let end = self.world.begin_storm();
        if let Some(ledger) = &mut self.ledger {
            (ledger.storm, ledger.healed) = (self.world.now(), end);
        }
        self.advance(end);
        if self.is_over() {
            return;
        }
        self.world.phase("converge");
        self.end_storm();
        self.converge();
        if self.options.has_epilogue && !self.is_over() {
            self.world.phase("probe");
            self.probe();
            self.world.phase("quiet");
            self.listen();
        }
        if self.options.is_effect_demanded && !self.is_over() {
            self.demand_effects();
        }
    }

    /// Returns whether nobody wants to know more.
    fn is_over(&self) -> bool {
        let is_clean = self.judge.violations().is_empty() && self.others.is_empty();
        self.options.stops_at_violation && !is_clean
    }

    /// Waits until the network is one, or has had enough time for it.
    fn form(&mut self) {
        let end = self.world.now().after(self.options.forms_within);
        let expected = self.world.nodes() as usize;
        let step = if expected > 1000 { s(5) } else { s(1) };
        while self.world.now() < end && !self.is_over() {
            self.advance(self.world.now().after(step));
            let is_up = self.world.lives().len() >= expected.min(2);
            if is_up && self.is_one() {
                self.formed = Some(self.world.now().since(Time::ZERO));
                return;
            }
        }
    }

    /// Returns whether all nodes of the protocol are joined, by what both ends say.
    fn is_one(&self) -> bool {
        let statuses = self.mesh_statuses();
        is_one_network(&statuses, &self.pairs())
    }

    fn mesh_statuses(&self) -> Vec<(Life, NodeStatus)> {
        let mut statuses = self.world.statuses();
        statuses.retain(|(life, _)| self.world.kind(life.node) == Kind::Mesh);
        statuses
    }

    fn pairs(&self) -> Vec<Pair> {
        let views = self.world.conn_views().into_iter();
        views
            .map(|view| Pair {
                conn: view.conn,
                ends: view.ends,
            })
            .collect()
    }

    /// Lets time pass, and shows those who judge what happens.
    fn advance(&mut self, until: Time) {
        while self.world.now() < until && !self.is_over() {
            let next = self.world.now().after(SLICE).min(until);
            if self.options.is_traced {
                // What is found stands where it was found.
                while self.world.next_at().is_some_and(|at| at <= next) {
                    self.world.step();
                    self.show();
                }
            }
            self.world.run_until(next);
            self.show();
            if self.world.now().since(self.inspected) >= INSPECTION {
                self.inspected = self.world.now();
                self.inspect();
            }
        }
    }

    fn show(&mut self) {
        let facts = self.world.take_facts();
        for (at, fact) in &facts {
            if matches!(fact, Fact::Published(_)) {
                self.published = *at;
            }
            self.judge.observe(*at, fact);
            if let Some(ledger) = &mut self.ledger {
                ledger.note(*at, fact);
            }
        }
        self.world.recycle(facts);
        self.trace_violations();
    }

    fn trace_violations(&mut self) {
        if !self.options.is_traced {
            return;
        }
        for violation in self.judge.violations().iter().skip(self.traced) {
            self.world.note_violation(violation);
        }
        self.traced = self.judge.violations().len();
    }

    /// Looks into the nodes: whether they stay within their limits, and whether what can move does.
    fn inspect(&mut self) {
        if self.world.nodes() > 1000 {
            return;
        }
        let statuses = self.world.statuses();
        for (life, status) in &statuses {
            self.peak_memory = self.peak_memory.max(status.memory);
            if let Some(ledger) = &mut self.ledger {
                ledger.note_memory(life.node, status.memory);
            }
            if status.memory > status.memory_limit && status.memory_limit > 0 {
                let sentence = too_much(life.node, status.memory, status.memory_limit);
                self.violate(Checker::Memory, TOO_MUCH, Some(life.node), sentence);
            }
        }
        self.inspect_connections(&statuses);
    }

    fn inspect_connections(&mut self, statuses: &[(Life, NodeStatus)]) {
        let now = self.world.now();
        let views = self.world.conn_views();
        let mut still = Vec::new();
        let mut stuck = Vec::new();
        for view in &views {
            for (side, (life, id)) in view.ends.iter().enumerate() {
                // What py2p and js2p leave lying is theirs.
                if self.world.kind(life.node) != Kind::Mesh {
                    continue;
                }
                let found = statuses.binary_search_by_key(life, |(life, _)| *life);
                let waits = found.is_ok_and(|place| statuses[place].1.waiting.contains(id));
                if !view.is_free[side] || !waits || self.world.is_paused(life.node) {
                    continue;
                }
                let key = (view.conn, side);
                let before = self.still.iter().find(|(other, _)| *other == key);
                let since = before.map_or(now, |(_, since)| *since);
                still.push((key, since));
                if now.since(since) >= STANDSTILL {
                    stuck.push((life.node, view.ends[1 - side].0.node));
                }
            }
        }
        self.still = still;
        for (node, other) in stuck {
            let sentence = format!(
                "bytes wait at node {node} for node {other} for {} s, and nothing is in their way",
                STANDSTILL.as_secs()
            );
            self.violate(Checker::Progress, "standstill", Some(node), sentence);
        }
    }

    /// Ends the storm: chooses who is to be whole, and lets the others be gone.
    fn end_storm(&mut self) {
        if let Ending::Core(share) = self.scenario.ending {
            let core = self.connected_core(share);
            self.world.keep_only(&core);
            self.show();
        }
        let mut parts = self.world.islands(&self.linked());
        if parts.len() > 1 {
            // Those who know of nobody who is left have to be told by somebody else.
            parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
            self.world.keep_only(&parts[0]);
            self.show();
        }
        self.healed = Some(self.world.now());
        let core = self.world.lives();
        self.judge.begin_core(self.world.now(), &core);
        self.carried_and_missing = (self.world.carried(), self.judge.missing_bytes());
        let silence = self.world.now().since(self.published);
        self.is_at_rest = silence >= SPREADING && self.world.is_all_handed_in() && !self.is_busy();
    }

    /// Returns nodes that are joined by links among themselves: so many of a hundred that are up, if there are.
    ///
    /// Of those that know of nobody who is left, nobody could demand that they find each other.
    fn connected_core(&self, share: u8) -> Vec<u32> {
        let up = self.world.lives();
        let count = (up.len() * usize::from(share.min(100)) / 100).max(2);
        let linked = self.linked();
        let mut order = self.world.drawn_order();
        order.retain(|node| up.iter().any(|life| life.node == *node));
        let mut core: Vec<u32> = order.first().copied().into_iter().collect();
        while core.len() < count {
            let is_next = |node: &&u32| {
                let joins = |ends: &[u32; 2]| {
                    let [a, b] = *ends;
                    (a == **node && core.contains(&b)) || (b == **node && core.contains(&a))
                };
                !core.contains(node) && linked.iter().any(joins)
            };
            match order.iter().find(is_next) {
                Some(next) => core.push(*next),
                None => break,
            }
        }
        core
    }

    /// Returns the nodes that have connections with each other.
    fn linked(&self) -> Vec<[u32; 2]> {
        let pairs = self.pairs();
        let linked = pairs.iter();
        linked
            .map(|pair| pair.ends.map(|(life, _)| life.node))
            .collect()
    }

    fn converge(&mut self) {
        let start = self.world.now();
        let end = start.after(self.promise.heals_within);
        while self.world.now() < end && !self.is_over() {
            self.advance(self.world.now().after(s(1)).min(end));
            // Of a connection that just opens or closes the two ends say different things.
            if self.judge.outstanding() == 0
                && self.world.is_all_handed_in()
                && self.is_one()
                && self.forgotten_connections().is_none()
            {
                self.converged = Some(self.world.now().since(start));
                break;
            }
        }
        if self.is_over() {
            return;
        }
        let now = self.world.now();
        let (statuses, pairs) = (self.world.statuses(), self.pairs());
        self.check_thrift(now.since(start), pairs.len());
        self.judge.check_converged(now);
        self.judge.check_overlay(now, &statuses, &pairs);
        if let Some((node, sentence)) = self.forgotten_connections() {
            self.violate(Checker::Discipline, FORGOTTEN, Some(node), sentence);
        }
        self.trace_violations();
    }

    /// Judges what was carried from the heal on, less what connections may carry in that time with nothing to say.
    ///
    /// Not where others take part, who promise nothing of the kind.
    fn check_thrift(&mut self, length: Duration, conns: usize) {
        if !is_rs2p_alone(self.scenario) {
            return;
        }
        // What was said just now is on its way to everybody, and that is no recovery.
        if !self.is_at_rest {
            return;
        }
        let (before, missing) = self.carried_and_missing;
        let quiet = self.promise.quiet_bytes * 2 * conns as u64 * (length.as_secs() + 1);
        let spent = (self.world.carried() - before).saturating_sub(quiet);
        self.judge.check_thrift(self.world.now(), spent, missing);
    }

    fn forgotten_connections(&self) -> Option<(u32, String)> {
        let statuses = self.world.statuses().into_iter();
        forgotten(statuses.map(|(life, status)| {
            let there = self.world.conn_count(life.node);
            (life.node, status.conns, there)
        }))
    }

    fn probe(&mut self) {
        let since = self.world.now();
        let lives = self.world.lives();
        let probing = probing(lives.len());
        for (number, life) in (0_u32..).zip(&lives).filter(|(n, _)| probing(*n)) {
            let payload = [&b"probe       "[..], &number.to_be_bytes()].concat();
            self.world.publish(life.node, Bytes::from(payload));
        }
        let end = since.after(self.promise.heals_within);
        self.show();
        while self.world.now() < end && !self.is_over() {
            self.advance(self.world.now().after(s(1)).min(end));
            if self.judge.is_heard(since) && self.world.is_all_handed_in() {
                break;
            }
        }
        if lives.len() <= 1000 && !self.is_over() {
            self.judge.check_probe(self.world.now(), since);
        }
        self.trace_violations();
    }

    /// Judges whether a network that has nothing to say is quiet.
    fn listen(&mut self) {
        // What is slow may still bring to some what they have from others.
        let end = self.world.now().after(self.promise.heals_within);
        self.advance(self.world.now().after(REST));
        while self.world.now() < end && self.is_busy() && !self.is_over() {
            self.advance(self.world.now().after(s(5)));
        }
        let before = self.world.conn_views();
        let start = self.world.now();
        self.advance(start.after(QUIET));
        if self.is_over() {
            return;
        }
        let traffic: Vec<LinkTraffic> = self
            .world
            .conn_views()
            .iter()
            .filter_map(|view| {
                let earlier = before
                    .binary_search_by_key(&view.conn, |other| other.conn)
                    .ok()?;
                // What is under way at the beginning was said before, and only comes late.
                let earlier = before[earlier].written;
                Some(LinkTraffic {
                    ends: view.ends.map(|(life, _)| life),
                    payload: 0,
                    control: view.written.saturating_sub(earlier),
                })
            })
            .collect();
        let now = self.world.now();
        self.judge.check_quiet(now, now.since(start), &traffic);
        self.trace_violations();
    }

    fn is_busy(&self) -> bool {
        let statuses = self.world.statuses();
        statuses.iter().any(|(_, status)| status.is_busy)
            || self.world.is_anything_late()
            || self.judge.is_outcome_awaited(self.world.now())
    }

    fn demand_effects(&mut self) {
        let effects = self.world.effects().to_vec();
        for (fault, effect) in self.scenario.faults.iter().zip(effects) {
            if effect == 0 {
                let sentence = format!("a fault did nothing, so it tests nothing: {fault:?}");
                self.violate(Checker::Effect, "inert", None, sentence);
            }
        }
    }

    fn violate(&mut self, checker: Checker, kind: &str, node: Option<u32>, sentence: String) {
        let now = self.world.now();
        if let Some(violation) = self.others.note(now, checker, kind, node, sentence) {
            self.world.note_violation(violation);
        }
    }

    fn note_panic(&mut self, panic: &(dyn std::any::Any + Send)) {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        let words = words.unwrap_or("without words");
        let sentence = format!("a node panicked: {words}");
        let kind: String = words.chars().take(60).collect();
        self.violate(Checker::Panic, &kind, None, sentence);
    }

    fn finish(mut self) -> Outcome {
        let mut numbers = self.judge.numbers();
        for number in self.numbers() {
            // Those who judge have counted some of it already.
            if !numbers.iter().any(|known| known.name == number.name) {
                numbers.push(number);
            }
        }
        Outcome {
            report: Report {
                hash: self.world.hash(),
                violations: self.others.with(&self.judge),
                numbers,
            },
            #[cfg(feature = "marks")]
            marks: self.world.marks(),
            effects: self.world.effects().to_vec(),
            trace: self.world.take_trace(),
            ledger: self.ledger,
        }
    }

    fn numbers(&self) -> Vec<Number> {
        let micros = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        let number = |name: &str, value, unit, better| Number {
            name: name.to_owned(),
            value,
            unit,
            better,
        };
        let mut numbers = vec![
            number("events", self.world.events(), Unit::Count, Better::Neither),
            number(
                "world time",
                self.world.now().as_nanos() / 1000,
                Unit::Micros,
                Better::Neither,
            ),
            number(
                "bytes carried",
                self.world.carried(),
                Unit::Bytes,
                Better::Less,
            ),
            number(
                "connections opened",
                self.world.conns_made(),
                Unit::Count,
                Better::Less,
            ),
            number(
                "peak memory of a node",
                self.peak_memory as u64,
                Unit::Bytes,
                Better::Less,
            ),
        ];
        if let Some(formed) = self.formed {
            numbers.push(number(
                "time to form",
                micros(formed),
                Unit::Micros,
                Better::Less,
            ));
        }
        if let Some(converged) = self.converged {
            numbers.push(number(
                "time to converge",
                micros(converged),
                Unit::Micros,
                Better::Less,
            ));
        }
        let faults = self.scenario.faults.iter().zip(self.world.effects());
        let (mut all, mut effective) = (0, 0);
        for (_, effect) in faults {
            all += 1;
            effective += u64::from(*effect > 0);
        }
        numbers.push(number("faults", all, Unit::Count, Better::Neither));
        numbers.push(number(
            "faults with an effect",
            effective,
            Unit::Count,
            Better::More,
        ));
        numbers
    }
}

/// Returns which of so many nodes say something in the probe: all, or a hundred or so of very many.
fn probing(nodes: usize) -> impl Fn(u32) -> bool {
    let every = u32::try_from(nodes / 100).unwrap_or(1).max(1);
    let every = if nodes <= 200 { 1 } else { every };
    move |number| number % every == 0
}
