//! One module per method, all with the same two functions, and `absent` in place of those that
//! are not built.

#[cfg(not(feature = "bz2"))]
pub(super) use absent as bz2;
#[cfg(not(feature = "gzip"))]
pub(super) use absent as gzip;
#[cfg(not(feature = "lzma"))]
pub(super) use absent as lzma;
#[cfg(not(feature = "snappy"))]
pub(super) use absent as snappy;
#[cfg(not(feature = "zlib"))]
pub(super) use absent as zlib;

/// How hard deflate tries, 0 to 9.
///
/// Measured with miniz_oxide on 64 KiB of log-like text: level 3 takes a quarter of the time of
/// the usual 6 for a result 7 % longer; level 1 takes another quarter, but is 30 % longer. For
/// messages of a few hundred bytes all levels are alike.
#[cfg(any(feature = "gzip", feature = "zlib"))]
const DEFLATE_LEVEL: u32 = 3;

#[cfg(feature = "zlib")]
pub(super) mod zlib {
    use flate2::{Compression, bufread::ZlibDecoder, write::ZlibEncoder};

    use super::DEFLATE_LEVEL;
    use super::stream::{WRITES_TO_MEMORY, read_bounded, write_parts};
    use crate::wire::compress::{DecompressFault, NotBuilt};

    pub(crate) fn compress(parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), NotBuilt> {
        let encoder = ZlibEncoder::new(out, Compression::new(DEFLATE_LEVEL));
        write_parts(encoder, parts, ZlibEncoder::finish).expect(WRITES_TO_MEMORY);
        Ok(())
    }

    pub(crate) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressFault> {
        read_bounded(ZlibDecoder::new(body), body.len(), limit)
    }
}

#[cfg(feature = "gzip")]
pub(super) mod gzip {
    use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};

    use super::DEFLATE_LEVEL;
    use super::stream::{WRITES_TO_MEMORY, read_bounded, write_parts};
    use crate::wire::compress::{DecompressFault, NotBuilt};

    pub(crate) fn compress(parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), NotBuilt> {
        // The header carries neither a time nor the system, so equal parts give equal bytes.
        let encoder = GzEncoder::new(out, Compression::new(DEFLATE_LEVEL));
        write_parts(encoder, parts, GzEncoder::finish).expect(WRITES_TO_MEMORY);
        Ok(())
    }

    /// Reads one member. A second one counts as trailing bytes, as it does to py2p.
    pub(crate) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressFault> {
        read_bounded(GzDecoder::new(body), body.len(), limit)
    }
}

#[cfg(feature = "bz2")]
pub(super) mod bz2 {
    use bzip2::{Compression, bufread::BzDecoder, write::BzEncoder};

    use super::stream::{WRITES_TO_MEMORY, read_bounded, write_parts};
    use super::total_len;
    use crate::wire::compress::{DecompressFault, NotBuilt};

    /// The bytes in a block at level 1; level *n* has *n* times as many.
    const BLOCK_UNIT: usize = 100_000;

    pub(crate) fn compress(parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), NotBuilt> {
        // The level is nothing but the block length, for which both ends allocate four to eight
        // times as much. A block longer than the body gains nothing.
        let level = (1..9)
            .find(|level| total_len(parts) < BLOCK_UNIT * *level as usize)
            .unwrap_or(9);
        let encoder = BzEncoder::new(out, Compression::new(level));
        write_parts(encoder, parts, BzEncoder::finish).expect(WRITES_TO_MEMORY);
        Ok(())
    }

    /// Reads one stream, with at most 4 MiB of working memory whatever the header asks for.
    pub(crate) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressFault> {
        read_bounded(BzDecoder::new(body), body.len(), limit)
    }
}

#[cfg(feature = "lzma")]
pub(super) mod lzma {
    use lzma_rust2::{XzOptions, XzReader, XzWriter};

    use super::stream::{WRITES_TO_MEMORY, read_bounded, write_parts};
    use super::total_len;
    use crate::wire::compress::{DecompressFault, NotBuilt};

    /// A fast one: on 64 KiB of log-like text an eighth of the time of the usual 6, for a result
    /// 28 % longer. (Measured.)
    const PRESET: u32 = 1;

    /// The smallest dictionary of the format.
    const MIN_DICT_LEN: usize = 4 << 10;

    /// The dictionary of preset 6, py2p's only one. It is written into the header of even the
    /// smallest stream, so no limit may refuse it.
    const DEFAULT_DICT_LEN: usize = 8 << 20;

    /// What the decoder counts besides the dictionary: 104 KiB today, with room for more.
    const DECODER_KIB: usize = 512;

    pub(crate) fn compress(parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), NotBuilt> {
        let mut options = XzOptions::with_preset(PRESET);
        // Both ends allocate by the dictionary. One longer than the body gains nothing.
        let dict_len = total_len(parts).clamp(MIN_DICT_LEN, DEFAULT_DICT_LEN);
        options.lzma_options.dict_size = u32::try_from(dict_len.next_power_of_two())
            .expect("a dictionary of at most 8 MiB fits into 32 bits");
        let encoder = XzWriter::new(out, options).expect("the options come from a preset");
        write_parts(encoder, parts, XzWriter::finish).expect(WRITES_TO_MEMORY);
        Ok(())
    }

