//! What a peer is started with.

use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::time::Duration;

/// How the peer's links are carried. Nodes meet only where both chose the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// Plain TCP.
    Plaintext,
    /// TLS, with certificates nobody checks.
    Ssl,
    /// WebSocket over plain TCP; js2p only.
    Ws,
}

impl Encryption {
    /// Returns the name that the packages hash into the protocol id.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "Plaintext",
            Self::Ssl => "SSL",
            Self::Ws => "ws",
        }
    }
}

/// The options of a peer.
///
/// By default: an address from [`next_address`](super::next_address), subnet `mesh`, plaintext,
/// the package's own compression methods, and every message reported as it comes.
#[derive(Debug, Clone)]
#[must_use]
pub struct PeerOptions {
    pub(super) address: Option<SocketAddrV4>,
    pub(super) encryption: Encryption,
    pub(super) timeout: Duration,
    pub(super) env: Vec<(OsString, OsString)>,
    arguments: Vec<String>,
}

impl PeerOptions {
    /// Creates the default options.
    pub fn new() -> Self {
        Self {
            address: None,
            encryption: Encryption::Plaintext,
            timeout: Duration::from_secs(30),
            env: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// Sets where the peer listens, for instance where an earlier one did.
    pub fn address(mut self, address: SocketAddrV4) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets the subnet.
    pub fn subnet(self, subnet: &str) -> Self {
        self.arguments(["--subnet", subnet])
    }

    /// Sets how links are carried.
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = encryption;
        self
    }

    /// Sets the compression methods to offer and use, in order of preference. Empty for none.
    pub fn compression(self, methods: &[u8]) -> Self {
        if methods.is_empty() {
            return self.arguments(["--no-compression"]);
        }
        let methods: Vec<_> = methods.iter().map(u8::to_string).collect();
        self.arguments(["--compression", &methods.join(",")])
    }

    /// Sets the address that the peer tells others, if not the one it listens on.
    pub fn out_address(self, host: &str, port: u16) -> Self {
        self.arguments(["--out-host", host, "--out-port", &port.to_string()])
    }

    /// Adds an address to dial at the start. What comes of it is a `result` event.
    pub fn connect(self, address: SocketAddrV4) -> Self {
        self.arguments(["--connect", &address.to_string()])
    }

    /// Leaves messages in the library's queue until [`Peer::recv`](super::Peer::recv).
    pub fn manual_recv(self) -> Self {
        self.arguments(["--manual-recv"])
    }

    /// Counts messages instead of reporting them, see [`Peer::counts`](super::Peer::counts).
    pub fn quiet(self) -> Self {
        self.arguments(["--quiet"])
    }

    /// Keeps how long messages took that say when they were sent, while they are counted, see
    /// [`Peer::latencies`](super::Peer::latencies).
    pub fn stamps(self) -> Self {
        self.arguments(["--stamps"])
    }

    /// Adds the serialized bytes to each message.
    pub fn raw(self) -> Self {
        self.arguments(["--raw"])
    }

    /// Reports every message that reaches a user's handler as a `handler` event.
    pub fn trace_handlers(self) -> Self {
        self.arguments(["--trace-handlers"])
    }

    /// Sets how much the library says on stderr, which a timeout shows the end of. Default: 0.
    pub fn debug(self, level: u8) -> Self {
        self.arguments(["--debug", &level.to_string()])
    }

    /// Sets a variable of the peer's environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets how long a wait or a command may take before it panics. Default: 30 s, a guess that
    /// leaves room for a loaded machine on which js2p makes a TLS key.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the driver's command line.
    pub(super) fn command_line(&self, address: SocketAddrV4) -> Vec<String> {
        let own = self.clone().arguments([
            "--host",
            &address.ip().to_string(),
            "--port",
            &address.port().to_string(),
            "--encryption",
            self.encryption.name(),
        ]);
        own.arguments
    }

    fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(str::to_owned));
        self
    }
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_the_drivers_arguments() {
        let options = PeerOptions::new()
            .subnet("alerts")
            .encryption(Encryption::Ssl)
            .compression(&[19, 17])
            .out_address("example", 7)
            .connect("127.0.0.9:12".parse().unwrap())
            .manual_recv();
        let line = options.command_line("127.0.0.2:5002".parse().unwrap());
        assert_eq!(
            line.join(" "),
            "--subnet alerts --compression 19,17 --out-host example --out-port 7 \
             --connect 127.0.0.9:12 --manual-recv --host 127.0.0.2 --port 5002 --encryption SSL"
        );
    }

    #[test]
    fn no_methods_means_no_compression() {
        let options = PeerOptions::new().compression(&[]);
        let line = options.command_line("127.0.0.2:5002".parse().unwrap());
        assert_eq!(line[0], "--no-compression");
    }
}
