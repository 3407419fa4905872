//! From binding to closing.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use futures_lite::StreamExt as _;
use futures_lite::future::{poll_once, yield_now};
use rs2p_driver::{
    BindError, CloseReason, Config, ConnectError, ConnectFailure, Encryption, Event, NodeId,
    RecvError, Runtime, SendError, SendOutcome, SocketState,
};

use super::{Stage, link, peer_up, text, until};

/// `close()`: "flushes what was accepted".
pub async fn row_close_sends_what_was_accepted<R: Runtime>(stage: Stage<R>) {
    for encryption in [
        Encryption::Plaintext,
        Encryption::Tls,
        Encryption::WebSocket,
    ] {
        let (alice, bob) = stage.with(encryption).pair().await;
        for n in 0..500 {
            let sent = bob.broadcast(format!("{n} {}", "x".repeat(1000)));
            sent.unwrap_or_else(|error| panic!("{encryption}, {n}: {error}"));
        }
        bob.close().await;
        for n in 0..500 {
            let text = text(&alice).await;
            assert!(text.starts_with(&format!("{n} ")), "{encryption}, {n}");
        }
    }
}

/// Calls, streams, and calls to come.
pub async fn row_close_ends_everything_that_waits<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    let mut connect = Box::pin(alice.connect(address));
    assert!(poll_once(&mut connect).await.is_none());
    let nobody = NodeId::new("nobody").expect("a fine id");
    let delivery = alice.send_to(&nobody, "hello?").expect("there is room");
    let mut recv = Box::pin(alice.recv());
    assert!(poll_once(&mut recv).await.is_none());
    let events = alice.events();
    bob.broadcast("the last").expect("there is room");
    assert_eq!(
        recv.await.expect("open").text().as_deref(),
        Some("the last")
    );

    futures_lite::future::zip(alice.close(), alice.close()).await;
    alice.close().await;
    assert_eq!(alice.status().state, SocketState::Closed);
    assert_eq!(alice.recv().await, Err(RecvError::Closed));
    assert_eq!(alice.try_recv(), Err(RecvError::Closed));
    assert_eq!(delivery.await, SendOutcome::ShutDown);
    let shut_down = ConnectError::Failed(ConnectFailure::ShutDown);
    assert_eq!(connect.await, Err(shut_down.clone()));
    assert_eq!(alice.connect(address).await, Err(shut_down));
    assert_eq!(alice.broadcast("late"), Err(SendError::ShutDown));
    assert_eq!(
        alice.broadcast_when_ready("late").await,
        Err(SendError::ShutDown)
    );
    let last = events.collect::<Vec<_>>().await.pop();
    assert_eq!(last, Some(Ok(Event::ShutDown)));
    assert_eq!(alice.events().collect::<Vec<_>>().await, []);
}

/// "Dropping the socket closes it."
pub async fn dropping_the_last_handle_closes<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let address = alice.local_addresses()[0].to_string();
    let mut of_alice = alice.events();
    let mut of_bob = bob.events();
    let clone = alice.clone();
    drop(alice);
    bob.broadcast("still there?").expect("there is room");
    assert_eq!(text(&clone).await, "still there?");
    drop(clone);
    until(&mut of_bob, |event| matches!(event, Event::PeerDown { .. })).await;
    until(&mut of_alice, |event| *event == Event::ShutDown).await;
    assert_eq!(of_alice.next().await, None);
    while TcpStream::connect(&address).is_ok() {
        yield_now().await;
    }
}

/// At once, and although there were links on it.
pub async fn the_port_is_free_after_closing<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let address = alice.local_addresses()[0].clone();
    let taken = stage.builder().listen(&address).bind().await;
    assert!(matches!(taken, Err(BindError::Listen { .. })), "in use");
    alice.close().await;
    let again = stage.builder().listen(&address).bind().await;
    let again = again.expect("the port is free");
    assert_eq!(again.local_addresses()[0], address);
    bob.close().await;
    again.close().await;
    TcpListener::bind(address.to_string()).expect("the port is free");
}

/// The error says which.
pub async fn a_port_in_use_is_named<R: Runtime>(stage: Stage<R>) {
    let alice = stage.node().await;
    let address = &alice.local_addresses()[0];
    let error = stage.builder().listen(address).bind().await;
    let error = error.expect_err("the port is in use");
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {address}: the port is in use")
    );
    let error = stage.builder().listen("nonsense").bind().await;
    let error = error.expect_err("no address").to_string();
    assert!(error.contains("nonsense"), "{error}");
}

