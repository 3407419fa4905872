//! The faults that are going on: who is cut from whom, what takes longer, and what each fault came to.

use std::time::Duration;

use crate::chance::{Chance, Purpose, name};
use crate::scenario::{Cut, DialManner, Fault, Manner, Ways};

/// A fault that is going on.
#[derive(Clone, Debug)]
struct Active {
    /// Its place in the scenario's list.
    index: usize,
    fault: Fault,
    /// The nodes that it is between, if it is between two.
    pair: (u32, u32),
    /// Of a split: who belongs where, as it stands now.
    parts: Option<Parts>,
    /// Whether the one chunk that it is about has gone by.
    is_spent: bool,
}

/// A network that has fallen apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// By the number of the part; the last number reaches all.
    Groups(Vec<u8>),
    /// Each by its place in a ring of so many, and how far it reaches.
    Ring { nodes: u32, reach: u32 },
    /// Everybody reaches everybody, for the moment.
    Whole,
}

/// The part that reaches all others.
const BRIDGE: u8 = u8::MAX;

impl Parts {
    /// Returns how a network falls apart, and after how long it does so in another way: the `step`th state of it.
    pub(super) fn of(cut: Cut, nodes: u32, step: u32, lasts: Duration, draw: Draw) -> Self {
        let count = usize::try_from(nodes).unwrap_or(usize::MAX);
        let halves = |bridge: Option<u32>| {
            let order = draw.order(nodes);
            let mut groups = vec![0; count];
            for node in &order[count / 2..] {
                groups[*node as usize] = 1;
            }
            if let Some(bridge) = bridge {
                groups[bridge as usize] = BRIDGE;
            }
            Self::Groups(groups)
        };
        match cut {
            Cut::Halves => halves(None),
            Cut::Bridge(node) => halves(Some(node.of(nodes))),
            Cut::Isolate(node) => {
                let mut groups = vec![0; count];
                groups[node.of(nodes) as usize] = 1;
                Self::Groups(groups)
            }
            Cut::Ring => Self::Ring {
                nodes,
                reach: nodes.div_ceil(4),
            },
            Cut::Parts(parts) => {
                let parts = u32::from(parts.clamp(2, BRIDGE - 1));
                let part = |node| u8::try_from(node % parts).unwrap_or(0);
                Self::Groups((0..nodes).map(part).collect())
            }
            Cut::Flapping(millis) => {
                if is_apart(step, millis, lasts) {
                    halves(None)
                } else {
                    Self::Whole
                }
            }
            // One more is alone with each step up to the middle, and one less with each from there.
            Cut::Swizzle => {
                let alone = step.min((2 * nodes).saturating_sub(step));
                let mut groups = vec![0; count];
                let order = draw.order(nodes);
                for (part, node) in (1..BRIDGE).zip(&order[..(alone as usize).min(count)]) {
                    groups[*node as usize] = part;
                }
                Self::Groups(groups)
            }
        }
    }

    /// Returns how many states a cut goes through, at even distances.
    pub(super) fn steps(cut: Cut, nodes: u32, lasts: Duration) -> u32 {
        match cut {
            Cut::Swizzle => (2 * nodes).clamp(1, 512),
            Cut::Flapping(millis) => {
                let turn = Duration::from_millis(u64::from(millis.max(100)));
                let turns = lasts.as_millis() / turn.as_millis();
                u32::try_from(turns).unwrap_or(u32::MAX).clamp(1, 1000)
            }
            Cut::Halves | Cut::Isolate(_) | Cut::Bridge(_) | Cut::Ring | Cut::Parts(_) => 1,
        }
    }

    fn cuts(&self, from: u32, to: u32, ways: Ways) -> bool {
        match self {
            Self::Whole => false,
            Self::Ring { nodes, reach } => {
                let apart = from.abs_diff(to);
                apart.min(nodes - apart) > *reach
            }
            Self::Groups(groups) => {
                let (from, to) = (groups[from as usize], groups[to as usize]);
                if from == to || from == BRIDGE || to == BRIDGE {
                    return false;
                }
                match ways {
                    Ways::Both => true,
                    Ways::Forth => from < to,
                    Ways::Back => from > to,
                }
            }
        }
    }
}

const fn is_apart(step: u32, _millis: u16, _lasts: Duration) -> bool {
    step.is_multiple_of(2)
}

/// Where the draws of one fault come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    pub(super) chance: Chance,
}

