//! Sending, receiving and answering.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_lite::StreamExt as _;
use rs2p_driver::{
    Config, Handled, MessageKind, NodeId, Payload, RecvError, Runtime, SendError, SendOutcome,
    SubFlag, Value, packets,
};

use super::{Stage, received, text};

/// `send(*packets)`.
pub async fn row_send_broadcast_reaches_every_participant<R: Runtime>(stage: Stage<R>) {
    let [alice, bob, carol] = stage.row().await;
    let id = alice.broadcast("to all").expect("there is room");
    for (name, socket) in [("bob", &bob), ("carol", &carol)] {
        let message = received(socket).await;
        assert_eq!(message.id(), id.id(), "{name}");
        assert_eq!(message.sender(), alice.id(), "{name}");
        assert_eq!(message.kind(), MessageKind::Broadcast, "{name}");
        assert_eq!(message.text().as_deref(), Some("to all"), "{name}");
    }
    assert_eq!(alice.try_recv(), Ok(None), "not to ourselves");
}

/// `send(*packets, flag=whisper)`.
pub async fn row_send_whisper_reaches_neighbours_only<R: Runtime>(stage: Stage<R>) {
    let [alice, bob, carol] = stage.row().await;
    alice.whisper("to neighbours").expect("there is room");
    alice.broadcast("to all").expect("there is room");
    let message = received(&bob).await;
    assert_eq!(message.kind(), MessageKind::Whisper);
    assert_eq!(message.text().as_deref(), Some("to neighbours"));
    assert_eq!(text(&carol).await, "to all", "the whisper would be first");
}

/// To one neighbour among several.
pub async fn row_send_to_reaches_one_node<R: Runtime>(stage: Stage<R>) {
    let [alice, bob, carol] = stage.row().await;
    let delivery = bob.send_to(alice.id(), "to alice").expect("a neighbour");
    let outcome = delivery.await;
    assert_eq!(outcome, SendOutcome::Delivered);
    bob.broadcast("to all").expect("there is room");
    assert_eq!(text(&alice).await, "to alice");
    assert_eq!(text(&carol).await, "to all");
}

/// `send(*packets, type=…)`.
pub async fn row_send_with_a_sub_flag_of_its_own<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let special = |flag: &SubFlag| *flag != SubFlag::Default;
    alice.register_handler(move |message, context| {
        if !special(message.sub_flag()) {
            return Handled::No;
        }
        let back = format!("{} {}", message.sub_flag(), message.text().expect("text"));
        let sent = context.socket().broadcast(back);
        sent.expect("there is room");
        Handled::Yes
    });
    bob.broadcast_as("name", "one").expect("free");
    bob.broadcast_as(0x30_u64, "two").expect("free");
    bob.whisper_as("name", "three").expect("free");
    drop(bob.send_to_as(alice.id(), "name", "four").expect("free"));
    // Broadcasts keep their order, and so do whispers; on a new link the former may take longer.
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(text(&bob).await);
    }
    let place = |wanted: &str| answers.iter().position(|answer| answer == wanted);
    assert!(place("name one") < place("48 two"), "{answers:?}");
    assert!(place("name three") < place("name four"), "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| answer.starts_with("name ") || answer == "48 two")
    );
    assert_eq!(
        bob.broadcast_as(7_u64, "reserved"),
        Err(SendError::ReservedSubFlag(7_u64.into()))
    );
    assert_eq!(alice.try_recv(), Ok(None), "handled ones are not queued");
}

/// `recv()`, `recv(n)`.
pub async fn row_recv_one_many_or_as_a_stream<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    assert_eq!(alice.try_recv(), Ok(None));
    assert_eq!(alice.try_recv_many(5), Ok(Vec::new()));
    for n in 0..10_u64 {
        bob.broadcast(n).expect("there is room");
    }
    bob.close().await;
    let number = |message: rs2p_driver::Message| {
        let first = message.packets().iter().next();
        first.expect("a packet").expect("well-formed").as_u64()
    };
    assert_eq!(number(received(&alice).await), Some(0));
    let mut messages = alice.messages();
    let second = messages.next().await.expect("open").expect("no gap");
    assert_eq!(number(second), Some(1));
    while alice.status().received < 8 {
        futures_lite::future::yield_now().await;
    }
    let third = alice.try_recv().expect("no gap").expect("it is there");
    assert_eq!(number(third), Some(2));
    let many = alice.try_recv_many(4).expect("no gap");
    let many: Vec<_> = many.into_iter().map(number).collect();
    assert_eq!(many, [Some(3), Some(4), Some(5), Some(6)]);
    let rest = alice.try_recv_many(100).expect("no gap");
    assert_eq!(rest.len(), 3, "no more than there are");
    alice.close().await;
    assert_eq!(alice.recv().await, Err(RecvError::Closed));
    assert!(messages.next().await.is_none());
}

