//! Ways through a network that changes: when something can be where, at the earliest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::time::Time;

/// A time during which things pass from one point to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) since: Time,
    pub(super) until: Time,
}

/// All stretches between so many points.
#[derive(Debug)]
pub(super) struct Map {
    stretches: Vec<Stretch>,
    /// Where the stretches of each point begin, and at last where they all end.
    first: Vec<usize>,
}

impl Map {
    /// Stretches from points that are not there are left out.
    pub(super) fn new(points: u32, mut stretches: Vec<Stretch>) -> Self {
        stretches.sort_unstable();
        let first = (0..=points)
            .map(|point| stretches.partition_point(|stretch| stretch.from < point))
            .collect();
        Self { stretches, first }
    }

    /// Returns when something that is at `source` from `at` on can be at each point, or the end of all time where it
    /// cannot.
    ///
    /// From point to point it takes as long as `hop`, all of it within one stretch and not after `deadline`. It can wait
    /// anywhere.
    pub(super) fn arrivals(
        &self,
        source: u32,
        at: Time,
        hop: Duration,
        deadline: Time,
    ) -> Vec<Time> {
        let mut arrivals = vec![Time::MAX; self.first.len() - 1];
        let mut open = BinaryHeap::new();
        if let Some(arrival) = arrivals.get_mut(source as usize) {
            *arrival = at;
            open.push(Reverse((at, source)));
        }
        while let Some(Reverse((here, point))) = open.pop() {
            if arrivals[point as usize] < here {
                continue;
            }
            for stretch in self.leaving(point) {
                let there = here.max(stretch.since).after(hop);
                let Some(known) = arrivals.get_mut(stretch.to as usize) else {
                    continue;
                };
                if there <= stretch.until && there <= deadline && there < *known {
                    *known = there;
                    open.push(Reverse((there, stretch.to)));
                }
            }
        }
        arrivals
    }

    fn leaving(&self, point: u32) -> &[Stretch] {
        let point = point as usize;
        &self.stretches[self.first[point]..self.first[point + 1]]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::ms;

    fn stretch(from: u32, to: u32, since: u64, until: u64) -> Stretch {
        Stretch {
            from,
            to,
            since: Time::from_millis(since),
            until: Time::from_millis(until),
        }
    }

    fn arrivals(stretches: &[Stretch], at: u64, hop: u64, deadline: u64) -> Vec<Option<u64>> {
        let map = Map::new(4, stretches.to_vec());
        let deadline = Time::from_millis(deadline);
        let arrivals = map.arrivals(0, Time::from_millis(at), ms(hop), deadline);
        let reached = arrivals.into_iter();
        reached
            .map(|time| (time < Time::MAX).then(|| time.as_millis()))
            .collect()
    }

    #[test]
    fn a_way_must_be_there_in_the_right_order() {
        let forth = [stretch(0, 1, 0, 10), stretch(1, 2, 20, 30)];
        let reached = [Some(0), Some(5), Some(25), None];
        assert_eq!(arrivals(&forth, 0, 5, 99), reached);

        let back = [stretch(0, 1, 20, 30), stretch(1, 2, 0, 10)];
        assert_eq!(arrivals(&back, 0, 5, 99), [Some(0), Some(25), None, None]);
    }

    #[test]
    fn a_stretch_must_last_for_a_whole_hop() {
        let short = [stretch(0, 1, 0, 4), stretch(0, 2, 0, 5)];
        assert_eq!(arrivals(&short, 0, 5, 99), [Some(0), None, Some(5), None]);
        assert_eq!(arrivals(&short, 1, 5, 99), [Some(1), None, None, None]);
    }

    #[test]
    fn nothing_arrives_after_the_deadline() {
        let way = [stretch(0, 1, 0, 90), stretch(1, 2, 0, 90)];
        assert_eq!(arrivals(&way, 0, 5, 9), [Some(0), Some(5), None, None]);
        assert_eq!(arrivals(&way, 0, 5, 10), [Some(0), Some(5), Some(10), None]);
    }

    /// Tries every way that goes through no point twice.
    fn walk(
        stretches: &[Stretch],
        way: &mut Vec<u32>,
        here: u64,
        rules: (u64, u64),
        best: &mut [Option<u64>],
    ) {
        let (hop, deadline) = rules;
        let point = way[way.len() - 1];
        let known = &mut best[point as usize];
        *known = Some(known.map_or(here, |known| known.min(here)));
        for stretch in stretches.iter().filter(|stretch| stretch.from == point) {
            let there = here.max(stretch.since.as_millis()) + hop;
            let is_open = there <= stretch.until.as_millis() && there <= deadline;
            if is_open && !way.contains(&stretch.to) {
                way.push(stretch.to);
                walk(stretches, way, there, rules, best);
                way.pop();
            }
        }
    }

    proptest! {
        #[test]
        fn the_earliest_arrivals_are_those_of_all_ways(
            list in prop::collection::vec((0_u32..4, 0_u32..4, 0_u64..60, 0_u64..40), 0..14),
            at in 0_u64..30,
            hop in 0_u64..12,
            deadline in 0_u64..90,
        ) {
            let list: Vec<Stretch> = list
                .into_iter()
                .map(|(from, to, since, length)| stretch(from, to, since, since + length))
                .collect();
            let mut best = [None; 4];
            walk(&list, &mut vec![0], at, (hop, deadline), &mut best);
            prop_assert_eq!(arrivals(&list, at, hop, deadline), best);
        }
    }
}
