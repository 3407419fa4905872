//! Which network a node takes part in.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::id::ProtocolId;
use crate::wire::base58;

/// The protocol version that py2p 0.7 and js2p 0.7 share.
const VERSION: &str = "0.7";

/// A network: its name and how its links are secured.
///
/// Nodes with different protocols cannot talk; a handshake between them ends the link. The name is no secret and
/// keeps nobody out.
///
/// Default: the subnet `mesh` in plain text, as in py2p and js2p.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol {
    subnet: Arc<str>,
    encryption: Encryption,
}

impl Protocol {
    /// Describes the network of this name. Any text will do, the empty one too.
    pub fn new(subnet: impl Into<Arc<str>>, encryption: Encryption) -> Self {
        Self {
            subnet: subnet.into(),
            encryption,
        }
    }

    /// Returns the name of the network.
    #[must_use]
    pub fn subnet(&self) -> &str {
        &self.subnet
    }

    /// Returns how links of the network are secured.
    #[must_use]
    pub const fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// Computes what nodes of this network show each other in their handshakes.
    #[must_use]
    pub fn id(&self) -> ProtocolId {
        let hash = Sha256::new()
            .chain_update(&*self.subnet)
            .chain_update(self.encryption.wire_name())
            .chain_update(VERSION)
            .finalize();
        ProtocolId::from_text(&base58::integer(&hash))
    }
}

impl Default for Protocol {
    fn default() -> Self {
        Self::new("mesh", Encryption::Plaintext)
    }
}

/// Shows `mesh over TLS`, for example.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} over {}", self.subnet, self.encryption)
    }
}

/// How the links of a network are secured and carried.
///
/// Part of the network's identity: the same subnet with another encryption is another network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Encryption {
    /// TCP as it is.
    #[default]
    Plaintext,
    /// TLS over TCP, which py2p and js2p call `SSL`. Links are private but nobody's identity is proven.
    Tls,
    /// WebSocket, which js2p calls `ws`. Not encrypted.
    WebSocket,
}

impl Encryption {
    /// Returns the name that enters the protocol id.
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Plaintext => "Plaintext",
            Self::Tls => "SSL",
            Self::WebSocket => "ws",
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Plaintext => "plain text",
            Self::Tls => "TLS",
            Self::WebSocket => "WebSocket",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Encryption, Protocol};

    // From py2p and js2p, which agree.
    #[test]
    fn ids_are_those_of_the_older_libraries() {
        use Encryption::{Plaintext, Tls, WebSocket};
        let table = [
            (
                "mesh",
                Plaintext,
                "EpAmyZWv9rZUKmjQgU3FTUD4GrJHvVEXizmghVBc8eGD",
            ),
            (
                "",
                Plaintext,
                "3soAb1XFyvZYyqgFNTxcXvzEBU6p8n821ifyVVANipvt",
            ),
            ("mesh", Tls, "EkE9cS4dwjZ8uo8H1pxYe7WrJ3wXgaHfozHQUkb99eHm"),
            (
                "mesh",
                WebSocket,
                "57pLfYoGgbS8ntjsL3HTnzhHYs9Pq8pTiLiCYr6yfU7A",
            ),
            (
                "réseau",
                Plaintext,
                "HqFtqLQB5EXNt5J3Zh67EqDSAhYB1cg9DBhPtsf1yNqh",
            ),
            (
                "😀",
                WebSocket,
                "BiXuhJyKMJUndrouxf6QARRD7mjKeT87paVTYcuWixio",
            ),
            // Hashes that start with one zero byte and with two.
            (
                "zero139",
                Plaintext,
                "uBcxK2YX3q1HNg6pgUmMWdMNJU6F4hrSgyn1UyJL4s",
            ),
            (
                "zero72595",
                Plaintext,
                "kSeR5UmWNuGoReDacewq1P6RmRsbrYC34fVFdK2r3",
            ),
        ];
        for (subnet, encryption, id) in table {
            let protocol = Protocol::new(subnet, encryption);
            assert_eq!(protocol.id().as_str(), id, "{protocol}");
        }
    }

    #[test]
    fn the_default_network_is_that_of_the_older_libraries() {
        let expected = Protocol::new("mesh", Encryption::Plaintext);
        assert_eq!(Protocol::default(), expected);
    }
}
