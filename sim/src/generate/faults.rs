//! Faults drawn from a seed, such that they mostly do something.

use super::{Draw, Profile, byte, narrow, timed, wide};
use crate::scenario::{
    Back, Bootstrap, Cut, DialManner, Family, Fault, Hostile, Manner, PairPick, Pick, Scenario,
    Stop, Timed, Ways,
};

/// Returns the faults of a scenario whose other fields are drawn already.
pub(super) fn draw(
    draw: &Draw,
    scenario: &Scenario,
    storm_ms: u32,
    profile: &Profile,
) -> Vec<Timed<Fault>> {
    let weights = swarm(draw, profile);
    let total: u64 = weights.iter().map(|(_, weight)| weight).sum();
    let mut faults = Vec::new();
    if total == 0 {
        return faults;
    }
    // Without any, often enough: what goes wrong then goes wrong by itself.
    let count = match draw.percent("calm", 10) {
        true => 0,
        false => 1 + draw.skewed("faults", u64::from(profile.max_faults).saturating_sub(1)),
    };
    for n in 0..count {
        let draw = draw.at("fault", n);
        let mut place = draw.below("family", total);
        for (family, weight) in &weights {
            if place < *weight {
                one(&draw, *family, scenario, storm_ms, profile, &mut faults);
                break;
            }
            place -= weight;
        }
    }
    faults.truncate(profile.max_faults.into());
    faults.sort_by_key(|fault| fault.at_ms);
    faults
}

/// Leaves out half of all kinds of faults, and weighs the others between 1 and 64.
fn swarm(draw: &Draw, profile: &Profile) -> Vec<(Family, u64)> {
    let on = |family: &&Family| draw.percent(family.name(), 50);
    let weight = |family: &Family| 1 << draw.at("weight", *family as u64).below("of", 7);
    let families = profile.families.iter().filter(on);
    families.map(|family| (*family, weight(family))).collect()
}

fn one(
    draw: &Draw,
    family: Family,
    scenario: &Scenario,
    storm_ms: u32,
    profile: &Profile,
    faults: &mut Vec<Timed<Fault>>,
) {
    let fault = fault(draw, family, scenario);
    let at_ms = begin(draw, family, scenario, storm_ms);
    let rest = u64::from(storm_ms - at_ms).max(1);
    let lasts_ms = match family {
        // Over in a moment.
        Family::Flip | Family::Reset => 0,
        // A dial is tried again after a second or more, and a connection may be idle for as long.
        Family::DialFails | Family::Stall | Family::Drip => {
            draw.length("lasts", 5000, rest.max(5000))
        }
        Family::Split | Family::Stop | Family::Late | Family::Pause | Family::Hostile => {
            draw.length("lasts", 500, rest.max(500))
        }
        Family::Clock | Family::Slow | Family::Delay | Family::HalfOpen => {
            draw.length("lasts", 2000, rest.max(2000))
        }
    };
    faults.push(timed(at_ms, wide(lasts_ms), fault));
    if let Fault::DialFails { who, .. } = fault {
        faults.extend(reason_to_dial(draw, who, at_ms, scenario.nodes, profile));
    }
}

/// Returns what makes the first of two dial the second again: where all are connected nobody dials.
fn reason_to_dial(
    draw: &Draw,
    who: PairPick,
    at_ms: u32,
    nodes: u16,
    profile: &Profile,
) -> Option<Timed<Fault>> {
    let may = |family| profile.families.contains(&family);
    // Whoever comes back without memory dials those whom it knew from the start. After a broken connection it may be the
    // other one that dials, or nobody, if both have enough.
    if may(Family::Stop) && (draw.percent("restart", 75) || !may(Family::Reset)) {
        let (from, _) = who.of(nodes.into());
        let stop = Fault::Stop {
            node: Pick(narrow(from.into())),
            kind: *draw.pick("restart kind", &[Stop::Crash, Stop::PowerLoss]),
            back: Some(Back::New),
        };
        return Some(timed(at_ms + 1, wide(draw.within("down", 50, 1000)), stop));
    }
    may(Family::Reset).then(|| timed(at_ms + 1, 0, Fault::Reset { who }))
}

/// Returns when a fault begins: in the first three quarters of the storm, and if it needs bytes that it can hit, while
/// there are some.
fn begin(draw: &Draw, family: Family, scenario: &Scenario, storm_ms: u32) -> u32 {
    if family == Family::Late {
        return 0;
    }
    let needs_bytes = matches!(
        family,
        Family::Flip | Family::Drip | Family::Stall | Family::Slow | Family::Delay
    );
    if !scenario.load.is_empty() && (needs_bytes || draw.percent("with load", 50)) {
        let load = draw.pick("load", &scenario.load);
        // Just before, so that it finds what is sent.
        let into = draw.below("into", u64::from(load.lasts_ms) + 1);
        let early = draw.below("early", 200);
        return wide((u64::from(load.at_ms) + into).saturating_sub(early));
    }
    wide(draw.below("at", u64::from(storm_ms) * 3 / 4))
}

