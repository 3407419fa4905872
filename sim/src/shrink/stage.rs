//! The order in which steps are tried, and which there are.

use crate::scenario::{
    Back, Bootstrap, Cut, Cutting, DialManner, Ending, Family, Fault, Jitter, Kind, Limits, Load,
    Manner, Net, PairPick, Pick, Scenario, Stop, Timed, Ways,
};

use super::edit::{AnyPick, Edit, picks_of_fault, picks_of_load};

/// A group of steps. Those that take away most, and leave least to try for all others, come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Schedule,
    Families,
    Faults,
    Load,
    Counts,
    Nodes,
    Weaken,
    Shorter,
    Earlier,
    Round,
    Plain,
    Seed,
}

/// Where to go on in a stage after a step was accepted, so that what was just refused is not tried again in vain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resume {
    /// From which place on.
    pub(super) place: (u8, usize),
    /// From which item on.
    item: usize,
    /// How many items at once, at most.
    chunk: usize,
}

impl Resume {
    pub(super) const START: Self = Self {
        place: (0, 0),
        item: 0,
        chunk: usize::MAX,
    };

    pub(super) fn after(edit: &Edit) -> Self {
        let place = edit.place();
        if let Edit::DropFaults(range) | Edit::DropLoad(range) = edit {
            return Self {
                place,
                item: range.start,
                chunk: range.end - range.start,
            };
        }
        Self {
            place,
            ..Self::START
        }
    }
}

impl Stage {
    pub(super) const FIRST: Self = Self::Schedule;

    pub(super) const fn next(self) -> Option<Self> {
        Some(match self {
            Self::Schedule => Self::Families,
            Self::Families => Self::Faults,
            Self::Faults => Self::Load,
            Self::Load => Self::Counts,
            Self::Counts => Self::Nodes,
            Self::Nodes => Self::Weaken,
            Self::Weaken => Self::Shorter,
            Self::Shorter => Self::Earlier,
            Self::Earlier => Self::Round,
            Self::Round => Self::Plain,
            Self::Plain => Self::Seed,
            Self::Seed => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "cut the schedule",
            Self::Families => "fewer kinds of faults",
            Self::Faults => "fewer faults",
            Self::Load => "less load",
            Self::Counts => "fewer and shorter messages",
            Self::Nodes => "fewer nodes",
            Self::Weaken => "weaker faults",
            Self::Shorter => "shorter",
            Self::Earlier => "earlier",
            Self::Round => "rounder",
            Self::Plain => "plainer network",
            Self::Seed => "plainer seed",
        }
    }

    /// Returns what to try from here, in order.
    pub(super) fn edits(
        self,
        scenario: &Scenario,
        violated_ms: Option<u32>,
        resume: Resume,
    ) -> Vec<Edit> {
        match self {
            Self::Schedule => {
                let at_ms = violated_ms.into_iter();
                at_ms
                    .flat_map(|at_ms| [true, false].map(|is_hard| Edit::End { at_ms, is_hard }))
                    .collect()
            }
            Self::Families => Family::ALL.map(Edit::DropFamily).into(),
            Self::Faults => deletions(scenario.faults.len(), resume, Edit::DropFaults),
            Self::Load => deletions(scenario.load.len(), resume, Edit::DropLoad),
            Self::Counts => each_load(scenario, fewer),
            Self::Nodes => nodes(scenario),
            Self::Weaken => {
                let nodes = scenario.nodes.into();
                let mut edits = each_fault(scenario, |fault| {
                    let weaker = weaker(fault.what, nodes).into_iter();
                    weaker.map(|what| Timed { what, ..fault }).collect()
                });
                edits.push(Edit::Net(Net {
                    cutting: Cutting::Whole,
                    ..scenario.net
                }));
                edits
            }
            Self::Shorter => both(
                each_fault(scenario, |fault| {
                    with_lengths(fault, smaller(fault.lasts_ms))
                }),
                each_load(scenario, |load| with_lengths(load, smaller(load.lasts_ms))),
            ),
            Self::Earlier => earlier(scenario),
            Self::Round => round(scenario),
            Self::Plain => plain(scenario),
            Self::Seed => (0..4)
                .filter(|seed| *seed < scenario.seed)
                .map(Edit::Seed)
                .collect(),
        }
    }
}

/// Takes away a half, then quarters, and so on down to single items.
fn deletions(
    len: usize,
    resume: Resume,
    edit: impl Fn(std::ops::Range<usize>) -> Edit,
) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut chunk = len.min(resume.chunk);
    let mut start = resume.item;
    while chunk > 0 {
        while start < len {
            edits.push(edit(start..len.min(start + chunk)));
            start += chunk;
        }
        start = 0;
        chunk /= 2;
    }
    edits
}

