//! Who need not push what to whom.
//!
//! A message reaches a node by several of its links, and all but the first copy are for nothing. So of a stream that is busy a
//! node lets one neighbour push it the messages, and asks those that only repeat them to tell of them instead: each stream has
//! a tree of its own, rooted at its sender. (Eager and lazy push with prune and graft, as in the paper on Plumtree.)
//!
//! Nothing of this is needed for delivery. Who does not push says what it has, and what does not come in time is pulled, so what is
//! kept here may be wrong, or forgotten, at the cost of a moment or of some repetitions. That is why it is bounded without
//! ado, and runs out by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::frontier::Stream;
use crate::output::LinkId;
use crate::ranges::Ranges;
use crate::time::Instant;

/// Of how many streams a peer may ask not to be pushed the messages. What is beyond is pushed as before.
const MAX_SPARED: usize = 1024;

/// Of how many streams this node asks for that.
const MAX_BRANCHES: usize = 1024;

/// How long a stream whose tree failed is pushed by all. It doubles with each failure.
const HOLD: Duration = Duration::from_secs(30);

/// The doublings of [`HOLD`].
const MAX_DOUBLINGS: u32 = 6;

/// What one entry takes, in bytes: the stream, its share of a tree, and some links.
const ENTRY_COST: usize = 250;

/// What a node has asked for and been asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// The links on which a stream is not pushed, and until when.
    spared: BTreeMap<Stream, Vec<(LinkId, Instant)>>,
    /// How often each link is among them.
    spared_counts: BTreeMap<LinkId, usize>,
    branches: BTreeMap<Stream, Branch>,
}

/// The place of this node in the tree of one stream.
#[derive(Clone, Debug)]
struct Branch {
    /// The link that brings the messages.
    parent: LinkId,
    /// Those that were asked not to, and until when they do not.
    pruned: Vec<(LinkId, Instant)>,
    /// How far the stream was when they were last asked.
    renewed_at: u64,
    overdue: Option<Overdue>,
    /// How often the tree failed.
    failures: u32,
    /// Until when all are to push.
    hold: Instant,
}

/// What others have and the parent has not brought yet.
#[derive(Clone, Debug)]
struct Overdue {
    at: Instant,
    missing: Ranges,
    /// How far the stream was.
    upto: u64,
    waits: u32,
}

/// What is to be done about a stream whose messages are overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They have come.
    Fine,
    /// Not all have come, but some: look again.
    Wait,
    /// The tree has failed.
    Failed,
}

impl Tree {
    /// Notes that a peer need not be pushed the messages of a stream. Returns whether that is remembered.
    pub(crate) fn spare(&mut self, stream: Stream, link: LinkId, until: Instant) -> bool {
        let count = self.spared_counts.entry(link).or_default();
        let links = self.spared.entry(stream.clone()).or_default();
        if let Some(known) = links.iter_mut().find(|(known, _)| *known == link) {
            known.1 = until;
            return true;
        }
        let is_welcome = *count < MAX_SPARED;
        if is_welcome {
            *count += 1;
            links.push((link, until));
        } else if links.is_empty() {
            self.spared.remove(&stream);
        }
        is_welcome
    }

    /// Notes that a peer wants the messages of a stream again.
    pub(crate) fn unspare(&mut self, stream: &Stream, link: LinkId) {
        let Some(links) = self.spared.get_mut(stream) else {
            return;
        };
        let before = links.len();
        links.retain(|(known, _)| *known != link);
        let removed = before - links.len();
        if links.is_empty() {
            self.spared.remove(stream);
        }
        self.discount(link, removed);
    }

    fn discount(&mut self, link: LinkId, removed: usize) {
        if let Some(count) = self.spared_counts.get_mut(&link) {
            *count -= removed;
            if *count == 0 {
                self.spared_counts.remove(&link);
            }
        }
    }

    /// Returns whether there is nobody who need not be pushed something.
    pub(crate) fn spares_nobody(&self) -> bool {
        self.spared.is_empty()
    }

    /// Returns the links that need not be pushed the messages of a stream. What has run out is forgotten.
    pub(crate) fn spared(&mut self, stream: &Stream, now: Instant) -> &[(LinkId, Instant)] {
        let Some(links) = self.spared.get(stream) else {
            return &[];
        };
        let over: Vec<LinkId> = links
            .iter()
            .filter(|(_, until)| *until <= now)
            .map(|(link, _)| *link)
            .collect();
        for link in over {
            self.unspare(stream, link);
        }
        self.spared.get(stream).map_or(&[], Vec::as_slice)
    }

