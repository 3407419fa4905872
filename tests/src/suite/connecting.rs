//! Connecting, which succeeds or says why not.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use futures_lite::future::poll_once;
use rs2p_driver::{
    CloseReason, Config, ConnectError, ConnectFailure, DialFailure, Encryption, Event,
    ParseAddressError, Protocol, Runtime,
};

use super::{Stage, peer_up, text, until};

fn impatient() -> Config {
    Config {
        dial_timeout: Duration::from_millis(300),
        handshake_timeout: Duration::from_millis(300),
        silence_timeout: Duration::from_millis(50),
        ..Config::default()
    }
}

/// "sleep 1, then assert the routing table".
pub async fn row_connect_returns_after_the_handshake<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = (stage.node().await, stage.node().await);
    let reached = bob.connect(&alice.local_addresses()[0]).await;
    assert_eq!(reached.as_ref(), Ok(alice.id()));
    assert_eq!(bob.peers().len(), 1);
    bob.broadcast("at once").expect("there is room");
    assert_eq!(text(&alice).await, "at once");
}

/// Nobody listens.
pub async fn row_connect_says_that_it_was_refused<R: Runtime>(stage: Stage<R>) {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("it is bound")
    };
    let socket = stage.node().await;
    let refused = ConnectFailure::Dial(DialFailure::Refused);
    assert_eq!(
        socket.connect(address).await,
        Err(ConnectError::Failed(refused))
    );
}

/// "wrong subnet fails silently".
pub async fn row_connect_says_that_the_network_is_wrong<R: Runtime>(stage: Stage<R>) {
    let alice = stage.node().await;
    let other = Protocol::new("another", Encryption::Plaintext);
    let bob = stage.builder().protocol(other.clone()).bind().await;
    let bob = bob.expect("no listener");
    let mut events = alice.events();
    let theirs = alice.protocol().id();
    assert_eq!(
        bob.connect(&alice.local_addresses()[0]).await,
        Err(ConnectError::Failed(ConnectFailure::WrongNetwork {
            theirs
        }))
    );
    let rejected = until(&mut events, |event| matches!(event, Event::Rejected { .. })).await;
    let Event::Rejected { reason, .. } = rejected else {
        unreachable!("that was asked for");
    };
    assert_eq!(reason, CloseReason::WrongNetwork { theirs: other.id() });
}

/// Somebody is there, and says nothing.
pub async fn row_connect_says_that_time_ran_out<R: Runtime>(stage: Stage<R>) {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    let socket = stage.builder().config(impatient()).bind().await;
    let socket = socket.expect("no listener");
    let timed_out = ConnectFailure::Closed(CloseReason::HandshakeTimeout);
    assert_eq!(
        socket.connect(address).await,
        Err(ConnectError::Failed(timed_out))
    );
}

/// Somebody is there, and never answers the TLS hello, so that there is no stream.
pub async fn row_connect_says_that_the_dial_timed_out<R: Runtime>(stage: Stage<R>) {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    let stage = stage.with(Encryption::Tls);
    let socket = stage.builder().config(impatient()).bind().await;
    let socket = socket.expect("no listener");
    let timed_out = ConnectFailure::Dial(DialFailure::TimedOut);
    assert_eq!(
        socket.connect(address).await,
        Err(ConnectError::Failed(timed_out))
    );
}

/// By the advertised address, and by one that only the handshake shows to be ours.
pub async fn row_connect_says_that_it_is_ourselves<R: Runtime>(stage: Stage<R>) {
    let ourselves = Err(ConnectError::Failed(ConnectFailure::Ourselves));
    let plain = stage.node().await;
    assert_eq!(plain.connect(&plain.local_addresses()[0]).await, ourselves);
    let hidden = stage.listening().advertise("192.0.2.1:7").bind().await;
    let hidden = hidden.expect("a free port");
    assert_eq!(
        hidden.connect(&hidden.local_addresses()[0]).await,
        ourselves
    );
}

/// A second time.
pub async fn row_connect_says_that_there_is_a_link_already<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let duplicate = ConnectFailure::Duplicate(alice.id().clone());
    assert_eq!(
        bob.connect(&alice.local_addresses()[0]).await,
        Err(ConnectError::Failed(duplicate))
    );
    assert_eq!(bob.peers().len(), 1, "the first link is not harmed");
}

/// Or cannot be dialled.
pub async fn row_connect_says_that_the_text_is_no_address<R: Runtime>(stage: Stage<R>) {
    let socket = stage.node().await;
    let Err(ConnectError::Address(error)) = socket.connect("127.0.0.1").await else {
        panic!("a port is missing");
    };
    assert_eq!(error.source, ParseAddressError::MissingPort);
    let failed = socket.connect("127.0.0.1:0").await;
    assert!(
        matches!(
            failed,
            Err(ConnectError::Failed(ConnectFailure::BadAddress(_)))
        ),
        "{failed:?}"
    );
}

/// `localhost` is `::1` first on many hosts, where nobody listens here.
pub async fn a_host_name_is_looked_up<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = (stage.node().await, stage.node().await);
    let port = alice.local_addresses()[0].port();
    let reached = bob.connect(("localhost", port)).await;
    assert_eq!(reached.as_ref(), Ok(alice.id()));
}

/// The caller's interest ends, not the dial.
pub async fn a_dial_goes_on_when_its_future_is_dropped<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = (stage.node().await, stage.node().await);
    let mut events = alice.events();
    let _ = poll_once(Box::pin(bob.connect(&alice.local_addresses()[0]))).await;
    peer_up(&mut events, bob.id()).await;
}

/// Whether given to the builder or later.
pub async fn seeds_are_dialled_until_they_are_there<R: Runtime>(stage: Stage<R>) {
    let reserved = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = reserved.local_addr().expect("it is bound");
    drop(reserved);
    let config = Config {
        redial_min: Duration::from_millis(20),
        redial_max: Duration::from_millis(100),
        ..Config::default()
    };
    let early = stage.builder().config(config.clone()).seed(address);
    let early = early.bind().await.expect("no listener");
    let mut events = early.events();
    until(&mut events, |event| {
        matches!(event, Event::DialFailed { .. })
    })
    .await;
    assert!(TcpStream::connect(address).is_err(), "nobody is there yet");

    let late = stage.builder().listen(address).bind().await;
    let late = late.expect("the port is free again");
    peer_up(&mut events, late.id()).await;

    let third = stage.builder().config(config).bind().await;
    let third = third.expect("no listener");
    let mut events = third.events();
    third.add_seed(address).expect("a good address");
    peer_up(&mut events, late.id()).await;
}
