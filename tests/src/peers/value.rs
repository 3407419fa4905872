//! Values as the drivers write them: msgpack types kept apart by a tag.
//!
//! The constructors give what a peer reports for the same value, so that `==` compares them.

use serde_json::{Value, json};

/// Returns nil: None in Python, null in JavaScript.
pub fn nil() -> Value {
    json!({ "t": "nil" })
}

/// Returns a truth value.
pub fn boolean(value: bool) -> Value {
    json!({ "t": "bool", "v": value })
}

/// Returns an integer. js2p sends one above 2^31-1 as a float64.
pub fn int(value: impl Into<i128>) -> Value {
    json!({ "t": "int", "v": value.into().to_string() })
}

/// Returns a float64. js2p sends and reports an integral one as an integer.
pub fn float(value: f64) -> Value {
    json!({ "t": "float", "hex": hex(&value.to_be_bytes()) })
}

/// Returns a text.
pub fn str(value: &str) -> Value {
    json!({ "t": "str", "v": value })
}

/// Returns bytes: bytes in Python, a Buffer in JavaScript.
pub fn bin(value: &[u8]) -> Value {
    json!({ "t": "bin", "hex": hex(value) })
}

/// Returns an array.
pub fn array(values: impl IntoIterator<Item = Value>) -> Value {
    json!({ "t": "array", "v": Vec::from_iter(values) })
}

/// Returns a map, with its entries in the order given. js2p turns keys to text.
pub fn map(entries: impl IntoIterator<Item = (Value, Value)>) -> Value {
    let entries = entries.into_iter().map(|(key, value)| json!([key, value]));
    json!({ "t": "map", "v": Vec::from_iter(entries) })
}

/// Returns the text of a str, or of a bin that holds UTF-8: py2p's ids are bin, js2p's are str.
pub fn text(value: &Value) -> Option<String> {
    match value["t"].as_str()? {
        "str" => Some(value["v"].as_str()?.to_owned()),
        "bin" => String::from_utf8(unhex(value["hex"].as_str()?)?).ok(),
        _ => None,
    }
}

/// Takes the decimal text out of every float: its spelling differs by language, its bits do not.
pub(super) fn normalise(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(fields) => {
            if fields.get("t").is_some_and(|tag| tag == "float") {
                fields.remove("v");
            }
            fields.values_mut().for_each(normalise);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_tagged_as_the_drivers_tag_them() {
        let cases = [
            (nil(), r#"{"t":"nil"}"#),
            (boolean(true), r#"{"t":"bool","v":true}"#),
            (int(u64::MAX), r#"{"t":"int","v":"18446744073709551615"}"#),
            (int(-5), r#"{"t":"int","v":"-5"}"#),
            (float(1.5), r#"{"t":"float","hex":"3ff8000000000000"}"#),
            (str("é"), r#"{"t":"str","v":"é"}"#),
            (bin(b"\x00\xff"), r#"{"t":"bin","hex":"00ff"}"#),
            (
                array([int(1)]),
                r#"{"t":"array","v":[{"t":"int","v":"1"}]}"#,
            ),
            (
                map([(str("k"), nil())]),
                r#"{"t":"map","v":[[{"t":"str","v":"k"},{"t":"nil"}]]}"#,
            ),
        ];
        for (value, text) in cases {
            assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn a_reported_float_equals_a_built_one_at_any_depth() {
        let mut reported = json!({ "t": "array", "v": [
            { "t": "float", "v": "1.5", "hex": "3ff8000000000000" },
        ]});
        normalise(&mut reported);
        assert_eq!(reported, array([float(1.5)]));
    }

    #[test]
    fn the_text_of_an_id_does_not_depend_on_its_type() {
        assert_eq!(text(&str("4Zq")), Some("4Zq".to_owned()));
        assert_eq!(text(&bin(b"4Zq")), Some("4Zq".to_owned()));
        assert_eq!(text(&bin(b"\xff")), None);
        assert_eq!(text(&int(4)), None);
    }

    #[test]
    fn hex_that_is_none_is_refused() {
        assert_eq!(unhex("00ff"), Some(vec![0, 255]));
        for bad in ["0g", "é0"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
