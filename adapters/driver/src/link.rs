//! The task of one link: it reads and writes its byte stream, whatever that is.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use rs2p_core::LinkId;

use crate::queue::{CREDIT_STEP, Ending, Queue};
use crate::shared::Shared;
use crate::writer::Writer;

/// How often a link reads and writes before it lets others run.
const BUDGET: usize = 16;

/// Runs a link until both sides are done with it, or the stream breaks.
pub(crate) fn run<S>(
    stream: S,
    keeps_records: bool,
    id: LinkId,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let report = Report { id, shared };
    async move {
        let mut link = Link {
            stream,
            writer: Writer::new(keeps_records),
            can_read: true,
            can_write: true,
            stage: Stage::Open,
            credit: 0,
            queue,
            report: &report,
        };
        let end = std::future::poll_fn(|cx| link.poll(cx)).await;
        tracing::trace!(link = id.as_u64(), error = ?end.err(), "stream ended");
        // The stream goes first: what the report leads to may bind the port again.
        drop(link);
        drop(report);
    }
}

/// Tells that the link is gone, however its task ends.
struct Report {
    id: LinkId,
    shared: Arc<Shared>,
}

impl Drop for Report {
    fn drop(&mut self) {
        self.shared.link_ended(self.id);
    }
}

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is in use, or writes what is left after the state has closed it.
    Open,
    /// All is written; the sending half is being shut down.
    ShuttingDown,
    /// It waits for the other side to close.
    Draining,
}

