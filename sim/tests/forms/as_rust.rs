//! A scenario as the source of a test, as [`Scenario::to_rust`](rs2p_sim::Scenario::to_rust) writes it.

#[test]
fn a_scenario_as_rust() {
    use rs2p_sim::*;

    let scenario = Scenario {
        seed: 12,
        nodes: 22,
        kinds: vec![Kind::Mesh, Kind::Mesh, Kind::Js2p, Kind::Mesh, Kind::Py2p],
        net: Net {
            latency_us: 536604,
            spread_ppm: 100000,
            jitter: Jitter::Uniform,
            jitter_us: 145373,
            bandwidth: 0,
            window: 262144,
            cutting: Cutting::Together,
            lateness_us: 0,
            drift_ppm: 100,
            skew_s: 0,
        },
        bootstrap: Bootstrap::Few,
        limits: Limits {
            log_kib: 0,
            log_count: 170,
            log_age_s: 25,
            queue_kib: 58,
            dialed: 4,
            links: 0,
            addresses: 0,
        },
        load: vec![
            Timed {
                at_ms: 1518,
                lasts_ms: 0,
                what: Load::Publish {
                    by: Pick(15),
                    count: 19,
                    len: 79,
                    equal: false,
                },
            },
            Timed {
                at_ms: 5650,
                lasts_ms: 33780,
                what: Load::Publish {
                    by: Pick(2),
                    count: 8,
                    len: 24,
                    equal: false,
                },
            },
            Timed {
                at_ms: 10679,
                lasts_ms: 0,
                what: Load::Publish {
                    by: Pick(19),
                    count: 20,
                    len: 21,
                    equal: false,
                },
            },
            Timed {
                at_ms: 16344,
                lasts_ms: 0,
                what: Load::Publish {
                    by: Pick(16),
                    count: 17,
                    len: 167,
                    equal: false,
                },
            },
            Timed {
                at_ms: 18027,
                lasts_ms: 18273,
                what: Load::Publish {
                    by: Pick(16),
                    count: 10,
                    len: 63,
                    equal: false,
                },
            },
            Timed {
                at_ms: 22055,
                lasts_ms: 0,
                what: Load::Publish {
                    by: Pick(17),
                    count: 16,
                    len: 69,
                    equal: false,
                },
            },
            Timed {
                at_ms: 25934,
                lasts_ms: 3639,
                what: Load::Publish {
                    by: Pick(3),
                    count: 15,
                    len: 1725,
                    equal: false,
                },
            },
            Timed {
                at_ms: 32172,
                lasts_ms: 344,
                what: Load::Publish {
                    by: Pick(1),
                    count: 5,
                    len: 135,
                    equal: false,
                },
            },
        ],
        faults: vec![
            Timed {
                at_ms: 1347,
                lasts_ms: 15488,
                what: Fault::Slow {
                    who: PairPick(3, 19),
                    bytes_per_s: 3098,
                },
            },
            Timed {
                at_ms: 1381,
                lasts_ms: 38983,
                what: Fault::Slow {
                    who: PairPick(7, 14),
                    bytes_per_s: 974,
                },
            },
            Timed {
                at_ms: 14664,
                lasts_ms: 15600,
                what: Fault::DialFails {
                    who: PairPick(19, 4),
                    how: DialManner::Refused,
                },
            },
            Timed {
                at_ms: 14665,
                lasts_ms: 699,
                what: Fault::Stop {
                    node: Pick(19),
                    kind: Stop::PowerLoss,
                    back: Some(Back::New),
                },
            },
            Timed {
                at_ms: 16277,
                lasts_ms: 13001,
                what: Fault::Slow {
                    who: PairPick(2, 19),
                    bytes_per_s: 163,
                },
            },
            Timed {
                at_ms: 20709,
                lasts_ms: 0,
                what: Fault::Reset {
                    who: PairPick(4, 19),
                },
            },
            Timed {
                at_ms: 21877,
                lasts_ms: 0,
                what: Fault::Flip {
                    who: PairPick(11, 11),
                    bits: 3,
                },
            },
            Timed {
                at_ms: 21975,
                lasts_ms: 8935,
                what: Fault::Slow {
                    who: PairPick(6, 16),
                    bytes_per_s: 14297,
                },
            },
            Timed {
                at_ms: 25042,
                lasts_ms: 15059,
                what: Fault::Slow {
                    who: PairPick(1, 11),
                    bytes_per_s: 6024,
                },
            },
            Timed {
                at_ms: 26605,
                lasts_ms: 11522,
                what: Fault::DialFails {
                    who: PairPick(17, 6),
                    how: DialManner::Refused,
                },
            },
            Timed {
                at_ms: 26606,
                lasts_ms: 106,
                what: Fault::Stop {
                    node: Pick(17),
                    kind: Stop::Crash,
                    back: Some(Back::New),
                },
            },
            Timed {
                at_ms: 28812,
                lasts_ms: 7069,
                what: Fault::DialFails {
                    who: PairPick(1, 0),
                    how: DialManner::Dropped,
                },
            },
            Timed {
                at_ms: 28813,
                lasts_ms: 515,
                what: Fault::Stop {
                    node: Pick(1),
                    kind: Stop::Crash,
                    back: Some(Back::New),
                },
            },
            Timed {
                at_ms: 29124,
                lasts_ms: 16508,
                what: Fault::Slow {
                    who: PairPick(17, 12),
                    bytes_per_s: 90,
                },
            },
            Timed {
                at_ms: 36152,
                lasts_ms: 3815,
                what: Fault::Slow {
                    who: PairPick(6, 16),
                    bytes_per_s: 382,
                },
            },
            Timed {
                at_ms: 38738,
                lasts_ms: 0,
                what: Fault::Flip {
                    who: PairPick(0, 6),
                    bits: 8,
                },
            },
        ],
        ending: Ending::Core(46),
    };
    assert_eq!(scenario, super::example());
}
