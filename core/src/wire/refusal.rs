//! What the legacy readers cannot take: content on which py2p or js2p closes the link it came by.
//!
//! Nothing here is a fault to rs2p itself. Such content is not sent, and a message that has it is not passed on to
//! neighbours that would refuse it.

use std::collections::BTreeSet;
use std::fmt;

use super::int::Int;
use super::msgpack::{self, Cursor, Head, Scan};

/// How deep a packet may nest: 0 for a number, 1 for `[]`.
///
/// py2p on CPython 3.11 reads 328 arrays below the message's own. Less by a margin, as it depends on Python's
/// version and on what calls py2p.
pub(crate) const MAX_LEGACY_DEPTH: usize = 300;

/// Why a packet cannot be sent: what in it no py2p, or no js2p, could read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadFault {
    /// A key comes twice in one map. Python's equality counts, by which `1`, `1.0` and `true` are one key.
    RepeatedKey,
    /// A map's key is a map, or an array with a map in it.
    MapAsKey,
    /// Arrays and maps are nested too deep.
    TooDeep {
        /// How deep; anything beyond 512 counts as 513.
        depth: usize,
        /// The deepest that all can read.
        limit: usize,
    },
    /// A str is not UTF-8.
    NotUtf8,
    /// An ext whose number has a meaning to py2p (-1) or js2p (1 to 6, 10 to 15, 19 to 24) does not have the content
    /// that goes with it.
    BadExt {
        /// The number.
        kind: i8,
    },
    /// A text, a list or the payload has 2^32 parts or more, which msgpack cannot say.
    TooLong,
    /// The bytes are not msgpack.
    Malformed,
}

impl fmt::Display for PayloadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepeatedKey => f.write_str("a key comes twice in a map"),
            Self::MapAsKey => f.write_str("a map is used as a key"),
            Self::TooDeep { depth, limit } => {
                write!(f, "arrays and maps are nested {depth} deep, over {limit}")
            }
            Self::NotUtf8 => f.write_str("a str is not UTF-8"),
            Self::BadExt { kind } => write!(f, "an ext of type {kind} has other content"),
            Self::TooLong => f.write_str("a value is too long for msgpack"),
            Self::Malformed => f.write_str("a value is not msgpack"),
        }
    }
}

impl std::error::Error for PayloadFault {}

impl From<msgpack::TooLong> for PayloadFault {
    fn from(_: msgpack::TooLong) -> Self {
        Self::TooLong
    }
}

/// Checks packets, one after the other, for what py2p or js2p would refuse.
pub(crate) fn check(packets: &[u8]) -> Result<(), PayloadFault> {
    let mut rest = packets;
    while !rest.is_empty() {
        let scan = scan(rest)?;
        let (packet, after) = rest.split_at(scan.len);
        py2p(packet, scan, MAX_LEGACY_DEPTH)?;
        js2p(packet, scan)?;
        rest = after;
    }
    Ok(())
}

fn scan(packet: &[u8]) -> Result<Scan, PayloadFault> {
    use super::fault::MsgpackFault;
    msgpack::scan(packet, msgpack::MAX_DEPTH).map_err(|fault| match fault {
        MsgpackFault::TooDeep { limit } => PayloadFault::TooDeep {
            depth: limit + 1,
            limit: MAX_LEGACY_DEPTH,
        },
        MsgpackFault::Truncated | MsgpackFault::Reserved => PayloadFault::Malformed,
    })
}

/// Checks a value, which was scanned, for what py2p would close the link on.
pub(crate) fn py2p(value: &[u8], scan: Scan, max_depth: usize) -> Result<(), PayloadFault> {
    if scan.depth > max_depth {
        return Err(PayloadFault::TooDeep {
            depth: scan.depth,
            limit: max_depth,
        });
    }
    if scan.traits.has_bad_text {
        return Err(PayloadFault::NotUtf8);
    }
    if scan.traits.has_map || scan.traits.has_ext {
        Walk::new(value).run()?;
    }
    Ok(())
}

