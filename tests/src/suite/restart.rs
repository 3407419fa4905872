//! Sockets that come back with their state.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rs2p_driver::{BindError, MeshSocket, Runtime, SaveError};

use super::{Stage, link, text};

/// A directory for one test, gone at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        // Another runtime's suite may run in this process, at the same time.
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let name = format!("rs2p-suite-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a place for files");
        Self(path)
    }

    fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn stored<R: Runtime>(stage: &Stage<R>, place: &Place) -> MeshSocket {
    let socket = stage.builder().store(place.state()).bind().await;
    socket.expect("a fine place")
}

/// What was received and left behind is not received again; what came when there was nobody is.
pub async fn a_socket_with_a_store_goes_on_where_it_was<R: Runtime>(stage: Stage<R>) {
    let place = Place::new("goes-on");
    let alice = stage.node().await;
    let bob = stored(&stage, &place).await;
    link(&bob, &alice).await;
    let id = bob.id().clone();
    for n in 1..=4 {
        alice.broadcast(n.to_string()).expect("there is room");
    }
    assert_eq!(text(&bob).await, "1");
    assert_eq!(text(&bob).await, "2");
    let third = bob.recv().await.expect("a message");
    bob.acknowledge(&third);
    bob.save().await.expect("the disk takes it");
    assert_eq!(text(&bob).await, "4");
    // The fourth was received, and there is no sign that it was dealt with.
    bob.close().await;
    alice.broadcast("5").expect("there is room");

    let bob = stored(&stage, &place).await;
    assert_eq!(*bob.id(), id);
    assert_eq!(
        text(&bob).await,
        "4",
        "and it found its neighbour by itself"
    );
    assert_eq!(text(&bob).await, "5");
    bob.broadcast("back again").expect("there is room");
    assert_eq!(text(&alice).await, "back again");
}

/// A message that nobody was there for.
pub async fn what_was_sent_before_a_restart_arrives_after_it<R: Runtime>(stage: Stage<R>) {
    let place = Place::new("arrives");
    let bob = stored(&stage, &place).await;
    bob.broadcast("to nobody").expect("there is room");
    bob.close().await;
    // She is there before he is back: what is sent before a node is made is not for it.
    let alice = stage.node().await;
    let bob = stored(&stage, &place).await;
    link(&bob, &alice).await;
    assert_eq!(text(&alice).await, "to nobody");
}

/// Section "bad input".
pub async fn a_store_that_holds_something_else_is_refused_and_kept<R: Runtime>(stage: Stage<R>) {
    let place = Place::new("refused");
    fs::write(place.state(), "dear diary").expect("a file");
    let refused = stage.builder().store(place.state()).bind().await;
    let Err(BindError::Restore { source, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(source, SaveError::NotASave);
    let kept = fs::read(place.state()).expect("still there");
    assert_eq!(kept, b"dear diary");
    fs::remove_file(place.state()).expect("still there");

    let bob = stored(&stage, &place).await;
    let second = stage.builder().store(place.state()).bind().await;
    assert!(matches!(second, Err(BindError::Store { .. })), "{second:?}");
    bob.close().await;
    let bytes = fs::read(place.state()).expect("it was saved");
    fs::write(place.state(), &bytes[..bytes.len() - 3]).expect("a file");
    let refused = stage.builder().store(place.state()).bind().await;
    let Err(BindError::Restore { source, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(source, SaveError::Length { .. }), "{source}");
}
