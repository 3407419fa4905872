//! What two rs2p nodes say to each other so that both come to have the same messages.
//!
//! A stream is what one node broadcasts in one life: its id and the epoch of that life. The messages of a stream are
//! counted from 1, and told as ranges of such numbers, both ends included, sorted, none overlapping another. On the
//! wire a list of ranges is flat: first, last, first, last.
//!
//! Every message says how much it may hold, and one that holds more breaks a rule: what a peer makes us keep is bounded
//! by what we read. Packets, and elements of entries, that follow what is known here are passed over, so that the
//! protocol can grow.

use std::time::Duration;

use bytes::Bytes;

use super::control::OutControl;
use super::fault::ControlFault;
use super::fields::{Fields, put_array_head};
use super::message::put_text;
use super::msgpack;
use super::native::{Native, kind};
use super::payload::Payload;
use crate::frontier::Stream;
use crate::id::{IdForm, MessageId, NodeId};

/// How many streams one message may tell of.
///
/// With ids as long as they may be, some 20 KB. A guess: more streams change within a second only while logs are
/// compared for the first time, and then it takes several messages.
pub(crate) const MAX_ENTRIES: usize = 64;

/// How many ranges the entries of one message may have together. At most 18 KB.
pub(crate) const MAX_RANGES: usize = 1024;

/// How many ids of messages one message may list: 17 KB.
pub(crate) const MAX_IDS: usize = 512;

/// First and last number of messages in a row.
pub(crate) type Range = (u64, u64);

/// All that a node has, in so few bytes that two equal nodes need no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) fingerprint: [u8; 16],
    /// How many streams it is the fingerprint of.
    pub(crate) streams: u64,
    /// The same for the messages in its log that have no name.
    pub(crate) others: [u8; 16],
    /// How old a message may be that the node's application is to get: in whole milliseconds on the wire.
    pub(crate) reach: Duration,
}

impl Summary {
    pub(crate) fn encode(&self) -> OutControl {
        let mut body = Payload::new();
        body.push_with(|out| put_bin(out, &self.fingerprint));
        body.push(self.streams);
        body.push_with(|out| put_bin(out, &self.others));
        body.push(millis(self.reach));
        OutControl::native(kind::SUMMARY, &body)
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let mut fields = native.fields("summary");
        let fingerprint = |fields: &mut Fields<'_>| {
            let rule = "fingerprint must be 16 bytes";
            let bytes = fields.bytes(rule)?.try_into();
            bytes.map_err(|_other_len| fields.breaks(rule))
        };
        Ok(Self {
            fingerprint: fingerprint(&mut fields)?,
            streams: fields.number("streams must be a number")?,
            others: fingerprint(&mut fields)?,
            reach: Duration::from_millis(fields.number("reach must be a number")?),
        })
    }
}

/// What a node has of some streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Have {
    /// At most [`MAX_ENTRIES`], with at most [`MAX_RANGES`] ranges: [`batches`] makes such.
    pub(crate) entries: Vec<HaveEntry>,
    /// Whether this is the last of the messages that tell all that the node has. A [`Want`] is the answer, an empty
    /// one if nothing is wanted.
    pub(crate) is_complete: bool,
}

/// What a node has of one stream: `[origin, epoch, upto, low, from, ranges]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HaveEntry {
    pub(crate) origin: NodeId,
    /// Never 0.
    pub(crate) epoch: u64,
    /// The node lacks none up to this one; 0 if it lacks the first.
    pub(crate) upto: u64,
    /// The first one that it can still send to others; 0 if it can send none.
    pub(crate) low: u64,
    /// The first one that is not older than the reach of the node that is told; 0 if this node cannot tell.
    pub(crate) from: u64,
    /// What it has beyond the first hole: all above `upto`.
    pub(crate) ranges: Vec<Range>,
}

