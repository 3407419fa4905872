//! What the links of the damaged and odd cases come to, where that does not follow from what the
//! packages did. A change of it is a change of what peers meet: it is made here as well, with
//! its reason.

use self::Spelling::{Js2p, Py2p, Recorded};

/// What a link came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) is_open: bool,
    /// Whether its peer is, or still is, in the table.
    pub(super) is_peer: bool,
    /// Messages for the application, of the default kind.
    pub(super) inbox: usize,
    /// Messages for those handlers of the application that know the sub-flag.
    pub(super) for_handlers: usize,
    /// Messages passed on to another peer.
    pub(super) relayed: usize,
    /// What was sent back.
    pub(super) answers: String,
}

impl Outcome {
    /// An established link that stays, with so many messages for the inbox.
    pub(super) fn open(inbox: usize) -> Self {
        Self {
            is_open: true,
            is_peer: true,
            inbox,
            for_handlers: 0,
            relayed: 0,
            answers: String::new(),
        }
    }

    /// A link that stays, of which it is not known where it leads.
    fn unknown() -> Self {
        Self {
            is_peer: false,
            ..Self::open(0)
        }
    }

    fn closed() -> Self {
        Self {
            is_open: false,
            ..Self::unknown()
        }
    }

    fn for_handlers(self) -> Self {
        Self {
            for_handlers: 1,
            ..self
        }
    }

    pub(super) fn answering(self, answers: &str) -> Self {
        Self {
            answers: answers.to_owned(),
            ..self
        }
    }
}

/// How the peer spells its id and the network's in its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As it did when the vectors were made, which is like nobody else.
    Recorded,
    Py2p,
    Js2p,
}

pub(super) const ALL: &[Spelling] = &[Recorded, Py2p, Js2p];

/// An outcome that does not follow from what the packages did.
pub(super) struct Pinned {
    pub(super) why: &'static str,
    pub(super) cases: &'static [&'static str],
    pub(super) spelt: &'static [Spelling],
    pub(super) outcome: Outcome,
}

fn pin(
    why: &'static str,
    cases: &'static [&'static str],
    spelt: &'static [Spelling],
    outcome: Outcome,
) -> Pinned {
    Pinned {
        why,
        cases,
        spelt,
        outcome,
    }
}

/// Where we do otherwise although the packages did the same.
pub(super) fn departures() -> Vec<Pinned> {
    let short = &[
        "top/array-0",
        "top/array-1",
        "top/array-2",
        "top/array-3",
        "renegotiate/empty",
    ];
    let greeted = "handshake peers";
    vec![
        pin(
            "lengths have a limit, and nobody waits for the rest of such a frame",
            &["length/4GiB-1", "garbage/http"],
            ALL,
            Outcome::closed(),
        ),
        pin(
            "the checksum is the judge of how a frame is compressed, whatever was negotiated",
            &[
                "compressed/zlib-not-negotiated",
                "compressed/bz2-when-only-zlib",
                "compressed/lzma-plus-padding",
            ],
            ALL,
            Outcome::open(1),
        ),
        pin(
            "and of a handshake too",
            &["handshake/compressed"],
            &[Recorded],
            Outcome::open(0).answering(greeted),
        ),
        pin("text is no message", &["top/str"], ALL, Outcome::closed()),
        pin(
            "a message without its header ends the link",
            short,
            &[Recorded, Js2p],
            Outcome::closed(),
        ),
        pin(
            "but py2p knows a round of renegotiation for it, which both take part in once",
            short,
            &[Py2p],
            Outcome::open(0).answering("renegotiation"),
        ),
        pin(
            "other sub-flags are for handlers, which these packages had none of",
            &[
                "subflag/1",
                "subflag/3",
                "subflag/4",
                "subflag/6",
                "subflag/9",
                "subflag/11",
                "subflag/17",
                "subflag/48",
                "subflag/'rs2p.example'",
                "renegotiate/unknown",
            ],
            ALL,
            Outcome::open(0).for_handlers(),
        ),
        pin(
            "a sender that is no id, and a time that is none, would break js2p if passed on",
            &[
                "sender/nil",
                "sender/int",
                "whisper-time/nil",
                "whisper-time/str",
            ],
            ALL,
            Outcome::open(0),
        ),
        pin(
            "nobody has said who is there",
            &["before-handshake/whisper"],
            &[Recorded],
            Outcome::unknown(),
        ),
        pin(
            "a response has its fields, or whoever passes it on loses links",
            &["response/empty"],
            ALL,
            Outcome::closed(),
        ),
        pin(
            "a node has an id, in text of either form",
            &["handshake/id-nil"],
            &[Recorded],
            Outcome::closed().answering("handshake"),
        ),
        pin(
            "a new list is followed, and answered if the peer is one that answers too",
            &["renegotiate/zlib/on-plain-link"],
            &[Py2p],
            Outcome::open(0).answering("renegotiation"),
        ),
        pin(
            "in whichever form it comes, a request is answered with peers and nothing else",
            &["request/star-str", "request/star-bin"],
            ALL,
            Outcome::open(0).answering("peers"),
        ),
    ]
}