/// `Message.packets, sender, time, id`.
pub async fn row_messages_tell_what_was_sent_by_whom_and_when<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH);
    let before = clock().expect("after 1970").as_secs();
    let payload = packets![
        "text",
        -3,
        2.5,
        b"\x00\xff",
        Value::array([1, 2]),
        Value::Nil
    ];
    let id = bob.broadcast(payload).expect("there is room");
    let message = received(&alice).await;
    let after = clock().expect("after 1970").as_secs();

    assert_eq!(message.id(), id.id());
    assert_eq!(message.sender(), bob.id());
    assert_eq!(message.sub_flag(), &SubFlag::Default);
    let time = u64::try_from(message.time()).expect("after 1970");
    assert!(
        (before..=after + 1).contains(&time),
        "{before} {time} {after}"
    );
    let packets = message.packets().to_values().expect("well-formed");
    let expected = [
        Value::from("text"),
        Value::from(-3),
        Value::from(2.5),
        Value::from(b"\x00\xff"),
        Value::array([1, 2]),
        Value::Nil,
    ];
    assert_eq!(packets, expected);
}

/// `Message.reply(…)`, on the link.
pub async fn row_reply_goes_to_a_neighbour<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    bob.broadcast("question").expect("there is room");
    let question = received(&alice).await;
    let outcome = alice.reply(&question, "answer").expect("a neighbour").await;
    assert_eq!(outcome, SendOutcome::Delivered);
    let answer = received(&bob).await;
    assert_eq!(answer.text().as_deref(), Some("answer"));
    assert_eq!(answer.kind(), MessageKind::Whisper);
    assert_eq!(answer.sender(), alice.id());
}

/// Back by the native nodes between.
pub async fn row_reply_finds_its_way_to_a_distant_sender<R: Runtime>(stage: Stage<R>) {
    let no_dials = Config {
        max_dialed: 0,
        ..Config::default()
    };
    let alice = stage.listening().config(no_dials.clone()).bind().await;
    let alice = alice.expect("a free port");
    let bob = stage.listening().config(no_dials.clone()).bind().await;
    let bob = bob.expect("a free port");
    let carol = stage.listening().config(no_dials).bind().await;
    let carol = carol.expect("a free port");
    super::link(&alice, &bob).await;
    super::link(&carol, &bob).await;

    alice.broadcast("question").expect("there is room");
    let question = received(&carol).await;
    let outcome = carol.reply(&question, "answer").expect("room").await;
    assert_eq!(outcome, SendOutcome::Delivered);
    assert_eq!(text(&alice).await, "answer");
    assert!(!alice.peers().iter().any(|peer| peer.id == *carol.id()));
}

/// Nobody knows the node.
pub async fn row_reply_says_when_there_is_no_way<R: Runtime>(stage: Stage<R>) {
    let config = Config {
        search_timeout: Duration::from_millis(100),
        ..Config::default()
    };
    let socket = stage.builder().config(config).bind().await;
    let socket = socket.expect("no listener");
    let nobody = NodeId::new("nobody").expect("a fine id");
    let delivery = socket.send_to(&nobody, "hello?").expect("there is room");
    assert_eq!(delivery.await, SendOutcome::NotFound);
}

/// Section "bad input": the call fails, and nothing else happens.
pub async fn our_own_faults_are_refused_at_once<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let long = vec![0; 3 << 20];
    let refused = bob.broadcast(long);
    assert!(
        matches!(refused, Err(SendError::TooLong { .. })),
        "{refused:?}"
    );
    let twice = Value::map([("key", 1), ("key", 2)]);
    let refused = bob.broadcast(twice);
    assert!(matches!(refused, Err(SendError::Payload(_))), "{refused:?}");
    let refused = bob.send_to(bob.id(), "me").map(drop);
    assert_eq!(refused, Err(SendError::Ourselves));
    bob.broadcast(Payload::new()).expect("no packets are fine");
    assert!(received(&alice).await.packets().is_empty());
}

/// Each message goes to one receiver.
pub async fn clones_share_one_queue<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let clone = alice.clone();
    assert_eq!(clone.id(), alice.id());
    let receivers = futures_lite::future::zip(text(&alice), text(&clone));
    let send = async {
        bob.broadcast("one").expect("there is room");
        bob.broadcast("two").expect("there is room");
    };
    let ((one, two), ()) = futures_lite::future::zip(receivers, send).await;
    let mut got = [one, two];
    got.sort();
    assert_eq!(got, ["one", "two"]);
}