impl Have {
    pub(crate) fn encode(&self) -> OutControl {
        let mut body = list(&self.entries, |out, entry| {
            put_array_head(out, 6);
            put_text(out, entry.origin.as_str(), IdForm::Str);
            for number in [entry.epoch, entry.upto, entry.low, entry.from] {
                msgpack::put_int(out, number.into());
            }
            put_ranges(out, &entry.ranges);
        });
        body.push(u64::from(self.is_complete));
        OutControl::native(kind::HAVE, &body)
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let mut left = MAX_RANGES;
        let mut fields = native.fields("have");
        let entries = read_entries(&mut fields, |entry| {
            let (origin, epoch) = read_stream(entry)?;
            let upto = entry.number("upto must be a number")?;
            let low = entry.number("low must be a number")?;
            let from = entry.number("from must be a number")?;
            let ranges = read_ranges(entry, &mut left)?;
            if ranges.first().is_some_and(|(first, _)| *first <= upto) {
                return Err(entry.breaks("ranges must be above upto"));
            }
            Ok(HaveEntry {
                origin,
                epoch,
                upto,
                low,
                from,
                ranges,
            })
        })?;
        let is_complete = fields.number("the mark of the last message must be a number")? != 0;
        Ok(Self {
            entries,
            is_complete,
        })
    }
}

/// Some messages of one stream: `[origin, epoch, ranges]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) origin: NodeId,
    /// Never 0.
    pub(crate) epoch: u64,
    pub(crate) ranges: Vec<Range>,
}

impl Extent {
    fn put(&self, out: &mut Vec<u8>) {
        put_array_head(out, 3);
        put_text(out, self.origin.as_str(), IdForm::Str);
        msgpack::put_int(out, self.epoch.into());
        put_ranges(out, &self.ranges);
    }

    fn read_all(fields: &mut Fields<'_>) -> Result<Vec<Self>, ControlFault> {
        let mut left = MAX_RANGES;
        read_entries(fields, |entry| {
            let (origin, epoch) = read_stream(entry)?;
            let ranges = read_ranges(entry, &mut left)?;
            Ok(Self {
                origin,
                epoch,
                ranges,
            })
        })
    }
}

/// Asks for messages: as many repairs are the answer, or it is said that they are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Want {
    /// At most [`MAX_ENTRIES`], with at most [`MAX_RANGES`] ranges: [`batches`] makes such.
    pub(crate) entries: Vec<Extent>,
}

impl Want {
    pub(crate) fn encode(&self) -> OutControl {
        let body = list(&self.entries, |out, entry| entry.put(out));
        OutControl::native(kind::WANT, &body)
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let entries = Extent::read_all(&mut native.fields("want"))?;
        Ok(Self { entries })
    }
}

/// Answers that messages were asked for that this node no longer has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// At most [`MAX_ENTRIES`], with at most [`MAX_RANGES`] ranges.
    pub(crate) entries: Vec<Extent>,
    /// Those without names: at most [`MAX_IDS`]. On the wire they are left out if there are none.
    pub(crate) ids: Vec<MessageId>,
}

impl Gone {
    /// Divides what is gone among as many messages as the limits ask for.
    pub(crate) fn divide(self) -> Vec<Self> {
        let named = batches(self.entries).into_iter().map(|entries| Self {
            entries,
            ..Self::default()
        });
        let others = self.ids.chunks(MAX_IDS).map(|ids| Self {
            ids: ids.to_vec(),
            ..Self::default()
        });
        named.chain(others).collect()
    }

    pub(crate) fn encode(&self) -> OutControl {
        let mut body = list(&self.entries, |out, entry| entry.put(out));
        if !self.ids.is_empty() {
            body.push_with(|out| put_list(out, &self.ids, put_id));
        }
        OutControl::native(kind::GONE, &body)
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let mut fields = native.fields("gone");
        let entries = Extent::read_all(&mut fields)?;
        let ids = match fields.rest() {
            (0, _) => Vec::new(),
            _ => read_ids(&mut fields)?,
        };
        Ok(Self { entries, ids })
    }
}

/// Brings a message that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repair {
    /// How long ago the message was made, as far as the clocks of those who have kept it tell. In whole
    /// milliseconds on the wire.
    pub(crate) age: Duration,
    /// The message as it is hashed: its id is not sent along. Shares the buffer of what carried it.
    pub(crate) packed: Bytes,
}