fn each_fault(
    scenario: &Scenario,
    change: impl Fn(Timed<Fault>) -> Vec<Timed<Fault>>,
) -> Vec<Edit> {
    let faults = (0..).zip(&scenario.faults);
    faults
        .flat_map(|(n, fault)| {
            change(*fault)
                .into_iter()
                .map(move |fault| Edit::Fault(n, fault))
        })
        .collect()
}

fn each_load(scenario: &Scenario, change: impl Fn(Timed<Load>) -> Vec<Timed<Load>>) -> Vec<Edit> {
    let load = (0..).zip(&scenario.load);
    load.flat_map(|(n, load)| {
        change(*load)
            .into_iter()
            .map(move |load| Edit::Load(n, load))
    })
    .collect()
}

fn both(mut first: Vec<Edit>, second: Vec<Edit>) -> Vec<Edit> {
    first.extend(second);
    first
}

fn with_lengths<T: Copy>(timed: Timed<T>, lengths: Vec<u32>) -> Vec<Timed<T>> {
    let lengths = lengths.into_iter();
    lengths
        .map(|lasts_ms| Timed { lasts_ms, ..timed })
        .collect()
}

/// Returns smaller numbers, the smallest first: zero, a half, three quarters and so on, in two digits.
fn smaller(number: u32) -> Vec<u32> {
    let parts = [2, 4, 8, 16].map(|part| rounded(number - number.div_ceil(part), 2));
    let mut all = vec![0];
    all.extend(parts);
    all.dedup();
    all.retain(|smaller| *smaller < number);
    all
}

/// Returns a number with nothing but zeros behind its first digits.
fn rounded(number: u32, digits: u32) -> u32 {
    let places = number.checked_ilog10().map_or(0, |places| places + 1);
    let unit = 10_u32.pow(places.saturating_sub(digits));
    number / unit * unit
}

fn fewer(load: Timed<Load>) -> Vec<Timed<Load>> {
    let with = |what| Timed { what, ..load };
    match load.what {
        Load::Publish {
            by,
            count,
            len,
            equal,
        } => {
            let counts = [1, count / 2, count - count / 4, count.saturating_sub(1)];
            let counts = counts
                .into_iter()
                .filter(|fewer| (1..count).contains(fewer));
            let counts = counts.map(|count| Load::Publish {
                by,
                count,
                len,
                equal,
            });
            let lens = [12, len / 2, len - len / 4].into_iter();
            let lens = lens.filter(|shorter| (12..len).contains(shorter));
            let lens = lens.map(|len| Load::Publish {
                by,
                count,
                len,
                equal,
            });
            let differ = equal.then_some(Load::Publish {
                by,
                count,
                len,
                equal: false,
            });
            counts.chain(lens).chain(differ).map(with).collect()
        }
        Load::Send { pair, len } => {
            let lens = [12, len / 2, len - len / 4].into_iter();
            let lens = lens.filter(|shorter| (12..len).contains(shorter));
            lens.map(|len| with(Load::Send { pair, len })).collect()
        }
    }
}

fn nodes(scenario: &Scenario) -> Vec<Edit> {
    let count = scenario.nodes;
    let picked = [0, 1, 2, 3, count / 4, count / 2].map(Edit::Picked);
    let mut plain: Vec<u16> = (1..=8).chain([count / 2, count - count / 4]).collect();
    plain.push(count.saturating_sub(1));
    plain.sort_unstable();
    plain.dedup();
    let plain = plain.into_iter().filter(|fewer| (1..count).contains(fewer));
    let mut edits: Vec<_> = plain.map(Edit::Nodes).collect();
    edits.extend(picked);
    edits
}

