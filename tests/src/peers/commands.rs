//! What a test can ask of a peer.

use std::error::Error;
use std::fmt;
use std::net::SocketAddrV4;
use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::peer::Peer;
use super::value;

/// A command that the library answered with an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError {
    /// The command.
    pub command: String,
    /// The exception, in the words of its language.
    pub error: String,
}

impl CommandError {
    /// Returns a driver's answer, or the error it tells of.
    pub(super) fn check(answer: Value) -> Result<Value, Self> {
        if answer["ok"] == true {
            return Ok(answer);
        }
        let text = |name: &str| answer[name].as_str().unwrap_or("?").to_owned();
        Err(Self {
            command: text("cmd"),
            error: text("error"),
        })
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.command, self.error)
    }
}

impl Error for CommandError {}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flag {
    /// Every node of the network.
    Broadcast,
    /// The nodes this one is linked to.
    Whisper,
}

impl Flag {
    fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Whisper => "whisper",
        }
    }
}

/// A row of a peer's routing table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RoutingRow {
    /// The key, for [`Peer::send_to`] and [`Peer::disconnect`].
    pub key: Value,
    /// The id the other node gave in its handshake; nil, or as told by others, before it.
    pub id: Value,
    /// The address the other node gave in its handshake; nil before it.
    pub addr: Value,
    /// Whether this peer dialled.
    pub outgoing: bool,
    /// The methods the other node offers.
    pub compression: Value,
}

impl RoutingRow {
    /// Returns whether the handshake of the other node has come.
    ///
    /// Both libraries enter a link that they dialled for a known id before that, without an
    /// address. A node whose handshake tells no address is never seen as established.
    pub fn is_established(&self) -> bool {
        self.addr != value::nil()
    }

    /// Returns the other node's id as text; empty if it is none.
    pub fn id_text(&self) -> String {
        value::text(&self.id).unwrap_or_default()
    }
}

/// What a quiet peer has counted since it became quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Messages delivered.
    pub total: u64,
    /// Different message ids.
    pub distinct: u64,
    /// Deliveries of an id after its first.
    pub duplicates: u64,
    /// Different first packets, by their first 40 bytes.
    pub distinct_bodies: u64,
    /// Deliveries of a first packet after its first.
    pub duplicate_bodies: u64,
}

/// Many distinct broadcasts or whispers, each one bin packet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Flood {
    count: u32,
    size: usize,
    gap: Duration,
    tag: String,
    flag: Flag,
    stamped: bool,
}

impl Flood {
    /// Creates a flood of `count` broadcasts of 64 bytes without pause, tagged `flood`.
    pub fn new(count: u32) -> Self {
        Self {
            count,
            size: 64,
            gap: Duration::ZERO,
            tag: "flood".to_owned(),
            flag: Flag::Broadcast,
            stamped: false,
        }
    }

    /// Sets the bytes of each packet. It is longer where the tag and the number need more.
    pub fn size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// Sets the pause after each message. py2p loses small ones that come without any.
    pub fn gap(mut self, gap: Duration) -> Self {
        self.gap = gap;
        self
    }

    /// Sets what the packets begin with; `-`, the number from 0 and `-` follow.
    pub fn tag(mut self, tag: &str) -> Self {
        tag.clone_into(&mut self.tag);
        self
    }

    /// Has each packet say when it is sent, after its number, in microseconds since 1970.
    pub fn stamped(mut self) -> Self {
        self.stamped = true;
        self
    }

    /// Returns how many messages it is.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Sets whom the messages are for.
    pub fn flag(mut self, flag: Flag) -> Self {
        self.flag = flag;
        self
    }
}

/// The commands. Each panics if no answer comes within
/// [`PeerOptions::timeout`](super::PeerOptions::timeout) or the process ends, and returns the
/// library's exception as an error.
impl Peer {
    /// Dials an address. The answer's `returned` is what the library returned; the link is up
    /// when [`wait_routing`](Self::wait_routing) says so.
    #[track_caller]
    pub fn connect(&self, address: SocketAddrV4) -> Result<Value, CommandError> {
        let (host, port) = (address.ip().to_string(), address.port());
        self.command(json!({ "cmd": "connect", "host": host, "port": port }))
    }

    /// Sends a message. `sub_flag` is the library's default, 0, if `None`; a text is free to use.
    #[track_caller]
    pub fn send(
        &self,
        packets: impl IntoIterator<Item = Value>,
        flag: Flag,
        sub_flag: Option<Value>,
    ) -> Result<Value, CommandError> {
        let packets = Vec::from_iter(packets);
        self.command(
            json!({ "cmd": "send", "packets": packets, "flag": flag.name(), "type": sub_flag }),
        )
    }

    /// Answers a message it received, by the message's [`n`](super::PeerMessage::n).
    #[track_caller]
    pub fn reply(
        &self,
        to: u64,
        packets: impl IntoIterator<Item = Value>,
    ) -> Result<Value, CommandError> {
        let packets = Vec::from_iter(packets);
        self.command(json!({ "cmd": "reply", "to": to, "packets": packets }))
    }

