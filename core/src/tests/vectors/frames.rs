//! The frames of py2p and js2p, read; and our own frames of the same messages.

use bytes::Bytes;

use super::notation::{assert_agrees, elements, node, sha256, whole};
use super::packing::recorded;
use super::{File, Json, LIMIT, count, hex, parse, read_frame, text};
use crate::encode::Encoder;
use crate::frame::FrameReader;
use crate::wire::message::{MainType, Packed, Sender, WireSubFlag, WireTime};
use crate::{MessageId, Method, SubFlag, Value};

/// Returns the frames of a case, those by methods that are not built left out.
fn frames(file: &File, name: &str, case: &Json) -> Vec<(Option<Method>, Vec<u8>)> {
    let frames = case["frames"].as_object().unwrap().iter();
    let frames = frames.map(|(method, frame)| (method_of(method), frame));
    let built = frames.filter(|(method, _)| method.is_none_or(Method::is_built));
    built
        .map(|(method, frame)| (method, frame_bytes(file, name, case, frame)))
        .collect()
}

fn method_of(key: &str) -> Option<Method> {
    if key == "none" {
        return None;
    }
    let method = Method::from_number(key.parse().unwrap());
    Some(method.unwrap_or_else(|| panic!("unheard-of method {key}")))
}

/// Returns the bytes of a frame. Of a long one, which is plain, only the hash is recorded.
fn frame_bytes(file: &File, name: &str, case: &Json, frame: &Json) -> Vec<u8> {
    if frame.is_string() {
        return hex(frame);
    }
    let packed = recorded(file, name, case);
    let len = u32::try_from(32 + packed.len()).unwrap();
    let bytes = [&len.to_be_bytes()[..], &hex(&case["id"]), &packed].concat();
    assert_eq!(bytes.len(), count(&frame["len"]), "{name}");
    assert_eq!(sha256(&bytes), text(&frame["sha256"]), "{name}");
    assert!(bytes.starts_with(&hex(&frame["head"])), "{name}");
    bytes
}

fn id_of(case: &Json) -> MessageId {
    MessageId::from_bytes(hex(&case["id"]).try_into().unwrap())
}

/// Checks that a message was read as it was taken apart when it was recorded.
pub(super) fn assert_read(name: &str, fields: &Json, packed: &Packed) {
    let [main, sender, time, sub_flag, packets @ ..] = elements(fields) else {
        panic!("{name}: too short to be a message");
    };
    let expected = match whole(main).as_u64() {
        Some(0) => MainType::Broadcast,
        Some(1) => MainType::Renegotiate,
        _ => MainType::Whisper,
    };
    assert_eq!(packed.main(), expected, "{name}");
    let (id, form) = node(&whole(sender));
    assert_eq!(*packed.sender(), Sender::Node(id, form), "{name}");
    let seconds = match whole(time) {
        Value::Int(int) => int.as_i64().unwrap(),
        Value::Float(float) => format!("{float}").parse().unwrap(),
        other => panic!("{name}: time {other}"),
    };
    assert_eq!(packed.time(), WireTime::Seconds(seconds), "{name}");
    let expected = match whole(sub_flag) {
        Value::Int(number) => WireSubFlag::Number(number),
        Value::Str(text) => WireSubFlag::Text(text.into()),
        other => panic!("{name}: sub-flag {other}"),
    };
    assert_eq!(*packed.sub_flag(), expected, "{name}");
    let values = packed.packets().to_values().unwrap();
    assert_eq!(values.len(), packets.len(), "{name}");
    for (field, value) in packets.iter().zip(&values) {
        assert_agrees(name, field, value);
    }
    assert!(packed.trailer().is_empty(), "{name}");
}

#[test]
fn every_recorded_frame_is_read() {
    // How many frames of each method there are, plain ones first.
    let expected = [
        (None, [87, 90, 5]),
        (Some(Method::Zlib), [81, 84, 0]),
        (Some(Method::Gzip), [81, 84, 0]),
        (Some(Method::Bz2), [81, 0, 0]),
        (Some(Method::Lzma), [81, 0, 0]),
        (Some(Method::Snappy), [0, 0, 5]),
    ];
    for (index, file) in File::all().iter().enumerate() {
        let mut methods = Vec::new();
        for (name, case) in file.cases() {
            let packed = recorded(file, name, case);
            for (method, frame) in frames(file, name, case) {
                let opened = read_frame(name, &frame);
                assert_eq!(opened.id, id_of(case), "{name}, {method:?}");
                assert_eq!(opened.packed, packed, "{name}, {method:?}");
                assert_eq!(opened.method, method, "{name}");
                let message = parse(name, opened.id, &opened.packed);
                assert_read(name, &case["fields"], &message);
                methods.push(method);
            }
        }
        for (method, counts) in expected {
            let read = methods.iter().filter(|read| **read == method).count();
            let is_built = method.is_none_or(Method::is_built);
            let expected = if is_built { counts[index] } else { 0 };
            assert_eq!(read, expected, "{method:?} in {}", File::NAMES[index]);
        }
    }
}

#[test]
fn all_frames_of_a_package_are_one_stream_however_it_is_cut() {
    for file in File::all() {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (name, case) in file.cases() {
            // The long ones alone would be most of it.
            for (_, frame) in frames(&file, name, case) {
                if frame.len() < 4096 {
                    stream.extend_from_slice(&frame);
                    expected.push(Bytes::from(frame));
                }
            }
        }
        for cut in [1, 7, 1024, stream.len()] {
            let mut reader = FrameReader::new(LIMIT);
            let mut read = Vec::new();
            for mut piece in stream.chunks(cut) {
                while let Some(frame) = reader.take(&mut piece).unwrap() {
                    read.push(frame.into_bytes());
                }
            }
            assert!(read == expected, "{:?}, cut at {cut}", file.package);
        }
    }
}

#[test]
fn our_own_frames_of_every_recorded_message_are_opened_again() {
    for file in File::all() {
        for (name, case) in file.cases() {
            let packed = recorded(&file, name, case);
            let id = id_of(case);
            let mut encoder = Encoder::new(id, packed.clone());
            assert_eq!(MessageId::of(&packed), id, "{name}");
            for method in Method::built().map(Some).chain([None]) {
                // A second and more for each without optimization.
                let is_slow = matches!(method, Some(Method::Bz2 | Method::Lzma));
                if is_slow && packed.len() > 1 << 20 {
                    continue;
                }
                let opened = read_frame(name, &encoder.frame(method));
                assert_eq!((opened.id, opened.method), (id, method), "{name}");
                assert!(opened.packed == packed, "{name}, {method:?}");
            }
            let plain = frame_bytes(&file, name, case, &case["frames"]["none"]);
            assert!(encoder.frame(None) == plain, "{name}: the one plain frame");
        }
    }
}

#[test]
fn no_package_is_said_to_refuse_what_a_package_sent() {
    for file in File::all() {
        for (name, case) in file.cases() {
            let message = parse(name, id_of(case), &recorded(&file, name, case));
            assert_eq!(message.py2p_refuses(), None, "{name}");
            assert_eq!(message.js2p_refuses(), None, "{name}");
        }
    }
}

#[test]
fn names_of_sub_flags_reach_the_application() {
    let mut named = 0;
    for file in File::all() {
        for (name, case) in file.cases() {
            let message = parse(name, id_of(case), &recorded(&file, name, case));
            if let Some(SubFlag::Text(text)) = SubFlag::from_wire(message.sub_flag()) {
                assert_eq!(&*text, "rs2p.example", "{name}");
                named += 1;
            }
        }
    }
    assert_eq!(named, 2, "one from each package");
}
