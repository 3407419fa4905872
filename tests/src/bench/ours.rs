//! Networks of rs2p, on either runtime.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::{AsyncRead, AsyncWrite};
use rs2p_core::{Encryption, Protocol, Value};
use rs2p_driver::{Builder, MeshSocket, RecvError, Runtime};
use rs2p_smol::Smol;
use rs2p_tokio::Tokio;

use super::tally::Tally;
use super::work::{Network, Outcome, Work, run};

/// How long nodes that are linked are left alone before anything is measured.
const SETTLES: Duration = Duration::from_secs(2);

/// Which rs2p.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "these two choices are all")]
pub struct Ours {
    /// Whether it runs on tokio, else on smol.
    pub is_tokio: bool,
    /// Whether links are TLS, else plain TCP.
    pub is_tls: bool,
}

impl Ours {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::new(false, false),
        Self::new(false, true),
        Self::new(true, false),
        Self::new(true, true),
    ];

    const fn new(is_tokio: bool, is_tls: bool) -> Self {
        Self { is_tokio, is_tls }
    }

    /// Does the work on a network made for it.
    ///
    /// # Errors
    ///
    /// The network does not come about, or does not take a message.
    pub fn measure(self, work: &Work) -> Result<Outcome, String> {
        self.with_runtime(Measure {
            ours: self,
            work: *work,
        })
    }

    /// Makes so many nodes, of which the first `linked` are linked in one network, and tells what memory the process has before and
    /// after, and how many links there are.
    ///
    /// # Errors
    ///
    /// The network does not come about.
    pub fn idle(self, nodes: usize, linked: usize) -> Result<Idle, String> {
        self.with_runtime(Rest {
            ours: self,
            nodes,
            linked,
        })
    }

    fn with_runtime<T: Job>(self, job: T) -> Result<T::Output, String> {
        if self.is_tokio {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            let tokio = Tokio::new(runtime.handle().clone());
            runtime.block_on(job.run(tokio))
        } else {
            smol::block_on(job.run(Smol))
        }
    }

    fn builder<R: Runtime>(self, runtime: R) -> Builder<R> {
        let encryption = if self.is_tls {
            Encryption::Tls
        } else {
            Encryption::Plaintext
        };
        Builder::new(runtime)
            .protocol(Protocol::new("bench", encryption))
            .listen("127.0.0.1:0")
    }
}

impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_tokio {
            "rs2p-tokio"
        } else {
            "rs2p-smol"
        })?;
        f.write_str(if self.is_tls { "-tls" } else { "" })
    }
}

impl FromStr for Ours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|ours| ours.to_string() == text);
        found.ok_or_else(|| {
            format!("{text:?} is none of rs2p-smol, rs2p-tokio, with or without -tls")
        })
    }
}

/// What nodes that do nothing take.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made here only")]
pub struct Idle {
    /// The resident memory that came with them, in bytes.
    pub memory: u64,
    /// The links between them.
    pub links: u64,
}

/// Something to do on a runtime.
trait Job: Send {
    type Output;
    fn run<R: Runtime>(self, runtime: R) -> impl Future<Output = Result<Self::Output, String>>;
}

struct Measure {
    ours: Ours,
    work: Work,
}

impl Job for Measure {
    type Output = Outcome;

    async fn run<R: Runtime>(self, runtime: R) -> Result<Outcome, String> {
        let counters = Arc::new(Counters::default());
        let counted = Counted {
            runtime: runtime.clone(),
            counters: Arc::clone(&counters),
        };
        let sockets = open(self.ours, &counted, self.work.nodes).await?;
        link(&sockets, &runtime).await?;
        runtime.sleep_until(Instant::now() + SETTLES).await;
        let tally = Tally::new(sockets.len() - 1);
        for (receiver, socket) in sockets.iter().skip(1).enumerate() {
            runtime.spawn(receive(socket.clone(), receiver, Arc::clone(&tally)));
        }
        let network = Mesh {
            publisher: sockets[0].clone(),
            runtime,
            counters,
        };
        run(&network, &tally, &self.work).await
    }
}

struct Rest {
    ours: Ours,
    nodes: usize,
    linked: usize,
}

impl Job for Rest {
    type Output = Idle;

