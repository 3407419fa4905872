//! What the tests of this crate play with: a stream that does as it is told, a pipe, a runtime without
//! anything behind it, and states without sockets.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_lite::{AsyncRead, AsyncWrite};
use rs2p_core::{Address, Config, MeshState, UnixTime};

use crate::calendar::Calendar;
use crate::inbox::Limits;
use crate::runtime::Runtime;
use crate::shared::{Parts, Shared, Task, Todo};
use crate::wait::lock;

/// What the calendar of a [`node`] says at first, in seconds since 1970.
pub(crate) const START: u64 = 1_700_000_000;

/// What it says ever after.
pub(crate) const CALENDAR: u64 = 1_750_000_000;

/// What was done to a [`Script`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Write(Vec<u8>),
    Flush,
    Close,
}

/// A stream that takes so many bytes at each write, and notes what is done to it. Reading it
/// waits for ever.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// What each write takes, and zero for "not now". When it is empty, writes take all.
    pub(crate) takes: VecDeque<usize>,
    pub(crate) ops: Vec<Op>,
}

impl AsyncRead for Script {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = match self.takes.pop_front() {
            Some(0) => return Poll::Pending,
            Some(limit) => bytes.len().min(limit),
            None => bytes.len(),
        };
        self.ops.push(Op::Write(bytes[..taken].to_vec()));
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ops.push(Op::Flush);
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ops.push(Op::Close);
        Poll::Ready(Ok(()))
    }
}

/// One direction of a [`pipe`].
#[derive(Debug, Default)]
struct Lane {
    bytes: VecDeque<u8>,
    /// All that was ever written.
    record: Vec<u8>,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Lane {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// One end of a [`pipe`].
#[derive(Debug)]
pub(crate) struct PipeEnd {
    incoming: Arc<Mutex<Lane>>,
    outgoing: Arc<Mutex<Lane>>,
    capacity: usize,
}

/// Returns a connection in memory that holds up to `capacity` bytes each way.
pub(crate) fn pipe(capacity: usize) -> (PipeEnd, PipeEnd) {
    let (one, two) = (Arc::default(), Arc::default());
    let near = PipeEnd {
        incoming: Arc::clone(&one),
        outgoing: Arc::clone(&two),
        capacity,
    };
    let far = PipeEnd {
        incoming: two,
        outgoing: one,
        capacity,
    };
    (near, far)
}

#[cfg(feature = "tls")]
impl PipeEnd {
    /// Returns all that was written to this end so far.
    pub(crate) fn written(&self) -> Vec<u8> {
        lock(&self.outgoing).record.clone()
    }
}

impl AsyncRead for PipeEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut lane = lock(&self.incoming);
        if lane.bytes.is_empty() && !lane.is_closed {
            lane.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let len = lane.bytes.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(lane.bytes.drain(..len)) {
            *to = from;
        }
        lane.wake();
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for PipeEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut lane = lock(&self.outgoing);
        if lane.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let len = bytes.len().min(self.capacity - lane.bytes.len());
        if len == 0 {
            lane.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        lane.bytes.extend(&bytes[..len]);
        lane.record.extend(&bytes[..len]);
        lane.wake();
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut lane = lock(&self.outgoing);
        lane.is_closed = true;
        lane.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        for lane in [&self.incoming, &self.outgoing] {
            let mut lane = lock(lane);
            lane.is_closed = true;
            lane.wake();
        }
    }
}

/// A runtime that notes what it is asked for.
#[derive(Clone, Default)]
pub(crate) struct Fake(pub(crate) Arc<Mutex<FakeState>>);

#[derive(Default)]
pub(crate) struct FakeState {
    /// The tasks to run, unless they are dropped.
    pub(crate) tasks: Vec<Task>,
    pub(crate) drops_tasks: bool,
    /// What each connect comes to; `None` takes for ever.
    pub(crate) connects: VecDeque<Option<io::Result<Script>>>,
    pub(crate) connected: Vec<SocketAddr>,
    pub(crate) resolved: Vec<SocketAddr>,
    /// When sleepers wanted to be woken. The first so many were.
    pub(crate) sleeps: Vec<Instant>,
    pub(crate) short_sleeps: usize,
    /// How often accepting has failed.
    pub(crate) failed_accepts: usize,
}

impl Runtime for Fake {
    type Stream = Script;
    type Listener = ();

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task: Task = Box::pin(task);
        let mut state = lock(&self.0);
        if state.drops_tasks {
            drop(state);
            drop(task);
        } else {
            state.tasks.push(task);
        }
    }

