//! What is wrong with a run that the judge does not see to: each kind of it once.

use crate::judge::Judge;
use crate::report::{Checker, Violation};
use crate::time::Time;

/// The kinds of what is found in more than one sort of run.
pub(crate) const FORGOTTEN: &str = "forgotten connections";
pub(crate) const TOO_MUCH: &str = "too much";

#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Violation>);

impl Findings {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that a rule was broken. Returns it, unless one of its kind is known.
    pub(crate) fn note(
        &mut self,
        at: Time,
        checker: Checker,
        kind: &str,
        node: Option<u32>,
        sentence: String,
    ) -> Option<&Violation> {
        let is_known = |other: &Violation| other.checker == checker && other.kind == kind;
        if self.0.iter().any(is_known) {
            return None;
        }
        self.0.push(Violation {
            checker,
            kind: kind.to_owned(),
            at,
            node,
            message: None,
            sentence,
        });
        self.0.last()
    }

    /// Returns all of it and what the judge has found, the first first.
    pub(crate) fn with(&self, judge: &Judge) -> Vec<Violation> {
        let mut violations = judge.violations().to_vec();
        violations.extend_from_slice(&self.0);
        violations.sort_by_key(|violation| violation.at);
        violations
    }
}

/// Returns a node that has more connections than it knows of, and says so. What is given is a node, how many it knows of, and
/// how many there are; one may just be opening.
pub(crate) fn forgotten(
    mut counts: impl Iterator<Item = (u32, usize, usize)>,
) -> Option<(u32, String)> {
    let (node, known, there) = counts.find(|(_, known, there)| *there > *known + 1)?;
    let sentence = format!(
        "node {node} knows of {known} connections, and has {there}: it closed some without a word"
    );
    Some((node, sentence))
}

/// Says that a node holds more than it may.
pub(crate) fn too_much(node: u32, memory: usize, limit: usize) -> String {
    format!("node {node} holds {memory} bytes, and may hold {limit}")
}
