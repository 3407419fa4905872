//! One neighbour pushes the messages of a busy stream, and the others tell of them: see [`crate::tree`].

use std::time::Duration;

use super::MeshState;
use crate::frontier::Stream;
use crate::link::Link;
use crate::log::Arrival;
use crate::output::LinkId;
use crate::ranges::Ranges;
use crate::time::Instant;
use crate::timers::Timer;
use crate::tree::Verdict;
use crate::wire::sync::{Graft, MAX_ENTRIES, Prune};

/// How soon those are told of a message that are not pushed it; spread by chance over half to all of this.
const SOON: Duration = Duration::from_millis(100);

/// How long what another neighbour has may be missing before it is pulled, and the tree given up; and how often it is given
/// that long as long as it moves. A guess: several times the difference that ways through a network make.
const GRACE: (Duration, u32) = (Duration::from_millis(250), 4);

/// For how long a neighbour is asked not to push.
const SPARED: Duration = Duration::from_secs(10);

/// The longest time for which a peer is taken at its word.
const MAX_SPARED: Duration = Duration::from_secs(60);

/// How often it is asked again, while the stream goes on.
const RENEWAL: Duration = Duration::from_secs(4);

impl MeshState {
    /// Takes a copy of a message that was here: whoever sends such all the time need not.
    ///
    /// Where the sender itself is a neighbour, that one pushes: it does so anyhow for all who are linked with it, and a tree
    /// in which they hang on others has nothing to gain.
    pub(super) fn on_repeated(&mut self, stream: &Stream, sequence: u64, by: LinkId, now: Instant) {
        if self.config.prune_after == 0 {
            return;
        }
        let kept = self.kept_in(stream, sequence, sequence);
        let first = kept.and_then(|(_, arrival)| self.delivery.log.get(arrival)?.from);
        let Some(first) = first.filter(|first| *first != by) else {
            return;
        };
        let leads_there = |link: &Link| link.leads_to(&stream.origin);
        let (parent, spared) = if self.links.get(&by).is_some_and(leads_there) {
            (by, first)
        } else {
            (first, by)
        };
        if !self.is_native_peer(parent) || !self.is_native_peer(spared) {
            return;
        }
        let upto = self.upto(stream);
        let times = (now, now.saturating_add(SPARED));
        if self.tree.prune(stream, parent, spared, upto, times) {
            reached!(self, Mark::Pruned);
            self.ask_to_spare(spared, vec![stream.clone()], now);
            self.timers.arm(Timer::Prune, now.saturating_add(RENEWAL));
        }
    }

    fn is_native_peer(&self, id: LinkId) -> bool {
        let link = self.links.get(&id);
        link.is_some_and(Link::is_native_peer)
    }

    fn upto(&self, stream: &Stream) -> u64 {
        let known = self.delivery.frontiers.get(stream);
        known.map_or(0, |known| known.upto())
    }

    fn ask_to_spare(&mut self, id: LinkId, streams: Vec<Stream>, now: Instant) {
        let span = SPARED;
        for streams in streams.chunks(MAX_ENTRIES) {
            let streams = streams.to_vec();
            self.send_control(id, &Prune { streams, span }.encode(), now);
        }
    }

    /// Asks those again that are not to push, before they begin to of themselves.
    pub(super) fn renew_prunes(&mut self, now: Instant) {
        let frontiers = &self.delivery.frontiers;
        let upto = |stream: &Stream| frontiers.get(stream).map_or(0, |known| known.highest());
        let asked = self.tree.renew(upto, (now, now.saturating_add(SPARED)));
        for (link, streams) in asked {
            self.ask_to_spare(link, streams, now);
        }
        if self.tree.has_pruned() {
            self.timers.arm(Timer::Prune, now.saturating_add(RENEWAL));
        }
    }

    /// A peer says that it need not be pushed some streams.
    pub(super) fn on_prune(&mut self, id: LinkId, prune: Prune, now: Instant) {
        if !self.is_native_peer(id) {
            return;
        }
        let until = now.saturating_add(prune.span.min(MAX_SPARED));
        for stream in prune.streams {
            // Nobody else is sure to have what this node says.
            if stream.origin != self.id {
                self.tree.spare(stream, id, until);
            }
        }
    }

