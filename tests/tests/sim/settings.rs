//! Which scenarios are run, and how many.

use std::env;
use std::process::Command;

use rs2p_sim::{Family, Options, Protocol, Scenario, Sweep, SweepOptions, explain, sweep};

/// Returns the number that a variable of the environment is set to.
///
/// # Panics
///
/// It is set to something else.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} has to be a whole number, and is {value:?}")))
}

/// Returns the seed from which on scenarios are drawn: another one for each commit, so that all of them together see many.
pub(crate) fn base() -> u64 {
    number("RS2P_SIM_BASE").unwrap_or_else(|| {
        let mut git = Command::new("git");
        let head = git.args(["rev-parse", "HEAD"]).output();
        let head = head.ok().filter(|output| output.status.success());
        let head = head.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        // Short enough to be typed again.
        head.and_then(|head| u64::from_str_radix(head.get(..12)?, 16).ok())
            .unwrap_or(0)
    })
}

/// Returns how many scenarios to sweep where so many are usual.
pub(crate) fn count(usual: u64) -> u64 {
    number("RS2P_SIM_SEEDS").unwrap_or(usual)
}

/// Returns all kinds of faults but those that a filter leaves out.
pub(crate) fn families(is_wanted: impl Fn(Family) -> bool) -> Vec<Family> {
    let all = Family::ALL.into_iter();
    all.filter(|family| is_wanted(*family)).collect()
}

/// Sweeps scenarios, and says of the first that fails what a person needs to know. With `RS2P_SIM_REPLAY` set to the line that a
/// failure has printed, runs that one and no other.
///
/// # Panics
///
/// One fails.
#[track_caller]
pub(crate) fn sweep_clean<P: Protocol>(
    protocol: &P,
    test: &str,
    seeds: std::ops::Range<u64>,
    scenario: impl Fn(u64) -> Scenario + Sync,
) -> Sweep {
    let options = SweepOptions::default();
    let swept = match env::var("RS2P_SIM_REPLAY") {
        Ok(line) => {
            let scenario = Scenario::from_line(&line);
            let scenario = scenario.unwrap_or_else(|error| panic!("RS2P_SIM_REPLAY: {error}"));
            sweep(protocol, 0..1, |_| scenario.clone(), options, |_| true)
        }
        Err(_) => sweep(protocol, seeds, scenario, options, |_| true),
    };
    println!(
        "{test}: {} runs, {} events, {} deliveries owed",
        swept.runs, swept.events, swept.owed
    );
    if let Some(failure) = swept.first_failure() {
        let explained = explain(protocol, failure, Options::default(), test, |_| ());
        panic!("{}", explained.text);
    }
    swept
}
