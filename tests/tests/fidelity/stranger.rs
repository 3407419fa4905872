//! What a stranger writes and reads, who runs no package: the bytes, the same for the models and for the real ones.

use sha2::{Digest as _, Sha256};

use super::script::Bit;

/// Its id, of letters that base58 has.
pub(super) const ID: &str = "RawPeer1";

/// The id of the network named `mesh`, without encryption; and that of no network.
const PROTOCOL: &str = "EpAmyZWv9rZUKmjQgU3FTUD4GrJHvVEXizmghVBc8eGD";
const FOREIGN: &str = "FpAmyZWv9rZUKmjQgU3FTUD4GrJHvVEXizmghVBc8eGD";

/// Returns the bytes of all this, when the calendar shows so many seconds since 1970.
pub(super) fn bytes(bits: &[Bit], now: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for bit in bits {
        match *bit {
            Bit::Hello { is_bin } => out.extend(hello(is_bin, PROTOCOL, now)),
            Bit::Foreign => out.extend(hello(false, FOREIGN, now)),
            Bit::Broadcast { age, is_bin, text } => {
                let message = Packer::message(0, is_bin, now - age, 5);
                out.extend(message.int(0).bin(text.as_bytes()).frame());
            }
            Bit::Sized { len, text } => out.extend(sized(len, text, now)),
            Bit::Whisper { text } => {
                let message = Packer::message(2, false, now, 5);
                out.extend(message.int(2).bin(text.as_bytes()).frame());
            }
            Bit::Odd { flag } => {
                let message = Packer::message(2, false, now, 5);
                out.extend(message.text(flag).int(0).frame());
            }
            Bit::Begun { len } => out.extend(sized(len + 200, "never whole", now).drain(..len)),
            Bit::Damaged => {
                let mut frame = sized(200, "damaged", now);
                frame[4] ^= 1;
                out.extend(frame);
            }
        }
    }
    out
}

/// Returns what the stranger was sent: the texts of users, and the names of what the packages say themselves. All of it is
/// uncompressed, for it asks for that.
pub(super) fn told(mut stream: &[u8]) -> Vec<String> {
    let mut told = Vec::new();
    while let Some((len, rest)) = stream.split_first_chunk() {
        let len = usize::try_from(u32::from_be_bytes(*len)).expect("a short frame");
        let Some((body, rest)) = rest.split_at_checked(len) else {
            break;
        };
        stream = rest;
        let message = body.get(32..).and_then(message);
        told.push(message.unwrap_or_else(|| format!("{body:02x?}")));
    }
    told
}

/// Returns what a packed message says, if it is of a form that is in use here.
fn message(packed: &[u8]) -> Option<String> {
    let [0x94..=0x9f, main, rest @ ..] = packed else {
        return None;
    };
    let sender_len = match rest {
        // str 8 and bin 8, and a short str.
        [0xd9 | 0xc4, len, ..] => 2 + usize::from(*len),
        [len @ 0xa0..=0xbf, ..] => 1 + usize::from(len & 0x1f),
        _ => return None,
    };
    // The time is a uint32, as long as there is room for it.
    let [0xce, _, _, _, _, flag, rest @ ..] = rest.get(sender_len..)? else {
        return None;
    };
    let name = match (main, flag) {
        (0, 0) | (2, 0 | 2) => {
            let [0xc4, _, text @ ..] = rest else {
                return None;
            };
            return Some(super::text(&String::from_utf8_lossy(text)));
        }
        (1, _) => "<renegotiate>",
        (_, 5) => "<handshake>",
        (_, 7) => "<peers>",
        (_, 8) => "<request>",
        _ => return None,
    };
    Some(name.to_owned())
}

fn hello(is_bin: bool, protocol: &str, now: u64) -> Vec<u8> {
    let message = Packer::message(2, is_bin, now, 8).int(5).id(is_bin);
    let mut message = message.bin(protocol.as_bytes());
    // An address at which nobody listens, and no methods.
    message.0.push(0x92);
    let mut message = message.text("127.0.0.9").int(9);
    message.0.push(0x90);
    message.frame()
}

/// A broadcast whose frame is so long; from about 80 to 300 bytes.
fn sized(len: usize, text: &str, now: u64) -> Vec<u8> {
    let frame = |pad: usize| {
        let mut text = text.as_bytes().to_vec();
        text.resize(text.len() + pad, b'.');
        Packer::message(0, false, now, 5).int(0).bin(&text).frame()
    };
    let bare = frame(0).len();
    let frame = frame(len.checked_sub(bare).expect("longer than its text"));
    assert_eq!(frame.len(), len, "a bin of less than 256 bytes");
    frame
}

/// A msgpack array under construction.
struct Packer(Vec<u8>);

impl Packer {
    fn message(main: u8, is_bin: bool, time: u64, len: u8) -> Self {
        let time = u32::try_from(time).expect("a time before 2106");
        let mut packer = Self(vec![0x90 | len, main]).id(is_bin);
        packer.0.push(0xce);
        packer.0.extend(time.to_be_bytes());
        packer
    }

    fn id(self, is_bin: bool) -> Self {
        if is_bin {
            self.bin(ID.as_bytes())
        } else {
            self.text(ID)
        }
    }

    fn int(mut self, value: u8) -> Self {
        assert!(value < 128, "a fixint");
        self.0.push(value);
        self
    }

    fn text(mut self, text: &str) -> Self {
        let len = u8::try_from(text.len()).expect("a short text");
        self.0.push(0xa0 | len);
        assert!(len < 32, "a fixstr");
        self.0.extend(text.as_bytes());
        self
    }

    fn bin(mut self, bytes: &[u8]) -> Self {
        let len = u8::try_from(bytes.len()).expect("a short bin");
        self.0.extend([0xc4, len]);
        self.0.extend(bytes);
        self
    }

    fn frame(self) -> Vec<u8> {
        let len = u32::try_from(self.0.len() + 32).expect("a short frame");
        let sum = Sha256::digest(&self.0);
        [&len.to_be_bytes()[..], &sum[..], &self.0[..]].concat()
    }
}
