//! The sending half of a link's task: many chunks to one system call, except where each needs a
//! record of its own.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_lite::AsyncWrite;
use rs2p_core::Batching;

use crate::queue::{Chunk, Queue};

/// How many bytes are put together for one write: what copies are cheaper than system calls for, and four full TLS
/// records.
const BATCH_LEN: usize = 64 << 10;

/// A chunk of at least this length is written as it is: copying it would cost more than a call.
const LARGE_LEN: usize = 16 << 10;

/// Writes what is in the queue.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Whether the stream keeps the borders of writes, as TLS does.
    keeps_records: bool,
    chunks: VecDeque<Chunk>,
    /// What is being written: a large chunk, or else the batch.
    large: Option<Bytes>,
    batch: Vec<u8>,
    /// How much of it is written.
    offset: usize,
    /// Whether the stream is to be flushed before anything else is written.
    ends_record: bool,
    /// Whether something was written since the last flush.
    is_unflushed: bool,
}

impl Writer {
    pub(crate) const fn new(keeps_records: bool) -> Self {
        Self {
            keeps_records,
            chunks: VecDeque::new(),
            large: None,
            batch: Vec::new(),
            offset: 0,
            ends_record: false,
            is_unflushed: false,
        }
    }

    /// Writes once, and returns how much the stream took. Zero means that everything is written and
    /// flushed; then the next chunk wakes the task.
    pub(crate) fn poll_write<S>(
        &mut self,
        stream: &mut S,
        queue: &Queue,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>>
    where
        S: AsyncWrite + Unpin,
    {
        if self.current().is_empty() {
            if self.ends_record {
                ready!(self.poll_flush(stream, cx))?;
            }
            if self.chunks.is_empty() {
                queue.take(&mut self.chunks);
            }
            self.load();
        }
        if self.current().is_empty() {
            if self.is_unflushed {
                ready!(self.poll_flush(stream, cx))?;
            }
            // Nobody knows how long it will rest.
            self.batch = Vec::new();
            return Poll::Ready(Ok(0));
        }
        let taken = ready!(Pin::new(stream).poll_write(cx, self.current()))?;
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.is_unflushed = true;
        self.offset += taken;
        if self.current().is_empty() {
            self.large = None;
            self.batch.clear();
            self.offset = 0;
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        ready!(Pin::new(stream).poll_flush(cx))?;
        self.ends_record = false;
        self.is_unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn current(&self) -> &[u8] {
        let whole = self.large.as_deref().unwrap_or(&self.batch);
        &whole[self.offset..]
    }

    /// Decides what to write next.
    fn load(&mut self) {
        let Some(first) = self.chunks.pop_front() else {
            return;
        };
        let is_alone = self.keeps_records && first.batching == Batching::OwnRecord;
        self.ends_record = is_alone;
        if is_alone || first.bytes.len() >= LARGE_LEN {
            self.large = Some(first.bytes);
            return;
        }
        if self.batch.capacity() == 0 {
            let rest: usize = self.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
            self.batch
                .reserve((first.bytes.len() + rest).min(BATCH_LEN));
        }
        self.batch.extend_from_slice(&first.bytes);
        while let Some(next) = self.chunks.front()
            && self.batch.len() + next.bytes.len() <= BATCH_LEN
            && !(self.keeps_records && next.batching == Batching::OwnRecord)
        {
            self.batch.extend_from_slice(&next.bytes);
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Op, Script};
    use crate::wait::Wakes;
    use Batching::{Free, OwnRecord};
    use proptest::prelude::*;
    use std::task::Waker;

    /// Puts chunks into a queue and writes them to the end.
    fn write(keeps_records: bool, chunks: &[(Batching, usize)], takes: &[usize]) -> Vec<Op> {
        let queue = Queue::new();
        for (n, (batching, len)) in chunks.iter().enumerate() {
            let chunk = Chunk {
                bytes: content(n, *len).into(),
                batching: *batching,
            };
            queue.push(chunk, &mut Wakes::default());
        }
        let mut stream = Script {
            takes: takes.iter().copied().collect(),
            ..Script::default()
        };
        let mut writer = Writer::new(keeps_records);
        let mut cx = Context::from_waker(Waker::noop());
        let mut patience = takes.len();
        loop {
            match writer.poll_write(&mut stream, &queue, &mut cx) {
                Poll::Ready(Ok(0)) => return stream.ops,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => {
                    patience = patience.checked_sub(1).expect("it takes something");
                }
            }
        }
    }

    fn content(n: usize, len: usize) -> Vec<u8> {
        vec![u8::try_from(n % 251).expect("below 251"); len]
    }

    fn shape(ops: &[Op]) -> Vec<isize> {
        let len = |op: &Op| match op {
            Op::Write(bytes) => isize::try_from(bytes.len()).expect("short"),
            Op::Flush => 0,
            Op::Close => -1,
        };
        ops.iter().map(len).collect()
    }

    #[test]
    fn many_chunks_take_one_write() {
        let chunks = [(Free, 100); 200];
        assert_eq!(shape(&write(false, &chunks, &[])), [20_000, 0]);
        assert_eq!(shape(&write(true, &chunks, &[])), [20_000, 0], "over TLS");
    }

    #[test]
    fn batches_end_at_64_kib_and_large_chunks_stay_as_they_are() {
        let small = [(Free, 10_000); 7];
        assert_eq!(shape(&write(false, &small, &[])), [60_000, 10_000, 0]);
        let mixed = [(Free, 10), (Free, 100_000), (Free, 10), (Free, 10)];
        assert_eq!(shape(&write(false, &mixed, &[])), [10, 100_000, 20, 0]);
    }

    #[test]
    fn a_chunk_with_a_record_of_its_own_is_flushed_before_anything_follows() {
        let chunks = [
            (Free, 5),
            (Free, 6),
            (OwnRecord, 7),
            (OwnRecord, 8),
            (Free, 9),
            (Free, 10),
        ];
        let over_tls = [11, 7, 0, 8, 0, 19, 0];
        assert_eq!(shape(&write(true, &chunks, &[])), over_tls);
        assert_eq!(shape(&write(false, &chunks, &[])), [45, 0], "over TCP");
        let in_parts = [11, 3, 4, 0, 8, 0, 19, 0];
        assert_eq!(shape(&write(true, &chunks, &[11, 0, 3, 0])), in_parts);
    }

    proptest! {
        #[test]
        fn whatever_the_stream_takes_all_arrives_in_order(
            keeps_records: bool,
            chunks in prop::collection::vec((prop::bool::ANY, 1_usize..20_000), 0..12),
            takes in prop::collection::vec(0_usize..30_000, 0..30),
        ) {
            let chunks: Vec<_> = chunks
                .into_iter()
                .map(|(is_free, len)| (if is_free { Free } else { OwnRecord }, len))
                .collect();
            let ops = write(keeps_records, &chunks, &takes);
            let mut written: Vec<u8> = Vec::new();
            let mut flushed = vec![0];
            for op in &ops {
                match op {
                    Op::Write(bytes) => written.extend(bytes),
                    Op::Flush => flushed.push(written.len()),
                    Op::Close => prop_assert!(false, "nobody closes it"),
                }
            }
            let mut expected = Vec::new();
            for (n, (batching, len)) in chunks.iter().enumerate() {
                expected.extend(content(n, *len));
                if keeps_records && *batching == OwnRecord {
                    prop_assert!(flushed.contains(&expected.len()), "chunk {} is not flushed", n);
                }
            }
            prop_assert_eq!(flushed.last(), Some(&expected.len()), "all is flushed");
            prop_assert!(written == expected);
        }
    }
}
