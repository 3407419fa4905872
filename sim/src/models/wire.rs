//! The legacy protocol's bytes, read and written for the models alone. It shares no line with the core's own codec, so
//! that the two check each other.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder, ZlibEncoder};
use sha2::{Digest, Sha256, Sha384};

use super::Flavour;

/// The length of a frame's length.
pub(super) const PREFIX: usize = 4;

/// The length of a checksum, which is also a message's id.
pub(super) const CHECKSUM: usize = 32;

/// The method that every node prefers which has no snappy.
pub(super) const ZLIB: i128 = 19;

const GZIP: i128 = 17;

/// How deep a js2p message may nest in the model. The real limit is above 2900, which is too deep for a small stack.
const JS2P_DEPTH: u32 = 600;

/// CPython's limit of recursion: an array costs three calls, a map two.
const PY2P_DEPTH: u32 = 984;

/// A msgpack value. Text is kept as bytes, because js2p takes what is not UTF-8.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Vec<u8>),
    Bin(Vec<u8>),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
    Ext(i8, Vec<u8>),
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }

    /// Returns the bytes of text or of a bin.
    pub(super) fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) | Self::Bin(bytes) => Some(bytes),
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Array(_)
            | Self::Map(_)
            | Self::Ext(..) => None,
        }
    }

    pub(super) fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Bin(_)
            | Self::Map(_)
            | Self::Ext(..) => None,
        }
    }

    /// Returns whether a map is anywhere in it.
    fn has_map(&self) -> bool {
        match self {
            Self::Map(_) => true,
            Self::Array(items) => items.iter().any(Self::has_map),
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Bin(_)
            | Self::Ext(..) => false,
        }
    }
}

/// Why bytes are not understood: the link ends.
pub(super) type Unreadable = &'static str;

