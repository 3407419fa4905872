//! What the commands have in common: entering a network, and making sure that what was sent is out.

use std::time::{Duration, Instant};

use rs2p_smol::{Address, Config, ConnectError, ConnectFailure, MeshSocket, Protocol, Status};
use smol::Timer;
use smol::channel::unbounded;
use smol::future::or;

use crate::exit::Failure;
use crate::view::reason;

/// How often to look whether queues have run empty.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Runs a command's work, unless that takes longer than the person allows.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
    what_failed: &str,
) -> Result<T, Failure> {
    let given_up = async {
        Timer::after(limit).await;
        let seconds = limit.as_secs();
        Err(Failure::failed(format_args!(
            "{what_failed} within {seconds} s"
        )))
    };
    or(work, given_up).await
}

/// Opens a node that dials nobody of its own accord, as it will leave in a moment.
pub(crate) async fn open_visitor(
    protocol: Protocol,
    limit: Duration,
) -> Result<MeshSocket, Failure> {
    let config = Config {
        protocol,
        max_dialed: 0,
        // What is under way is sent for as long as the person is willing to wait.
        linger_timeout: limit,
        ..Config::default()
    };
    let bound = rs2p_smol::builder().config(config).bind().await;
    bound.map_err(Failure::cannot_start)
}

/// Links to the first of these nodes that answers, or tells what is wrong with each.
pub(crate) async fn join_any(socket: &MeshSocket, addresses: &[Address]) -> Result<(), Failure> {
    let (sender, outcomes) = unbounded();
    for address in addresses {
        let (socket, address, sender) = (socket.clone(), address.clone(), sender.clone());
        let connect = async move {
            let outcome = socket.connect(&address).await;
            // Nobody listens any more once another was faster.
            let _ = sender.try_send((address, outcome));
        };
        smol::spawn(connect).detach();
    }
    drop(sender);
    let mut failures = Vec::new();
    while let Ok((address, outcome)) = outcomes.recv().await {
        match outcome {
            // Two addresses may lead to one node.
            Ok(_) | Err(ConnectError::Failed(ConnectFailure::Duplicate(_))) => return Ok(()),
            Err(ConnectError::Failed(failure)) => {
                let reason = reason(&failure, socket.protocol());
                failures.push(format!("cannot join {address}: {reason}"));
            }
            Err(error) => failures.push(format!("cannot join {address}: {error}")),
        }
    }
    Err(Failure::failed(failures.join("\nrs2p: ")))
}

/// Waits until everything that was sent is in the hands of the system, or nobody is left to send
/// it to. Returns whether it was the former.
pub(crate) async fn flushed(socket: &MeshSocket) -> bool {
    loop {
        let status = socket.status();
        if status.peers().is_empty() {
            return false;
        }
        if is_flushed(&status) {
            return true;
        }
        // Asked again and again, as there is no event for it: a message that was handed to the system is
        // not worth telling to most programs.
        Timer::after(LOOK_INTERVAL).await;
    }
}

fn is_flushed(status: &Status) -> bool {
    status.unwritten == 0
        && status
            .links()
            .iter()
            .all(|link| link.queued == 0 && !link.is_behind)
}

/// Waits until a condition holds for a while without a break, or a time limit is reached.
pub(crate) async fn settled(quiet: Duration, limit: Duration, mut look: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut since = start;
    while start.elapsed() < limit {
        if !look() {
            since = Instant::now();
        } else if since.elapsed() >= quiet {
            return;
        }
        Timer::after(LOOK_INTERVAL).await;
    }
}
