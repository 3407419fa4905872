//! Golden vectors: what the published py2p 0.7.878 and js2p 0.7.870 wrote, and what each of them
//! made of damaged input. `tests/vectors/README.md` at the root of the repository explains the files.
//!
//! Frames by a compression method that is not built are passed over; all the rest holds for every
//! set of features.

mod control;
mod frames;
mod identity;
mod negative;
mod notation;
mod packing;
mod pinned;
mod sessions;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::frame::{FrameReader, Opened};
use crate::id::IdForm;
use crate::wire::message::Packed;
use crate::*;

/// Above every recorded frame.
const LIMIT: usize = 4 << 20;

fn load(file: &str) -> Json {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/");
    let path = format!("{folder}{file}");
    let json = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text(json: &Json) -> &str {
    json.as_str()
        .unwrap_or_else(|| panic!("text expected: {json}"))
}

fn list(json: &Json) -> &[Json] {
    let list = json.as_array();
    list.unwrap_or_else(|| panic!("list expected: {json}"))
}

fn count(json: &Json) -> usize {
    let count = json
        .as_u64()
        .unwrap_or_else(|| panic!("count expected: {json}"));
    usize::try_from(count).unwrap()
}

fn hex(json: &Json) -> Vec<u8> {
    let digits = text(json);
    assert!(digits.is_ascii() && digits.len().is_multiple_of(2));
    let starts = (0..digits.len()).step_by(2);
    starts
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// One of the packages' files of frames.
struct File {
    json: Json,
    package: Package,
    sender: NodeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Package {
    Py2p,
    Js2p,
}

impl Package {
    fn of(name: &str) -> Self {
        match name {
            "py2p" => Self::Py2p,
            "js2p" => Self::Js2p,
            other => panic!("unheard-of package {other}"),
        }
    }

    /// How it spells ids.
    const fn form(self) -> IdForm {
        match self {
            Self::Py2p => IdForm::Bin,
            Self::Js2p => IdForm::Str,
        }
    }
}

impl File {
    const NAMES: [&str; 3] = ["py2p", "js2p", "py2p-snappy"];

    fn load(name: &str) -> Self {
        let json = load(&format!("frames-{name}.json"));
        let package = Package::of(text(&json["package"]));
        let sender = String::from_utf8(hex(&json["sender"])).unwrap();
        let sender = NodeId::new(sender).unwrap();
        Self {
            json,
            package,
            sender,
        }
    }

    fn all() -> [Self; 3] {
        Self::NAMES.map(Self::load)
    }

    fn cases(&self) -> impl Iterator<Item = (&str, &Json)> {
        let cases = list(&self.json["frames"]).iter();
        cases.map(|case| (text(&case["name"]), case))
    }
}

/// Reads the one frame that these bytes are.
fn read_frame(name: &str, mut bytes: &[u8]) -> Opened {
    let frame = FrameReader::new(LIMIT).take(&mut bytes);
    let frame = frame.unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let frame = frame.unwrap_or_else(|| panic!("{name}: half a frame"));
    assert!(bytes.is_empty(), "{name}: more than a frame");
    let opened = frame.open(None, LIMIT);
    opened.unwrap_or_else(|fault| panic!("{name}: {fault}"))
}

fn parse(name: &str, id: MessageId, packed: &Bytes) -> Packed {
    let depth = Config::default().max_depth;
    Packed::parse(id, packed.clone(), depth).unwrap_or_else(|fault| panic!("{name}: {fault}"))
}
