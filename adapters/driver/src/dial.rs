//! From an address to a byte stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future::or;
use rs2p_core::{Address, DialFailure, DialId};

use crate::carrier::{Carrier, Security};
use crate::link;
use crate::runtime::Runtime;
use crate::shared::Shared;
use crate::wait::Slot;

/// A dial to make.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) dial: DialId,
    pub(crate) address: Address,
    /// Filled when the dial is of no interest any more.
    pub(crate) cancel: Arc<Slot<()>>,
}

/// Dials, and runs the link if there is one.
pub(crate) async fn run<R: Runtime>(runtime: R, security: Security, shared: Arc<Shared>, job: Job) {
    let Job {
        dial,
        address,
        cancel,
    } = job;
    tracing::trace!(dial = dial.as_u64(), %address, "dialling");
    let limit = shared.lock().state.config().dial_timeout;
    let cancelled = async {
        std::future::poll_fn(|cx| cancel.poll_take(cx)).await;
        None
    };
    let reached = async { Some(reach(&runtime, &security, &address, limit).await) };
    match or(cancelled, reached).await {
        None => tracing::trace!(dial = dial.as_u64(), "dial cancelled"),
        Some(Err(failure)) => {
            tracing::trace!(dial = dial.as_u64(), %failure, "dial failed");
            shared.dial_failed(dial, failure);
        }
        Some(Ok(stream)) => {
            let Some((id, queue)) = shared.dialed(dial) else {
                tracing::trace!(dial = dial.as_u64(), "dial no longer wanted");
                return;
            };
            tracing::trace!(dial = dial.as_u64(), link = id.as_u64(), "dial succeeded");
            let keeps_records = stream.keeps_records();
            link::run(stream, keeps_records, id, queue, shared).await;
        }
    }
}

/// Tries the addresses of a host, one after the other. Each gets its share of the time that is
/// left, so that one that swallows everything does not hide the next.
async fn reach<R: Runtime>(
    runtime: &R,
    security: &Security,
    address: &Address,
    limit: Duration,
) -> Result<Carrier<R::Stream>, DialFailure> {
    let deadline = Instant::now() + limit;
    let candidates = match address.ip() {
        Some(ip) => vec![SocketAddr::new(ip, address.port())],
        None => runtime
            .resolve(address.host(), address.port())
            .await
            .map_err(|error| unresolved(&error))?,
    };
    let mut failure = DialFailure::UnknownHost;
    for (tried, candidate) in candidates.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(candidates.len() - tried).unwrap_or(u32::MAX);
        let timed_out = async {
            runtime.sleep_until(Instant::now() + share).await;
            Err(DialFailure::TimedOut)
        };
        let attempt = async {
            let stream = runtime.connect(*candidate).await;
            let stream = stream.map_err(|error| unreached(&error))?;
            let upgraded = security.dial(stream, address).await;
            upgraded.map_err(|error| DialFailure::Upgrade(error.to_string()))
        };
        match or(attempt, timed_out).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn unresolved(error: &io::Error) -> DialFailure {
    // What a resolver says of a name that does not exist has no kind of its own.
    tracing::trace!(%error, "name not resolved");
    DialFailure::UnknownHost
}

fn unreached(error: &io::Error) -> DialFailure {
    use io::ErrorKind;
    let known = [
        (ErrorKind::ConnectionRefused, DialFailure::Refused),
        (ErrorKind::TimedOut, DialFailure::TimedOut),
        (ErrorKind::HostUnreachable, DialFailure::Unreachable),
        (ErrorKind::NetworkUnreachable, DialFailure::Unreachable),
    ];
    let failure = known.into_iter().find(|(kind, _)| *kind == error.kind());
    failure.map_or_else(
        || DialFailure::Other(error.to_string()),
        |(_, failure)| failure,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, Script};
    use crate::wait::lock;
    use futures_lite::future::block_on;

    fn addresses(count: u8) -> Vec<SocketAddr> {
        let address = |n| SocketAddr::from(([192, 0, 2, n], 4444));
        (1..=count).map(address).collect()
    }

    fn reach_fake(runtime: &Fake, host: &str) -> Result<(), DialFailure> {
        let address = Address::new(host, 4444).unwrap();
        let limit = Duration::from_secs(30);
        block_on(reach(runtime, &Security::Plaintext, &address, limit)).map(drop)
    }

    #[test]
    fn all_addresses_of_a_name_are_tried_in_their_order_and_share_the_time() {
        let runtime = Fake::default();
        let start = Instant::now();
        {
            let mut state = lock(&runtime.0);
            state.resolved = addresses(3);
            state.connects.push_back(None);
            let refused = io::ErrorKind::ConnectionRefused.into();
            state.connects.push_back(Some(Err(refused)));
            state.connects.push_back(Some(Ok(Script::default())));
            state.short_sleeps = 1;
        }
        assert_eq!(reach_fake(&runtime, "example.org"), Ok(()));
        let state = lock(&runtime.0);
        assert_eq!(state.connected, addresses(3));
        let share = state.sleeps[0].duration_since(start);
        assert!(
            share >= Duration::from_secs(9) && share <= Duration::from_secs(11),
            "a third of 30 s: {share:?}"
        );
    }

    #[test]
    fn the_last_failure_is_told() {
        let table = [
            (io::ErrorKind::ConnectionRefused, DialFailure::Refused),
            (io::ErrorKind::TimedOut, DialFailure::TimedOut),
            (io::ErrorKind::HostUnreachable, DialFailure::Unreachable),
            (io::ErrorKind::NetworkUnreachable, DialFailure::Unreachable),
            (
                io::ErrorKind::AddrNotAvailable,
                DialFailure::Other("address not available".to_owned()),
            ),
        ];
        for (kind, expected) in table {
            let runtime = Fake::default();
            lock(&runtime.0).connects.push_back(Some(Err(kind.into())));
            assert_eq!(reach_fake(&runtime, "192.0.2.1"), Err(expected), "{kind}");
        }
    }

    #[test]
    fn a_name_without_an_address_is_unknown() {
        let runtime = Fake::default();
        let unknown = Err(DialFailure::UnknownHost);
        assert_eq!(reach_fake(&runtime, "example.org"), unknown);
    }
}
