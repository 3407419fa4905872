//! What becomes of messages in networks of 200 nodes that fall apart, churn, lose bytes, or have a member that does not read.
//!
//! ```console
//! $ cargo run --release -p rs2p-tests --example promises
//! ```
//!
//! Everything happens in the simulator, in virtual time and drawn from seeds, so the figures are exact, and the same on every
//! machine. `--only cuts,churn,loss,slow` runs some of it, `--seeds 5` with five seeds instead of one.
//!
//! Beside them stand those of iroh-gossip 0.101's state machine in a comparable simulation: the same events, its own overlay,
//! a connection across a cut lost after 30 s.

mod scenarios;
mod tally;

use std::process::ExitCode;
use std::time::Duration;

use rs2p_sim::{Ledger, Options, Rs2p, Scenario, Storm, run};
use rs2p_tests::bench::Arguments;

use scenarios::{Manners, Reader};
use tally::Times;

/// What iroh-gossip 0.101's state machine came to, where it was tried.
mod iroh {
    /// Seconds of a cut: of what was said on the other side, the share that came across; of what was said later, the share
    /// that came everywhere; in percent.
    pub(super) const CUTS: [(u32, f64, f64); 6] = [
        (10, 100.0, 100.0),
        (40, 0.0, 100.0),
        (60, 0.0, 97.0),
        (120, 0.0, 80.0),
        (300, 0.0, 81.0),
        (900, 0.0, 77.0),
    ];

    /// Milliseconds between two crashes: the share that came to nodes that were there all the time.
    pub(super) const CHURN: [(u32, f64); 4] =
        [(10_000, 99.94), (3000, 99.93), (1000, 99.59), (300, 53.4)];

    /// Percent of frames lost: the share that came.
    pub(super) const LOSS: [(u32, f64); 4] = [(1, 100.0), (5, 99.962), (10, 99.812), (20, 95.773)];
}

/// How long the cuts are, in seconds.
const CUTS: [u32; 7] = [10, 40, 60, 120, 300, 900, 3600];

/// What was aimed at, and what was missed.
struct Goals {
    missed: Vec<String>,
}

