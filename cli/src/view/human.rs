//! For a person: messages on standard output, what happens around them on standard error.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;

use rs2p_smol::{
    Address, CloseReason, ConnectFailure, Event, Message, MessageKind, PeerInfo, PeerKind,
    Protocol, Side, Value,
};

use super::Notice;
use super::text::{Cleaned, SHORT_ID_LEN, short};
use crate::paint::{Paint, Style};

/// Shows things as lines of text.
#[derive(Debug)]
pub(crate) struct Human {
    out: Paint,
    err: Paint,
    protocol: Protocol,
    /// The addresses that the person named. What is wrong with the others is the node's business.
    seeds: Vec<Address>,
    /// What was last said to be wrong with a seed: it is said again only when that changes.
    told: BTreeMap<Address, String>,
}

impl Human {
    pub(crate) fn new(protocol: Protocol, seeds: Vec<Address>) -> Self {
        Self {
            out: Paint::for_output(&io::stdout()),
            err: Paint::for_output(&io::stderr()),
            protocol,
            seeds,
            told: BTreeMap::new(),
        }
    }

    pub(super) fn message(&self, message: &Message) -> String {
        let sender = message.sender();
        let name = self
            .out
            .with(Style::of_name(sender.as_str()), short(sender));
        let mark = match message.kind() {
            MessageKind::Broadcast => "",
            MessageKind::Whisper => "(whisper) ",
        };
        let packets: Vec<_> = message.packets().iter().collect();
        let text = match &packets[..] {
            [Ok(Value::Str(text))] => lines(text),
            packets => values(packets),
        };
        format!("{name:SHORT_ID_LEN$}  {mark}{text}\n")
    }

    pub(super) fn event(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::PeerUp(peer) => {
                self.told.remove(&peer.remote);
                Some(self.status(up(peer)))
            }
            Event::PeerDown { peer, reason } => {
                let name = short(&peer.id);
                (*reason != CloseReason::ShutDown)
                    .then(|| self.status(format_args!("link to {name} ended: {reason}")))
            }
            Event::Isolated => Some(self.status("nobody is linked any more")),
            Event::Rejected {
                address,
                side: Side::Accepted,
                reason,
            } => self.turned_away(address, reason),
            Event::DialFailed { address, error, .. } => self.seed_failed(address, error),
            Event::Withheld { peer, why, .. } => {
                let name = short(peer);
                Some(self.warning(format_args!("{name} does not get this message: {why}")))
            }
            Event::Expired { sender, seconds } => {
                let name = short(sender);
                Some(self.warning(format_args!(
                    "a message of {name} was dropped: by its clock and ours it is {seconds} s too old"
                )))
            }
            Event::ControlFlood { limit, .. } => Some(self.warning(format_args!(
                "a peer sends more than {limit} control messages a second; the rest is ignored"
            ))),
            Event::SeenOverflow { forgotten } => Some(self.warning(format_args!(
                "{forgotten} messages were forgotten early; late copies of them would show up again"
            ))),
            // The rest is told by other means, or follows from what the person did.
            Event::Joined
            | Event::JoinedAgain
            | Event::Rejected { .. }
            | Event::Connected { .. }
            | Event::ConnectFailed { .. }
            | Event::Sent { .. }
            | Event::Room
            | Event::ShutDown
            | _ => None,
        }
    }

    pub(super) fn notice(&self, notice: Notice<'_>) -> Option<String> {
        Some(match notice {
            Notice::Started { id, listening, .. } => {
                let name = short(id);
                let places: Vec<_> = listening.iter().map(Address::to_string).collect();
                if places.is_empty() {
                    self.status(format_args!("you are {name}"))
                } else {
                    let places = places.join(" and ");
                    self.status(format_args!("you are {name}, listening on {places}"))
                }
            }
            Notice::Typing => {
                self.status("each line that you type goes to everyone; Ctrl-D leaves")
            }
            Notice::Joining { addresses } => {
                let addresses: Vec<_> = addresses.iter().map(Address::to_string).collect();
                if addresses.is_empty() {
                    return None;
                }
                self.status(format_args!("joining {}", addresses.join(" and ")))
            }
            Notice::Waiting => self.status("nobody is linked: your lines wait"),
            Notice::WaitingOver => self.status("your lines are being sent"),
            Notice::Refused { line, reason } => {
                self.warning(format_args!("line {line} was not sent: {reason}"))
            }
            Notice::InputEnded => self.status("the input has ended; staying (Ctrl-C leaves)"),
            Notice::Leaving => self.status("leaving"),
            Notice::Missed { what, count } => self.warning(format_args!(
                "{count} {what} are missing here: they came faster than they could be shown"
            )),
        })
    }

    fn turned_away(&self, address: &Address, reason: &CloseReason) -> Option<String> {
        let host = address.host();
        match reason {
            CloseReason::WrongNetwork { .. } => Some(self.warning(format_args!(
                "turned away a node of another network, from {host}"
            ))),
            CloseReason::Fault(fault) => Some(self.warning(format_args!(
                "turned away a connection from {host} that does not speak the protocol: {fault}"
            ))),
            // Somebody looked whether the port is open, or dialled twice.
            CloseReason::Ourselves
            | CloseReason::Duplicate(_)
            | CloseReason::HandshakeTimeout
            | CloseReason::HalfFrameTimeout
            | CloseReason::Stalled
            | CloseReason::Silent
            | CloseReason::Overflow { .. }
            | CloseReason::Requested
            | CloseReason::ShutDown
            | CloseReason::PeerClosed
            | _ => None,
        }
    }

    fn seed_failed(&mut self, address: &Address, error: &ConnectFailure) -> Option<String> {
        if !self.seeds.contains(address) {
            return None;
        }
        let reason = reason(error, &self.protocol);
        let told = self.told.insert(address.clone(), reason.clone());
        (told.as_ref() != Some(&reason)).then(|| {
            self.warning(format_args!(
                "cannot join {address}: {reason}; trying again until it works"
            ))
        })
    }

    fn status(&self, text: impl Display) -> String {
        // Hosts, ids and reasons may hold text of peers.
        let line = format!("* {text}");
        format!("{}\n", self.err.with(Style::Dim, Cleaned(&line)))
    }

    fn warning(&self, text: impl Display) -> String {
        let line = format!("! {text}");
        format!("{}\n", self.err.with(Style::Warning, Cleaned(&line)))
    }
}