/// Checks a value, which was scanned, for what js2p would close the link on.
///
/// Depth is no matter: js2p reads far deeper than [`msgpack::MAX_DEPTH`]. That a packed pattern (ext 10) follows
/// the grammar of patterns is not checked.
pub(crate) fn js2p(value: &[u8], scan: Scan) -> Result<(), PayloadFault> {
    if !scan.traits.has_ext {
        return Ok(());
    }
    let mut cursor = Cursor::new(value);
    while cursor.position() < scan.len {
        // The value is whole, as the scan has found.
        let head = cursor.head().map_err(|_scanned| PayloadFault::Malformed)?;
        let content = content(&mut cursor, head)?;
        if let Head::Ext(kind, _) = head
            && !js2p_takes_ext(kind, content)
        {
            return Err(PayloadFault::BadExt { kind });
        }
    }
    Ok(())
}

/// Reads what follows a head, unless that is values of their own.
fn content<'a>(cursor: &mut Cursor<'a>, head: Head) -> Result<&'a [u8], PayloadFault> {
    match head {
        Head::Str(len) | Head::Bin(len) | Head::Ext(_, len) => cursor
            .content(len)
            .map_err(|_scanned| PayloadFault::Malformed),
        Head::Nil
        | Head::Bool(_)
        | Head::Int(_)
        | Head::Float(_)
        | Head::Array(_)
        | Head::Map(_) => Ok(&[]),
    }
}

/// The ext types that js2p's msgpack library turns into objects of JavaScript, and fails on when it cannot.
fn js2p_takes_ext(kind: i8, content: &[u8]) -> bool {
    match kind {
        // Errors are made of the parts of a value, and nil has none.
        1..=6 | 14 => is_plain_value(content) && Cursor::new(content).head() != Ok(Head::Nil),
        10 => is_packed_pattern(content),
        // Boxed booleans, strings, dates and numbers.
        11..=13 | 15 => is_plain_value(content),
        // Typed arrays of elements of 2, 4 and 8 bytes.
        19 | 20 => content.len().is_multiple_of(2),
        21..=23 => content.len().is_multiple_of(4),
        24 => content.len().is_multiple_of(8),
        _ => true,
    }
}

/// Whether the bytes begin with a whole value. One with an ext inside could be refused in turn, and is not taken for
/// plain; nothing is known to send such.
fn is_plain_value(content: &[u8]) -> bool {
    msgpack::scan(content, msgpack::MAX_DEPTH).is_ok_and(|scan| !scan.traits.has_ext)
}

/// Whether this is `[pattern, flags]`, or without flags.
fn is_packed_pattern(content: &[u8]) -> bool {
    let mut cursor = Cursor::new(content);
    let Ok(Head::Array(len @ 1..=2)) = cursor.head() else {
        return false;
    };
    let mut texts = [""; 2];
    for text in texts.iter_mut().take(if len == 1 { 1 } else { 2 }) {
        let Ok(Head::Str(len)) = cursor.head() else {
            return false;
        };
        let Some(found) = cursor
            .content(len)
            .ok()
            .and_then(|t| str::from_utf8(t).ok())
        else {
            return false;
        };
        *text = found;
    }
    let [_, flags] = texts;
    let known = |flag: char| "dgimsuy".contains(flag) && flags.matches(flag).count() == 1;
    flags.chars().all(known)
}

/// A pass over a value as py2p's reader makes it, which knows where keys are.
struct Walk<'a> {
    cursor: Cursor<'a>,
    open: Vec<Level<'a>>,
}

/// An array or map around the cursor.
struct Level<'a> {
    missing: u64,
    /// Of a map, the keys that came.
    keys: Option<BTreeSet<Key<'a>>>,
    /// This is a key, or part of one.
    in_key: bool,
}