impl Goals {
    /// Notes whether something is as it should be, and how to see it again.
    fn demand(&mut self, holds: bool, what: &str, scenario: &Scenario) {
        if !holds {
            self.missed.push(format!(
                "{what}\n    RS2P_SIM_REPLAY={}",
                scenario.to_line()
            ));
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match chosen(&arguments) {
        Ok((only, seeds)) => measure(&only, seeds),
        Err(error) => {
            eprintln!("{error}\nusage: promises [--only cuts,churn,loss,slow] [--seeds COUNT]");
            ExitCode::from(2)
        }
    }
}

/// Returns what to measure, and with how many seeds.
fn chosen(arguments: &[&str]) -> Result<(Vec<String>, u64), String> {
    let parts = ["cuts", "churn", "loss", "slow"];
    let mut only: Vec<String> = parts.map(str::to_owned).to_vec();
    let mut seeds = 1;
    let mut arguments = Arguments::new(arguments);
    while let Some(option) = arguments.next() {
        match option {
            "--only" => only = arguments.values(option)?,
            "--seeds" => seeds = arguments.value(option)?,
            other => return Err(format!("there is no option {other:?}")),
        }
    }
    match only.iter().find(|part| !parts.contains(&part.as_str())) {
        Some(part) => Err(format!("there is nothing called {part:?}")),
        None => Ok((only, seeds)),
    }
}

fn measure(only: &[String], seeds: u64) -> ExitCode {
    let mut goals = Goals { missed: Vec::new() };
    for part in only {
        match part.as_str() {
            "cuts" => cuts(seeds, &mut goals),
            "churn" => churn(seeds, &mut goals),
            "loss" => loss(seeds, &mut goals),
            _ => slow(&mut goals),
        }
    }
    if goals.missed.is_empty() {
        println!("All that was aimed at was reached.");
        return ExitCode::SUCCESS;
    }
    println!("Missed:");
    for missed in &goals.missed {
        println!("  {missed}");
    }
    ExitCode::FAILURE
}

/// Plays a scenario, and returns the account of its messages. What the judge objects to is a goal missed.
fn play(scenario: &Scenario, goals: &mut Goals) -> Ledger {
    let options = Options::default().with_ledger();
    let outcome = run(&Rs2p::default(), scenario, options);
    for violation in &outcome.report.violations {
        goals.demand(false, &violation.sentence, scenario);
    }
    outcome.ledger.unwrap_or_default()
}

fn cuts(seeds: u64, goals: &mut Goals) {
    println!("A cut into halves; 20 messages are published during it, on both sides");
    println!("Of what crosses: how long after the heal it came; seeds: {seeds}");
    println!(
        "   cut  connections  crossed     p50      p99      max   later messages | iroh-gossip: crossed, later"
    );
    for seconds in CUTS {
        for manners in Manners::ALL {
            let mut across = Times::default();
            let mut later = Times::default();
            for seed in 0..seeds {
                let scenario = scenarios::cut(seed, seconds, manners);
                let ledger = play(&scenario, goals);
                let (crossed, afterwards) = across_and_later(&scenario, &ledger);
                let what = format!("a cut of {seconds} s, {}", manners.name());
                goals.demand(
                    crossed.is_whole(),
                    &format!("{what}: not all crossed"),
                    &scenario,
                );
                goals.demand(
                    crossed.percentile(50) <= Duration::from_secs(5)
                        && crossed.percentile(99) <= Duration::from_secs(20),
                    &format!(
                        "{what}: p50 {:?}, p99 {:?}, and 5 s and 20 s were aimed at",
                        crossed.percentile(50),
                        crossed.percentile(99)
                    ),
                    &scenario,
                );
                goals.demand(
                    afterwards.is_whole(),
                    &format!("{what}: later messages are lost"),
                    &scenario,
                );
                across.add_all(crossed);
                later.add_all(afterwards);
            }
            let published = iroh::CUTS.iter().find(|(length, ..)| *length == seconds);
            let published = published.map_or_else(
                || "not tried".to_owned(),
                |(_, crossed, later)| format!("{crossed:5.1} %, {later:5.1} %"),
            );
            println!(
                "{seconds:>4} s  {:<11}  {}  {}  {}  {}  {}        | {published}",
                manners.name(),
                across.share(),
                across.shown(50),
                across.shown(99),
                across.shown(100),
                later.share(),
            );
        }
    }
    println!();
}

/// Returns what became of the messages across a cut, by how long after it they came, and of those published after it.
fn across_and_later(scenario: &Scenario, ledger: &Ledger) -> (Times, Times) {
    let mut storm = Storm::new(scenario);
    storm.begin(0, |_| Vec::new());
    let (mut across, mut later) = (Times::default(), Times::default());
    for entry in ledger.entries() {
        let is_later = entry.at >= ledger.healed();
        for life in ledger.lives().keys().filter(|life| **life != entry.by) {
            let got = entry.got.get(life);
            if is_later {
                later.add(got.map(|at| at.since(entry.at)));
            } else if storm.split(entry.by.node, life.node).is_some() {
                across.add(got.map(|at| at.since(ledger.healed())));
            }
        }
    }
    (across, later)
}

fn churn(seeds: u64, goals: &mut Goals) {
    println!("For ten minutes one node crashes, and another begins in its place, every so often;");
    println!(
        "a message a second. To those that were there for 10 s before and 30 s after it; seeds: {seeds}"
    );
    println!("   every  delivered      p50      p99      max | iroh-gossip");
    for (millis, published) in iroh::CHURN {
        let mut all = Times::default();
        for seed in 0..seeds {
            let scenario = scenarios::churn(seed, millis);
            let ledger = play(&scenario, goals);
            let times = to_those_who_were_there(&ledger);
            let what = format!("a crash every {millis} ms: {} delivered", times.share());
            goals.demand(
                times.is_whole() || (millis < 1000 && times.ppm() >= 999_000),
                &what,
                &scenario,
            );
            all.add_all(times);
        }
        println!(
            "{:>6.1} s  {}  {}  {}  {} | {published:7.3} %",
            f64::from(millis) / 1000.0,
            all.share(),
            all.shown(50),
            all.shown(99),
            all.shown(100),
        );
    }
    println!();
}

fn to_those_who_were_there(ledger: &Ledger) -> Times {
    let mut times = Times::default();
    let during = ledger.entries().iter();
    for entry in during.filter(|entry| entry.at < ledger.healed()) {
        for (life, span) in ledger.lives() {
            let is_in = span.from.after(Duration::from_secs(10)) <= entry.at;
            let stays = entry.at.after(Duration::from_secs(30));
            if *life != entry.by && is_in && span.to.is_none_or(|to| to > stays) {
                times.add(entry.got.get(life).map(|at| at.since(entry.at)));
            }
        }
    }
    times
}

fn loss(seeds: u64, goals: &mut Goals) {
    println!(
        "Each second so many of the links carry nothing for a second, as when a segment is lost again and"
    );
    println!("again, and one in ten of them breaks; two messages a second; seeds: {seeds}");
    println!("  links  delivered      p50      p99      max | iroh-gossip, of frames");
    for (share, published) in iroh::LOSS {
        let mut all = Times::default();
        for seed in 0..seeds {
            let scenario = scenarios::loss(seed, share);
            let ledger = play(&scenario, goals);
            let times = to_those_who_were_there(&ledger);
            let what = format!("{share} % of links stalled: {} delivered", times.share());
            goals.demand(times.is_whole(), &what, &scenario);
            all.add_all(times);
        }
        println!(
            "{share:>5} %  {}  {}  {}  {} | {published:7.3} %",
            all.share(),
            all.shown(50),
            all.shown(99),
            all.shown(100),
        );
    }
    println!();
}

fn slow(goals: &mut Goals) {
    println!(
        "One of 200 reads nothing for ten minutes, while a message of 8 KiB is published each second:"
    );
    println!("what the others have of it");
    println!(
        "                      delivered      p50      p99      max   memory for it at one node"
    );
    let mut usual = None;
    for reader in Reader::ALL {
        let scenario = scenarios::slow(1, reader);
        let ledger = play(&scenario, goals);
        let times = to_others(&ledger, scenarios::SLOW);
        let memory = |ledger: &Ledger, node| ledger.most_memory(node);
        let cost = usual.as_ref().map_or(0, |(_, before): &(Times, Ledger)| {
            let nodes = (0..u32::from(scenarios::NODES)).filter(|node| *node != scenarios::SLOW);
            let costs =
                nodes.map(|node| memory(&ledger, node).saturating_sub(memory(before, node)));
            costs.max().unwrap_or(0)
        });
        println!(
            "{:<20}  {}  {}  {}  {}   {} KiB",
            reader.name(),
            times.share(),
            times.shown(50),
            times.shown(99),
            times.shown(100),
            cost.div_ceil(1024),
        );
        goals.demand(
            times.is_whole(),
            "beside a slow reader not all came",
            &scenario,
        );
        let what = format!("{}: {} KiB at one node", reader.name(), cost >> 10);
        goals.demand(cost <= 256 << 10, &what, &scenario);
        if let Some((before, _)) = &usual {
            for percent in [50, 99] {
                let (now, before) = (times.percentile(percent), before.percentile(percent));
                let what = format!("{}: p{percent} {before:?} is {now:?}", reader.name());
                goals.demand(now <= before * 105 / 100, &what, &scenario);
            }
        } else {
            usual = Some((times, ledger));
        }
    }
    println!();
}

/// Returns what became of messages at all but one node.
fn to_others(ledger: &Ledger, but: u32) -> Times {
    let mut times = Times::default();
    for entry in ledger
        .entries()
        .iter()
        .filter(|entry| entry.at < ledger.healed())
    {
        for life in ledger.lives().keys() {
            if *life != entry.by && life.node != but {
                times.add(entry.got.get(life).map(|at| at.since(entry.at)));
            }
        }
    }
    times
}
