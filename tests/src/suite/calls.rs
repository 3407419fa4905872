//! Events, callbacks and handlers.

use std::sync::{Arc, Mutex};

use futures_lite::StreamExt as _;
use rs2p_driver::{Event, Handled, MeshSocket, Occasion, On, Runtime};

use super::{Stage, link, received, text, until};

/// A list that callbacks write to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().expect("no panic under it").push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic under it").clone()
    }

    /// Waits until the list has so many lines.
    async fn wait(&self, count: usize) -> Vec<String> {
        loop {
            let lines = self.lines();
            if lines.len() >= count {
                return lines;
            }
            futures_lite::future::yield_now().await;
        }
    }
}

/// Joined, joined again, peer up and down, rejected and why.
pub async fn row_events_tell_of_joining_and_of_peers<R: Runtime>(stage: Stage<R>) {
    let alice = stage.node().await;
    let mut events = alice.events();
    for expected in [Event::Joined, Event::JoinedAgain] {
        let bob = stage.builder().bind().await.expect("no listener");
        link(&bob, &alice).await;
        let joined = until(&mut events, |event| *event == expected).await;
        assert_eq!(joined, expected);
        let up = until(&mut events, |event| matches!(event, Event::PeerUp(_))).await;
        assert!(matches!(up, Event::PeerUp(peer) if peer.id == *bob.id()));
        bob.close().await;
        until(
            &mut events,
            |event| matches!(event, Event::PeerDown { peer, .. } if peer.id == *bob.id()),
        )
        .await;
        until(&mut events, |event| matches!(event, Event::Isolated)).await;
    }
    alice.close().await;
    let last = events.collect::<Vec<_>>().await.pop();
    assert_eq!(last, Some(Ok(Event::ShutDown)));
}

/// `on('connect')`, `on('message')`, `once`.
pub async fn row_on_and_once_call_back<R: Runtime>(stage: Stage<R>) {
    let alice = stage.node().await;
    let log = Log::default();
    let of = |name: &'static str| {
        let log = log.clone();
        move |occasion: &Occasion, _: &MeshSocket| log.add(format!("{name} {}", short(occasion)))
    };
    alice.once(On::Connect, of("once"));
    alice.on(On::Connect, of("on"));
    let take = log.clone();
    alice.on(On::Message, move |_, socket| {
        let message = socket.try_recv().expect("no gap").expect("just queued");
        take.add(message.text().expect("text"));
    });

    let bob = stage.builder().bind().await.expect("no listener");
    link(&bob, &alice).await;
    log.wait(2).await;
    bob.broadcast("first").expect("there is room");
    bob.broadcast("second").expect("there is room");
    log.wait(4).await;
    let mut events = alice.events();
    bob.close().await;
    until(&mut events, |event| matches!(event, Event::Isolated)).await;
    let carol = stage.builder().bind().await.expect("no listener");
    link(&carol, &alice).await;
    let expected = [
        "once joined",
        "on joined",
        "first",
        "second",
        "on joined again",
    ];
    assert_eq!(log.wait(5).await, expected);
}

fn short(occasion: &Occasion) -> &'static str {
    if *occasion == Occasion::Event(Event::Joined) {
        "joined"
    } else if *occasion == Occasion::Event(Event::JoinedAgain) {
        "joined again"
    } else {
        "something else"
    }
}

/// `register_handler(f)`: "chain, first truthy ends it".
pub async fn row_handlers_are_called_in_order_until_one_is_content<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let log = Log::default();
    for (name, content_with) in [("one", "a"), ("two", "b"), ("three", "c")] {
        let log = log.clone();
        alice.register_handler(move |message, _| {
            let text = message.text().expect("text");
            log.add(format!("{name} {text}"));
            if text == content_with {
                Handled::Yes
            } else {
                Handled::No
            }
        });
    }
    for text in ["a", "b", "c", "d"] {
        bob.broadcast(text).expect("there is room");
    }
    assert_eq!(text(&alice).await, "d", "what nobody handled is queued");
    let expected = [
        "one a", "one b", "two b", "one c", "two c", "three c", "one d", "two d", "three d",
    ];
    assert_eq!(log.lines(), expected);
}

/// "may answer on the link that carried the message".
pub async fn a_handler_may_answer_on_the_link<R: Runtime>(stage: Stage<R>) {
    let [alice, bob, carol] = stage.row().await;
    bob.register_handler(|message, context| {
        if message.sub_flag() != &"ping".into() {
            return Handled::No;
        }
        drop(context.whisper("pong").expect("the link is there"));
        Handled::Yes
    });
    // Bob answers to whoever brought it, which is the sender here; and relays it.
    alice.broadcast_as("ping", 1).expect("there is room");
    let pong = received(&alice).await;
    assert_eq!(pong.text().as_deref(), Some("pong"));
    assert_eq!(pong.sender(), bob.id());
    bob.broadcast("end").expect("there is room");
    assert_eq!(text(&carol).await, "end", "no pong for carol");
}

/// Whether handlers come late or panic.
pub async fn order_is_kept_through_handlers<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    for n in 0..100 {
        if n == 50 {
            alice.register_handler(|_, _| Handled::No);
        }
        bob.broadcast(n.to_string()).expect("there is room");
    }
    for n in 0..100 {
        assert_eq!(text(&alice).await, n.to_string());
    }
}

/// It is called again, others are called, and messages arrive.
pub async fn a_panic_in_a_callback_harms_nobody<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let log = Log::default();
    let (first, second) = (log.clone(), log.clone());
    alice.on(On::Message, move |_, _| {
        first.add("panics");
        panic!("this is a test");
    });
    alice.on(On::Message, move |_, _| second.add("goes on"));
    alice.register_handler(|_, _| panic!("this is a test"));
    bob.broadcast("one").expect("there is room");
    bob.broadcast("two").expect("there is room");
    assert_eq!(text(&alice).await, "one");
    assert_eq!(text(&alice).await, "two");
    let expected = ["panics", "goes on", "panics", "goes on"];
    assert_eq!(log.wait(4).await, expected);
}

/// And add others.
pub async fn a_callback_may_take_itself_out<R: Runtime>(stage: Stage<R>) {
    let (alice, bob) = stage.pair().await;
    let log = Log::default();
    let id = Arc::new(Mutex::new(None));
    let (own, lines) = (Arc::clone(&id), log.clone());
    let registered = alice.on(On::Message, move |_, socket| {
        let id = own.lock().expect("no panic").take();
        lines.add(format!("off: {}", socket.off(id.expect("called once"))));
        let lines = lines.clone();
        socket.on(On::Message, move |_, _| lines.add("new"));
    });
    *id.lock().expect("no panic") = Some(registered);
    bob.broadcast("one").expect("there is room");
    log.wait(1).await;
    bob.broadcast("two").expect("there is room");
    assert_eq!(log.wait(2).await, ["off: true", "new"]);
    assert!(!alice.off(registered), "it is out");
}