impl Draw {
    /// Returns the nodes in an order drawn.
    ///
    /// Each node has its own draw, so that taking one away leaves the others in their order.
    fn order(self, nodes: u32) -> Vec<u32> {
        let mut order: Vec<u32> = (0..nodes).collect();
        let key = |node: &u32| self.chance.draw(Purpose::Shuffle, u64::from(*node), 0);
        order.sort_by_key(key);
        order
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Weather {
    active: Vec<Active>,
    /// What each fault of the scenario came to, in whatever it is about.
    effects: Vec<u64>,
}

impl Weather {
    pub(super) fn new(faults: usize) -> Self {
        Self {
            active: Vec::new(),
            effects: vec![0; faults],
        }
    }

    pub(super) const fn is_calm(&self) -> bool {
        self.active.is_empty()
    }

    pub(super) fn effects(&self) -> &[u64] {
        &self.effects
    }

    pub(super) fn note_effect(&mut self, index: usize, amount: u64) {
        if let Some(effect) = self.effects.get_mut(index) {
            *effect = effect.saturating_add(amount);
        }
    }

    pub(super) fn begin(
        &mut self,
        index: usize,
        fault: Fault,
        pair: (u32, u32),
        parts: Option<Parts>,
    ) {
        self.active.push(Active {
            index,
            fault,
            pair,
            parts,
            is_spent: false,
        });
    }

    /// Changes how a network has fallen apart. Returns false if that fault is over.
    pub(super) fn change(&mut self, index: usize, parts: Parts) -> bool {
        let mut active = self.active.iter_mut();
        let Some(active) = active.find(|active| active.index == index) else {
            return false;
        };
        active.parts = Some(parts);
        true
    }

    /// Ends a fault. Returns the nodes that it was between, if it was going on.
    pub(super) fn end(&mut self, index: usize) -> Option<(u32, u32)> {
        let place = self
            .active
            .iter()
            .position(|active| active.index == index)?;
        Some(self.active.remove(place).pair)
    }

    /// Returns the split that cuts one node off from another, if any: its place in the list, and what becomes of
    /// connections.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each question is about a few kinds of faults"
    )]
    pub(super) fn split(&self, from: u32, to: u32) -> Option<(usize, Manner)> {
        self.active.iter().find_map(|active| match &active.fault {
            Fault::Split { ways, live, .. } => {
                let parts = active.parts.as_ref()?;
                parts.cuts(from, to, *ways).then_some((active.index, *live))
            }
            _ => None,
        })
    }

    /// Returns the fault that holds what is under way from one node to another, if any.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each question is about a few kinds of faults"
    )]
    pub(super) fn holds(&self, from: u32, to: u32) -> Option<usize> {
        self.active.iter().find_map(|active| {
            let holds = match &active.fault {
                Fault::Split {
                    ways,
                    live: Manner::Freeze,
                    ..
                } => active.parts.as_ref()?.cuts(from, to, *ways),
                Fault::Stall { .. } => active.pair == (from, to),
                _ => false,
            };
            holds.then_some(active.index)
        })
    }

    /// Returns what becomes of a dial, if it does not just succeed.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each question is about a few kinds of faults"
    )]
    pub(super) fn dial(&self, from: u32, to: u32) -> Option<(usize, DialManner)> {
        self.active.iter().find_map(|active| {
            let manner = match &active.fault {
                Fault::Split { ways, dial, .. } => {
                    let parts = active.parts.as_ref()?;
                    // A dial takes both ways.
                    let is_cut = parts.cuts(from, to, *ways) || parts.cuts(to, from, *ways);
                    is_cut.then_some(*dial)?
                }
                Fault::DialFails { how, .. } if active.pair == (from, to) => *how,
                _ => return None,
            };
            Some((active.index, manner))
        })
    }

    /// Returns what makes chunks from one node to another slower.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each question is about a few kinds of faults"
    )]
    pub(super) fn burden(&self, from: u32, to: u32) -> Burden {
        let mut burden = Burden::default();
        for active in &self.active {
            let hit = match &active.fault {
                Fault::Delay { ms, .. }
                    if active.pair == (from, to) || active.pair == (to, from) =>
                {
                    burden.delay += Duration::from_millis(u64::from(*ms));
                    true
                }
                Fault::Slow { bytes_per_s, .. } if active.pair == (from, to) => {
                    let rate = (*bytes_per_s).max(1);
                    burden.rate = Some(burden.rate.map_or(rate, |least| least.min(rate)));
                    true
                }
                Fault::Drip { .. } if active.pair == (from, to) => {
                    burden.drips = true;
                    true
                }
                _ => false,
            };
            if hit {
                burden.by.push(active.index);
            }
        }
        burden
    }

    /// Returns how many bits flip in the next chunk from one node to another, by which fault; it is the only one.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each question is about a few kinds of faults"
    )]
    pub(super) fn flip(&mut self, from: u32, to: u32) -> Option<(usize, u8)> {
        self.active
            .iter_mut()
            .find_map(|active| match active.fault {
                Fault::Flip { bits, .. } if !active.is_spent && active.pair == (from, to) => {
                    active.is_spent = true;
                    Some((active.index, bits.max(1)))
                }
                _ => None,
            })
    }
}

