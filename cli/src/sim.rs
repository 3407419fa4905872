//! `rs2p sim`: networks that do not exist, what goes wrong in them, and whether the protocol's promises hold.

pub(crate) mod args;
mod bench;
mod failure;
mod one;
mod output;
mod progress;
mod quiet;
mod report;
mod show;
mod source;
mod sweep;

use rs2p_sim::{Checker, Report, Rs2p};

use crate::exit::Failure;
use args::{Bug, Sim, Verb};

pub(crate) fn run(sim: &Sim) -> Result<(), Failure> {
    match &sim.verb {
        Verb::Run(args) => sweep::run(args),
        Verb::Replay(args) => one::replay(args),
        Verb::Shrink(args) => one::shrink(args),
        Verb::Show(args) => show::run(args),
        Verb::Bench(args) => bench::run(args),
    }
}

impl Bug {
    /// Returns what is simulated: rs2p as it is, or with the bug in it.
    fn protocol(self) -> Rs2p {
        #[cfg(feature = "sabotage")]
        if let Some(bug) = self.bug {
            return Rs2p::sabotaged(bug);
        }
        Rs2p::default()
    }

    /// Returns what a command line needs for the same bug, with a space before it.
    fn option(self) -> String {
        #[cfg(feature = "sabotage")]
        if let Some(bug) = self.bug {
            return format!(" --bug {bug}");
        }
        String::new()
    }
}

/// Returns the status of a run that broke this rule.
fn status(checker: Checker) -> u8 {
    // By the letter of its code, so that a new rule has a status too.
    match checker.code().as_bytes().first() {
        Some(b'S') => 10,
        Some(b'P') => 12,
        Some(b'D') => 13,
        Some(b'V') => 14,
        _ => 11,
    }
}

/// Returns a failure with the status of what was violated first, if anything was.
fn judged(report: &Report) -> Result<(), Failure> {
    match report.violations.first() {
        None => Ok(()),
        Some(first) => {
            let (checker, kind) = (first.checker, &first.kind);
            Err(Failure::found(
                status(checker),
                format!("rule {checker} was broken ({kind})"),
            ))
        }
    }
}

/// Returns a command that runs a scenario again, to be copied.
fn replay_command(line: &str, bug: Bug) -> String {
    format!("rs2p sim replay{} {line}", bug.option())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_the_status_that_the_help_says() {
        let table = [
            ("S", 10),
            ("L", 11),
            ("E", 11),
            ("P", 12),
            ("D", 13),
            ("V", 14),
        ];
        for checker in Checker::ALL {
            let code = checker.code();
            let found = table.iter().find(|(letter, _)| code.starts_with(letter));
            assert_eq!(
                Some(status(checker)),
                found.map(|(_, status)| *status),
                "{code}"
            );
        }
    }
}
