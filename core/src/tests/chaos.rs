//! Whatever happens to links and nodes: every broadcast is delivered once and in order, or an explicit gap covers it.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::net::Net;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
enum Step {
    /// So many broadcasts of a node, of so many bytes each.
    Broadcast(usize, usize, usize),
    Cut(usize, usize),
    /// Bytes are lost on the way, and nobody is told.
    Swallow(usize, usize),
    /// A link takes no more bytes for now, in this direction.
    Stop(usize, usize),
    Heal,
    /// A new node that has one of the others for its seed.
    Join(usize),
    Run(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..8usize, 1..40usize, 1..2000usize)
            .prop_map(|(n, count, len)| Step::Broadcast(n, count, len)),
        2 => (0..8usize, 0..8usize).prop_map(|(a, b)| Step::Cut(a, b)),
        1 => (0..8usize, 0..8usize).prop_map(|(a, b)| Step::Swallow(a, b)),
        2 => (0..8usize, 0..8usize).prop_map(|(a, b)| Step::Stop(a, b)),
        2 => Just(Step::Heal),
        1 => (0..8usize).prop_map(Step::Join),
        5 => (0..5000u64).prop_map(Step::Run),
        1 => (0..100_000u64).prop_map(Step::Run),
    ]
}

/// What is small, so that limits are reached.
#[derive(Clone, Debug)]
struct Limits {
    log_count: usize,
    log_len: usize,
    link_queue_limit: usize,
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(Limits {
            log_count: 1 << 17,
            log_len: 64 << 20,
            link_queue_limit: 192 << 10
        }),
        Just(Limits {
            log_count: 64,
            log_len: 1 << 20,
            link_queue_limit: 16 << 10
        }),
        Just(Limits {
            log_count: 1000,
            log_len: 1 << 16,
            link_queue_limit: 4096
        }),
    ]
}

fn is_of((origin, epoch): &(NodeId, u64), message: &Message) -> bool {
    message.sender() == origin && message.epoch() == Some(*epoch)
}

/// Checks what a node was told against what was sent: by epoch of the sender, up to which sequence.
fn judge(
    net: &Net,
    at: usize,
    sent: &BTreeMap<(NodeId, u64), u64>,
    is_old: bool,
) -> Result<(), TestCaseError> {
    let mut next: BTreeMap<(NodeId, u64), u64> = BTreeMap::new();
    for told in &net.nodes[at].told {
        let (stream, first, last) = told;
        let expected = next.get(stream).copied();
        // Whoever was there from the beginning has no excuse to begin later. Who was not may be told of gaps among what
        // is older than it, of which it gets nothing.
        let mut got = net.nodes[at]
            .messages
            .iter()
            .filter(|message| is_of(stream, message));
        let begins = got.next().and_then(Message::sequence);
        let expected = match expected {
            _ if !is_old && begins.is_none_or(|begins| *first <= begins) => None,
            None => is_old.then_some(1),
            expected => expected,
        };
        if let Some(expected) = expected {
            prop_assert_eq!(*first, expected, "at {}, of {:?}: {:?}", at, stream, told);
        }
        prop_assert!(first <= last);
        next.insert(stream.clone(), last + 1);
    }
    for (stream, last) in sent {
        if stream.0 == *net.nodes[at].state.id() {
            continue;
        }
        let got = next.get(stream).map_or(0, |next| next - 1);
        // Whoever came later, and got none of them, owes no account of what is all older.
        let mut messages = net.nodes[at].messages.iter();
        if is_old || messages.any(|message| is_of(stream, message)) {
            prop_assert_eq!(got, *last, "at {}, of {:?}", at, stream);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_broadcast_is_delivered_once_in_order_or_covered_by_a_gap(
        seed: u8,
        count in 3..8usize,
        links in prop::collection::vec((0..8usize, 0..8usize), 0..8),
        limits in limits(),
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let adapt = |config: &mut Config| {
            config.log_count = limits.log_count;
            config.log_len = limits.log_len;
            config.link_queue_limit = limits.link_queue_limit;
            config.max_message_len = 8192;
        };
        let mut net = Net::with(count, seed, |_, config| adapt(config));
        for n in 1..count {
            net.connect(n, n - 1).unwrap();
        }
        for (a, b) in links {
            if a % count != b % count {
                let _ = net.connect(a % count, b % count);
            }
        }
        net.run(SECOND * 3);
        let mut sent: BTreeMap<(NodeId, u64), u64> = BTreeMap::new();
        for step in steps {
            let total = net.nodes.len();
            let pair = |a: usize, b: usize| (a % total, b % total);
            match step {
                Step::Broadcast(n, times, len) => {
                    let n = n % total;
                    for _ in 0..times {
                        let text = "x".repeat(len);
                        let ticket = net.with_state(n, |state, now| state.broadcast(text, now));
                        match ticket {
                            Ok(_) => *sent.entry(net.nodes[n].stream()).or_default() += 1,
                            // It is refused at the call, and nothing is promised.
                            Err(SendError::Full) => {}
                            Err(error) => prop_assert!(false, "{}", error),
                        }
                    }
                }
                Step::Cut(a, b) | Step::Swallow(a, b) | Step::Stop(a, b)
                    if a % total == b % total => {}
                Step::Cut(a, b) => {
                    let (a, b) = pair(a, b);
                    net.cut(a, b);
                }
                Step::Swallow(a, b) => {
                    let (a, b) = pair(a, b);
                    net.swallow(a, b);
                }
                Step::Stop(a, b) => {
                    let (a, b) = pair(a, b);
                    net.stop(a, b);
                }
                Step::Heal => net.heal(),
                Step::Join(n) if total < 9 => {
                    net.add(|config| {
                        adapt(config);
                        config.seeds = vec![Net::place(n % total)];
                    });
                }
                Step::Join(_) => {}
                Step::Run(millis) => net.run(Duration::from_millis(millis)),
            }
        }
        net.heal();
        net.run(SECOND * 240);
        for at in 0..net.nodes.len() {
            judge(&net, at, &sent, at < count)?;
        }
        for node in &net.nodes {
            let limit = 40 << 20;
            prop_assert!(node.state.memory() < limit, "{}", node.state.memory());
        }
    }
}

#[test]
fn a_message_that_comes_last_and_displaces_what_waits_for_it_is_no_gap() {
    let mut net = Net::with(3, 11, |_, config| {
        config.log_count = 1000;
        config.log_len = 1 << 16;
        config.link_queue_limit = 4096;
        config.max_message_len = 8192;
    });
    for n in 1..3 {
        net.connect(n, n - 1).unwrap();
    }
    net.run(SECOND * 3);
    for (n, count, len) in [(0, 12, 1246), (2, 12, 1422), (1, 15, 1238)] {
        for _ in 0..count {
            net.broadcast(n, &"x".repeat(len));
        }
        if n == 2 {
            net.run(Duration::from_millis(43));
        }
    }
    net.cut(0, 2);
    net.cut(1, 2);
    net.heal();
    net.run(SECOND * 60);
    let stream = net.nodes[1].stream();
    let told = net.nodes[2].told.iter().filter(|told| told.0 == stream);
    let told: Vec<_> = told.map(|(_, first, last)| (*first, *last)).collect();
    let expected: Vec<(u64, u64)> = (1..=15).map(|n| (n, n)).collect();
    assert_eq!(told, expected);
    assert_eq!(net.nodes[2].messages.len(), 27, "and none of it is a gap");
}
