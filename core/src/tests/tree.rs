//! One neighbour pushes the messages of a busy stream, the others tell of them, and nobody notices when that changes.

use std::time::Duration;

use super::net::Net;
use super::solo::*;
use crate::frontier::Stream;
use crate::wire::control::{Control, OutControl};
use crate::wire::native::{Native, encode_pong, kind};
use crate::wire::sync::{Graft, Prune};
use crate::wire::trailer::Name;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// How long it is from one message to the next.
const PACE: Duration = Duration::from_millis(20);

/// Returns the bytes that a network of twelve sends for a hundred messages of 2,000 bytes.
fn bytes_for_a_hundred(prune_after: u32) -> usize {
    let mut net = Net::with(12, 7, |_, config| {
        config.prune_after = prune_after;
        config.compression.clear();
    });
    for n in 1..12 {
        net.connect(n, n - 1).unwrap();
    }
    net.run(SECOND * 60);
    let mut publish = |count: usize| {
        for _ in 0..count {
            net.broadcast(0, &"x".repeat(2000));
            net.run(PACE);
        }
        net.run(SECOND * 3);
        let sent = net.sent;
        (1..12).for_each(|n| {
            let told = &net.nodes[n].told;
            assert!(
                told.iter()
                    .map(|(_, first, _)| *first)
                    .eq(1..=told.len() as u64)
            );
        });
        (sent, net.nodes[11].told.len())
    };
    let (before, _) = publish(30);
    let (after, told) = publish(100);
    assert_eq!(told, 130);
    after - before
}

#[test]
fn a_busy_stream_comes_to_each_node_once() {
    let payload = 11 * 100 * 2000;
    let (tree, flood) = (bytes_for_a_hundred(2), bytes_for_a_hundred(0));
    assert!(flood > payload * 3, "{flood} bytes for {payload}");
    assert!(tree < payload * 13 / 10, "{tree} bytes for {payload}");
}

/// Two ways lead from node 0 to node 3: by 1 and by 2. Returns how far node 3 is behind at most, in messages that come one each
/// `PACE`, if something happens on the way by which they come.
fn lag(seed: u8, happening: impl Fn(&mut Net, usize, usize)) -> usize {
    let mut net = Net::with(4, seed, |_, config| {
        config.prune_after = 2;
        config.max_dialed = 0;
        config.probe_interval = SECOND * 100_000;
    });
    for (from, to) in [(1, 0), (2, 0), (3, 1), (3, 2)] {
        net.connect(from, to).unwrap();
    }
    net.run(SECOND * 3);
    let mut sent = 0;
    let mut publish = |net: &mut Net, count: usize| {
        let mut most = 0;
        for _ in 0..count {
            net.broadcast(0, "on and on");
            sent += 1;
            net.run(PACE);
            most = most.max(sent - net.nodes[3].told.len());
        }
        most
    };
    let usual = publish(&mut net, 100);
    assert!(usual <= 7, "{usual} are under way");
    let parent = net.nodes[3].messages.last().expect("they have come").link;
    let parents = net.nodes[3].state.peers();
    let parent = parents.into_iter().find(|peer| peer.link == parent);
    let parent = parent.expect("it is a neighbour").id;
    let parent = net.nodes.iter().position(|node| *node.state.id() == parent);
    happening(&mut net, parent.expect("one of ours"), 3);
    publish(&mut net, 200)
}

#[test]
pub(super) fn when_the_neighbour_that_pushes_falls_silent_what_others_have_is_fetched() {
    for seed in 0..10 {
        let lag = lag(seed, Net::swallow);
        assert!(lag * 20 < 800, "seed {seed}: behind by {lag} messages");
    }
}

#[test]
pub(super) fn when_the_link_that_brought_it_ends_others_push_at_once() {
    let lags: Vec<usize> = (0..10).map(|seed| lag(seed, Net::cut)).collect();
    // Where they have to find out for themselves, it is 12 on average.
    let sum: usize = lags.iter().sum();
    assert!(sum < 105, "behind by so many messages: {lags:?}");
}

#[test]
fn without_pruning_nobody_is_behind_when_a_neighbour_falls_silent() {
    // It shows that the limits above are none that anything would keep.
    let mut net = Net::with(2, 1, |_, config| config.prune_after = 0);
    net.connect(1, 0).unwrap();
    net.run(SECOND);
    net.swallow(0, 1);
    for _ in 0..100 {
        net.broadcast(0, "not heard");
        net.run(PACE);
    }
    assert!(net.nodes[1].told.is_empty());
}

fn native(sent: Vec<Sent>, of_kind: u64) -> Vec<Native> {
    let natives = sent.into_iter().filter_map(|sent| match sent.control {
        Control::Native(native) if native.kind == of_kind => Some(native),
        _ => None,
    });
    natives.collect()
}

fn own_stream(solo: &Solo) -> Stream {
    Stream {
        origin: solo.state.id().clone(),
        epoch: solo.state.epoch_for_tests(),
    }
}

fn say(solo: &mut Solo, link: LinkId, peer: &str, out: &OutControl) {
    let frame = Legacy::native(peer).text_frame(2, "rs2p", &out.packets);
    solo.feed(link, &frame);
}

#[test]
fn what_a_node_says_itself_it_always_pushes() {
    let mut solo = Solo::new();
    let link = solo.native("N");
    let (span, streams) = (SECOND * 1000, vec![own_stream(&solo)]);
    say(&mut solo, link, "N", &Prune { span, streams }.encode());
    solo.state.broadcast("heard", solo.now).unwrap();
    solo.drain();
    assert_eq!(user_texts(&solo.sent(link)), ["heard"]);
}

#[test]
fn a_peer_is_spared_what_it_asks_for_no_longer_than_a_minute_and_until_it_wants_it_again() {
    let mut solo = Solo::new();
    let (link, source) = (solo.native("N"), solo.native("S"));
    let origin = id("Far");
    let stream = Stream { origin, epoch: 7 };
    let mut sequence = 0;
    let mut is_pushed = |solo: &mut Solo| {
        sequence += 1;
        let mut packed = Legacy::native("Far").pack(0, &0.into(), &packets!["text"]);
        Name::new(7, sequence).unwrap().put(&mut packed);
        solo.forget_sent(&[link]);
        solo.feed(source, &plain_frame(&packed));
        !user_texts(&solo.sent(link)).is_empty()
    };
    assert!(is_pushed(&mut solo));
    let streams = vec![stream];
    let prune = Prune {
        span: SECOND * 10_000,
        streams: streams.clone(),
    };
    say(&mut solo, link, "N", &prune.encode());
    assert!(!is_pushed(&mut solo));
    solo.pass(Duration::from_millis(100));
    let told = native(solo.sent(link), kind::HAVE);
    assert!(!told.is_empty(), "it is told of it instead");
    say(&mut solo, link, "N", &Graft { streams }.encode());
    assert!(is_pushed(&mut solo));
    say(&mut solo, link, "N", &prune.encode());
    assert!(!is_pushed(&mut solo));
    for _ in 0..7 {
        solo.pass(SECOND * 9);
        for (link, peer) in [(link, "N"), (source, "S")] {
            say(&mut solo, link, peer, &encode_pong(1));
        }
    }
    assert!(is_pushed(&mut solo));
}
