//! The bugs that no simulation sees, and who does.

use rs2p_core::Sabotage;

/// Each with the reason, and the test of the core that finds it.
pub(super) const UNSEEN: &[(Sabotage, &str, &str)] = &[];
