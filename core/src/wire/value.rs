//! What applications put into messages.

use std::fmt::{self, Write as _};

use bytes::Bytes;

use super::fault::{DecodeError, MsgpackFault};
use super::int::Int;
use super::msgpack::{self, Cursor, Head, MAX_DEPTH, TooLong};

/// One packet of a message, or a part of one: any value that msgpack can carry.
///
/// Most Rust values become one with `into()`. Equality is that of msgpack, not of any one language: `1`, `1.0` and
/// `true` are three values, text and bytes are never equal, and a map is a list of pairs in the order they came.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Nothing: Python's `None`, JavaScript's `null` and `undefined`.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer, sent in the shortest form.
    Int(Int),
    /// A float, always sent in 64 bits. js2p sends integral floats as integers, so be ready for either from it.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes. When received, a part of the message's buffer, which lives as long as this does.
    Bin(Bytes),
    /// A list.
    Array(Vec<Self>),
    /// Pairs of keys and values. py2p refuses a key that comes twice, or that is or contains a map.
    Map(Vec<(Self, Self)>),
    /// A type outside msgpack, with its number. Negative numbers are msgpack's own (-1 is a time stamp); js2p uses 1
    /// to 29, other numbers are free.
    Ext(i8, Bytes),
}

impl Value {
    /// Makes an array of anything that becomes a value.
    pub fn array<T: Into<Self>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }

    /// Makes a map of pairs, in this order.
    pub fn map<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<Self>,
        V: Into<Self>,
    {
        let pairs = pairs.into_iter();
        Self::Map(pairs.map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// Reads the one value that these bytes are. Every msgpack form is taken, not only the shortest.
    ///
    /// # Errors
    ///
    /// When the bytes are not one whole msgpack value, nest deeper than 512 or hold a str that is not UTF-8.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, DecodeError> {
        let bytes = bytes.into();
        let (value, len) = Self::decode_first(&bytes)?;
        match bytes.len() - len {
            0 => Ok(value),
            len => Err(DecodeError::TrailingBytes { len }),
        }
    }

    /// Reads the value at the start of the bytes and tells how long it is.
    pub(crate) fn decode_first(bytes: &Bytes) -> Result<(Self, usize), DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let mut open: Vec<Open> = Vec::new();
        loop {
            let head = cursor.head()?;
            let mut complete = match head {
                Head::Nil => Some(Self::Nil),
                Head::Bool(value) => Some(Self::Bool(value)),
                Head::Int(value) => Some(Self::Int(value)),
                Head::Float(value) => Some(Self::Float(value)),
                Head::Str(len) => {
                    let text = str::from_utf8(cursor.content(len)?);
                    Some(Self::Str(text.or(Err(DecodeError::NotUtf8))?.to_owned()))
                }
                Head::Bin(len) => Some(Self::Bin(bytes.slice_ref(cursor.content(len)?))),
                Head::Ext(kind, len) => {
                    let content = cursor.content(len)?;
                    Some(Self::Ext(kind, bytes.slice_ref(content)))
                }
                Head::Array(_) | Head::Map(_) => {
                    if open.len() == MAX_DEPTH {
                        return Err(MsgpackFault::TooDeep { limit: MAX_DEPTH }.into());
                    }
                    open.push(Open::of(head));
                    None
                }
            };
            // A complete value may complete the array or map it is in, and so on outwards.
            loop {
                let Some(innermost) = open.last_mut() else {
                    // Only a complete value leaves nothing open.
                    let value = complete.expect("an array or map just begun is open");
                    return Ok((value, cursor.position()));
                };
                if let Some(value) = complete.take() {
                    innermost.push(value);
                }
                if innermost.missing > 0 {
                    break;
                }
                complete = open.pop().map(Open::close);
            }
        }
    }

    /// Appends the value in msgpack's shortest forms, as py2p would write it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        // Not recursive: how deep an application nests its values is not known.
        let mut todo = vec![self];
        while let Some(value) = todo.pop() {
            match value {
                Self::Nil => msgpack::put_nil(out),
                Self::Bool(value) => msgpack::put_bool(out, *value),
                Self::Int(value) => msgpack::put_int(out, *value),
                Self::Float(value) => msgpack::put_float(out, *value),
                Self::Str(text) => msgpack::put_str(out, text)?,
                Self::Bin(bytes) => msgpack::put_bin(out, bytes)?,
                Self::Ext(kind, bytes) => msgpack::put_ext(out, *kind, bytes)?,
                Self::Array(items) => {
                    msgpack::put_array_head(out, items.len())?;
                    todo.extend(items.iter().rev());
                }
                Self::Map(pairs) => {
                    msgpack::put_map_head(out, pairs.len())?;
                    todo.extend(pairs.iter().rev().flat_map(|(key, value)| [value, key]));
                }
            }
        }
        Ok(())
    }

    /// Whether this is [`Value::Nil`].
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Returns the truth value, if it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// Returns the integer, if it is one and at most `i64::MAX`.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Int(value) = self {
            value.as_i64()
        } else {
            None
        }
    }

    /// Returns the integer, if it is one and not negative.
    #[must_use]
    pub const fn as_u64(&self) -> Option<u64> {
        if let Self::Int(value) = self {
            value.as_u64()
        } else {
            None
        }
    }

    /// Returns the float, if it is one. Integers are not: see [`Value::Float`] for what js2p makes of floats.
    #[must_use]
    pub const fn as_f64(&self) -> Option<f64> {
        if let Self::Float(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// Returns the text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// Returns the bytes of a [`Value::Bin`].
    #[must_use]
    pub const fn as_bytes(&self) -> Option<&Bytes> {
        if let Self::Bin(bytes) = self {
            Some(bytes)
        } else {
            None
        }
    }

    /// Returns the elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self {
            Some(items)
        } else {
            None
        }
    }

    /// Returns the pairs, if it is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Self, Self)]> {
        if let Self::Map(pairs) = self {
            Some(pairs)
        } else {
            None
        }
    }

    /// Returns what a map has under a text key, the last if it has several, as JavaScript would.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let mut pairs = self.as_map()?.iter().rev();
        let (_, value) = pairs.find(|(k, _)| k.as_str() == Some(key))?;
        Some(value)
    }
}

