//! What of a burst arrives, by sender and receiver: py2p, js2p and rs2p beside each other, on loopback,
//! in one run.
//!
//! `cargo run --release -p rs2p-tests --example burst [MESSAGES]`
//!
//! The sender is linked to the receiver and broadcasts messages of about 64 bytes without a pause. The
//! table tells how many of them the receiver's application got, and how often it got one again. It needs
//! python3 and node; the packages are installed on first use.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rs2p_smol::MeshSocket;
use rs2p_tests::peers::{Flood, Package, Peer, PeerOptions, next_address};
use smol::future::FutureExt as _;

/// When nothing has arrived for so long, nothing will.
const QUIET: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Py2p,
    Js2p,
    Rs2p,
}

enum Node {
    Foreign(Peer),
    Ours(MeshSocket, std::net::SocketAddrV4),
}

struct Arrived {
    distinct: u64,
    again: u64,
    seconds: f64,
}

fn main() {
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(2000), |text| text.parse());
    let Ok(count) = count else {
        return eprintln!("usage: burst [MESSAGES]");
    };
    println!("{count} broadcasts of 64 bytes without a pause\n");
    println!(
        "{:<8} {:<8} {:>10} {:>8} {:>9}",
        "from", "to", "arrived", "again", "seconds"
    );
    let kinds = [Kind::Py2p, Kind::Js2p, Kind::Rs2p];
    for (from, to) in kinds.iter().flat_map(|from| kinds.map(|to| (*from, to))) {
        let result = match (start(from), start(to)) {
            (Some(sender), Some(receiver)) => burst(&sender, &receiver, count),
            _ => continue,
        };
        let (from, to) = (
            format!("{from:?}").to_lowercase(),
            format!("{to:?}").to_lowercase(),
        );
        match result {
            None => println!("{from:<8} {to:<8} {:>10}", "no link"),
            Some(Arrived {
                distinct,
                again,
                seconds,
            }) => {
                println!("{from:<8} {to:<8} {distinct:>10} {again:>8} {seconds:>9.1}");
            }
        }
    }
    println!("\n{}", machine());
}

fn start(kind: Kind) -> Option<Node> {
    Some(match kind {
        Kind::Py2p => Node::Foreign(Peer::py2p(options()).or_skip()?),
        Kind::Js2p => Node::Foreign(Peer::js2p(options()).or_skip()?),
        Kind::Rs2p => {
            let address = next_address();
            let socket = rs2p_smol::builder().listen(address.to_string());
            let socket = smol::block_on(socket.bind()).expect("the port is free");
            Node::Ours(socket, address)
        }
    })
}

fn options() -> PeerOptions {
    PeerOptions::new().quiet().timeout(Duration::from_secs(600))
}

fn burst(sender: &Node, receiver: &Node, count: u32) -> Option<Arrived> {
    link(sender, receiver)?;
    let begun = Instant::now();
    let sending = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(sender, count));
        let arrived = watch(receiver, count, begun);
        // A py2p whose links are gone may take its time to say so; what counts is what arrived.
        let _ = sending.join();
        arrived
    });
    Some(sending)
}

/// Links the two, and tells whether that worked.
fn link(sender: &Node, receiver: &Node) -> Option<()> {
    let to = match receiver {
        Node::Foreign(peer) => peer.address(),
        Node::Ours(_, address) => *address,
    };
    match sender {
        Node::Ours(socket, _) => drop(smol::block_on(socket.connect(to.to_string())).ok()?),
        Node::Foreign(peer) => drop(peer.connect(to).ok()?),
    }
    let is_linked = |node: &Node| match node {
        Node::Ours(socket, _) => !socket.peers().is_empty(),
        Node::Foreign(peer) => peer
            .routing()
            .is_ok_and(|rows| rows.iter().any(|row| row.is_established())),
    };
    let deadline = Instant::now() + QUIET;
    while Instant::now() < deadline {
        if is_linked(sender) && is_linked(receiver) {
            return Some(());
        }
        // Foreign processes: all that can be done is to look again.
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

fn send(sender: &Node, count: u32) {
    match sender {
        Node::Foreign(peer) => {
            let _ = peer.flood(&Flood::new(count).size(64));
        }
        Node::Ours(socket, _) => smol::block_on(async {
            for n in 0..count {
                let text = format!("{:.<64}", format!("flood-{n}-"));
                socket.broadcast_when_ready(text).await.expect("it fits");
            }
        }),
    }
}

/// Counts what arrives, until all has or nothing does any more.
fn watch(receiver: &Node, count: u32, begun: Instant) -> Arrived {
    let mut arrived = Arrived {
        distinct: 0,
        again: 0,
        seconds: 0.0,
    };
    match receiver {
        Node::Foreign(peer) => {
            let mut last = (0, Instant::now());
            while last.1.elapsed() < QUIET && arrived.distinct < u64::from(count) {
                if let Ok(counts) = peer.counts() {
                    arrived.distinct = counts.distinct_bodies;
                    arrived.again = counts.duplicate_bodies;
                    if counts.total != last.0 {
                        last = (counts.total, Instant::now());
                        arrived.seconds = begun.elapsed().as_secs_f64();
                    }
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Node::Ours(socket, _) => {
            let mut bodies = BTreeSet::new();
            while bodies.len() < count as usize {
                let quiet = async {
                    smol::Timer::after(QUIET).await;
                    None
                };
                let next = smol::block_on(async { socket.recv().await.ok() }.or(quiet));
                let Some(message) = next else { break };
                if !bodies.insert(message.packets().as_bytes().clone()) {
                    arrived.again += 1;
                }
                arrived.seconds = begun.elapsed().as_secs_f64();
            }
            arrived.distinct = bodies.len() as u64;
        }
    }
    arrived
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let package = |package: Package| package.name();
    format!(
        "{cores} cores, {model}; {} 0.7.878, {} 0.7.870",
        package(Package::Py2p),
        package(Package::Js2p)
    )
}
