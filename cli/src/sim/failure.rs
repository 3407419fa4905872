//! A failure explained: the smallest scenario that still fails, what is wrong, how to run it again, and files to look at.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use rs2p_sim as sim;
use rs2p_sim::{Dated, Options, Report, Scenario, Shrunk, date_failure, in_words, shrink_failure};

use super::args::Bug;
use super::output::counted;
use super::progress::Progress;
use super::quiet::Quiet;
use super::replay_command;

/// How long a command may be that is to be copied, in bytes, if there is a file to name instead.
const MAX_COMMAND: usize = 300;

/// A failure, and all that is known of it.
pub(super) struct Explained {
    pub(super) scenario: Scenario,
    pub(super) report: Report,
    /// How many scenarios were run to find it.
    pub(super) runs: u32,
    pub(super) files: Vec<PathBuf>,
    /// When it became unavoidable, if that was asked for and could be told.
    pub(super) dated: Option<Dated>,
    /// All of it in words.
    pub(super) text: String,
}

/// How a failure is explained.
#[derive(Clone, Copy)]
pub(super) struct Explain<'a> {
    pub(super) options: Options,
    pub(super) bug: Bug,
    /// Where the files go, if that was said.
    pub(super) folder: Option<&'a Path>,
    /// What the files are called.
    pub(super) name: &'a str,
    /// Whether files are written at all.
    pub(super) writes: bool,
}

impl Explain<'_> {
    /// Makes a failure smaller, with progress on standard error if that is wanted. `None` if it does not fail again.
    pub(super) fn shrink(&self, failure: &sim::Failure, is_watched: bool) -> Option<Shrunk> {
        let _quiet = Quiet::new();
        let line = Progress::new(is_watched);
        shrink_failure(&self.bug.protocol(), failure, self.options, |now| {
            line.show(|| {
                format!(
                    "shrinking: {}, {}; now {}, {}, {}",
                    counted(now.runs.into(), "run"),
                    now.stage,
                    counted(now.nodes.into(), "node"),
                    counted(now.faults as u64, "fault"),
                    counted(now.messages, "message"),
                )
            });
        })
    }

    /// Finds when the failure became unavoidable, with progress as when it is made smaller.
    fn date(&self, failure: &sim::Failure, is_watched: bool) -> Option<Dated> {
        let _quiet = Quiet::new();
        let line = Progress::new(is_watched);
        date_failure(&self.bug.protocol(), failure, self.options, |runs| {
            line.show(|| {
                let runs = counted(runs.into(), "run");
                format!("finding out when it became unavoidable: {runs}")
            });
        })
    }

    /// Runs what a failure was made smaller to, and tells all of it: also when it became unavoidable.
    pub(super) fn tell_shrunk(
        &self,
        was: &Scenario,
        shrunk: &Shrunk,
        is_watched: bool,
    ) -> Explained {
        let mut explained = self.tell(was, &shrunk.scenario, shrunk.runs);
        let (scenario, report) = (explained.scenario.clone(), explained.report.clone());
        explained.dated = self.date(&sim::Failure::new(scenario, report), is_watched);
        if let Some(dated) = explained.dated {
            explained.text = format!("{dated}\n\n{}", explained.text);
        }
        explained
    }

    /// Runs a scenario once more with everything on, and tells all of it. `was` is what it came from, after so many runs.
    pub(super) fn tell(&self, was: &Scenario, scenario: &Scenario, runs: u32) -> Explained {
        let quiet = Quiet::new();
        let outcome = sim::run(&self.bug.protocol(), scenario, self.options.traced());
        let panic = quiet.last();
        drop(quiet);
        let mut text = in_words(was, scenario, &outcome.report, runs);
        // Writing to a string does not fail.
        if let Some(panic) = panic {
            let _ = writeln!(text, "\nthe panic: {panic}");
        }
        let command = replay_command(&scenario.to_line(), self.bug);
        let (mut files, mut listed) = (Vec::new(), String::new());
        if self.writes {
            let written = match self.folder {
                Some(folder) => sim::write_down_in(folder, scenario, &outcome, self.name, &command),
                None => {
                    let folder = sim::folder();
                    sim::write_down_in(&folder, scenario, &outcome, self.name, &command)
                }
            };
            listed = list(&written);
            files = written.unwrap_or_default();
        }
        let file = files
            .iter()
            .find(|file| file.extension().is_some_and(|ending| ending == "line"));
        let shown = match file {
            // Nobody copies so much out of a terminal.
            Some(file) if command.len() > MAX_COMMAND => {
                replay_command(&file.display().to_string(), self.bug)
            }
            _ => command,
        };
        let _ = writeln!(text, "\nrun it again:\n    {shown}");
        text.push_str(&listed);
        Explained {
            scenario: scenario.clone(),
            report: outcome.report,
            runs,
            files,
            dated: None,
            text,
        }
    }
}

/// Returns what there is to look at, in words.
pub(super) fn list(written: &io::Result<Vec<PathBuf>>) -> String {
    let files = match written {
        Ok(files) => files,
        Err(error) => return format!("\nthe files to look at could not be written: {error}\n"),
    };
    let mut text = "\nto look at:\n".to_owned();
    for file in files {
        let ending = file.extension().and_then(|ending| ending.to_str());
        let what = match ending {
            Some("html") => "  (in a browser: begin here)",
            Some("txt") => "  (all that happened, line by line)",
            Some("jsonl") => "  (the same for scripts)",
            Some("json" | "line") => "  (the scenario)",
            _ => "",
        };
        let _ = writeln!(text, "    {}{what}", file.display());
    }
    text
}
