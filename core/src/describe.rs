//! Bytes of a link, in words: for traces, simulators and whoever looks at a capture.

use std::fmt::Write as _;

use crate::frame::{Frame, FrameReader, PREFIX_LEN};
use crate::id::MessageId;
use crate::wire::control::Control;
use crate::wire::fault::ControlFault;
use crate::wire::letter::{Content, Letter, Seek};
use crate::wire::message::{MainType, Packed, Sender, WireSubFlag};
use crate::wire::msgpack::MAX_DEPTH;
use crate::wire::native::{Native, kind};
use crate::wire::sync::{Gone, Graft, Have, Ids, Prune, Repair, Summary, Want, WantIds};

/// How much of a message's packets is shown.
const SHOWN_LEN: usize = 60;

/// The longest frame that is looked into.
const MAX_FRAME_LEN: usize = 64 << 20;

/// Says in words what frames these bytes of a link are, one line for each: what kind of message, of
/// whom, and how it begins. Bytes that are no frame are described as such; so is what is left when
/// the last frame is cut off.
///
/// For people, not for programs: the wording may change.
pub fn describe(mut bytes: &[u8]) -> Vec<String> {
    let mut reader = FrameReader::new(MAX_FRAME_LEN);
    let mut lines = Vec::new();
    loop {
        match reader.take(&mut bytes) {
            Ok(Some(frame)) => lines.push(describe_frame(&frame)),
            Ok(None) => break,
            Err(fault) => {
                lines.push(format!("no frame: {fault}"));
                return lines;
            }
        }
    }
    match reader.partial_len() {
        0 => {}
        len => lines.push(format!("{len} bytes of an unfinished frame")),
    }
    lines
}

fn describe_frame(frame: &Frame) -> String {
    let len = PREFIX_LEN + frame.body().len();
    // Snappy has no mark to be known by: the one method to try unasked.
    let last = Some(crate::Method::Snappy);
    let opened = match frame.open(last, MAX_FRAME_LEN) {
        Ok(opened) => opened,
        Err(fault) => return format!("frame of {len} bytes: {fault}"),
    };
    let packed = match Packed::parse(opened.id, opened.packed, MAX_DEPTH) {
        Ok(packed) => packed,
        Err(fault) => return format!("frame of {len} bytes: {fault}"),
    };
    let sender = match packed.sender() {
        Sender::Node(id, _) => format!("{id:?}"),
        Sender::Unusable => "nobody".to_owned(),
    };
    let mut line = what(&packed);
    let method = opened.method.map(|method| format!(", {method}"));
    let method = method.unwrap_or_default();
    // Writing to a string does not fail.
    let _ = write!(line, " of {sender} ({len} bytes{method})");
    line
}

fn what(packed: &Packed) -> String {
    let control = match Control::parse(packed, usize::MAX) {
        Ok(control) => control,
        Err(fault) => return format!("malformed {fault}"),
    };
    match control {
        Control::User => user(packed),
        Control::Handshake(handshake) => format!("handshake {:?}", handshake.id),
        Control::Peers(entries) => format!("peers, {} of them", entries.len()),
        Control::RequestPeers => "request for peers".to_owned(),
        Control::RequestNode(request) => format!("request for {:?}", request.wanted),
        Control::Response(response) => format!("response: {:?}", response.found.address),
        Control::RenegotiateCompression(methods) => format!("renegotiation {methods:?}"),
        Control::Resend => "request to resend".to_owned(),
        Control::Native(native) => match native.kind {
            kind::HELLO => "hello".to_owned(),
            kind::PING => "ping".to_owned(),
            kind::PONG => "pong".to_owned(),
            kind::ACCEPT => "accept".to_owned(),
            kind::CONFIRM => "confirm".to_owned(),
            kind::GOODBYE => "goodbye".to_owned(),
            kind::BEACON => "beacon".to_owned(),
            kind::SEEK => told(Seek::parse(&native), |seek| {
                format!("seek {:?}", seek.wanted)
            }),
            kind::LETTER => told(Letter::parse(&native), |letter| {
                letter.map_or_else(|| "letter".to_owned(), |letter| carried(&letter))
            }),
            _ => sync(&native),
        },
    }
}

/// Says how two native nodes compare and repair their logs.
fn sync(native: &Native) -> String {
    match native.kind {
        kind::SUMMARY => told(Summary::parse(native), |summary| {
            format!("summary of {} streams", summary.streams)
        }),
        kind::HAVE => told(Have::parse(native), |have| {
            format!("have, of {} streams", have.entries.len())
        }),
        kind::WANT => told(Want::parse(native), |want| {
            format!("want, of {} streams", want.entries.len())
        }),
        kind::REPAIR => told(Repair::parse(native), |repair| repaired(&repair)),
        kind::GONE => told(Gone::parse(native), |gone| {
            let (streams, ids) = (gone.entries.len(), gone.ids.len());
            match ids {
                0 => format!("gone, of {streams} streams"),
                _ => format!("gone, of {streams} streams and {ids} ids"),
            }
        }),
        kind::PRUNE => told(Prune::parse(native), |prune| {
            format!("prune, of {} streams", prune.streams.len())
        }),
        kind::GRAFT => told(Graft::parse(native), |graft| {
            format!("graft, of {} streams", graft.streams.len())
        }),
        kind::IDS => told(Ids::parse(native), |ids| {
            format!("ids, {} of them", ids.ids.len())
        }),
        kind::WANT_IDS => told(WantIds::parse(native), |want| {
            format!("want of {} ids", want.ids.len())
        }),
        other => format!("native message {other}"),
    }
}

