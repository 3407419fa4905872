//! How links end, and what follows from it.

use super::{MeshState, Phase};
use crate::error::CloseReason;
use crate::link::{Link, Stage};
use crate::output::{Event, LinkId, Output, SendOutcome};
use crate::time::Instant;
use crate::timers::Timer;

impl MeshState {
    /// Closes a link: at once if it is at fault, else as soon as what waits for it is out.
    pub(super) fn close(&mut self, id: LinkId, reason: CloseReason, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.stage == Stage::Closing {
            return;
        }
        // What was said in good order goes out all the same.
        if !matches!(
            reason,
            CloseReason::Requested | CloseReason::ShutDown | CloseReason::NoPlace
        ) {
            for send in link.outbox.abandon() {
                self.tell_outcome(send, SendOutcome::LinkLost(reason.clone()));
            }
        }
        self.introduce_before_closing(id, &reason, now);
        self.say_goodbye(id, &reason, now);
        let Some(mut link) = self.remove_link(id) else {
            return;
        };
        self.end_feed(&link, now);
        self.on_link_gone(&link, &reason, now);
        let is_stuck = matches!(
            reason,
            CloseReason::Stalled
                | CloseReason::Silent
                | CloseReason::Overflow { .. }
                | CloseReason::HalfFrameTimeout
        );
        let is_hasty = sabotaged!(self.config, Sabotage::FarewellNotFlushed);
        if link.outbox.is_empty() || is_stuck || is_hasty {
            self.lose_unsent(&link, &reason);
            if !sabotaged!(self.config, Sabotage::CloseNotTold) {
                self.outputs.push(Output::Close(id, reason));
            }
        } else {
            if sabotaged!(self.config, Sabotage::WriteAfterClose) {
                self.outputs.push(Output::Close(id, reason.clone()));
            }
            link.stage = Stage::Closing;
            link.held_back.take();
            link.closing = Some(reason);
            self.links.insert(id, link);
            let deadline = now.saturating_add(self.config.linger_timeout);
            self.timers.set(Timer::Linger(id), deadline);
        }
    }

    /// Ends a link that was given enough time to send the rest.
    pub(super) fn on_linger(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id).filter(|link| link.is_established()) {
            link.outbox.abandon();
            self.close(id, CloseReason::ShutDown, now);
        }
        if self.links.contains_key(&id) {
            self.cut(id);
        }
    }

    /// Ends a link that lingers, flushed or not.
    pub(super) fn cut(&mut self, id: LinkId) {
        let Some(mut link) = self.remove_link(id) else {
            return;
        };
        let reason = link.closing.take().unwrap_or(CloseReason::Requested);
        self.lose_unsent(&link, &reason);
        self.outputs.push(Output::Close(id, reason));
    }

    /// Tells what became of the messages that a link did not get out.
    pub(super) fn lose_unsent(&mut self, link: &Link, reason: &CloseReason) {
        for send in link.outbox.unsent() {
            self.tell_outcome(send, SendOutcome::LinkLost(reason.clone()));
        }
    }

    pub(super) fn remove_link(&mut self, id: LinkId) -> Option<Link> {
        let link = self.links.remove(&id)?;
        self.timers.cancel_link(id);
        self.ways.lose(id);
        if let Some(peer) = link.peer_id()
            && self.peers.get(peer) == Some(&id)
        {
            let peer = peer.clone();
            self.peers.remove(&peer);
        }
        Some(link)
    }

    /// Does what follows from the end of a link, which is out of the tables already.
    pub(super) fn on_link_gone(&mut self, gone: &Link, reason: &CloseReason, now: Instant) {
        tracing::debug!(id = %gone.id, stage = ?gone.stage, %reason, "link ended");
        reached!(self, Mark::of_end(reason));
        self.should_dial = true;
        self.retry_after(gone, reason, now);
        if gone.is_established() {
            self.on_peer_lost(gone, reason, now);
        } else if !gone.is_probe {
            self.event(Event::Rejected {
                address: gone.remote.clone(),
                side: gone.side,
                reason: reason.clone(),
            });
        }
        if let Some(peer) = gone.peer_id() {
            self.revive_held(now);
            if let Some(&survivor) = self.peers.get(peer) {
                self.plan_reintroduction(survivor, now);
            }
        }
    }

    pub(super) fn on_peer_lost(&mut self, gone: &Link, reason: &CloseReason, now: Instant) {
        if let Some(peer) = gone.peer_info()
            && !sabotaged!(self.config, Sabotage::PeerDownNotTold)
        {
            let reason = reason.clone();
            self.event(Event::PeerDown { peer, reason });
        }
        if self.phase != Phase::Running {
            return;
        }
        self.leave_island(now);
        if self.peers.is_empty() {
            self.event(Event::Isolated);
        } else {
            self.ask_for_peers(now);
        }
    }
}
