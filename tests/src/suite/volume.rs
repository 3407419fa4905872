//! Much, and more than fits.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use futures_lite::future::{yield_now, zip};
use rs2p_driver::{Address, Config, Encryption, MeshSocket, RecvError, Runtime, SendError};

use super::{Stage, link, peer_up, received, text};

/// Bytes that no method makes shorter, the same for the same seed.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}

async fn carry_1_mib(alice: &MeshSocket, bob: &MeshSocket) {
    for (seed, from, to) in [(1, alice, bob), (2, bob, alice)] {
        let payload = noise(1 << 20, seed);
        from.broadcast(payload.clone()).expect("it is not too long");
        let message = received(to).await;
        let packet = message.packets().iter().next();
        let packet = packet.expect("a packet").expect("well-formed");
        let bytes = packet.as_bytes().expect("bytes");
        assert!(*bytes == payload, "unaltered");
    }
}

/// In one message.
pub async fn a_payload_of_1_mib_arrives<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    carry_1_mib(&alice, &bob).await;
}

/// In many records.
pub async fn a_payload_of_1_mib_arrives_over_tls<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.with(Encryption::Tls).pair().await;
    carry_1_mib(&alice, &bob).await;
}

/// In several WebSocket messages.
pub async fn a_payload_of_1_mib_arrives_over_websocket<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.with(Encryption::WebSocket).pair().await;
    carry_1_mib(&alice, &bob).await;
}

/// As fast as they are accepted.
pub async fn twenty_thousand_messages_arrive_in_order<R: Runtime>(stage: Stage<R>) {
    const COUNT: u64 = 20_000;
    let (alice, bob) = stage.pair().await;
    let send = async {
        for n in 0..COUNT {
            let sent = bob.broadcast_when_ready(n).await;
            sent.expect("the socket is open");
        }
    };
    let receive = async {
        for n in 0..COUNT {
            let message = received(&alice).await;
            let packet = message.packets().iter().next();
            let packet = packet.expect("a packet").expect("well-formed");
            assert_eq!(packet.as_u64(), Some(n));
        }
    };
    zip(send, receive).await;
    assert_eq!(alice.try_recv(), Ok(None));
}

/// At the place where messages are missing, and the node goes on.
pub async fn a_reader_that_lags_is_told_by_how_much<R: Runtime>(stage: Stage<R>) {
    const LIMIT: u64 = 100;
    let alice = stage.listening().receive_limit(100).bind().await;
    let alice = alice.expect("a free port");
    let bob = stage.node().await;
    link(&bob, &alice).await;
    for n in 0..LIMIT + 37 {
        bob.broadcast(n.to_string()).expect("there is room");
    }
    while alice.status().missed < 37 {
        yield_now().await;
    }
    for n in 0..LIMIT {
        assert_eq!(text(&alice).await, n.to_string());
    }
    bob.broadcast("after").expect("there is room");
    let Err(RecvError::Lagged(lagged)) = alice.recv().await else {
        panic!("messages are missing");
    };
    assert_eq!(lagged.missed, 37);
    let ranges: Vec<_> = lagged
        .ranges
        .iter()
        .map(|range| (range.first, range.last))
        .collect();
    assert_eq!(ranges, [(LIMIT + 1, LIMIT + 37)], "and it is said which");
    assert_eq!(text(&alice).await, "after");
    assert_eq!(alice.peers().len(), 1);
}