    /// Reads one stream. A dictionary that no body within `limit` can use is refused at once.
    pub(crate) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressFault> {
        let memory_kib = limit.max(DEFAULT_DICT_LEN).div_ceil(1024) + DECODER_KIB;
        // From 4 GiB on there is nothing left to refuse: dictionaries end there.
        let memory_kib = u32::try_from(memory_kib).unwrap_or(u32::MAX);
        let decoder = XzReader::new_mem_limit(body, false, memory_kib);
        read_bounded(decoder, body.len(), limit)
    }
}

#[cfg(feature = "snappy")]
pub(super) mod snappy {
    use std::borrow::Cow;

    use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

    use crate::wire::compress::{DecompressFault, NotBuilt};

    /// No element of a block makes more of its bytes: the best is a copy of 64 bytes in 3.
    const MAX_RATIO: usize = 22;

    pub(crate) fn compress(parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), NotBuilt> {
        let plain = match parts {
            [part] => Cow::Borrowed(*part),
            _ => Cow::Owned(parts.concat()),
        };
        let start = out.len();
        out.resize(start + max_compress_len(plain.len()), 0);
        let written = Encoder::new()
            .compress(&plain, &mut out[start..])
            .expect("there is room for the worst case, and frames are below 3.5 GiB");
        out.truncate(start + written);
        Ok(())
    }

    pub(crate) fn decompress(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressFault> {
        let claimed = match decompress_len(body) {
            Ok(claimed) => claimed,
            Err(snap::Error::TooBig { .. }) => return Err(DecompressFault::TooLong { limit }),
            Err(_) => return Err(DecompressFault::Corrupt),
        };
        if claimed > limit {
            return Err(DecompressFault::TooLong { limit });
        }
        // Within the limit, a claim is still believed only as far as the body can keep it: the
        // buffer has to exist before the first byte is read.
        if claimed / MAX_RATIO > body.len() {
            return Err(DecompressFault::Corrupt);
        }
        let mut plain = vec![0; claimed];
        match Decoder::new().decompress(body, &mut plain) {
            Ok(_) => Ok(plain),
            Err(_) => Err(DecompressFault::Corrupt),
        }
    }
}

/// Stands in for every method that is not built.
#[cfg(not(all(
    feature = "bz2",
    feature = "gzip",
    feature = "lzma",
    feature = "zlib",
    feature = "snappy"
)))]
pub(super) mod absent {
    use crate::wire::compress::{DecompressFault, NotBuilt};

    pub(crate) fn compress(_parts: &[&[u8]], _out: &mut Vec<u8>) -> Result<(), NotBuilt> {
        Err(NotBuilt)
    }

    pub(crate) fn decompress(_body: &[u8], _limit: usize) -> Result<Vec<u8>, DecompressFault> {
        Err(NotBuilt.into())
    }
}

#[cfg(any(feature = "bz2", feature = "lzma"))]
fn total_len(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// What the methods share whose crates work on [`Read`](std::io::Read) and
/// [`Write`](std::io::Write): all but snappy.
#[cfg(any(feature = "bz2", feature = "gzip", feature = "lzma", feature = "zlib"))]
mod stream {
    use std::io::{self, Read, Write};

    use crate::wire::compress::DecompressFault;

    /// Why an encoder cannot fail: each is an [`io::Write`] in front of a vector.
    pub(super) const WRITES_TO_MEMORY: &str = "a vector takes every write";

    /// Writes all parts to `encoder`, then has `finish` write the end of the stream.
    pub(super) fn write_parts<E: Write, W>(
        mut encoder: E,
        parts: &[&[u8]],
        finish: impl FnOnce(E) -> io::Result<W>,
    ) -> io::Result<()> {
        for part in parts {
            encoder.write_all(part)?;
        }
        finish(encoder).map(drop)
    }

    /// Reads `decoder` to its end, through whatever it verifies there.
    ///
    /// The buffer starts at twice `body_len`, at most doubles, and never passes `limit + 1` bytes:
    /// the one more is how a stream of exactly `limit` is told from a longer one.
    pub(super) fn read_bounded(
        mut decoder: impl Read,
        body_len: usize,
        limit: usize,
    ) -> Result<Vec<u8>, DecompressFault> {
        let max_len = limit.saturating_add(1);
        let mut plain = vec![0; body_len.saturating_mul(2).clamp(1, max_len)];
        let mut len = 0;
        loop {
            match decoder.read(&mut plain[len..]) {
                Ok(0) => break,
                Ok(read) => len += read,
                // The xz reader's word for a dictionary past its memory limit.
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                    return Err(DecompressFault::TooLong { limit });
                }
                Err(_) => return Err(DecompressFault::Corrupt),
            }
            if len > limit {
                return Err(DecompressFault::TooLong { limit });
            }
            if len == plain.len() {
                let grown = len.saturating_mul(2).min(max_len);
                plain.reserve_exact(grown - len);
                plain.resize(grown, 0);
            }
        }
        plain.truncate(len);
        // A message may stay in the log for long: it should weigh there what it says it does.
        plain.shrink_to_fit();
        Ok(plain)
    }
}
