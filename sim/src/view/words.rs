//! Each kind of record as a symbol, and in words.

use super::text;
use crate::trace::{Record, What};

/// Kinds of records that belong together, for choosing among them and for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Lives: started, stopped, paused, resumed.
    Life,
    /// Dials and connections.
    Link,
    /// Bytes written and arrived.
    Frame,
    /// Messages published, refused and sent to one node.
    Publish,
    /// Messages delivered.
    Deliver,
    /// What an application is told besides: missing messages, and other words.
    Told,
    /// Faults, and phases of the run.
    World,
    /// Broken rules.
    Violation,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Life,
        Self::Link,
        Self::Frame,
        Self::Publish,
        Self::Deliver,
        Self::Told,
        Self::World,
        Self::Violation,
    ];

    /// Returns the kind of a record.
    pub const fn of(what: &What) -> Self {
        match what {
            What::Started { .. } | What::Stopped(_) | What::Paused | What::Resumed => Self::Life,
            What::Dialed { .. }
            | What::DialFailed { .. }
            | What::Connected { .. }
            | What::Closed { .. }
            | What::Lost { .. }
            | What::PeerUp { .. }
            | What::PeerDown { .. } => Self::Link,
            What::Sent { .. } | What::Received { .. } => Self::Frame,
            What::Published { .. } | What::Refused(_) | What::SentTo { .. } => Self::Publish,
            What::Delivered { .. } => Self::Deliver,
            What::Gap { .. } | What::Told(_) => Self::Told,
            What::FaultBegan(..) | What::FaultEnded(_) | What::Phase(_) => Self::World,
            What::Violated { .. } => Self::Violation,
        }
    }

    /// Returns its name, by which it is chosen on a command line: `frame`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Life => "life",
            Self::Link => "link",
            Self::Frame => "frame",
            Self::Publish => "publish",
            Self::Deliver => "deliver",
            Self::Told => "told",
            Self::World => "world",
            Self::Violation => "violation",
        }
    }
}

/// Returns the symbol of a record: one for each kind.
pub const fn symbol(what: &What) -> char {
    match what {
        What::Started { .. } => '^',
        What::Stopped(_) => 'v',
        What::Paused => 'z',
        What::Resumed => 'Z',
        What::Dialed { .. } => '?',
        What::DialFailed { .. } => '/',
        What::Connected { .. } => '+',
        What::Closed { .. } => '-',
        What::Lost { .. } => 'x',
        What::PeerUp { .. } => '=',
        What::PeerDown { .. } => '~',
        What::Sent { .. } => '>',
        What::Received { .. } => '<',
        What::Published { .. } => 'P',
        What::Refused(_) => 'R',
        What::SentTo { .. } => 'p',
        What::Delivered { .. } => 'D',
        What::Gap { .. } => 'G',
        What::Told(_) => '.',
        What::FaultBegan(..) => '[',
        What::FaultEnded(_) => ']',
        What::Phase(_) => '#',
        What::Violated { .. } => '!',
    }
}

/// What each symbol stands for, for legends.
pub(super) const SYMBOLS: [(char, &str); 23] = [
    ('^', "started"),
    ('v', "stopped"),
    ('z', "paused"),
    ('Z', "resumed"),
    ('?', "dialled"),
    ('/', "dial failed"),
    ('+', "connected"),
    ('-', "closed"),
    ('x', "connection lost"),
    ('=', "peer up"),
    ('~', "peer down"),
    ('>', "sent"),
    ('<', "received"),
    ('P', "published"),
    ('R', "refused"),
    ('p', "sent to one node"),
    ('D', "delivered"),
    ('G', "told of a gap"),
    ('.', "told"),
    ('[', "fault began"),
    (']', "fault ended"),
    ('#', "phase"),
    ('!', "violation"),
];