/// A relay holds no more than its limits for a peer that is stuck, serves the others meanwhile, and it when it
/// goes on.
pub async fn a_peer_that_does_not_read_holds_up_nobody<R: Runtime>(stage: Stage<R>) {
    let config = Config {
        stall_timeout: Duration::from_secs(600),
        ..Config::default()
    };
    let relay = stage.listening().config(config).bind().await;
    let relay = relay.expect("a free port");
    // Without listeners nobody finds a way past the relay.
    let alone = async || stage.builder().bind().await.expect("no listener");
    let (bob, carol, dave) = (alone().await, alone().await, alone().await);
    link(&bob, &relay).await;
    link(&dave, &relay).await;
    let mut events = relay.events();
    let valve = Valve::to(&relay.local_addresses()[0]);
    carol.connect(valve.address).await.expect("it is open");
    peer_up(&mut events, carol.id()).await;
    // When this arrives, the link is done with comparing logs, and the relay knows for how long carol has been there.
    bob.broadcast("ready").expect("there is room");
    for node in [&dave, &carol] {
        assert_eq!(text(node).await, "ready");
    }
    valve.close();

    let send = async {
        for n in 0..200 {
            let sent = bob.broadcast_when_ready(noise(64 << 10, n)).await;
            sent.expect("the socket is open");
        }
    };
    let receive = async {
        for n in 0..200 {
            let message = received(&dave).await;
            assert!(message.packets().as_bytes().len() > 64 << 10, "{n}");
            // Three links, and what the state itself may hold is bounded elsewhere.
            let unwritten = relay.status().unwritten;
            assert!(unwritten <= 3 * (256 << 10), "{unwritten} bytes");
        }
    };
    zip(send, receive).await;
    let status = relay.status();
    let to_carol = status
        .links()
        .iter()
        .find(|link| link.peer.as_ref() == Some(carol.id()));
    assert!(to_carol.expect("still linked").is_behind);
    valve.open();
    for n in 0..200 {
        let message = received(&carol).await;
        assert!(message.packets().as_bytes().len() > 64 << 10, "{n}");
    }
}

/// `ready` tells when.
pub async fn refused_messages_are_accepted_once_there_is_room<R: Runtime>(stage: Stage<R>) {
    let config = Config {
        stall_timeout: Duration::from_secs(600),
        ..Config::default()
    };
    let alice = stage.listening().config(config).bind().await;
    let alice = alice.expect("a free port");
    let mut events = alice.events();
    let valve = Valve::to(&alice.local_addresses()[0]);
    let carol = stage.builder().bind().await.expect("no listener");
    carol.connect(valve.address).await.expect("it is open");
    peer_up(&mut events, carol.id()).await;
    alice.ready().await;
    valve.close();

    let mut accepted = 0;
    let refused = loop {
        match alice.broadcast(noise(64 << 10, accepted)) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        yield_now().await;
    };
    assert_eq!(refused, SendError::Full);
    valve.open();
    alice.ready().await;
    alice.broadcast("again").expect("there is room");
    for n in 0..accepted {
        assert!(
            received(&carol).await.packets().as_bytes().len() > 64 << 10,
            "{n}"
        );
    }
    assert_eq!(text(&carol).await, "again");
}

/// A TCP relay to one address that can be closed, so that it neither reads nor writes.
struct Valve {
    address: SocketAddr,
    is_open: Arc<(Mutex<bool>, Condvar)>,
}

impl Valve {
    /// Relays the first connection that comes.
    fn to(target: &Address) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let is_open = Arc::new((Mutex::new(true), Condvar::new()));
        let (target, of_thread) = (target.to_string(), Arc::clone(&is_open));
        thread::spawn(move || {
            let (near, _) = listener.accept().expect("somebody comes");
            let far = TcpStream::connect(target).expect("it listens");
            let (near_too, far_too) = (near.try_clone(), far.try_clone());
            let other = Arc::clone(&of_thread);
            thread::spawn(move || relay(near, far, &other));
            relay(
                far_too.expect("a descriptor"),
                near_too.expect("a descriptor"),
                &of_thread,
            );
        });
        Self { address, is_open }
    }

    fn close(&self) {
        *self.is_open.0.lock().expect("no panic under it") = false;
    }

    fn open(&self) {
        *self.is_open.0.lock().expect("no panic under it") = true;
        self.is_open.1.notify_all();
    }
}

impl Drop for Valve {
    fn drop(&mut self) {
        self.open();
    }
}

/// Ends when either side does.
fn relay(mut from: TcpStream, mut to: TcpStream, is_open: &(Mutex<bool>, Condvar)) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let open = is_open.0.lock().expect("no panic under it");
        drop(is_open.1.wait_while(open, |open| !*open));
        match from.read(&mut buffer) {
            Ok(len) if len > 0 && to.write_all(&buffer[..len]).is_ok() => {}
            _ => return drop(to.shutdown(std::net::Shutdown::Both)),
        }
    }
}
