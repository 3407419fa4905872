//! One step of shrinking: a change to a scenario that makes it smaller or simpler.

use std::ops::Range;

use crate::scenario::{
    Bootstrap, Cut, Ending, Family, Fault, Kind, Limits, Load, Net, PairPick, Pick, Scenario, Timed,
};

#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// Nothing begins after this, in milliseconds, and if so said nothing lasts longer either.
    End {
        at_ms: u32,
        is_hard: bool,
    },
    /// All faults of a kind go.
    DropFamily(Family),
    /// Some of the faults go.
    DropFaults(Range<usize>),
    /// Some of the load goes.
    DropLoad(Range<usize>),
    /// So many nodes are left; picks then pick others.
    Nodes(u16),
    /// Those are left that somebody picks, and so many of the others; picks stay with their nodes.
    Picked(u16),
    /// A fault becomes another.
    Fault(usize, Timed<Fault>),
    /// A load becomes another.
    Load(usize, Timed<Load>),
    /// All comes so much earlier.
    Shift(u32),
    Net(Net),
    Limits(Limits),
    Kinds(Vec<Kind>),
    Bootstrap(Bootstrap),
    Ending(Ending),
    Seed(u64),
}

impl Edit {
    /// Returns where it comes among those of a stage: what is about the first fault, the second, and so on to the last load.
    pub(super) const fn place(&self) -> (u8, usize) {
        match self {
            Self::Fault(n, _) => (1, *n),
            Self::Load(n, _) => (2, *n),
            Self::Net(_) => (3, 0),
            Self::End { .. }
            | Self::DropFamily(_)
            | Self::DropFaults(_)
            | Self::DropLoad(_)
            | Self::Nodes(_)
            | Self::Picked(_)
            | Self::Shift(_)
            | Self::Limits(_)
            | Self::Kinds(_)
            | Self::Bootstrap(_)
            | Self::Ending(_)
            | Self::Seed(_) => (0, 0),
        }
    }

    pub(super) fn apply(&self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        match self {
            Self::End { at_ms, is_hard } => end(&mut scenario, *at_ms, *is_hard),
            Self::DropFamily(family) => {
                scenario
                    .faults
                    .retain(|fault| fault.what.family() != *family);
            }
            Self::DropFaults(range) => drop(scenario.faults.drain(range.clone())),
            Self::DropLoad(range) => drop(scenario.load.drain(range.clone())),
            Self::Nodes(nodes) => scenario.nodes = *nodes,
            Self::Picked(more) => keep_picked(&mut scenario, *more),
            Self::Fault(at, fault) => scenario.faults[*at] = *fault,
            Self::Load(at, load) => scenario.load[*at] = *load,
            Self::Shift(ms) => {
                for load in &mut scenario.load {
                    load.at_ms -= ms;
                }
                for fault in &mut scenario.faults {
                    fault.at_ms -= ms;
                }
            }
            Self::Net(net) => scenario.net = *net,
            Self::Limits(limits) => scenario.limits = *limits,
            Self::Kinds(kinds) => scenario.kinds.clone_from(kinds),
            Self::Bootstrap(bootstrap) => scenario.bootstrap = *bootstrap,
            Self::Ending(ending) => scenario.ending = *ending,
            Self::Seed(seed) => scenario.seed = *seed,
        }
        scenario
    }
}

fn end(scenario: &mut Scenario, end_ms: u32, is_hard: bool) {
    fn cut<T>(list: &mut Vec<Timed<T>>, end_ms: u32, is_hard: bool) {
        list.retain(|timed| timed.at_ms <= end_ms);
        for timed in list {
            if is_hard {
                timed.lasts_ms = timed.lasts_ms.min(end_ms - timed.at_ms);
            }
        }
    }
    cut(&mut scenario.load, end_ms, is_hard);
    cut(&mut scenario.faults, end_ms, is_hard);
}

