//! A TCP stream for links.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Async;
use smol::io::{AsyncRead, AsyncWrite};

/// A TCP connection with `TCP_NODELAY`, whose sending half is shut down when it is closed:
/// [`Async`] by itself only flushes.
#[derive(Debug)]
pub struct Stream {
    tcp: Async<TcpStream>,
    /// Whether the last read took all that had arrived, so that trying again would be in vain before the system says
    /// that there is more.
    is_drained: bool,
}

impl Stream {
    pub(crate) fn new(stream: Async<TcpStream>) -> io::Result<Self> {
        stream.get_ref().set_nodelay(true)?;
        Ok(Self {
            tcp: stream,
            is_drained: false,
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_drained {
            // A link is woken more often to write than to read, and a read in vain is a system call each time. Should more have
            // arrived since, this is ready at once when it registers.
            ready!(self.tcp.poll_readable(cx))?;
        }
        let len = ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        self.is_drained = len < buffer.len();
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.tcp.get_ref().shutdown(Shutdown::Write) {
            // The other side was first.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}
