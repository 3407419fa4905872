//! Which runtime a socket runs on, and what becomes of it when that goes.

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use rs2p_tests::suite::{Stage, peer_up, received, text, until};
use rs2p_tokio::Runtime as _;
use rs2p_tokio::{
    BindError, CloseReason, Config, ConnectError, ConnectFailure, DialFailure, Event, MeshSocket,
    RecvError, SendError, SocketState, Stream, Tokio, builder,
};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.expect("the system gives threads")
}

fn play(test: impl AsyncFnOnce()) {
    Stage::new(crate::many_threads()).play(|_| test());
}

/// Returns the text of a panic.
fn panic_of(action: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(action)).expect_err("a panic");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .expect("a text")
}

#[test]
fn without_a_runtime_there_is_a_panic_or_an_error_that_says_so() {
    let text = panic_of(|| drop(builder()));
    assert!(text.contains("Tokio 1.x runtime"), "{text}");
    let error = Tokio::try_current().expect_err("none is here");
    assert!(error.is_missing_context(), "{error}");
}

#[test]
fn a_runtime_without_timers_is_refused_at_once() {
    let runtime = Builder::new_multi_thread().enable_io().build();
    let runtime = runtime.expect("the system gives threads");
    let text = panic_of(|| drop(Tokio::new(runtime.handle().clone())));
    assert!(text.contains("timers are disabled"), "{text}");
}

#[test]
fn a_listener_in_a_runtime_without_io_panics_and_says_so() {
    let runtime = Builder::new_multi_thread().enable_time().build();
    let runtime = runtime.expect("the system gives threads");
    let tokio = Tokio::new(runtime.handle().clone());
    let bind = rs2p_tokio::Builder::new(tokio).listen("127.0.0.1:0").bind();
    let text = panic_of(|| drop(block_on(bind)));
    assert!(text.contains("IO is disabled"), "{text}");
}

#[test]
fn a_dial_in_a_runtime_without_io_fails() {
    play(async || {
        let runtime = Builder::new_multi_thread().enable_time().build();
        let runtime = runtime.expect("the system gives threads");
        let config = Config {
            dial_timeout: Duration::from_millis(300),
            ..Config::default()
        };
        let tokio = Tokio::new(runtime.handle().clone());
        let socket = rs2p_tokio::Builder::new(tokio).config(config).bind().await;
        let socket = socket.expect("nothing to listen on");
        let reached = socket.connect("127.0.0.1:1").await;
        let timed_out = ConnectFailure::Dial(DialFailure::TimedOut);
        assert_eq!(reached, Err(ConnectError::Failed(timed_out)));
        runtime.shutdown_background();
    });
}

#[test]
fn a_builder_remembers_where_it_was_made() {
    play(async || {
        let (one, two) = (runtime(), runtime());
        let inside = one.block_on(async { builder().listen("127.0.0.1:0") });
        // Bound and used in another runtime, and in a thread without one.
        let alice = two.block_on(inside.bind()).expect("a free port");
        let guarded = {
            let _context = one.enter();
            builder()
        };
        let bob = guarded.bind().await.expect("no listener");
        drop(two);
        let reached = bob.connect(&alice.local_addresses()[0]).await;
        assert_eq!(reached.as_ref(), Ok(alice.id()));
        bob.broadcast("from no runtime").expect("there is room");
        assert_eq!(text(&alice).await, "from no runtime");
        one.shutdown_background();
    });
}

#[test]
fn a_callback_runs_in_the_runtime_of_its_socket() {
    play(async || {
        let runtime = runtime();
        let alice = runtime.block_on(async { builder().listen("127.0.0.1:0").bind().await });
        let alice = alice.expect("a free port");
        alice.register_handler(|message, context| {
            let (socket, message) = (context.socket().clone(), message.clone());
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                let answered = socket.reply(&message, "spawned");
                answered.expect("there is room").await;
            });
            rs2p_tokio::Handled::Yes
        });
        let bob = runtime
            .block_on(async { builder().bind().await })
            .expect("no listener");
        let reached = bob.connect(&alice.local_addresses()[0]).await;
        reached.expect("it listens");
        bob.broadcast("question").expect("there is room");
        assert_eq!(text(&bob).await, "spawned");
        runtime.shutdown_background();
    });
}

