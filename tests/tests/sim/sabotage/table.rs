//! How each planted bug is found.

use std::fmt;

use rs2p_core::Sabotage;

use super::named::named;

/// How a bug is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// In the scenario of this number.
    Seed(u64),
    /// In the scenario of this name, which is made for it.
    Named(&'static str),
    /// By this test of the core: what is broken can be seen at one node, and networks hardly suffer from it.
    CoreTest(&'static str),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed(seed) => write!(f, "scenario {seed}"),
            Self::Named(name) => write!(f, "{name}"),
            Self::CoreTest(name) => write!(f, "the core's {name}"),
        }
    }
}

/// Each bug, once.
pub(super) const TABLE: &[(Sabotage, How)] = &[
    (
        Sabotage::FrameLengthUnbounded,
        How::CoreTest("bad_input::a_length_prefix_over_the_limit"),
    ),
    (
        Sabotage::PrefixPartDropped,
        How::CoreTest("network::a_node_that_joins_by_one_other_finds_more"),
    ),
    (Sabotage::SecondFrameDropped, How::Seed(12)),
    (Sabotage::ChecksumIgnored, How::Seed(5)),
    (
        Sabotage::DripCountsAsProgress,
        How::CoreTest("bad_input::half_a_frame_for_too_long"),
    ),
    (Sabotage::WriteTailLost, How::Named("a slow reader")),
    (Sabotage::CreditExceeded, How::Named("a slow reader")),
    (Sabotage::CreditWakesNobody, How::Named("a slow reader")),
    (
        Sabotage::QueueUnbounded,
        How::CoreTest("limits::a_link_that_takes_nothing_costs_its_queue_and_gets_all_in_the_end"),
    ),
    (
        Sabotage::OverflowDropsFrame,
        How::CoreTest(
            "limits::control_messages_do_not_wait_in_the_log_and_are_bounded_all_the_same",
        ),
    ),
    (Sabotage::StalledPeerBlocksOthers, How::Seed(9)),
    (
        Sabotage::KeepAliveCountsAsTaking,
        How::CoreTest("held::a_peer_that_talks_and_takes_nothing_is_given_up"),
    ),
    (
        Sabotage::WriteAfterClose,
        How::CoreTest("limits::shutting_down_flushes_within_its_time_and_is_the_end"),
    ),
    (Sabotage::CloseNotTold, How::Named("dials that cross")),
    (
        Sabotage::FarewellNotFlushed,
        How::CoreTest("limits::shutting_down_flushes_within_its_time_and_is_the_end"),
    ),
    (Sabotage::NoDedupe, How::Named("new before old")),
    (Sabotage::DedupeByLink, How::Named("new before old")),
    (
        Sabotage::MemoryTooShort,
        How::CoreTest("memory::a_request_that_comes_by_two_ways_is_passed_on_once"),
    ),
    (
        Sabotage::WallClockInDedupe,
        How::CoreTest("clocks::native_nodes_deliver_all_whatever_their_clocks_say"),
    ),
    (Sabotage::OwnDelivered, How::Named("new before old")),
    (
        Sabotage::NoRelay,
        How::CoreTest("quirks_messages::broadcast_on_several_links"),
    ),
    (
        Sabotage::RelaySkipsOne,
        How::CoreTest("quirks_messages::broadcast_on_several_links"),
    ),
    (
        Sabotage::RelaysBack,
        How::CoreTest("quirks_messages::relay_excludes"),
    ),
    (Sabotage::RelayAltersByte, How::Named("new before old")),
    (
        Sabotage::WhisperRelayed,
        How::CoreTest("held::a_whisper_is_nothing_to_pass_on"),
    ),
    (Sabotage::SenderReplaced, How::Named("new before old")),
    (Sabotage::EqualMessagesCollide, How::Named("new before old")),
    (
        Sabotage::HeldBackDropped,
        How::CoreTest("network::what_is_sent_from_the_moment_that_a_node_has_joined_reaches_it"),
    ),
    (
        Sabotage::ReplyMisrouted,
        How::CoreTest("letters::nothing_of_letters_goes_to_who_does_not_know_them"),
    ),
    (
        Sabotage::LetterTakenTwice,
        How::CoreTest("letters::a_message_that_loses_its_way_finds_another"),
    ),
    (
        Sabotage::ReceiptNotSent,
        How::CoreTest("letters::a_legacy_neighbour_gets_a_letters_message_as_a_whisper_once"),
    ),
    (Sabotage::ReceiptForNothing, How::Named("a row")),
    (
        Sabotage::PostNotRetried,
        How::CoreTest("letters::a_way_that_dies_without_a_word_is_given_up_for_another"),
    ),
    (
        Sabotage::LettersNotCarried,
        How::CoreTest("letters::a_node_that_cannot_be_dialled_and_never_said_anything_is_reached"),
    ),
    (
        Sabotage::NoWayNotTold,
        How::CoreTest("letters::letters_do_not_go_round_for_ever"),
    ),
    (
        Sabotage::HopsNotCounted,
        How::CoreTest("letters::letters_do_not_go_round_for_ever"),
    ),
    (
        Sabotage::ResponseNotGiven,
        How::CoreTest("replies::reply_to_a_distant_sender_of_py2p_on_2_7_is_answered"),
    ),
    (
        Sabotage::HandshakeTimeoutMissing,
        How::CoreTest("bad_input::no_handshake_in_time"),
    ),
    (
        Sabotage::SelfDialAccepted,
        How::CoreTest("network::dialling_ourselves_by_another_name_is_found_out"),
    ),
    (
        Sabotage::WrongNetworkAccepted,
        How::CoreTest("network::another_subnet_is_turned_away_on_both_sides"),
    ),
    (Sabotage::BothLinksKept, How::Seed(0)),
    (
        Sabotage::BothLinksDropped,
        How::CoreTest("network::dialling_a_neighbour_again_says_duplicate"),
    ),
    (
        Sabotage::TieBreakLopsided,
        How::CoreTest("duplicates::duplicate_links_py2p_when_its_own_is_preferred"),
    ),
    (
        Sabotage::AcceptNotAwaited,
        How::CoreTest("network::simultaneous_dials_leave_exactly_one_link"),
    ),
    (
        Sabotage::PeersListEmpty,
        How::CoreTest("network::a_node_that_joins_by_one_other_finds_more"),
    ),
    (
        Sabotage::Js2pToldOfPeers,
        How::CoreTest("quirks_greeting::peers_to_py2p_and_peers_to_js2p"),
    ),
    (
        Sabotage::SpareClosed,
        How::CoreTest(
            "duplicates::connecting_to_a_linked_py2p_by_another_name_says_duplicate_and_leaves_it_in_peace",
        ),
    ),
    (
        Sabotage::LinkLimitIgnored,
        How::Named("a place that is elsewhere"),
    ),
    (
        Sabotage::NobodyNamed,
        How::Named("a place that is elsewhere"),
    ),
    (
        Sabotage::NoRoomMade,
        How::Named("no place but that of another"),
    ),
    (Sabotage::SeedIgnored, How::Seed(16)),
    (
        Sabotage::BackoffMissing,
        How::CoreTest("network::a_seed_that_is_down_at_first_is_joined_when_it_comes_up"),
    ),
    (
        Sabotage::BackoffNeverResets,
        How::CoreTest("held::an_address_that_failed_often_is_dialled_soon_after_a_long_link"),
    ),
    (
        Sabotage::DialTimeoutMissing,
        How::CoreTest("held::a_dial_without_an_answer_ends_in_time"),
    ),
    (
        Sabotage::FailedAddressForgotten,
        How::Named("new before old"),
    ),
    (
        Sabotage::LostNeverRedialed,
        How::CoreTest("quirks_greeting::any_closed_connection_leaving_node"),
    ),
    (
        Sabotage::UnwantedRedialed,
        How::CoreTest("network::a_link_that_an_application_ends_stays_ended_on_both_sides"),
    ),
    (Sabotage::RedialTimerForgotten, How::Named("a row")),
    (
        Sabotage::SeedsInTurn,
        How::CoreTest(
            "membership::seeds_are_tried_together_and_the_surplus_is_dropped_once_there_is_a_link",
        ),
    ),
    (
        Sabotage::BookUnbounded,
        How::CoreTest("membership::addresses_are_bounded_and_age"),
    ),
    (
        Sabotage::ProbesDisabled,
        How::CoreTest("network::islands_that_are_content_find_each_other"),
    ),
    (
        Sabotage::ProbeTimerNotRearmed,
        How::CoreTest(
            "membership::a_cold_address_is_probed_every_15_to_30_seconds_whatever_its_backoff",
        ),
    ),
    (
        Sabotage::ProbesWithoutPause,
        How::CoreTest(
            "membership::a_cold_address_is_probed_every_15_to_30_seconds_whatever_its_backoff",
        ),
    ),
    (
        Sabotage::BeaconsDisabled,
        How::CoreTest("network::probes_within_an_island_leave_no_trace"),
    ),
    (
        Sabotage::BeaconsWithoutPause,
        How::Named("more is missed than is kept"),
    ),
    (Sabotage::PingNeverSent, How::Seed(1)),
    (Sabotage::IdleTimerNotRearmed, How::Seed(1)),
    (
        Sabotage::IdleLinkClosed,
        How::CoreTest(
            "network::an_end_that_is_gone_without_a_word_is_noticed_and_a_quiet_one_stays",
        ),
    ),
    (Sabotage::DeadlineRoundedDown, How::Named("new before old")),
    (Sabotage::TimerInThePast, How::Named("new before old")),
    (
        Sabotage::OrderIgnored,
        How::Named("more is missed than is kept"),
    ),
    (
        Sabotage::GapOneShort,
        How::Named("more is missed than is kept"),
    ),
    (
        Sabotage::GapNotTold,
        How::Named("more is missed than is kept"),
    ),
    (
        Sabotage::GapNeverDeclared,
        How::Named("more is missed than is kept"),
    ),
    (Sabotage::NeverPulls, How::Named("new before old")),
    (
        Sabotage::PullSkipsLast,
        How::Named("more is missed than is kept"),
    ),
    (
        Sabotage::PullNeverRetried,
        How::CoreTest("memory::what_a_neighbour_does_not_send_is_asked_of_another"),
    ),
    (
        Sabotage::RepairsLimited,
        How::CoreTest("delivery::what_a_node_asked_for_is_no_flood"),
    ),
    (
        Sabotage::RepairNotRelayed,
        How::CoreTest("delivery::a_ticket_tells_how_far_a_message_is"),
    ),
    (Sabotage::SummaryIgnored, How::Seed(11)),
    (
        Sabotage::HaveSkipsLast,
        How::Named("more is missed than is kept"),
    ),
    (
        Sabotage::NewsNotTold,
        How::Named("a stalled reader, and little memory"),
    ),
    (
        Sabotage::AlikeNotConfirmed,
        How::CoreTest("delivery::who_finds_the_logs_alike_still_says_what_it_has"),
    ),
    (
        Sabotage::SparedNotTold,
        How::CoreTest(
            "tree::when_the_neighbour_that_pushes_falls_silent_what_others_have_is_fetched",
        ),
    ),
    (
        Sabotage::NeverGrafts,
        How::CoreTest(
            "tree::when_the_neighbour_that_pushes_falls_silent_what_others_have_is_fetched",
        ),
    ),
    (
        Sabotage::OrphansWait,
        How::CoreTest("tree::when_the_link_that_brought_it_ends_others_push_at_once"),
    ),
    (
        Sabotage::BehindSkipsOne,
        How::CoreTest(
            "receipts::a_peer_that_was_taken_for_mute_and_answers_after_all_gets_what_follows",
        ),
    ),
    (
        Sabotage::BehindForgotten,
        How::CoreTest(
            "receipts::a_peer_that_was_taken_for_mute_and_answers_after_all_gets_what_follows",
        ),
    ),
    (
        Sabotage::OwnNotHeld,
        How::CoreTest("delivery::what_no_log_could_hold_is_too_long_and_not_waited_for"),
    ),
    (
        Sabotage::BeginsAnywhere,
        How::CoreTest(
            "memory::a_stream_begins_where_a_neighbour_says_and_not_with_what_comes_first",
        ),
    ),
    (Sabotage::OldDelivered, How::Named("too late for the old")),
    (
        Sabotage::LogUnbounded,
        How::Named("a stalled reader, and little memory"),
    ),
    (
        Sabotage::LegacyNotResumed,
        How::CoreTest("memory::a_legacy_neighbour_that_comes_back_gets_what_it_missed"),
    ),
    (
        Sabotage::LateAsBroadcast,
        How::CoreTest("clocks::a_legacy_neighbour_whose_clock_is_ahead_gets_whispers"),
    ),
    (
        Sabotage::SkewNotTold,
        How::CoreTest("clocks::our_own_clock_that_is_set_is_told_at_once"),
    ),
    (
        Sabotage::EvictedTakenForOld,
        How::CoreTest(
            "memory::what_a_log_had_no_room_for_is_a_gap_also_to_who_never_heard_of_the_sender",
        ),
    ),
    (
        Sabotage::AcknowledgedUnasked,
        How::CoreTest("restart::what_was_acknowledged_beyond_a_hole_outlives_more_than_one_life"),
    ),
    (
        Sabotage::AcknowledgedForgotten,
        How::CoreTest("restart::what_was_acknowledged_beyond_a_hole_outlives_more_than_one_life"),
    ),
    (
        Sabotage::OwnNotSaved,
        How::CoreTest("restart::own_messages_that_nobody_had_are_sent_by_the_next_life"),
    ),
    (
        Sabotage::IdsForgotten,
        How::CoreTest("memory::a_message_without_a_name_is_known_for_as_long_as_logs_keep_it"),
    ),
    (
        Sabotage::GoodbyeNotSent,
        How::CoreTest("network::a_node_that_leaves_is_looked_for_in_case_it_comes_back"),
    ),
    (
        Sabotage::ShutdownLeavesLink,
        How::CoreTest("quirks_greeting::closing_a_link_that_py2p_dialled"),
    ),
    (
        Sabotage::PeerDownNotTold,
        How::CoreTest("bad_input::malformed_msgpack"),
    ),
];

/// What the core's own tests hold: as text, since they are no part of the library.
const HELD: &str = include_str!("../../../../core/src/tests/planted.rs");

#[test]
fn every_bug_is_in_the_table_once() {
    let listed: Vec<Sabotage> = TABLE.iter().map(|(bug, _)| *bug).collect();
    assert_eq!(
        listed,
        Sabotage::ALL,
        "in the order in which they are declared"
    );
    for (bug, how) in TABLE {
        match how {
            How::CoreTest(test) => {
                let row = format!("    {bug}: {test},\n");
                assert!(
                    HELD.contains(&row),
                    "{bug}: the core's tests do not list {test}"
                );
            }
            How::Named(name) => drop(named(name)),
            How::Seed(_) => {}
        }
    }
}