    async fn sleep_until(&self, deadline: Instant) {
        let is_short = {
            let mut state = lock(&self.0);
            state.sleeps.push(deadline);
            state.sleeps.len() <= state.short_sleeps
        };
        if !is_short {
            std::future::pending::<()>().await;
        }
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Script> {
        let outcome = {
            let mut state = lock(&self.0);
            state.connected.push(to);
            state.connects.pop_front().flatten()
        };
        match outcome {
            Some(outcome) => outcome,
            None => std::future::pending().await,
        }
    }

    async fn bind(&self, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    fn local_addr(&self, (): &()) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 4444).into())
    }

    /// Fails, as when the process is out of descriptors.
    async fn accept(&self, (): &()) -> io::Result<(Script, SocketAddr)> {
        lock(&self.0).failed_accepts += 1;
        Err(io::Error::other("too many open files"))
    }

    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(lock(&self.0).resolved.clone())
    }
}

/// Returns a node without a runtime: its test plays the keeper.
pub(crate) fn node(config: Config, seed: u8) -> Arc<Shared> {
    node_since(Instant::now(), config, seed)
}

/// Returns a node whose clock counts from an earlier moment.
pub(crate) fn node_since(origin: Instant, config: Config, seed: u8) -> Arc<Shared> {
    let now = rs2p_core::Instant::ZERO;
    let state = MeshState::new(config, [seed; 32], now, UnixTime::from_secs(START));
    Arc::new(Shared::new(Parts {
        origin,
        calendar: Calendar::new(|| UnixTime::from_secs(CALENDAR)),
        state: state.expect("a good configuration"),
        listening: Vec::new(),
        limits: Limits::default(),
        store: None,
    }))
}

/// Returns the tasks of a link between two nodes over these streams: the first node's, then the second's.
pub(crate) fn link<S>(from: &Arc<Shared>, to: &Arc<Shared>, streams: (S, S)) -> [Task; 2]
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let address = Address::new("192.0.2.1", 4444).expect("a good address");
    let dial = from.enter(|inner, now| inner.state.connect(address.clone(), now));
    let dial = dial.expect("nothing is in the way");
    let asked = from.step().todo;
    let is_it = |todo: &Todo| matches!(todo, Todo::Dial(id, ..) if *id == dial);
    assert!(asked.iter().any(is_it), "the keeper is asked to dial");
    let (near, far) = streams;
    let (id, queue) = from.dialed(dial).expect("the dial is wanted");
    let dialed = crate::link::run(near, false, id, queue, Arc::clone(from));
    let (id, queue) = to.accepted(address).expect("there is room");
    let accepted = crate::link::run(far, false, id, queue, Arc::clone(to));
    [Box::pin(dialed), Box::pin(accepted)]
}

/// Polls tasks in turn until none has anything to do but wait, and drops those that end.
pub(crate) fn settle(tasks: &mut Vec<Task>) {
    let flag = Arc::new(Flag::default());
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    loop {
        tasks.retain_mut(|task| task.as_mut().poll(&mut cx).is_pending());
        if !std::mem::take(&mut *lock(&flag.0)) {
            return;
        }
    }
}

#[derive(Default)]
struct Flag(Mutex<bool>);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Self>) {
        *lock(&self.0) = true;
    }
}
