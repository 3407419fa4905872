//! The two notations of the vector files: of what a user sends, and of what the wire holds.

use sha2::{Digest, Sha256};

use super::{Json, count, hex, list, text};
use crate::id::IdForm;
use crate::wire::int::Int;
use crate::{Address, NodeId, Value};

/// Returns the packets that a user sent, if the case says.
pub(super) fn sent(case: &Json) -> Option<Vec<Value>> {
    let packets = case["packets"].as_array()?;
    Some(packets.iter().map(value).collect())
}

/// Reads a value in the notation of `packets`.
pub(super) fn value(json: &Json) -> Value {
    let v = &json["v"];
    match text(&json["t"]) {
        "nil" => Value::Nil,
        "bool" => Value::Bool(v.as_bool().unwrap()),
        "int" => Value::Int(int(v)),
        "float" => Value::Float(f64::from_be_bytes(hex(&json["hex"]).try_into().unwrap())),
        "str" => Value::from(text(v)),
        "bin" => Value::Bin(hex(&json["hex"]).into()),
        "array" => Value::Array(list(v).iter().map(value).collect()),
        "map" => {
            let pairs = list(v).iter();
            Value::Map(
                pairs
                    .map(|pair| (value(&pair[0]), value(&pair[1])))
                    .collect(),
            )
        }
        "gen" => match (text(&json["type"]), by_recipe(json)) {
            ("bin", bytes) => Value::Bin(bytes.into()),
            ("str", bytes) => Value::Str(String::from_utf8(bytes).unwrap()),
            (other, _) => panic!("unheard-of type {other}"),
        },
        other => panic!("unheard-of notation {other}"),
    }
}

fn by_recipe(json: &Json) -> Vec<u8> {
    let len = count(&json["len"]);
    let mut bytes = Vec::new();
    for counter in 0_u32.. {
        if bytes.len() >= len {
            break;
        }
        let digest = || {
            let seed = Sha256::new().chain_update(text(&json["seed"]));
            seed.chain_update(counter.to_be_bytes()).finalize()
        };
        match text(&json["kind"]) {
            "repeat" => bytes.extend(hex(&json["unit"])),
            "sha256ctr" => bytes.extend(digest()),
            "sha256ctr-hex" => bytes.extend(in_hex(&digest()).into_bytes()),
            other => panic!("unheard-of recipe {other}"),
        }
    }
    bytes.truncate(len);
    bytes
}

/// Reads an address, `[host, port]` with the host as text or in binary.
pub(super) fn address(place: &Value) -> Address {
    let Some([host, port]) = place.as_array() else {
        panic!("address expected: {place}");
    };
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok());
    Address::new(spelt(host).0, port.unwrap()).unwrap()
}

/// Returns a text and how it is spelt.
pub(super) fn spelt(value: &Value) -> (&str, IdForm) {
    match value {
        Value::Str(text) => (text, IdForm::Str),
        Value::Bin(bytes) => (str::from_utf8(bytes).unwrap(), IdForm::Bin),
        other => panic!("text expected: {other}"),
    }
}

pub(super) fn node(value: &Value) -> (NodeId, IdForm) {
    let (text, form) = spelt(value);
    (NodeId::new(text).unwrap(), form)
}

/// Returns the elements of a message that was taken apart.
pub(super) fn elements(fields: &Json) -> &[Json] {
    list(&fields["v"])
}

/// Returns the value of a part of a message that is given in full.
pub(super) fn whole(field: &Json) -> Value {
    let v = &field["v"];
    match family(field) {
        Family::Nil => Value::Nil,
        Family::Bool(value) => Value::Bool(value),
        Family::Int => Value::Int(int(v)),
        Family::Float => Value::Float(f64::from_bits(bits(field))),
        Family::Str => Value::from(text(v)),
        Family::Bin => Value::Bin(hex(&field["hex"]).into()),
        Family::Ext => Value::Ext(ext_type(field), hex(&field["hex"]).into()),
        Family::Array => Value::Array(list(v).iter().map(whole).collect()),
        Family::Map => {
            let pairs = list(v).iter();
            Value::Map(
                pairs
                    .map(|pair| (whole(&pair[0]), whole(&pair[1])))
                    .collect(),
            )
        }
    }
}

/// Checks that a value is the part of a message that was taken apart.
pub(super) fn assert_agrees(name: &str, field: &Json, value: &Value) {
    let agrees = match (family(field), value) {
        (Family::Nil, Value::Nil) => true,
        (Family::Bool(written), Value::Bool(read)) => written == *read,
        (Family::Int, Value::Int(read)) => read.to_string() == text(&field["v"]),
        // As bits: a NaN is equal to nothing, and minus zero to zero.
        (Family::Float, Value::Float(read)) => bits(field) == read.to_bits(),
        (Family::Str, Value::Str(read)) => holds(field, "v", read, read.as_bytes()),
        (Family::Bin, Value::Bin(read)) => holds(field, "hex", &in_hex(read), read),
        (Family::Ext, Value::Ext(kind, read)) => {
            *kind == ext_type(field) && holds(field, "hex", &in_hex(read), read)
        }
        (Family::Array, Value::Array(read)) => {
            let written = list(&field["v"]);
            for (field, value) in written.iter().zip(read) {
                assert_agrees(name, field, value);
            }
            written.len() == read.len()
        }
        (Family::Map, Value::Map(read)) => {
            let written = list(&field["v"]);
            for (pair, (key, value)) in written.iter().zip(read) {
                assert_agrees(name, &pair[0], key);
                assert_agrees(name, &pair[1], value);
            }
            written.len() == read.len()
        }
        _ => false,
    };
    assert!(agrees, "{name}: {value} read for {field}");
}

/// Checks the content of a str, bin or ext, which is given in full or, if it is long, as a hash.
fn holds(field: &Json, key: &str, content: &str, bytes: &[u8]) -> bool {
    let is_content = match field[key].as_str() {
        Some(written) => written == content,
        None => text(&field["sha256"]) == in_hex(&Sha256::digest(bytes)),
    };
    is_content && count(&field["len"]) == bytes.len()
}

enum Family {
    Nil,
    Bool(bool),
    Int,
    Float,
    Str,
    Bin,
    Ext,
    Array,
    Map,
}

/// What a msgpack format is a format of.
fn family(field: &Json) -> Family {
    match text(&field["f"]) {
        "nil" => Family::Nil,
        "true" => Family::Bool(true),
        "false" => Family::Bool(false),
        f if f.contains("int") => Family::Int,
        f if f.starts_with("float") => Family::Float,
        f if f.contains("str") => Family::Str,
        f if f.starts_with("bin") => Family::Bin,
        f if f.contains("ext") => Family::Ext,
        f if f.contains("array") => Family::Array,
        f if f.contains("map") => Family::Map,
        other => panic!("unheard-of format {other}"),
    }
}

fn int(json: &Json) -> Int {
    let digits = text(json);
    let negative = || digits.parse::<i64>().map(Int::from);
    let int = digits.parse::<u64>().map(Int::from);
    int.or_else(|_| negative()).unwrap()
}

fn bits(field: &Json) -> u64 {
    u64::from_str_radix(text(&field["bits"]), 16).unwrap()
}

fn ext_type(field: &Json) -> i8 {
    i8::try_from(field["type"].as_i64().unwrap()).unwrap()
}

pub(super) fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    in_hex(&Sha256::digest(bytes))
}
