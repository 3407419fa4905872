//! A scenario as one line of text: `rs2p-sim:1:<what it is>:<checksum>`.

use std::fmt;
use std::str::FromStr;

use super::Scenario;
use super::part::{Flaw, Input, Part};

/// What each line begins with.
const PREFIX: &str = "rs2p-sim";

/// The version of what is written. Another one comes when a scenario can no longer be written in this one.
const VERSION: &str = "1";

/// The digits, each of 5 bits. Those that are easily taken for others are left out, and read as those.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormError {
    /// It begins neither with `rs2p-sim:` nor with `{`.
    Unknown {
        /// How it begins.
        start: String,
    },
    /// It is of a version or schema that this crate does not know.
    Version {
        /// What it says.
        found: String,
        /// What is known.
        known: &'static str,
    },
    /// It does not have four parts with colons between them.
    Parts {
        /// How many it has.
        count: usize,
    },
    /// A character that is no digit.
    Character {
        /// Which.
        found: char,
        /// Its place in the text, counted in characters from 1.
        at: usize,
    },
    /// A part has a number of digits that nothing has, or bits are set that stand for nothing: something is missing.
    Incomplete {
        /// How many digits it has.
        digits: usize,
    },
    /// The checksum is that of another text: something is missing or changed.
    Checksum {
        /// What it says.
        found: String,
        /// What it has to be.
        computed: String,
    },
    /// The text came through whole, and what it says is not a scenario.
    Content {
        /// The byte behind the digits at which that was seen, counted from 0.
        at: usize,
        /// In which part of the scenario: `faults[2].what.node`.
        part: String,
        /// What is wrong.
        what: String,
    },
    /// It is not the JSON of a scenario.
    Json {
        /// What is wrong, and where.
        what: String,
    },
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { start } => write!(
                f,
                "a scenario begins with `{PREFIX}:` or `{{`, and this with `{start}`"
            ),
            Self::Version { found, known } => {
                write!(f, "version {found} of scenarios is not known, only {known}")
            }
            Self::Parts { count } => write!(
                f,
                "a scenario in a line has four parts between colons, and this has {count}"
            ),
            Self::Character { found, at } => {
                write!(f, "character {at} is {found:?}, which is no digit here")
            }
            Self::Incomplete { digits } => {
                write!(
                    f,
                    "{digits} digits of these are not a whole number of bytes: some are missing"
                )
            }
            Self::Checksum { found, computed } => write!(
                f,
                "the checksum is {found} and should be {computed}: the line is not whole"
            ),
            Self::Content { at, part, what } => {
                let part = if part.is_empty() { "its end" } else { part };
                write!(f, "at byte {at}, in {part}: {what}")
            }
            Self::Json { what } => write!(f, "not the JSON of a scenario: {what}"),
        }
    }
}

impl std::error::Error for FormError {}

impl From<Flaw> for FormError {
    fn from(flaw: Flaw) -> Self {
        Self::Content {
            at: flaw.at,
            part: flaw.part,
            what: flaw.what,
        }
    }
}

impl Scenario {
    /// Returns it as one line, to be pasted somewhere: `rs2p-sim:1:…`. Equal scenarios have equal lines, for ever.
    pub fn to_line(&self) -> String {
        let bytes = self.to_bytes();
        let checksum = encode(&crc32(&bytes).to_be_bytes());
        format!("{PREFIX}:{VERSION}:{}:{checksum}", encode(&bytes))
    }

    /// Reads what [`to_line`](Self::to_line) wrote. Spaces, ends of lines and the case of letters do not matter.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and where.
    pub fn from_line(text: &str) -> Result<Self, FormError> {
        let clean: Vec<(usize, char)> = (1..)
            .zip(text.chars())
            .filter(|(_, c)| !c.is_whitespace())
            .collect();
        let parts: Vec<&[(usize, char)]> = clean.split(|(_, c)| *c == ':').collect();
        if !is(parts[0], PREFIX) {
            let start = clean.iter().take(12).map(|(_, c)| c).collect();
            return Err(FormError::Unknown { start });
        }
        if let Some(version) = parts.get(1)
            && !is(version, VERSION)
        {
            let found = version.iter().map(|(_, c)| c).collect();
            let known = VERSION;
            return Err(FormError::Version { found, known });
        }
        let [_, _, content, checksum] = parts[..] else {
            let count = parts.len();
            return Err(FormError::Parts { count });
        };
        let bytes = decode(content)?;
        let found = encode(&decode(checksum)?);
        let computed = encode(&crc32(&bytes).to_be_bytes());
        if found != computed {
            return Err(FormError::Checksum { found, computed });
        }
        Self::from_bytes(&bytes)
    }

