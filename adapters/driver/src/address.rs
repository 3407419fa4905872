//! Addresses as programs write them, and the one that others can reach this machine by.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rs2p_core::{Address, ParseAddressError};

/// What can be an address: an [`Address`], a [`SocketAddr`], a text such as `127.0.0.1:4444`,
/// `[::1]:4444` or `example.org:4444`, or a pair of host and port.
pub trait ToAddress {
    /// Makes the address of it.
    ///
    /// # Errors
    ///
    /// The text is none.
    fn to_address(self) -> Result<Address, AddressError>;
}

impl ToAddress for Address {
    fn to_address(self) -> Result<Address, AddressError> {
        Ok(self)
    }
}

impl ToAddress for &Address {
    fn to_address(self) -> Result<Address, AddressError> {
        Ok(self.clone())
    }
}

impl ToAddress for SocketAddr {
    fn to_address(self) -> Result<Address, AddressError> {
        Ok(self.into())
    }
}

impl ToAddress for &str {
    fn to_address(self) -> Result<Address, AddressError> {
        self.parse().map_err(|source| AddressError {
            text: self.to_owned(),
            source,
        })
    }
}

impl ToAddress for String {
    fn to_address(self) -> Result<Address, AddressError> {
        self.as_str().to_address()
    }
}

impl ToAddress for &String {
    fn to_address(self) -> Result<Address, AddressError> {
        self.as_str().to_address()
    }
}

impl ToAddress for (&str, u16) {
    fn to_address(self) -> Result<Address, AddressError> {
        let (host, port) = self;
        Address::new(host, port).map_err(|source| AddressError {
            text: format!("{host}:{port}"),
            source,
        })
    }
}

impl ToAddress for (IpAddr, u16) {
    fn to_address(self) -> Result<Address, AddressError> {
        Ok(SocketAddr::from(self).into())
    }
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub source: ParseAddressError,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not an address: {}", self.text, self.source)
    }
}

impl std::error::Error for AddressError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Returns the address that others can dial, of one that a socket listens on.
pub(crate) fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = listening.ip();
    if ip.is_unspecified() {
        SocketAddr::new(lan_ip(ip.is_ipv6()), listening.port())
    } else {
        listening
    }
}

/// Returns the address of this machine on the way out of it; the loopback one if there is no way out.
fn lan_ip(prefers_v6: bool) -> IpAddr {
    let (v4, v6) = (outgoing_v4(), outgoing_v6());
    // A listener on `::` takes IPv4 too, and nearly every node can dial that.
    let found = if prefers_v6 { v4.or(v6) } else { v4 };
    let loopback = if prefers_v6 {
        IpAddr::from(Ipv6Addr::LOCALHOST)
    } else {
        IpAddr::from(Ipv4Addr::LOCALHOST)
    };
    found.unwrap_or(loopback)
}

fn outgoing_v4() -> Option<IpAddr> {
    outgoing(
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv4Addr::new(192, 0, 2, 1).into(),
    )
}

fn outgoing_v6() -> Option<IpAddr> {
    let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    outgoing(Ipv6Addr::UNSPECIFIED.into(), documentation.into())
}

/// Asks the system which of its addresses it would send from. Connecting a UDP socket looks the route
/// up and sends nothing; the destination is one reserved for documents.
fn outgoing(any: IpAddr, to: IpAddr) -> Option<IpAddr> {
    const DISCARD: u16 = 9;
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((to, DISCARD)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_listener_is_reachable_somewhere() {
        for (listening, port) in [("0.0.0.0:4444", 4444), ("[::]:5555", 5555)] {
            let found = reachable(listening.parse().unwrap());
            assert!(!found.ip().is_unspecified(), "{listening}: {found}");
            assert_eq!(found.port(), port, "{listening}");
        }
    }

    #[test]
    fn a_specified_listener_is_reachable_there() {
        let listening = "127.0.0.2:4444".parse().unwrap();
        assert_eq!(reachable(listening), listening);
    }

    #[test]
    fn a_text_that_is_no_address_is_quoted() {
        let error = "example.org".to_address().unwrap_err();
        assert_eq!(error.source, ParseAddressError::MissingPort);
        assert!(error.to_string().contains("\"example.org\""), "{error}");
    }
}
