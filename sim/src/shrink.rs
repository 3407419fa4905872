//! From a scenario that fails to a small one that fails in the same way.
//!
//! A step takes something away or makes it simpler, and is kept if the failure stays the same failure. Large steps come
//! first: all faults of a kind, half of the load, half of the nodes. Steps are tried until none is left that works.

use std::collections::BTreeSet;

use crate::chance::hash_bytes;
use crate::report::Fingerprint;
use crate::scenario::Scenario;

mod dating;
mod edit;
mod stage;

pub use dating::{Dated, date};
use edit::Edit;
use stage::{Resume, Stage};

/// After how many runs [`Scenario::shrink`] contents itself with what it has.
pub const MAX_SHRINK_RUNS: u32 = 2000;

/// How far shrinking has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many scenarios have been run.
    pub runs: u32,
    /// What is being tried: `fewer nodes`.
    pub stage: &'static str,
    /// How many nodes are left.
    pub nodes: u16,
    /// How many faults.
    pub faults: usize,
    /// How many messages.
    pub messages: u64,
}

/// What shrinking has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shrunk {
    /// The smallest scenario that still fails.
    pub scenario: Scenario,
    /// How it fails, and how the first one failed.
    pub fingerprint: Fingerprint,
    /// How many scenarios were run, the first one counted.
    pub runs: u32,
    /// Whether no step is left that works; otherwise it was told to stop.
    pub is_done: bool,
}

/// Makes a scenario that fails smaller for as long as it fails in the same way.
///
/// `fails` runs a scenario and tells how it fails, if it does; the same scenario must always give the same. It is never
/// called twice with the same scenario. `violated_ms` is when the first rule was broken, in milliseconds after the
/// network had formed: what comes later goes first. `go_on` is asked before each run: it can show the progress, and say
/// no once there have been too many runs or too much time has passed.
///
/// Returns `None` if the scenario does not fail, or must not even be run once.
pub fn shrink(
    scenario: &Scenario,
    violated_ms: Option<u32>,
    mut go_on: impl FnMut(&Progress) -> bool,
    mut fails: impl FnMut(&Scenario) -> Option<Fingerprint>,
) -> Option<Shrunk> {
    let mut steps = Steps::new(scenario.clone(), violated_ms);
    if !go_on(&steps.progress(0)) {
        return None;
    }
    let fingerprint = fails(scenario)?;
    let mut runs = 1;
    let mut is_done = true;
    while let Some(candidate) = steps.propose() {
        if !go_on(&steps.progress(runs)) {
            is_done = false;
            break;
        }
        runs += 1;
        if fails(&candidate).as_ref() == Some(&fingerprint) {
            steps.accept();
        }
    }
    Some(Shrunk {
        scenario: steps.best,
        fingerprint,
        runs,
        is_done,
    })
}

impl Scenario {
    /// Makes it smaller for as long as it fails in the same way, in at most [`MAX_SHRINK_RUNS`] runs: [`shrink`] without
    /// anything to set.
    pub fn shrink(&self, fails: impl FnMut(&Self) -> Option<Fingerprint>) -> Option<Shrunk> {
        shrink(
            self,
            None,
            |progress| progress.runs < MAX_SHRINK_RUNS,
            fails,
        )
    }
}

/// The steps down from a scenario, one at a time: propose, run, and accept what still fails.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    best: Scenario,
    proposed: Option<(Scenario, Edit)>,
    violated_ms: Option<u32>,
    /// Hashes of all scenarios that were proposed.
    seen: BTreeSet<u64>,
    stage: Stage,
    /// What is to be tried in this stage, the next last.
    edits: Vec<Edit>,
    /// Whether anything was accepted since the first stage: then all are gone through again.
    has_changed: bool,
}

impl Steps {
    pub(crate) fn new(scenario: Scenario, violated_ms: Option<u32>) -> Self {
        let seen = BTreeSet::from([hash(&scenario)]);
        let mut steps = Self {
            best: scenario,
            proposed: None,
            violated_ms,
            seen,
            stage: Stage::FIRST,
            edits: Vec::new(),
            has_changed: false,
        };
        steps.begin(Resume::START);
        steps
    }

    /// Returns the smallest scenario that was accepted.
    #[cfg(feature = "proptest")]
    pub(crate) const fn best(&self) -> &Scenario {
        &self.best
    }

    /// Returns the next scenario to try: one that was not proposed before. `None` if there is none.
    pub(crate) fn propose(&mut self) -> Option<Scenario> {
        self.proposed = None;
        loop {
            while let Some(edit) = self.edits.pop() {
                let candidate = edit.apply(&self.best);
                if self.seen.insert(hash(&candidate)) {
                    self.proposed = Some((candidate.clone(), edit));
                    return Some(candidate);
                }
            }
            match self.stage.next() {
                Some(stage) => self.stage = stage,
                None if self.has_changed => {
                    self.has_changed = false;
                    self.stage = Stage::FIRST;
                }
                None => return None,
            }
            self.begin(Resume::START);
        }
    }

    /// What was proposed last still fails: go on from there.
    pub(crate) fn accept(&mut self) {
        if let Some((scenario, edit)) = self.proposed.take() {
            self.best = scenario;
            self.has_changed = true;
            self.begin(Resume::after(&edit));
        }
    }

    fn begin(&mut self, resume: Resume) {
        self.edits = self.stage.edits(&self.best, self.violated_ms, resume);
        self.edits.retain(|edit| edit.place() >= resume.place);
        self.edits.reverse();
    }

    fn progress(&self, runs: u32) -> Progress {
        Progress {
            runs,
            stage: self.stage.name(),
            nodes: self.best.nodes,
            faults: self.best.faults.len(),
            messages: self.best.messages(),
        }
    }
}

fn hash(scenario: &Scenario) -> u64 {
    hash_bytes(&scenario.to_bytes())
}

#[cfg(test)]
mod tests;
