//! rs2p on tokio: a network for alerts and messages, which every participant gets.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let alice = rs2p_tokio::builder().listen("127.0.0.1:0").bind().await?;
//! let bob = rs2p_tokio::builder().bind().await?;
//! bob.connect(&alice.local_addresses()[0]).await?;
//!
//! bob.broadcast("the disk is full")?;
//! let message = alice.recv().await?;
//! assert_eq!(message.text().as_deref(), Some("the disk is full"));
//!
//! alice.reply(&message, "I will see to it")?.await;
//! assert_eq!(bob.recv().await?.text().as_deref(), Some("I will see to it"));
//! # Ok(())
//! # }
//! ```
//!
//! Everything is in [`rs2p_driver`], of which all public names are here too; this crate adds [`Tokio`], the
//! [`Runtime`], and [`Stream`], which makes a link of whatever tokio reads and writes.
//!
//! # Which runtime
//!
//! A socket belongs to the runtime in which [`builder`] was called, or to that of [`Tokio::new`], and all its
//! tasks run there. What it does may be waited for anywhere: in that runtime, in another one, or in a thread
//! that has none. Callbacks and handlers are called in the socket's runtime, and so may spawn, but not block.
//!
//! If the runtime is shut down, the socket is closed at once, without a word to its peers, and everyone who waits is
//! told; [`close`](MeshSocket::close) it before to send what was accepted. A runtime of one thread works while that
//! thread is in its `block_on`, and only then.
//!
//! Deadlines are those of the system's clock, also where tokio's is paused.
//!
//! # Features
//!
//! `tls` and `ws`, both on by default, add TLS and WebSocket links.

mod runtime;
mod stream;

pub use rs2p_driver::*;

pub use runtime::Tokio;
pub use stream::Stream;

/// Begins to make a socket that runs on the tokio runtime in which this is called.
///
/// `Builder::new(Tokio::new(handle))` names another.
///
/// # Panics
///
/// As [`Tokio::current`], if this is not called in a runtime, or its timers are off.
#[track_caller]
pub fn builder() -> Builder<Tokio> {
    Builder::new(Tokio::current())
}