fn fault(draw: &Draw, family: Family, scenario: &Scenario) -> Fault {
    let nodes = scenario.nodes;
    let node = draw.node("node", nodes);
    let who = linked_pair(draw, scenario);
    match family {
        Family::Split => Fault::Split {
            cut: cut(draw, nodes),
            ways: *draw.pick("ways", &[Ways::Both, Ways::Both, Ways::Forth, Ways::Back]),
            live: *draw.pick("live", &[Manner::Freeze, Manner::Reset, Manner::Silent]),
            dial: dial(draw),
        },
        Family::Stop => Fault::Stop {
            node,
            kind: *draw.pick("stop", &[Stop::Leave, Stop::Crash, Stop::PowerLoss]),
            back: back(draw),
        },
        Family::Late => Fault::Late {
            // Not the one that the others know.
            node: Pick(narrow(draw.within("late", 1, u64::from(nodes.max(2)) - 1))),
        },
        Family::Pause => Fault::Pause { node },
        Family::Clock => clock(draw, node),
        Family::Slow => Fault::Slow {
            who,
            bytes_per_s: wide(draw.length("rate", 50, 50_000)),
        },
        Family::Delay => Fault::Delay {
            who,
            ms: narrow(draw.length("delay", 10, 10_000)),
        },
        Family::Stall => Fault::Stall { who },
        Family::Drip => Fault::Drip { who },
        Family::Flip => Fault::Flip {
            who,
            bits: byte(draw.within("bits", 1, 8)),
        },
        Family::Reset => Fault::Reset { who },
        Family::HalfOpen => Fault::HalfOpen { who },
        Family::DialFails => {
            let (from, known) = known_pair(draw, scenario);
            let who = PairPick::between(from, known, nodes.into());
            let how = dial(draw);
            Fault::DialFails { who, how }
        }
        Family::Hostile => Fault::Hostile {
            node,
            kind: *draw.pick(
                "hostile",
                &[
                    Hostile::Garbage,
                    Hostile::Oversize,
                    Hostile::Replay,
                    Hostile::Flood,
                    Hostile::Slowloris,
                    Hostile::NeverReads,
                    Hostile::Dials,
                ],
            ),
        },
    }
}

/// Returns a pair that probably has a connection: in small networks each has, in large ones mostly those of whom one knew
/// the other from the start.
fn linked_pair(draw: &Draw, scenario: &Scenario) -> PairPick {
    let nodes = scenario.nodes;
    if nodes <= 6 || draw.percent("any", 5) {
        return draw.pair("who", nodes);
    }
    let (from, known) = known_pair(draw, scenario);
    if draw.percent("from known", 50) {
        PairPick::between(known, from, nodes.into())
    } else {
        PairPick::between(from, known, nodes.into())
    }
}

/// Returns a node, and one that it knew from the start and therefore dials.
fn known_pair(draw: &Draw, scenario: &Scenario) -> (u32, u32) {
    let nodes = u32::from(scenario.nodes);
    let drawn = draw.pair("known", scenario.nodes).of(nodes);
    // The first is not among those whom it knows itself.
    let other_than = |known: u32| match drawn.0 {
        from if from == known => (known + 1) % nodes,
        from => from,
    };
    match scenario.bootstrap {
        Bootstrap::One => (other_than(0), 0),
        Bootstrap::Few => {
            let known = drawn.1 % nodes.min(3);
            (other_than(known), known)
        }
        Bootstrap::Chain => {
            let from = drawn.0.max(1);
            (from % nodes, from - 1)
        }
        Bootstrap::Random => drawn,
    }
}

fn cut(draw: &Draw, nodes: u16) -> Cut {
    let node = draw.node("cut", nodes);
    match draw.below("cut kind", 10) {
        0..3 => Cut::Halves,
        3..5 => Cut::Isolate(node),
        5 => Cut::Bridge(node),
        6 => Cut::Ring,
        7 => Cut::Parts(byte(draw.within("parts", 2, 5))),
        8 => Cut::Swizzle,
        _ => Cut::Flapping(narrow(draw.length("flapping", 200, 10_000))),
    }
}

fn dial(draw: &Draw) -> DialManner {
    let all = [DialManner::Refused, DialManner::Silent, DialManner::Dropped];
    *draw.pick("dial", &all)
}

fn back(draw: &Draw) -> Option<Back> {
    match draw.below("back", 10) {
        0 => None,
        1..6 => Some(Back::Restored),
        6 => Some(Back::Outdated),
        7..9 => Some(Back::New),
        _ => Some(Back::Moved),
    }
}

fn clock(draw: &Draw, node: Pick) -> Fault {
    let most = *draw.pick("ppm", &[500, 500, 100_000]);
    let far_ms = *draw.pick("step", &[0, 1000, 60_000, 86_400_000]);
    // Never at its own speed: that would be no fault.
    let sign = |what| if draw.percent(what, 50) { 1 } else { -1 };
    let ppm = i32::from(narrow(draw.within("rate", 1, most / 4))) * 4 * sign("slow");
    let step = draw.within("far", far_ms / 2, far_ms).cast_signed();
    let step_ms = step * i64::from(sign("back"));
    Fault::Clock { node, ppm, step_ms }
}
