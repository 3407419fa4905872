//! Every checker notices what it is there for: a protocol that works passes, and each broken version of it fails in the
//! checker of the rule that it breaks.

use std::time::Duration;

use rs2p_sim::{
    Back, Birth, Checker, Flaw, Kind, Net, Promise, Protocol, Report, Role, Scenario, Sim, Toy,
    crash, halves, isolate, pause, publish, s,
};
use rs2p_sim::{Fault, PairPick};

/// Networks of the toy, all with the same flaw or with none.
#[derive(Clone, Copy)]
struct Toys(Option<Flaw>);

impl Protocol for Toys {
    type Node = Toy;

    fn make(&self, _scenario: &Scenario, birth: &Birth, role: Role) -> Option<Toy> {
        if role != Role::Honest(Kind::Mesh) {
            return None;
        }
        Some(match self.0 {
            Some(flaw) => Toy::broken(birth, flaw),
            None => Toy::new(birth),
        })
    }

    fn promise(&self, _scenario: &Scenario) -> Promise {
        Promise {
            kept_bytes: 8 << 20,
            heals_within: Duration::from_secs(120),
            hop: Duration::from_secs(10),
            quiet_bytes: 64,
            ..Promise::ALL
        }
    }
}

/// What is published so soon after nodes began is not owed to them: they cannot know whether it is older than they are.
const SETTLED: Duration = Duration::from_secs(30);

const STALL: Fault = Fault::Stall {
    who: PairPick(0, 0),
};

/// A network with a narrow window, so that what is published does not fit at once.
fn narrow() -> Net {
    Net {
        window: 4 << 10,
        ..Net::default()
    }
}

/// The scenario in which a flaw shows.
fn built_for(flaw: Flaw, protocol: Toys) -> Sim<Toys> {
    let sim = Sim::of(protocol, 4).seeds(0..1);
    match flaw {
        Flaw::Alters | Flaw::DeliversTwice | Flaw::Reorders | Flaw::NamesWrongSender => {
            sim.load(SETTLED + s(1), publish(1).times(6))
        }
        Flaw::Hoards => sim.load(SETTLED + s(1), publish(1).times(200)),
        // What is wrong shows without anything being said, or going wrong.
        Flaw::Spins | Flaw::Chatters => sim,
        Flaw::IgnoresRoom | Flaw::Stalls => sim
            .net(narrow())
            .load(SETTLED + s(1), publish(1).times(8).len(10_000)),
        Flaw::Forgets => sim
            .fault(SETTLED + s(2), halves().lasts(s(20)))
            .load(SETTLED + s(5), publish(1).times(3))
            .load(SETTLED + s(6), publish(2).times(3)),
        Flaw::NeverRedials => sim.fault(SETTLED + s(2), isolate(1).lasts(s(20))),
        Flaw::ResendsAll => sim
            .load(SETTLED + s(1), publish(1).times(100).len(40_000))
            .fault(SETTLED + s(20), halves().lasts(s(20))),
        Flaw::ReadsGlobals => sim.load(SETTLED + s(1), publish(1).times(6)),
        other => panic!("{other:?} has no scenario"),
    }
}

/// What each flaw breaks, and what has to break with it.
const TABLE: [(Flaw, Checker, &[Checker]); 13] = [
    // What is altered is not what was published, so that is still owed; and the probe is altered as well.
    (
        Flaw::Alters,
        Checker::Genuine,
        &[Checker::Owed, Checker::Probe],
    ),
    (Flaw::DeliversTwice, Checker::Once, &[]),
    // What was overtaken comes when its number has passed.
    (Flaw::Reorders, Checker::Order, &[]),
    (Flaw::NamesWrongSender, Checker::Sender, &[]),
    (Flaw::Hoards, Checker::Memory, &[]),
    // Each node is stopped at once, so nothing else comes to pass.
    (Flaw::Spins, Checker::Zeno, &[]),
    (Flaw::IgnoresRoom, Checker::Discipline, &[]),
    // What the probe says is delivered past what is missing, without a word of that.
    (Flaw::Forgets, Checker::Owed, &[Checker::Order]),
    // Who is apart hears nothing.
    (Flaw::NeverRedials, Checker::Overlay, &[Checker::Probe]),
    (Flaw::Chatters, Checker::Quiet, &[]),
    // What does not move does not arrive, nor does the probe.
    (
        Flaw::Stalls,
        Checker::Progress,
        &[Checker::Owed, Checker::Probe],
    ),
    (Flaw::ResendsAll, Checker::Thrift, &[]),
    (Flaw::ReadsGlobals, Checker::Determinism, &[]),
];

fn first_report(sim: &Sim<Toys>) -> Option<Report> {
    let sweep = sim.sweep();
    Some(sweep.first_failure()?.report.clone())
}

/// Returns the checkers that failed, each once, the first first.
fn in_order_of_appearance(report: &Report) -> Vec<Checker> {
    let mut found = Vec::new();
    for violation in &report.violations {
        if !found.contains(&violation.checker) {
            found.push(violation.checker);
        }
    }
    found
}

#[test]
fn a_protocol_that_works_passes() {
    Sim::of(Toys(None), 6)
        .seeds(0..10)
        .fault(SETTLED + s(5), halves().lasts(s(30)))
        .fault(
            SETTLED + s(12),
            crash(3).lasts(s(10)).as_what(Back::Restored),
        )
        .fault(SETTLED + s(40), pause(1).lasts(s(10)))
        .fault(SETTLED + s(55), STALL)
        .load(SETTLED + s(8), publish(2).times(5))
        .load(SETTLED + s(55), publish(0).times(20))
        .load(SETTLED + s(55), publish(4).times(5))
        .check();
}

#[test]
fn a_protocol_that_works_passes_where_each_flaw_shows() {
    for flaw in Flaw::ALL {
        let report = first_report(&built_for(flaw, Toys(None)));
        let violations = report.map(|report| report.violations);
        assert_eq!(violations, None, "{flaw:?}");
    }
}

#[test]
fn each_flaw_fails_the_checker_of_its_rule_first_and_none_that_has_nothing_to_do_with_it() {
    let mut wrong = Vec::new();
    for (flaw, checker, others) in TABLE {
        let report = first_report(&built_for(flaw, Toys(Some(flaw))));
        let found = report.map_or_else(Vec::new, |report| in_order_of_appearance(&report));
        let expected: Vec<Checker> = [&[checker], others].concat();
        if found != expected {
            wrong.push((flaw, checker, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(TABLE.map(|(flaw, ..)| flaw), Flaw::ALL);
}

#[test]
fn a_fault_that_does_nothing_is_a_failure_unless_that_is_allowed() {
    let sim = Sim::of(Toys(None), 3)
        .seeds(0..1)
        .fault(
            SETTLED + s(5),
            crash(1).lasts(s(60)).as_what(Back::Restored),
        )
        .fault(SETTLED + s(20), pause(1).lasts(s(5)));
    let report = first_report(&sim).expect("a node that is gone cannot pause");
    let found: Vec<(Checker, &str)> = report
        .violations
        .iter()
        .map(|it| (it.checker, it.kind.as_str()))
        .collect();
    assert_eq!(found, [(Checker::Effect, "inert")]);
    assert!(first_report(&sim.allow_inert_faults()).is_none());
}