/// What makes chunks from one node to another slower.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Burden {
    /// By how much each takes longer.
    pub delay: Duration,
    /// How many bytes a second there may be; at least 1.
    pub rate: Option<u32>,
    /// Whether they arrive a few bytes at a time.
    pub drips: bool,
    /// The faults that do it, by their places in the list.
    pub by: Vec<usize>,
}

/// Returns the name of a pair of nodes for draws.
pub(super) const fn pair(from: u32, to: u32) -> u64 {
    name(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{PairPick, Pick};
    use crate::time::s;

    fn parts(cut: Cut, nodes: u32, step: u32) -> Parts {
        let chance = Chance::new(1);
        Parts::of(cut, nodes, step, s(10), Draw { chance })
    }

    fn cut_pairs(parts: &Parts, nodes: u32, ways: Ways) -> usize {
        let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        pairs
            .filter(|(from, to)| parts.cuts(*from, *to, ways))
            .count()
    }

    #[test]
    fn each_cut_cuts_what_it_says() {
        let table = [
            ("halves of 8: 4 times 4, both ways", Cut::Halves, 8, 32),
            ("one of 8 is alone", Cut::Isolate(Pick(11)), 8, 14),
            (
                "halves of 9 with one between them",
                Cut::Bridge(Pick(3)),
                9,
                32,
            ),
            ("three parts of 9", Cut::Parts(3), 9, 54),
            ("a ring of 8 that reaches 2 to each side", Cut::Ring, 8, 24),
            ("no network of one falls apart", Cut::Halves, 1, 0),
        ];
        for (why, cut, nodes, expected) in table {
            let cut = parts(cut, nodes, 0);
            let pairs = cut_pairs(&cut, nodes, Ways::Both);
            if why.contains("between") {
                assert!((30..=40).contains(&pairs), "{why}: {pairs}");
            } else {
                assert_eq!(pairs, expected, "{why}");
            }
        }
        let halves = parts(Cut::Halves, 8, 0);
        assert_eq!(cut_pairs(&halves, 8, Ways::Forth), 16);
        assert_eq!(cut_pairs(&halves, 8, Ways::Back), 16);
    }

    #[test]
    fn a_swizzle_takes_all_apart_and_together_again() {
        let alone = |step| cut_pairs(&parts(Cut::Swizzle, 6, step), 6, Ways::Both);
        assert_eq!(alone(0), 0);
        assert_eq!(alone(1), 10);
        assert_eq!(alone(6), 30);
        assert_eq!(alone(11), 10);
        assert_eq!(alone(12), 0);
    }

    #[test]
    fn a_network_that_flaps_is_whole_every_other_time() {
        assert_ne!(parts(Cut::Flapping(500), 4, 0), Parts::Whole);
        assert_eq!(parts(Cut::Flapping(500), 4, 1), Parts::Whole);
        assert_eq!(Parts::steps(Cut::Flapping(500), 4, s(10)), 20);
    }

    #[test]
    fn taking_a_node_away_leaves_the_others_in_their_halves() {
        let chance = Chance::new(9);
        let more = Draw { chance }.order(9);
        let mut fewer = Draw { chance }.order(8);
        fewer.retain(|node| more.contains(node));
        let rest: Vec<_> = more.into_iter().filter(|node| *node != 8).collect();
        assert_eq!(rest, fewer);
    }

    #[test]
    fn faults_are_found_by_the_pair_that_they_are_about() {
        let mut weather = Weather::new(3);
        assert!(weather.is_calm());
        let who = PairPick(0, 0);
        let pair = (0, 1);
        weather.begin(0, Fault::Stall { who }, pair, None);
        weather.begin(1, Fault::Delay { who, ms: 7 }, pair, None);
        weather.begin(2, Fault::Flip { who, bits: 0 }, pair, None);
        assert_eq!(weather.holds(0, 1), Some(0));
        assert_eq!(weather.holds(1, 0), None);
        assert_eq!(weather.burden(1, 0).delay, Duration::from_millis(7));
        assert_eq!(weather.flip(0, 1), Some((2, 1)));
        assert_eq!(weather.flip(0, 1), None);
        assert_eq!(weather.end(0), Some(pair));
        assert_eq!(weather.end(0), None);
        assert_eq!(weather.holds(0, 1), None);
    }
}
