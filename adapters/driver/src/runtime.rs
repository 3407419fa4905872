//! What the driver needs of an async runtime.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use futures_lite::{AsyncRead, AsyncWrite};

/// An async runtime: tasks, time, TCP and names.
///
/// A value of it is a handle, cheap to clone. None of its functions may block. The futures are
/// dropped when they are of no interest any more, which must undo what they have begun.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A TCP connection. Its `poll_close` shuts down the sending half.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A TCP listener. Dropping it frees the port.
    type Listener: Send + Sync + 'static;

    /// Runs a task to its end, detached.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Waits until then, or a little longer.
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send;

    /// Opens a TCP connection, with `TCP_NODELAY` set: messages do not wait for others.
    fn connect(&self, to: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Listens at an address. Port 0 means any that is free.
    fn bind(&self, at: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Returns the address that the listener has, with its port.
    ///
    /// # Errors
    ///
    /// The system does not say.
    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Takes the next connection, with `TCP_NODELAY` set, and the address that it comes from.
    fn accept(
        &self,
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// Looks up the addresses of a host, in the order in which to try them. Those of a host that
    /// does not exist are none, or an error.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}