/// What we do where the packages did not do the same.
pub(super) fn choices() -> Vec<Pinned> {
    vec![
        pin(
            "the bytes left after a frame are the beginning of another, however many",
            &["split/frame-plus-4-bytes-pause-rest"],
            ALL,
            Outcome::open(2),
        ),
        pin(
            "well-formed msgpack is taken; whoever would break on it is not sent it",
            &[
                "msgpack/invalid-utf8",
                "msgpack/duplicate-keys",
                "msgpack/map-as-key",
                "msgpack/depth-400",
                "msgpack/ext-timestamp-bad-length",
                "msgpack/ext-10-not-a-regexp",
            ],
            ALL,
            Outcome::open(1),
        ),
        pin(
            "false is not a number, as in js2p",
            &["subflag/False"],
            ALL,
            Outcome::open(0),
        ),
        pin(
            "the checksum is the judge of how a frame is compressed, whatever was negotiated",
            &[
                "compressed/gzip-when-only-zlib",
                "compressed/zlib-when-only-gzip",
                "compressed/bz2",
                "compressed/lzma",
                "compressed/gzip-plus-padding",
                "compressed/bz2-plus-padding",
                "compressed/plain-that-zlibjs-misreads",
                "compressed/plain-that-hangs-zlibjs",
            ],
            ALL,
            Outcome::open(1),
        ),
        pin(
            "a stream's own checksum has to fit as well, as in py2p",
            &["compressed/zlib-bad-adler"],
            ALL,
            Outcome::closed(),
        ),
        pin(
            "fields that are missing or malformed end the link, as in one of the packages",
            &[
                "request/empty",
                "request/nil-id",
                "request/array-as-node",
                "peers/absent",
                "peers/short-entry",
                "peers/long-entry",
                "renegotiate/absent/on-plain-link",
                "renegotiate/absent/on-compressed-link",
            ],
            ALL,
            Outcome::closed(),
        ),
        pin(
            "a node that nobody can dial is passed over, as in py2p",
            &["peers/nil-address", "peers/port-70000"],
            ALL,
            Outcome::open(0),
        ),
        pin(
            "nothing of ours was lost, so there is nothing to send again",
            &[
                "renegotiate/resend/on-plain-link",
                "renegotiate/resend/on-compressed-link",
            ],
            ALL,
            Outcome::open(0),
        ),
        pin(
            "a new list is followed, and answered if the peer is one that answers too",
            &[
                "renegotiate/none/on-compressed-link",
                "renegotiate/zlib/on-compressed-link",
            ],
            &[Py2p],
            Outcome::open(0).answering("renegotiation"),
        ),
        pin(
            "js2p closes when it has to answer one, so nobody who may be one gets it",
            &[
                "renegotiate/none/on-compressed-link",
                "renegotiate/zlib/on-compressed-link",
            ],
            &[Recorded, Js2p],
            Outcome::open(0),
        ),
        pin(
            "both forms of the protocol's id are one",
            &["handshake/str-id-str-protocol"],
            &[Recorded],
            Outcome::open(0).answering("handshake peers"),
        ),
        pin(
            "fields that are malformed end the link, as in py2p",
            &["handshake/compression-int", "handshake/id-array"],
            &[Recorded],
            Outcome::closed().answering("handshake"),
        ),
    ]
}