/// Tells why an address cannot be joined, with what may help.
pub(crate) fn reason(error: &ConnectFailure, ours: &Protocol) -> String {
    Cleaned(&advice(error, ours)).to_string()
}

fn advice(error: &ConnectFailure, ours: &Protocol) -> String {
    match error {
        ConnectFailure::WrongNetwork { theirs } => {
            let subnet = ours.subnet();
            let standard = Protocol::new("mesh", ours.encryption());
            if standard.id() == *theirs {
                format!("the node there is in subnet \"mesh\", not \"{subnet}\"")
            } else {
                format!("the node there is not in subnet \"{subnet}\" (check --subnet)")
            }
        }
        ConnectFailure::Dial(rs2p_smol::DialFailure::Upgrade(why)) => {
            let encryption = ours.encryption();
            format!("no link over {encryption}: {why} (check --tls and --ws)")
        }
        ConnectFailure::Closed(CloseReason::PeerClosed | CloseReason::HandshakeTimeout) => {
            let encryption = ours.encryption();
            format!("{error} (is it a node of this network, over {encryption}?)")
        }
        ConnectFailure::Dial(_)
        | ConnectFailure::Ourselves
        | ConnectFailure::Duplicate(_)
        | ConnectFailure::Closed(_)
        | ConnectFailure::TooManyLinks { .. }
        | ConnectFailure::BadAddress(_)
        | ConnectFailure::ShutDown
        | _ => error.to_string(),
    }
}

