//! Scenarios made for one bug or a few, which scenarios drawn at random seldom meet.
//!
//! Each is as small as it can be, on a network without accidents: all that happens in it is what it says.

use rs2p_core::Config;
use rs2p_sim::{
    Back, Bootstrap, Cut, DialManner, Ending, Fault, Hostile, Jitter, Kind, Limits, Load, Manner,
    Net, PairPick, Pick, Scenario, Stop, Timed, Ways, s,
};

/// A scenario, and what its nodes have besides its limits.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) scenario: Scenario,
    pub(crate) adapt: fn(&mut Config),
}

type Make = fn() -> Scenario;

/// Returns all of them.
pub(crate) fn all() -> Vec<Named> {
    let plain: [(&'static str, Make); 14] = [
        ("a drip", drip),
        ("calendars far apart", calendars),
        ("whispers among old nodes", whispers),
        ("a node nobody can dial", refused),
        ("more is missed than is kept", gap),
        ("new before old", order),
        ("alone with a full log", alone),
        ("alone, and crashed", crashed_alone),
        ("too late for the old", late),
        ("leaving", leaving),
        ("dials that cross", crossing),
        ("silence in the middle of repair", silence),
        ("a slow reader", slow),
        ("no place but that of another", || {
            few_places(12, 2, 2, Bootstrap::Chain, 1)
        }),
    ];
    let mut all: Vec<Named> = plain
        .into_iter()
        .map(|(name, scenario)| Named {
            name,
            scenario: scenario(),
            adapt: |_| {},
        })
        .collect();
    all.push(Named {
        name: "a stalled reader, and little memory",
        scenario: stalled(),
        adapt: little_memory,
    });
    all.push(Named {
        name: "a place that is elsewhere",
        scenario: few_places(12, 4, 2, Bootstrap::One, 0),
        // So seldom is a link given up for another.
        adapt: |config| config.beacon_interval = s(30),
    });
    all.push(Named {
        name: "everybody dials at once, and little memory",
        scenario: hostile_dials(),
        adapt: little_memory,
    });
    all.push(Named {
        name: "nobody is called on",
        scenario: islands(),
        adapt: |config| {
            config.redial_min = s(600);
            config.redial_max = s(600);
        },
    });
    all.push(Named {
        name: "a row",
        scenario: row(),
        adapt: |config| {
            config.probe_interval = s(100_000);
        },
    });
    all
}

/// Returns the scenario of this name.
///
/// # Panics
///
/// There is none.
pub(crate) fn named(name: &str) -> Named {
    let found = all().into_iter().find(|named| named.name == name);
    found.unwrap_or_else(|| panic!("no scenario is called {name:?}"))
}

/// So little that a node which forgets a limit is over its bound soon.
fn little_memory(config: &mut Config) {
    config.max_links = 4;
    config.max_dialed = 2;
    config.max_pending = 4;
    config.link_queue_limit = 4096;
    config.max_message_len = 16 << 10;
    config.max_frame_len = 20 << 10;
    config.log_len = 1 << 16;
    config.log_count = 64;
    config.max_addresses = 8;
    config.max_seen = 1024;
    config.max_streams = 64;
    config.max_searches = 16;
}

/// Nodes that all know the first, 20 ms apart, and nothing happens.
pub(crate) fn calm(nodes: u16) -> Scenario {
    Scenario {
        seed: 1,
        nodes,
        kinds: Vec::new(),
        net: Net {
            spread_ppm: 0,
            jitter: Jitter::None,
            jitter_us: 0,
            drift_ppm: 0,
            ..Net::default()
        },
        bootstrap: Bootstrap::One,
        limits: Limits::default(),
        load: Vec::new(),
        faults: Vec::new(),
        ending: Ending::Heal,
    }
}

/// Nodes with few places each, of which they may fill some themselves.
pub(crate) fn few_places(
    nodes: u16,
    links: u16,
    dialed: u16,
    bootstrap: Bootstrap,
    seed: u64,
) -> Scenario {
    let mut scenario = Scenario {
        seed,
        bootstrap,
        load: vec![during(1, 10, publish(3, 5, 20))],
        net: Net::default(),
        ..calm(nodes)
    };
    scenario.limits.links = links;
    scenario.limits.dialed = dialed;
    scenario
}

/// Something from one second to another.
pub(crate) fn during<T>(from: u32, to: u32, what: T) -> Timed<T> {
    Timed {
        at_ms: from * 1000,
        lasts_ms: (to - from) * 1000,
        what,
    }
}

pub(crate) fn publish(by: u16, count: u16, len: u32) -> Load {
    Load::Publish {
        by: Pick(by),
        count,
        len,
        equal: false,
    }
}

fn send(from: u16, to: u16, nodes: u16) -> Load {
    Load::Send {
        pair: PairPick::between(from.into(), to.into(), nodes.into()),
        len: 100,
    }
}

fn pair(from: u16, to: u16, nodes: u16) -> PairPick {
    PairPick::between(from.into(), to.into(), nodes.into())
}

/// A node is cut off, and whoever was joined to it learns of it.
fn cut_off(node: u16) -> Fault {
    Fault::Split {
        cut: Cut::Isolate(Pick(node)),
        ways: Ways::Both,
        live: Manner::Reset,
        dial: DialManner::Refused,
    }
}

/// What one node sends comes a byte or three at a time, so that lengths come in parts.
fn drip() -> Scenario {
    Scenario {
        load: vec![
            during(1, 20, publish(0, 20, 20)),
            during(1, 20, publish(1, 20, 20)),
        ],
        faults: vec![
            during(0, 40, Fault::Drip { who: pair(0, 1, 3) }),
            during(0, 40, Fault::Drip { who: pair(1, 0, 3) }),
        ],
        ..calm(3)
    }
}

/// Calendars differ by up to an hour, and no message may be lost to that.
fn calendars() -> Scenario {
    let mut scenario = Scenario {
        load: vec![
            during(1, 10, publish(0, 5, 20)),
            during(1, 10, publish(1, 5, 20)),
            during(1, 10, publish(2, 5, 20)),
        ],
        ..calm(4)
    };
    scenario.net.skew_s = 3600;
    scenario
}

/// Messages for one old node, of many that pass on what they can.
fn whispers() -> Scenario {
    Scenario {
        kinds: vec![Kind::Mesh, Kind::Py2p, Kind::Py2p],
        load: vec![
            during(1, 5, publish(0, 2, 20)),
            during(1, 5, publish(1, 2, 20)),
            during(1, 5, publish(2, 2, 20)),
            during(10, 10, send(0, 1, 6)),
            during(12, 12, send(0, 2, 6)),
            during(14, 14, send(3, 1, 6)),
            during(16, 16, send(3, 4, 6)),
            during(18, 18, send(0, 5, 6)),
        ],
        ..calm(6)
    }
}

/// A node is gone for ever, and the others are told so at once.
fn refused() -> Scenario {
    let mut scenario = Scenario {
        load: vec![during(1, 10, publish(1, 5, 20))],
        faults: vec![during(
            5,
            100,
            Fault::Stop {
                node: Pick(0),
                kind: Stop::Crash,
                back: Some(Back::Restored),
            },
        )],
        ..calm(4)
    };
    scenario.net.latency_us = 500;
    scenario
}

/// A node is cut off while more is published than logs hold.
fn gap() -> Scenario {
    let mut scenario = Scenario {
        load: vec![
            during(1, 3, publish(0, 5, 20)),
            during(10, 30, publish(0, 400, 20)),
            during(50, 60, publish(0, 10, 20)),
        ],
        faults: vec![during(6, 40, cut_off(2))],
        ..calm(3)
    };
    scenario.limits.log_count = 64;
    scenario
}

/// A node is cut off and comes back while messages go on: what is new reaches it before what it missed.
fn order() -> Scenario {
    let mut scenario = Scenario {
        load: vec![
            during(1, 60, publish(0, 600, 20)),
            during(1, 60, publish(1, 600, 20)),
        ],
        faults: vec![during(6, 30, cut_off(3)), during(10, 36, cut_off(2))],
        ..calm(4)
    };
    scenario.net.latency_us = 150_000;
    scenario
}

/// A node that is cut off says more than its log holds.
fn alone() -> Scenario {
    let mut scenario = Scenario {
        load: vec![
            during(1, 3, publish(0, 5, 20)),
            during(1, 50, publish(1, 300, 20)),
            during(10, 30, publish(0, 100, 20)),
        ],
        faults: vec![during(6, 40, cut_off(0))],
        ..calm(3)
    };
    scenario.limits.log_count = 64;
    scenario
}

/// A node says something that nobody hears, crashes, and comes back from what it saved before it is joined again.
fn crashed_alone() -> Scenario {
    Scenario {
        load: vec![
            during(1, 3, publish(1, 5, 20)),
            during(10, 15, publish(1, 10, 20)),
            during(50, 55, publish(1, 10, 20)),
        ],
        faults: vec![
            during(6, 40, cut_off(1)),
            during(
                20,
                25,
                Fault::Stop {
                    node: Pick(1),
                    kind: Stop::Crash,
                    back: Some(Back::Restored),
                },
            ),
        ],
        ..calm(3)
    }
}

/// A node comes long after most was said.
fn late() -> Scenario {
    Scenario {
        load: vec![
            during(1, 20, publish(0, 40, 20)),
            during(1, 20, publish(1, 40, 20)),
            during(60, 100, publish(0, 40, 20)),
        ],
        faults: vec![during(0, 60, Fault::Late { node: Pick(2) })],
        ..calm(4)
    }
}

/// Nodes leave in good order, and others come and go.
fn leaving() -> Scenario {
    let leave = |node, back| Fault::Stop {
        node: Pick(node),
        kind: Stop::Leave,
        back,
    };
    Scenario {
        load: vec![
            during(1, 40, publish(0, 40, 2000)),
            during(1, 40, publish(3, 40, 2000)),
        ],
        faults: vec![
            during(5, 20, leave(1, Some(Back::Restored))),
            during(8, 30, leave(2, Some(Back::New))),
            during(35, 60, leave(3, None)),
        ],
        ..calm(5)
    }
}

/// Pairs are broken again and again, and both ends dial at about the same time.
fn crossing() -> Scenario {
    let mut scenario = Scenario {
        bootstrap: Bootstrap::Random,
        load: vec![during(1, 60, publish(0, 20, 20))],
        ..calm(6)
    };
    scenario.net.latency_us = 600_000;
    for n in 0..15 {
        let split = Fault::Split {
            cut: if n % 2 == 0 {
                Cut::Halves
            } else {
                Cut::Parts(6)
            },
            ways: Ways::Both,
            live: Manner::Reset,
            dial: DialManner::Refused,
        };
        scenario.faults.push(during(2 + n * 8, 3 + n * 8, split));
    }
    scenario
}

/// A node lacks much, and who it asked for it falls silent.
fn silence() -> Scenario {
    let mut scenario = Scenario {
        load: vec![
            during(1, 3, publish(0, 5, 20)),
            during(8, 20, publish(0, 300, 2000)),
        ],
        faults: vec![during(6, 25, cut_off(3))],
        ..calm(4)
    };
    for from in 0..3 {
        let who = pair(from, 3, 4);
        scenario.faults.push(during(
            25,
            60,
            Fault::Slow {
                who,
                bytes_per_s: 4000,
            },
        ));
        let at = 32 + u32::from(from) * 6;
        scenario
            .faults
            .push(during(at, at + 200, Fault::HalfOpen { who }));
    }
    scenario
}

/// One node reads far more slowly than another writes, with a short queue between.
fn slow() -> Scenario {
    let mut scenario = Scenario {
        load: vec![
            during(2, 12, publish(0, 300, 500)),
            during(30, 50, publish(0, 30, 500)),
        ],
        faults: (0..2)
            .map(|from| {
                let who = pair(from, 2, 3);
                let bytes_per_s = 3000;
                during(1, 60, Fault::Slow { who, bytes_per_s })
            })
            .collect(),
        ..calm(3)
    };
    scenario.limits.queue_kib = 4;
    scenario.net.window = 4096;
    scenario
}

/// A node does not read what is sent to it, and that is more than a queue holds.
fn stalled() -> Scenario {
    let mut scenario = Scenario {
        load: vec![during(2, 25, publish(0, 600, 8000))],
        faults: vec![during(1, 29, Fault::Stall { who: pair(0, 1, 2) })],
        ..calm(2)
    };
    scenario.net.window = 4096;
    scenario
}

/// One node opens connections, as many as it can.
fn hostile_dials() -> Scenario {
    Scenario {
        load: vec![during(2, 25, publish(0, 20, 100))],
        faults: vec![
            during(
                5,
                60,
                Fault::Hostile {
                    node: Pick(2),
                    kind: Hostile::Dials,
                },
            ),
            during(
                5,
                60,
                Fault::Hostile {
                    node: Pick(3),
                    kind: Hostile::Oversize,
                },
            ),
        ],
        ..calm(5)
    }
}

/// Two halves forget each other, and only a look at where addresses lead joins them.
fn islands() -> Scenario {
    let split = Fault::Split {
        cut: Cut::Parts(2),
        ways: Ways::Both,
        live: Manner::Reset,
        dial: DialManner::Refused,
    };
    Scenario {
        bootstrap: Bootstrap::Few,
        load: vec![
            during(1, 60, publish(0, 20, 20)),
            during(1, 60, publish(1, 20, 20)),
        ],
        faults: vec![during(5, 50, split), during(200, 240, split)],
        ..calm(6)
    }
}

/// Nodes in a row: what the first says goes over all of them.
fn row() -> Scenario {
    let mut scenario = Scenario {
        bootstrap: Bootstrap::Chain,
        load: vec![
            during(1, 30, publish(0, 30, 20)),
            during(1, 30, publish(5, 30, 20)),
            during(35, 35, send(0, 5, 6)),
            during(36, 36, send(5, 0, 6)),
            during(37, 37, send(2, 5, 6)),
        ],
        faults: vec![during(10, 10, Fault::Reset { who: pair(2, 3, 6) })],
        ..calm(6)
    };
    scenario.limits.dialed = 1;
    scenario.limits.links = 2;
    scenario
}
