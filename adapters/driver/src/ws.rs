//! WebSocket as js2p uses it: binary messages that carry the byte stream, cut anywhere.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use async_tungstenite::tungstenite::{Bytes, Error, Message};
use async_tungstenite::{WebSocketStream, accept_async_with_config, client_async_with_config};
use futures_lite::{AsyncRead, AsyncWrite, Stream as _};
use futures_sink::Sink as _;
use rs2p_core::Address;

/// How much is buffered for one system call, each way.
const BUFFER_LEN: usize = 64 << 10;

/// The limits of our WebSockets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WebSocket {
    config: WebSocketConfig,
}

impl WebSocket {
    /// A message holds one frame of js2p's, and perhaps some small ones of ours.
    pub(crate) fn new(max_frame_len: usize) -> Self {
        let longest = max_frame_len.saturating_add(BUFFER_LEN);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_LEN)
            .write_buffer_size(BUFFER_LEN)
            .max_message_size(Some(longest))
            .max_frame_size(Some(longest));
        Self { config }
    }

    pub(crate) async fn dial<S>(&self, stream: S, address: &Address) -> io::Result<WsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let request = format!("ws://{address}/");
        let upgraded = client_async_with_config(request, stream, Some(self.config)).await;
        let (stream, _response) = upgraded.map_err(to_io)?;
        Ok(WsStream::new(stream))
    }

    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<WsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let upgraded = accept_async_with_config(stream, Some(self.config)).await;
        Ok(WsStream::new(upgraded.map_err(to_io)?))
    }
}

/// The byte stream in a WebSocket. What is written at once becomes one message.
#[derive(Debug)]
pub(crate) struct WsStream<S> {
    inner: WebSocketStream<S>,
    /// The rest of the message that is being read.
    unread: Bytes,
}

impl<S> WsStream<S> {
    const fn new(inner: WebSocketStream<S>) -> Self {
        Self {
            inner,
            unread: Bytes::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                None => return Poll::Ready(Ok(0)),
                Some(Err(error)) => return Poll::Ready(Err(to_io(error))),
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Text(_))) => {
                    let error = "a text message where only binary ones belong";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                // The library answers these by itself, when it reads on.
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_),
                )) => {}
            }
        }
        let len = self.unread.len().min(buffer.len());
        buffer[..len].copy_from_slice(&self.unread.split_to(len));
        Poll::Ready(Ok(len))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(to_io)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        let sent = Pin::new(&mut self.inner).start_send(message);
        Poll::Ready(sent.map(|()| bytes.len()).map_err(to_io))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(to_io)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx).map_err(to_io)
    }
}

fn to_io(error: Error) -> io::Error {
    if let Error::Io(error) = error {
        error
    } else {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PipeEnd, pipe};
    use futures_lite::future::{block_on, zip};
    use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};

    fn connected(limit: usize) -> (WsStream<PipeEnd>, WsStream<PipeEnd>) {
        let ws = WebSocket::new(limit);
        let (near, far) = pipe(1 << 20);
        let address = Address::new("127.0.0.1", 4444).unwrap();
        let (near, far) = block_on(zip(ws.dial(near, &address), ws.accept(far)));
        (near.unwrap(), far.unwrap())
    }

    #[test]
    fn messages_are_one_stream_of_bytes() {
        let (mut near, mut far) = connected(1000);
        block_on(async {
            for part in [&b"one "[..], b"two ", b"three"] {
                near.write_all(part).await.unwrap();
            }
            near.close().await.unwrap();
            let mut text = String::new();
            far.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "one two three");
        });
    }

    #[test]
    fn a_text_message_ends_the_stream() {
        let (mut near, mut far) = connected(1000);
        block_on(async {
            let text = Message::text("text");
            near.inner.send(text).await.unwrap();
            let error = far.read(&mut [0; 10]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        });
    }

    #[test]
    fn a_message_longer_than_any_frame_ends_the_stream() {
        for (len, is_taken) in [(1000 + BUFFER_LEN, true), (1001 + BUFFER_LEN, false)] {
            let (mut near, mut far) = connected(1000);
            block_on(async {
                near.write_all(&vec![7; len]).await.unwrap();
                near.flush().await.unwrap();
                let mut buffer = vec![0; len];
                let read = far.read_exact(&mut buffer).await;
                assert_eq!(read.is_ok(), is_taken, "{len} bytes");
            });
        }
    }
}