    /// Returns what is behind the digits of its line.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.put(&mut bytes);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, FormError> {
        let mut input = Input::new(bytes);
        let scenario = Self::get(&mut input)?;
        if input.rest() > 0 {
            let what = format!("{} bytes too many", input.rest());
            return Err(input.flaw(what).into());
        }
        Ok(scenario)
    }
}

impl FromStr for Scenario {
    type Err = FormError;

    /// Reads a scenario from a line or, with the feature `json`, from JSON, whichever it is.
    fn from_str(text: &str) -> Result<Self, FormError> {
        #[cfg(feature = "json")]
        if text.trim_start().starts_with('{') {
            return Self::from_json(text);
        }
        Self::from_line(text)
    }
}

fn is(part: &[(usize, char)], word: &str) -> bool {
    let letters = part.iter().map(|(_, c)| c.to_ascii_lowercase());
    letters.eq(word.chars())
}

/// Writes bytes in base 32, the first bit first.
fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u32, 0);
    let mut digit = |number: u32| out.push(DIGITS[(number & 31) as usize].into());
    for &byte in bytes {
        held = held << 8 | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            digit(held >> bits);
        }
        held &= 0x1f;
    }
    if bits > 0 {
        digit(held << (5 - bits));
    }
    out
}

fn decode(digits: &[(usize, char)]) -> Result<Vec<u8>, FormError> {
    let mut out = Vec::with_capacity(digits.len() * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0);
    for &(at, found) in digits {
        let value = digit_value(found).ok_or(FormError::Character { found, at })?;
        held = held << 5 | value;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xff) as u8);
        }
        held &= 0xff;
    }
    // What is left fills up the last digit, with zeros.
    if bits >= 5 || held & ((1 << bits) - 1) != 0 {
        let digits = digits.len();
        return Err(FormError::Incomplete { digits });
    }
    Ok(out)
}

fn digit_value(c: char) -> Option<u32> {
    let c = match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    };
    let place = (0..)
        .zip(DIGITS)
        .find(|(_, digit)| char::from(**digit) == c);
    Some(place?.0)
}

/// The CRC-32 of Ethernet and zip.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (0xedb8_8320 * carry);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn bytes_survive_base_32() {
        for len in 0..=20_u8 {
            let bytes: Vec<u8> = (0..len).map(|n| n.wrapping_mul(77) ^ 0xa5).collect();
            let digits: Vec<_> = (1..).zip(encode(&bytes).chars()).collect();
            assert_eq!(decode(&digits), Ok(bytes));
        }
    }

    #[test]
    fn what_follows_a_scenario_is_refused() {
        let mut bytes = crate::generate::from_seed(3).to_bytes();
        bytes.push(0);
        let error = Scenario::from_bytes(&bytes).expect_err("a byte too many");
        assert!(error.to_string().contains("1 bytes too many"), "{error}");
    }

    #[test]
    fn bytes_that_end_too_soon_are_refused_with_the_place() {
        let bytes = crate::generate::from_seed(3).to_bytes();
        for len in 0..bytes.len() {
            let error = Scenario::from_bytes(&bytes[..len]).expect_err("too short");
            assert!(matches!(error, FormError::Content { .. }), "{error}");
        }
    }

    #[test]
    fn a_choice_that_does_not_exist_is_named() {
        // Seed 0, one node, and then a kind that nobody knows.
        let error = Scenario::from_bytes(&[0, 1, 1, 9]).expect_err("no such kind");
        let text = "at byte 3, in kinds[0]: there is no Kind with number 9";
        assert_eq!(error.to_string(), text);
        let error = Scenario::from_bytes(&[0, 0xff, 0xff, 0x7f]).expect_err("too many nodes");
        let text = "at byte 1, in nodes: 2097151 does not fit 16 bits";
        assert_eq!(error.to_string(), text);
        let error = Scenario::from_bytes(&[0xff; 12]).expect_err("too large a seed");
        let text = "at byte 0, in seed: a number is longer than 64 bits";
        assert_eq!(error.to_string(), text);
    }
}