/// Returns faults that do less harm than a fault, the least first, or that are more usual.
fn weaker(fault: Fault, nodes: u32) -> Vec<Fault> {
    match fault {
        Fault::Split {
            cut,
            ways,
            live,
            dial,
        } => weaker_split(cut, ways, live, dial),
        Fault::Stop { node, kind, back } => {
            let kinds: &[Stop] = match kind {
                Stop::Leave => &[],
                Stop::Crash => &[Stop::Leave],
                Stop::PowerLoss => &[Stop::Leave, Stop::Crash],
            };
            let kinds = kinds.iter().map(|kind| Fault::Stop {
                node,
                kind: *kind,
                back,
            });
            let restored = Some(Back::Restored);
            let back = (back != restored).then_some(Fault::Stop {
                node,
                kind,
                back: restored,
            });
            let first = node.of(nodes);
            let who = PairPick::between(first, (first + 1) % nodes.max(1), nodes);
            let reset = Fault::Reset { who };
            [Fault::Pause { node }, reset]
                .into_iter()
                .chain(kinds)
                .chain(back)
                .collect()
        }
        Fault::Hostile { node, .. } => vec![
            Fault::Pause { node },
            Fault::Stop {
                node,
                kind: Stop::Crash,
                back: Some(Back::New),
            },
        ],
        Fault::Clock { node, ppm, step_ms } => {
            let halves = (ppm / 2, step_ms / 2);
            let all = [(0, step_ms), (ppm, 0), (halves.0, step_ms), (ppm, halves.1)];
            all.map(|(ppm, step_ms)| Fault::Clock { node, ppm, step_ms })
                .into()
        }
        Fault::HalfOpen { who } => vec![
            Fault::Delay { who, ms: 1000 },
            Fault::Stall { who },
            Fault::Reset { who },
        ],
        Fault::Reset { who } => vec![Fault::Delay { who, ms: 1000 }, Fault::Stall { who }],
        Fault::Stall { who } => vec![Fault::Delay { who, ms: 1000 }],
        Fault::Flip { who, bits } if bits > 1 => vec![Fault::Flip { who, bits: 1 }],
        Fault::Flip { who, .. } => vec![Fault::Reset { who }],
        Fault::Slow { who, .. } => vec![Fault::Delay { who, ms: 1000 }],
        Fault::DialFails { who, how } if how != DialManner::Refused => {
            vec![Fault::DialFails {
                who,
                how: DialManner::Refused,
            }]
        }
        Fault::Delay { who, ms } => {
            let less = smaller(ms.into())
                .into_iter()
                .filter_map(|ms| u16::try_from(ms).ok());
            less.filter(|ms| *ms > 0)
                .map(|ms| Fault::Delay { who, ms })
                .collect()
        }
        Fault::Late { .. } | Fault::Pause { .. } | Fault::Drip { .. } | Fault::DialFails { .. } => {
            Vec::new()
        }
    }
}

fn weaker_split(cut: Cut, ways: Ways, live: Manner, dial: DialManner) -> Vec<Fault> {
    let split = |cut, ways, live, dial| Fault::Split {
        cut,
        ways,
        live,
        dial,
    };
    let cuts: &[Cut] = match cut {
        Cut::Isolate(_) => &[],
        Cut::Halves => &[Cut::Isolate(Pick(0))],
        Cut::Bridge(_) | Cut::Ring | Cut::Parts(_) | Cut::Swizzle | Cut::Flapping(_) => {
            &[Cut::Isolate(Pick(0)), Cut::Halves]
        }
    };
    let lives: &[Manner] = match live {
        Manner::Freeze => &[],
        Manner::Reset => &[Manner::Freeze],
        Manner::Silent => &[Manner::Freeze, Manner::Reset],
    };
    let mut all = Vec::new();
    all.extend(cuts.iter().map(|cut| split(*cut, ways, live, dial)));
    all.extend(lives.iter().map(|live| split(cut, ways, *live, dial)));
    if dial != DialManner::Refused {
        all.push(split(cut, ways, live, DialManner::Refused));
    }
    if ways != Ways::Both {
        all.push(split(cut, Ways::Both, live, dial));
    }
    all
}

fn earlier(scenario: &Scenario) -> Vec<Edit> {
    fn times<T: Copy>(timed: Timed<T>) -> Vec<Timed<T>> {
        let times = smaller(timed.at_ms).into_iter();
        times.map(|at_ms| Timed { at_ms, ..timed }).collect()
    }
    let load = scenario.load.iter().map(|load| load.at_ms);
    let faults = scenario.faults.iter().map(|fault| fault.at_ms);
    let first = load.chain(faults).min().unwrap_or(0);
    let shifts = [first, first / 2, first / 4]
        .into_iter()
        .filter(|shift| *shift > 0);
    let shifts = shifts.map(Edit::Shift).collect();
    both(
        shifts,
        both(each_fault(scenario, times), each_load(scenario, times)),
    )
}