fn up(peer: &PeerInfo) -> String {
    let name = short(&peer.id);
    let kind = if peer.kind == PeerKind::Native {
        String::new()
    } else {
        format!(" ({})", peer.kind)
    };
    match (peer.side, &peer.address) {
        (Side::Dialed, _) => format!("linked to {name}{kind} at {}", peer.remote),
        (Side::Accepted, Some(address)) => {
            format!("{name}{kind} has joined, and listens on {address}")
        }
        (Side::Accepted, None) => {
            let host = peer.remote.host();
            format!("{name}{kind} has joined from {host}")
        }
    }
}

/// Shows a text, its second and further lines below the first.
fn lines(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let lines: Vec<_> = text
        .split('\n')
        .map(|line| Cleaned(line).to_string())
        .collect();
    let indent = " ".repeat(SHORT_ID_LEN + 2);
    lines.join(&format!("\n{indent}"))
}

/// Shows packets as JSON would, one after the other.
fn values<E: Display>(packets: &[Result<Value, E>]) -> String {
    if packets.is_empty() {
        return "(empty)".to_owned();
    }
    let shown: Vec<_> = packets
        .iter()
        .map(|packet| match packet {
            Ok(value) => Cleaned(&value.to_string()).to_string(),
            Err(fault) => format!("(unreadable: {fault})"),
        })
        .collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rs2p_smol::DialFailure;

    use super::*;

    fn human(seeds: &[&str]) -> Human {
        Human {
            out: Paint::PLAIN,
            err: Paint::PLAIN,
            protocol: Protocol::default(),
            seeds: seeds.iter().map(|seed| seed.parse().unwrap()).collect(),
            told: BTreeMap::new(),
        }
    }

    fn failed(address: &str, failure: DialFailure) -> Event {
        Event::DialFailed {
            address: address.parse().unwrap(),
            error: ConnectFailure::Dial(failure),
            retry_in: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_seed_that_fails_is_told_of_once_for_each_reason() {
        let mut human = human(&["a:1"]);
        let refused = human.event(&failed("a:1", DialFailure::Refused)).unwrap();
        assert_eq!(
            refused,
            "! cannot join a:1: connection refused; trying again until it works\n"
        );
        assert_eq!(human.event(&failed("a:1", DialFailure::Refused)), None);
        assert!(human.event(&failed("a:1", DialFailure::TimedOut)).is_some());
        assert!(human.event(&failed("a:1", DialFailure::Refused)).is_some());
        let hearsay = failed("b:1", DialFailure::Refused);
        assert_eq!(human.event(&hearsay), None, "nobody asked for it");
    }

    #[test]
    fn a_wrong_network_is_told_in_names() {
        let ours = Protocol::new("ops", rs2p_smol::Encryption::Plaintext);
        let table = [
            ("mesh", "the node there is in subnet \"mesh\", not \"ops\""),
            (
                "other",
                "the node there is not in subnet \"ops\" (check --subnet)",
            ),
        ];
        for (subnet, expected) in table {
            let theirs = Protocol::new(subnet, rs2p_smol::Encryption::Plaintext).id();
            let error = ConnectFailure::WrongNetwork { theirs };
            assert_eq!(reason(&error, &ours), expected);
        }
    }

    #[test]
    fn text_stays_in_its_column_and_values_look_like_json() {
        assert_eq!(lines("a\nb\x1b\n"), "a\n          b\\u{1b}");
        let packets: [Result<Value, String>; 3] = [
            Ok("fire".into()),
            Ok(Value::array([1, 2])),
            Err("no text".into()),
        ];
        assert_eq!(values(&packets), "\"fire\" [1, 2] (unreadable: no text)");
        assert_eq!(values::<String>(&[]), "(empty)");
    }

    #[test]
    fn notices_are_lines() {
        let human = human(&[]);
        let places = ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()];
        let started = Notice::Started {
            id: &rs2p_smol::NodeId::new("123456789").unwrap(),
            protocol: &Protocol::default(),
            listening: &places,
        };
        assert_eq!(
            human.notice(started).unwrap(),
            "* you are 12345678, listening on 127.0.0.1:1 and [::1]:2\n"
        );
        let refused = Notice::Refused {
            line: 7,
            reason: "too long",
        };
        assert_eq!(
            human.notice(refused).unwrap(),
            "! line 7 was not sent: too long\n"
        );
    }
}
