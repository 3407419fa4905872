//! The tests of sockets: one suite, for every runtime.
//!
//! A test is a function over a [`Stage`], which makes sockets on the runtime under test. All traffic is on the
//! loopback interface; all waits are for something to happen, with a limit far above what it takes. A crate
//! of tests instantiates the suite by `rs2p_tests::suite!(runtime)`.

pub mod api;
pub mod calls;
pub mod connecting;
pub mod lifecycle;
pub mod messages;
pub mod restart;
pub mod trace;
pub mod volume;

use std::future::Future;
use std::time::{Duration, Instant};

use futures_lite::StreamExt as _;
use futures_lite::future::{block_on, or};
use rs2p_driver::{
    Builder, Encryption, Event, Events, MeshSocket, Message, NodeId, Protocol, Runtime,
};

/// How long a test may take: several times what the slowest needs on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Where a test plays: a runtime, and what is needed to make sockets on it.
#[derive(Clone, Debug)]
pub struct Stage<R> {
    runtime: R,
    protocol: Protocol,
}

impl<R: Runtime> Stage<R> {
    /// Begins a test on this runtime, in a plain-text network.
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            protocol: Protocol::default(),
        }
    }

    /// Returns the same stage for a network with other links.
    #[must_use]
    pub fn with(&self, encryption: Encryption) -> Self {
        Self {
            runtime: self.runtime.clone(),
            protocol: Protocol::new("mesh", encryption),
        }
    }

    /// Plays a test, which fails if it takes too long.
    pub fn play<F: Future<Output = ()>>(self, test: impl FnOnce(Self) -> F) {
        let runtime = self.runtime.clone();
        let too_long = async {
            runtime.sleep_until(Instant::now() + LIMIT).await;
            panic!("not done after {LIMIT:?}");
        };
        block_on(or(test(self), too_long));
    }

    /// Begins a socket that does not listen.
    pub fn builder(&self) -> Builder<R> {
        Builder::new(self.runtime.clone()).protocol(self.protocol.clone())
    }

    /// Begins a socket that listens on any free port of the loopback interface.
    pub fn listening(&self) -> Builder<R> {
        self.builder().listen("127.0.0.1:0")
    }

    /// Returns a socket that listens.
    pub async fn node(&self) -> MeshSocket {
        self.listening().bind().await.expect("a free port")
    }

    /// Returns two linked sockets; the second has dialled the first.
    pub async fn pair(&self) -> (MeshSocket, MeshSocket) {
        let (alice, bob) = (self.node().await, self.node().await);
        link(&bob, &alice).await;
        (alice, bob)
    }

    /// Returns three sockets in a row: only the middle one is linked to both others. The ends do
    /// not listen and so cannot be linked directly.
    pub async fn row(&self) -> [MeshSocket; 3] {
        let alice = self.builder().bind().await.expect("no listener");
        let bob = self.node().await;
        let carol = self.builder().bind().await.expect("no listener");
        link(&alice, &bob).await;
        link(&carol, &bob).await;
        [alice, bob, carol]
    }
}

/// Links two sockets, and returns when both know it.
pub async fn link(from: &MeshSocket, to: &MeshSocket) {
    let mut events = to.events();
    let reached = from.connect(&to.local_addresses()[0]).await;
    assert_eq!(reached.as_ref(), Ok(to.id()));
    peer_up(&mut events, from.id()).await;
}

/// Waits until an event says that this peer is there.
pub async fn peer_up(events: &mut Events, id: &NodeId) {
    until(
        events,
        |event| matches!(event, Event::PeerUp(peer) if peer.id == *id),
    )
    .await;
}

/// Waits for an event.
pub async fn until(events: &mut Events, is_it: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.next().await.expect("the socket is open");
        let event = event.expect("few events");
        if is_it(&event) {
            return event;
        }
    }
}

/// Receives a message that has to be there or come.
pub async fn received(socket: &MeshSocket) -> Message {
    socket.recv().await.expect("a message, without gaps")
}

/// Receives a message and returns its text.
pub async fn text(socket: &MeshSocket) -> String {
    received(socket).await.text().expect("a message of text")
}

/// Makes a test of every function of the suite, on the runtime that the expression gives.
#[macro_export]
macro_rules! suite {
    ($runtime:expr) => {
        $crate::suite_of! { $runtime;
            api: row_the_constructor_sets_addresses_network_and_config
                row_0_0_0_0_advertises_the_lan_address
                row_ssl_links_are_encrypted
                row_peers_tell_who_is_there
                row_status_tells_how_it_goes
                row_tracing_tells_every_message_and_handler
                websocket_links_carry_messages_both_ways;
            connecting: row_connect_returns_after_the_handshake
                row_connect_says_that_it_was_refused
                row_connect_says_that_the_network_is_wrong
                row_connect_says_that_time_ran_out
                row_connect_says_that_the_dial_timed_out
                row_connect_says_that_it_is_ourselves
                row_connect_says_that_there_is_a_link_already
                row_connect_says_that_the_text_is_no_address
                a_host_name_is_looked_up
                a_dial_goes_on_when_its_future_is_dropped
                seeds_are_dialled_until_they_are_there;
            messages: row_send_broadcast_reaches_every_participant
                row_send_whisper_reaches_neighbours_only
                row_send_to_reaches_one_node
                row_send_with_a_sub_flag_of_its_own
                row_recv_one_many_or_as_a_stream
                row_messages_tell_what_was_sent_by_whom_and_when
                row_reply_goes_to_a_neighbour
                row_reply_finds_its_way_to_a_distant_sender
                row_reply_says_when_there_is_no_way
                our_own_faults_are_refused_at_once
                clones_share_one_queue;
            calls: row_events_tell_of_joining_and_of_peers
                row_on_and_once_call_back
                row_handlers_are_called_in_order_until_one_is_content
                a_handler_may_answer_on_the_link
                order_is_kept_through_handlers
                a_panic_in_a_callback_harms_nobody
                a_callback_may_take_itself_out;
            lifecycle: row_close_sends_what_was_accepted
                row_close_ends_everything_that_waits
                dropping_the_last_handle_closes
                the_port_is_free_after_closing
                a_port_in_use_is_named
                an_encryption_that_breaks_off_is_survived
                who_is_turned_away_is_told_why
                disconnecting_lasts
                garbage_ends_its_link_only
                a_stream_of_any_kind_can_be_attached;
            restart: a_socket_with_a_store_goes_on_where_it_was
                what_was_sent_before_a_restart_arrives_after_it
                a_store_that_holds_something_else_is_refused_and_kept;
            volume: a_payload_of_1_mib_arrives
                a_payload_of_1_mib_arrives_over_tls
                a_payload_of_1_mib_arrives_over_websocket
                twenty_thousand_messages_arrive_in_order
                a_reader_that_lags_is_told_by_how_much
                a_peer_that_does_not_read_holds_up_nobody
                refused_messages_are_accepted_once_there_is_room;
        }
    };
}

/// What [`suite!`](crate::suite) expands to.
#[doc(hidden)]
#[macro_export]
macro_rules! suite_of {
    ($runtime:expr; $($module:ident: $($name:ident)+;)+) => {
        $($(
            #[test]
            fn $name() {
                $crate::suite::Stage::new($runtime).play($crate::suite::$module::$name);
            }
        )+)+
    };
}