    /// Returns whether a link need not be pushed the messages of a stream.
    pub(crate) fn is_spared(&self, stream: &Stream, link: LinkId, now: Instant) -> bool {
        let links = self.spared.get(stream);
        links.is_some_and(|links| {
            let mut links = links.iter();
            links.any(|(known, until)| *known == link && now < *until)
        })
    }

    /// Chooses who is to push a stream, `parent`, and who need not. Returns whether that one is to be told.
    pub(crate) fn prune(
        &mut self,
        stream: &Stream,
        parent: LinkId,
        link: LinkId,
        upto: u64,
        (now, until): (Instant, Instant),
    ) -> bool {
        if !self.branches.contains_key(stream) && self.branches.len() >= MAX_BRANCHES {
            let is_needed = |branch: &Branch| now < branch.hold || !branch.pruned.is_empty();
            self.branches.retain(|_, branch| is_needed(branch));
            if self.branches.len() >= MAX_BRANCHES {
                return false;
            }
        }
        let branch = self
            .branches
            .entry(stream.clone())
            .or_insert_with(|| Branch {
                parent,
                pruned: Vec::new(),
                renewed_at: upto,
                overdue: None,
                failures: 0,
                hold: now,
            });
        branch.pruned.retain(|(_, until)| now < *until);
        let is_pruned = |link: LinkId| branch.pruned.iter().any(|(known, _)| *known == link);
        if now < branch.hold || is_pruned(parent) || is_pruned(link) {
            return false;
        }
        branch.parent = parent;
        branch.pruned.push((link, until));
        true
    }

    /// Notes which link brought the next message of a stream.
    pub(crate) fn note_parent(&mut self, stream: &Stream, link: LinkId) {
        if self.branches.is_empty() {
            return;
        }
        if let Some(branch) = self.branches.get_mut(stream)
            && branch.parent != link
            && branch.pruned.iter().all(|(known, _)| *known != link)
        {
            branch.parent = link;
        }
    }

    /// Returns whether a neighbour was asked to tell of a stream only, so that what it tells of is awaited from another.
    pub(crate) fn is_pruned(&self, stream: &Stream, link: LinkId, now: Instant) -> bool {
        let branch = self.branches.get(stream);
        branch.is_some_and(|branch| {
            let mut pruned = branch.pruned.iter();
            pruned.any(|(known, until)| *known == link && now < *until)
        })
    }

    /// Notes what a pruned neighbour has and this node lacks. Returns when it is overdue, if that is not watched yet.
    pub(crate) fn await_missing(
        &mut self,
        stream: &Stream,
        missing: &Ranges,
        upto: u64,
        at: Instant,
    ) -> Option<Instant> {
        let branch = self.branches.get_mut(stream)?;
        if branch.overdue.is_some() {
            return None;
        }
        branch.overdue = Some(Overdue {
            at,
            missing: missing.clone(),
            upto,
            waits: 0,
        });
        Some(at)
    }

