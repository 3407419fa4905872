//! Holds a run against the rules: what is delivered, to whom, in which order; and in the end, what is owed.
//!
//! A world tells [`Judge::observe`] what happens. At the end of each phase it asks for what has to hold by then.
//!
//! # What is counted for whom
//!
//! Deliveries are counted for *readers*: a life together with those that were restored from it. A life that begins without
//! memory is a new reader, which knows nothing and is owed only what is published from then on.
//!
//! # What is owed
//!
//! By two rules, both of which err on the side of the nodes:
//!
//! - A message that a life of the core holds when the ending begins, or gets later, is owed to all the core, unless it may
//!   be dropped from a log before everyone had the time to get it.
//! - A message is owed to every life to which there was a way from its publisher: over links that both ends took for
//!   usable, one after the other, each for long enough.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::facts::{Fact, Life, Published};
use crate::report::{Checker, Violation};
use crate::scenario::Kind;
use crate::time::Time;

use docket::{About, Docket};
use links::Links;
use lives::{LifeIndex, LifeState, Lives, ReaderIndex};
use messages::{MessageIndex, Messages, Oddity};
use owed::Core;
use tally::Tally;

mod bits;
mod deliveries;
mod docket;
mod ends;
mod histogram;
mod links;
mod lives;
mod messages;
mod owed;
mod paths;
mod private;
mod tally;
#[cfg(test)]
mod tests;
mod ways;

pub(crate) use ends::{LinkTraffic, Pair};

/// For how long messages are certainly kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// How old they may become, by the world's clock: where clocks run too fast, less than what is configured.
    pub(crate) age: Duration,
    /// How many a log holds.
    pub(crate) count: u64,
    /// How many bytes a log holds.
    pub(crate) bytes: u64,
    /// How many bytes a message takes in a log besides its payload, at most.
    pub(crate) overhead: u64,
    /// Who holds one part in so many of a log may be displaced before others. Zero: nothing is promised of a full log.
    pub(crate) parts: u64,
}

impl Retention {
    /// Nothing is kept for anyone.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self {
        age: Duration::ZERO,
        count: 0,
        bytes: 0,
        overhead: 0,
        parts: 0,
    };

    pub(crate) const fn is_promised(&self) -> bool {
        !self.age.is_zero() && self.count > 0 && self.bytes > 0
    }
}

/// What a run is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How many nodes there are. Up to 64, ways are looked for of all messages; beyond, of a few.
    pub(crate) nodes: u32,
    /// For how long messages are kept. With [`Retention::NONE`] nothing is owed but what is published in the end.
    pub(crate) retention: Retention,
    /// How long a link must be usable to carry what is owed from one end to the other.
    pub(crate) hop: Duration,
    /// How long the core may take to pass on what it holds. What may be too old by then is not owed.
    pub(crate) settle: Duration,
    /// By how much a message's age, as nodes reckon it, may be wrong: one that was published so much before a life
    /// began must not be delivered to it, and one that was published so much later must be.
    pub(crate) birth_slack: Duration,
    /// Whether each sender's messages are delivered in order, and what is missing is declared.
    pub(crate) is_ordered: bool,
    /// How many links a node may have.
    pub(crate) links_max: usize,
    /// Whether a restored life may deliver again what the life before it delivered. It is counted.
    pub(crate) redelivery_after_crash: bool,
    /// For how long after it was published a legacy node delivers a message only once.
    pub(crate) legacy_window: Duration,
    /// Whether what legacy nodes publish is kept for others, and so is owed to the nodes of rs2p in the core.
    pub(crate) owes_from_legacy: bool,
    /// Whether what is published when the core is whole is owed to the legacy nodes in it.
    pub(crate) owes_to_legacy: bool,
    /// Whether a private message that is said to be delivered must have been. Where nothing acknowledges it, a claim that
    /// is wrong is only counted.
    pub(crate) claims_are_certain: bool,
    /// Whether calendars are set while nodes live.
    pub(crate) calendars_jump: bool,
    /// Within which time it is told what became of a private message.
    pub(crate) outcome: Duration,
    /// How many bytes of control a second a quiet link may carry.
    pub(crate) quiet_control: u64,
    /// How many bytes it may cost to recover a missing byte, in percent.
    pub(crate) thrift_percent: u64,
    /// How many bytes recovery may cost in any case.
    pub(crate) thrift_base: u64,
}

/// Watches a run, and finds what is wrong with it.
#[derive(Debug)]
pub(crate) struct Judge {
    rules: Rules,
    lives: Lives,
    messages: Messages,
    links: Links,
    docket: Docket,
    tally: Tally,
    core: Option<Core>,
    /// How many deliveries the core is owed that it has not got.
    outstanding: u64,
    deliveries: deliveries::Log,
    gaps: Vec<deliveries::Gap>,
    /// What is owed to whom, and is neither delivered nor declared missing, when that was last judged.
    lost: BTreeSet<(MessageIndex, ReaderIndex)>,
    private: private::Private,
}

