//! Asking legacy peers how far they are, and what follows from the answers.
//!
//! The question is the protocol's request for a node, for this node, said to one peer: py2p and js2p answer it on the same
//! link with what they were asked by, after all that came before it. Nobody else hears of it.

use super::{MeshState, Phase};
use crate::link::Link;
use crate::output::LinkId;
use crate::receipts::Unanswered;
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::control::{ask_for_receipt, receipt};
use crate::wire::message::{Packed, Sender};

impl MeshState {
    /// Returns whether a peer has taken in enough of what it was sent to get more. At the end it gets all there is.
    pub(super) fn keeps_up(&self, link: &Link) -> bool {
        !link.traits().gives_receipts
            || link.receipts.has_room()
            || self.phase == Phase::ShuttingDown
    }

    /// Counts a message that was sent to a legacy peer, and asks now and then how far it is.
    pub(super) fn count_sent(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.traits().gives_receipts {
            link.receipts.count();
            self.ask_if_due(id, now);
        }
    }

    fn ask_if_due(&mut self, id: LinkId, now: Instant) {
        let link = self.links.get(&id);
        if link.is_some_and(|link| link.receipts.should_ask()) {
            self.ask_for_receipt(id, now);
        }
    }

    fn ask_for_receipt(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let number = link.receipts.ask(now);
        let question = ask_for_receipt(number, &self.id);
        self.send_control(id, &question, now);
        if let Some(link) = self.links.get(&id)
            && let Some(deadline) = link.receipts.deadline(now)
        {
            self.timers.arm(Timer::Receipt(id), deadline);
        }
    }

    /// Takes a broadcast that is the answer to such a question. Returns whether it was one.
    pub(super) fn on_echo(&mut self, id: LinkId, packed: &Packed, now: Instant) -> bool {
        let Some(number) = receipt(packed) else {
            return false;
        };
        let Some(link) = self.links.get_mut(&id) else {
            return true;
        };
        let Sender::Node(sender, _) = packed.sender() else {
            return true;
        };
        if link.traits().gives_receipts && link.leads_to(sender) {
            link.receipts.answer(number, now);
            match link.receipts.deadline(now) {
                Some(deadline) => self.timers.set(Timer::Receipt(id), deadline),
                None => self.timers.cancel(Timer::Receipt(id)),
            }
            // One that was taken for mute was sent on.
            self.ask_if_due(id, now);
            self.pump(id, now);
        }
        true
    }

    /// No answer has come for a while: it is asked again, or not waited for any more.
    pub(super) fn on_receipt_timeout(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.is_established()) else {
            return;
        };
        match link.receipts.give_up(now) {
            Unanswered::AskAgain => self.ask_for_receipt(id, now),
            Unanswered::GoOn => self.pump(id, now),
        }
    }
}
