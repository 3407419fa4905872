//! Messages to one node: what their senders were told of them.

use std::collections::BTreeMap;

use super::messages::MessageIndex;
use super::{About, Judge};
use crate::facts::Life;
use crate::report::Checker;
use crate::time::Time;

/// The private messages by what their senders call them, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Private(BTreeMap<(Life, u64), MessageIndex>);

impl Private {
    pub(super) fn expect(&mut self, by: Life, number: u64, message: MessageIndex) {
        self.0.insert((by, number), message);
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

impl Judge {
    pub(super) fn on_outcome(&mut self, at: Time, life: Life, number: u64, is_delivered: bool) {
        let mut about = About {
            at,
            node: Some(life.node),
            message: None,
        };
        let is_judged = self.lives.find(life).map(|life| self.lives.life(life));
        if is_judged.is_none_or(|state| state.is_hostile) {
            return;
        }
        let Some(message) = self.private.0.get(&(life, number)).copied() else {
            self.docket
                .note(Checker::Accounts, "unknown outcome", about, || {
                    format!(
                        "node {} told what became of a message to one node that it never sent",
                        life.node
                    )
                });
            return;
        };
        about.message = Some(message);
        let earlier = self.messages.get_mut(message).outcome.replace(is_delivered);
        if earlier.is_some() {
            let which = self.tell(message);
            self.docket
                .note(Checker::Accounts, "two outcomes", about, || {
                    format!("node {} told twice what became of {which}", life.node)
                });
        }
    }

    /// Returns whether a node of the protocol that is up may still send a private message again: it has not told what became of
    /// it, and has time left for that.
    pub(crate) fn is_outcome_awaited(&self, at: Time) -> bool {
        let mut all = self.private.0.values();
        all.any(|message| {
            let published = self.messages.get(*message);
            let by = self.lives.life(published.by);
            let is_open =
                published.outcome.is_none() && at.since(published.at) < self.rules.outcome;
            is_open && by.is_mesh() && by.is_awake()
        })
    }

    /// Judges what senders were told of their private messages.
    pub(super) fn check_private(&mut self, at: Time) {
        let all: Vec<(Life, MessageIndex)> = self
            .private
            .0
            .iter()
            .map(|((life, _), message)| (*life, *message))
            .collect();
        self.tally.wrong_claims = 0;
        for (sender, message) in all {
            self.check_outcome(at, sender, message);
        }
    }

    fn check_outcome(&mut self, at: Time, sender: Life, message: MessageIndex) {
        let published = self.messages.get(message);
        let by = self.lives.life(published.by);
        let to = published.to.unwrap_or_default();
        let (about, which) = (self.about(at, published.by, message), self.tell(message));
        let node = sender.node;
        // py2p and js2p know nothing of what became of a message.
        if !by.is_mesh() {
            return;
        }
        match published.outcome {
            Some(true) if published.delivered.count() == 0 && !self.is_hostile_node(to) => {
                self.tally.wrong_claims += 1;
                if self.rules.claims_are_certain {
                    self.docket.note(Checker::Accounts, "claimed", about, || {
                        format!("node {node} told that {which} was delivered to node {to}, and it was not")
                    });
                }
            }
            None if by.is_awake() && at.since(published.at) >= self.rules.outcome => {
                self.docket.note(Checker::Owed, "no outcome", about, || {
                    format!(
                        "node {node} has not told by {at} s what became of {which} to node {to}"
                    )
                });
            }
            Some(_) | None => {}
        }
    }

    /// Returns whether some life of a node meant harm: what was delivered to it was not seen.
    fn is_hostile_node(&self, node: u32) -> bool {
        self.lives.of_node(node).any(|state| state.is_hostile)
    }
}
