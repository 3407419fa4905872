//! How to treat each kind of peer: one table of traits, so that no condition on a kind stands
//! anywhere else.
//!
//! The facts behind the table were observed on the published packages, py2p 0.7.878 and js2p
//! 0.7.870; each has a test named after the behaviour that it answers to.

use crate::config::Config;
use crate::id::IdForm;
use crate::output::{Batching, PeerKind};
use crate::wire::compress::Method;
use crate::wire::control::{Handshake, NoAddress};
use crate::wire::message::Packed;
use crate::wire::refusal::PayloadFault;

/// What a kind of peer needs and can stand.
#[derive(Debug)]
pub(crate) struct Traits {
    /// Which methods our handshake offers, and so what the peer may compress with.
    pub(crate) offer: Offer,
    /// When to compress what is sent.
    pub(crate) compress: Compress,
    /// Whether frame lengths are to be multiples of 8 with the length field: py2p ends the link
    /// when exactly 4 bytes are left after a frame.
    pub(crate) align: bool,
    /// Whether a frame may share a TLS record with another.
    pub(crate) batching: Batching,
    /// Which nodes it is told of.
    pub(crate) told: Told,
    /// How a missing address is spelt in our handshake.
    pub(crate) no_address: NoAddress,
    /// Whether it answers a renegotiation, and so may be sent one.
    pub(crate) renegotiates: bool,
    /// Whether it may be sent a response to its own request for a node.
    pub(crate) takes_responses: bool,
    /// Whether it answers, on the link and in turn, where this node is: by that it tells how far it has come.
    pub(crate) gives_receipts: bool,
    /// Whether a second link to it stays open, idle and unanswered, because closing it would
    /// cost the peer its links to others of its kind.
    pub(crate) keeps_spares: bool,
    /// Whether our handshake is to be sent again on the link that is left after another to the same
    /// peer was closed.
    pub(crate) reintroduce: bool,
    /// Whether the 60 s rule is applied to broadcasts that come from it.
    pub(crate) window: bool,
    /// Whether a lost one is dialled again whatever the number of dialled links.
    pub(crate) always_redial: bool,
    /// Says why the content of a message would break the peer.
    pub(crate) refuses: fn(&Packed) -> Option<PayloadFault>,
    /// The longest frame body to send to it, in bytes.
    pub(crate) max_frame_len: usize,
}

/// Which methods a handshake offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// All that are configured.
    All,
    /// None.
    Nothing,
}

/// When to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compress {
    /// Never.
    Never,
    /// Every message, with a method that can be padded if possible.
    Always,
    /// Where the message is long enough and becomes shorter.
    IfShorter,
}

/// Which nodes a peer is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The native ones.
    Native,
    /// Those that will hand over exactly the id that they are listed with, and a protocol id in
    /// binary: native and py2p nodes.
    BinaryProtocol,
    /// None: an empty list.
    Nobody,
}

/// Frames above this were seen to be cut on their way out of py2p when the receiver was slow, and
/// what reaches one legacy node is relayed by it. Room for a payload of 1 MiB.
const MAX_LEGACY_FRAME_LEN: usize = (1 << 20) + (64 << 10);

const NATIVE: Traits = Traits {
    offer: Offer::All,
    compress: Compress::IfShorter,
    align: false,
    batching: Batching::Free,
    told: Told::Native,
    no_address: NoAddress::Nil,
    renegotiates: true,
    takes_responses: true,
    gives_receipts: false,
    keeps_spares: false,
    reintroduce: false,
    window: false,
    always_redial: false,
    refuses: |_| None,
    max_frame_len: usize::MAX,
};

const PY2P: Traits = Traits {
    offer: Offer::All,
    compress: Compress::Always,
    align: true,
    batching: Batching::OwnRecord,
    told: Told::BinaryProtocol,
    no_address: NoAddress::Nil,
    renegotiates: true,
    takes_responses: true,
    gives_receipts: true,
    keeps_spares: true,
    reintroduce: false,
    window: true,
    always_redial: true,
    refuses: Packed::py2p_refuses,
    max_frame_len: MAX_LEGACY_FRAME_LEN,
};

const JS2P: Traits = Traits {
    // It tries to inflate every frame on a link that offered zlib, and may hang on a plain one.
    offer: Offer::Nothing,
    compress: Compress::Never,
    align: false,
    batching: Batching::Free,
    // Two nodes to dial in one list cost us the link.
    told: Told::Nobody,
    // It breaks on a nil when it next dials.
    no_address: NoAddress::NilPair,
    renegotiates: false,
    // It dials the node, then throws, and closes the link that brought the response.
    takes_responses: false,
    gives_receipts: true,
    keeps_spares: false,
    // It deletes its table entry when either link closes.
    reintroduce: true,
    window: true,
    always_redial: true,
    refuses: Packed::js2p_refuses,
    max_frame_len: MAX_LEGACY_FRAME_LEN,
};

/// What every kind can stand: the least of each.
const OTHER: Traits = Traits {
    offer: Offer::Nothing,
    compress: Compress::Never,
    align: true,
    batching: Batching::OwnRecord,
    told: Told::Nobody,
    no_address: NoAddress::NilPair,
    renegotiates: false,
    takes_responses: false,
    gives_receipts: false,
    keeps_spares: true,
    reintroduce: true,
    window: true,
    always_redial: true,
    refuses: |packed| packed.py2p_refuses().or_else(|| packed.js2p_refuses()),
    max_frame_len: MAX_LEGACY_FRAME_LEN,
};

/// Returns the traits of a kind of peer; of one whose kind is not known yet, with
/// [`PeerKind::Other`].
pub(crate) fn traits(kind: PeerKind) -> &'static Traits {
    match kind {
        PeerKind::Native => &NATIVE,
        PeerKind::Py2p | PeerKind::Py2p27 => &PY2P,
        PeerKind::Js2p => &JS2P,
        PeerKind::Other => &OTHER,
    }
}

/// Tells the kind of a legacy peer from its handshake.
pub(crate) fn recognise(handshake: &Handshake) -> PeerKind {
    match (handshake.protocol_form, handshake.id_form) {
        (IdForm::Bin, IdForm::Bin) if handshake.host_form == IdForm::Bin => PeerKind::Py2p27,
        (IdForm::Bin, IdForm::Bin) => PeerKind::Py2p,
        (IdForm::Str, IdForm::Str) => PeerKind::Js2p,
        (IdForm::Bin, IdForm::Str) | (IdForm::Str, IdForm::Bin) => PeerKind::Other,
    }
}

impl Traits {
    /// Returns the methods that our handshake offers, as the numbers on the wire.
    pub(crate) fn offered(&self, config: &Config) -> Vec<u8> {
        match self.offer {
            Offer::Nothing => Vec::new(),
            Offer::All => self.ordered(config).map(Method::number).collect(),
        }
    }

    /// Returns the method to send with, among those that the peer listed.
    pub(crate) fn method(&self, config: &Config, listed: &[Method]) -> Option<Method> {
        if self.compress == Compress::Never {
            return None;
        }
        self.ordered(config).find(|method| listed.contains(method))
    }

    /// Returns our methods, the preferred first. Where lengths have to be aligned, those that can
    /// be padded come first.
    fn ordered<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = Method> + 'a {
        let built = || {
            let methods = config.compression.iter().copied();
            methods.filter(|method| method.is_built())
        };
        let first = built().filter(|method| self.is_first(*method));
        let last = built().filter(|method| !self.is_first(*method));
        first.chain(last)
    }

    fn is_first(&self, method: Method) -> bool {
        !self.align || method.allows_padding()
    }
}
