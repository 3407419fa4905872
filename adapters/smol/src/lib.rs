//! rs2p on smol: a network for alerts and messages, which every participant gets.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # smol::block_on(async {
//! let alice = rs2p_smol::builder().listen("127.0.0.1:0").bind().await?;
//! let bob = rs2p_smol::builder().bind().await?;
//! bob.connect(&alice.local_addresses()[0]).await?;
//!
//! bob.broadcast("the disk is full")?;
//! let message = alice.recv().await?;
//! assert_eq!(message.text().as_deref(), Some("the disk is full"));
//!
//! alice.reply(&message, "I will see to it")?.await;
//! assert_eq!(bob.recv().await?.text().as_deref(), Some("I will see to it"));
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Everything is in [`rs2p_driver`], of which all public names are here too; this crate adds [`Smol`], the
//! [`Runtime`]. Tasks run on smol's global executor, so the program needs none of its own, and any
//! executor may wait for what the socket does. Names are looked up on smol's pool of threads for what
//! blocks.
//!
//! Features `tls` and `ws`, both on by default, add TLS and WebSocket links.

mod stream;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::time::Instant;

use async_io::{Async, Timer};
pub use rs2p_driver::*;

pub use stream::Stream;

/// Begins to make a socket that runs on smol.
pub fn builder() -> Builder<Smol> {
    Builder::new(Smol)
}

/// smol, with its global executor, as the [`Runtime`] of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct Smol;

impl Runtime for Smol {
    type Stream = Stream;
    type Listener = Async<TcpListener>;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }

    async fn sleep_until(&self, deadline: Instant) {
        Timer::at(deadline).await;
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Stream> {
        Stream::new(Async::<TcpStream>::connect(to).await?)
    }

    async fn bind(&self, at: SocketAddr) -> io::Result<Async<TcpListener>> {
        Async::<TcpListener>::bind(at)
    }

    fn local_addr(&self, listener: &Async<TcpListener>) -> io::Result<SocketAddr> {
        listener.get_ref().local_addr()
    }

    async fn accept(&self, listener: &Async<TcpListener>) -> io::Result<(Stream, SocketAddr)> {
        let (stream, from) = listener.accept().await?;
        Ok((Stream::new(stream)?, from))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let host = host.to_owned();
        smol::unblock(move || Ok((host, port).to_socket_addrs()?.collect())).await
    }
}
