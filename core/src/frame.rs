//! Frames: a length in four bytes, then a body; the body is `sha256(packed) packed`, compressed or
//! not. See [`FrameReader`] for the stream and [`Frame::open`] for the body.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::PeerFault;
use crate::id::MessageId;
use crate::wire::compress::{self, DecompressFault, Method};

/// The length of the length field.
pub(crate) const PREFIX_LEN: usize = 4;

/// The length of the checksum that a plain body starts with.
pub(crate) const CHECKSUM_LEN: usize = 32;

/// Room that is made for a body before its bytes arrive. A larger body gets more as they come: an
/// announced length alone costs nothing.
const EAGER_LEN: usize = 16 << 10;

/// Nothing shorter than this can be a body: a checksum does not compress, and a message has at
/// least one byte.
const MIN_BODY_LEN: usize = CHECKSUM_LEN + 1;

/// A whole frame as it came, its length field first. A relay passes on these very bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame(Bytes);

impl Frame {
    pub(crate) fn body(&self) -> &[u8] {
        &self.0[PREFIX_LEN..]
    }

    /// Opens the body. The checksum is the judge of how it is compressed: what was negotiated is no sure
    /// guide, since a peer may send plain frames on a compressed link, and by an old list after a new one.
    ///
    /// `last` is the method of the link's last frame. A guess by the first bytes and by `last` makes
    /// it one checksum and one decompression for nearly every frame.
    ///
    /// # Errors
    ///
    /// No way of reading it gives a fitting checksum, or one gives more than `limit` bytes.
    pub(crate) fn open(&self, last: Option<Method>, limit: usize) -> Result<Opened, PeerFault> {
        let body = self.body();
        let sniffed = Method::sniff(body);
        let guess = sniffed.or_else(|| last.filter(|method| *method == Method::Snappy));
        let mut too_long = false;
        let mut attempt = |method: Option<Method>| match method {
            None => check(&self.0, PREFIX_LEN, None),
            Some(method) => match compress::decompress(method, body, limit) {
                Ok(plain) => check(&Bytes::from(plain), 0, Some(method)),
                Err(fault) => {
                    too_long |= matches!(fault, DecompressFault::TooLong { .. });
                    None
                }
            },
        };
        let methods = Method::built().filter(|method| Some(*method) != guess);
        let opened = guess
            .and_then(|method| attempt(Some(method)))
            .or_else(|| attempt(None))
            .or_else(|| methods.into_iter().find_map(|method| attempt(Some(method))));
        opened.ok_or_else(|| {
            if too_long {
                PeerFault::FrameTooLong {
                    len: limit.saturating_add(1),
                    limit,
                }
            } else {
                PeerFault::Checksum
            }
        })
    }

    /// Takes a plain body apart. Whether the checksum at its front is that of the message is another matter.
    #[cfg(feature = "sabotage")]
    pub(crate) fn open_unchecked(&self) -> Opened {
        let packed = self.0.slice(PREFIX_LEN + CHECKSUM_LEN..);
        let (id, method) = (MessageId::of(&packed), None);
        Opened { id, packed, method }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// Cuts a byte stream into frames, however it is cut itself.
#[derive(Clone, Debug)]
pub(crate) struct FrameReader {
    limit: usize,
    /// The beginning of a frame. Empty between frames.
    partial: BytesMut,
}

impl FrameReader {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: BytesMut::new(),
        }
    }