impl<'a> Walk<'a> {
    const fn new(value: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(value),
            open: Vec::new(),
        }
    }

    fn run(mut self) -> Result<(), PayloadFault> {
        loop {
            self.step()?;
            while self.open.last().is_some_and(|level| level.missing == 0) {
                self.open.pop();
            }
            if self.open.is_empty() {
                return Ok(());
            }
        }
    }

    fn step(&mut self) -> Result<(), PayloadFault> {
        let read = self.cursor.head();
        let head = read.map_err(|_scanned| PayloadFault::Malformed)?;
        let content = content(&mut self.cursor, head)?;
        let mut in_key = false;
        if let Some(level) = self.open.last_mut() {
            // Keys and values alternate, so a key leaves an odd number of parts missing.
            level.missing -= 1;
            let key_of = level.keys.as_mut().filter(|_| level.missing % 2 == 1);
            in_key = level.in_key || key_of.is_some();
            if let Some(keys) = key_of
                && let Some(key) = Key::of(head, content)?
                && !keys.insert(key)
            {
                return Err(PayloadFault::RepeatedKey);
            }
        }
        if let Head::Ext(TIMESTAMP, _) = head {
            py2p_time(content)?;
        }
        let (missing, keys) = match head {
            Head::Array(len) => (len.into(), None),
            Head::Map(_) if in_key => return Err(PayloadFault::MapAsKey),
            Head::Map(len) => (2 * u64::from(len), Some(BTreeSet::new())),
            Head::Nil
            | Head::Bool(_)
            | Head::Int(_)
            | Head::Float(_)
            | Head::Str(_)
            | Head::Bin(_)
            | Head::Ext(..) => return Ok(()),
        };
        self.open.push(Level {
            missing,
            keys,
            in_key,
        });
        Ok(())
    }
}