/// Strangers on a TLS or WebSocket port: silent ones, ones that talk something else, ones that leave.
pub async fn an_encryption_that_breaks_off_is_survived<R: Runtime>(stage: Stage<R>) {
    for encryption in [Encryption::Tls, Encryption::WebSocket] {
        let stage = stage.with(encryption);
        let config = Config {
            max_pending: 4,
            handshake_timeout: Duration::from_millis(300),
            silence_timeout: Duration::from_millis(50),
            ..Config::default()
        };
        let alice = stage.listening().config(config).bind().await;
        let alice = alice.expect("a free port");
        let address = alice.local_addresses()[0].to_string();
        let silent: Vec<_> = (0..8).map(|_| TcpStream::connect(&address)).collect();
        let mut wrong = TcpStream::connect(&address).expect("it listens");
        wrong.write_all(b"EHLO example.org\r\n\r\n").expect("open");
        drop(TcpStream::connect(&address).expect("it listens"));
        let bob = stage.node().await;
        // While strangers hold all places it is turned away.
        while bob.connect(&alice.local_addresses()[0]).await.is_err() {
            yield_now().await;
        }
        bob.broadcast("through").expect("there is room");
        assert_eq!(text(&alice).await, "through", "{encryption}");
        drop(silent);
    }
}

/// Whoever dials a node that has no place left learns just that, and finds one with a node that it is told of.
pub async fn who_is_turned_away_is_told_why<R: Runtime>(stage: Stage<R>) {
    for encryption in [
        Encryption::Plaintext,
        Encryption::Tls,
        Encryption::WebSocket,
    ] {
        let stage = stage.with(encryption);
        let config = Config {
            max_links: 1,
            max_dialed: 1,
            ..Config::default()
        };
        let alice = stage.listening().config(config).bind().await;
        let alice = alice.expect("a free port");
        let (bob, carol) = (stage.node().await, stage.node().await);
        link(&bob, &alice).await;
        let mut events = carol.events();
        let error = carol.connect(&alice.local_addresses()[0]).await;
        let full = ConnectFailure::Closed(CloseReason::TurnedAway);
        assert_eq!(error, Err(ConnectError::Failed(full)), "{encryption}");
        until(
            &mut events,
            |event| matches!(event, Event::PeerUp(peer) if peer.id == *bob.id()),
        )
        .await;
    }
}

/// Neither side dials again.
pub async fn disconnecting_lasts<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let mut events = bob.events();
    let mut of_alice = alice.events();
    bob.disconnect(alice.id()).expect("a peer");
    let down = until(&mut events, |event| matches!(event, Event::PeerDown { .. })).await;
    assert!(matches!(
        down,
        Event::PeerDown {
            reason: CloseReason::Requested,
            ..
        }
    ));
    until(&mut of_alice, |event| matches!(event, Event::Isolated)).await;
    assert_eq!(
        bob.disconnect(alice.id()),
        Err(SendError::NotANeighbour(alice.id().clone()))
    );
}

/// Section "bad input": the link is closed with a reason, and nothing else is affected.
pub async fn garbage_ends_its_link_only<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let mut events = alice.events();
    let mut stranger = TcpStream::connect(alice.local_addresses()[0].to_string()).expect("open");
    // More than is read at once: closed with the rest unread, the connection would be reset.
    stranger.write_all(&vec![0xff; 1 << 20]).expect("open");
    let rejected = until(&mut events, |event| matches!(event, Event::Rejected { .. })).await;
    assert!(matches!(
        rejected,
        Event::Rejected {
            reason: CloseReason::Fault(_),
            ..
        }
    ));
    stranger.shutdown(Shutdown::Write).expect("open");
    let mut rest = Vec::new();
    // Whatever was said, the end comes, and as an end.
    stranger
        .read_to_end(&mut rest)
        .expect("closed in good order");
    bob.broadcast("unharmed").expect("there is room");
    assert_eq!(text(&alice).await, "unharmed");
}

/// Here one of the runtime's own that the test has accepted.
pub async fn a_stream_of_any_kind_can_be_attached<R: Runtime>(stage: Stage<R>) {
    let alice = stage.builder().bind().await.expect("no listener");
    let bob = stage.builder().bind().await.expect("no listener");
    let runtime = &stage.runtime;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = runtime.bind(any).await.expect("a free port");
    let address = runtime.local_addr(&listener).expect("it is bound");
    let mut events = bob.events();
    let connect = alice.connect(address);
    let attach = async {
        let (stream, from) = runtime.accept(&listener).await.expect("alice dials");
        bob.attach(stream, from.into()).expect("there is room");
        peer_up(&mut events, alice.id()).await;
    };
    let (reached, ()) = futures_lite::future::zip(connect, attach).await;
    assert_eq!(reached.as_ref(), Ok(bob.id()));
}
