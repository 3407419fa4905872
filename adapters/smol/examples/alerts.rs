//! A monitor that raises alerts, and watchers that hear each of them: a network in one process, for
//! the sake of the example.
//!
//! `cargo run -p rs2p-smol --example alerts`

use std::error::Error;

use rs2p_smol::{Event, MeshSocket, packets};
use smol::stream::StreamExt as _;

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let monitor = rs2p_smol::builder().listen("127.0.0.1:0").bind().await?;
        let meeting_point = monitor.local_addresses()[0].clone();
        println!("the monitor listens on {meeting_point}");

        // A watcher knows one participant; whom it learns of later is not its concern.
        let mut watchers = Vec::new();
        for name in ["day shift", "night shift"] {
            let watcher = rs2p_smol::builder().bind().await?;
            let mut events = watcher.events();
            watcher.connect(&meeting_point).await?;
            while let Some(event) = events.next().await {
                if let Ok(Event::PeerUp(peer)) = event {
                    println!("{name}: linked to {} ({})", peer.remote, peer.kind);
                    break;
                }
            }
            watchers.push(smol::spawn(watch(name, watcher)));
        }

        // Equal alerts are different alerts: each is heard.
        for _ in 0..2 {
            monitor.broadcast(packets!["disk", "/var", 97])?;
        }
        monitor.broadcast("over")?;
        for watcher in watchers {
            watcher.await?;
        }
        monitor.close().await;
        Ok(())
    })
}

async fn watch(name: &str, socket: MeshSocket) -> Result<(), rs2p_smol::RecvError> {
    loop {
        let message = socket.recv().await?;
        println!("{name}: {:?}", message.packets());
        if message.text().as_deref() == Some("over") {
            break;
        }
    }
    socket.close().await;
    Ok(())
}
