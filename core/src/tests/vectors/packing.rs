//! Packing what the users of py2p and js2p sent, as we would and as js2p does.

use bytes::Bytes;

use super::notation::{sent, sha256};
use super::{File, Json, Package, count, hex, parse, text};
use crate::wire::control::sub_flag;
use crate::wire::message::{MainType, Outgoing, Sender, SubFlagOut, WireSubFlag, WireTime};
use crate::{Int, MessageId, Payload, Value};

/// Header of the messages that a case of the common list was sent as. Its name says which.
fn header(name: &str) -> (MainType, u64) {
    match name.split_once('/').map(|(start, _)| start) {
        Some("broadcast") => (MainType::Broadcast, sub_flag::BROADCAST),
        Some("whisper") => (MainType::Whisper, sub_flag::WHISPER),
        Some("whisper-of-broadcast-subflag") => (MainType::Whisper, sub_flag::BROADCAST),
        _ => panic!("{name}: not from the common list"),
    }
}

/// Packs what a user sent, as py2p and we would.
fn pack(file: &File, name: &str, case: &Json, packets: &Payload) -> Bytes {
    let (main, number) = header(name);
    let outgoing = Outgoing {
        main,
        sender: &file.sender,
        form: file.package.form(),
        time: text(&case["time"]).parse().unwrap(),
        sub_flag: SubFlagOut::Number(number.into()),
        packets,
    };
    outgoing.pack().into()
}

/// Returns the packed bytes of a case. Those of long ones are not recorded, only their hash: they
/// are made by the recipe.
pub(super) fn recorded(file: &File, name: &str, case: &Json) -> Bytes {
    if case["serialized"].is_string() {
        return hex(&case["serialized"]).into();
    }
    let packets = sent(case).expect("long ones are from the common list");
    let packed = pack(file, name, case, &packets.into_iter().collect());
    assert_eq!(sha256(&packed), text(&case["serialized_sha256"]), "{name}");
    assert!(packed.starts_with(&hex(&case["serialized_head"])), "{name}");
    packed
}

/// What js2p makes of numbers: its language has one type for all of them.
fn as_js2p_sends(value: &Value) -> Value {
    // Beyond, its users take an object that is sent as the integer that it holds.
    const SAFE: u64 = (1 << 53) - 1;
    let is_short = |int: &Int| int.as_i64().is_some_and(|n| i32::try_from(n).is_ok());
    match value {
        Value::Int(int) if !is_short(int) => match int.as_i64() {
            Some(n) if n.unsigned_abs() <= SAFE => Value::Float(n.to_string().parse().unwrap()),
            _ => value.clone(),
        },
        Value::Float(float) => match Int::from_float(*float).filter(is_short) {
            Some(int) => Value::Int(int),
            None => value.clone(),
        },
        Value::Array(items) => Value::Array(items.iter().map(as_js2p_sends).collect()),
        Value::Map(pairs) => {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(key, value)| (key.clone(), as_js2p_sends(value)));
            Value::Map(pairs.collect())
        }
        _ => value.clone(),
    }
}

/// Appends a packet as js2p writes it: 255 bytes get the longer head of 256.
fn push_as_js2p(payload: &mut Payload, packet: &Value) {
    match packet {
        Value::Bin(bytes) if bytes.len() == 255 => payload.push_with(|out| {
            out.extend_from_slice(&[0xc5, 0, 255]);
            out.extend_from_slice(bytes);
        }),
        other => {
            payload.push(as_js2p_sends(other));
        }
    }
}

#[test]
fn what_users_sent_is_packed_as_the_packages_packed_it() {
    for (file, expected) in File::all().iter().zip([61, 61, 4]) {
        let mut packed_count = 0;
        let mut by_rules_of_js2p = Vec::new();
        for (name, case) in file.cases() {
            let Some(packets) = sent(case) else {
                continue;
            };
            let ours: Payload = packets.iter().cloned().collect();
            let mut packed = pack(file, name, case, &ours);
            if file.package == Package::Js2p {
                let mut theirs = Payload::new();
                packets.iter().for_each(|p| push_as_js2p(&mut theirs, p));
                if theirs != ours {
                    by_rules_of_js2p.push(name);
                    packed = pack(file, name, case, &theirs);
                }
            }
            assert_eq!(packed.len(), count(&case["serialized_len"]), "{name}");
            assert_eq!(sha256(&packed), text(&case["id"]), "{name}");
            if case["serialized"].is_string() {
                assert_eq!(packed[..], hex(&case["serialized"]), "{name}");
            }
            packed_count += 1;
        }
        assert_eq!(packed_count, expected, "{:?}", file.package);
        let exceptions: &[&str] = match file.package {
            Package::Py2p => &[],
            Package::Js2p => &[
                "broadcast/int-32",
                "broadcast/int-53",
                "broadcast/float-zero",
                "broadcast/float-integral",
                "broadcast/bin-255",
                "whisper/bin-255",
                "whisper-of-broadcast-subflag/bin-255",
            ],
        };
        assert_eq!(by_rules_of_js2p, exceptions, "where js2p packs otherwise");
    }
}

#[test]
fn what_was_read_is_packed_as_it_came() {
    // All messages, the packages' own types and times among them: reading loses nothing, and the
    // shortest forms are what they write too.
    for file in File::all() {
        let mut otherwise = Vec::new();
        for (name, case) in file.cases() {
            let bytes = recorded(&file, name, case);
            let again = pack_again(&bytes);
            if again == bytes {
                continue;
            }
            assert!(again.len() <= bytes.len(), "{name}: {again:02x?}");
            otherwise.push(name);
        }
        // 255 bytes with the head for more, and times beyond 31 bits as floats.
        let exceptions: &[&str] = match file.package {
            Package::Py2p => &[],
            Package::Js2p => &[
                "broadcast/bin-255",
                "whisper/bin-255",
                "whisper-of-broadcast-subflag/bin-255",
                "time/2147483648",
                "time/4294967295",
                "time/4294967296",
            ],
        };
        assert_eq!(otherwise, exceptions, "{:?} packs otherwise", file.package);
    }
}

/// Takes a message apart and packs what was found.
fn pack_again(bytes: &Bytes) -> Bytes {
    let read = parse("to be packed again", MessageId::of(bytes), bytes);
    let Sender::Node(sender, form) = read.sender() else {
        panic!("{:?}", read.sender());
    };
    let WireTime::Seconds(time) = read.time() else {
        panic!("{:?}", read.time());
    };
    let sub_flag = match read.sub_flag() {
        WireSubFlag::Number(number) => SubFlagOut::Number(*number),
        WireSubFlag::Text(text) => SubFlagOut::Text(text),
        WireSubFlag::Other => panic!("a sub-flag of no use"),
    };
    let packets = read.packets().to_values().unwrap();
    let outgoing = Outgoing {
        main: read.main(),
        sender,
        form: *form,
        time: u64::try_from(time).unwrap(),
        sub_flag,
        packets: &packets.into_iter().collect(),
    };
    outgoing.pack().into()
}