/// Returns the numbers next to one that have one digit and zeros, or two, if it has more.
fn rounder(number: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for digits in [1, 2] {
        let down = rounded(number, digits);
        if down == number {
            break;
        }
        let places = number.ilog10() + 1;
        let up = down.saturating_add(10_u32.saturating_pow(places - digits));
        all.extend([down, up]);
    }
    all
}

/// Rounder times and lengths, and smaller numbers of nodes.
fn round(scenario: &Scenario) -> Vec<Edit> {
    fn times<T: Copy>(timed: Timed<T>) -> Vec<Timed<T>> {
        let at = rounder(timed.at_ms).into_iter();
        let at = at.map(|at_ms| Timed { at_ms, ..timed });
        let lasts = rounder(timed.lasts_ms).into_iter();
        at.chain(lasts.map(|lasts_ms| Timed { lasts_ms, ..timed }))
            .collect()
    }
    let nodes = u32::from(scenario.nodes);
    let faults = each_fault(scenario, |fault| {
        let mut all = times(fault);
        for choice in 0..4 {
            let mut simpler = fault;
            picks_of_fault(&mut simpler.what, &mut |pick| simplify(pick, choice, nodes));
            all.push(simpler);
        }
        all
    });
    let load = each_load(scenario, |load| {
        let mut all = times(load);
        for choice in 0..4 {
            let mut simpler = load;
            picks_of_load(&mut simpler.what, &mut |pick| simplify(pick, choice, nodes));
            all.push(simpler);
        }
        all
    });
    both(faults, load)
}

/// Makes a pick the first or the second node, or its own number written as it is counted. Never larger.
fn simplify(pick: AnyPick<'_>, choice: u16, nodes: u32) {
    match (pick, choice) {
        (AnyPick::One(pick), 0 | 1) => pick.0 = pick.0.min(choice),
        (AnyPick::One(pick), _) => *pick = Pick(u16::try_from(pick.of(nodes)).unwrap_or(pick.0)),
        (AnyPick::Two(pair), 0) => (pair.0, pair.1) = (0, 0),
        (AnyPick::Two(pair), 1) => pair.0 = 0,
        (AnyPick::Two(pair), 2) => pair.1 = 0,
        (AnyPick::Two(pair), _) => {
            let (first, second) = pair.of(nodes);
            *pair = PairPick::between(first, second, nodes);
        }
    }
}

fn plain(scenario: &Scenario) -> Vec<Edit> {
    let net = scenario.net;
    let calm = Net {
        spread_ppm: 0,
        jitter: Jitter::None,
        jitter_us: 0,
        cutting: Cutting::Whole,
        lateness_us: 0,
        drift_ppm: 0,
        ..Net::default()
    };
    let nets = [
        calm,
        Net {
            latency_us: calm.latency_us,
            ..net
        },
        Net {
            spread_ppm: 0,
            ..net
        },
        Net {
            jitter: Jitter::None,
            jitter_us: 0,
            ..net
        },
        Net {
            bandwidth: 0,
            ..net
        },
        Net {
            window: calm.window,
            ..net
        },
        Net {
            cutting: Cutting::Whole,
            ..net
        },
        Net {
            lateness_us: 0,
            ..net
        },
        Net {
            drift_ppm: 0,
            ..net
        },
        Net { skew_s: 0, ..net },
    ];
    let limits = scenario.limits;
    let all_limits = [
        Limits::default(),
        Limits {
            log_kib: 0,
            ..limits
        },
        Limits {
            log_count: 0,
            ..limits
        },
        Limits {
            log_age_s: 0,
            ..limits
        },
        Limits {
            queue_kib: 0,
            ..limits
        },
        Limits {
            dialed: 0,
            ..limits
        },
        Limits { links: 0, ..limits },
        Limits {
            addresses: 0,
            ..limits
        },
    ];
    let mut edits: Vec<_> = nets.map(Edit::Net).into();
    edits.extend(all_limits.map(Edit::Limits));
    edits.push(Edit::Kinds(Vec::new()));
    for n in 0..scenario.kinds.len() {
        let mut kinds = scenario.kinds.clone();
        kinds[n] = Kind::Mesh;
        edits.push(Edit::Kinds(kinds));
    }
    if scenario.kinds.iter().all(|kind| *kind == Kind::Mesh) {
        edits.push(Edit::Kinds(Vec::new()));
    }
    edits.push(Edit::Bootstrap(Bootstrap::One));
    edits.push(Edit::Ending(Ending::Heal));
    edits
}
