//! Msgpack as a stream of heads: reading without recursion, writing in the shortest forms.
//!
//! Everything that reads values is built on [`Cursor`], which never allocates and never believes a length before
//! the bytes are there.

use rmp::encode;

use super::fault::MsgpackFault;
use super::int::Int;

/// How deep arrays and maps may nest, at most, in anything that this node reads.
///
/// py2p reads down to about 328 arrays and js2p to about 2960, so this is deeper than what the one can read and far
/// less than what the other can; a guess as to what anybody needs.
pub(crate) const MAX_DEPTH: usize = 512;

/// What is no deeper than this is read with less room.
const SHALLOW: usize = 8;

/// The start of a value: all of a number, for the rest the kind and the length of what follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Head {
    Nil,
    Bool(bool),
    Int(Int),
    Float(f64),
    /// That many bytes of text follow, in UTF-8 if the writer keeps to the rules.
    Str(usize),
    Bin(usize),
    Ext(i8, usize),
    /// That many values follow.
    Array(u32),
    /// Twice that many values follow.
    Map(u32),
}

impl Head {
    /// Returns how many values follow this one as its parts.
    const fn parts(self) -> u64 {
        match self {
            Self::Array(len) => len as u64,
            Self::Map(len) => 2 * len as u64,
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Str(_)
            | Self::Bin(_)
            | Self::Ext(..) => 0,
        }
    }

    /// Returns the integer that this is: an int, or a float with an integral value.
    ///
    /// js2p writes numbers from 2^31 on as floats, and both older libraries take either for the same number.
    pub(crate) fn as_integer(self) -> Option<Int> {
        match self {
            Self::Int(int) => Some(int),
            Self::Float(float) => Int::from_float(float),
            Self::Nil
            | Self::Bool(_)
            | Self::Str(_)
            | Self::Bin(_)
            | Self::Ext(..)
            | Self::Array(_)
            | Self::Map(_) => None,
        }
    }
}

