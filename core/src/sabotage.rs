//! Planted bugs: one of them in every node, and a suite of tests that is worth its time fails.

use bytes::Bytes;

use crate::encode::Encoder;
use crate::id::MessageId;
use crate::links::Links;
use crate::output::LinkId;
use crate::time::Instant;
use crate::wire::message::Packed;
use crate::wire::msgpack;

listed! {
/// A bug to plant in a node, by [`Config::sabotage`](crate::Config::sabotage): to test the tests.
pub enum Sabotage {
    /// The announced length of a frame has no limit.
    FrameLengthUnbounded,
    /// The bytes of a length that came without the rest of it are dropped.
    PrefixPartDropped,
    /// What follows a frame in the same piece of a stream is dropped.
    SecondFrameDropped,
    /// A plain frame whose checksum does not fit is taken all the same.
    ChecksumIgnored,
    /// Each byte of an unfinished frame gives the frame all its time again.
    DripCountsAsProgress,

    /// The rest of a frame that the credit cut is not written.
    WriteTailLost,
    /// Links are written to without asking for their credit.
    CreditExceeded,
    /// New credit of an established link is noted, and nothing is written for it.
    CreditWakesNobody,
    /// The queue of a link has no limit.
    QueueUnbounded,
    /// A frame for which a queue has no room is dropped, and the link kept.
    OverflowDropsFrame,
    /// Nothing is written to any link while another one does not take its bytes.
    StalledPeerBlocksOthers,
    /// What a peer says counts as if it had taken something.
    KeepAliveCountsAsTaking,
    /// The driver is told to close a link before the last bytes are written to it.
    WriteAfterClose,
    /// The driver is not told that a link is closed.
    CloseNotTold,
    /// A link that is closed on purpose does not flush what waits.
    FarewellNotFlushed,

    /// A message that was here before is taken for new.
    NoDedupe,
    /// A message is taken for new on each link that it comes in on.
    DedupeByLink,
    /// Ids are remembered for a fraction of their time.
    MemoryTooShort,
    /// Broadcasts count as old by the calendar, whoever they come from.
    WallClockInDedupe,
    /// A node delivers its own broadcasts to itself.
    OwnDelivered,
    /// Nothing is passed on.
    NoRelay,
    /// Of those who should get a message, one does not.
    RelaySkipsOne,
    /// A message is passed on to where it came from as well.
    RelaysBack,
    /// A message is passed on with another last byte.
    RelayAltersByte,
    /// A whisper is sent as something to be passed on.
    WhisperRelayed,
    /// A message is delivered in the name of the neighbour that it came from.
    SenderReplaced,
    /// Equal messages of one second are one message.
    EqualMessagesCollide,
    /// What was held back for a link on offer is dropped.
    HeldBackDropped,
    /// A message to one node goes to any neighbour.
    ReplyMisrouted,
    /// A letter that comes again is taken for new.
    LetterTakenTwice,
    /// What letters bring is not acknowledged.
    ReceiptNotSent,
    /// What a letter brings is acknowledged, and not delivered.
    ReceiptForNothing,
    /// A message to one node is sent once, whatever becomes of it.
    PostNotRetried,
    /// Letters are not passed on.
    LettersNotCarried,
    /// Whoever sent a letter that goes no further is not told.
    NoWayNotTold,
    /// A letter goes round for ever.
    HopsNotCounted,
    /// Requests for a node are not answered.
    ResponseNotGiven,

    /// A link may be without a handshake for ever.
    HandshakeTimeoutMissing,
    /// A link to this node itself is kept.
    SelfDialAccepted,
    /// Nodes of another network are linked.
    WrongNetworkAccepted,
    /// Both of two links to one peer are kept.
    BothLinksKept,
    /// Both of two links to one peer are closed.
    BothLinksDropped,
    /// Each end prefers the link that it dialled itself.
    TieBreakLopsided,
    /// The end that dialled does not wait to be accepted.
    AcceptNotAwaited,
    /// Peers are told of nobody.
    PeersListEmpty,
    /// A js2p peer is told of others, and breaks.
    Js2pToldOfPeers,
    /// A second link to a py2p peer is closed, and costs it others.
    SpareClosed,
    /// Any number of links is accepted.
    LinkLimitIgnored,
    /// Whoever is turned away is told of nobody.
    NobodyNamed,
    /// No link is given up for one that leads to another island.
    NoRoomMade,

    /// All nodes draw the same numbers.
    SeedIgnored,
    /// An address that failed is dialled again at once, for ever.
    BackoffMissing,
    /// An address that ever failed often is left alone for long, however well it did since.
    BackoffNeverResets,
    /// A dial may be under way for ever.
    DialTimeoutMissing,
    /// An address that failed once is never dialled again.
    FailedAddressForgotten,
    /// A neighbour that was lost is never dialled again.
    LostNeverRedialed,
    /// A neighbour that was not wanted any more is dialled again.
    UnwantedRedialed,
    /// Nothing wakes the node when an address may be dialled again.
    RedialTimerForgotten,
    /// As many seeds are tried at a time as there may be links.
    SeedsInTurn,
    /// Any number of addresses is remembered.
    BookUnbounded,

    /// No address is dialled to see where it leads.
    ProbesDisabled,
    /// One address is dialled to see where it leads, and then no more.
    ProbeTimerNotRearmed,
    /// Addresses are dialled all the time to see where they lead.
    ProbesWithoutPause,
    /// Nobody is told of the island that a node is on.
    BeaconsDisabled,
    /// Everybody is told of the island that a node is on, all the time.
    BeaconsWithoutPause,
    /// Silent links are not looked after.
    PingNeverSent,
    /// Silent links are looked after once.
    IdleTimerNotRearmed,
    /// A link is closed for being idle.
    IdleLinkClosed,
    /// The next deadline is told rounded down, and nothing is due when it comes.
    DeadlineRoundedDown,
    /// Only one timer fires at a time, and the next may lie in the past.
    TimerInThePast,

    /// A broadcast is delivered when it comes, whatever is missing before it.
    OrderIgnored,
    /// A gap is told one message short.
    GapOneShort,
    /// A gap is not told.
    GapNotTold,
    /// What no neighbour has is waited for all the same.
    GapNeverDeclared,
    /// Nothing is asked for.
    NeverPulls,
    /// The last message of what is missing is not asked for.
    PullSkipsLast,
    /// What was asked of a neighbour that is gone, or silent, is not asked of another.
    PullNeverRetried,
    /// Repairs are counted with the control messages, and ignored beyond their limit.
    RepairsLimited,
    /// What a repair brings is not passed on.
    RepairNotRelayed,
    /// Logs count as equal without a look.
    SummaryIgnored,
    /// The last stream is left out when a neighbour is told what came.
    HaveSkipsLast,
    /// Neighbours are told of their own accord of nothing.
    NewsNotTold,
    /// A peer to whom the logs did not look alike is not told what this node has of its messages.
    AlikeNotConfirmed,
    /// Those that are not pushed a message are not told of it either.
    SparedNotTold,
    /// What is awaited from another neighbour is awaited for ever.
    NeverGrafts,
    /// When the neighbour that pushes a stream is lost, the others are not asked to.
    OrphansWait,
    /// A link that is behind goes on one message too late.
    BehindSkipsOne,
    /// A link that is behind is taken for up to date.
    BehindForgotten,
    /// A node's own messages leave its log before a neighbour has them.
    OwnNotHeld,
    /// A node takes the first message that it hears of a stream for its beginning.
    BeginsAnywhere,
    /// What is older than this node is delivered, too.
    OldDelivered,
    /// The log keeps all.
    LogUnbounded,
    /// What a lost legacy neighbour missed is not sent again.
    LegacyNotResumed,
    /// A message that is too old for legacy neighbours is sent to them as a broadcast.
    LateAsBroadcast,
    /// The application is not told that a legacy neighbour's clock is wrong.
    SkewNotTold,
    /// What left the log for want of room is taken to be old.
    EvictedTakenForOld,
    /// What was delivered counts as acknowledged when a node saves.
    AcknowledgedUnasked,
    /// What was acknowledged does not count when a node saves.
    AcknowledgedForgotten,
    /// A node does not save its own messages that no neighbour has.
    OwnNotSaved,
    /// Messages without names are forgotten as soon as those with names.
    IdsForgotten,

    /// Native peers are not told why a link ends.
    GoodbyeNotSent,
    /// Shutting down closes all links but one.
    ShutdownLeavesLink,
    /// The application is not told that a peer is gone.
    PeerDownNotTold,
}
}

