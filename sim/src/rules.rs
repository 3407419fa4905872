//! What a run of a scenario is held against: the promises of its protocol, and what its network and its faults allow.

use std::time::Duration;

use crate::facts::Life;
use crate::judge::{Pair, Retention, Rules};
use crate::node::NodeStatus;
use crate::protocol::Promise;
use crate::scenario::{Fault, Kind, Manner, Scenario};
use crate::time::s;

/// Returns for how long a message may be under way without being counted as older, at most: who gets it cannot know.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only some faults hold bytes"
)]
fn transit(scenario: &Scenario) -> Duration {
    let holds = |fault: &&crate::Timed<Fault>| match fault.what {
        Fault::Slow { .. }
        | Fault::Drip { .. }
        | Fault::Stall { .. }
        | Fault::Delay { .. }
        | Fault::Pause { .. } => true,
        Fault::Split { live, .. } => live == Manner::Freeze,
        _ => false,
    };
    let held = scenario
        .faults
        .iter()
        .filter(holds)
        .map(|fault| u64::from(fault.lasts_ms));
    let net = &scenario.net;
    let round_trip =
        Duration::from_micros(u64::from(net.latency_us) * 4 + u64::from(net.jitter_us) * 16);
    // What was written before it, and what is lost on the way is not written again.
    let window = match net.bandwidth {
        0 => 0,
        rate => u64::from(net.window) * 1000 / u64::from(rate),
    };
    round_trip * 40 + Duration::from_millis(held.sum::<u64>() + window * 8)
}

/// Returns whether all nodes are of rs2p, and mean no harm.
pub(crate) fn is_rs2p_alone(scenario: &Scenario) -> bool {
    let is_hostile = |fault: &crate::Timed<Fault>| matches!(fault.what, Fault::Hostile { .. });
    let is_mesh = |kind: &Kind| *kind == Kind::Mesh;
    scenario.kinds.iter().all(is_mesh) && !scenario.faults.iter().any(is_hostile)
}

/// Returns how old a message may be that py2p, js2p or a node that means harm passes on: they do not say how old it is.
fn relayed(scenario: &Scenario) -> Duration {
    match is_rs2p_alone(scenario) {
        true => Duration::ZERO,
        false => s(60),
    }
}

/// Returns whether calendars may differ so much that what is new to one node is old to another. To py2p and js2p such a
/// message can only be whispered, and each neighbour does so.
fn are_calendars_off(scenario: &Scenario) -> bool {
    scenario.net.skew_s >= 25 || do_calendars_jump(scenario)
}

fn do_calendars_jump(scenario: &Scenario) -> bool {
    let is_set = |fault: &crate::Timed<Fault>| matches!(fault.what, Fault::Clock { .. });
    scenario.faults.iter().any(is_set)
}

/// Returns what those who judge hold a run against.
pub(crate) fn rules(scenario: &Scenario, promise: &Promise) -> Rules {
    let retention = Retention {
        age: promise.kept_for,
        count: promise.kept_count,
        bytes: promise.kept_bytes,
        overhead: promise.overhead,
        parts: promise.kept_parts,
    };
    Rules {
        nodes: u32::from(scenario.nodes.max(1)),
        retention,
        hop: promise.hop,
        settle: promise.heals_within,
        birth_slack: promise.birth_slack + transit(scenario) + relayed(scenario),
        is_ordered: promise.is_ordered,
        links_max: promise.links_max,
        redelivery_after_crash: true,
        legacy_window: match are_calendars_off(scenario) {
            true => Duration::ZERO,
            false => s(55),
        },
        owes_from_legacy: false,
        owes_to_legacy: false,
        claims_are_certain: true,
        calendars_jump: do_calendars_jump(scenario),
        outcome: s(120),
        quiet_control: promise.quiet_bytes * 2,
        thrift_percent: 400,
        thrift_base: 1 << 20,
    }
}

/// Returns whether nodes are one network, and all that both ends of a connection say of it fits together.
pub(crate) fn is_one_network(statuses: &[(Life, NodeStatus)], pairs: &[Pair]) -> bool {
    let claimed: usize = statuses.iter().map(|(_, status)| status.peers.len()).sum();
    let mut agreed = 0;
    let claims = |(life, conn): (Life, crate::ConnId)| {
        let found = statuses
            .binary_search_by_key(&life, |(life, _)| *life)
            .ok()?;
        let peers = &statuses[found].1.peers;
        peers.iter().any(|(id, _)| *id == conn).then_some(found)
    };
    let mut group: Vec<usize> = (0..statuses.len()).collect();
    let find = |group: &mut Vec<usize>, mut place: usize| {
        while group[place] != place {
            group[place] = group[group[place]];
            place = group[place];
        }
        place
    };
    let mut parts = statuses.len();
    for pair in pairs {
        let both = pair.ends.map(claims);
        let is_judged = pair.ends.map(|(life, _)| {
            statuses
                .binary_search_by_key(&life, |(life, _)| *life)
                .is_ok()
        });
        // Of a node of another kind it is not known what it says.
        let fits = both.map(|claim| claim.is_some()) == is_judged;
        agreed += if fits {
            both.iter().flatten().count()
        } else {
            0
        };
        let [Some(a), Some(b)] = both else {
            continue;
        };
        let (a, b) = (find(&mut group, a), find(&mut group, b));
        if a != b {
            group[a] = b;
            parts -= 1;
        }
    }
    parts <= 1 && agreed == claimed
}