/// A place in bytes that hold msgpack.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns how many bytes were read.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Reads the head of the next value. What the head announces follows: [`Cursor::content`], or more heads.
    pub(crate) fn head(&mut self) -> Result<Head, MsgpackFault> {
        let [code] = self.array()?;
        // By the table of the format's specification; to go through `rmp`'s enum of markers would be to match twice.
        Ok(match code {
            0x00..=0x7f => Head::Int(code.into()),
            0x80..=0x8f => Head::Map((code & 0x0f).into()),
            0x90..=0x9f => Head::Array((code & 0x0f).into()),
            0xa0..=0xbf => Head::Str((code & 0x1f).into()),
            0xc0 => Head::Nil,
            0xc1 => return Err(MsgpackFault::Reserved),
            0xc2 => Head::Bool(false),
            0xc3 => Head::Bool(true),
            0xc4 => Head::Bin(self.len8()?),
            0xc5 => Head::Bin(self.len16()?),
            0xc6 => Head::Bin(self.len32()?),
            0xc7 => {
                let len = self.len8()?;
                self.ext(len)?
            }
            0xc8 => {
                let len = self.len16()?;
                self.ext(len)?
            }
            0xc9 => {
                let len = self.len32()?;
                self.ext(len)?
            }
            0xca => Head::Float(f32::from_be_bytes(self.array()?).into()),
            0xcb => Head::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Head::Int(u8::from_be_bytes(self.array()?).into()),
            0xcd => Head::Int(u16::from_be_bytes(self.array()?).into()),
            0xce => Head::Int(u32::from_be_bytes(self.array()?).into()),
            0xcf => Head::Int(u64::from_be_bytes(self.array()?).into()),
            0xd0 => Head::Int(i8::from_be_bytes(self.array()?).into()),
            0xd1 => Head::Int(i16::from_be_bytes(self.array()?).into()),
            0xd2 => Head::Int(i32::from_be_bytes(self.array()?).into()),
            0xd3 => Head::Int(i64::from_be_bytes(self.array()?).into()),
            0xd4..=0xd8 => self.ext(1 << (code - 0xd4))?,
            0xd9 => Head::Str(self.len8()?),
            0xda => Head::Str(self.len16()?),
            0xdb => Head::Str(self.len32()?),
            0xdc => Head::Array(u16::from_be_bytes(self.array()?).into()),
            0xdd => Head::Array(u32::from_be_bytes(self.array()?)),
            0xde => Head::Map(u16::from_be_bytes(self.array()?).into()),
            0xdf => Head::Map(u32::from_be_bytes(self.array()?)),
            0xe0..=0xff => Head::Int(i8::from_be_bytes([code]).into()),
        })
    }

    /// Reads the bytes that a str, bin or ext announced.
    pub(crate) fn content(&mut self, len: usize) -> Result<&'a [u8], MsgpackFault> {
        let rest = &self.bytes[self.at..];
        let content = rest.get(..len).ok_or(MsgpackFault::Truncated)?;
        self.at += len;
        Ok(content)
    }

    /// Reads one whole value of any kind and returns its bytes.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], MsgpackFault> {
        let start = self.at;
        let head = self.head()?;
        self.finish(start, head)
    }

    /// Reads the rest of a value that began there with this head, and returns the bytes of the whole.
    pub(crate) fn finish(&mut self, start: usize, head: Head) -> Result<&'a [u8], MsgpackFault> {
        match head {
            Head::Nil | Head::Bool(_) | Head::Int(_) | Head::Float(_) => {}
            Head::Str(len) | Head::Bin(len) | Head::Ext(_, len) => {
                self.content(len)?;
            }
            Head::Array(_) | Head::Map(_) => {
                self.at = start + scan(&self.bytes[start..], MAX_DEPTH)?.len;
            }
        }
        Ok(&self.bytes[start..self.at])
    }

    fn ext(&mut self, len: usize) -> Result<Head, MsgpackFault> {
        Ok(Head::Ext(i8::from_be_bytes(self.array()?), len))
    }

    fn len8(&mut self) -> Result<usize, MsgpackFault> {
        Ok(u8::from_be_bytes(self.array()?).into())
    }

    fn len16(&mut self) -> Result<usize, MsgpackFault> {
        Ok(u16::from_be_bytes(self.array()?).into())
    }

    fn len32(&mut self) -> Result<usize, MsgpackFault> {
        let len = u32::from_be_bytes(self.array()?);
        // Where a usize is smaller, bytes cannot be that many.
        usize::try_from(len).map_err(|_too_wide| MsgpackFault::Truncated)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MsgpackFault> {
        let rest = &self.bytes[self.at..];
        let array = rest.first_chunk().ok_or(MsgpackFault::Truncated)?;
        self.at += N;
        Ok(*array)
    }
}

/// What a pass over a value found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Length of the value in bytes.
    pub(crate) len: usize,
    /// How deep arrays and maps nest: 0 for a number, 1 for `[]`.
    pub(crate) depth: usize,
    pub(crate) traits: Traits,
}

/// What a value contains that some reader may refuse: reasons to look closer, not faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) has_map: bool,
    pub(crate) has_ext: bool,
    /// A str that is not UTF-8.
    pub(crate) has_bad_text: bool,
}

/// Checks that the bytes begin with one whole value, in one pass and without allocating.
///
/// Bytes after the value are not looked at. A limit above [`MAX_DEPTH`] counts as that.
pub(crate) fn scan(bytes: &[u8], max_depth: usize) -> Result<Scan, MsgpackFault> {
    let limit = max_depth.min(MAX_DEPTH);
    // To clear room for the deepest value takes longer than to read what nearly all messages are.
    match scan_within::<SHALLOW>(bytes, limit.min(SHALLOW)) {
        Err(MsgpackFault::TooDeep { .. }) if limit > SHALLOW => {
            scan_within::<MAX_DEPTH>(bytes, limit)
        }
        done => done,
    }
}

