//! Bugs planted in the nodes of the core's own tests: each of them fails the test that is there to hold it.
//!
//! `RS2P_PLANTED=NoRelay cargo test -p rs2p-core --all-features` plants one in the nodes of all tests, to see which fail.

#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bug is planted from outside of the test, which is to know nothing of it"
)]

use std::panic::{self, UnwindSafe};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use crate::Sabotage;

/// What is planted on which thread: tests run beside each other.
static PLANTED: Mutex<Vec<(ThreadId, Sabotage)>> = Mutex::new(Vec::new());

/// Returns the bug that the nodes have which a test makes on this thread, unless it says otherwise.
pub(crate) fn planted() -> Option<Sabotage> {
    planted_here().or_else(from_environment)
}

fn planted_here() -> Option<Sabotage> {
    let here = thread::current().id();
    let planted = PLANTED.lock().unwrap_or_else(PoisonError::into_inner);
    let found = planted.iter().find(|(thread, _)| *thread == here);
    found.map(|(_, bug)| *bug)
}

fn plant(bug: Option<Sabotage>) {
    let here = thread::current().id();
    let mut planted = PLANTED.lock().unwrap_or_else(PoisonError::into_inner);
    planted.retain(|(thread, _)| *thread != here);
    planted.extend(bug.map(|bug| (here, bug)));
}

fn from_environment() -> Option<Sabotage> {
    let name = std::env::var("RS2P_PLANTED").ok()?;
    let bug = Sabotage::from_name(&name);
    Some(bug.unwrap_or_else(|| panic!("RS2P_PLANTED: there is no bug {name:?}")))
}

/// Lists bugs, each with the test that fails with it.
macro_rules! held {
    ($($Bug:ident: $module:ident::$test:ident,)+) => {
        const HELD: &[(Sabotage, &str, fn())] = &[$((
            Sabotage::$Bug,
            concat!(stringify!($module), "::", stringify!($test)),
            super::$module::$test,
        ),)+];
    };
}