fn told<T>(parsed: Result<T, ControlFault>, words: impl FnOnce(T) -> String) -> String {
    parsed.map_or_else(|fault| format!("malformed {fault}"), words)
}

fn carried(letter: &Letter) -> String {
    let what = match &letter.content {
        Content::Message { packed, .. } => {
            let id = MessageId::of(packed);
            match Packed::parse(id, packed.clone(), MAX_DEPTH) {
                Ok(packed) => user(&packed),
                Err(fault) => fault.to_string(),
            }
        }
        Content::Receipt { receipt, .. } => format!("{receipt:?}"),
        Content::NoWay { lost, why, .. } => format!("no way to {lost:?}: {why:?}"),
        Content::Found { wanted, .. } => format!("found {wanted:?}"),
    };
    format!("letter to {:?}: {what}", letter.to)
}

fn repaired(repair: &Repair) -> String {
    let id = MessageId::of(&repair.packed);
    // Never more than one message deep: what a repair carries is no repair.
    let content = match Packed::parse(id, repair.packed.clone(), MAX_DEPTH) {
        Ok(packed) => user(&packed),
        Err(fault) => fault.to_string(),
    };
    format!("repair, {} ms old: {content}", repair.age.as_millis())
}

fn user(packed: &Packed) -> String {
    let main = match packed.main() {
        MainType::Broadcast => "broadcast",
        MainType::Renegotiate | MainType::Whisper => "whisper",
    };
    let flag = match packed.sub_flag() {
        WireSubFlag::Number(number) if number.as_u64().is_some_and(|number| number <= 2) => {
            String::new()
        }
        WireSubFlag::Number(number) => format!(" [{number}]"),
        WireSubFlag::Text(text) => format!(" [{text:?}]"),
        WireSubFlag::Other => " [?]".to_owned(),
    };
    let mut content = format!("{:?}", packed.packets());
    if content.len() > SHOWN_LEN {
        let end = (0..=SHOWN_LEN)
            .rev()
            .find(|at| content.is_char_boundary(*at));
        content.truncate(end.unwrap_or(0));
        content.push('\u{2026}');
    }
    format!("{main}{flag} {content}")
}

#[cfg(all(test, feature = "zlib"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tests::solo::{Legacy, frame_by, plain_frame};
    use crate::wire::control::OutControl;
    use crate::{Method, Payload};

    #[test]
    fn what_rs2p_nodes_say_to_each_other_is_told_in_words() {
        let peer = Legacy::py2p("Alice");
        let repair = |packed: Vec<u8>| Repair {
            age: Duration::from_secs(3),
            packed: packed.into(),
        };
        let fire = peer.pack(0, &0.into(), &Payload::from("fire"));
        let ids = vec![MessageId::of(b""); 2];
        let entries = Vec::new;
        let table = [
            (
                Summary {
                    fingerprint: [0; 16],
                    streams: 3,
                    others: [0; 16],
                    reach: Duration::ZERO,
                }
                .encode(),
                "summary of 3 streams",
            ),
            (
                Have {
                    entries: vec![],
                    is_complete: false,
                }
                .encode(),
                "have, of 0 streams",
            ),
            (Want { entries: entries() }.encode(), "want, of 0 streams"),
            (Gone::default().encode(), "gone, of 0 streams"),
            (
                Gone {
                    entries: entries(),
                    ids: ids.clone(),
                }
                .encode(),
                "gone, of 0 streams and 2 ids",
            ),
            (Ids { ids: ids.clone() }.encode(), "ids, 2 of them"),
            (WantIds { ids }.encode(), "want of 2 ids"),
            (Graft { streams: vec![] }.encode(), "graft, of 0 streams"),
            (
                Prune {
                    span: Duration::ZERO,
                    streams: vec![],
                }
                .encode(),
                "prune, of 0 streams",
            ),
            (
                repair(fire).encode(),
                "repair, 3000 ms old: broadcast [\"fire\"]",
            ),
            (
                repair(vec![0x90]).encode(),
                "repair, 3000 ms old: a message of 0 elements",
            ),
            (
                OutControl::native(kind::WANT, &Payload::new()),
                "malformed want: entries must be a list",
            ),
            (OutControl::native(99, &Payload::new()), "native message 99"),
        ];
        for (out, start) in table {
            let lines = describe(&peer.text_frame(2, "rs2p", &out.packets));
            assert!(lines[0].starts_with(start), "{lines:?} and not {start:?}");
        }
    }

    #[test]
    fn frames_are_told_in_words() {
        let peer = Legacy::py2p("Alice");
        let zlib = frame_by(
            Some(Method::Zlib),
            &peer.pack(2, &2.into(), &Payload::from("psst")),
        );
        let stream = [
            peer.handshake(),
            peer.broadcast("fire"),
            zlib,
            peer.frame(2, 8, &Payload::from("*")),
            plain_frame(&[0x90]),
            vec![0, 0, 1],
        ];
        let lines = describe(&stream.concat());
        let starts = [
            "handshake NodeId(Alice) of NodeId(Alice) (",
            "broadcast [\"fire\"] of NodeId(Alice) (",
            "whisper [\"psst\"] of NodeId(Alice) (72 bytes, zlib)",
            "request for peers of NodeId(Alice) (",
            "frame of 37 bytes: a message of 0 elements",
            "3 bytes of an unfinished frame",
        ];
        assert_eq!(lines.len(), starts.len(), "{lines:#?}");
        for (line, start) in lines.iter().zip(starts) {
            assert!(line.starts_with(start), "{line:?} and not {start:?}");
        }
        assert_eq!(
            describe(&[0, 0, 0, 1]),
            ["no frame: frame of 1 bytes is too short"]
        );
    }
}
