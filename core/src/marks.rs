//! Coverage marks: the branches that tests of whole networks ought to reach, and which of them a node has.
//!
//! A simulator ors the marks of all nodes and all runs, and fails if one is missing: a fault that never strikes, or a
//! rule that nothing tries, proves nothing.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use crate::error::{CloseReason, PeerFault};

listed! {
/// A branch that matters.
pub enum Mark {
    /// A link ended: a frame of a length that cannot be.
    EndFrameLength,
    /// A link ended: the checksum of a frame did not fit.
    EndChecksum,
    /// A link ended: what came was no message, or a message of the protocol's own with wrong content.
    EndBadMessage,
    /// A link ended: a second handshake named another node.
    EndIdChanged,
    /// A link ended: the peer is of another network.
    EndWrongNetwork,
    /// A link ended: it led to this node itself.
    EndOurselves,
    /// A link ended: another one to the same peer is kept.
    EndDuplicate,
    /// A link ended: no handshake in time.
    EndHandshakeTimeout,
    /// A link ended: a frame stayed unfinished.
    EndHalfFrame,
    /// A link ended: it took no bytes.
    EndStalled,
    /// A link ended: nothing came, not even the answer to a ping.
    EndSilent,
    /// A link ended: too much waited for it.
    EndOverflow,
    /// A link ended: the application asked for it.
    EndRequested,
    /// A link ended: this node shut down.
    EndShutDown,
    /// A link ended: the peer closed it without a word.
    EndPeerClosed,
    /// A link ended: the peer said goodbye.
    EndPeerLeft,
    /// A link ended: the peer had no place for it.
    EndTurnedAway,
    /// A link ended: this node had no place for it.
    EndNoPlace,
    /// A link ended: it was a probe, and led to our own island.
    EndRedundant,
    /// The logs at the two ends of a link differed.
    LogsDiffer,
    /// A comparison of logs came to its end.
    Compared,
    /// A message went out again, with its age.
    RepairSent,
    /// A repair brought a message without a name.
    RepairWithoutName,
    /// A neighbour did not send in time what it was asked for.
    PullTimedOut,
    /// A message had to wait for one before it.
    WaitsForOrder,
    /// Messages were given up.
    Gap,
    /// A link could not take a message at once.
    FellBehind,
    /// A neighbour was asked not to push a stream.
    Pruned,
    /// A message was not pushed to a neighbour that asked for that.
    Spared,
    /// What a neighbour told of did not come from another in time.
    Grafted,
    /// The link ended that brought a stream which others do not push.
    Orphaned,
    /// A lost legacy neighbour came back and got what it missed.
    LegacyResumed,
    /// A message was too old for a legacy neighbour, and went to it as a whisper.
    WhisperedLate,
    /// A link that was closing was cut before it had flushed.
    LingerCut,
    /// A link that was closing had flushed.
    LingerFlushed,

    /// A native peer confirmed the link that it was offered.
    Confirmed,
    /// An accept came before it was known whether the link is wanted.
    AcceptEarly,
    /// A legacy handshake told who is there.
    LegacyGreeted,
    /// Our handshake went out since the other side said nothing.
    SilenceBroken,
    /// A link was held back: another one to the same peer is preferred.
    RivalPreferred,
    /// A second link to a peer stays open, idle.
    SpareKept,
    /// A second link to a peer waits for the peer to close it.
    SecondHeld,
    /// A dial found that a link to the same peer was established while it was under way.
    DialsCrossed,
    /// A link that was established closed a dialled one to the same peer.
    RivalClosed,
    /// A link that was established put an accepted one to the same peer on hold.
    RivalHeld,
    /// A link that was held back was looked at again.
    HeldRevived,
    /// Our handshake was sent again on the link that is left of two.
    Reintroduced,

    /// A dial was not answered in time.
    DialTimedOut,
    /// A dial succeeded when nobody wanted it any more.
    DialTooLate,
    /// A dial was stopped, since its node was linked by then.
    DialCancelled,
    /// An address failed again, and is left alone for longer.
    BackoffGrown,
    /// A link had lived for long enough to begin the backoff anew.
    BackoffReset,
    /// An address was forgotten to make room for another.
    BookEvicted,
    /// A node was turned away: there are too many links.
    TooManyLinks,
    /// Whoever turned this node away, or gave up its link, told it of others.
    NamedOnTurningAway,
    /// A link was given up for one that leads to another island.
    RoomMade,
    /// An accepted stream was turned away: too many wait for a handshake.
    TooManyPending,

    /// An address was dialled to see where it leads.
    ProbeDialed,
    /// A probe led to another island, and became a link.
    ProbeBridged,
    /// This node counted a beacon up.
    BeaconCounted,
    /// This node took over from a leader that fell silent.
    LeaderReplaced,
    /// A ping was sent on an idle link.
    PingSent,
    /// The neighbours were asked for peers, after a loss.
    PeersAsked,

    /// A piece of a stream ended within a frame.
    FramePartial,
    /// A piece of a stream ended within the length of a frame.
    PrefixPartial,
    /// A piece of a stream went on after the end of a frame.
    FramesCoalesced,
    /// The credit was enough for a part of a frame only.
    WritePartial,
    /// A py2p peer was given time before the next frame.
    Paced,
    /// A frame was sent compressed.
    SentCompressed,
    /// A frame came compressed.
    CameCompressed,
    /// A peer reads other methods from now on.
    Renegotiated,

    /// A frame was held back until the link on offer is established.
    HeldBack,
    /// What was held back on one link went out on another to the same peer.
    HeldBackMoved,
    /// A broadcast that was here before was dropped by its plain id, unread.
    Repetition,
    /// A broadcast that was here before was dropped after its frame was opened.
    Duplicate,
    /// An id was forgotten early, for want of room.
    SeenOverflow,
    /// A broadcast was too old for the legacy rule.
    Expired,
    /// The clock of a legacy neighbour was told to be wrong.
    ClockSkew,
    /// A message was kept from a peer that could not live with it.
    Withheld,
    /// A number was added to a message, that it differ from an equal one.
    MadeDistinct,
    /// A peer sent more control messages than are looked at.
    ControlFlood,
    /// There was room for messages again, after one was refused.
    RoomAgain,

    /// A request for a node was answered.
    ResponseGiven,
    /// A request for a node was not answered, since the response would break who asked.
    ResponseMuted,
    /// A letter was passed on.
    LetterCarried,
    /// A letter brought a message for this node.
    LetterTaken,
    /// A letter came again, and only its receipt was sent.
    LetterRepeated,
    /// A letter's message was handed to a legacy neighbour.
    LetterHandedOver,
    /// A letter could not be passed on, and its sender was told.
    LetterStuck,
    /// What the next life of the node needs was given out to be stored.
    Persisted,
    /// A message to one node was sent again.
    PostRetried,
    /// A search by native nodes was answered.
    SeekAnswered,
    /// A search of ours was answered, and the node is dialled.
    SearchAnswered,
    /// A search of ours was given up.
    SearchTimedOut,
}
}