impl Judge {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            lives: Lives::default(),
            messages: Messages::default(),
            links: Links::new(rules.hop),
            docket: Docket::default(),
            tally: Tally::default(),
            core: None,
            outstanding: 0,
            deliveries: deliveries::Log::default(),
            gaps: Vec::new(),
            lost: BTreeSet::new(),
            private: private::Private::default(),
        }
    }

    /// Takes note of what happened. Times never go back.
    pub(crate) fn observe(&mut self, at: Time, fact: &Fact) {
        match fact {
            Fact::Delivered {
                life,
                delivery,
                content,
            } => self.on_delivered(at, *life, delivery, *content),
            Fact::Published(published) => self.on_published(at, published),
            Fact::Gap {
                life,
                stream,
                first,
                last,
            } => self.on_gap(at, *life, *stream, (*first, *last)),
            Fact::Outcome {
                life,
                number,
                is_delivered,
            } => self.on_outcome(at, *life, *number, *is_delivered),
            Fact::Refused { .. } => self.tally.refused += 1,
            Fact::Born {
                life,
                place: _,
                identity,
                kind,
                is_hostile,
                is_restored,
            } => {
                let state = LifeState {
                    life: *life,
                    reader: 0,
                    kind: *kind,
                    is_hostile: *is_hostile,
                    identity: *identity,
                    died: None,
                    is_paused: false,
                    conns: Vec::new(),
                };
                let reader = self.lives.begin(at, state, *is_restored);
                if *is_restored {
                    self.messages.rewind(reader);
                }
                self.messages.last_birth = at;
            }
            Fact::Died { life, how: _ } => self.on_died(at, *life),
            Fact::Paused { life, is_paused } => {
                self.change(at, *life, |state| state.is_paused = *is_paused);
            }
            Fact::Connected { conn, ends } => self.on_connected(*conn, *ends),
            Fact::Disconnected { conn } => self.on_disconnected(at, *conn),
            Fact::Held { conn, is_held } => self.links.hold(at, *conn, *is_held, &self.lives),
            Fact::Peer {
                conn, life, is_up, ..
            } => {
                if let Some(life) = self.lives.find(*life) {
                    self.links.set_up(at, *conn, (life, *is_up), &self.lives);
                }
            }
            Fact::Breach {
                life,
                checker,
                kind,
                sentence,
            } => {
                let about = About {
                    at,
                    node: Some(life.node),
                    message: None,
                };
                self.docket.note(*checker, kind, about, || sentence.clone());
            }
        }
    }

    /// Returns what was violated, the first first: at most a hundred.
    pub(crate) fn violations(&self) -> &[Violation] {
        self.docket.kept()
    }

    /// Changes a life, and looks again at its links.
    fn change(&mut self, at: Time, life: Life, change: impl FnOnce(&mut LifeState)) {
        let Some(life) = self.lives.find(life) else {
            return;
        };
        let state = self.lives.life_mut(life);
        change(state);
        let conns = std::mem::take(&mut state.conns);
        for conn in &conns {
            self.links.update(at, *conn, &self.lives);
        }
        self.lives.life_mut(life).conns = conns;
    }

    fn on_died(&mut self, at: Time, life: Life) {
        self.change(at, life, |state| state.died = Some(at));
        let index = self.lives.find(life);
        if let Some(index) = index
            && let Some(core) = &self.core
            && core.has(index)
        {
            self.leave_core(at, index);
        }
    }

    fn on_connected(&mut self, conn: u64, ends: [Life; 2]) {
        let [Some(a), Some(b)] = ends.map(|end| self.lives.find(end)) else {
            return;
        };
        self.links.open(conn, [a, b]);
        for end in [a, b] {
            self.lives.life_mut(end).conns.push(conn);
        }
    }

    fn on_disconnected(&mut self, at: Time, conn: u64) {
        for end in self.links.close(at, conn).into_iter().flatten() {
            let conns = &mut self.lives.life_mut(end).conns;
            conns.retain(|other| *other != conn);
        }
    }

    fn on_published(&mut self, at: Time, published: &Published) {
        let Some(by) = self.lives.find(published.by) else {
            return;
        };
        let own = self.lives.life(by).reader;
        let readers = self.lives.reader_count();
        let retention = &self.rules.retention;
        let (message, oddity) = self
            .messages
            .add(at, (by, own), published, readers, retention);
        if let Some(oddity) = oddity {
            self.on_oddity(at, message, oddity, published);
        }
        if let Some((number, _)) = published.to {
            self.private.expect(published.by, number, message);
        } else {
            self.tally.payload += published.len as u64;
            self.core_has_published(at, by, message);
        }
    }

    fn on_oddity(
        &mut self,
        at: Time,
        message: MessageIndex,
        oddity: Oddity,
        published: &Published,
    ) {
        let by = self.messages.get(message).by;
        let about = self.about(at, by, message);
        let node = published.by.node;
        match oddity {
            // Two equal messages of a legacy node are one to its network if they fall into the same second.
            Oddity::SameKey(_) if self.lives.life(by).kind != Kind::Mesh => self.tally.merged += 1,
            Oddity::SameKey(first) => {
                let first = self.tell(first);
                self.docket
                    .note(Checker::Genuine, "same identity", about, || {
                        format!("node {node} published message {message}, and it has the same identity as {first}")
                    });
            }
            Oddity::Numbering { before } => {
                let sequence = published.position.map_or(0, |position| position.sequence);
                self.docket.note(Checker::Order, "numbering", about, || {
                    format!(
                        "node {node} published message {message} as number {sequence} of its stream, and the one before \
                         it was number {before}"
                    )
                });
            }
        }
    }

    fn about(&self, at: Time, life: LifeIndex, message: MessageIndex) -> About {
        About {
            at,
            node: Some(self.lives.life(life).life.node),
            message: Some(message),
        }
    }

    /// Returns which message it is, in words.
    fn tell(&self, message: MessageIndex) -> String {
        let published = self.messages.get(message);
        let by = self.lives.life(published.by).life;
        let which = match by.life {
            1 => String::new(),
            life => format!(" in its life {life}"),
        };
        format!(
            "message {message} (published by node {}{which} at {} s)",
            by.node, published.at
        )
    }
}
