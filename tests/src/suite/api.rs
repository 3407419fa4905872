//! What the older libraries' constructor, protocol, routing table and status have become.

use std::time::Duration;

use rs2p_driver::{
    Config, Encryption, Event, Handled, PeerKind, Protocol, Runtime, Side, SocketState,
};
use tracing::Level;

use super::trace::Traces;
use super::{Stage, received, text, until};

/// `MeshSocket(addr, port, prot, out_addr, debug_level)`.
pub async fn row_the_constructor_sets_addresses_network_and_config<R: Runtime>(stage: Stage<R>) {
    let protocol = Protocol::new("another", Encryption::Plaintext);
    let config = Config {
        max_links: 7,
        max_dialed: 3,
        ..Config::default()
    };
    let socket = stage
        .builder()
        .config(config)
        .protocol(protocol.clone())
        .listen("127.0.0.1:0")
        .listen("127.0.0.2:0")
        .advertise("192.0.2.7:0")
        .bind()
        .await
        .expect("free ports");

    let [first, second] = socket.local_addresses() else {
        panic!("two listeners: {:?}", socket.local_addresses());
    };
    assert_eq!((first.host(), second.host()), ("127.0.0.1", "127.0.0.2"));
    assert!(first.port() != 0 && second.port() != 0);
    assert_eq!(socket.protocol(), &protocol);
    let advertised = socket.advertised().expect("it was set");
    assert_eq!(
        (advertised.host(), advertised.port()),
        ("192.0.2.7", first.port()),
        "port 0 stands for the listener's"
    );
    for address in [first, second] {
        let other = stage.builder().protocol(protocol.clone());
        let other = other.bind().await.expect("no listener");
        assert_eq!(other.connect(address).await.as_ref(), Ok(socket.id()));
    }
}

/// `'0.0.0.0'` advertises the LAN address.
pub async fn row_0_0_0_0_advertises_the_lan_address<R: Runtime>(stage: Stage<R>) {
    for any in ["0.0.0.0:0", "[::]:0"] {
        let socket = stage.builder().listen(any).bind().await;
        let socket = socket.expect("a free port");
        let advertised = socket.advertised().expect("it listens").clone();
        assert!(!advertised.is_unspecified(), "{any}: {advertised}");
        assert_eq!(
            advertised.port(),
            socket.local_addresses()[0].port(),
            "{any}"
        );
    }
    let silent = stage.builder().bind().await.expect("no listener");
    assert_eq!(silent.advertised(), None);
}

/// `prot=Protocol('mesh', 'SSL')`.
pub async fn row_ssl_links_are_encrypted<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.with(Encryption::Tls).pair().await;
    alice.broadcast("to bob").expect("there is room");
    bob.broadcast("to alice").expect("there is room");
    assert_eq!(text(&bob).await, "to bob");
    assert_eq!(text(&alice).await, "to alice");

    // A plain-text node finds nobody to talk to there.
    let carol = stage.builder().config(Config {
        handshake_timeout: Duration::from_millis(300),
        silence_timeout: Duration::from_millis(50),
        ..Config::default()
    });
    let carol = carol.bind().await.expect("no listener");
    let reached = carol.connect(&alice.local_addresses()[0]).await;
    assert!(reached.is_err(), "{reached:?}");
}

/// Encryption `ws`, which only js2p has.
pub async fn websocket_links_carry_messages_both_ways<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.with(Encryption::WebSocket).pair().await;
    for n in 0..50 {
        alice
            .broadcast(format!("{n} to bob"))
            .expect("there is room");
        bob.broadcast(format!("{n} to alice"))
            .expect("there is room");
    }
    for n in 0..50 {
        assert_eq!(text(&bob).await, format!("{n} to bob"));
        assert_eq!(text(&alice).await, format!("{n} to alice"));
    }
    alice.close().await;
    bob.close().await;
}

/// `routing_table`.
pub async fn row_peers_tell_who_is_there<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let [of_alice] = &alice.peers()[..] else {
        panic!("one peer: {:?}", alice.peers());
    };
    let [of_bob] = &bob.peers()[..] else {
        panic!("one peer: {:?}", bob.peers());
    };
    assert_eq!(
        (&of_alice.id, of_alice.side, of_alice.kind),
        (bob.id(), Side::Accepted, PeerKind::Native)
    );
    assert_eq!(
        (&of_bob.id, of_bob.side, of_bob.kind),
        (alice.id(), Side::Dialed, PeerKind::Native)
    );
    assert_eq!(of_bob.remote, alice.local_addresses()[0]);
    assert_eq!(of_bob.address.as_ref(), alice.advertised());
    assert_eq!(of_alice.address.as_ref(), bob.advertised());
    assert!(of_bob.round_trip.is_some(), "the greeting was answered");
}

/// `status`.
pub async fn row_status_tells_how_it_goes<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    bob.broadcast("one").expect("there is room");
    bob.broadcast("two").expect("there is room");
    assert_eq!(text(&alice).await, "one");
    let status = alice.status();
    assert_eq!(status.state, SocketState::Open);
    assert_eq!((status.peers().len(), status.links().len()), (1, 1));
    assert_eq!((status.missed, status.problems.len()), (0, 0));
    assert!(status.received <= 1, "one of two is taken out");

    let mut events = alice.events();
    bob.close().await;
    until(&mut events, |event| matches!(event, Event::PeerDown { .. })).await;
    let status = alice.status();
    assert_eq!((status.peers().len(), status.received), (0, 1));
    assert_eq!(status.received_bytes, 4, "a str of three bytes");
    let problem = status.problems.last().expect("the loss of bob");
    assert!(problem.what.contains(bob.id().as_str()), "{problem}");

    alice.close().await;
    assert_eq!(alice.status().state, SocketState::Closed);
}

/// `debug_level`.
pub async fn row_tracing_tells_every_message_and_handler<R: Runtime>(stage: Stage<R>) {
    let traces = Traces::start();
    let (alice, bob) = stage.pair().await;
    alice.register_handler(|_, _| Handled::No);
    let id = bob.broadcast("seen by all").expect("there is room").id();
    assert_eq!(received(&alice).await.id(), id);

    let id = format!("{id:?}");
    for words in [
        &["message out", &id][..],
        &["message in", &id],
        &["handler entered", &id],
        &["link accepted"],
        &["dial succeeded"],
    ] {
        assert!(traces.tell(Level::TRACE, words), "{words:?}");
    }
}