    /// A peer wants to be pushed some streams again.
    pub(super) fn on_graft(&mut self, id: LinkId, graft: &Graft, now: Instant) {
        for stream in &graft.streams {
            self.tree.unspare(stream, id);
        }
        // What it missed by then it is told at once.
        self.tell_soon(now);
    }

    /// Takes those off a list of links that need not be pushed a message. They are told of it soon.
    pub(super) fn leave_out_spared(
        &mut self,
        targets: &mut Vec<LinkId>,
        arrival: Arrival,
        now: Instant,
    ) {
        if self.tree.spares_nobody() {
            return;
        }
        let Some(entry) = self.delivery.log.get(arrival) else {
            return;
        };
        let Some(stream) = entry.stream() else {
            return;
        };
        let spared = self.tree.spared(&stream, now);
        let before = targets.len();
        targets.retain(|link| spared.iter().all(|(known, _)| known != link));
        if targets.len() < before {
            reached!(self, Mark::Spared);
            if !sabotaged!(self.config, Sabotage::SparedNotTold) {
                self.tell_soon(now);
            }
        }
    }

    fn tell_soon(&mut self, now: Instant) {
        if self.timers.is_set(Timer::Tell) {
            return;
        }
        let most = u64::try_from(SOON.as_micros() / 2).unwrap_or(u64::MAX);
        let earlier = Duration::from_micros(self.chance.below(most));
        let at = now.saturating_add(SOON.saturating_sub(earlier));
        self.timers.set(Timer::Tell, at);
    }

    /// Has what a pruned neighbour offers pulled, if it does not come by itself.
    pub(super) fn await_from_parent(
        &mut self,
        stream: &Stream,
        id: LinkId,
        missing: &Ranges,
        now: Instant,
    ) {
        if missing.is_empty() || !self.tree.is_pruned(stream, id, now) {
            return;
        }
        let (at, upto) = (now.saturating_add(GRACE.0), self.upto(stream));
        if let Some(at) = self.tree.await_missing(stream, missing, upto, at) {
            self.timers.arm(Timer::Graft, at);
        }
    }

    /// Looks whether that came by itself which was to; and if not, has all push again.
    pub(super) fn graft_what_is_overdue(&mut self, now: Instant) {
        if sabotaged!(self.config, Sabotage::NeverGrafts) {
            return;
        }
        let (grace, waits) = GRACE;
        let next = (now.saturating_add(grace), waits);
        for (stream, missing) in self.tree.overdue(now) {
            let lacking = self.delivery.frontiers.still_lacking(&stream, &missing);
            let upto = self.upto(&stream);
            match self.tree.judge(&stream, !lacking.is_empty(), upto, next) {
                Verdict::Wait => {}
                Verdict::Fine => self.await_the_rest(&stream, now),
                Verdict::Failed => {
                    reached!(self, Mark::Grafted);
                    let links = self.tree.fail(&stream, now);
                    self.graft(&stream, &links, now);
                }
            }
        }
        if let Some(at) = self.tree.next_overdue() {
            self.timers.set(Timer::Graft, at);
        }
    }

    /// Watches for what was offered meanwhile.
    fn await_the_rest(&mut self, stream: &Stream, now: Instant) {
        let links = self.links.values();
        let offers = links.filter_map(|link| Some((link.id, link.feed.offers.get(stream)?)));
        let lacking: Vec<(LinkId, Ranges)> = offers
            .map(|(id, offer)| {
                let lacking = &self.delivery.frontiers;
                (id, lacking.still_lacking(stream, &offer.ranges))
            })
            .collect();
        for (id, lacking) in lacking {
            self.await_from_parent(stream, id, &lacking, now);
        }
    }

    fn graft(&mut self, stream: &Stream, links: &[LinkId], now: Instant) {
        tracing::debug!(origin = %stream.origin, links = links.len(), "pushed by all again");
        for id in links {
            let streams = vec![stream.clone()];
            self.send_control(*id, &Graft { streams }.encode(), now);
        }
        self.pull_everywhere();
    }

    /// Does what follows from the end of a link: what it brought, others are to push.
    pub(super) fn lose_branches(&mut self, gone: LinkId, now: Instant) {
        let orphaned = self.tree.lose(gone);
        if sabotaged!(self.config, Sabotage::OrphansWait) {
            return;
        }
        for (stream, links) in orphaned {
            reached!(self, Mark::Orphaned);
            self.graft(&stream, &links, now);
        }
    }
}