/// A map's key, such that two are equal when Python takes them for the same.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Nil,
    /// An integer, a truth value, or a float that equals an integer.
    Int(Int),
    /// The bits of another float.
    Float(u64),
    Str(&'a [u8]),
    Bin(&'a [u8]),
    /// Microseconds since 1970.
    Time(i128),
    Ext(i8, &'a [u8]),
}

impl<'a> Key<'a> {
    /// Returns the key, or nothing if py2p would not compare it: arrays may come twice.
    fn of(head: Head, content: &'a [u8]) -> Result<Option<Self>, PayloadFault> {
        Ok(match head {
            Head::Nil => Some(Self::Nil),
            Head::Bool(value) => Some(Self::Int(u8::from(value).into())),
            Head::Int(value) => Some(Self::Int(value)),
            // Not equal to itself.
            Head::Float(value) if value.is_nan() => None,
            Head::Float(value) => Some(match Int::from_float(value) {
                Some(int) => Self::Int(int),
                None => Self::Float(value.to_bits()),
            }),
            Head::Str(_) => Some(Self::Str(content)),
            Head::Bin(_) => Some(Self::Bin(content)),
            Head::Ext(TIMESTAMP, _) => Some(Self::Time(py2p_time(content)?)),
            Head::Ext(kind, _) => Some(Self::Ext(kind, content)),
            Head::Array(_) | Head::Map(_) => None,
        })
    }
}

/// Msgpack's own ext type, a time.
const TIMESTAMP: i8 = -1;

/// Reads a time as py2p does: in microseconds, and only from the year 1 to 9999.
fn py2p_time(content: &[u8]) -> Result<i128, PayloadFault> {
    const FIRST: i128 = -62_135_596_800_000_000;
    const END: i128 = 253_402_300_800_000_000;
    let bad = PayloadFault::BadExt { kind: TIMESTAMP };
    let (nanos, seconds) = match *content {
        [a, b, c, d] => (0, i64::from(u32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => {
            let both = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            // 30 bits of nanoseconds before 34 bits of seconds.
            let seconds = both & ((1 << 34) - 1);
            (both >> 34, i64::try_from(seconds).or(Err(bad))?)
        }
        [n0, n1, n2, n3, a, b, c, d, e, f, g, h] => (
            u32::from_be_bytes([n0, n1, n2, n3]).into(),
            i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        ),
        _ => return Err(bad),
    };
    let micros = i128::from(seconds) * 1_000_000 + i128::from(nanos / 1000);
    if (FIRST..END).contains(&micros) {
        Ok(micros)
    } else {
        Err(bad)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nested(open: &[u8], depth: usize) -> Vec<u8> {
        [open.repeat(depth), vec![0]].concat()
    }

    fn py2p(value: &[u8]) -> Result<(), PayloadFault> {
        super::py2p(value, scan(value)?, MAX_LEGACY_DEPTH)
    }

    fn js2p(value: &[u8]) -> Result<(), PayloadFault> {
        super::js2p(value, scan(value)?)
    }

    #[test]
    fn keys_are_compared_as_python_compares_them() {
        let again = Err(PayloadFault::RepeatedKey);
        // Maps of two keys, each with 0.
        let table: [(&str, [&[u8]; 2], _); 25] = [
            ("text", [b"\xa1a", b"\xa1a"], again),
            ("other text", [b"\xa1a", b"\xa1b"], Ok(())),
            ("text in other forms", [b"\xa1a", b"\xd9\x01a"], again),
            ("text and bytes", [b"\xa1a", b"\xc4\x01a"], Ok(())),
            ("bytes", [b"\xc4\x01a", b"\xc5\0\x01a"], again),
            ("numbers", [b"\x01", b"\xd3\0\0\0\0\0\0\0\x01"], again),
            ("1 and 1.0", [b"\x01", b"\xca\x3f\x80\0\0"], again),
            ("1 and true", [b"\x01", b"\xc3"], again),
            ("0 and false", [b"\0", b"\xc2"], again),
            ("true and false", [b"\xc3", b"\xc2"], Ok(())),
            ("0 and -0.0", [b"\0", b"\xca\x80\0\0\0"], again),
            (
                "1.5 in both widths",
                [b"\xca\x3f\xc0\0\0", b"\xcb\x3f\xf8\0\0\0\0\0\0"],
                again,
            ),
            (
                "2^63 twice",
                [b"\xcf\x80\0\0\0\0\0\0\0", b"\xca\x5f\0\0\0"],
                again,
            ),
            (
                "2^64 - 1, 2^64",
                [b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", b"\xca\x5f\x80\0\0"],
                Ok(()),
            ),
            (
                "infinity",
                [b"\xca\x7f\x80\0\0", b"\xca\x7f\x80\0\0"],
                again,
            ),
            ("NaN", [b"\xca\x7f\xc0\0\0", b"\xca\x7f\xc0\0\0"], Ok(())),
            ("nil", [b"\xc0", b"\xc0"], again),
            ("nil and false", [b"\xc0", b"\xc2"], Ok(())),
            ("ext", [b"\xd4\x05a", b"\xc7\x01\x05a"], again),
            ("ext of other types", [b"\xd4\x05a", b"\xd4\x06a"], Ok(())),
            (
                "time in two widths",
                [b"\xd6\xff\0\0\0\x05", b"\xd7\xff\0\0\0\0\0\0\0\x05"],
                again,
            ),
            // 249 ns are no microsecond.
            (
                "time, nanoseconds",
                [b"\xd6\xff\0\0\0\x05", b"\xd7\xff\0\0\x03\xe4\0\0\0\x05"],
                again,
            ),
            (
                "other times",
                [b"\xd6\xff\0\0\0\x05", b"\xd6\xff\0\0\0\x06"],
                Ok(()),
            ),
            // py2p looks for repetitions before it makes an array a key.
            ("array", [b"\x91\x01", b"\x91\x01"], Ok(())),
            ("empty array", [b"\x90", b"\x90"], Ok(())),
        ];
        for (why, [one, other], expected) in table {
            let map = [&b"\x82"[..], one, b"\0", other, b"\0"].concat();
            assert_eq!(py2p(&map), expected, "{why}");
            // Among other things, and in a map that is a value itself.
            let map = [&b"\x92\x05\x81\xa1k"[..], &map].concat();
            assert_eq!(py2p(&map), expected, "{why}, nested");
        }
    }

    #[test]
    fn keys_are_only_compared_within_their_map() {
        // [{1: {1: 0}}, {1: 1}]
        assert_eq!(py2p(b"\x92\x81\x01\x81\x01\x00\x81\x01\x01"), Ok(()));
        // {1: {2: 0}, 1: 0}: after an inner map, keys of the outer one go on.
        let repeated = py2p(b"\x82\x01\x81\x02\x00\x01\x00");
        assert_eq!(repeated, Err(PayloadFault::RepeatedKey));
        // {2: 1, 1: 2}: values are no keys.
        assert_eq!(py2p(b"\x82\x02\x01\x01\x02"), Ok(()));
    }

    #[test]
    fn a_map_is_no_key_at_any_depth() {
        let map_as_key = Err(PayloadFault::MapAsKey);
        assert_eq!(py2p(b"\x81\x80\x01"), map_as_key);
        assert_eq!(py2p(b"\x81\x91\x80\x01"), map_as_key);
        assert_eq!(py2p(b"\x81\x91\x91\x81\x01\x02\x01"), map_as_key);
        assert_eq!(
            py2p(b"\x81\x91\x01\x80"),
            Ok(()),
            "as a value it is welcome"
        );
        assert_eq!(py2p(b"\x81\x01\x91\x80"), Ok(()));
        assert_eq!(js2p(b"\x81\x80\x01"), Ok(()), "js2p makes text of it");
    }

    #[test]
    fn packets_may_nest_300_deep_and_no_deeper() {
        let limit = MAX_LEGACY_DEPTH;
        for open in [&b"\x91"[..], b"\x81\x01"] {
            assert_eq!(check(&nested(open, limit)), Ok(()));
            let depth = limit + 1;
            let too_deep = Err(PayloadFault::TooDeep { depth, limit });
            assert_eq!(check(&nested(open, depth)), too_deep);
        }
        let depth = 513;
        let beyond = check(&nested(b"\x91", 100_000));
        assert_eq!(beyond, Err(PayloadFault::TooDeep { depth, limit }));
    }

    #[test]
    fn bad_text_is_refused_by_py2p_alone() {
        assert_eq!(py2p(b"\x91\xa2\xff\xfe"), Err(PayloadFault::NotUtf8));
        assert_eq!(js2p(b"\x91\xa2\xff\xfe"), Ok(()));
    }

    #[test]
    fn times_must_be_in_years_that_python_has() {
        let time = |nanos: u32, seconds: i64| {
            let content = [&nanos.to_be_bytes()[..], &seconds.to_be_bytes()].concat();
            [&[0xc7, 12, 0xff], &content[..]].concat()
        };
        let bad = Err(PayloadFault::BadExt { kind: -1 });
        let table = [
            ("the year 1", time(0, -62_135_596_800), Ok(())),
            ("the year 0", time(0, -62_135_596_801), bad),
            (
                "the end of 9999",
                time(999_999_999, 253_402_300_799),
                Ok(()),
            ),
            ("the year 10000", time(0, 253_402_300_800), bad),
            ("by nanoseconds", time(1_000_000_000, 253_402_300_799), bad),
            ("no limit of Rust's", time(u32::MAX, i64::MAX), bad),
            ("nor that", time(0, i64::MIN), bad),
            ("32 bits", b"\xd6\xff\xff\xff\xff\xff".to_vec(), Ok(())),
            (
                "64 bits",
                b"\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
                Ok(()),
            ),
            ("nothing", b"\xc7\0\xff".to_vec(), bad),
            ("one byte", b"\xd4\xff\0".to_vec(), bad),
            ("16 bytes", [&b"\xd8\xff"[..], &[0; 16]].concat(), bad),
        ];
        for (why, value, expected) in table {
            assert_eq!(py2p(&value), expected, "{why}");
            assert_eq!(py2p(&[b"\x81\x01", &value[..]].concat()), expected, "{why}");
            assert_eq!(js2p(&value), Ok(()), "{why}");
        }
    }

    #[test]
    fn exts_of_javascript_must_be_what_their_type_says() {
        let table: [(&str, i8, &[u8], bool); 26] = [
            ("error", 1, b"\x81\xa7message\xa1x", true),
            ("error of nil", 1, b"\xc0", false),
            ("error of nothing", 6, b"", false),
            ("plain error", 14, b"\x80", true),
            ("error with an ext inside", 14, b"\x91\xd4\x01\xc0", false),
            ("no error type", 7, b"", true),
            ("pattern", 10, b"\x92\xa3^a+\xa1g", true),
            ("pattern without flags", 10, b"\x91\xa1a", true),
            ("pattern, three parts", 10, b"\x93\xa1a\xa1g\xa1i", false),
            ("pattern of nothing", 10, b"\x90", false),
            ("pattern, number", 10, b"\x01", false),
            ("pattern, numbers", 10, b"\x92\x01\x02", false),
            ("pattern cut short", 10, b"\x92\xa1a", false),
            ("unknown flag", 10, b"\x92\xa1a\xa1z", false),
            ("flag twice", 10, b"\x92\xa1a\xa2gg", false),
            ("date", 13, b"\xcb\x42\x78\xbc\xfe\x56\x80\0\0", true),
            ("date cut short", 13, b"\xcb\x42", false),
            ("bytes", 17, b"abc", true),
            ("16 bit", 19, b"ab", true),
            ("16 bit, odd", 20, b"abc", false),
            ("32 bit", 21, b"abcd", true),
            ("32 bit, 6 bytes", 23, b"abcdef", false),
            ("64 bit", 24, b"abcdefgh", true),
            ("64 bit, 4 bytes", 24, b"abcd", false),
            ("nothing", 22, b"", true),
            ("anyone's", 64, b"abc", true),
        ];
        for (why, kind, content, taken) in table {
            let mut value = vec![0x92, 0x80];
            msgpack::put_ext(&mut value, kind, content).unwrap();
            let refused = Err(PayloadFault::BadExt { kind });
            let expected = if taken { Ok(()) } else { refused };
            assert_eq!(js2p(&value), expected, "{why}");
            assert_eq!(check(&value), expected, "{why}");
            assert_eq!(py2p(&value), Ok(()), "{why}");
        }
    }

    #[test]
    fn every_packet_is_checked() {
        assert_eq!(check(b""), Ok(()));
        assert_eq!(check(b"\x01\xa1a\x81\x01\x02"), Ok(()));
        assert_eq!(check(b"\x01\x80\x81\x80\x01"), Err(PayloadFault::MapAsKey));
        assert_eq!(check(b"\x01\x92\x01"), Err(PayloadFault::Malformed));
    }

    #[test]
    fn a_hundred_thousand_keys_are_checked_at_once() {
        let count = 100_000_u32;
        let mut map = vec![0xdf];
        map.extend(count.to_be_bytes());
        for key in 0..count {
            map.push(0xce);
            map.extend(key.to_be_bytes());
            map.push(0);
        }
        assert_eq!(check(&map), Ok(()));
        // The last key again as the first.
        map[6..10].copy_from_slice(&(count - 1).to_be_bytes());
        assert_eq!(check(&map), Err(PayloadFault::RepeatedKey));
    }

    proptest! {
        #[test]
        fn checking_never_fails_on_its_own(bytes: Vec<u8>) {
            let whole = scan(&bytes).is_ok_and(|scan| scan.len == bytes.len());
            let checked = check(&bytes);
            if whole {
                prop_assert_ne!(checked, Err(PayloadFault::Malformed));
            }
        }

        #[test]
        fn the_shortcut_by_traits_hides_nothing(value in crate::wire::value::tests::any_value()) {
            let mut bytes = Vec::new();
            value.encode(&mut bytes).unwrap();
            let thorough = Walk::new(&bytes).run();
            prop_assert_eq!(py2p(&bytes), thorough);
        }
    }
}