    /// Takes bytes from the front of `input`, and returns a frame once one is complete. With
    /// `None`, all of `input` was taken.
    ///
    /// # Errors
    ///
    /// The announced length breaks a rule. The stream cannot be read on.
    pub(crate) fn take(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, PeerFault> {
        if self.partial.is_empty() {
            // The usual case: a whole frame is there. One copy.
            if let Some(len) = announced_len(input, self.limit)? {
                if let Some((frame, rest)) = input.split_at_checked(PREFIX_LEN + len) {
                    *input = rest;
                    return Ok(Some(Frame(Bytes::copy_from_slice(frame))));
                }
                self.partial.reserve((PREFIX_LEN + len).min(EAGER_LEN));
            }
        } else if self.partial.len() < PREFIX_LEN {
            self.fill(PREFIX_LEN, input);
        }
        let Some(len) = announced_len(&self.partial, self.limit)? else {
            self.fill(PREFIX_LEN, input);
            if self.partial.len() < PREFIX_LEN {
                return Ok(None);
            }
            return self.take(input);
        };
        self.fill(PREFIX_LEN + len, input);
        if self.partial.len() < PREFIX_LEN + len {
            return Ok(None);
        }
        Ok(Some(Frame(self.partial.split().freeze())))
    }

    /// Passes over the frame at the front of `input`, without a copy of it, if all of it is there and `is_known` says
    /// so of an id that it [may carry](carried_ids). Returns whether it did.
    pub(crate) fn skip(&self, input: &mut &[u8], is_known: impl Fn(&MessageId) -> bool) -> bool {
        if !self.partial.is_empty() {
            return false;
        }
        // What breaks a rule is for `take` to tell.
        let Ok(Some(len)) = announced_len(input, self.limit) else {
            return false;
        };
        let Some((frame, rest)) = input.split_at_checked(PREFIX_LEN + len) else {
            return false;
        };
        let skips = carried_ids(&frame[PREFIX_LEN..]).any(|id| is_known(&id));
        if skips {
            *input = rest;
        }
        skips
    }

    /// Moves bytes from the front of `input` until there are `len` of the frame.
    fn fill(&mut self, len: usize, input: &mut &[u8]) {
        let n = input.len().min(len - self.partial.len());
        self.partial.extend_from_slice(&input[..n]);
        input.advance(n);
    }

    /// Returns how many bytes of an unfinished frame there are.
    pub(crate) fn partial_len(&self) -> usize {
        self.partial.len()
    }
}

/// Reads the length field, if it is all there.
fn announced_len(bytes: &[u8], limit: usize) -> Result<Option<usize>, PeerFault> {
    let Some(prefix) = bytes.first_chunk::<PREFIX_LEN>() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes(*prefix) as usize;
    if len > limit {
        return Err(PeerFault::FrameTooLong { len, limit });
    }
    if len < MIN_BODY_LEN {
        return Err(PeerFault::FrameTooShort { len });
    }
    Ok(Some(len))
}

/// Returns the ids that a body says it carries, at a glance: if it is plain, and if it is compressed by snappy.
///
/// Nothing here is checked. Whether a body is worth opening can be told by it, and no more.
pub(crate) fn carried_ids(body: &[u8]) -> impl Iterator<Item = MessageId> {
    let plain = body.first_chunk::<CHECKSUM_LEN>();
    let ids = plain.into_iter().chain(snappy_start(body));
    ids.map(|id| MessageId::from_bytes(*id))
}

/// Returns the first bytes of what a snappy block holds, if it is one that begins with at least so many as they are: a
/// checksum does not repeat itself, so one at the front is never written otherwise.
fn snappy_start(body: &[u8]) -> Option<&[u8; CHECKSUM_LEN]> {
    // The length of the whole, seven bits in each byte.
    let end = body.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    let (head, rest) = body.split_at(end + 1);
    let len = head
        .iter()
        .rev()
        .fold(0, |len, byte| len << 7 | usize::from(byte & 0x7f));
    if len < body.len() {
        // It would have been sent as it is.
        return None;
    }
    // The mark of bytes that are there as they are: two bits of zero, and their number less one, or how long that is.
    let (mark, rest) = rest.split_first()?;
    let (count, start) = match (mark & 3, usize::from(mark >> 2)) {
        (0, count @ ..60) => (count, 0),
        (0, 60) => (usize::from(*rest.first()?), 1),
        (0, 61) => (usize::from(u16::from_le_bytes(*rest.first_chunk()?)), 2),
        _ => return None,
    };
    if count + 1 < CHECKSUM_LEN {
        return None;
    }
    rest.get(start..)?.first_chunk()
}

/// A body that was opened: its checksum fits.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) id: MessageId,
    pub(crate) packed: Bytes,
    /// How it was compressed.
    pub(crate) method: Option<Method>,
}