impl Mark {
    /// Returns the mark for the end of a link.
    pub(crate) const fn of_end(reason: &CloseReason) -> Self {
        match reason {
            CloseReason::Fault(fault) => match fault {
                PeerFault::FrameTooLong { .. } | PeerFault::FrameTooShort { .. } => {
                    Self::EndFrameLength
                }
                PeerFault::Checksum => Self::EndChecksum,
                PeerFault::Message(_) | PeerFault::Control(_) => Self::EndBadMessage,
                PeerFault::IdChanged { .. } => Self::EndIdChanged,
            },
            CloseReason::WrongNetwork { .. } => Self::EndWrongNetwork,
            CloseReason::Ourselves => Self::EndOurselves,
            CloseReason::Duplicate(_) => Self::EndDuplicate,
            CloseReason::HandshakeTimeout => Self::EndHandshakeTimeout,
            CloseReason::HalfFrameTimeout => Self::EndHalfFrame,
            CloseReason::Stalled => Self::EndStalled,
            CloseReason::Silent => Self::EndSilent,
            CloseReason::Overflow { .. } => Self::EndOverflow,
            CloseReason::Requested => Self::EndRequested,
            CloseReason::ShutDown => Self::EndShutDown,
            CloseReason::PeerClosed => Self::EndPeerClosed,
            CloseReason::PeerLeft => Self::EndPeerLeft,
            CloseReason::TurnedAway => Self::EndTurnedAway,
            CloseReason::NoPlace => Self::EndNoPlace,
            CloseReason::Redundant => Self::EndRedundant,
        }
    }
}

/// A set of marks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Marks(u128);

const _: () = assert!(Mark::ALL.len() <= 128, "a bit for each mark");

impl Marks {
    /// The set of none.
    pub const NONE: Self = Self(0);

    pub(crate) const fn insert(&mut self, mark: Mark) {
        self.0 |= 1 << mark as u32;
    }

    /// Returns whether a mark is among them.
    pub const fn contains(self, mark: Mark) -> bool {
        self.0 & (1 << mark as u32) != 0
    }

    /// Returns how many there are.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Returns whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the marks, in the order of [`Mark::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        let all = Mark::ALL.iter().copied();
        all.filter(move |mark| self.contains(*mark))
    }

    /// Returns the marks that are not among them.
    pub fn missing(self) -> impl Iterator<Item = Mark> {
        let all = Mark::ALL.iter().copied();
        all.filter(move |mark| !self.contains(*mark))
    }
}

impl BitOr for Marks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Marks {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Extend<Mark> for Marks {
    fn extend<I: IntoIterator<Item = Mark>>(&mut self, marks: I) {
        marks.into_iter().for_each(|mark| self.insert(mark));
    }
}

impl FromIterator<Mark> for Marks {
    fn from_iter<I: IntoIterator<Item = Mark>>(marks: I) -> Self {
        let mut set = Self::NONE;
        set.extend(marks);
        set
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_mark_has_a_name_and_a_line_of_its_own() {
        let names: BTreeSet<_> = Mark::ALL.iter().map(|mark| mark.name()).collect();
        let lines: BTreeSet<_> = Mark::ALL.iter().map(|mark| mark.about()).collect();
        assert_eq!(names.len(), Mark::ALL.len());
        assert_eq!(lines.len(), Mark::ALL.len());
        for mark in Mark::ALL {
            assert_eq!(Mark::from_name(mark.name()), Some(*mark));
            assert!(mark.about().ends_with('.'), "{mark}: {}", mark.about());
        }
        assert_eq!(Mark::from_name("None"), None);
    }

    #[test]
    fn sets_of_two_nodes_are_one_set() {
        let one: Marks = [Mark::PingSent, Mark::Duplicate].into_iter().collect();
        let other: Marks = [Mark::Duplicate, Mark::EndStalled].into_iter().collect();
        let both = one | other;
        assert_eq!(both.len(), 3);
        assert!(
            both.iter()
                .all(|mark| one.contains(mark) || other.contains(mark))
        );
        assert_eq!(both.missing().count(), Mark::ALL.len() - 3);
        assert_eq!(format!("{one:?}"), "{PingSent, Duplicate}");
        let all: Marks = Mark::ALL.iter().copied().collect();
        assert_eq!(all.missing().next(), None);
        assert!(Marks::NONE.is_empty());
    }
}
