//! Compression of frame bodies.
//!
//! A body is compressed as a whole, checksum included, and nothing in a frame says whether it
//! is or how: the receiver tries the methods it expects and lets the checksum judge. This module
//! knows the methods; which one a link may use is not its business.
//!
//! What arrives is hostile until its checksum fits, and that is known only after decompression.
//! So every decompressor here is bounded: its memory follows the bytes that it was given and the
//! limit that its caller set, never what a header claims.

mod codecs;
#[cfg(test)]
mod tests;

use std::fmt;

use codecs::{bz2, gzip, lzma, snappy, zlib};

/// What a padded body is filled up with, after the end of its compressed stream.
///
/// py2p ignores what follows a stream, but its xz reader first asks whether another stream
/// begins there, in any container that it knows, and refuses the body if one might. Seven copies
/// of a byte up to 224 can look like the start of an old `.lzma` header (zeros always do), and
/// `0xfd` is how `.xz` begins. `0xff` begins nothing.
pub(crate) const PAD_BYTE: u8 = 0xff;

/// A way to compress the frames of a link.
///
/// Each is behind the cargo feature of the same name, in lower case; one that is not built is
/// neither offered to peers nor understood. The order of the variants is that of
/// [`number`](Self::number); the order of preference is that of [`built`](Self::built).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// bzip2: small results, slow. Understood by py2p.
    Bz2,
    /// gzip: deflate with a longer header and a CRC. Understood by py2p and js2p.
    Gzip,
    /// LZMA2 in an `.xz` container: small results, slowest. Understood by py2p on Python 3.
    Lzma,
    /// zlib: deflate with the shortest header. Understood by py2p and js2p.
    Zlib,
    /// A raw snappy block: much faster than the others, larger results. Understood by a py2p
    /// that has python-snappy.
    Snappy,
}

impl Method {
    /// Fast first. Snappy costs next to nothing; zlib does better on text at several times the
    /// price, and everyone has it; gzip is zlib with 12 bytes more; the last two take a hundred
    /// microseconds or more for even the smallest message.
    const BY_PREFERENCE: [Self; 5] = [Self::Snappy, Self::Zlib, Self::Gzip, Self::Bz2, Self::Lzma];

    /// Returns the number that names this method in handshakes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Bz2 => 0x10,
            Self::Gzip => 0x11,
            Self::Lzma => 0x12,
            Self::Zlib => 0x13,
            Self::Snappy => 0x20,
        }
    }

    /// Returns the method that a handshake names by `number`, built or not.
    ///
    /// `None` for every other number: the protocol names more methods, which nobody implements.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::BY_PREFERENCE
            .into_iter()
            .find(|method| u64::from(method.number()) == number)
    }

    /// Returns whether this build can compress and decompress with this method.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::Bz2 => cfg!(feature = "bz2"),
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Lzma => cfg!(feature = "lzma"),
            Self::Zlib => cfg!(feature = "zlib"),
            Self::Snappy => cfg!(feature = "snappy"),
        }
    }

    /// Returns the methods of this build, the preferred one first: snappy, zlib, gzip, bz2, lzma.
    pub fn built() -> impl Iterator<Item = Self> {
        Self::BY_PREFERENCE
            .into_iter()
            .filter(|method| method.is_built())
    }

    /// Guesses from its first bytes how `body` is compressed; the method need not be built.
    ///
    /// A guess only. Snappy has no mark and is never found, and a plain body starts with a hash,
    /// about one in a thousand of which look like a zlib header.
    pub(crate) fn sniff(body: &[u8]) -> Option<Self> {
        match *body {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bz2),
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Some(Self::Lzma),
            [cmf, flags, ..] if is_zlib_header(cmf, flags) => Some(Self::Zlib),
            _ => None,
        }
    }

    /// Returns whether py2p ignores bytes that follow the compressed stream.
    ///
    /// They have to be [`PAD_BYTE`]s. js2p is stricter: it takes padding after zlib alone.
    pub(crate) const fn allows_padding(self) -> bool {
        match self {
            Self::Bz2 | Self::Gzip | Self::Lzma | Self::Zlib => true,
            // A raw block has no end mark: more bytes are more block.
            Self::Snappy => false,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bz2 => "bz2",
            Self::Gzip => "gzip",
            Self::Lzma => "lzma",
            Self::Zlib => "zlib",
            Self::Snappy => "snappy",
        })
    }
}

