//! Nodes that are not rs2p: models of its elders, nodes that mean harm, and toys that the checkers are tried on.

mod hostile;
mod legacy;
mod toys;
mod wire;

#[cfg(test)]
mod bench;

pub use hostile::HostileNode;
pub use legacy::{Legacy, LegacyRow};
pub use toys::{Flaw, Toy};

/// Which of the two packages a model behaves like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[expect(clippy::exhaustive_enums, reason = "there are two packages")]
pub enum Flavour {
    /// py2p 0.7 on CPython 3.
    Py2p,
    /// js2p 0.7 on Node, in its plain mode.
    Js2p,
}
