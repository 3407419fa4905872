//! The cable that the nodes of the demonstration hang on: it can be cut, and mended.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use rs2p_smol::{Runtime, Smol};
use smol::channel::{Receiver, Sender, bounded};
use smol::io::{AsyncRead, AsyncWrite};
use smol::stream::Stream as _;

/// A connection that breaks when the cable is cut between its ends.
#[derive(Debug)]
pub(super) struct Wire {
    stream: <Smol as Runtime>::Stream,
    /// Ends when the connection is cut.
    cut: Option<Pin<Box<Receiver<()>>>>,
}

/// One cable for all nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Cable(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The listening addresses on one side of the cut. Empty while there is none.
    apart: BTreeSet<SocketAddr>,
    /// Which connections there are, by the listening addresses of both ends; dropping the sender breaks one.
    wires: Vec<([SocketAddr; 2], Sender<()>)>,
}

impl State {
    fn crosses(&self, ends: [SocketAddr; 2]) -> bool {
        self.apart.contains(&ends[0]) != self.apart.contains(&ends[1])
    }
}

impl Cable {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts these off from all others: connections between them break, and dials are refused.
    pub(super) fn cut(&self, apart: BTreeSet<SocketAddr>) {
        let mut state = self.state();
        state.apart = apart;
        let mut wires = std::mem::take(&mut state.wires);
        wires.retain(|(ends, _)| !state.crosses(*ends));
        state.wires = wires;
    }

    /// Lets dials through again.
    pub(super) fn mend(&self) {
        self.state().apart.clear();
    }

    /// Dials one listener on behalf of another. Who does not listen is on no side.
    ///
    /// # Errors
    ///
    /// The dial fails, or there is a cut between the two.
    pub(super) async fn dial(&self, from: Option<SocketAddr>, to: SocketAddr) -> io::Result<Wire> {
        let stream = Smol.connect(to).await?;
        let Some(from) = from else {
            return Ok(Wire::accepted(stream));
        };
        let (sender, cut) = bounded(1);
        let mut state = self.state();
        if state.crosses([from, to]) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        state.wires.retain(|(_, sender)| !sender.is_closed());
        state.wires.push(([from, to], sender));
        Ok(Wire {
            stream,
            cut: Some(Box::pin(cut)),
        })
    }
}

impl Wire {
    /// Returns the end at which a connection was accepted. It breaks when the other one does.
    pub(super) const fn accepted(stream: <Smol as Runtime>::Stream) -> Self {
        Self { stream, cut: None }
    }

    /// Returns an error once the connection is cut.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(cut) = &mut self.cut else {
            return Ok(());
        };
        match cut.as_mut().poll_next(context) {
            Poll::Ready(_) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}