held! {
    FrameLengthUnbounded: bad_input::a_length_prefix_over_the_limit,
    PrefixPartDropped: network::a_node_that_joins_by_one_other_finds_more,
    ChecksumIgnored: bad_input::a_checksum_mismatch,
    DripCountsAsProgress: bad_input::half_a_frame_for_too_long,
    WriteTailLost: letters::a_long_message_goes_over_many_links,
    CreditExceeded: limits::credit_is_never_exceeded,
    CreditWakesNobody: quirks_messages::exactly_4_bytes_left,
    QueueUnbounded: limits::a_link_that_takes_nothing_costs_its_queue_and_gets_all_in_the_end,
    OverflowDropsFrame: limits::control_messages_do_not_wait_in_the_log_and_are_bounded_all_the_same,
    StalledPeerBlocksOthers: letters::many_messages_at_once_all_arrive_or_are_refused_at_the_call,
    KeepAliveCountsAsTaking: held::a_peer_that_talks_and_takes_nothing_is_given_up,
    WriteAfterClose: limits::shutting_down_flushes_within_its_time_and_is_the_end,
    CloseNotTold: bad_input::no_handshake_in_time,
    FarewellNotFlushed: limits::shutting_down_flushes_within_its_time_and_is_the_end,
    NoDedupe: network::a_broadcast_reaches_every_participant_once,
    DedupeByLink: network::what_is_sent_from_the_moment_that_a_node_has_joined_reaches_it,
    MemoryTooShort: memory::a_request_that_comes_by_two_ways_is_passed_on_once,
    WallClockInDedupe: clocks::native_nodes_deliver_all_whatever_their_clocks_say,
    OwnDelivered: network::a_broadcast_reaches_every_participant_once,
    NoRelay: quirks_messages::broadcast_on_several_links,
    RelaySkipsOne: quirks_messages::broadcast_on_several_links,
    RelaysBack: quirks_messages::relay_excludes,
    RelayAltersByte: quirks_messages::relay_bytes,
    WhisperRelayed: held::a_whisper_is_nothing_to_pass_on,
    SenderReplaced: delivery::each_senders_order_holds_across_cuts,
    EqualMessagesCollide: quirks_messages::identical_payload_in_one_second,
    HeldBackDropped: network::what_is_sent_from_the_moment_that_a_node_has_joined_reaches_it,
    ReplyMisrouted: letters::nothing_of_letters_goes_to_who_does_not_know_them,
    LetterTakenTwice: letters::a_message_that_loses_its_way_finds_another,
    ReceiptNotSent: letters::a_legacy_neighbour_gets_a_letters_message_as_a_whisper_once,
    ReceiptForNothing: letters::a_letter_that_claims_to_be_of_another_author_or_to_be_a_broadcast_is_refused,
    PostNotRetried: letters::a_way_that_dies_without_a_word_is_given_up_for_another,
    LettersNotCarried: letters::a_node_that_cannot_be_dialled_and_never_said_anything_is_reached,
    NoWayNotTold: letters::letters_do_not_go_round_for_ever,
    HopsNotCounted: letters::letters_do_not_go_round_for_ever,
    ResponseNotGiven: replies::reply_to_a_distant_sender_of_py2p_on_2_7_is_answered,
    HandshakeTimeoutMissing: bad_input::no_handshake_in_time,
    SelfDialAccepted: network::dialling_ourselves_by_another_name_is_found_out,
    WrongNetworkAccepted: network::another_subnet_is_turned_away_on_both_sides,
    BothLinksKept: network::simultaneous_dials_leave_exactly_one_link,
    BothLinksDropped: network::dialling_a_neighbour_again_says_duplicate,
    TieBreakLopsided: duplicates::duplicate_links_py2p_when_its_own_is_preferred,
    AcceptNotAwaited: network::simultaneous_dials_leave_exactly_one_link,
    PeersListEmpty: network::a_node_that_joins_by_one_other_finds_more,
    Js2pToldOfPeers: quirks_greeting::peers_to_py2p_and_peers_to_js2p,
    SpareClosed: duplicates::connecting_to_a_linked_py2p_by_another_name_says_duplicate_and_leaves_it_in_peace,
    LinkLimitIgnored: limits::links_are_bounded_whoever_dials,
    NobodyNamed: membership::whoever_is_turned_away_is_told_of_others_and_dials_them,
    NoRoomMade: membership::one_of_another_island_gets_the_place_of_the_neighbour_that_came_last,
    SeedIgnored: restart::without_its_state_a_node_is_another,
    BackoffMissing: network::a_seed_that_is_down_at_first_is_joined_when_it_comes_up,
    BackoffNeverResets: held::an_address_that_failed_often_is_dialled_soon_after_a_long_link,
    DialTimeoutMissing: held::a_dial_without_an_answer_ends_in_time,
    FailedAddressForgotten: network::a_lost_link_is_made_again_and_the_events_tell,
    LostNeverRedialed: quirks_greeting::any_closed_connection_leaving_node,
    UnwantedRedialed: network::a_link_that_an_application_ends_stays_ended_on_both_sides,
    RedialTimerForgotten: network::a_seed_that_is_down_at_first_is_joined_when_it_comes_up,
    SeedsInTurn: membership::seeds_are_tried_together_and_the_surplus_is_dropped_once_there_is_a_link,
    BookUnbounded: membership::addresses_are_bounded_and_age,
    ProbesDisabled: network::islands_that_are_content_find_each_other,
    ProbeTimerNotRearmed: membership::a_cold_address_is_probed_every_15_to_30_seconds_whatever_its_backoff,
    ProbesWithoutPause: membership::a_cold_address_is_probed_every_15_to_30_seconds_whatever_its_backoff,
    BeaconsDisabled: network::probes_within_an_island_leave_no_trace,
    BeaconsWithoutPause: delivery::nothing_is_said_when_there_is_nothing_to_say,
    PingNeverSent: network::an_end_that_is_gone_without_a_word_is_noticed_and_a_quiet_one_stays,
    IdleTimerNotRearmed: network::an_end_that_is_gone_without_a_word_is_noticed_and_a_quiet_one_stays,
    IdleLinkClosed: network::an_end_that_is_gone_without_a_word_is_noticed_and_a_quiet_one_stays,
    TimerInThePast: bad_input::no_handshake_in_time,
    OrderIgnored: delivery::what_nobody_has_any_more_is_a_gap_that_says_so,
    GapOneShort: delivery::what_nobody_has_any_more_is_a_gap_that_says_so,
    GapNotTold: delivery::what_nobody_has_any_more_is_a_gap_that_says_so,
    GapNeverDeclared: delivery::what_nobody_has_any_more_is_a_gap_that_says_so,
    NeverPulls: delivery::what_is_sent_without_a_neighbour_arrives_when_there_is_one,
    PullSkipsLast: delivery::what_is_sent_without_a_neighbour_arrives_when_there_is_one,
    PullNeverRetried: memory::what_a_neighbour_does_not_send_is_asked_of_another,
    RepairsLimited: delivery::what_a_node_asked_for_is_no_flood,
    RepairNotRelayed: delivery::a_ticket_tells_how_far_a_message_is,
    SummaryIgnored: delivery::what_is_sent_without_a_neighbour_arrives_when_there_is_one,
    HaveSkipsLast: delivery::a_node_that_joins_gets_what_is_sent_from_then_on,
    NewsNotTold: delivery::a_ticket_tells_how_far_a_message_is,
    AlikeNotConfirmed: delivery::who_finds_the_logs_alike_still_says_what_it_has,
    SparedNotTold: tree::when_the_neighbour_that_pushes_falls_silent_what_others_have_is_fetched,
    NeverGrafts: tree::when_the_neighbour_that_pushes_falls_silent_what_others_have_is_fetched,
    OrphansWait: tree::when_the_link_that_brought_it_ends_others_push_at_once,
    BehindSkipsOne: receipts::a_peer_that_was_taken_for_mute_and_answers_after_all_gets_what_follows,
    BehindForgotten: receipts::a_peer_that_was_taken_for_mute_and_answers_after_all_gets_what_follows,
    OwnNotHeld: delivery::what_no_log_could_hold_is_too_long_and_not_waited_for,
    BeginsAnywhere: memory::a_stream_begins_where_a_neighbour_says_and_not_with_what_comes_first,
    OldDelivered: delivery::a_node_that_joins_gets_what_is_sent_from_then_on,
    LogUnbounded: pressure::a_stuck_link_costs_the_same_however_long_it_is_stuck,
    LegacyNotResumed: memory::a_legacy_neighbour_that_comes_back_gets_what_it_missed,
    LateAsBroadcast: clocks::a_legacy_neighbour_whose_clock_is_ahead_gets_whispers,
    SkewNotTold: clocks::our_own_clock_that_is_set_is_told_at_once,
    EvictedTakenForOld: memory::what_a_log_had_no_room_for_is_a_gap_also_to_who_never_heard_of_the_sender,
    AcknowledgedUnasked: restart::what_was_acknowledged_beyond_a_hole_outlives_more_than_one_life,
    AcknowledgedForgotten: restart::what_was_acknowledged_beyond_a_hole_outlives_more_than_one_life,
    OwnNotSaved: restart::own_messages_that_nobody_had_are_sent_by_the_next_life,
    IdsForgotten: memory::a_message_without_a_name_is_known_for_as_long_as_logs_keep_it,
    GoodbyeNotSent: network::a_node_that_leaves_is_looked_for_in_case_it_comes_back,
    ShutdownLeavesLink: quirks_greeting::closing_a_link_that_py2p_dialled,
    PeerDownNotTold: bad_input::malformed_msgpack,
}

/// Returns whether something panics. Of that nobody wants to read, with a bug planted.
fn panics(act: impl FnOnce() + UnwindSafe) -> bool {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if planted_here().is_none() {
                usual(info);
            }
        }));
    });
    panic::catch_unwind(act).is_err()
}

#[test]
fn a_planted_bug_fails_the_test_that_holds_it() {
    let mut survived = Vec::new();
    for (bug, name, test) in HELD {
        plant(Some(*bug));
        let is_held = panics(test);
        plant(None);
        if !is_held {
            survived.push(format!("{bug} survives {name}"));
        }
    }
    println!(
        "{} of {} planted bugs are held by tests of one node or a few",
        HELD.len(),
        Sabotage::ALL.len()
    );
    assert!(survived.is_empty(), "{survived:?}");
}