/// Deflate, a window of at most 32 KiB, no preset dictionary, and the check bits right.
fn is_zlib_header(cmf: u8, flags: u8) -> bool {
    let is_deflate = cmf & 0x0f == 8;
    let window_fits = cmf >> 4 <= 7;
    let has_dictionary = flags & 0x20 != 0;
    is_deflate
        && window_fits
        && !has_dictionary
        && u16::from_be_bytes([cmf, flags]).is_multiple_of(31)
}

/// This build was made without the feature of the method asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotBuilt;

impl fmt::Display for NotBuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("compression method is not built in")
    }
}

impl std::error::Error for NotBuilt {}

/// Why a body could not be decompressed.
#[cfg_attr(
    not(any(
        test,
        feature = "zlib",
        feature = "gzip",
        feature = "bz2",
        feature = "lzma",
        feature = "snappy"
    )),
    expect(
        dead_code,
        reason = "without a method there is no other fault than its absence"
    )
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecompressFault {
    /// This build was made without the method's feature.
    NotBuilt,
    /// The plain body is longer than `limit` bytes, or its header asks for more memory than a
    /// plain body of that length can need.
    TooLong { limit: usize },
    /// Not a stream of this method: malformed, cut short, or with a wrong checksum of its own.
    Corrupt,
}

impl fmt::Display for DecompressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt => NotBuilt.fmt(f),
            Self::TooLong { limit } => {
                write!(f, "decompressed body is longer than {limit} bytes")
            }
            Self::Corrupt => f.write_str("compressed body is corrupt"),
        }
    }
}

impl std::error::Error for DecompressFault {}

impl From<NotBuilt> for DecompressFault {
    fn from(NotBuilt: NotBuilt) -> Self {
        Self::NotBuilt
    }
}

/// Compresses the concatenation of `parts` and appends the result to `out`.
///
/// The same parts give the same bytes in every run of one build. Bytes already in `out` stay as
/// they are.
///
/// # Errors
///
/// [`NotBuilt`] if this build lacks the method; `out` is then unchanged.
///
/// # Panics
///
/// If the parts have more than 3.5 GiB together. Frames are limited far below that.
pub(crate) fn compress(method: Method, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), NotBuilt> {
    match method {
        Method::Bz2 => bz2::compress(parts, out),
        Method::Gzip => gzip::compress(parts, out),
        Method::Lzma => lzma::compress(parts, out),
        Method::Zlib => zlib::compress(parts, out),
        Method::Snappy => snappy::compress(parts, out),
    }
}

/// Decompresses `body` to at most `limit` plain bytes; exactly `limit` are fine.
///
/// Bytes after the end of the stream are ignored, except by snappy, whose blocks have no end
/// mark. The stream's own checksum, if it has one, is verified. The result has little or no
/// spare capacity.
///
/// # Errors
///
/// See [`DecompressFault`]. A body that breaks several rules is reported for the one met first.
pub(crate) fn decompress(
    method: Method,
    body: &[u8],
    limit: usize,
) -> Result<Vec<u8>, DecompressFault> {
    match method {
        Method::Bz2 => bz2::decompress(body, limit),
        Method::Gzip => gzip::decompress(body, limit),
        Method::Lzma => lzma::decompress(body, limit),
        Method::Zlib => zlib::decompress(body, limit),
        Method::Snappy => snappy::decompress(body, limit),
    }
}
