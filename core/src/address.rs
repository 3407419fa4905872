//! Where nodes can be reached.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// A host and a TCP port: where a node listens or can be dialled.
///
/// The host is a name or an IP address, kept as text because that is how nodes tell each other, and because a name
/// may mean something else tomorrow. Two spellings of one host are different addresses. A clone is cheap.
///
/// Written `host:port`, with an IPv6 host in brackets: `[::1]:4444`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: Arc<str>,
    port: u16,
}

impl Address {
    /// The longest host, in bytes: the longest name that DNS can carry.
    pub const MAX_HOST_LEN: usize = 255;

    /// Makes an address of its parts. An IPv6 host comes without brackets.
    ///
    /// Port 0 is allowed: to listen on, it means any free port. It cannot be dialled.
    ///
    /// # Errors
    ///
    /// When the host is empty, longer than [`Address::MAX_HOST_LEN`], or holds brackets, white space or control
    /// characters. Whether the host exists is not looked up.
    pub fn new(host: impl AsRef<str>, port: u16) -> Result<Self, ParseAddressError> {
        let host = host.as_ref();
        if host.is_empty() {
            return Err(ParseAddressError::EmptyHost);
        }
        if host.len() > Self::MAX_HOST_LEN {
            return Err(ParseAddressError::HostTooLong { len: host.len() });
        }
        // Peers tell us hosts, and hosts are printed.
        let foreign = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '[' | ']');
        if let Some(found) = host.chars().find(|c| foreign(*c)) {
            return Err(ParseAddressError::ForeignCharacter { found });
        }
        Ok(Self {
            host: Arc::from(host),
            port,
        })
    }

    /// Returns the host, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the same host with another port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        Self {
            host: Arc::clone(&self.host),
            port,
        }
    }

    /// Returns the host if it is an IP address, `None` if it is a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether the host is `0.0.0.0` or `::`: fit to listen on, but no place that others can dial.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }
}

/// Takes the IP address and the port. An IPv4 address mapped into IPv6, as listeners of both show it, becomes plain
/// IPv4 again; flow label and scope of an IPv6 address are left out.
impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self {
            host: Arc::from(addr.ip().to_canonical().to_string()),
            port: addr.port(),
        }
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = if let Some(inner) = text.strip_prefix('[') {
            let (host, rest) = inner
                .split_once(']')
                .ok_or(ParseAddressError::UnclosedBracket)?;
            let port = rest
                .strip_prefix(':')
                .ok_or(ParseAddressError::MissingPort)?;
            (host, port)
        } else {
            let (host, port) = text
                .rsplit_once(':')
                .ok_or(ParseAddressError::MissingPort)?;
            if host.contains(':') {
                // Where "::1:80" should be cut is a guess.
                return Err(ParseAddressError::BracketsNeeded);
            }
            (host, port)
        };
        Self::new(host, parse_port(port)?)
    }
}

fn parse_port(text: &str) -> Result<u16, ParseAddressError> {
    // The standard parser takes "+80".
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(port) = text.parse()
    {
        return Ok(port);
    }
    Err(ParseAddressError::BadPort)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseAddressError {
    /// There is nothing where the host should be.
    EmptyHost,
    /// The host is longer than [`Address::MAX_HOST_LEN`].
    HostTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The host holds a character that no host has.
    ForeignCharacter {
        /// The first such character.
        found: char,
    },
    /// There is no `:` with a port at the end.
    MissingPort,
    /// The port is not a number from 0 to 65535.
    BadPort,
    /// A `[` has no `]`.
    UnclosedBracket,
    /// An IPv6 host stands without its brackets.
    BracketsNeeded,
}

impl fmt::Display for ParseAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyHost => f.write_str("the host is empty"),
            Self::HostTooLong { len } => {
                let limit = Address::MAX_HOST_LEN;
                write!(f, "a host of {len} bytes is longer than {limit}")
            }
            Self::ForeignCharacter { found } => {
                write!(f, "a host cannot contain {found:?}")
            }
            Self::MissingPort => f.write_str("the port is missing: write host:port"),
            Self::BadPort => f.write_str("the port must be a number from 0 to 65535"),
            Self::UnclosedBracket => f.write_str("the bracket before the host is not closed"),
            Self::BracketsNeeded => f.write_str("an IPv6 host needs brackets: write [host]:port"),
        }
    }
}

impl std::error::Error for ParseAddressError {}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::{Address, ParseAddressError as Error};

    #[test]
    fn addresses_are_read_and_written_alike() {
        let table = [
            ("127.0.0.1:4444", "127.0.0.1", 4444),
            ("example.com:0", "example.com", 0),
            ("[::1]:65535", "::1", 65535),
            ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
            ("bücher.example:1", "bücher.example", 1),
        ];
        for (text, host, port) in table {
            let address: Address = text.parse().expect(text);
            assert_eq!((address.host(), address.port()), (host, port), "{text}");
            assert_eq!(address.to_string(), text);
        }
        // Brackets are for IPv6; around anything else they change nothing.
        let name: Address = "[example.com]:80".parse().unwrap();
        assert_eq!(name.to_string(), "example.com:80");
    }

    #[test]
    fn a_text_that_is_no_address_says_why() {
        let long = format!("{}:80", "h".repeat(256));
        let table = [
            ("", Error::MissingPort),
            ("localhost", Error::MissingPort),
            ("[::1]", Error::MissingPort),
            ("[::1]80", Error::MissingPort),
            ("[::1", Error::UnclosedBracket),
            ("[::1:80", Error::UnclosedBracket),
            ("::1:80", Error::BracketsNeeded),
            (":80", Error::EmptyHost),
            ("[]:80", Error::EmptyHost),
            ("a:", Error::BadPort),
            ("a:65536", Error::BadPort),
            ("a:-1", Error::BadPort),
            ("a:+1", Error::BadPort),
            ("a:http", Error::BadPort),
            ("a b:80", Error::ForeignCharacter { found: ' ' }),
            ("a\x1b[0m:80", Error::ForeignCharacter { found: '\x1b' }),
            ("a]:80", Error::ForeignCharacter { found: ']' }),
            (&long, Error::HostTooLong { len: 256 }),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Address>(), Err(error), "{text:?}");
        }
        assert!(Address::new("h".repeat(Address::MAX_HOST_LEN), 1).is_ok());
    }

    #[test]
    fn an_unspecified_host_is_recognised_in_every_spelling() {
        let table = [
            ("0.0.0.0", true),
            ("::", true),
            ("0:0:0:0:0:0:0:0", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("localhost", false),
        ];
        for (host, unspecified) in table {
            let address = Address::new(host, 1).unwrap();
            assert_eq!(address.is_unspecified(), unspecified, "{host}");
            assert_eq!(address.ip().is_none(), host == "localhost", "{host}");
        }
    }

    #[test]
    fn a_mapped_ipv4_address_is_taken_for_ipv4() {
        let table = [
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"),
            ("[2001:db8::1%3]:80", "[2001:db8::1]:80"),
        ];
        for (socket, text) in table {
            let socket: SocketAddr = socket.parse().unwrap();
            assert_eq!(Address::from(socket).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(host in "\\PC{0,40}", port: u16) {
            if let Ok(address) = Address::new(host, port) {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
