//! The name of a native node's broadcast, behind the array where no legacy node looks.
//!
//! The bytes after the array belong to the message: its id covers them, and every node keeps them when it passes the
//! message on. So a name crosses any number of py2p and js2p nodes in what is to them an ordinary message, and two
//! messages that say the same have different ids.

use std::num::NonZeroU64;

use crate::encode::ALIGNMENT;
use crate::frame::{CHECKSUM_LEN, PREFIX_LEN};

/// Tells a name from whatever else may stand behind an array. The last two bytes are the version and the letter N.
const MARK: [u8; 8] = *b"\0rs2p\0\x01N";

/// Which of its sender's broadcasts a message is. With the sender's id this is unique in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    epoch: NonZeroU64,
    sequence: NonZeroU64,
}

impl Name {
    /// Epoch, sequence, mark: 24 bytes, the last ones of the message. A multiple of [`ALIGNMENT`].
    #[cfg(test)]
    pub(crate) const LEN: usize = 8 + 8 + MARK.len();

    /// Makes a name, unless one of the numbers is 0.
    pub(crate) const fn new(epoch: u64, sequence: u64) -> Option<Self> {
        match (NonZeroU64::new(epoch), NonZeroU64::new(sequence)) {
            (Some(epoch), Some(sequence)) => Some(Self { epoch, sequence }),
            (_, None) | (None, _) => None,
        }
    }

    /// Reads the name that a trailer ends with. What is before it is padding.
    ///
    /// Anyone may write anything there, so that what is no name means a message without one and is no fault.
    pub(crate) fn parse(trailer: &[u8]) -> Option<Self> {
        let (rest, mark) = trailer.split_last_chunk()?;
        if *mark != MARK {
            return None;
        }
        let (rest, sequence) = rest.split_last_chunk()?;
        let (_padding, epoch) = rest.split_last_chunk()?;
        Self::new(u64::from_be_bytes(*epoch), u64::from_be_bytes(*sequence))
    }

    /// Ends a message with this name. Nothing may follow.
    ///
    /// Zeros before it make the length of the plain frame a multiple of [`ALIGNMENT`], as [`align`] does.
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        align(out);
        out.extend_from_slice(&self.epoch.get().to_be_bytes());
        out.extend_from_slice(&self.sequence.get().to_be_bytes());
        out.extend_from_slice(&MARK);
    }

    /// Returns which life of the sender the message is of: a random number, drawn when it began. Never 0.
    pub(crate) const fn epoch(self) -> u64 {
        self.epoch.get()
    }

    /// Returns which broadcast of that life it is, counted from 1.
    pub(crate) const fn sequence(self) -> u64 {
        self.sequence.get()
    }
}

/// Appends zeros to a packed message, so that the length of its plain frame is a multiple of [`ALIGNMENT`].
pub(crate) fn align(out: &mut Vec<u8>) {
    let frame_len = PREFIX_LEN + CHECKSUM_LEN + out.len();
    let padding = frame_len.next_multiple_of(ALIGNMENT) - frame_len;
    out.resize(out.len() + padding, 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode::Encoder;
    use crate::id::{IdForm, MessageId, NodeId};
    use crate::packets;
    use crate::wire::message::tests::parse;
    use crate::wire::message::{MainType, Outgoing, Packed, SubFlagOut};

    fn name(epoch: u64, sequence: u64) -> Name {
        Name::new(epoch, sequence).unwrap()
    }

    fn put(name: Name, message: &[u8]) -> Vec<u8> {
        let mut out = message.to_vec();
        name.put(&mut out);
        out
    }

    /// A broadcast of a text, as any node writes it.
    fn broadcast(text: &str) -> Vec<u8> {
        let out = Outgoing {
            main: MainType::Broadcast,
            sender: &NodeId::new("N").unwrap(),
            form: IdForm::Str,
            time: 1,
            sub_flag: SubFlagOut::Number(0.into()),
            packets: &packets![text],
        };
        out.pack()
    }

    fn read(bytes: Vec<u8>) -> Packed {
        parse(bytes).expect("the array is whole")
    }

    #[test]
    fn a_name_looks_the_same_for_ever() {
        // 36 bytes of length and checksum, 7 of the message, 5 of padding, 24 of the name.
        let expected = b"\x95\0\xa1N\x01\0\x07\0\0\0\0\0\
            \x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\x01\0\0rs2p\0\x01N";
        let out = put(name(0x0102_0304_0506_0708, 256), b"\x95\0\xa1N\x01\0\x07");
        assert_eq!(out, expected);
        let trailer = &expected[7..];
        assert_eq!(Name::parse(trailer), Some(name(0x0102_0304_0506_0708, 256)));
    }

    #[test]
    fn whatever_else_stands_there_is_no_name() {
        let good = put(name(7, 8), &[]);
        let trailer = &good[good.len() - Name::LEN..];
        assert_eq!(Name::parse(trailer), Some(name(7, 8)));
        for cut in 1..=trailer.len() {
            assert_eq!(Name::parse(&trailer[cut..]), None, "lacks its first {cut}");
            let short = &trailer[..trailer.len() - cut];
            assert_eq!(Name::parse(short), None, "lacks its last {cut}");
        }
        for at in 16..Name::LEN {
            let mut other = trailer.to_vec();
            other[at] ^= 1;
            assert_eq!(Name::parse(&other), None, "byte {at} is another");
        }
        let followed = [trailer, b"\0"].concat();
        assert_eq!(Name::parse(&followed), None, "something follows");
    }

    #[test]
    fn a_name_has_no_zeros() {
        for (epoch, sequence) in [(0, 0), (0, 1), (1, 0)] {
            assert_eq!(Name::new(epoch, sequence), None);
            let numbers = [epoch.to_be_bytes(), sequence.to_be_bytes()].concat();
            assert_eq!(Name::parse(&[&numbers[..], &MARK].concat()), None);
        }
        assert_eq!((name(1, 2).epoch(), name(1, 2).sequence()), (1, 2));
    }

    #[test]
    fn a_named_message_says_the_same_by_another_id() {
        let plain = read(broadcast("fire"));
        let named = read(put(name(7, 8), &broadcast("fire")));
        let next = read(put(name(7, 9), &broadcast("fire")));
        assert_eq!(named.packets(), plain.packets());
        assert_ne!(named.id(), plain.id());
        assert_ne!(named.id(), next.id());
        assert_eq!(Name::parse(plain.trailer()), None);
        assert_eq!(Name::parse(next.trailer()), Some(name(7, 9)));
    }

    proptest! {
        #[test]
        fn any_name_behind_any_message_is_read_again(
            epoch in 1..=u64::MAX, sequence in 1..=u64::MAX, text in ".{0,40}",
        ) {
            let bytes = put(name(epoch, sequence), &broadcast(&text));
            let id = MessageId::of(&bytes);
            prop_assert_eq!(Encoder::new(id, bytes.clone().into()).frame(None).len() % ALIGNMENT, 0);
            let packed = read(bytes);
            prop_assert!(packed.trailer().len() < Name::LEN + ALIGNMENT);
            prop_assert_eq!(Name::parse(packed.trailer()), Some(name(epoch, sequence)));
        }

        #[test]
        fn no_trailer_makes_reading_panic(trailer: Vec<u8>) {
            let _ = Name::parse(&trailer);
        }
    }
}