/// Takes apart a plain body that has so many bytes before it, if its checksum fits.
fn check(bytes: &Bytes, head: usize, method: Option<Method>) -> Option<Opened> {
    let (checksum, packed) = bytes[head..].split_first_chunk::<CHECKSUM_LEN>()?;
    if packed.is_empty() {
        return None;
    }
    let id = MessageId::of(packed);
    (id.as_bytes() == checksum).then(|| Opened {
        id,
        packed: bytes.slice(head + CHECKSUM_LEN..),
        method,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len()).unwrap();
        [&len.to_be_bytes()[..], body].concat()
    }

    fn read_all(reader: &mut FrameReader, mut input: &[u8]) -> Result<Vec<Bytes>, PeerFault> {
        let mut bodies = Vec::new();
        while let Some(frame) = reader.take(&mut input)? {
            bodies.push(Bytes::copy_from_slice(frame.body()));
        }
        assert!(input.is_empty());
        Ok(bodies)
    }

    #[test]
    fn the_length_is_checked_at_its_limits() {
        for (len, expected) in [
            (0, Err(PeerFault::FrameTooShort { len: 0 })),
            (32, Err(PeerFault::FrameTooShort { len: 32 })),
            (33, Ok(vec![])),
            (100, Ok(vec![])),
            (
                101,
                Err(PeerFault::FrameTooLong {
                    len: 101,
                    limit: 100,
                }),
            ),
        ] {
            let mut reader = FrameReader::new(100);
            let prefix = u32::to_be_bytes(len);
            assert_eq!(read_all(&mut reader, &prefix), expected, "length {len}");
        }
    }

    #[test]
    fn a_frame_is_passed_over_when_all_of_it_is_there_and_known() {
        let stream = [frame(&[7; 40]), frame(&[8; 40])].concat();
        let (limit, is_seven) = (100, |id: &MessageId| *id.as_bytes() == [7; 32]);
        let mut reader = FrameReader::new(limit);
        let mut input = &stream[..43];
        assert!(!reader.skip(&mut input, is_seven), "a byte is missing");
        input = &stream[..];
        assert!(reader.skip(&mut input, is_seven));
        assert!(!reader.skip(&mut input, is_seven), "another one");
        assert_eq!(input.len(), 44);
        assert_eq!(reader.take(&mut &input[..20]), Ok(None));
        let mut again = &stream[..];
        assert!(!reader.skip(&mut again, is_seven), "within a frame");
        let long = frame(&[7; 101]);
        assert!(!FrameReader::new(limit).skip(&mut &long[..], is_seven));
    }

    #[cfg(feature = "snappy")]
    #[test]
    fn the_id_of_a_compressed_message_is_seen_at_a_glance() {
        use crate::encode::Encoder;

        for len in [40, 60, 300, 70_000] {
            let packed = Bytes::from(vec![7; len]);
            let id = MessageId::of(&packed);
            let mut encoder = Encoder::new(id, packed);
            let compressed = encoder.frame(Some(Method::Snappy));
            assert!(compressed.len() < encoder.plain_len());
            let body = &compressed[PREFIX_LEN..];
            assert_eq!(snappy_start(body), Some(id.as_bytes()), "{len} bytes");
            assert!(carried_ids(body).any(|carried| carried == id));
            let plain = encoder.frame(None);
            assert_eq!(carried_ids(&plain[PREFIX_LEN..]).next(), Some(id));
            for cut in 0..36 {
                assert_eq!(
                    snappy_start(&body[..cut.min(body.len())]).filter(|_| cut < 34),
                    None
                );
            }
        }
    }

    #[test]
    fn an_announced_length_alone_costs_little_memory() {
        let mut reader = FrameReader::new(1 << 30);
        let prefix = u32::to_be_bytes(1 << 30);
        assert_eq!(read_all(&mut reader, &prefix), Ok(vec![]));
        assert_eq!(read_all(&mut reader, b"x"), Ok(vec![]));
        assert!(reader.partial.capacity() <= 2 * EAGER_LEN);
        assert_eq!(reader.partial_len(), 5);
    }

    #[test]
    fn a_plain_body_that_looks_like_zlib_is_opened() {
        // A checksum that starts like a zlib header: found by trying.
        let (packed, _) = (0u32..)
            .map(|n| n.to_be_bytes())
            .map(|packed| (packed, MessageId::of(&packed)))
            .find(|(_, id)| Method::sniff(id.as_bytes()).is_some())
            .expect("one in some hundreds");
        let id = MessageId::of(&packed);
        let body = [&id.as_bytes()[..], &packed].concat();
        let opened = Frame(frame(&body).into())
            .open(None, 1000)
            .expect("the checksum decides");
        assert_eq!((opened.id, opened.method), (id, None));
        assert_eq!(opened.packed[..], packed);
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_bodies(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 33..300), 0..8),
            cuts in prop::collection::vec(1usize..40, 1..200),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
            let mut reader = FrameReader::new(1000);
            let mut got = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                got.extend(read_all(&mut reader, piece).unwrap());
                rest = tail;
            }
            prop_assert_eq!(got, bodies);
            prop_assert_eq!(reader.partial_len(), 0);
        }

        #[test]
        fn no_body_makes_opening_panic(body: Vec<u8>) {
            carried_ids(&body).for_each(drop);
            let _ = Frame(frame(&body).into()).open(Some(Method::Snappy), 4096);
        }
    }
}