struct Link<'a, S> {
    stream: S,
    writer: Writer,
    /// Whether the other side may still send.
    can_read: bool,
    /// Whether nothing has failed in writing.
    can_write: bool,
    stage: Stage,
    /// The bytes written that were not reported yet.
    credit: usize,
    queue: Arc<Queue>,
    report: &'a Report,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<'_, S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.queue.attend(cx.waker());
        for _ in 0..BUDGET {
            let ending = self.queue.ending();
            if ending == Ending::Abort {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let read = self.poll_read(ending, cx)?;
            if !self.can_read && (ending == Ending::Open || self.stage == Stage::Draining) {
                return Poll::Ready(Ok(()));
            }
            let wrote = self.poll_write(ending, cx);
            if read.is_pending() && !self.can_write {
                // What arrived before the stream broke was read by now.
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if read.is_pending() && wrote.is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once. Pending also when there is nothing to read any more.
    fn poll_read(&mut self, ending: Ending, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.can_read {
            return Poll::Pending;
        }
        let Report { id, shared } = self.report;
        let stream = Pin::new(&mut self.stream);
        shared.buffers.with(|buffer| {
            match std::task::ready!(stream.poll_read(cx, buffer))? {
                0 => self.can_read = false,
                // After the end, bytes are read only so that the stream closes in good order.
                len if ending == Ending::Open => {
                    shared.enter(|inner, now| inner.state.handle_bytes(*id, &buffer[..len], now));
                }
                _ => {}
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Writes once, or does the next thing on the way to the end. Pending also when there is
    /// nothing to do.
    fn poll_write(&mut self, ending: Ending, cx: &mut Context<'_>) -> Poll<()> {
        if !self.can_write {
            return Poll::Pending;
        }
        let result = match self.stage {
            Stage::Open => self.poll_write_queue(ending, cx),
            Stage::ShuttingDown => self.poll_shut_down(cx),
            Stage::Draining => Poll::Pending,
        };
        result.map(|result| {
            if let Err(error) = result {
                tracing::trace!(link = self.report.id.as_u64(), %error, "write failed");
                self.can_write = false;
            }
        })
    }

    fn poll_write_queue(&mut self, ending: Ending, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = &mut self.stream;
        let written = std::task::ready!(self.writer.poll_write(stream, &self.queue, cx))?;
        if written == 0 {
            if ending == Ending::Open {
                return Poll::Pending;
            }
            self.stage = Stage::ShuttingDown;
            return Poll::Ready(Ok(()));
        }
        self.queue.written(written);
        self.credit += written;
        if self.credit >= CREDIT_STEP {
            let credit = std::mem::take(&mut self.credit);
            let Report { id, shared } = self.report;
            shared.enter(|inner, now| inner.state.handle_credit(*id, credit, now));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(Pin::new(&mut self.stream).poll_close(cx))?;
        self.stage = Stage::Draining;
        let Report { id, shared } = self.report;
        shared.link_drains(*id);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::queue::GRANT;
    use crate::shared::Task;
    use crate::testing::{Script, link, node, pipe, settle};
    use rs2p_core::{Address, Config, Event, SendError};

    fn pair(capacity: usize) -> ([Arc<Shared>; 2], Vec<Task>) {
        let (alice, bob) = (node(Config::default(), 1), node(Config::default(), 2));
        let mut tasks = Vec::from(link(&alice, &bob, pipe(capacity)));
        settle(&mut tasks);
        assert_eq!(alice.lock().state.peers().count(), 1, "the link is up");
        ([alice, bob], tasks)
    }

    fn broadcast(node: &Shared, payload: impl Into<rs2p_core::Payload>) -> Result<(), SendError> {
        let payload = payload.into();
        node.enter(|inner, now| inner.state.broadcast(payload, now).map(drop))
    }

    fn texts(node: &Shared) -> Vec<String> {
        let messages = node.inbox.try_recv_many(usize::MAX).unwrap();
        messages.iter().map(|m| m.text().unwrap()).collect()
    }

    /// What no method makes shorter.
    fn noise(len: u32, seed: u32) -> Vec<u8> {
        let mix = |n: u32| (n ^ seed).wrapping_mul(0x9e37_79b1).rotate_left(n) >> 13;
        (0..len).map(|n| mix(mix(n)).to_be_bytes()[3]).collect()
    }

    #[test]
    fn a_pipe_of_any_size_carries_messages() {
        for capacity in [1, 7, 4096, 1 << 20] {
            let ([alice, bob], mut tasks) = pair(capacity);
            broadcast(&alice, "to bob").unwrap();
            broadcast(&bob, "to alice").unwrap();
            settle(&mut tasks);
            assert_eq!(texts(&bob), ["to bob"], "{capacity}");
            assert_eq!(texts(&alice), ["to alice"], "{capacity}");
        }
    }

    #[test]
    fn what_came_before_the_end_is_delivered() {
        let ([alice, bob], mut tasks) = pair(1 << 20);
        let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        for text in &expected {
            broadcast(&bob, text.as_str()).unwrap();
        }
        let of_bob = tasks.pop().unwrap();
        let mut of_bob = vec![of_bob];
        settle(&mut of_bob);
        drop(of_bob);
        settle(&mut tasks);
        assert_eq!(texts(&alice), expected);
        assert_eq!(alice.lock().state.peers().count(), 0);
        assert!(tasks.is_empty(), "the task has ended");
    }

    #[test]
    fn a_link_that_takes_nothing_holds_what_was_granted_and_no_more() {
        let ([alice, bob], mut tasks) = pair(1000);
        let carol = node(Config::default(), 3);
        let of_bob = tasks.pop().unwrap();
        let mut sent = 0;
        while sent < 200 {
            broadcast(&alice, noise(10_000, sent)).unwrap();
            sent += 1;
            settle(&mut tasks);
            assert!(alice.lock().unwritten() <= GRANT);
        }
        let full = alice.lock().unwritten();
        // But for the greeting and what the pipe holds: they are too little to report.
        assert!(full > GRANT - 4000, "{full} bytes: all that was granted");
        let open = alice.lock().state.snapshot().links.remove(0);
        assert!(open.is_behind, "the rest is in the log");
        assert!(open.queued <= Config::default().link_queue_limit);

        // Others are not held up by it: carol links up, and hears of it.
        let mut others = Vec::from(link(&carol, &alice, pipe(1000)));
        settle(&mut others);
        assert_eq!(carol.lock().state.peers().count(), 1);

        tasks.push(of_bob);
        settle(&mut tasks);
        let messages = bob.inbox.try_recv_many(usize::MAX).unwrap();
        assert_eq!(messages.len(), usize::try_from(sent).unwrap());
        assert_eq!(alice.lock().unwritten(), 0);
    }

    #[test]
    fn a_link_without_a_queue_always_has_credit() {
        let ([alice, bob], mut tasks) = pair(GRANT);
        for n in 0..100 {
            broadcast(&alice, noise(10_000, n)).unwrap();
            settle(&mut tasks);
            assert_eq!(alice.lock().unwritten(), 0, "message {n}");
            assert_eq!(bob.inbox.levels().0, 1, "message {n}");
            bob.inbox.try_recv().unwrap();
        }
    }

    #[test]
    fn a_link_that_the_state_closes_is_flushed_shut_down_and_drained() {
        for (why, capacity) in [("bob has not read", 10), ("bob has not closed", 1 << 20)] {
            let ([alice, bob], mut tasks) = pair(capacity);
            let of_bob = tasks.pop().unwrap();
            broadcast(&alice, "the last words").unwrap();
            alice.begin_closing();
            settle(&mut tasks);
            assert_eq!(tasks.len(), 1, "{why}");
            tasks.push(of_bob);
            settle(&mut tasks);
            assert_eq!(texts(&bob), ["the last words"]);
            assert!(tasks.is_empty(), "both have seen the other's end");
            let phase = alice.lock().phase();
            assert_eq!(phase, crate::SocketState::Closed, "nothing to wait for");
        }
    }

    #[test]
    fn a_closed_link_that_is_stuck_is_ended_when_its_time_is_up() {
        let config = Config {
            linger_timeout: Duration::ZERO,
            ..Config::default()
        };
        let (alice, bob) = (node(config, 1), node(Config::default(), 2));
        let mut tasks = Vec::from(link(&alice, &bob, pipe(10)));
        settle(&mut tasks);
        let _never_polled_again = tasks.pop();
        broadcast(&alice, "longer than the pipe").unwrap();
        alice.begin_closing();
        settle(&mut tasks);
        assert_eq!(tasks.len(), 1, "stuck");
        alice.step();
        settle(&mut tasks);
        assert!(tasks.is_empty());
    }

    #[test]
    fn a_task_that_is_dropped_counts_as_a_lost_link() {
        let ([alice, _bob], tasks) = pair(1000);
        let mut events = alice.lock().subscribers.subscribe();
        drop(tasks);
        let lost = futures_lite::future::block_on(futures_lite::StreamExt::next(&mut events));
        assert!(matches!(lost, Some(Ok(Event::PeerDown { .. }))), "{lost:?}");
        assert_eq!(alice.lock().unwritten(), 0);
    }

    #[test]
    fn a_stream_that_never_says_anything_is_just_waited_for() {
        let alice = node(Config::default(), 1);
        let from = Address::new("192.0.2.1", 4444).unwrap();
        let (id, queue) = alice.accepted(from).unwrap();
        let task = run(Script::default(), false, id, queue, Arc::clone(&alice));
        let mut tasks: Vec<Task> = vec![Box::pin(task)];
        settle(&mut tasks);
        assert_eq!(tasks.len(), 1);
        assert!(alice.step().deadline.is_some(), "the handshake is due");
    }
}