impl Repair {
    pub(crate) fn encode(&self) -> OutControl {
        let mut body = Payload::from(millis(self.age));
        body.push_with(|out| put_bin(out, &self.packed));
        OutControl::native(kind::REPAIR, &body)
    }

    /// Reads a repair. Whether what it brings is a message is not looked at.
    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let mut fields = native.fields("repair");
        let age = fields.number("age must be a number")?;
        let packed = fields.bytes("message must be bytes")?;
        Ok(Self {
            age: Duration::from_millis(age),
            packed: native.body.as_bytes().slice_ref(packed),
        })
    }
}

/// Lists messages that have no name, which a node can send to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    /// At most [`MAX_IDS`]; and in messages that follow each other 4,096, until the peer asks for more.
    pub(crate) ids: Vec<MessageId>,
}

impl Ids {
    pub(crate) fn encode(&self) -> OutControl {
        OutControl::native(kind::IDS, &list(&self.ids, put_id))
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let ids = read_ids(&mut native.fields("ids"))?;
        Ok(Self { ids })
    }
}

/// Asks for messages that have no name: as many repairs are the answer, or it is said that they are gone. One that asks for
/// none asks to be told of more, since all that was told is dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantIds {
    /// At most [`MAX_IDS`]. None asks for more [`Ids`].
    pub(crate) ids: Vec<MessageId>,
}

impl WantIds {
    pub(crate) fn encode(&self) -> OutControl {
        OutControl::native(kind::WANT_IDS, &list(&self.ids, put_id))
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let ids = read_ids(&mut native.fields("want ids"))?;
        Ok(Self { ids })
    }
}

/// Says that messages of some streams need not be sent for a while: others send them. Whoever is told so tells what it has
/// instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prune {
    /// For how long. In whole milliseconds on the wire.
    pub(crate) span: Duration,
    /// At most [`MAX_ENTRIES`].
    pub(crate) streams: Vec<Stream>,
}

impl Prune {
    pub(crate) fn encode(&self) -> OutControl {
        let mut body = list(&self.streams, put_stream);
        body.push(millis(self.span));
        OutControl::native(kind::PRUNE, &body)
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let mut fields = native.fields("prune");
        let streams = read_streams(&mut fields)?;
        let span = Duration::from_millis(fields.number("span must be a number")?);
        Ok(Self { span, streams })
    }
}

/// Takes that back: the messages are to be sent as they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Graft {
    /// At most [`MAX_ENTRIES`].
    pub(crate) streams: Vec<Stream>,
}

impl Graft {
    pub(crate) fn encode(&self) -> OutControl {
        OutControl::native(kind::GRAFT, &list(&self.streams, put_stream))
    }

    pub(crate) fn parse(native: &Native) -> Result<Self, ControlFault> {
        let streams = read_streams(&mut native.fields("graft"))?;
        Ok(Self { streams })
    }
}

/// What tells ranges of a stream.
pub(crate) trait Entry {
    fn ranges(&mut self) -> &mut Vec<Range>;
}

impl Entry for HaveEntry {
    fn ranges(&mut self) -> &mut Vec<Range> {
        &mut self.ranges
    }
}

impl Entry for Extent {
    fn ranges(&mut self) -> &mut Vec<Range> {
        &mut self.ranges
    }
}