    async fn run<R: Runtime>(self, runtime: R) -> Result<Idle, String> {
        // The first node brings up threads and tables that the others share.
        let first = open(self.ours, &runtime, 1).await?;
        let before = super::machine::resident_memory();
        let sockets = open(self.ours, &runtime, self.nodes).await?;
        if self.linked > 0 {
            link(&sockets[..self.linked], &runtime).await?;
        }
        runtime.sleep_until(Instant::now() + SETTLES).await;
        let after = super::machine::resident_memory();
        let ends: usize = sockets.iter().map(|socket| socket.peers().len()).sum();
        drop(first);
        Ok(Idle {
            memory: after.saturating_sub(before),
            links: ends as u64 / 2,
        })
    }
}

async fn open<R: Runtime>(
    ours: Ours,
    runtime: &R,
    nodes: usize,
) -> Result<Vec<MeshSocket>, String> {
    let mut sockets = Vec::new();
    for _ in 0..nodes {
        let socket = ours.builder(runtime.clone());
        sockets.push(socket.bind().await.map_err(|error| error.to_string())?);
    }
    Ok(sockets)
}

/// Links all to the first one, of which they learn of each other.
async fn link<R: Runtime>(sockets: &[MeshSocket], runtime: &R) -> Result<(), String> {
    let [first, others @ ..] = sockets else {
        return Ok(());
    };
    for socket in others {
        let at = &first.local_addresses()[0];
        let limit = Instant::now() + Duration::from_secs(20);
        // A node that was told of this one may have dialled it in the meantime.
        if let Err(error) = socket.connect(at).await
            && socket.peers().is_empty()
        {
            return Err(error.to_string());
        }
        while socket.peers().is_empty() && Instant::now() < limit {
            runtime
                .sleep_until(Instant::now() + Duration::from_millis(20))
                .await;
        }
    }
    Ok(())
}

async fn receive(socket: MeshSocket, receiver: usize, tally: Arc<Tally>) {
    loop {
        match socket.recv().await {
            Ok(message) => {
                if let Some(Ok(Value::Bin(bytes))) = message.packets().iter().next() {
                    tally.arrived(receiver, &bytes);
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(_) => return,
        }
    }
}

struct Mesh<R> {
    publisher: MeshSocket,
    runtime: R,
    counters: Arc<Counters>,
}

impl<R: Runtime> Network for Mesh<R> {
    async fn publish(&self, message: Bytes) -> Result<(), String> {
        let sent = self.publisher.broadcast_when_ready(message).await;
        sent.map(drop).map_err(|error| error.to_string())
    }

    async fn sleep_until(&self, moment: Instant) {
        self.runtime.sleep_until(moment).await;
    }

    fn traffic(&self) -> Option<[u64; 3]> {
        let Counters {
            written,
            writes,
            reads,
        } = &*self.counters;
        Some([written, writes, reads].map(|counter| counter.load(Relaxed)))
    }
}

/// What the links of all nodes have done.
#[derive(Debug, Default)]
struct Counters {
    written: AtomicU64,
    writes: AtomicU64,
    reads: AtomicU64,
}

/// A runtime whose streams are counted.
#[derive(Clone, Debug)]
struct Counted<R> {
    runtime: R,
    counters: Arc<Counters>,
}

impl<R: Runtime> Runtime for Counted<R> {
    type Stream = CountedStream<R::Stream>;
    type Listener = R::Listener;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send {
        self.runtime.sleep_until(deadline)
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        Ok(self.count(self.runtime.connect(to).await?))
    }

    fn bind(&self, at: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send {
        self.runtime.bind(at)
    }

    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr> {
        self.runtime.local_addr(listener)
    }

    async fn accept(&self, listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        let (stream, from) = self.runtime.accept(listener).await?;
        Ok((self.count(stream), from))
    }

    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
        self.runtime.resolve(host, port)
    }
}

impl<R: Runtime> Counted<R> {
    fn count(&self, stream: R::Stream) -> CountedStream<R::Stream> {
        CountedStream {
            stream,
            counters: Arc::clone(&self.counters),
        }
    }
}

#[derive(Debug)]
struct CountedStream<S> {
    stream: S,
    counters: Arc<Counters>,
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.counters.reads.fetch_add(1, Relaxed);
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.counters.writes.fetch_add(1, Relaxed);
        let taken = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.counters.written.fetch_add(taken as u64, Relaxed);
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.counters.writes.fetch_add(1, Relaxed);
        let taken = std::task::ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts))?;
        self.counters.written.fetch_add(taken as u64, Relaxed);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
