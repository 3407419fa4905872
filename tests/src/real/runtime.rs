//! smol, as a node has it whose tasks are behind a [gate](super::gate) and whose dials go through the [proxy](super::proxy).

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use rs2p_driver::Runtime;
use rs2p_sim::Life;
use rs2p_smol::Smol;

use super::gate::Gate;
use super::proxy::{ACCEPTED, greeting};

/// The runtime of one life.
#[derive(Clone, Debug)]
pub(super) struct Gated {
    pub(super) gate: Gate,
    pub(super) life: Life,
    /// Where nodes can be dialled: at the proxy, and nowhere else.
    pub(super) places: Arc<BTreeSet<SocketAddr>>,
}

impl Runtime for Gated {
    type Stream = <Smol as Runtime>::Stream;
    type Listener = <Smol as Runtime>::Listener;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        Smol.spawn(self.gate.run(task));
    }

    async fn sleep_until(&self, deadline: Instant) {
        Smol.sleep_until(deadline).await;
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        if !self.places.contains(&to) {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        let mut stream = Smol.connect(to).await?;
        stream.write_all(&greeting(self.life)).await?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await?;
        if answer == [ACCEPTED] {
            Ok(stream)
        } else {
            Err(io::ErrorKind::ConnectionRefused.into())
        }
    }

    async fn bind(&self, at: SocketAddr) -> io::Result<Self::Listener> {
        Smol.bind(at).await
    }

    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr> {
        Smol.local_addr(listener)
    }

    async fn accept(&self, listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        Smol.accept(listener).await
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Smol.resolve(host, port).await
    }
}
