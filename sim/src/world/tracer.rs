//! Keeps the trace: what happened, and what it followed from.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::World;
use crate::facts::Life;
use crate::node::{Delivery, Node};
use crate::time::Time;
use crate::trace::{FaultSpan, Record, Trace, What};

/// Records what happens.
#[derive(Clone, Debug)]
pub(super) struct Tracer {
    trace: Trace,
    /// By place in the scenario's list: which span it is, and the record of its beginning.
    spans: BTreeMap<usize, (usize, u64)>,
    /// The bytes of unfinished frames: by connection, pipe, and whether they were sent or received.
    partial: BTreeMap<(u64, usize, bool), Vec<u8>>,
    /// The messages published, by content, for naming what is delivered.
    contents: BTreeMap<u64, Vec<u32>>,
}

impl Tracer {
    pub(super) fn new(nodes: u32) -> Self {
        Self {
            trace: Trace {
                nodes,
                ..Trace::default()
            },
            spans: BTreeMap::new(),
            partial: BTreeMap::new(),
            contents: BTreeMap::new(),
        }
    }

    /// Forgets the unfinished frames of a connection that is gone.
    pub(super) fn forget(&mut self, conn: u64) {
        self.partial.retain(|(other, ..), _| *other != conn);
    }

    pub(super) fn finish(mut self, effects: &[u64]) -> Trace {
        for (index, (span, _)) in &self.spans {
            if let (Some(span), Some(effect)) =
                (self.trace.faults.get_mut(*span), effects.get(*index))
            {
                span.effect = *effect;
            }
        }
        self.trace
    }

    fn push(
        &mut self,
        at: Time,
        node: Option<u32>,
        life: u32,
        cause: Option<u64>,
        what: What,
    ) -> u64 {
        let number = self.trace.records.len() as u64;
        self.trace.records.push(Record {
            number,
            at,
            node,
            life,
            cause,
            what,
        });
        number
    }
}

impl<N: Node> World<N> {
    /// Records what happened to a node, or to the world. Returns the number of the record.
    pub(super) fn record(
        &mut self,
        node: Option<u32>,
        cause: Option<u64>,
        what: What,
    ) -> Option<u64> {
        let life = node.map_or(0, |node| self.slots[node as usize].life);
        let tracer = self.tracer.as_mut()?;
        Some(tracer.push(self.now, node, life, cause, what))
    }

    /// Records what happened in a life, if a trace is kept.
    pub(super) fn record_of(
        &mut self,
        life: Life,
        cause: Option<u64>,
        what: impl FnOnce(&Tracer) -> What,
    ) -> Option<u64> {
        let tracer = self.tracer.as_mut()?;
        let what = what(tracer);
        Some(tracer.push(self.now, Some(life.node), life.life, cause, what))
    }

    /// Records bytes that were written, or that arrived because of a record.
    pub(super) fn record_bytes(
        &mut self,
        life: Life,
        place: u32,
        pipe: usize,
        bytes: &Bytes,
        arrived: Option<Option<u64>>,
    ) -> Option<u64> {
        self.tracer.as_ref()?;
        let is_arrival = arrived.is_some();
        let side = if is_arrival { 1 - pipe } else { pipe };
        let id = self.conns.id(place, side);
        let conn = self.conns.get(place)?;
        let (number, peer) = (conn.number, conn.ends[1 - side].life.node);
        let key = (number, pipe, is_arrival);
        let mut all = self
            .tracer
            .as_mut()?
            .partial
            .remove(&key)
            .unwrap_or_default();
        all.extend_from_slice(bytes);
        let (says, taken) = match &self.slots[life.node as usize].node {
            Some(node) => node.describe(&all),
            None => (Vec::new(), all.len()),
        };
        let rest = all.split_off(taken.min(all.len()));
        let tracer = self.tracer.as_mut()?;
        if !rest.is_empty() {
            tracer.partial.insert(key, rest);
        }
        let len = bytes.len();
        let what = if is_arrival {
            What::Received {
                conn: id,
                peer,
                len,
                says,
            }
        } else {
            What::Sent {
                conn: id,
                peer,
                len,
                says,
            }
        };
        Some(tracer.push(
            self.now,
            Some(life.node),
            life.life,
            arrived.flatten(),
            what,
        ))
    }

    pub(super) fn trace_delivery(&mut self, life: Life, delivery: &Delivery, content: u64) {
        let from = delivery.from.and_then(|id| self.conns.find(id));
        let from =
            from.and_then(|(place, side)| Some(self.conns.get(place)?.ends[1 - side].life.node));
        let cause = self.slots[life.node as usize].heard;
        let sender = delivery.sender;
        self.record_of(life, cause, |tracer| {
            let published = tracer.contents.get(&content);
            What::Delivered {
                message: published.and_then(|messages| messages.first().copied()),
                sender,
                from,
            }
        });
    }

    pub(super) fn trace_publication(&mut self, life: Life, content: u64, what: What) {
        let What::Published { message, .. } = what else {
            return;
        };
        if let Some(tracer) = &mut self.tracer {
            tracer.contents.entry(content).or_default().push(message);
        }
        self.record_of(life, None, |_| what);
    }

    pub(super) fn trace_fault(&mut self, index: usize, words: String, nodes: Vec<u32>) {
        let now = self.now;
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let record = self.record(None, None, What::FaultBegan(number, words.clone()));
        let (Some(tracer), Some(record)) = (&mut self.tracer, record) else {
            return;
        };
        tracer
            .spans
            .insert(index, (tracer.trace.faults.len(), record));
        tracer.trace.faults.push(FaultSpan {
            what: words,
            began: now,
            ended: None,
            nodes,
            effect: 0,
        });
    }

    pub(super) fn trace_fault_end(&mut self, index: usize) {
        let now = self.now;
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        self.record(None, None, What::FaultEnded(number));
        let Some(tracer) = &mut self.tracer else {
            return;
        };
        if let Some((span, _)) = tracer.spans.get(&index)
            && let Some(span) = tracer.trace.faults.get_mut(*span)
        {
            span.ended = Some(now);
        }
    }

    /// Returns the record of a fault's beginning: what it breaks follows from that.
    pub(super) fn fault_record(&self, index: usize) -> Option<u64> {
        Some(self.tracer.as_ref()?.spans.get(&index)?.1)
    }
}
