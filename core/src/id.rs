//! The names of nodes, networks and messages.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256, Sha384};

use crate::address::Address;
use crate::wire::base58;

/// The name of a node for as long as it runs.
///
/// To everyone but its owner a node id is opaque text of 1 to [`NodeId::MAX_LEN`] bytes. Ids of rs2p, py2p and
/// js2p are base58 and 64 to 66 characters long, but a peer may call itself anything. A clone is cheap.
///
/// `Ord` is the order of the texts. Which of two nodes keeps the link it dialled is another question, answered
/// by [`NodeId::outranks`].
#[derive(Clone)]
pub struct NodeId {
    /// The first eight bytes of the text, as a number of the same order: it tells nearly all ids apart, and is at hand
    /// where the text is a look-up away. Tables of ids are what a node looks at most.
    start: u64,
    text: Arc<str>,
}

impl NodeId {
    /// The longest id that is taken, in bytes of UTF-8.
    ///
    /// Ids are kept in many tables, so a peer must not choose their size. Four times what real nodes use.
    pub const MAX_LEN: usize = 256;

    /// Makes an id of any text.
    ///
    /// # Errors
    ///
    /// When the text is empty or longer than [`NodeId::MAX_LEN`].
    pub fn new(text: impl AsRef<str>) -> Result<Self, NodeIdError> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(NodeIdError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(NodeIdError::TooLong { len: text.len() });
        }
        Ok(Self::of(text))
    }

    fn of(text: &str) -> Self {
        let mut start = [0; 8];
        for (byte, of_text) in start.iter_mut().zip(text.bytes()) {
            *byte = of_text;
        }
        Self {
            start: u64::from_be_bytes(start),
            text: Arc::from(text),
        }
    }

    /// Makes the id of a node from where it can be reached, its network and a salt.
    ///
    /// The recipe is py2p's: base58 of the SHA-384 of the address as a Python tuple, the protocol id and the salt.
    /// A node takes a new salt for each life, so that a restart is a new node to the network.
    #[must_use]
    pub fn derive(advertised: Option<&Address>, protocol: &ProtocolId, salt: &[u8]) -> Self {
        let place = advertised.map_or_else(
            || "None".to_owned(),
            |address| format!("('{}', {})", address.host(), address.port()),
        );
        let hash = Sha384::new()
            .chain_update(place)
            .chain_update(protocol.as_str())
            .chain_update(salt)
            .finalize();
        Self::of(&base58::integer(&hash))
    }

    /// Whether this id is the larger base58 integer.
    ///
    /// Of two links between the same two nodes, the one dialled by the node of the larger id is kept; both ends must
    /// come to the same answer. Ids of nodes that spell theirs otherwise are ordered as if their characters were
    /// digits in the order of their bytes. Of two different ids exactly one outranks the other.
    #[must_use]
    pub fn outranks(&self, other: &Self) -> bool {
        self.cmp_rank(other) == Ordering::Greater
    }

    fn cmp_rank(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (
            significant_digits(&self.text),
            significant_digits(&other.text),
        );
        mine.len()
            .cmp(&theirs.len())
            .then_with(|| mine.cmp(theirs))
            // Equal integers, spelt with different numbers of leading zeros.
            .then_with(|| self.cmp(other))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Base58 digits without leading zeros, which are written `1`. The digits ascend as their bytes do.
fn significant_digits(id: &str) -> &str {
    id.trim_start_matches('1')
}

impl PartialEq for NodeId {
    fn eq(&self, other: &Self) -> bool {
        // An `Arc` is equal to itself without a look at the text.
        self.start == other.start && self.text == other.text
    }
}

impl Eq for NodeId {}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NodeId {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.start.cmp(&other.start) {
            Ordering::Equal if Arc::ptr_eq(&self.text, &other.text) => Ordering::Equal,
            Ordering::Equal => self.text.cmp(&other.text),
            unequal @ (Ordering::Less | Ordering::Greater) => unequal,
        }
    }
}

impl Hash for NodeId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl AsRef<str> for NodeId {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Shows the first eight characters: enough to tell nodes apart in a log.
impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeId(")?;
        write_start(f, &self.text)?;
        f.write_str(")")
    }
}

fn write_start(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    const SHOWN: usize = 8;
    for shown in text.chars().take(SHOWN).flat_map(char::escape_debug) {
        f.write_char(shown)?;
    }
    if text.chars().nth(SHOWN).is_some() {
        f.write_char('…')?;
    }
    Ok(())
}

/// Why a text is not a [`NodeId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeIdError {
    /// The text is empty.
    Empty,
    /// The text is longer than [`NodeId::MAX_LEN`] bytes.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl fmt::Display for NodeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a node id must not be empty"),
            Self::TooLong { len } => {
                write!(
                    f,
                    "a node id of {len} bytes is longer than {}",
                    NodeId::MAX_LEN
                )
            }
        }
    }
}

impl std::error::Error for NodeIdError {}

/// How a peer spells ids and other short texts on the wire.
///
/// py2p writes bin and js2p writes str, and both tell the two apart when they look an id up. So the form in which a
/// node spells its own id is remembered, and used when that node is named to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum IdForm {
    /// A msgpack str: js2p, and rs2p's own id.
    Str,
    /// A msgpack bin: py2p.
    Bin,
}

/// The name of a network: what two nodes must have in common to talk.
///
/// Comes from a [`Protocol`](crate::Protocol). A clone is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolId(Arc<str>);

impl ProtocolId {
    /// The longest id that is taken from a peer, in bytes. Real ones have up to 44.
    pub(crate) const MAX_LEN: usize = 256;