    /// Returns the streams whose messages are overdue, and what was missing of each.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<(Stream, Ranges)> {
        let branches = self.branches.iter();
        let overdue = branches.filter_map(|(stream, branch)| {
            let overdue = branch
                .overdue
                .as_ref()
                .filter(|overdue| overdue.at <= now)?;
            Some((stream.clone(), overdue.missing.clone()))
        });
        overdue.collect()
    }

    /// Decides about a stream whose messages are overdue: `lacks` says whether some still lack, and `upto` how far it is. It
    /// is given `grace` more, a few times, as long as it moves.
    pub(crate) fn judge(
        &mut self,
        stream: &Stream,
        lacks: bool,
        upto: u64,
        (at, waits): (Instant, u32),
    ) -> Verdict {
        let Some(branch) = self.branches.get_mut(stream) else {
            return Verdict::Fine;
        };
        match &mut branch.overdue {
            Some(overdue) if lacks && overdue.upto < upto && overdue.waits < waits => {
                overdue.waits += 1;
                overdue.upto = upto;
                overdue.at = at;
                Verdict::Wait
            }
            Some(_) if lacks => Verdict::Failed,
            _ => {
                branch.overdue = None;
                Verdict::Fine
            }
        }
    }

    /// Returns when the next one is overdue.
    pub(crate) fn next_overdue(&self) -> Option<Instant> {
        let branches = self.branches.values();
        let overdue = branches.filter_map(|branch| branch.overdue.as_ref());
        overdue.map(|overdue| overdue.at).min()
    }

    /// Gives up the tree of a stream for a while. Returns whom to ask to push it again.
    pub(crate) fn fail(&mut self, stream: &Stream, now: Instant) -> Vec<LinkId> {
        let Some(branch) = self.branches.get_mut(stream) else {
            return Vec::new();
        };
        let hold = HOLD.saturating_mul(1 << branch.failures.min(MAX_DOUBLINGS));
        branch.hold = now.saturating_add(hold);
        branch.failures += 1;
        branch.graft()
    }

    /// Returns the links that are to be asked again not to push, with the streams, and forgets those of streams that are
    /// silent. `upto` tells how far a stream is.
    pub(crate) fn renew(
        &mut self,
        upto: impl Fn(&Stream) -> u64,
        (now, until): (Instant, Instant),
    ) -> BTreeMap<LinkId, Vec<Stream>> {
        let mut asked: BTreeMap<LinkId, Vec<Stream>> = BTreeMap::new();
        for (stream, branch) in &mut self.branches {
            branch.pruned.retain(|(_, until)| now < *until);
            let upto = upto(stream);
            if upto <= branch.renewed_at {
                continue;
            }
            branch.renewed_at = upto;
            for (link, pruned_until) in &mut branch.pruned {
                *pruned_until = until;
                asked.entry(*link).or_default().push(stream.clone());
            }
        }
        asked
    }

    /// Returns whether anybody was asked not to push something.
    pub(crate) fn has_pruned(&self) -> bool {
        self.branches
            .values()
            .any(|branch| !branch.pruned.is_empty())
    }

    /// Forgets a link. Returns whom to ask to push again what it brought.
    pub(crate) fn lose(&mut self, link: LinkId) -> Vec<(Stream, Vec<LinkId>)> {
        if self.spared_counts.remove(&link).is_some() {
            self.spared.retain(|_, links| {
                links.retain(|(known, _)| *known != link);
                !links.is_empty()
            });
        }
        let mut orphaned = Vec::new();
        for (stream, branch) in &mut self.branches {
            branch.pruned.retain(|(known, _)| *known != link);
            if branch.parent == link && !branch.pruned.is_empty() {
                orphaned.push((stream.clone(), branch.graft()));
            }
        }
        orphaned
    }

    /// Forgets a stream. Neighbours that were asked not to push it do so again in time.
    pub(crate) fn forget(&mut self, stream: &Stream) {
        self.branches.remove(stream);
    }

    /// Returns about how many bytes all this takes.
    pub(crate) fn memory(&self) -> usize {
        (self.spared.len() + self.spared_counts.len() + self.branches.len()) * ENTRY_COST
    }

    pub(crate) fn check_invariants(&self) {
        let total: usize = self.spared.values().map(Vec::len).sum();
        let counted: usize = self.spared_counts.values().sum();
        debug_assert_eq!(total, counted, "those that are spared are counted");
        debug_assert!(self.branches.len() <= MAX_BRANCHES, "branches are bounded");
    }
}

impl Branch {
    fn graft(&mut self) -> Vec<LinkId> {
        self.overdue = None;
        let pruned = std::mem::take(&mut self.pruned);
        pruned.into_iter().map(|(link, _)| link).collect()
    }
}

/// Counts the repetitions on one link, second by second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repeats {
    second: u64,
    count: u32,
    len: usize,
    is_due: bool,
}

impl Repeats {
    /// Notes a frame that was for nothing. After so many of them within a second, or of 4 KiB each, one is to be looked at.
    pub(crate) fn note(&mut self, len: usize, limit: u32, now: Instant) {
        let second = now.as_micros() >> 20;
        if second != self.second {
            (self.second, self.count, self.len) = (second, 0, 0);
        }
        self.count += 1;
        self.len += len;
        if limit > 0 && (self.count >= limit || self.len >= (limit as usize) << 12) {
            (self.count, self.len) = (0, 0);
            self.is_due = true;
        }
    }

    /// Returns whether the next one is to be looked at.
    pub(crate) const fn is_due(&self) -> bool {
        self.is_due
    }

    /// Returns whether this one is.
    pub(crate) fn take_due(&mut self) -> bool {
        std::mem::take(&mut self.is_due)
    }
}

#[cfg(test)]
mod tests;
