//! Scenarios with anything in them, whether it makes sense or not.

use proptest::prelude::*;
use proptest::sample::select;
use rs2p_sim::*;

pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    let kinds = select(vec![Kind::Mesh, Kind::Py2p, Kind::Js2p]);
    let bootstraps = vec![
        Bootstrap::One,
        Bootstrap::Few,
        Bootstrap::Chain,
        Bootstrap::Random,
    ];
    let parts = (
        any::<(u64, u16)>(),
        prop::collection::vec(kinds, 0..4),
        prop_oneof![Just(Net::default()), net()],
        select(bootstraps),
        prop_oneof![Just(Limits::default()), limits()],
        prop::collection::vec(timed(load()), 0..6),
        prop::collection::vec(timed(fault()), 0..6),
        prop_oneof![Just(Ending::Heal), any::<u8>().prop_map(Ending::Core)],
    );
    parts.prop_map(
        |((seed, nodes), kinds, net, bootstrap, limits, load, faults, ending)| Scenario {
            seed,
            nodes,
            kinds,
            net,
            bootstrap,
            limits,
            load,
            faults,
            ending,
        },
    )
}

fn timed<T: std::fmt::Debug>(what: impl Strategy<Value = T>) -> impl Strategy<Value = Timed<T>> {
    (any::<(u32, u32)>(), what).prop_map(|((at_ms, lasts_ms), what)| Timed {
        at_ms,
        lasts_ms,
        what,
    })
}

fn net() -> impl Strategy<Value = Net> {
    let jitters = vec![
        Jitter::None,
        Jitter::Uniform,
        Jitter::Exponential,
        Jitter::Bimodal,
    ];
    let cuttings = vec![
        Cutting::Whole,
        Cutting::Segments,
        Cutting::Anywhere,
        Cutting::Together,
    ];
    let parts = (any::<[u32; 8]>(), select(jitters), select(cuttings));
    parts.prop_map(|(numbers, jitter, cutting)| {
        let [
            latency_us,
            spread_ppm,
            jitter_us,
            bandwidth,
            window,
            lateness_us,
            drift_ppm,
            skew_s,
        ] = numbers;
        Net {
            latency_us,
            spread_ppm,
            jitter,
            jitter_us,
            bandwidth,
            window,
            cutting,
            lateness_us,
            drift_ppm,
            skew_s,
        }
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    any::<([u32; 4], [u16; 3])>().prop_map(
        |([log_kib, log_count, log_age_s, queue_kib], [dialed, links, addresses])| Limits {
            log_kib,
            log_count,
            log_age_s,
            queue_kib,
            dialed,
            links,
            addresses,
        },
    )
}

fn pick() -> impl Strategy<Value = Pick> {
    any::<u16>().prop_map(Pick)
}

fn pair() -> impl Strategy<Value = PairPick> {
    any::<(u16, u16)>().prop_map(|(first, second)| PairPick(first, second))
}

fn load() -> impl Strategy<Value = Load> {
    let publish = (pick(), any::<(u16, u32, bool)>());
    prop_oneof![
        publish.prop_map(|(by, (count, len, equal))| Load::Publish {
            by,
            count,
            len,
            equal
        }),
        (pair(), any::<u32>()).prop_map(|(pair, len)| Load::Send { pair, len }),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let stops = select(vec![Stop::Leave, Stop::Crash, Stop::PowerLoss]);
    let backs = vec![Back::Restored, Back::Outdated, Back::New, Back::Moved];
    let back = prop::option::of(select(backs));
    let harm = select(vec![
        Hostile::Garbage,
        Hostile::Oversize,
        Hostile::Replay,
        Hostile::Flood,
        Hostile::Slowloris,
        Hostile::NeverReads,
        Hostile::Dials,
    ]);
    let of_nodes = prop_oneof![
        (pick(), stops, back).prop_map(|(node, kind, back)| Fault::Stop { node, kind, back }),
        pick().prop_map(|node| Fault::Late { node }),
        pick().prop_map(|node| Fault::Pause { node }),
        (pick(), any::<(i32, i64)>()).prop_map(|(node, (ppm, step_ms))| Fault::Clock {
            node,
            ppm,
            step_ms
        }),
        (pick(), harm).prop_map(|(node, kind)| Fault::Hostile { node, kind }),
    ];
    prop_oneof![split(), of_nodes, of_pairs()]
}

fn of_pairs() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (pair(), any::<u32>()).prop_map(|(who, bytes_per_s)| Fault::Slow { who, bytes_per_s }),
        (pair(), any::<u16>()).prop_map(|(who, ms)| Fault::Delay { who, ms }),
        pair().prop_map(|who| Fault::Stall { who }),
        pair().prop_map(|who| Fault::Drip { who }),
        (pair(), any::<u8>()).prop_map(|(who, bits)| Fault::Flip { who, bits }),
        pair().prop_map(|who| Fault::Reset { who }),
        pair().prop_map(|who| Fault::HalfOpen { who }),
        (pair(), dial()).prop_map(|(who, how)| Fault::DialFails { who, how }),
    ]
}

fn dial() -> impl Strategy<Value = DialManner> {
    select(vec![
        DialManner::Refused,
        DialManner::Silent,
        DialManner::Dropped,
    ])
}

fn split() -> impl Strategy<Value = Fault> {
    let cut = prop_oneof![
        select(vec![Cut::Halves, Cut::Ring, Cut::Swizzle]),
        pick().prop_map(Cut::Isolate),
        pick().prop_map(Cut::Bridge),
        any::<u8>().prop_map(Cut::Parts),
        any::<u16>().prop_map(Cut::Flapping),
    ];
    let ways = select(vec![Ways::Both, Ways::Forth, Ways::Back]);
    let live = select(vec![Manner::Freeze, Manner::Reset, Manner::Silent]);
    (cut, ways, live, dial()).prop_map(|(cut, ways, live, dial)| Fault::Split {
        cut,
        ways,
        live,
        dial,
    })
}