    /// Takes the id as a peer sent it, to be compared with our own.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// Returns the id as text, in base58 if it is one of ours.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ProtocolId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProtocolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Shows the first eight characters.
impl fmt::Debug for ProtocolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProtocolId(")?;
        write_start(f, &self.0)?;
        f.write_str(")")
    }
}

/// The name of a message: the SHA-256 of its packed bytes.
///
/// The same everywhere: py2p and js2p call it by the same 32 bytes. Compression does not change it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 32]);

impl MessageId {
    /// The length of an id, in bytes.
    pub const LEN: usize = 32;

    /// Computes the id of the message with these packed bytes.
    #[must_use]
    pub fn of(packed: &[u8]) -> Self {
        Self(Sha256::digest(packed).into())
    }

    /// Takes the id as it stands in a frame.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Spells the id as py2p and js2p show it to their users.
    #[must_use]
    pub fn to_base58(&self) -> String {
        base58::integer(&self.0)
    }
}

/// Shows all 32 bytes in lower-case hex.
impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Shows the first four bytes in hex.
impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "MessageId({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MessageId, NodeId, NodeIdError};
    use crate::{Address, Encryption, Protocol};

    // From py2p, with the salt of that run.
    #[test]
    fn an_id_is_derived_as_py2p_derives_it() {
        let salt = b"fb9dcdf7-5d76-426c-883b-ae7bc05f91ac";
        let table = [
            (
                ("127.0.0.1", 4444),
                Protocol::default(),
                "AGZEuf5nUwFLheyzE71WBBU4G3YBxq5F459D2QnhTjxpE8oYAHghxA7q7YQpAuenTL",
            ),
            (
                ("example.com", 80),
                Protocol::new("mesh", Encryption::Tls),
                "2BEkiuW2rnkPKGFwjgbhayEBQu5bCUSDjBR58EqdBFCLs9TuVJ76CohC5ostJ7WP4K",
            ),
            (
                ("::1", 5),
                Protocol::new("", Encryption::Plaintext),
                "5vdwaaEeDiJqDxyKTqB26irJfnr4ahyEg1XHhxQdGHJYn5Nia1YdJ8B4rbKpUJydEM",
            ),
        ];
        for ((host, port), protocol, expected) in table {
            let address = Address::new(host, port).unwrap();
            let id = NodeId::derive(Some(&address), &protocol.id(), salt);
            assert_eq!(id.as_str(), expected, "{host} {port}");
        }
    }

    #[test]
    fn an_id_has_1_to_256_bytes() {
        let at_limit = "x".repeat(NodeId::MAX_LEN);
        assert_eq!(NodeId::new(&at_limit).unwrap().as_str(), at_limit);
        assert_eq!(NodeId::new(""), Err(NodeIdError::Empty));
        // 257 bytes in 129 characters: bytes count.
        let over = format!("{}x", "é".repeat(128));
        assert_eq!(NodeId::new(over), Err(NodeIdError::TooLong { len: 257 }));
    }

    #[test]
    fn the_larger_integer_outranks() {
        let ascending = ["1", "2", "9", "A", "Z", "a", "z", "21", "zz", "211"];
        for (low, high) in ascending.iter().zip(&ascending[1..]) {
            let (low, high) = (NodeId::new(low).unwrap(), NodeId::new(high).unwrap());
            assert!(high.outranks(&low), "{high} over {low}");
            assert!(!low.outranks(&high), "{low} over {high}");
        }
    }

    #[test]
    fn leading_zeros_do_not_raise_an_integer() {
        let (padded, larger) = (NodeId::new("111z").unwrap(), NodeId::new("21").unwrap());
        assert!(larger.outranks(&padded));
        assert!(!padded.outranks(&larger));
    }

    #[test]
    fn debug_output_is_short_and_cannot_break_a_line() {
        let id = NodeId::new("a\nbcdefghi").unwrap();
        assert_eq!(format!("{id:?}"), r"NodeId(a\nbcdefg…)");
        let short = NodeId::new("12345678").unwrap();
        assert_eq!(format!("{short:?}"), "NodeId(12345678)");
    }

    #[test]
    fn a_message_id_is_the_hash_of_the_packed_bytes() {
        // The hash of nothing, a constant of SHA-256.
        let id = MessageId::of(b"");
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(id.to_string(), hex);
        assert_eq!(format!("{id:?}"), "MessageId(e3b0c442…)");
        assert_eq!(MessageId::from_bytes(*id.as_bytes()), id);
        assert_eq!(MessageId::from_bytes([0; 32]).to_base58(), "1");
    }

    proptest! {
        #[test]
        fn ids_are_in_the_order_of_their_texts(a in "[\\x00a-bé]{1,10}", b in "[\\x00a-bé]{1,10}") {
            let (one, other) = (NodeId::new(&a).unwrap(), NodeId::new(&b).unwrap());
            prop_assert_eq!(one.cmp(&other), a.cmp(&b));
            prop_assert_eq!(one == other, a == b);
            prop_assert_eq!(one.cmp(&one.clone()), std::cmp::Ordering::Equal);
        }

        #[test]
        fn of_two_ids_one_outranks_the_other(a in "[1-3éz]{1,4}", b in "[1-3éz]{1,4}") {
            let (one, other) = (NodeId::new(&a).unwrap(), NodeId::new(&b).unwrap());
            prop_assert_eq!(one.outranks(&other) ^ other.outranks(&one), a != b);
        }

        #[test]
        fn outranking_is_transitive(ids in proptest::array::uniform3("[1-3z]{1,4}")) {
            let [a, b, c] = ids.map(|id| NodeId::new(id).unwrap());
            if a.outranks(&b) && b.outranks(&c) {
                prop_assert!(a.outranks(&c));
            }
        }
    }
}