/// A pick, whichever kind it is.
pub(super) enum AnyPick<'a> {
    One(&'a mut Pick),
    Two(&'a mut PairPick),
}

/// Shows all picks of a fault.
pub(super) fn picks_of_fault(fault: &mut Fault, see: &mut dyn FnMut(AnyPick<'_>)) {
    match fault {
        Fault::Split { cut, .. } => match cut {
            Cut::Isolate(node) | Cut::Bridge(node) => see(AnyPick::One(node)),
            Cut::Halves | Cut::Ring | Cut::Parts(_) | Cut::Swizzle | Cut::Flapping(_) => {}
        },
        Fault::Stop { node, .. }
        | Fault::Late { node }
        | Fault::Pause { node }
        | Fault::Clock { node, .. }
        | Fault::Hostile { node, .. } => see(AnyPick::One(node)),
        Fault::Slow { who, .. }
        | Fault::Delay { who, .. }
        | Fault::Stall { who }
        | Fault::Drip { who }
        | Fault::Flip { who, .. }
        | Fault::Reset { who }
        | Fault::HalfOpen { who }
        | Fault::DialFails { who, .. } => see(AnyPick::Two(who)),
    }
}

/// Shows all picks of a load.
pub(super) fn picks_of_load(load: &mut Load, see: &mut dyn FnMut(AnyPick<'_>)) {
    match load {
        Load::Publish { by, .. } => see(AnyPick::One(by)),
        Load::Send { pair, .. } => see(AnyPick::Two(pair)),
    }
}

fn all_picks(scenario: &mut Scenario, see: &mut dyn FnMut(AnyPick<'_>)) {
    for load in &mut scenario.load {
        picks_of_load(&mut load.what, see);
    }
    for fault in &mut scenario.faults {
        picks_of_fault(&mut fault.what, see);
    }
}

fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Keeps those nodes that somebody picks, and so many of the others, and gives them new numbers.
fn keep_picked(scenario: &mut Scenario, more: u16) {
    let old_count = u32::from(scenario.nodes);
    let mut is_kept = vec![false; usize::from(scenario.nodes)];
    let mut keep = |node: u32| {
        if let Some(kept) = is_kept.get_mut(node as usize) {
            *kept = true;
        }
    };
    all_picks(scenario, &mut |pick| match pick {
        AnyPick::One(pick) => keep(pick.of(old_count)),
        AnyPick::Two(pair) => {
            let (first, second) = pair.of(old_count);
            keep(first);
            keep(second);
        }
    });
    let others = is_kept.iter_mut().filter(|kept| !**kept);
    for kept in others.take(more.into()) {
        *kept = true;
    }
    let kept: Vec<u32> = (0..)
        .zip(&is_kept)
        .filter(|(_, kept)| **kept)
        .map(|(n, _)| n)
        .collect();
    let new_count = kept.len().max(1) as u64;
    let new_count = u32::try_from(new_count).unwrap_or(u32::MAX);
    let new = |node: u32| {
        (0..)
            .zip(&kept)
            .find(|(_, old)| **old == node)
            .map_or(0, |(n, _)| n)
    };
    all_picks(scenario, &mut |pick| match pick {
        AnyPick::One(pick) => *pick = Pick(narrow(new(pick.of(old_count)))),
        AnyPick::Two(pair) => {
            let (first, second) = pair.of(old_count);
            *pair = PairPick::between(new(first), new(second), new_count);
        }
    });
    if !scenario.kinds.is_empty() {
        let kind = |node: &u32| scenario.kinds[*node as usize % scenario.kinds.len()];
        scenario.kinds = kept.iter().map(kind).collect();
    }
    scenario.nodes = narrow(new_count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::from_seed;

    #[test]
    fn picks_stay_with_their_nodes_when_others_go() {
        for seed in 0..200 {
            let mut scenario = from_seed(seed);
            // A name for each node that does not depend on its number.
            let nodes = usize::from(scenario.nodes);
            scenario.kinds = Vec::new();
            let smaller = Edit::Picked(0).apply(&scenario);
            assert!(usize::from(smaller.nodes) <= nodes);
            let resolve = |scenario: &Scenario| {
                let mut scenario = scenario.clone();
                let count = scenario.nodes.into();
                let mut picked = Vec::new();
                all_picks(&mut scenario, &mut |pick| match pick {
                    AnyPick::One(pick) => picked.push(pick.of(count)),
                    AnyPick::Two(pair) => picked.extend([pair.of(count).0, pair.of(count).1]),
                });
                picked
            };
            let (before, after) = (resolve(&scenario), resolve(&smaller));
            let mut names: Vec<_> = before.iter().zip(&after).collect();
            names.sort_unstable();
            names.dedup();
            let count = names.len();
            names.dedup_by_key(|(before, _)| *before);
            assert_eq!(names.len(), count, "seed {seed}: a node became two");
            names.dedup_by_key(|(_, after)| *after);
            assert_eq!(names.len(), count, "seed {seed}: two nodes became one");
        }
    }
}
