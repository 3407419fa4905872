//! The runtime of a socket.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use rs2p_driver::Runtime;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, TryCurrentError};
use tokio::time::{sleep, sleep_until};

use crate::Stream;

/// A tokio runtime, as the [`Runtime`] of a socket.
///
/// It has to have I/O and timers, as one made by `#[tokio::main]` or with `enable_all` has. Its handle is chosen here,
/// once, and not where it is used: a socket's calls may come from a thread without a runtime, or with another.
#[derive(Clone, Debug)]
pub struct Tokio(Handle);

impl Tokio {
    /// Takes this runtime.
    ///
    /// # Panics
    ///
    /// Its timers are off. That its I/O is off shows later: binding a listener panics, and dials fail.
    #[track_caller]
    pub fn new(handle: Handle) -> Self {
        let context = handle.enter();
        // Panics without timers: here it is seen, in a task it would just end the socket.
        drop(sleep(Duration::ZERO));
        drop(context);
        Self(handle)
    }

    /// Takes the runtime in which this is called: in a task, in `block_on`, or while the guard of
    /// [`Handle::enter`] is held.
    ///
    /// # Panics
    ///
    /// There is none, or its timers are off. [`try_current`](Self::try_current) returns the former as an error.
    #[track_caller]
    pub fn current() -> Self {
        Self::new(Handle::current())
    }

    /// Takes the runtime in which this is called, if there is one.
    ///
    /// # Errors
    ///
    /// There is none.
    ///
    /// # Panics
    ///
    /// Its timers are off.
    #[track_caller]
    pub fn try_current() -> Result<Self, TryCurrentError> {
        Handle::try_current().map(Self::new)
    }

    /// Makes the runtime the current one while this is polled, whoever does that: tokio's sockets and
    /// timers look for it when they are made, and panic without.
    async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let _context = self.0.enter();
            future.as_mut().poll(cx)
        })
        .await
    }
}

impl Runtime for Tokio {
    type Stream = Stream<TcpStream>;
    type Listener = TcpListener;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.spawn(task));
    }

    async fn sleep_until(&self, deadline: Instant) {
        self.run(async { sleep_until(deadline.into()).await }).await;
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        without_delay(self.run(TcpStream::connect(to)).await?)
    }

    async fn bind(&self, at: SocketAddr) -> io::Result<TcpListener> {
        self.run(TcpListener::bind(at)).await
    }

    fn local_addr(&self, listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, from) = self.run(listener.accept()).await?;
        Ok((without_delay(stream)?, from))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found = self.run(tokio::net::lookup_host((host, port))).await?;
        Ok(found.collect())
    }
}

fn without_delay(stream: TcpStream) -> io::Result<Stream<TcpStream>> {
    stream.set_nodelay(true)?;
    Ok(Stream::new(stream))
}
