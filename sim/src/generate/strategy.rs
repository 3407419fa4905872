//! Scenarios for property tests.

use proptest::arbitrary::any;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::{Profile, generate};
use crate::scenario::Scenario;
use crate::shrink::Steps;

impl Scenario {
    /// Returns a strategy for the scenarios that a profile allows. Its values shrink as [`shrink`](crate::shrink()) does
    /// it, except that every failure counts as the same.
    pub fn arbitrary(profile: Profile) -> impl Strategy<Value = Self> {
        Scenarios { profile }
    }
}

#[derive(Debug)]
struct Scenarios {
    profile: Profile,
}

impl Strategy for Scenarios {
    type Tree = Tree;
    type Value = Scenario;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = any::<u64>().new_tree(runner)?.current();
        let scenario = generate(seed, &self.profile);
        Ok(Tree {
            current: scenario.clone(),
            steps: Steps::new(scenario, None),
            is_proposed: false,
        })
    }
}

/// A scenario, and the way down from it.
#[derive(Debug)]
struct Tree {
    current: Scenario,
    steps: Steps,
    is_proposed: bool,
}

impl Tree {
    /// Goes to the next step that was not tried, or back to the best if there is none.
    fn advance(&mut self) -> bool {
        let proposed = self.steps.propose();
        self.is_proposed = proposed.is_some();
        self.current = proposed.unwrap_or_else(|| self.steps.best().clone());
        self.is_proposed
    }
}

impl ValueTree for Tree {
    type Value = Scenario;

    fn current(&self) -> Scenario {
        self.current.clone()
    }

    /// The current one fails.
    fn simplify(&mut self) -> bool {
        if self.is_proposed {
            self.steps.accept();
        }
        self.advance()
    }

    /// The current one does not fail.
    fn complicate(&mut self) -> bool {
        self.is_proposed && self.advance()
    }
}
