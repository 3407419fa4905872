//! What was found: the first hundred violations, and how many there were.

use crate::report::{Checker, Violation};
use crate::time::Time;

/// So many violations are kept. The first are what matters: what follows is often a consequence.
const MAX_KEPT: usize = 100;

/// The violations, the first first.
#[derive(Clone, Debug, Default)]
pub(super) struct Docket {
    kept: Vec<Violation>,
    count: u64,
}

/// What a violation is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) at: Time,
    pub(super) node: Option<u32>,
    pub(super) message: Option<u32>,
}

impl Docket {
    /// Notes a violation. The sentence is only made if it is kept.
    pub(super) fn note(
        &mut self,
        checker: Checker,
        kind: &str,
        about: About,
        sentence: impl FnOnce() -> String,
    ) {
        self.count += 1;
        if self.kept.len() < MAX_KEPT {
            self.kept.push(Violation {
                checker,
                kind: kind.to_owned(),
                at: about.at,
                node: about.node,
                message: about.message,
                sentence: sentence(),
            });
        }
    }

    pub(super) fn kept(&self) -> &[Violation] {
        &self.kept
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }
}
