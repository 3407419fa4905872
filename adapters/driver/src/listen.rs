//! Accepting links.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future::or;
use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::carrier::{Carrier, Security};
use crate::link;
use crate::runtime::Runtime;
use crate::shared::{Shared, UpgradePlace};

/// The first and the longest wait after the system could not accept: out of descriptors, say, which
/// does not pass by asking again.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// How long a stream that is turned away is kept to tell it so.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

/// Accepts until the socket is no longer open, then closes the listener.
pub(crate) fn run<R: Runtime>(
    runtime: R,
    security: Security,
    shared: Arc<Shared>,
    listener: R::Listener,
) -> impl Future<Output = ()> + Send {
    let guard = EndListener(shared);
    async move {
        accept_all(&runtime, &security, &guard.0, &listener).await;
        // Before the guard tells that the port is free.
        drop(listener);
        drop(guard);
    }
}

async fn accept_all<R: Runtime>(
    runtime: &R,
    security: &Security,
    shared: &Arc<Shared>,
    listener: &R::Listener,
) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let stopped = async {
            shared.stopping().await;
            None
        };
        let accepted = async { Some(runtime.accept(listener).await) };
        match or(stopped, accepted).await {
            None => return,
            Some(Ok((stream, from))) => {
                backoff = BACKOFF_MIN;
                take_in(runtime, security, shared, stream, from);
            }
            Some(Err(error)) if is_of_one_stream(&error) => {
                tracing::trace!(%error, "a connection ended before it was accepted");
            }
            Some(Err(error)) => {
                shared.note_problem(format!("cannot accept: {error}"));
                let rested = runtime.sleep_until(Instant::now() + backoff);
                or(shared.stopping(), rested).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

fn is_of_one_stream(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

fn take_in<R: Runtime>(
    runtime: &R,
    security: &Security,
    shared: &Arc<Shared>,
    stream: R::Stream,
    from: SocketAddr,
) {
    tracing::trace!(%from, "accepted");
    let shared = Arc::clone(shared);
    if !security.has_handshake() {
        let task = run_link(runtime.clone(), shared, Carrier::Plain(stream), from);
        runtime.spawn(task);
        return;
    }
    let Some(place) = shared.begin_upgrade() else {
        tracing::trace!(%from, "turned away: too many handshakes are under way");
        return;
    };
    let task = upgrade(
        runtime.clone(),
        security.clone(),
        shared,
        stream,
        from,
        place,
    );
    runtime.spawn(task);
}

/// Makes a link of a stream in good time, or drops it.
async fn upgrade<R: Runtime>(
    runtime: R,
    security: Security,
    shared: Arc<Shared>,
    stream: R::Stream,
    from: SocketAddr,
    place: UpgradePlace,
) {
    let limit = shared.lock().state.config().handshake_timeout;
    let given_up = async {
        or(
            shared.stopping(),
            runtime.sleep_until(Instant::now() + limit),
        )
        .await;
        Err(ErrorKind::TimedOut.into())
    };
    let upgraded = or(security.accept(stream), given_up).await;
    drop(place);
    match upgraded {
        Ok(carrier) => run_link(runtime, shared, carrier, from).await,
        Err(error) => shared.note_problem(format!("{from}: no secure or upgraded stream: {error}")),
    }
}

async fn run_link<R: Runtime>(
    runtime: R,
    shared: Arc<Shared>,
    carrier: Carrier<R::Stream>,
    from: SocketAddr,
) {
    match shared.accepted(from.into()) {
        Ok((id, queue)) => {
            tracing::trace!(%from, link = id.as_u64(), "link accepted");
            let keeps_records = carrier.keeps_records();
            link::run(carrier, keeps_records, id, queue, shared).await;
        }
        Err(error) => {
            tracing::trace!(%from, %error, "turned away");
            // Where there are too many of these, too, it is told nothing.
            if let Some(_place) = shared.begin_upgrade() {
                let out_of_time = runtime.sleep_until(Instant::now() + FAREWELL_LIMIT);
                or(turn_away(&shared, carrier), out_of_time).await;
            }
        }
    }
}

/// Says why there is no link, and waits until the other side has taken it in and closes: closing at once, with bytes
/// unread, would reset the connection, and what was said could be lost.
async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(shared: &Shared, mut stream: S) {
    let farewell = shared.enter(|inner, now| inner.state.farewell(now));
    let said = async {
        stream.write_all(&farewell).await?;
        stream.close().await?;
        let mut ignored = [0; 1024];
        while stream.read(&mut ignored).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    let stopped = async {
        shared.stopping().await;
        Ok(())
    };
    if let Err(error) = or(said, stopped).await {
        tracing::trace!(%error, "turned away without a word");
    }
}

struct EndListener(Arc<Shared>);

impl Drop for EndListener {
    fn drop(&mut self) {
        self.0.listener_ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, settle};
    use crate::wait::lock;
    use futures_lite::future::block_on;

    #[test]
    fn a_listener_that_cannot_accept_waits_longer_and_longer() {
        let runtime = Fake::default();
        lock(&runtime.0).short_sleeps = 8;
        let start = Instant::now();
        let socket = crate::Builder::new(runtime.clone()).listen("127.0.0.1:4444");
        let socket = block_on(socket.bind()).unwrap();
        // The first task is the listener's.
        let mut tasks = vec![lock(&runtime.0).tasks.remove(0)];
        settle(&mut tasks);

        let state = lock(&runtime.0);
        assert_eq!(state.failed_accepts, 9, "once for each wait");
        let waits = [50, 100, 200, 400, 800, 1000, 1000, 1000, 1000];
        for (deadline, wait) in state.sleeps.iter().zip(waits) {
            let least = Duration::from_millis(wait);
            assert!(deadline.duration_since(start) >= least, "{wait} ms");
        }
        drop(state);
        assert_eq!(socket.status().problems.len(), 9);

        drop(socket);
        settle(&mut tasks);
        assert!(tasks.is_empty(), "the listener is closed");
    }
}
