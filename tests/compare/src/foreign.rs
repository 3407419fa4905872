//! The published py2p and js2p, each node a process.

use std::thread;
use std::time::{Duration, Instant};

use rs2p_tests::bench::{Outcome, Task, Work, machine, percentile};
use rs2p_tests::peers::{Availability, Flood, Package, Peer, PeerOptions};

/// How many messages are on their way at most: py2p loses more than a few without a pause.
const WINDOW: u32 = 64;

/// How long nodes that are linked are left alone before anything is measured.
const SETTLES: Duration = Duration::from_secs(3);

/// When nothing has arrived for so long, nothing will.
const QUIET: Duration = Duration::from_secs(3);

/// How often the receivers are asked what has arrived.
const POLL_INTERVAL: Duration = Duration::from_millis(3);

/// What one publication came to.
#[derive(Default)]
struct Sum {
    published: u64,
    delivered: u64,
    again: u64,
}

/// Does the work on processes that are all linked to the first one, and to whom it tells them of.
pub(crate) fn measure(package: Package, work: &Work) -> Result<Outcome, String> {
    let mut peers = Vec::new();
    for _ in 0..work.nodes {
        let options = PeerOptions::new()
            .quiet()
            .stamps()
            .timeout(Duration::from_secs(60));
        let peer = match package {
            Package::Py2p => Peer::py2p(options),
            Package::Js2p => Peer::js2p(options),
            other => return Err(format!("{} is not known here", other.name())),
        };
        match peer {
            Availability::Ready(peer) => peers.push(peer),
            Availability::Missing(what) => return Err(format!("skipped: {what}")),
        }
    }
    let (first, receivers) = peers.split_first().ok_or("a network has nodes")?;
    for receiver in receivers {
        let dialed = receiver.connect(first.address());
        dialed.map_err(|error| error.to_string())?;
    }
    for receiver in receivers {
        receiver.wait_linked(first.id());
    }
    // Whom they tell each other of, and dial then, nobody can say beforehand: only time shows that it is over.
    thread::sleep(SETTLES);
    publish(first, receivers, work, Duration::from_millis(700))?;
    let read = || -> Duration {
        peers
            .iter()
            .map(|peer| machine::cpu_time_of(peer.process_id()))
            .sum()
    };
    for receiver in receivers {
        // What the warm-up took is not of interest.
        receiver.latencies().map_err(|error| error.to_string())?;
    }
    let (began, before) = (Instant::now(), read());
    let (sum, idle) = publish(first, receivers, work, work.lasts)?;
    let (took, after) = (began.elapsed().saturating_sub(idle), read());
    let mut latencies = Vec::new();
    if matches!(work.task, Task::Latency(_)) {
        for receiver in receivers {
            latencies.extend(receiver.latencies().map_err(|error| error.to_string())?);
        }
        latencies.sort_unstable();
    }
    let due = sum.published * receivers.len() as u64;
    Ok(Outcome {
        published: sum.published,
        delivered: sum.delivered,
        again: sum.again,
        seconds: took.as_secs_f64(),
        cpu_seconds: (after - before).as_secs_f64(),
        share: sum.delivered as f64 / due.max(1) as f64,
        p50_ms: percentile(&latencies, 50),
        p99_ms: percentile(&latencies, 99),
        memory: peers
            .iter()
            .map(|peer| machine::peak_memory(Some(peer.process_id())))
            .sum(),
        ..Outcome::default()
    })
}

/// Publishes for so long. Returns what came of it, and how long was waited for what did not come.
fn publish(
    first: &Peer,
    receivers: &[Peer],
    work: &Work,
    lasts: Duration,
) -> Result<(Sum, Duration), String> {
    let began = Instant::now();
    let (mut sum, mut idle, mut number) = (Sum::default(), Duration::ZERO, 0);
    while began.elapsed() < lasts {
        for receiver in receivers {
            receiver.quiet(true).map_err(|error| error.to_string())?;
        }
        let flood = match work.task {
            Task::Throughput => Flood::new(WINDOW),
            // All of them at once.
            Task::Latency(rate) => {
                let count = lasts.as_secs_f64() * f64::from(rate);
                Flood::new(count as u32).gap(Duration::from_secs(1) / rate)
            }
        };
        let flood = flood.size(work.len).tag(&format!("n{number}")).stamped();
        number += 1;
        let sent = first.flood(&flood);
        sent.map_err(|error| error.to_string())?;
        sum.published += u64::from(flood.count());
        let last = gather(receivers, flood.count(), &mut sum)?;
        idle += last.unwrap_or_default();
        if last.is_some() && sum.delivered == 0 {
            return Err("nothing arrives".to_owned());
        }
    }
    Ok((sum, idle))
}

/// Waits until all have all, or nothing comes any more; then returns since when.
fn gather(receivers: &[Peer], count: u32, sum: &mut Sum) -> Result<Option<Duration>, String> {
    let (mut total, mut since) = (0, Instant::now());
    loop {
        let mut now = Sum::default();
        for receiver in receivers {
            let counts = receiver.counts().map_err(|error| error.to_string())?;
            now.delivered += counts.distinct_bodies;
            now.again += counts.duplicate_bodies;
        }
        let has_all = now.delivered >= u64::from(count) * receivers.len() as u64;
        if now.delivered != total {
            (total, since) = (now.delivered, Instant::now());
        }
        let is_quiet = since.elapsed() >= QUIET;
        if has_all || is_quiet {
            sum.delivered += now.delivered;
            sum.again += now.again;
            return Ok(is_quiet.then(|| since.elapsed()));
        }
        // Foreign processes: all that can be done is to look again.
        thread::sleep(POLL_INTERVAL);
    }
}
