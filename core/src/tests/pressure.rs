//! Links that have more to carry than they can: what waits, for how long, and at what cost.

use std::time::Duration;

use super::net::Net;
use super::solo::*;
use crate::wire::trailer::Name;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

fn count(net: &Net, at: usize, from: usize) -> usize {
    let origin = net.nodes[from].state.id();
    let messages = net.nodes[at].messages.iter();
    messages
        .filter(|message| message.sender() == origin)
        .count()
}

#[test]
fn repair_and_what_is_new_share_a_link() {
    let mut net = Net::with(3, 1, |_, config| config.max_dialed = 1);
    net.connect(1, 0).unwrap();
    net.connect(2, 0).unwrap();
    net.run(SECOND * 3);
    net.cut_between(1..2, 2..3);
    net.cut(0, 1);
    for _ in 0..600 {
        net.broadcast(0, &"x".repeat(1000));
    }
    net.heal();
    net.cut_between(1..2, 2..3);
    let mut waited = 0;
    let mut finished = None;
    for tick in 1..=150 {
        net.broadcast(2, "new");
        net.run(SECOND / 10);
        let is_linked = net.links().contains_key(&(0, 1));
        if count(&net, 1, 0) == 600 {
            finished.get_or_insert(tick);
        } else if is_linked {
            waited = waited.max(tick - count(&net, 1, 2));
        }
    }
    let finished = finished.expect("the backlog arrives while there is something new all the time");
    // The link carries some 200 KiB a second.
    assert!(finished < 140, "{finished} ticks");
    // Until the logs are compared nothing new is sent, lest it come before what is older.
    assert!(waited < 80, "what is new waits for {waited} ticks");
    net.run(SECOND * 2);
    assert_eq!(count(&net, 1, 2), 150);
}

#[test]
pub(super) fn a_stuck_link_costs_the_same_however_long_it_is_stuck() {
    let mut solo = Solo::with(Config {
        // Both would end the link.
        stall_timeout: SECOND * 100_000,
        ping_interval: SECOND * 100_000,
        log_len: 1 << 20,
        ..config()
    });
    let from = solo.native("From");
    let stuck = solo.accept_without_credit();
    let peer = Legacy::native("Stuck").at("10.0.0.8:1");
    solo.feed(stuck, &[peer.hello(), peer.confirm()].concat());
    let author = Legacy::native("From");
    let mut level = Vec::new();
    for n in 0..20_000 {
        solo.feed(from, &author.frame(0, 0, &packets![n, vec![0; 400]]));
        solo.sent(from);
        solo.chunks.clear();
        solo.messages.clear();
        if n % 5000 == 4999 {
            let links = solo.state.snapshot().links;
            let link = links
                .iter()
                .find(|link| link.link == stuck)
                .expect("it is open");
            assert!(link.queued <= 192 << 10, "{} bytes", link.queued);
            level.push((link.queued, solo.state.snapshot().log.bytes));
        }
    }
    let (queued, log) = level[0];
    for (later, log_later) in level {
        assert!(later <= queued + 4096, "{later} after {queued}");
        assert!(log_later <= log + 4096, "{log_later} after {log}");
    }
}

/// Gives a node broadcasts of so many others, each of a stream of its own, and as many without names.
fn teach(net: &mut Net, n: usize, count: u32) {
    net.with_state(n, |state, now| {
        let from = address("10.9.9.9:1");
        let link = state.handle_accepted(from, now).expect("there is room");
        state.handle_credit(link, usize::MAX, now);
        let peer = Legacy::native("Teacher");
        state.handle_bytes(link, &peer.hello(), now);
        state.handle_bytes(link, &peer.confirm(), now);
        for number in 0..count {
            let far = Legacy::native(&format!("{number:060}"));
            let mut packed = far.pack(0, &0.into(), &packets![number]);
            Name::new(7, 1).expect("numbers from 1").put(&mut packed);
            state.handle_bytes(link, &plain_frame(&packed), now);
            state.handle_bytes(link, &far.broadcast(&number.to_string()), now);
        }
        state.handle_closed(link, now);
    });
}

#[test]
fn more_than_a_link_holds_is_told_piece_by_piece() {
    const COUNT: u32 = 600;
    let mut net = Net::with(3, 1, |_, config| {
        config.max_dialed = 0;
        config.link_queue_limit = 8 << 10;
    });
    teach(&mut net, 0, COUNT);
    net.connect(1, 0).unwrap();
    net.run(SECOND * 40);
    // What comes all at once is news of the same kind.
    net.connect(2, 1).unwrap();
    net.run(SECOND * 10);
    teach(&mut net, 2, 2 * COUNT);
    net.run(SECOND * 100);
    for node in &net.nodes {
        let closed = |event: &&Event| matches!(event, Event::PeerDown { .. });
        let closed: Vec<&Event> = node.events.iter().filter(closed).collect();
        let by_itself = |event: &Event| !format!("{event:?}").contains("Teacher");
        assert!(!closed.into_iter().any(by_itself), "a link was closed");
        let log = node.state.snapshot().log;
        assert_eq!(
            (log.streams, log.messages),
            (2 * COUNT as usize, 4 * COUNT as usize)
        );
    }
}