/// Divides entries among as many messages as their limits ask for, in the same order.
///
/// Of an entry that has more than [`MAX_RANGES`] on its own the first are told: to say too little is no lie, and the
/// rest can be said when these have been dealt with.
pub(crate) fn batches<T: Entry>(entries: impl IntoIterator<Item = T>) -> Vec<Vec<T>> {
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut left = MAX_RANGES;
    for mut entry in entries {
        let ranges = entry.ranges();
        ranges.truncate(MAX_RANGES);
        let need = ranges.len();
        if batch.len() == MAX_ENTRIES || need > left {
            batches.push(std::mem::take(&mut batch));
            left = MAX_RANGES;
        }
        left -= need;
        batch.push(entry);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Makes one packet of a list.
fn list<T>(items: &[T], put: impl Fn(&mut Vec<u8>, &T)) -> Payload {
    let mut body = Payload::new();
    body.push_with(|out| put_list(out, items, put));
    body
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_array_head(out, items.len());
    for item in items {
        put(out, item);
    }
}

fn put_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    msgpack::put_bin(out, bytes).expect("messages are limited to far below 4 GiB");
}

fn put_id(out: &mut Vec<u8>, id: &MessageId) {
    put_bin(out, id.as_bytes());
}

fn put_stream(out: &mut Vec<u8>, stream: &Stream) {
    put_array_head(out, 2);
    put_text(out, stream.origin.as_str(), IdForm::Str);
    msgpack::put_int(out, stream.epoch.into());
}

fn read_streams(fields: &mut Fields<'_>) -> Result<Vec<Stream>, ControlFault> {
    read_entries(fields, |entry| {
        let (origin, epoch) = read_stream(entry)?;
        Ok(Stream { origin, epoch })
    })
}

fn put_ranges(out: &mut Vec<u8>, ranges: &[Range]) {
    put_array_head(out, 2 * ranges.len());
    for (first, last) in ranges {
        msgpack::put_int(out, (*first).into());
        msgpack::put_int(out, (*last).into());
    }
}

fn read_entries<T>(
    fields: &mut Fields<'_>,
    mut read: impl FnMut(&mut Fields<'_>) -> Result<T, ControlFault>,
) -> Result<Vec<T>, ControlFault> {
    fields.in_list("entries must be a list", |entries| {
        let (count, _) = entries.rest();
        if !is_within(count, MAX_ENTRIES) {
            return Err(entries.breaks("entries must be at most 64"));
        }
        (0..count)
            .map(|_| entries.in_list("an entry must be a list", &mut read))
            .collect()
    })
}

fn read_stream(entry: &mut Fields<'_>) -> Result<(NodeId, u64), ControlFault> {
    let (origin, _form) = entry.id("origin must be text of 1 to 256 bytes")?;
    let rule = "epoch must be a number above 0";
    match entry.number(rule)? {
        0 => Err(entry.breaks(rule)),
        epoch => Ok((origin, epoch)),
    }
}

/// Reads ranges, of which the message may have so many left.
fn read_ranges(entry: &mut Fields<'_>, left: &mut usize) -> Result<Vec<Range>, ControlFault> {
    let rule = "ranges must be a list";
    let ranges = entry.in_list(rule, |numbers| read_pairs(numbers, *left))?;
    *left -= ranges.len();
    Ok(ranges)
}

fn read_pairs(numbers: &mut Fields<'_>, most: usize) -> Result<Vec<Range>, ControlFault> {
    let (count, _) = numbers.rest();
    if !count.is_multiple_of(2) {
        return Err(numbers.breaks("ranges must be pairs"));
    }
    let pairs = count / 2;
    if !is_within(pairs, most) {
        return Err(numbers.breaks("ranges must be at most 1024 in a message"));
    }
    let mut beyond = 0;
    let mut pair = || {
        let rule = "ranges must be numbers";
        let range @ (first, last) = (numbers.number(rule)?, numbers.number(rule)?);
        if first <= beyond || last < first {
            return Err(numbers.breaks("ranges must ascend from 1"));
        }
        beyond = last;
        Ok(range)
    };
    (0..pairs).map(|_| pair()).collect()
}

fn read_ids(fields: &mut Fields<'_>) -> Result<Vec<MessageId>, ControlFault> {
    fields.in_list("ids must be a list", |ids| {
        let (count, _) = ids.rest();
        if !is_within(count, MAX_IDS) {
            return Err(ids.breaks("ids must be at most 512"));
        }
        let rule = "an id must be 32 bytes";
        let mut id = || {
            let bytes = ids.bytes(rule)?.try_into();
            let bytes = bytes.map_err(|_other_len| ids.breaks(rule))?;
            Ok(MessageId::from_bytes(bytes))
        };
        (0..count).map(|_| id()).collect()
    })
}

fn is_within(count: u32, limit: usize) -> bool {
    usize::try_from(count).is_ok_and(|count| count <= limit)
}

#[cfg(test)]
mod tests;
