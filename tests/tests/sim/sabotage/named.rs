//! Scenarios made for one bug each, which scenarios drawn at random seldom meet.

use rs2p_core::Sabotage;
use rs2p_sim::Scenario;

/// Returns the scenario that is made for a bug, if there is one.
pub(super) fn scenario(_bug: Sabotage) -> Option<Scenario> {
    None
}
