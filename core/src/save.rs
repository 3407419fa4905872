//! What a node saves of itself, as bytes: for the next life of it.
//!
//! A line of eleven bytes that says what it is, a version, the length of the content, the content in msgpack, and the SHA-256 of all
//! before it. Elements that follow what is known here are passed over, so that a later version can add some; one
//! that changes what is there has another number.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::address::Address;
use crate::book::Standing;
use crate::frontier::{Stream, StreamFrontier};
use crate::id::{IdForm, MessageId, NodeId, ProtocolId};
use crate::ranges::Ranges;
use crate::time::UnixTime;
use crate::wire::fault::ControlFault;
use crate::wire::fields::{Fields, put_array_head};
use crate::wire::message::put_text;
use crate::wire::msgpack;
use crate::wire::payload::Payload;

const MAGIC: &[u8; 11] = b"rs2p save\r\n";

/// The version that is written, and the only one that is read.
const VERSION: u8 = 2;

/// The bytes before the content: magic, version, length.
const HEAD_LEN: usize = MAGIC.len() + 1 + 8;

const HASH_LEN: usize = 32;

/// Why bytes are nothing that a node can go on from. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaveError {
    /// They do not begin as what a node saves does: this is something else.
    NotASave,
    /// They are of a version that this one cannot read.
    Version {
        /// The version that they say they are of.
        found: u8,
        /// The version that can be read.
        known: u8,
    },
    /// They end before the end, or go on after it.
    Length {
        /// How many bytes there are.
        have: usize,
        /// How many there should be, by what they say themselves.
        want: u64,
    },
    /// Their checksum does not fit: some of them are not what was written.
    Checksum,
    /// The checksum fits, and what is in them breaks a rule.
    Content {
        /// The rule.
        rule: &'static str,
    },
    /// They are of a node of another network.
    OtherNetwork {
        /// The protocol id of that network.
        theirs: ProtocolId,
    },
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASave => f.write_str("this is not the saved state of a node"),
            Self::Version { found, known } => {
                write!(
                    f,
                    "saved in version {found}, and only version {known} can be read"
                )
            }
            Self::Length { have, want } => {
                write!(f, "{have} bytes are there, and {want} were saved")
            }
            Self::Checksum => f.write_str("the checksum does not fit: the saved state is damaged"),
            Self::Content { rule } => write!(f, "the saved state breaks a rule: {rule}"),
            Self::OtherNetwork { theirs } => {
                write!(
                    f,
                    "saved by a node of another network, protocol id {theirs}"
                )
            }
        }
    }
}

impl std::error::Error for SaveError {}

impl From<ControlFault> for SaveError {
    fn from(fault: ControlFault) -> Self {
        let rule = match fault {
            ControlFault::Field { rule, .. } => rule,
            ControlFault::Shape { .. } => "too few elements",
        };
        Self::Content { rule }
    }
}

/// What a node saves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Save {
    pub(crate) network: ProtocolId,
    pub(crate) id: NodeId,
    /// When it was written. In whole seconds it would not do: what came in the first second of a node would be too old for
    /// its next life.
    pub(crate) at: UnixTime,
    /// How old a message might be by then that the application was to get.
    pub(crate) reach: Duration,
    /// What the application is done with, of each stream; of its own, what it has broadcast.
    pub(crate) streams: Vec<(Stream, StreamFrontier)>,
    /// Which letters were here.
    pub(crate) letters: Vec<(Stream, StreamFrontier)>,
    /// Its own broadcasts that may be nowhere else, as they were packed.
    pub(crate) own: Vec<Bytes>,
    /// Those of its own broadcasts that may be nowhere else, and are too many to be saved.
    pub(crate) left_out: Vec<(Stream, StreamFrontier)>,
    /// The messages without names that the application is done with, the last first.
    pub(crate) ids: Vec<MessageId>,
    /// Whether these are all that there are.
    pub(crate) has_all_ids: bool,
    pub(crate) addresses: Vec<(Address, Option<NodeId>, Standing)>,
}