#[test]
fn nobody_waits_for_a_socket_whose_runtime_is_gone() {
    play(async || {
        let (one, two) = (runtime(), runtime());
        let alice = one.block_on(async { builder().listen("127.0.0.1:0").bind().await });
        let alice = alice.expect("a free port");
        let bob = two
            .block_on(async { builder().bind().await })
            .expect("no listener");
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let silent = silent.local_addr().expect("it is bound");
        let reached = bob.connect(&alice.local_addresses()[0]).await;
        reached.expect("it listens");
        let mut of_bob = bob.events();
        let of_alice = alice.events();
        let mut connect = Box::pin(alice.connect(silent));
        assert!(poll_once(&mut connect).await.is_none());
        let mut recv = Box::pin(alice.recv());
        assert!(poll_once(&mut recv).await.is_none());

        drop(one);
        // A runtime drops its tasks in any order. If that of the link goes before that of the socket, the link has ended.
        let failed = connect.await;
        let is_over = matches!(
            failed,
            Err(ConnectError::Failed(
                ConnectFailure::ShutDown | ConnectFailure::Closed(CloseReason::PeerClosed)
            ))
        );
        assert!(is_over, "{failed:?}");
        assert_eq!(recv.await, Err(RecvError::Closed));
        assert_closed(&alice).await;
        drop(of_alice.collect::<Vec<_>>().await);
        until(&mut of_bob, |event| matches!(event, Event::PeerDown { .. })).await;
        bob.close().await;
    });
}

async fn assert_closed(socket: &MeshSocket) {
    socket.close().await;
    assert_eq!(socket.status().state, SocketState::Closed);
    assert!(socket.connect("127.0.0.1:1").await.is_err());
    assert_eq!(socket.recv().await, Err(RecvError::Closed));
    assert_eq!(socket.broadcast("late"), Err(SendError::ShutDown));
    socket.ready().await;
}

#[test]
fn a_socket_of_a_runtime_that_is_gone_is_an_error_or_closed() {
    play(async || {
        let runtime = runtime();
        let (listening, silent) = runtime.block_on(async { (builder(), builder()) });
        drop(runtime);
        let error = listening.listen("127.0.0.1:0").bind().await;
        assert!(matches!(error, Err(BindError::Listen { .. })), "{error:?}");
        let socket = silent.bind().await.expect("nothing to listen on");
        assert_closed(&socket).await;
    });
}

#[test]
fn a_runtime_of_one_thread_goes_on_in_each_block_on() {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system gives what it needs");
    let pair = async {
        let alice = builder().listen("127.0.0.1:0").bind().await;
        let bob = builder().bind().await.expect("no listener");
        (alice.expect("a free port"), bob)
    };
    let (alice, bob) = runtime.block_on(pair);
    let reached = runtime.block_on(bob.connect(&alice.local_addresses()[0]));
    assert_eq!(reached.as_ref(), Ok(alice.id()));
    // Nothing moves here, and the call is not held up by it.
    bob.broadcast("kept").expect("there is room");
    assert_eq!(runtime.block_on(text(&alice)), "kept");
    runtime.block_on(bob.close());
}

#[test]
fn what_tokio_reads_and_writes_can_be_attached() {
    play(async || {
        let runtime = runtime();
        let _context = runtime.enter();
        let alice = builder().bind().await.expect("no listener");
        let bob = builder().bind().await.expect("no listener");
        // A link begins with a dial: here one to a door that passes on what comes in.
        let door = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let door = door.expect("a free port");
        let address = door.local_addr().expect("it is bound");
        let (mut near, far) = tokio::io::duplex(100);
        runtime.spawn(async move {
            let (mut stream, _) = door.accept().await.expect("alice dials");
            tokio::io::copy_bidirectional(&mut stream, &mut near).await
        });
        let mut events = bob.events();
        let from = "192.0.2.1:1".parse().expect("an address");
        bob.attach(Stream::new(far), from).expect("there is room");
        let reached = alice.connect(address).await;
        assert_eq!(reached.as_ref(), Ok(bob.id()));
        peer_up(&mut events, alice.id()).await;
        let long = "long ".repeat(10_000);
        bob.broadcast(long.as_str()).expect("there is room");
        assert_eq!(received(&alice).await.text(), Some(long));
        // Closing shuts the stream down, which the door passes on.
        let mut events = alice.events();
        bob.close().await;
        until(&mut events, |event| matches!(event, Event::PeerDown { .. })).await;
    });
}

#[test]
fn closing_a_stream_ends_its_sending_half_only() {
    play(async || {
        let tokio = crate::many_threads();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut near = tokio.connect(address).await.expect("it listens");
        let (mut far, _) = listener.accept().expect("it was dialled");
        near.write_all(b"the last words").await.expect("open");
        near.close().await.expect("open");
        let mut heard = String::new();
        far.set_read_timeout(Some(Duration::from_secs(30)))
            .expect("not zero");
        far.read_to_string(&mut heard).expect("an end");
        assert_eq!(heard, "the last words");
        std::io::Write::write_all(&mut far, b"the answer").expect("half open");
        drop(far);
        let mut heard = String::new();
        near.read_to_string(&mut heard).await.expect("an end");
        assert_eq!(heard, "the answer");
    });
}