/// Packs a value as the package does.
pub(super) fn pack(value: &Value, flavour: Flavour, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.push(0xc0),
        Value::Bool(is) => out.push(if *is { 0xc3 } else { 0xc2 }),
        Value::Int(n) => pack_int(*n, flavour, out),
        Value::Float(x) => {
            out.push(0xcb);
            out.extend_from_slice(&x.to_be_bytes());
        }
        Value::Text(bytes) => {
            pack_len(
                bytes.len(),
                [Some((0xa0, 32)), Some((0xd9, 256))],
                0xda,
                out,
            );
            out.extend_from_slice(bytes);
        }
        Value::Bin(bytes) => {
            // js2p takes 255 for too long for one byte.
            let short = if flavour == Flavour::Js2p { 255 } else { 256 };
            pack_len(bytes.len(), [None, Some((0xc4, short))], 0xc5, out);
            out.extend_from_slice(bytes);
        }
        Value::Array(items) => {
            pack_len(items.len(), [Some((0x90, 16)), None], 0xdc, out);
            for item in items {
                pack(item, flavour, out);
            }
        }
        Value::Map(pairs) => {
            pack_len(pairs.len(), [Some((0x80, 16)), None], 0xde, out);
            for (key, value) in pairs {
                pack(key, flavour, out);
                pack(value, flavour, out);
            }
        }
        Value::Ext(kind, bytes) => {
            pack_len(bytes.len(), [None, Some((0xc7, 256))], 0xc8, out);
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

/// Packs a length in its smallest form: in the code itself, in one byte, in two or in four. Each form has a first code,
/// and the first two a first length that is too long.
fn pack_len(len: usize, [fix, byte]: [Option<(u8, usize)>; 2], code: u8, out: &mut Vec<u8>) {
    let low = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
    if let Some((code, _)) = fix.filter(|(_, end)| len < *end) {
        out.push(code | low(len));
    } else if let Some((code, _)) = byte.filter(|(_, end)| len < *end) {
        out.extend_from_slice(&[code, low(len)]);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(code);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(code + 1);
        out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }
}

fn pack_int(n: i128, flavour: Flavour, out: &mut Vec<u8>) {
    let is_small = i32::try_from(n).is_ok();
    if flavour == Flavour::Js2p && !is_small {
        // Numbers beyond 32 bits are floats there; the model has none that a float cannot hold.
        #[expect(clippy::cast_precision_loss, reason = "as JavaScript does")]
        return pack(&Value::Float(n as f64), flavour, out);
    }
    let bytes = n.to_be_bytes();
    let (code, len) = match n {
        0..=0x7f => return out.push(bytes[15]),
        -32..=-1 => return out.push(bytes[15]),
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..=-33 => (0xd0, 1),
        -0x8000..=-0x81 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(code);
    out.extend_from_slice(&bytes[16 - len..]);
}

/// Reads the first value of a packed message; what follows it is of no interest.
///
/// # Errors
///
/// The package ends the link on it.
pub(super) fn unpack(packed: &[u8], flavour: Flavour) -> Result<Value, Unreadable> {
    Reader {
        rest: packed,
        flavour,
    }
    .value(0)
}

struct Reader<'a> {
    rest: &'a [u8],
    flavour: Flavour,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Unreadable> {
        let taken = self.rest.get(..len).ok_or("msgpack: truncated")?;
        self.rest = &self.rest[len..];
        Ok(taken)
    }

    fn uint(&mut self, len: usize) -> Result<u64, Unreadable> {
        let bytes = self.take(len)?.iter();
        Ok(bytes.fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn int(&mut self, len: usize) -> Result<Value, Unreadable> {
        let shift = 64 - 8 * u32::try_from(len).unwrap_or(8);
        let unsigned = self.uint(len)? << shift;
        Ok(Value::Int(i128::from(unsigned.cast_signed() >> shift)))
    }

    fn len(&mut self, len: usize) -> Result<usize, Unreadable> {
        usize::try_from(self.uint(len)?).or(Err("msgpack: too long"))
    }

    fn value(&mut self, depth: u32) -> Result<Value, Unreadable> {
        let code = self.take(1)?[0];
        let low = usize::from(code);
        match code {
            0x00..=0x7f => Ok(Value::Int(i128::from(code))),
            0xe0..=0xff => Ok(Value::Int(i128::from(code.cast_signed()))),
            0x80..=0x8f => self.map(low & 15, depth),
            0x90..=0x9f => self.array(low & 15, depth),
            0xa0..=0xbf => self.text(low & 31),
            0xc0 => Ok(Value::Nil),
            0xc1 => Err("msgpack: a code without meaning"),
            0xc2 | 0xc3 => Ok(Value::Bool(code == 0xc3)),
            0xc4..=0xc6 => {
                let len = self.len(1 << (code - 0xc4))?;
                Ok(Value::Bin(self.take(len)?.to_vec()))
            }
            0xc7..=0xc9 => {
                let len = self.len(1 << (code - 0xc7))?;
                self.ext(len)
            }
            0xca => {
                let bits = u32::try_from(self.uint(4)?).unwrap_or(0);
                Ok(Value::Float(f64::from(f32::from_bits(bits))))
            }
            0xcb => Ok(Value::Float(f64::from_bits(self.uint(8)?))),
            0xcc..=0xcf => Ok(Value::Int(i128::from(self.uint(1 << (code - 0xcc))?))),
            0xd0..=0xd3 => self.int(1 << (code - 0xd0)),
            0xd4..=0xd8 => self.ext(1 << (code - 0xd4)),
            0xd9..=0xdb => {
                let len = self.len(1 << (code - 0xd9))?;
                self.text(len)
            }
            0xdc | 0xdd => {
                let len = self.len(if code == 0xdc { 2 } else { 4 })?;
                self.array(len, depth)
            }
            0xde | 0xdf => {
                let len = self.len(if code == 0xde { 2 } else { 4 })?;
                self.map(len, depth)
            }
        }
    }

    /// Returns how deep it is inside an array or a map, as the package counts.
    fn deeper(&self, depth: u32, cost: u32) -> Result<u32, Unreadable> {
        let (cost, limit) = match self.flavour {
            Flavour::Py2p => (cost, PY2P_DEPTH),
            Flavour::Js2p => (1, JS2P_DEPTH),
        };
        let depth = depth + cost;
        // The message itself is an array, and does not count.
        if depth > limit + cost {
            return Err("msgpack: nested too deep");
        }
        Ok(depth)
    }

    fn array(&mut self, len: usize, depth: u32) -> Result<Value, Unreadable> {
        let depth = self.deeper(depth, 3)?;
        let items = (0..len).map(|_| self.value(depth));
        Ok(Value::Array(items.collect::<Result<_, _>>()?))
    }

    fn map(&mut self, len: usize, depth: u32) -> Result<Value, Unreadable> {
        let depth = self.deeper(depth, 2)?;
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        for _ in 0..len {
            let (key, value) = (self.value(depth)?, self.value(depth)?);
            if self.flavour == Flavour::Py2p {
                if key.has_map() {
                    return Err("msgpack: a map as a key");
                }
                if pairs.iter().any(|(other, _)| *other == key) {
                    return Err("msgpack: a key twice");
                }
            }
            pairs.push((key, value));
        }
        Ok(Value::Map(pairs))
    }

    fn text(&mut self, len: usize) -> Result<Value, Unreadable> {
        let bytes = self.take(len)?;
        if self.flavour == Flavour::Py2p && std::str::from_utf8(bytes).is_err() {
            return Err("msgpack: text that is not UTF-8");
        }
        Ok(Value::Text(bytes.to_vec()))
    }

    fn ext(&mut self, len: usize) -> Result<Value, Unreadable> {
        let kind = self.take(1)?[0].cast_signed();
        let bytes = self.take(len)?.to_vec();
        match (self.flavour, kind) {
            (Flavour::Py2p, -1) if ![4, 8, 12].contains(&len) => {
                Err("msgpack: a time of an unknown length")
            }
            (Flavour::Js2p, 10) if !is_pattern(&bytes) => Err("msgpack: a pattern that is none"),
            _ => Ok(Value::Ext(kind, bytes)),
        }
    }
}

/// Returns whether js2p can make a regular expression of it.
fn is_pattern(bytes: &[u8]) -> bool {
    let read = unpack(bytes, Flavour::Js2p);
    let items = read.as_ref().ok().and_then(Value::as_array);
    matches!(items, Some([Value::Text(_), ..]))
}

/// Returns the id of a packed message.
pub(super) fn id_of(packed: &[u8]) -> [u8; 32] {
    Sha256::digest(packed).into()
}

/// Makes a frame of a packed message, compressed by the first of our methods that the other side listed.
pub(super) fn seal(packed: &[u8], theirs: &[Value]) -> Bytes {
    let mut plain = Vec::with_capacity(PREFIX + CHECKSUM + packed.len());
    plain.extend_from_slice(&[0; PREFIX]);
    plain.extend_from_slice(&id_of(packed));
    plain.extend_from_slice(packed);
    if theirs.contains(&Value::Int(ZLIB)) {
        let mut zlib = ZlibEncoder::new(&plain[PREFIX..], flate2::Compression::default());
        let mut out = vec![0; PREFIX];
        if zlib.read_to_end(&mut out).is_ok() {
            plain = out;
        }
    }
    let len = u32::try_from(plain.len() - PREFIX).unwrap_or(u32::MAX);
    plain[..PREFIX].copy_from_slice(&len.to_be_bytes());
    Bytes::from(plain)
}

/// Returns where the first frame ends, if its length is there.
pub(super) fn first_end(stream: &[u8]) -> Option<usize> {
    let prefix = stream.first_chunk::<PREFIX>()?;
    usize::try_from(u32::from_be_bytes(*prefix))
        .ok()?
        .checked_add(PREFIX)
}

/// Returns the packed message of a frame's body, from someone who listed these methods.
///
/// # Errors
///
/// The package ends the link on it.
pub(super) fn open(body: &[u8], listed: &[Value], flavour: Flavour) -> Result<Bytes, Unreadable> {
    let known = [ZLIB, GZIP].into_iter();
    let known = |method: &Value| known.clone().find(|n| *method == Value::Int(*n));
    let methods = listed.iter().filter_map(known);
    let mut plain = None;
    for method in methods {
        plain = inflate(body, method, flavour)?;
        if plain.is_some() {
            break;
        }
    }
    let plain = plain.map_or_else(|| Bytes::copy_from_slice(body), Bytes::from);
    if plain.len() <= CHECKSUM {
        return Err("frame: too short");
    }
    if plain[..CHECKSUM] != id_of(&plain[CHECKSUM..]) {
        return Err("frame: a wrong checksum");
    }
    Ok(plain.slice(CHECKSUM..))
}

/// Tries one method. What follows the stream is ignored, but for gzip in js2p.
fn inflate(body: &[u8], method: i128, flavour: Flavour) -> Result<Option<Vec<u8>>, Unreadable> {
    let mut out = Vec::new();
    let is_gzip = body.starts_with(&[0x1f, 0x8b]);
    let read = match flavour {
        // Python's zlib tells the two apart by their beginning.
        Flavour::Py2p if is_gzip => GzDecoder::new(body).read_to_end(&mut out),
        Flavour::Py2p => ZlibDecoder::new(body).read_to_end(&mut out),
        Flavour::Js2p if method == GZIP => {
            let mut gzip = GzDecoder::new(body);
            let read = gzip.read_to_end(&mut out);
            // Nothing may follow this one.
            read.and_then(|_| match gzip.into_inner() {
                [] => Ok(0),
                _ => Err(std::io::ErrorKind::InvalidData.into()),
            })
        }
        // js2p's does not look at the checksum behind the stream.
        Flavour::Js2p => {
            let looks_so = body.len() > 2
                && body[0] & 15 == 8
                && (u16::from(body[0]) << 8 | u16::from(body[1])) % 31 == 0;
            if !looks_so {
                return Ok(None);
            }
            let read = DeflateDecoder::new(&body[2..]).read_to_end(&mut out);
            if read.is_err() {
                // It spins for ever or takes rubbish; the model ends the link for both.
                return Err("frame: looks compressed, and is not");
            }
            read
        }
    };
    Ok(read.ok().map(|_| out))
}

/// Returns bytes as one big number in base58. Zeros in front are not shown.
pub(super) fn base58(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    match &bytes[zeros..] {
        [] => "1".to_owned(),
        rest => bs58::encode(rest).into_string(),
    }
}

/// Returns the number that a base58 text stands for, in a form that compares as numbers do.
pub(super) fn base58_number(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let bytes = bs58::decode(text).into_vec().ok()?;
    let rest: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    Some((rest.len(), rest))
}

/// Returns the id of a network.
pub(super) fn protocol_id(subnet: &str, encryption: &str) -> String {
    base58(&Sha256::digest(format!("{subnet}{encryption}0.7")))
}

/// Returns the id of a node at an address.
pub(super) fn node_id(
    host: &str,
    port: u16,
    protocol_id: &str,
    salt: &str,
    flavour: Flavour,
) -> String {
    let address = match flavour {
        Flavour::Py2p => format!("('{host}', {port})"),
        Flavour::Js2p => format!("({host}, {port})"),
    };
    base58(&Sha384::digest(format!("{address}{protocol_id}{salt}")))
}

/// Returns the name of a request that answers a message, as js2p makes it.
pub(super) fn request_id(sender: &[u8], time: u64) -> String {
    let mut text = sender.to_vec();
    let bytes = time.to_be_bytes();
    text.extend_from_slice(base58(&bytes).as_bytes());
    base58(&Sha384::digest(&text))
}