impl Save {
    pub(crate) fn encode(&self) -> Bytes {
        let mut body = Payload::new();
        body.push_with(|out| put_text(out, self.network.as_str(), IdForm::Str));
        body.push_with(|out| put_text(out, self.id.as_str(), IdForm::Str));
        body.push(self.at.as_micros());
        body.push(u64::try_from(self.reach.as_micros()).unwrap_or(u64::MAX));
        for streams in [&self.streams, &self.letters, &self.left_out] {
            body.push_with(|out| put_streams(out, streams));
        }
        body.push_with(|out| put_list(out, &self.own, |out, own| put_bin(out, own)));
        body.push_with(|out| put_list(out, &self.ids, |out, id| put_bin(out, id.as_bytes())));
        body.push(u64::from(self.has_all_ids));
        body.push_with(|out| put_list(out, &self.addresses, put_address));

        let body = body.body();
        let mut out = Vec::with_capacity(HEAD_LEN + body.len() + HASH_LEN);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&(body.len() as u64).to_be_bytes());
        out.extend_from_slice(body);
        let hash = Sha256::digest(&out);
        out.extend_from_slice(&hash);
        out.into()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, SaveError> {
        let body = check(bytes)?;
        let body = bytes.slice_ref(body);
        let scan = count_values(&body).ok_or(SaveError::Content {
            rule: "content must be msgpack",
        })?;
        let mut fields = Fields::new("save", &body, scan);
        let (network, _) = fields.text("network must be text")?;
        let network = ProtocolId::from_text(network);
        let (id, _) = fields.id("id must be text of 1 to 256 bytes")?;
        let at = UnixTime::from_micros(fields.number("time must be a number")?);
        let reach = Duration::from_micros(fields.number("reach must be a number")?);
        let streams = read_streams(&mut fields)?;
        let letters = read_streams(&mut fields)?;
        let left_out = read_streams(&mut fields)?;
        let own = read_list(&mut fields, |list| {
            Ok(body.slice_ref(list.bytes("a message must be bytes")?))
        })?;
        let ids = read_list(&mut fields, |list| {
            let rule = "an id must be 32 bytes";
            let bytes = list.bytes(rule)?.try_into();
            let bytes = bytes.map_err(|_other_len| list.breaks(rule))?;
            Ok(MessageId::from_bytes(bytes))
        })?;
        let has_all_ids = fields.number("the mark of all ids must be a number")? != 0;
        let addresses = read_list(&mut fields, read_address)?;
        Ok(Self {
            network,
            id,
            at,
            reach,
            streams,
            letters,
            own,
            left_out,
            ids,
            has_all_ids,
            addresses,
        })
    }
}

/// Checks all but the content, which is returned.
fn check(bytes: &[u8]) -> Result<&[u8], SaveError> {
    let Some((magic, rest)) = bytes.split_first_chunk::<{ MAGIC.len() }>() else {
        // A beginning of one is one that was cut short.
        return Err(if !bytes.is_empty() && MAGIC.starts_with(bytes) {
            let have = bytes.len();
            let want = (HEAD_LEN + HASH_LEN) as u64;
            SaveError::Length { have, want }
        } else {
            SaveError::NotASave
        });
    };
    if magic != MAGIC {
        return Err(SaveError::NotASave);
    }
    let have = bytes.len();
    let short = SaveError::Length {
        have,
        want: (HEAD_LEN + HASH_LEN) as u64,
    };
    let Some((&version, rest)) = rest.split_first() else {
        return Err(short);
    };
    if version != VERSION {
        let known = VERSION;
        return Err(SaveError::Version {
            found: version,
            known,
        });
    }
    let Some((len, rest)) = rest.split_first_chunk() else {
        return Err(short);
    };
    let len = u64::from_be_bytes(*len);
    let want = len.saturating_add((HEAD_LEN + HASH_LEN) as u64);
    if have as u64 != want {
        return Err(SaveError::Length { have, want });
    }
    let Some((content, hash)) = rest.split_last_chunk::<HASH_LEN>() else {
        return Err(short);
    };
    let hashed = &bytes[..have - HASH_LEN];
    if Sha256::digest(hashed)[..] != hash[..] {
        return Err(SaveError::Checksum);
    }
    Ok(content)
}

/// Returns how many values the bytes are, if they are nothing else.
fn count_values(mut bytes: &[u8]) -> Option<u32> {
    let mut count = 0_u32;
    while !bytes.is_empty() {
        let scan = msgpack::scan(bytes, msgpack::MAX_DEPTH).ok()?;
        bytes = bytes.get(scan.len..)?;
        count = count.checked_add(1)?;
    }
    Some(count)
}

fn put_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    msgpack::put_bin(out, bytes).expect("what a node holds is far below 4 GiB");
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_array_head(out, items.len());
    items.iter().for_each(|item| put(out, item));
}

/// Writes each as `[origin, epoch, upto, [first, last, …]]`.
fn put_streams(out: &mut Vec<u8>, streams: &[(Stream, StreamFrontier)]) {
    put_list(out, streams, |out, (stream, known)| {
        put_array_head(out, 4);
        put_text(out, stream.origin.as_str(), IdForm::Str);
        msgpack::put_int(out, stream.epoch.into());
        msgpack::put_int(out, known.upto().into());
        put_array_head(out, 2 * known.beyond().range_count());
        for (first, last) in known.beyond().iter() {
            msgpack::put_int(out, first.into());
            msgpack::put_int(out, last.into());
        }
    });
}

fn put_address(out: &mut Vec<u8>, (address, id, standing): &(Address, Option<NodeId>, Standing)) {
    put_array_head(out, 4);
    put_text(out, address.host(), IdForm::Str);
    msgpack::put_int(out, u64::from(address.port()).into());
    msgpack::put_int(out, standing.number().into());
    match id {
        Some(id) => put_text(out, id.as_str(), IdForm::Str),
        None => msgpack::put_nil(out),
    }
}