/// An array or map that lacks some of its parts.
struct Open {
    missing: u64,
    parts: Parts,
}

enum Parts {
    Array(Vec<Value>),
    Map {
        pairs: Vec<(Value, Value)>,
        key: Option<Value>,
    },
}

impl Open {
    fn of(head: Head) -> Self {
        // Room is made as values come: the length is only a claim.
        let (len, parts) = if let Head::Map(len) = head {
            let pairs = Vec::new();
            (2 * u64::from(len), Parts::Map { pairs, key: None })
        } else if let Head::Array(len) = head {
            (u64::from(len), Parts::Array(Vec::new()))
        } else {
            (0, Parts::Array(Vec::new()))
        };
        Self {
            missing: len,
            parts,
        }
    }

    fn push(&mut self, value: Value) {
        self.missing -= 1;
        match &mut self.parts {
            Parts::Array(items) => items.push(value),
            Parts::Map { pairs, key } => match key.take() {
                Some(key) => pairs.push((key, value)),
                None => *key = Some(value),
            },
        }
    }

    fn close(self) -> Value {
        match self.parts {
            Parts::Array(items) => Value::Array(items),
            Parts::Map { pairs, .. } => Value::Map(pairs),
        }
    }
}

/// Shows the value as JSON would, and what JSON lacks as `h'00ff'` (bytes) and `ext(5, h'00ff')`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        enum Piece<'a> {
            Value(&'a Value),
            Mark(&'static str),
        }
        let mut todo = vec![Piece::Value(self)];
        while let Some(piece) = todo.pop() {
            let value = match piece {
                Piece::Value(value) => value,
                Piece::Mark(mark) => {
                    f.write_str(mark)?;
                    continue;
                }
            };
            match value {
                Self::Nil => f.write_str("null")?,
                Self::Bool(value) => write!(f, "{value}")?,
                Self::Int(value) => write!(f, "{value}")?,
                // Unlike Display, Debug tells 1.0 from 1.
                Self::Float(value) => write!(f, "{value:?}")?,
                Self::Str(text) => write_quoted(f, text)?,
                Self::Bin(bytes) => write_hex(f, bytes)?,
                Self::Ext(kind, bytes) => {
                    write!(f, "ext({kind}, ")?;
                    write_hex(f, bytes)?;
                    f.write_str(")")?;
                }
                // From the end to the start, as the last is taken first.
                Self::Array(items) => {
                    todo.push(Piece::Mark("]"));
                    for (index, item) in items.iter().enumerate().rev() {
                        todo.push(Piece::Value(item));
                        todo.push(Piece::Mark(if index == 0 { "" } else { ", " }));
                    }
                    todo.push(Piece::Mark("["));
                }
                Self::Map(pairs) => {
                    todo.push(Piece::Mark("}"));
                    for (index, (key, value)) in pairs.iter().enumerate().rev() {
                        todo.push(Piece::Value(value));
                        todo.push(Piece::Mark(": "));
                        todo.push(Piece::Value(key));
                        todo.push(Piece::Mark(if index == 0 { "" } else { ", " }));
                    }
                    todo.push(Piece::Mark("{"));
                }
            }
        }
        Ok(())
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            // Both ranges of control characters: a terminal obeys the upper one too.
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("h'")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
    f.write_char('\'')
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_integers {
    ($($int:ty),+) => {$(
        impl From<$int> for Value {
            fn from(value: $int) -> Self {
                Self::Int(value.into())
            }
        }
    )+};
}

from_integers!(Int, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Float(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bin(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bin(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

/// Bytes, not an array of numbers; for that there is [`Value::array`].
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bin(bytes.into())
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::Array(items)
    }
}

/// `None` becomes [`Value::Nil`].
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out).unwrap();
        out
    }

    /// Any value, nested a little.
    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            // Near the edges of the short forms.
            (-300..70_000_i64).prop_map(Value::from),
            proptest::num::f64::ANY
                .prop_filter("NaN is not equal to itself", |float| !float.is_nan())
                .prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::from),
            (any::<i8>(), proptest::collection::vec(any::<u8>(), 0..20))
                .prop_map(|(kind, bytes)| Value::Ext(kind, bytes.into())),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                proptest::collection::vec(inner, 0..20).prop_map(Value::Array),
                proptest::collection::vec(pair, 0..20).prop_map(Value::Map),
            ]
        })
    }

    #[test]
    fn values_are_written_in_the_shortest_form() {
        let table: [(Value, &[u8]); 27] = [
            (Value::Nil, b"\xc0"),
            (false.into(), b"\xc2"),
            (true.into(), b"\xc3"),
            (0.into(), b"\0"),
            (127.into(), b"\x7f"),
            (128.into(), b"\xcc\x80"),
            (256.into(), b"\xcd\x01\0"),
            (65536.into(), b"\xce\0\x01\0\0"),
            ((1_u64 << 32).into(), b"\xcf\0\0\0\x01\0\0\0\0"),
            (u64::MAX.into(), b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
            ((-1).into(), b"\xff"),
            ((-32).into(), b"\xe0"),
            ((-33).into(), b"\xd0\xdf"),
            ((-129).into(), b"\xd1\xff\x7f"),
            ((-32769).into(), b"\xd2\xff\xff\x7f\xff"),
            (i64::MIN.into(), b"\xd3\x80\0\0\0\0\0\0\0"),
            (1.0.into(), b"\xcb\x3f\xf0\0\0\0\0\0\0"),
            (1.5_f32.into(), b"\xcb\x3f\xf8\0\0\0\0\0\0"),
            ("é".into(), b"\xa2\xc3\xa9"),
            ((&b""[..]).into(), b"\xc4\0"),
            (b"ab".into(), b"\xc4\x02ab"),
            (Value::Ext(5, b"abcd"[..].into()), b"\xd6\x05abcd"),
            (Value::Ext(-1, b"abc"[..].into()), b"\xc7\x03\xffabc"),
            (Value::array([1, 2]), b"\x92\x01\x02"),
            (Value::map([("a", 1)]), b"\x81\xa1a\x01"),
            (None::<&str>.into(), b"\xc0"),
            (
                Value::array([Value::map([(1, "x")]), Value::array([2])]),
                b"\x92\x81\x01\xa1x\x91\x02",
            ),
        ];
        for (value, bytes) in table {
            assert_eq!(encoded(&value), bytes, "{value}");
            assert_eq!(Value::decode(bytes.to_vec()), Ok(value));
        }
    }

    #[test]
    fn lengths_at_the_edges_of_the_forms_are_right() {
        let heads: [(usize, &[u8], &[u8]); 6] = [
            (31, b"\xbf", b"\xc4\x1f"),
            (32, b"\xd9\x20", b"\xc4\x20"),
            (255, b"\xd9\xff", b"\xc4\xff"),
            (256, b"\xda\x01\0", b"\xc5\x01\0"),
            (65535, b"\xda\xff\xff", b"\xc5\xff\xff"),
            (65536, b"\xdb\0\x01\0\0", b"\xc6\0\x01\0\0"),
        ];
        for (len, text_head, bytes_head) in heads {
            let text = encoded(&"x".repeat(len).into());
            assert_eq!(text[..text.len() - len], *text_head, "str of {len}");
            let bytes = encoded(&vec![0; len].into());
            assert_eq!(bytes[..bytes.len() - len], *bytes_head, "bin of {len}");
        }
    }

    #[test]
    fn longer_forms_and_short_floats_are_read() {
        let table: [(&[u8], Value); 4] = [
            (b"\xd3\0\0\0\0\0\0\0\x05", 5.into()),
            (b"\xca\x3f\xc0\0\0", 1.5.into()),
            (b"\xdb\0\0\0\x01x", "x".into()),
            (b"\xdf\0\0\0\x01\x01\x02", Value::map([(1, 2)])),
        ];
        for (bytes, value) in table {
            assert_eq!(Value::decode(bytes.to_vec()), Ok(value));
        }
    }

    #[test]
    fn what_is_no_value_says_why() {
        let deep = [vec![0x91; MAX_DEPTH + 1], vec![0xc0]].concat();
        let too_deep = MsgpackFault::TooDeep { limit: MAX_DEPTH };
        let table: [(&[u8], DecodeError); 6] = [
            (b"", MsgpackFault::Truncated.into()),
            (b"\xdd\xff\xff\xff\xff\xc0", MsgpackFault::Truncated.into()),
            (b"\xc1", MsgpackFault::Reserved.into()),
            (b"\xa1\xff", DecodeError::NotUtf8),
            (b"\xc0\xc0\xc0", DecodeError::TrailingBytes { len: 2 }),
            (&deep, too_deep.into()),
        ];
        for (bytes, error) in table {
            assert_eq!(Value::decode(bytes.to_vec()), Err(error), "{error}");
        }
    }

    #[test]
    fn the_deepest_value_survives_everything_on_a_small_stack() {
        // Threads of tests have 2 MiB; a quarter leaves room for callers.
        let in_keys = [vec![0x81; MAX_DEPTH], vec![0xc0; MAX_DEPTH + 1]].concat();
        let in_values = [[0x81, 0xc0].repeat(MAX_DEPTH), vec![0xc0]].concat();
        let on_small_stack = || {
            for bytes in [in_keys, in_values] {
                let value = Value::decode(bytes.clone()).unwrap();
                assert_eq!(encoded(&value), bytes);
                assert_eq!(value.clone(), value);
                let shown = value.to_string();
                assert_eq!(shown.matches('}').count(), MAX_DEPTH);
            }
        };
        let thread = std::thread::Builder::new().stack_size(512 * 1024);
        thread.spawn(on_small_stack).unwrap().join().unwrap();
    }

    #[test]
    fn an_application_may_nest_as_it_likes_and_still_gets_an_encoding() {
        let mut value = Value::Nil;
        for _ in 0..2000 {
            value = Value::Array(vec![value]);
        }
        assert_eq!(encoded(&value).len(), 2001);
        assert_eq!(value.to_string().len(), 2000 + 4 + 2000);
    }

    #[test]
    fn received_bytes_share_the_buffer_they_came_in() {
        let buffer = Bytes::from_static(b"\x91\xc4\x05bytes");
        let value = Value::decode(buffer.clone()).unwrap();
        let bytes = value.as_array().unwrap()[0].as_bytes().unwrap();
        assert_eq!(bytes.as_ptr(), buffer[3..].as_ptr());
    }

    #[test]
    fn values_are_shown_as_json_would() {
        let value = Value::array([
            Value::Nil,
            true.into(),
            (-5).into(),
            1.0.into(),
            f64::NAN.into(),
            "quo\"te\\ \n\u{1b}[2J é".into(),
            b"\0\xff".into(),
            Value::Ext(5, vec![1].into()),
            Value::array([] as [i32; 0]),
            Value::map([(Value::from("a"), Value::from(1)), (2.into(), Value::Nil)]),
        ]);
        let shown = r#"[null, true, -5, 1.0, NaN, "quo\"te\\ \n\u001b[2J é", h'00ff', ext(5, h'01'), [], {"a": 1, 2: null}]"#;
        assert_eq!(value.to_string(), shown);
    }

    #[test]
    fn accessors_return_what_is_there_and_nothing_else() {
        let int = Value::from(7);
        assert_eq!(
            (int.as_i64(), int.as_u64(), int.as_f64()),
            (Some(7), Some(7), None)
        );
        assert_eq!(Value::from(u64::MAX).as_i64(), None);
        assert_eq!(Value::from(-1).as_u64(), None);
        assert_eq!(Value::from(7.0).as_f64(), Some(7.0));
        assert_eq!(Value::from(7.0).as_i64(), None);
        assert_eq!(Value::from("a").as_str(), Some("a"));
        assert_eq!(Value::from(b"a").as_str(), None);
        assert_eq!(
            Value::from(b"a").as_bytes().map(|b| &b[..]),
            Some(&b"a"[..])
        );
        assert_eq!(Value::from(true).as_bool(), Some(true));
        assert!(Value::Nil.is_nil() && !Value::from(0).is_nil());
        let map = Value::map([("a", 1), ("b", 2), ("a", 3)]);
        assert_eq!(map.get("a"), Some(&3.into()), "the last of equal keys");
        assert_eq!(map.get("c"), None);
        assert_eq!(map.as_map().map(<[_]>::len), Some(3));
        assert_eq!(map.as_array(), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(value in any_value()) {
            let bytes = encoded(&value);
            let scan = msgpack::scan(&bytes, MAX_DEPTH).unwrap();
            prop_assert_eq!(scan.len, bytes.len());
            prop_assert!(!scan.traits.has_bad_text);
            prop_assert_eq!(Value::decode(bytes), Ok(value));
        }

        #[test]
        fn an_encoding_cut_anywhere_is_truncated(value in any_value(), at: proptest::sample::Index) {
            let bytes = encoded(&value);
            let cut = at.index(bytes.len());
            let truncated = Err(MsgpackFault::Truncated.into());
            prop_assert_eq!(Value::decode(bytes[..cut].to_vec()), truncated);
        }
    }
}