/// Returns the node at the other end of what a record tells, if there is one.
pub(super) const fn peer(what: &What) -> Option<u32> {
    match what {
        What::Connected { peer, .. }
        | What::Sent { peer, .. }
        | What::Received { peer, .. }
        | What::Closed { peer, .. }
        | What::Lost { peer, .. }
        | What::PeerUp { peer, .. }
        | What::PeerDown { peer, .. }
        | What::SentTo { peer, .. } => Some(*peer),
        What::Delivered { from, .. } => *from,
        What::Started { .. }
        | What::Stopped(_)
        | What::Paused
        | What::Resumed
        | What::Dialed { .. }
        | What::DialFailed { .. }
        | What::Published { .. }
        | What::Refused(_)
        | What::Gap { .. }
        | What::Told(_)
        | What::FaultBegan(..)
        | What::FaultEnded(_)
        | What::Phase(_)
        | What::Violated { .. } => None,
    }
}

/// Returns what bytes of a record say, if it is one of bytes.
pub(super) fn says(what: &What) -> Option<&[String]> {
    if let What::Sent { says, .. } | What::Received { says, .. } = what {
        Some(says)
    } else {
        None
    }
}

fn bytes(len: usize, says: &[String]) -> String {
    if says.is_empty() {
        format!("{len} bytes, of a frame that goes on")
    } else {
        says.join(" | ")
    }
}

/// Returns what a record tells, in one line and without its time, node and symbol.
pub fn words(record: &Record) -> String {
    let words = match &record.what {
        What::Started {
            place,
            kind,
            is_restored,
        } => {
            let memory = if *is_restored {
                ", with its memory"
            } else {
                ""
            };
            format!("started at {place} as {kind}{memory}")
        }
        What::Stopped(how) => format!("stopped: {how}"),
        What::Paused => "paused".to_owned(),
        What::Resumed => "goes on".to_owned(),
        What::Dialed { dial, to } => format!("dials {to} (dial {dial})"),
        What::DialFailed { dial, to, why } => format!("dial of {to} failed: {why} (dial {dial})"),
        What::Connected { dialed, .. } if *dialed => "connected, as dialled".to_owned(),
        What::Connected { .. } => "connected, accepted".to_owned(),
        What::Sent { len, says, .. } => format!("sent {}", bytes(*len, says)),
        What::Received { len, says, .. } => format!("received {}", bytes(*len, says)),
        What::Closed { why, .. } => format!("closed: {why}"),
        What::Lost { how, .. } => format!("connection lost: {how}"),
        What::PeerUp { .. } => "peer up".to_owned(),
        What::PeerDown { .. } => "peer down".to_owned(),
        What::Published {
            message,
            position,
            len,
            ..
        } => {
            let place = position.map(|position| format!(", its number {}", position.sequence));
            let place = place.unwrap_or_default();
            format!("published message {message}{place}, {len} bytes")
        }
        What::Refused(why) => format!("refused a message: {why}"),
        What::SentTo { number, .. } => format!("sends private message {number}"),
        What::Delivered { message, .. } => match message {
            Some(message) => format!("delivered message {message}"),
            None => "delivered a message that nobody published".to_owned(),
        },
        What::Gap {
            first, last, why, ..
        } => format!("told that {first} to {last} of a sender are missing: {why}"),
        What::Told(told) => format!("told: {told}"),
        What::FaultBegan(fault, what) => format!("fault {fault} began: {what}"),
        What::FaultEnded(fault) => format!("fault {fault} ended"),
        What::Phase(name) => format!("phase: {name}"),
        What::Violated { checker, sentence } => format!("VIOLATION {checker}: {sentence}"),
    };
    text::one_line(&words)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::view::sample;

    #[test]
    fn each_kind_has_its_own_symbol_and_a_legend() {
        let legend: BTreeSet<char> = SYMBOLS.iter().map(|(symbol, _)| *symbol).collect();
        assert_eq!(legend.len(), SYMBOLS.len());
        let used: BTreeSet<char> = sample::one_of_each().iter().map(symbol).collect();
        assert_eq!(used, legend);
    }
}
