//! The numbers that come of a run.

use std::time::Duration;

use super::Judge;
use super::histogram::Histogram;
use crate::report::{Better, Number, Unit};
use crate::time::nanos;

/// What is counted on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) refused: u64,
    /// Bytes of payloads published to all.
    pub(super) payload: u64,
    /// Deliveries to nodes that mean no harm.
    pub(super) seen: u64,
    /// Of those: the first of a message to all at a reader.
    pub(super) firsts: u64,
    /// The first of a private message.
    pub(super) private_firsts: u64,
    /// Messages that the reader had already, or had published.
    pub(super) repeated: u64,
    /// What no message that was published is.
    pub(super) foreign: u64,
    /// Of the repeated: after a restart.
    pub(super) after_restart: u64,
    /// Of the repeated: to a legacy node, so late that its protocol allows it.
    pub(super) late_again: u64,
    /// Messages that are one with another by their protocol.
    pub(super) merged: u64,
    /// Of the foreign: from those that mean harm.
    pub(super) strange: u64,
    pub(super) gaps: u64,
    /// Messages declared missing, counted for each reader.
    pub(super) declared: u64,
    pub(super) latency: Histogram,
    /// What is owed, counted for each reader.
    pub(super) owed: u64,
    pub(super) owed_and_missing: u64,
    pub(super) wrong_claims: u64,
    pub(super) reasons: Reasons,
    /// How long the core took to have what it is owed.
    pub(super) converged: Option<Duration>,
}

/// Why a message was neither delivered nor declared missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The reader means harm.
    Hostile,
    /// It is a legacy node, to which less is promised.
    Legacy,
    /// It began after the message was published, or about then.
    BornLater,
    /// It was gone when the message was published.
    GoneBefore,
    /// The message may have been dropped before it could come.
    TooOld,
    /// It waits for an earlier message of the same sender.
    HeldBack,
    /// No way led to the reader, or none was looked for.
    NoWay,
    /// There is none: it is owed.
    Owed,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Hostile,
        Self::Legacy,
        Self::BornLater,
        Self::GoneBefore,
        Self::TooOld,
        Self::HeldBack,
        Self::NoWay,
        Self::Owed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Hostile => "not delivered: receiver means harm",
            Self::Legacy => "not delivered: legacy receiver",
            Self::BornLater => "not delivered: receiver came later",
            Self::GoneBefore => "not delivered: receiver was gone",
            Self::TooOld => "not delivered: no longer kept",
            Self::HeldBack => "not delivered: behind another",
            Self::NoWay => "not delivered: no way",
            Self::Owed => "not delivered: without a reason",
        }
    }
}

/// How often each reason was the one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reasons([u64; Reason::ALL.len()]);

impl Reasons {
    pub(super) const fn add(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Tally {
    /// Returns whether what was counted on the way is what is there: so many messages that readers got, and so many that they
    /// declared missing.
    pub(super) const fn adds_up(&self, delivered: u64, declared: u64) -> bool {
        let classes = self.firsts + self.private_firsts + self.repeated + self.foreign;
        self.firsts == delivered && self.declared == declared && self.seen == classes
    }
}

/// Returns a share in millionths; all of nothing is all.
fn ppm(part: u64, whole: u64) -> u64 {
    if whole == 0 {
        return 1_000_000;
    }
    let share = u128::from(part) * 1_000_000 / u128::from(whole);
    u64::try_from(share).unwrap_or(u64::MAX)
}

impl Judge {
    /// Returns the numbers, in a fixed order. Those of what was not delivered are as of the last time that the end was judged.
    pub(crate) fn numbers(&self) -> Vec<Number> {
        let tally = &self.tally;
        let delivered = tally
            .owed
            .saturating_sub(tally.owed_and_missing.max(self.outstanding));
        let latency = |percent| tally.latency.percentile(percent);
        let converged = tally.converged.map_or(0, |length| nanos(length) / 1000);
        let lives = u64::from(self.lives.len());
        let (count, bytes, micros) = (Unit::Count, Unit::Bytes, Unit::Micros);
        let (more, less, neither) = (Better::More, Better::Less, Better::Neither);
        let list = [
            ("lives", lives, count, neither),
            ("connections opened", self.links.opened, count, less),
            (
                "published",
                self.messages.public_count() as u64,
                count,
                neither,
            ),
            ("published bytes", tally.payload, bytes, neither),
            ("published to one", self.private.len(), count, neither),
            ("refused", tally.refused, count, less),
            ("deliveries", tally.firsts, count, more),
            ("deliveries to one", tally.private_firsts, count, more),
            ("owed", tally.owed, count, more),
            (
                "owed and delivered",
                ppm(delivered, tally.owed),
                Unit::Ppm,
                more,
            ),
            ("latency p50", latency(50), micros, less),
            ("latency p90", latency(90), micros, less),
            ("latency p99", latency(99), micros, less),
            ("latency max", tally.latency.most(), micros, less),
            ("time to converge", converged, micros, less),
            ("gaps", tally.gaps, count, less),
            ("declared missing", tally.declared, count, less),
            ("repeated", tally.repeated, count, less),
            ("repeated after restart", tally.after_restart, count, less),
            ("repeated late at legacy", tally.late_again, count, neither),
            ("merged by legacy", tally.merged, count, neither),
            ("from strangers", tally.strange, count, neither),
            ("wrong claims", tally.wrong_claims, count, less),
            ("violations", self.docket.count(), count, less),
        ];
        let reasons = Reason::ALL.map(|reason| {
            let value = tally.reasons.0[reason as usize];
            (reason.name(), value, count, neither)
        });
        let all = list.into_iter().chain(reasons);
        all.map(|(name, value, unit, better)| Number {
            name: name.to_owned(),
            value,
            unit,
            better,
        })
        .collect()
    }
}
