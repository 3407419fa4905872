//! What carries a link's bytes: a TCP stream, or TLS or WebSocket on top of one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
#[cfg(feature = "tls")]
use futures_rustls::TlsStream;
use rs2p_core::{Address, Config, Encryption};

use crate::error::BindError;
#[cfg(feature = "tls")]
use crate::tls::Tls;
#[cfg(feature = "ws")]
use crate::ws::{WebSocket, WsStream};

/// How the links of a network are carried.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    Plaintext,
    #[cfg(feature = "tls")]
    Tls(Tls),
    #[cfg(feature = "ws")]
    WebSocket(WebSocket),
}

/// A link's byte stream.
#[derive(Debug)]
pub(crate) enum Carrier<S> {
    Plain(S),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<S>>),
    #[cfg(feature = "ws")]
    WebSocket(Box<WsStream<S>>),
}

impl Security {
    pub(crate) fn new(config: &Config) -> Result<Self, BindError> {
        match config.protocol.encryption() {
            Encryption::Plaintext => Ok(Self::Plaintext),
            #[cfg(feature = "tls")]
            Encryption::Tls => Ok(Self::Tls(Tls::new()?)),
            #[cfg(feature = "ws")]
            Encryption::WebSocket => Ok(Self::WebSocket(WebSocket::new(config.max_frame_len))),
            encryption => Err(BindError::Unsupported { encryption }),
        }
    }

    /// Whether a handshake comes before the first byte of a link.
    pub(crate) const fn has_handshake(&self) -> bool {
        !matches!(self, Self::Plaintext)
    }

    /// Makes the dialling end of a link of a stream.
    #[cfg_attr(
        not(any(feature = "tls", feature = "ws")),
        expect(unused_variables, reason = "only TLS and WebSocket use the address")
    )]
    pub(crate) async fn dial<S>(&self, stream: S, address: &Address) -> io::Result<Carrier<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::Plaintext => Ok(Carrier::Plain(stream)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Ok(Carrier::Tls(Box::new(tls.dial(stream, address).await?))),
            #[cfg(feature = "ws")]
            Self::WebSocket(ws) => {
                let stream = ws.dial(stream, address).await?;
                Ok(Carrier::WebSocket(Box::new(stream)))
            }
        }
    }

    /// Makes the accepting end of a link of a stream.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<Carrier<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::Plaintext => Ok(Carrier::Plain(stream)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => Ok(Carrier::Tls(Box::new(tls.accept(stream).await?))),
            #[cfg(feature = "ws")]
            Self::WebSocket(ws) => Ok(Carrier::WebSocket(Box::new(ws.accept(stream).await?))),
        }
    }
}

impl<S> Carrier<S> {
    /// Whether the borders of writes show at the other end.
    pub(crate) const fn keeps_records(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }
}

macro_rules! delegate {
    ($carrier:expr, $stream:ident => $call:expr) => {
        match $carrier.get_mut() {
            Carrier::Plain($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            #[cfg(feature = "tls")]
            Carrier::Tls($stream) => {
                let $stream = Pin::new(&mut **$stream);
                $call
            }
            #[cfg(feature = "ws")]
            Carrier::WebSocket($stream) => {
                let $stream = Pin::new(&mut **$stream);
                $call
            }
        }
    };
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Carrier<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Carrier<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => stream.poll_close(cx))
    }
}
