//! What came of a run: what was violated, and the numbers.

use std::fmt;

use crate::time::Time;

/// The rule that a checker holds a run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Checker {
    /// S1: nothing is delivered that was not published, or that was altered.
    Genuine,
    /// S2: nothing is delivered twice to the same node.
    Once,
    /// S3: each sender's messages are delivered in their order.
    Order,
    /// S4: nothing is delivered on behalf of someone who did not send it.
    Sender,
    /// S5: memory, queues and tables stay within their limits.
    Memory,
    /// S6: time goes on: no node acts for ever at one moment, or answers a little with very much.
    Zeno,
    /// S7: a node keeps to the rules of its world: it writes where there is room, closes once, does not dial itself.
    Discipline,
    /// S8: every message is accounted for at every node: delivered, declared missing, or pending.
    Accounts,
    /// L1: who is owed a message gets it, or is told that it is missing.
    Owed,
    /// L2: those who are whole become one network, with one connection for each pair, and not too many.
    Overlay,
    /// L3: in the end what anyone says reaches everybody.
    Probe,
    /// L4: who has nothing to say is quiet.
    Quiet,
    /// L5: what can move, moves.
    Progress,
    /// E1: to recover what is missing costs little more than what is missing.
    Thrift,
    /// D1: the same scenario gives the same run.
    Determinism,
    /// V1: every fault did something.
    Effect,
    /// A node panicked.
    Panic,
}

impl Checker {
    /// All of them, in order.
    pub const ALL: [Self; 17] = [
        Self::Genuine,
        Self::Once,
        Self::Order,
        Self::Sender,
        Self::Memory,
        Self::Zeno,
        Self::Discipline,
        Self::Accounts,
        Self::Owed,
        Self::Overlay,
        Self::Probe,
        Self::Quiet,
        Self::Progress,
        Self::Thrift,
        Self::Determinism,
        Self::Effect,
        Self::Panic,
    ];

    /// Returns its short name, as people write it: `S1`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Genuine => "S1",
            Self::Once => "S2",
            Self::Order => "S3",
            Self::Sender => "S4",
            Self::Memory => "S5",
            Self::Zeno => "S6",
            Self::Discipline => "S7",
            Self::Accounts => "S8",
            Self::Owed => "L1",
            Self::Overlay => "L2",
            Self::Probe => "L3",
            Self::Quiet => "L4",
            Self::Progress => "L5",
            Self::Thrift => "E1",
            Self::Determinism => "D1",
            Self::Effect => "V1",
            Self::Panic => "P0",
        }
    }

    /// Returns what it demands, in a sentence.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Genuine => "what is delivered was published, and is unaltered",
            Self::Once => "nothing is delivered twice to the same node",
            Self::Order => "each sender's messages are delivered in their order",
            Self::Sender => "who a message is from is who sent it",
            Self::Memory => "memory and queues stay within their limits",
            Self::Zeno => "time goes on, and a little input makes a bounded output",
            Self::Discipline => "a node keeps to the rules of its world",
            Self::Accounts => "every message is delivered, declared missing, or pending",
            Self::Owed => "who is owed a message gets it, or is told that it is missing",
            Self::Overlay => "those who are whole become one network",
            Self::Probe => "in the end what anyone says reaches everybody",
            Self::Quiet => "who has nothing to say is quiet",
            Self::Progress => "what can move, moves",
            Self::Thrift => "to recover costs little more than what is missing",
            Self::Determinism => "the same scenario gives the same run",
            Self::Effect => "every fault did something",
            Self::Panic => "no node panics",
        }
    }
}

impl fmt::Display for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Violation {
    /// Which rule.
    pub checker: Checker,
    /// In which way: one of a few words, such as `twice` or `altered`. With the checker it tells whether two failures are the same.
    pub kind: String,
    /// When.
    pub at: Time,
    /// At which node, if at one.
    pub node: Option<u32>,
    /// Which message, counted in order of publishing, if it is about one.
    pub message: Option<u32>,
    /// In a sentence, for someone who knows nothing of the run.
    pub sentence: String,
}

/// What two failures have in common if they are the same failure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Fingerprint {
    /// Which rule is broken.
    pub checker: Checker,
    /// In which way.
    pub kind: String,
}

impl Violation {
    /// Returns what makes it the same failure as another.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            checker: self.checker,
            kind: self.kind.clone(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}): {}",
            self.checker.code(),
            self.checker.rule(),
            self.sentence
        )
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Microseconds of world time.
    Micros,
    /// Parts of a million.
    Ppm,
    /// Thousandths.
    Milli,
}

/// Which way a number gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Better {
    /// More of it.
    More,
    /// Less of it.
    Less,
    /// Neither.
    Neither,
}

/// A number with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Number {
    /// Its name: `latency p99`, `fault effect: split`.
    pub name: String,
    /// How much.
    pub value: u64,
    /// Of what.
    pub unit: Unit,
    /// Which way it gets better.
    pub better: Better,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// A hash of all that happened. Equal runs have equal ones, on every machine.
    pub hash: u64,
    /// What was violated, the first first. At most a hundred are kept.
    pub violations: Vec<Violation>,
    /// The numbers, in a fixed order.
    pub numbers: Vec<Number>,
}

impl Report {
    /// Returns the number of this name.
    pub fn number(&self, name: &str) -> Option<u64> {
        let mut numbers = self.numbers.iter();
        Some(numbers.find(|number| number.name == name)?.value)
    }

    /// Returns what makes the run's failure the same as another's, if it failed.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.violations.first().map(Violation::fingerprint)
    }
}
