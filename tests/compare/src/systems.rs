//! The systems, and what each guaranteed while it was measured.

use std::fmt;
use std::str::FromStr;

use rs2p_tests::bench::ours::Ours;
use rs2p_tests::bench::{Outcome, Work};
use rs2p_tests::peers::Package;

use crate::gossipsub::Mode;
use crate::{bound, foreign, gossipsub, iroh};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Ours(Ours),
    Gossipsub(Mode),
    Iroh,
    Foreign(Package),
    Bound,
}

/// What is measured if nothing else is asked for, in the order in which it takes turns.
pub(crate) const ALL: [System; 10] = [
    System::Ours(Ours::ALL[0]),
    System::Ours(Ours::ALL[1]),
    System::Ours(Ours::ALL[2]),
    System::Ours(Ours::ALL[3]),
    System::Iroh,
    System::Gossipsub(Mode::Signed),
    System::Gossipsub(Mode::Plain),
    System::Foreign(Package::Py2p),
    System::Foreign(Package::Js2p),
    System::Bound,
];

impl System {
    /// Does the work in this process.
    pub(crate) fn measure(self, work: &Work) -> Result<Outcome, String> {
        match self {
            Self::Ours(ours) => ours.measure(work),
            Self::Gossipsub(mode) => on_tokio(gossipsub::measure(mode, work)),
            Self::Iroh => on_tokio(iroh::measure(work)),
            Self::Foreign(package) => foreign::measure(package, work),
            Self::Bound => bound::measure(work),
        }
    }

    /// What it guarantees: delivery, order, encryption, signatures.
    pub(crate) const fn guarantees(self) -> &'static str {
        match self {
            Self::Ours(Ours { is_tls: false, .. }) => {
                "every message once and in its sender's order, repaired after losses, a gap told; no encryption; checksum (SHA-256), no signatures"
            }
            Self::Ours(_) => {
                "the same over TLS, whose certificates nobody verifies: no listeners, but no proof of who is there"
            }
            Self::Gossipsub(Mode::Signed) => {
                "best effort: gossip repairs for some seconds, full queues drop; no order; noise, peers authenticated; every message signed (Ed25519) and verified"
            }
            Self::Gossipsub(Mode::Plain) => {
                "best effort as before; no order; no encryption; no signatures, no sender"
            }
            Self::Iroh => {
                "best effort: a tree repaired by gossip; a reader that lags loses messages; no order; QUIC with TLS 1.3, peers authenticated; no signatures, no sender"
            }
            Self::Foreign(Package::Py2p) => {
                "none: duplicates are dropped for 60 s, what is lost is lost; no order; plaintext; checksum (SHA-256), no signatures"
            }
            Self::Foreign(_) => "none: as py2p",
            Self::Bound => {
                "nothing: what remains without a protocol: SHA-256, framing, a look for duplicates, and TCP in writes of 64 KiB, from the publisher straight to each receiver"
            }
        }
    }
}

fn on_tokio<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(work)
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(ours) => ours.fmt(f),
            Self::Gossipsub(Mode::Signed) => f.write_str("gossipsub"),
            Self::Gossipsub(Mode::Plain) => f.write_str("gossipsub-plain"),
            Self::Iroh => f.write_str("iroh-gossip"),
            Self::Foreign(package) => f.write_str(package.name()),
            Self::Bound => f.write_str("bound"),
        }
    }
}

impl FromStr for System {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = ALL.into_iter().find(|system| system.to_string() == text);
        found.ok_or_else(|| {
            let names: Vec<String> = ALL.iter().map(ToString::to_string).collect();
            format!(
                "there is no system {text:?}; there are {}",
                names.join(", ")
            )
        })
    }
}