/// Does a [`scan`] with room for so much depth; `limit` is no more than that.
fn scan_within<const ROOM: usize>(bytes: &[u8], limit: usize) -> Result<Scan, MsgpackFault> {
    let mut cursor = Cursor::new(bytes);
    let mut traits = Traits::default();
    let mut deepest = 0;
    // How many parts each of the arrays and maps around the cursor still lacks.
    let mut missing = [0_u64; ROOM];
    let mut depth = 0;
    loop {
        let head = cursor.head()?;
        match head {
            Head::Nil | Head::Bool(_) | Head::Int(_) | Head::Float(_) => {}
            Head::Str(len) => {
                let text = cursor.content(len)?;
                traits.has_bad_text |= str::from_utf8(text).is_err();
            }
            Head::Bin(len) => {
                cursor.content(len)?;
            }
            Head::Ext(_, len) => {
                cursor.content(len)?;
                traits.has_ext = true;
            }
            Head::Array(_) | Head::Map(_) => {
                traits.has_map |= matches!(head, Head::Map(_));
                if depth == limit {
                    return Err(MsgpackFault::TooDeep { limit });
                }
                // Every part takes a byte at least.
                if usize::try_from(head.parts()).is_ok_and(|parts| parts > cursor.remaining()) {
                    return Err(MsgpackFault::Truncated);
                }
                missing[depth] = head.parts() + 1;
                depth += 1;
                deepest = deepest.max(depth);
            }
        }
        // One value is complete, or an array or map has been opened, which was given one part more for it.
        while depth > 0 {
            missing[depth - 1] -= 1;
            if missing[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return Ok(Scan {
                len: cursor.position(),
                depth: deepest,
                traits,
            });
        }
    }
}

/// A thing is too long for msgpack: 2^32 bytes or parts, or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

fn length(len: usize) -> Result<u32, TooLong> {
    u32::try_from(len).map_err(|_too_wide| TooLong)
}

const IN_MEMORY: &str = "a Vec takes every write";

pub(crate) fn put_nil(out: &mut Vec<u8>) {
    encode::write_nil(out).expect(IN_MEMORY);
}

pub(crate) fn put_bool(out: &mut Vec<u8>, value: bool) {
    encode::write_bool(out, value).expect(IN_MEMORY);
}

/// Writes an integer in as few bytes as hold it, unsigned unless it is negative.
pub(crate) fn put_int(out: &mut Vec<u8>, int: Int) {
    if let Some(number) = int.as_u64() {
        encode::write_uint(out, number).expect(IN_MEMORY);
    } else if let Some(number) = int.as_i64() {
        encode::write_sint(out, number).expect(IN_MEMORY);
    }
}

/// Writes a float in 64 bits, always: that is what py2p does.
pub(crate) fn put_float(out: &mut Vec<u8>, float: f64) {
    encode::write_f64(out, float).expect(IN_MEMORY);
}

pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) -> Result<(), TooLong> {
    encode::write_str_len(out, length(text.len())?).expect(IN_MEMORY);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

pub(crate) fn put_bin(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TooLong> {
    encode::write_bin_len(out, length(bytes.len())?).expect(IN_MEMORY);
    out.extend_from_slice(bytes);
    Ok(())
}

pub(crate) fn put_ext(out: &mut Vec<u8>, kind: i8, bytes: &[u8]) -> Result<(), TooLong> {
    encode::write_ext_meta(out, length(bytes.len())?, kind).expect(IN_MEMORY);
    out.extend_from_slice(bytes);
    Ok(())
}

/// Writes the start of an array; its elements are to follow.
pub(crate) fn put_array_head(out: &mut Vec<u8>, len: usize) -> Result<(), TooLong> {
    encode::write_array_len(out, length(len)?).expect(IN_MEMORY);
    Ok(())
}

/// Writes the start of a map; its keys and values are to follow in turn.
pub(crate) fn put_map_head(out: &mut Vec<u8>, len: usize) -> Result<(), TooLong> {
    encode::write_map_len(out, length(len)?).expect(IN_MEMORY);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::value::Value;

    /// One value of every format, with its head and how many bytes it has.
    const FORMATS: [(&str, &[u8], Head); 21] = [
        ("nil", b"\xc0", Head::Nil),
        ("false", b"\xc2", Head::Bool(false)),
        ("true", b"\xc3", Head::Bool(true)),
        ("float 32", b"\xca\x3f\xc0\0\0", Head::Float(1.5)),
        ("float 64", b"\xcb\x3f\xf8\0\0\0\0\0\0", Head::Float(1.5)),
        ("fixstr", b"\xa2hi", Head::Str(2)),
        ("str 8", b"\xd9\x02hi", Head::Str(2)),
        ("str 16", b"\xda\0\x02hi", Head::Str(2)),
        ("str 32", b"\xdb\0\0\0\x02hi", Head::Str(2)),
        ("bin 8", b"\xc4\x02hi", Head::Bin(2)),
        ("bin 16", b"\xc5\0\x02hi", Head::Bin(2)),
        ("bin 32", b"\xc6\0\0\0\x02hi", Head::Bin(2)),
        ("fixext 2", b"\xd5\xffhi", Head::Ext(-1, 2)),
        ("ext 8", b"\xc7\x02\x05hi", Head::Ext(5, 2)),
        ("ext 32", b"\xc9\0\0\0\x02\x05hi", Head::Ext(5, 2)),
        ("fixarray", b"\x92\x01\x02", Head::Array(2)),
        ("array 16", b"\xdc\0\x02\x01\x02", Head::Array(2)),
        ("array 32", b"\xdd\0\0\0\x02\x01\x02", Head::Array(2)),
        ("fixmap", b"\x81\x01\x02", Head::Map(1)),
        ("map 16", b"\xde\0\x01\x01\x02", Head::Map(1)),
        ("map 32", b"\xdf\0\0\0\x01\x01\x02", Head::Map(1)),
    ];

    #[test]
    fn every_code_is_what_the_format_says() {
        for code in 0..=u8::MAX {
            let bytes = [&[code][..], &[0; 16]].concat();
            let head = Cursor::new(&bytes).head();
            let expected = match rmp::Marker::from_u8(code) {
                rmp::Marker::Reserved => Err(MsgpackFault::Reserved),
                rmp::Marker::Null => Ok(Head::Nil),
                rmp::Marker::False => Ok(Head::Bool(false)),
                rmp::Marker::True => Ok(Head::Bool(true)),
                rmp::Marker::FixPos(number) => Ok(Head::Int(number.into())),
                rmp::Marker::FixNeg(number) => Ok(Head::Int(number.into())),
                rmp::Marker::U8 | rmp::Marker::U16 | rmp::Marker::U32 | rmp::Marker::U64 => {
                    Ok(Head::Int(0.into()))
                }
                rmp::Marker::I8 | rmp::Marker::I16 | rmp::Marker::I32 | rmp::Marker::I64 => {
                    Ok(Head::Int(0.into()))
                }
                rmp::Marker::F32 | rmp::Marker::F64 => Ok(Head::Float(0.0)),
                rmp::Marker::FixStr(len) => Ok(Head::Str(len.into())),
                rmp::Marker::Str8 | rmp::Marker::Str16 | rmp::Marker::Str32 => Ok(Head::Str(0)),
                rmp::Marker::Bin8 | rmp::Marker::Bin16 | rmp::Marker::Bin32 => Ok(Head::Bin(0)),
                rmp::Marker::FixExt1 => Ok(Head::Ext(0, 1)),
                rmp::Marker::FixExt2 => Ok(Head::Ext(0, 2)),
                rmp::Marker::FixExt4 => Ok(Head::Ext(0, 4)),
                rmp::Marker::FixExt8 => Ok(Head::Ext(0, 8)),
                rmp::Marker::FixExt16 => Ok(Head::Ext(0, 16)),
                rmp::Marker::Ext8 | rmp::Marker::Ext16 | rmp::Marker::Ext32 => Ok(Head::Ext(0, 0)),
                rmp::Marker::FixArray(len) => Ok(Head::Array(len.into())),
                rmp::Marker::Array16 | rmp::Marker::Array32 => Ok(Head::Array(0)),
                rmp::Marker::FixMap(len) => Ok(Head::Map(len.into())),
                rmp::Marker::Map16 | rmp::Marker::Map32 => Ok(Head::Map(0)),
            };
            assert_eq!(head, expected, "{code:#04x}");
        }
    }

    #[test]
    fn every_format_is_read() {
        for (why, bytes, head) in FORMATS {
            assert_eq!(Cursor::new(bytes).head(), Ok(head), "{why}");
            let scan = scan(bytes, MAX_DEPTH).map(|scan| scan.len);
            assert_eq!(scan, Ok(bytes.len()), "{why}");
        }
        for (code, len) in [(0xd4, 1), (0xd5, 2), (0xd6, 4), (0xd7, 8), (0xd8, 16)] {
            let mut bytes = vec![code, 7];
            bytes.extend_from_slice(&vec![0; len]);
            assert_eq!(Cursor::new(&bytes).head(), Ok(Head::Ext(7, len)), "fixext");
        }
        assert_eq!(Cursor::new(b"\xc8\x01\0\x05").head(), Ok(Head::Ext(5, 256)));
    }

    #[test]
    fn integers_of_every_width_are_read() {
        let table: [(&[u8], Int); 13] = [
            (b"\x7f", 127.into()),
            (b"\xe0", (-32).into()),
            (b"\xff", (-1).into()),
            (b"\xcc\xff", 255.into()),
            (b"\xcd\xff\xff", 65535.into()),
            (b"\xce\xff\xff\xff\xff", u32::MAX.into()),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", u64::MAX.into()),
            (b"\xd0\x80", (-128).into()),
            (b"\xd1\x80\0", (-32768).into()),
            (b"\xd2\x80\0\0\0", i32::MIN.into()),
            (b"\xd3\x80\0\0\0\0\0\0\0", i64::MIN.into()),
            // Not the shortest form, and a positive number in a signed one.
            (b"\xd3\0\0\0\0\0\0\0\x05", 5.into()),
            (b"\xcf\0\0\0\0\0\0\0\0", 0.into()),
        ];
        for (bytes, int) in table {
            assert_eq!(
                Cursor::new(bytes).head(),
                Ok(Head::Int(int)),
                "{bytes:02x?}"
            );
        }
    }

    #[test]
    fn a_value_cut_anywhere_is_truncated() {
        for (why, bytes, _) in FORMATS {
            for len in 0..bytes.len() {
                let cut = scan(&bytes[..len], MAX_DEPTH);
                assert_eq!(cut, Err(MsgpackFault::Truncated), "{why}, {len} bytes");
            }
        }
    }

    #[test]
    fn bytes_after_the_value_are_not_looked_at() {
        assert_eq!(scan(b"\x91\x01\xc1", 1).unwrap().len, 2);
    }

    #[test]
    fn the_reserved_code_is_refused_wherever_it_stands() {
        for bytes in [&b"\xc1"[..], b"\x92\x01\xc1", b"\x81\xc1\x01"] {
            assert_eq!(scan(bytes, 5), Err(MsgpackFault::Reserved), "{bytes:02x?}");
        }
        // As content it is only a byte.
        assert!(scan(b"\xc4\x01\xc1", 0).is_ok());
    }

    #[test]
    fn claims_of_billions_of_elements_cost_nothing() {
        let claims: [&[u8]; 6] = [
            b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff\x01\x02",
            b"\xdb\xff\xff\xff\xffx",
            b"\xc6\xff\xff\xff\xffx",
            b"\xc9\xff\xff\xff\xff\x05x",
            b"\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff",
        ];
        for bytes in claims {
            assert_eq!(scan(bytes, 9), Err(MsgpackFault::Truncated), "{bytes:02x?}");
        }
    }

    #[test]
    fn nesting_is_counted_and_limited() {
        let nest = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        let depth = |bytes: &[u8], max| scan(bytes, max).map(|scan| scan.depth);
        let too_deep = |limit| Err(MsgpackFault::TooDeep { limit });

        assert_eq!(depth(&nest(0), 0), Ok(0));
        assert_eq!(depth(&nest(1), 0), too_deep(0));
        assert_eq!(depth(&nest(7), 7), Ok(7));
        assert_eq!(depth(&nest(8), 7), too_deep(7));
        assert_eq!(depth(&nest(MAX_DEPTH), usize::MAX), Ok(MAX_DEPTH));
        assert_eq!(depth(&nest(MAX_DEPTH + 1), usize::MAX), too_deep(MAX_DEPTH));
        // Empty ones count, maps as well, and the deepest of several decides.
        assert_eq!(depth(b"\x90", 9), Ok(1));
        assert_eq!(depth(b"\x93\x90\x81\x01\x91\x02\x90", 9), Ok(3));
        assert_eq!(depth(b"\x93\x90\x81\x01\x91\x02\x90", 2), too_deep(2));
    }

    #[test]
    fn traits_tell_what_is_inside() {
        let traits = |bytes: &[u8]| scan(bytes, 9).unwrap().traits;
        let none = Traits::default();
        assert_eq!(traits(b"\x93\xc4\x01\xff\xa1a\x90"), none);
        let has_map = true;
        assert_eq!(traits(b"\x91\x80"), Traits { has_map, ..none });
        let has_ext = true;
        assert_eq!(traits(b"\x91\xd4\x05\0"), Traits { has_ext, ..none });
        let has_bad_text = true;
        assert_eq!(
            traits(b"\x91\xa1\xff"),
            Traits {
                has_bad_text,
                ..none
            }
        );
    }

    #[test]
    fn lengths_are_written_in_the_shortest_form() {
        let mut out = Vec::new();
        let table = [
            (15, &b"\x9f"[..], &b"\x8f"[..]),
            (16, b"\xdc\0\x10", b"\xde\0\x10"),
            (65535, b"\xdc\xff\xff", b"\xde\xff\xff"),
            (65536, b"\xdd\0\x01\0\0", b"\xdf\0\x01\0\0"),
        ];
        for (len, array, map) in table {
            out.clear();
            put_array_head(&mut out, len).unwrap();
            put_map_head(&mut out, len).unwrap();
            assert_eq!(out, [array, map].concat(), "{len}");
        }
        let most = u32::MAX as usize;
        out.clear();
        assert_eq!(put_array_head(&mut out, most), Ok(()));
        assert_eq!(put_array_head(&mut out, most + 1), Err(TooLong));
        assert_eq!(out, b"\xdd\xff\xff\xff\xff", "nothing of what is too long");
    }

    /// Bytes that look like msgpack more often than chance would have it.
    fn likely_msgpack() -> impl Strategy<Value = Vec<u8>> {
        let code = prop_oneof![
            3 => 0xc0..=0xdf_u8,
            3 => prop_oneof![0x80..=0x83_u8, 0x90..=0x93_u8, 0xa0..=0xa3_u8],
            2 => 0..=3_u8,
            1 => any::<u8>(),
        ];
        proptest::collection::vec(code, 0..40)
    }

    proptest! {
        #[test]
        fn scanning_and_decoding_agree(bytes in likely_msgpack()) {
            use crate::wire::fault::DecodeError;

            let decoded = Value::decode_first(&bytes.clone().into());
            match (scan(&bytes, MAX_DEPTH), decoded) {
                (Ok(scan), Ok((_, len))) => {
                    prop_assert_eq!(scan.len, len);
                    prop_assert!(!scan.traits.has_bad_text);
                }
                (Ok(scan), Err(DecodeError::NotUtf8)) => {
                    prop_assert!(scan.traits.has_bad_text);
                }
                // Bad text may come before the place where the scan fails, or a claimed length be believed longer.
                (Err(_), Err(_)) => {}
                (scanned, decoded) => prop_assert!(false, "{scanned:?}, {decoded:?}"),
            }
        }

        #[test]
        fn a_scan_needs_no_byte_after_the_value_and_every_byte_of_it(bytes in likely_msgpack()) {
            if let Ok(whole) = scan(&bytes, MAX_DEPTH) {
                prop_assert_eq!(scan(&bytes[..whole.len], MAX_DEPTH), Ok(whole));
                for len in 0..whole.len {
                    let cut = scan(&bytes[..len], MAX_DEPTH);
                    prop_assert_eq!(cut, Err(MsgpackFault::Truncated));
                }
            }
        }
    }
}