fn read_list<T>(
    fields: &mut Fields<'_>,
    mut read: impl FnMut(&mut Fields<'_>) -> Result<T, ControlFault>,
) -> Result<Vec<T>, ControlFault> {
    let mut list = fields.list("a list is missing")?;
    let (count, _) = list.rest();
    (0..count).map(|_| read(&mut list)).collect()
}

fn read_streams(fields: &mut Fields<'_>) -> Result<Vec<(Stream, StreamFrontier)>, ControlFault> {
    read_list(fields, |list| {
        let mut entry = list.list("a stream must be a list")?;
        let (origin, _) = entry.id("origin must be text of 1 to 256 bytes")?;
        let epoch = entry.number("epoch must be a number")?;
        let upto = entry.number("upto must be a number")?;
        let mut ranges = entry.list("ranges must be a list")?;
        let (count, _) = ranges.rest();
        let rule = "ranges must be pairs of numbers";
        let mut pair = || Ok((ranges.number(rule)?, ranges.number(rule)?));
        let pairs = (0..count / 2).map(|_| pair());
        let beyond: Ranges = pairs.collect::<Result<_, ControlFault>>()?;
        let stream = Stream { origin, epoch };
        Ok((stream, StreamFrontier::new(upto, beyond)))
    })
}

fn read_address(
    list: &mut Fields<'_>,
) -> Result<(Address, Option<NodeId>, Standing), ControlFault> {
    let mut entry = list.list("an address must be a list")?;
    let rule = "an address must be a host and a port";
    let (host, _) = entry.text(rule)?;
    let port = u16::try_from(entry.number(rule)?);
    let address = port.ok().and_then(|port| Address::new(host, port).ok());
    let standing = Standing::of_number(entry.number("standing must be a number")?);
    let id = entry.id("id must be text or nil").ok().map(|(id, _)| id);
    Ok((address.ok_or_else(|| entry.breaks(rule))?, id, standing))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn save() -> Save {
        let stream = |name: &str, epoch| Stream {
            origin: NodeId::new(name).unwrap(),
            epoch,
        };
        let known = StreamFrontier::new(7, Ranges::of(9, u64::MAX));
        Save {
            network: ProtocolId::from_text("net"),
            id: NodeId::new("me").unwrap(),
            at: UnixTime::from_micros(1_700_000_000_123_456),
            reach: Duration::from_micros(77_654_321),
            streams: vec![
                (stream("a", 1), known.clone()),
                (stream("b", u64::MAX), StreamFrontier::default()),
            ],
            letters: vec![(stream("c", 5), known.clone())],
            own: vec![Bytes::from_static(b"mine"), Bytes::new()],
            left_out: vec![(stream("me", 4), known)],
            ids: vec![MessageId::of(b"x")],
            has_all_ids: true,
            addresses: vec![
                ("10.0.0.1:5".parse().unwrap(), None, Standing::Lost),
                (
                    "host:6".parse().unwrap(),
                    Some(NodeId::new("n").unwrap()),
                    Standing::Hearsay,
                ),
            ],
        }
    }

    #[test]
    fn what_was_saved_is_read_again() {
        assert_eq!(Save::decode(&save().encode()), Ok(save()));
    }

    #[test]
    fn what_is_cut_off_anywhere_is_no_save() {
        let good = save().encode();
        for len in 0..good.len() {
            let error = Save::decode(&good.slice(..len)).unwrap_err();
            let expected = if len == 0 {
                matches!(error, SaveError::NotASave)
            } else {
                matches!(error, SaveError::Length { have, .. } if have == len)
            };
            assert!(expected, "{len}: {error}");
        }
        let longer = [&good[..], b"x"].concat();
        let error = Save::decode(&longer.into()).unwrap_err();
        assert!(matches!(error, SaveError::Length { .. }));
    }

    #[test]
    fn any_other_bit_is_noticed() {
        let good = save().encode();
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            assert!(Save::decode(&bad.into()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn what_is_something_else_is_said_to_be() {
        let of = |bytes: &'static [u8]| Save::decode(&Bytes::from_static(bytes)).unwrap_err();
        assert_eq!(of(b"{\"json\": true}"), SaveError::NotASave);
        let later = SaveError::Version { found: 3, known: 2 };
        assert_eq!(of(b"rs2p save\r\n\x03whatever"), later);
        // A checksum that fits makes nothing right.
        let mut forged = [&MAGIC[..], &[VERSION], &1_u64.to_be_bytes(), &[0xc0]].concat();
        let hash = Sha256::digest(&forged);
        forged.extend_from_slice(&hash);
        let rule = "network must be text";
        assert_eq!(
            Save::decode(&forged.into()),
            Err(SaveError::Content { rule })
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Save::decode(&content.clone().into());
            let len = (content.len() as u64).to_be_bytes();
            let mut forged = [&MAGIC[..], &[VERSION], &len, &content].concat();
            let hash = Sha256::digest(&forged);
            forged.extend_from_slice(&hash);
            let _ = Save::decode(&forged.into());
        }
    }
}