/// Makes of an id one that holds for a link only.
pub(crate) fn id_on_link(id: MessageId, link: LinkId) -> MessageId {
    let link = link.as_u64().to_be_bytes();
    MessageId::of(&[&id.as_bytes()[..], &link].concat())
}

/// Rounds a deadline down to a whole millisecond.
pub(crate) const fn rounded_down(deadline: Instant) -> Instant {
    Instant::from_micros(deadline.as_micros() / 1000 * 1000)
}

/// Returns whether bytes wait on the established link to another peer.
pub(crate) fn is_another_stuck(links: &Links, id: LinkId) -> bool {
    let mut others = links.values().filter(|link| link.id != id);
    others.any(|other| other.is_established() && !other.outbox.is_empty())
}

/// Encodes a message with another last byte, and with a checksum that fits.
pub(crate) fn altered(packed: &Packed) -> Encoder {
    let mut bytes = packed.bytes().to_vec();
    // Bytes behind the array are no part of what anybody reads.
    let end = msgpack::scan(&bytes, msgpack::MAX_DEPTH).map_or(0, |scan| scan.len);
    if let Some(last) = bytes[..end].last_mut() {
        *last ^= 1;
    }
    Encoder::new(MessageId::of(&bytes), Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Config;

    #[test]
    fn every_bug_has_a_name_and_a_line_of_its_own() {
        let names: BTreeSet<_> = Sabotage::ALL.iter().map(|bug| bug.name()).collect();
        let lines: BTreeSet<_> = Sabotage::ALL.iter().map(|bug| bug.about()).collect();
        assert_eq!(names.len(), Sabotage::ALL.len());
        assert_eq!(lines.len(), Sabotage::ALL.len());
        for bug in Sabotage::ALL {
            assert_eq!(Sabotage::from_name(bug.name()), Some(*bug));
            assert!(bug.about().ends_with('.'), "{bug}: {}", bug.about());
        }
    }

    #[test]
    fn nothing_is_planted_unasked() {
        assert_eq!(Config::default().sabotage, None);
    }
}