    /// Whispers to one node, by the [`key`](RoutingRow::key) of its row.
    #[track_caller]
    pub fn send_to(
        &self,
        key: &Value,
        packets: impl IntoIterator<Item = Value>,
    ) -> Result<Value, CommandError> {
        let packets = Vec::from_iter(packets);
        self.command(json!({ "cmd": "send_to", "id": key, "packets": packets }))
    }

    /// Takes messages from the library's queue, with
    /// [`PeerOptions::manual_recv`](super::PeerOptions::manual_recv): one, or up to `count`. They
    /// are reported like others, before this returns.
    #[track_caller]
    pub fn recv(&self, count: Option<u32>) -> Result<Value, CommandError> {
        let mut command = json!({ "cmd": "recv" });
        if let Some(count) = count {
            command["count"] = json!(count);
        }
        self.command(command)
    }

    /// Returns the state of its socket. `status` is `Nominal` if the library recorded no error.
    #[track_caller]
    pub fn status(&self) -> Result<Value, CommandError> {
        self.command(json!({ "cmd": "status" }))
    }

    /// Returns its routing table.
    #[track_caller]
    pub fn routing(&self) -> Result<Vec<RoutingRow>, CommandError> {
        // Not noted: polls would push all else out of a failure's report.
        let answer = self.exchange(json!({ "cmd": "routing" }), self.timeout(), false);
        let mut answer = CommandError::check(answer)?;
        Ok(self.typed(answer["routing"].take()))
    }

    /// Ends the link of a row, by its [`key`](RoutingRow::key).
    #[track_caller]
    pub fn disconnect(&self, key: &Value) -> Result<Value, CommandError> {
        self.command(json!({ "cmd": "disconnect", "id": key }))
    }

    /// Asks its neighbours for their peers.
    #[track_caller]
    pub fn request_peers(&self) -> Result<Value, CommandError> {
        self.command(json!({ "cmd": "request_peers" }))
    }

    /// Has it count messages (`true`) or report them (`false`). The counts begin anew.
    #[track_caller]
    pub fn quiet(&self, on: bool) -> Result<Value, CommandError> {
        self.command(json!({ "cmd": "quiet", "on": on }))
    }

    /// Returns what it has counted while quiet.
    #[track_caller]
    pub fn counts(&self) -> Result<Counts, CommandError> {
        // Not noted, as above.
        let answer = self.exchange(json!({ "cmd": "counts" }), self.timeout(), false);
        Ok(self.typed(CommandError::check(answer)?))
    }

    /// Returns how long the messages of [stamped](Flood::stamped) floods took that were counted since it was asked last,
    /// in microseconds; with [`PeerOptions::stamps`](super::PeerOptions::stamps).
    #[track_caller]
    pub fn latencies(&self) -> Result<Vec<u32>, CommandError> {
        let answer = self.exchange(json!({ "cmd": "latencies" }), self.timeout(), false);
        let mut answer = CommandError::check(answer)?;
        Ok(self.typed(answer["micros"].take()))
    }

    /// Sends many messages; returns when the last has been handed to the library. Its pauses
    /// are added to the timeout.
    #[track_caller]
    pub fn flood(&self, flood: &Flood) -> Result<Value, CommandError> {
        let command = json!({
            "cmd": "flood",
            "count": flood.count,
            "size": flood.size,
            "gap": flood.gap.as_secs_f64(),
            "tag": flood.tag,
            "flag": flood.flag.name(),
            "stamped": flood.stamped,
        });
        let timeout = self.timeout() + flood.gap * flood.count;
        CommandError::check(self.exchange(command, timeout, true))
    }

    /// Returns when it has answered: everything asked before has been done by then.
    #[track_caller]
    pub fn ping(&self) -> Result<Value, CommandError> {
        self.command(json!({ "cmd": "ping" }))
    }

    #[track_caller]
    fn typed<T: DeserializeOwned>(&self, answer: Value) -> T {
        let shown = answer.to_string();
        match serde_json::from_value(answer) {
            Ok(typed) => typed,
            Err(error) => self.fail(&format!("the driver says {shown}, which is wrong: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_says_no_is_an_error() {
        let error = CommandError::check(json!({ "cmd": "reply", "ok": false, "error": "why" }));
        assert_eq!(error.unwrap_err().to_string(), "reply: why");
        CommandError::check(json!({ "cmd": "reply", "ok": true })).unwrap();
    }

    #[test]
    fn a_row_without_an_address_is_not_established() {
        let row = |addr: Value| RoutingRow {
            key: value::nil(),
            id: value::bin(b"id"),
            addr,
            outgoing: true,
            compression: value::array([]),
        };
        assert!(!row(value::nil()).is_established());
        let known = row(value::array([value::str("127.0.0.2"), value::int(5)]));
        assert!(known.is_established());
        assert_eq!(known.id_text(), "id");
    }
}
