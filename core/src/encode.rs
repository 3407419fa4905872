//! Messages as frames: encoded at most once for each compression method, however many links take
//! them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::frame::{CHECKSUM_LEN, Frame, PREFIX_LEN};
use crate::id::MessageId;
use crate::log::Body;
use crate::wire::compress::{self, Method, PAD_BYTE};

/// What frame lengths are multiples of towards py2p, with the length field.
pub(crate) const ALIGNMENT: usize = 8;

/// A message and the frames made of it so far.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    id: MessageId,
    /// The plain frame, if it came like that or was made.
    body: Body,
    compressed: Vec<(Method, Bytes)>,
}

impl Encoder {
    pub(crate) const fn new(id: MessageId, packed: Bytes) -> Self {
        Self {
            id,
            body: Body::Packed(packed),
            compressed: Vec::new(),
        }
    }

    /// Starts with a message that came in: links that take it as it came get those very bytes.
    pub(crate) fn relayed(
        id: MessageId,
        packed: &Bytes,
        method: Option<Method>,
        frame: Frame,
    ) -> Self {
        let bytes = frame.into_bytes();
        let Some(method) = method else {
            return Self::of_frame(id, bytes);
        };
        let mut encoder = Self::new(id, packed.clone());
        // What was compressed but not padded for py2p is made anew, where that is of use.
        if bytes.len().is_multiple_of(ALIGNMENT) || !method.allows_padding() {
            encoder.compressed.push((method, bytes));
        }
        encoder
    }

    /// Starts with a plain frame that was made before.
    pub(crate) const fn of_frame(id: MessageId, frame: Bytes) -> Self {
        Self {
            id,
            body: Body::Frame(frame),
            compressed: Vec::new(),
        }
    }

    /// Returns what the log keeps of the message: the plain frame, if it was made or came like that.
    pub(crate) fn body(&self) -> Body {
        self.body.clone()
    }

    pub(crate) const fn id(&self) -> MessageId {
        self.id
    }

    /// Returns the length of the frame that carries the message as it is.
    pub(crate) const fn plain_len(&self) -> usize {
        PREFIX_LEN + CHECKSUM_LEN + self.body.packed_len()
    }

    /// Returns the frame that carries the message as it is.
    pub(crate) fn plain(&mut self) -> &Bytes {
        if let Body::Packed(packed) = &self.body {
            self.body = Body::Frame(plain_frame(&self.id, packed));
        }
        match &self.body {
            Body::Frame(bytes) | Body::Packed(bytes) => bytes,
        }
    }

    /// Returns the frame that carries the message compressed by `method`. A method that allows it
    /// pads the frame to a multiple of 8 bytes.
    pub(crate) fn frame(&mut self, method: Option<Method>) -> Bytes {
        let Some(method) = method else {
            return self.plain().clone();
        };
        if let Some((_, frame)) = self.compressed.iter().find(|(made, _)| *made == method) {
            return frame.clone();
        }
        let frame = self.compress(method);
        self.compressed.push((method, frame.clone()));
        frame
    }

    /// Returns the shorter one of the compressed and the plain frame.
    pub(crate) fn shorter_frame(&mut self, method: Method) -> Bytes {
        let compressed = self.frame(Some(method));
        if compressed.len() < self.plain_len() {
            compressed
        } else {
            self.frame(None)
        }
    }

    fn compress(&mut self, method: Method) -> Bytes {
        let packed = self.body.packed();
        let mut frame = vec![0; PREFIX_LEN];
        let parts = [&self.id.as_bytes()[..], &packed];
        if compress::compress(method, &parts, &mut frame).is_err() {
            // Methods that are not built are never negotiated; a plain frame is understood anyway.
            return self.plain().clone();
        }
        if method.allows_padding() {
            frame.resize(frame.len().next_multiple_of(ALIGNMENT), PAD_BYTE);
        }
        let len = frame_len(frame.len() - PREFIX_LEN);
        frame[..PREFIX_LEN].copy_from_slice(&len.to_be_bytes());
        Bytes::from(frame)
    }
}

fn plain_frame(id: &MessageId, packed: &[u8]) -> Bytes {
    let len = CHECKSUM_LEN + packed.len();
    let mut frame = BytesMut::with_capacity(PREFIX_LEN + len);
    frame.put_u32(frame_len(len));
    frame.put_slice(id.as_bytes());
    frame.put_slice(packed);
    frame.freeze()
}

fn frame_len(len: usize) -> u32 {
    u32::try_from(len).expect("messages are limited to far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameReader, Opened};

    fn reopen(mut frame: &[u8]) -> Opened {
        let frame = FrameReader::new(1 << 20).take(&mut frame).unwrap().unwrap();
        let last = Some(Method::Snappy);
        frame
            .open(last, 1 << 20)
            .expect("what we write can be read")
    }

    #[test]
    fn every_method_carries_the_same_message() {
        for len in [1, 40, 41, 42, 43, 44, 45, 46, 47, 5000] {
            let packed = Bytes::from(vec![7; len]);
            let mut encoder = Encoder::new(MessageId::of(&packed), packed.clone());
            for method in Method::built().map(Some).chain([None]) {
                let frame = encoder.frame(method);
                let opened = reopen(&frame);
                assert_eq!(opened.packed, packed, "{method:?}, {len} bytes");
                assert_eq!(opened.method, method, "{len} bytes");
                if method.is_some_and(Method::allows_padding) {
                    assert!(frame.len().is_multiple_of(8), "{method:?}, {len} bytes");
                }
            }
        }
    }

    #[test]
    fn a_frame_is_made_once_and_shared() {
        let packed = Bytes::from(vec![7; 100]);
        let mut encoder = Encoder::new(MessageId::of(&packed), packed);
        let (one, two) = (encoder.frame(None), encoder.frame(None));
        assert_eq!(one.as_ptr(), two.as_ptr());
    }

    #[test]
    fn a_relayed_message_goes_out_as_it_came() {
        for method in Method::built().map(Some).chain([None]) {
            for len in 100..108 {
                let packed = Bytes::from(vec![7; len]);
                let came = Encoder::new(MessageId::of(&packed), packed).frame(method);
                let mut input = &came[..];
                let frame = FrameReader::new(1000).take(&mut input).unwrap().unwrap();
                let opened = frame.open(None, 1000).unwrap();
                let pointer = frame.clone().into_bytes().as_ptr();
                let (id, packed) = (opened.id, opened.packed);
                let relayed = Encoder::relayed(id, &packed, opened.method, frame).frame(method);
                assert_eq!((relayed.as_ptr(), relayed), (pointer, came), "{method:?}");
            }
        }
    }
}
