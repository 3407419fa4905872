//! What is owed.

use super::*;

#[test]
fn what_one_of_the_core_holds_is_owed_to_all_of_it() {
    let mut story = Story::of(4);
    let message = story.publish(0);
    story.deliver(message, 1);
    story.died(0);
    story.core(&[1, 2, 3]);
    assert_eq!(story.judge.outstanding(), 2);
    story.wait(s(4));
    story.deliver(message, 2);
    assert!(!story.judge.converged());
    story.converge();
    assert_eq!(story.found(), [("L1", "not delivered")]);
    let found = &story.judge.violations()[0];
    assert_eq!(found.node, Some(3));
    assert_eq!(
        found.sentence,
        "node 3 neither got message 0 (published by node 0 at 10.000000 s) nor declared it missing by 14.000000 s, \
         though node 1 has it and both are whole since 10.000000 s"
    );
    assert_eq!(story.number("owed and delivered"), 666_666);
    assert_eq!(story.number("not delivered: without a reason"), 1);

    story.deliver(message, 3);
    assert!(story.judge.converged());
    story.converge();
    assert_eq!(story.found().len(), 1);
    assert_eq!(story.number("time to converge"), 4_000_000);
}

#[test]
fn what_comes_to_the_core_later_is_owed_as_well() {
    let mut story = Story::of(4);
    let message = story.publish(0);
    story.core(&[1, 2, 3]);
    assert!(story.judge.converged());
    story.deliver(message, 1);
    assert_eq!(story.judge.outstanding(), 2);
    let probe = story.publish(2);
    assert_eq!(story.judge.outstanding(), 4);
    for (message, node) in [(message, 2), (message, 3), (probe, 1), (probe, 3)] {
        story.deliver(message, node);
    }
    assert!(story.judge.converged());
}

#[test]
fn who_leaves_the_core_is_owed_nothing() {
    let mut story = Story::of(3);
    story.publish(0);
    story.core(&[0, 1, 2]);
    assert_eq!(story.judge.outstanding(), 2);
    story.died(1);
    assert_eq!(story.judge.outstanding(), 1);
    story.died(0);
    assert_eq!(story.judge.outstanding(), 0);
    story.converge();
    story.is_right();
}

#[test]
fn who_was_born_later_is_owed_nothing_unless_he_was_restored() {
    for (is_restored, owed) in [(false, 0), (true, 1)] {
        let mut story = Story::of(2);
        story.died(1);
        story.wait(s(5));
        story.publish(0);
        story.wait(s(5));
        story.begin(1, Kind::Mesh, false, is_restored);
        story.core(&[0, 1]);
        assert_eq!(story.judge.outstanding(), owed, "{is_restored}");
    }
}

#[test]
fn who_came_back_with_its_memory_may_have_lost_its_log() {
    let mut story = Story::of(3);
    let message = story.publish(0);
    story.deliver(message, 1);
    for node in [0, 1] {
        story.died(node);
        story.begin(node, Kind::Mesh, false, true);
    }
    story.core(&[0, 1, 2]);
    assert!(story.judge.converged());
}

#[test]
fn who_means_harm_is_owed_nothing_and_nor_is_a_legacy_node() {
    let mut story = Story::of(2);
    story.begin(2, Kind::Mesh, true, false);
    story.born(3, Kind::Py2p);
    story.wait(s(5));
    let message = story.publish(0);
    story.core(&[0, 1, 2, 3]);
    assert_eq!(story.judge.outstanding(), 1);
    story.deliver(message, 1);
    story.converge();
    story.is_right();
    assert_eq!(story.number("not delivered: receiver means harm"), 1);
    assert_eq!(story.number("not delivered: legacy receiver"), 1);
}

#[test]
fn a_legacy_node_is_owed_what_is_published_when_all_is_whole_if_that_is_the_rule() {
    let mut rules = rules();
    rules.owes_to_legacy = true;
    let mut story = Story::new(rules);
    story.born(0, Kind::Mesh);
    story.born(1, Kind::Py2p);
    story.wait(s(5));
    story.publish(0);
    story.wait(s(1));
    story.core(&[0, 1]);
    assert!(story.judge.converged());
    story.publish(0);
    assert_eq!(story.judge.outstanding(), 1);
}

#[test]
fn what_may_have_been_dropped_is_not_owed() {
    // Of more than a log holds any may be gone: all that are missing may come after them.
    for (why, count, age, owed) in [
        ("all are kept", 100, s(1), 100),
        ("one too many", 101, s(1), 0),
        ("just young enough", 1, s(539), 1),
        ("too old by the time", 1, s(541), 0),
    ] {
        let mut story = Story::of(2);
        for _ in 0..count {
            story.publish(0);
        }
        story.wait(age);
        story.core(&[0, 1]);
        assert_eq!(story.judge.outstanding(), owed, "{why}");
    }
}

#[test]
fn the_last_messages_are_in_every_log_that_has_got_all() {
    let mut story = Story::of(3);
    for _ in 0..200 {
        let message = story.publish(0);
        story.wait(ms(10));
        story.deliver(message, 1);
        story.deliver(message, 2);
    }
    story.wait(s(1));
    // A quarter of a log is what its share leaves to anyone.
    for _ in 0..25 {
        let message = story.publish(0);
        story.deliver(message, 1);
        story.wait(ms(10));
    }
    story.core(&[0, 1, 2]);
    assert_eq!(story.judge.outstanding(), 25);
    let last = story.publish(0);
    story.deliver(last, 1);
    story.core(&[0, 1, 2]);
    assert_eq!(
        story.judge.outstanding(),
        0,
        "all that are missing may come last"
    );

    // Those that have come to everybody do no harm any more.
    for message in 200..206 {
        story.deliver(message, 2);
    }
    story.wait(ms(10));
    let message = story.publish(0);
    story.core(&[0, 1, 2]);
    assert_eq!(story.judge.outstanding(), 2);
    story.converge();
    let found = story.judge.violations();
    assert!(found.iter().all(|found| found.message == Some(message)));
    assert_eq!(found.len(), 2);

    // Who comes back gets it all again, in any order.
    story.died(2);
    story.begin(2, Kind::Mesh, false, true);
    story.core(&[0, 1, 2]);
    assert_eq!(story.judge.outstanding(), 0);
}

#[test]
fn bytes_are_a_limit_as_well() {
    for (bytes, owed) in [(2000, 10), (1999, 9)] {
        let mut rules = rules();
        rules.retention.bytes = bytes;
        let mut story = Story::with(2, rules);
        for _ in 0..10 {
            story.wait(ms(1));
            story.publish(0);
        }
        story.core(&[0, 1]);
        assert_eq!(story.judge.outstanding() > 0, owed == 10, "{bytes}");
    }
}

#[test]
fn without_retention_nothing_is_owed() {
    let mut rules = rules();
    rules.retention = Retention::NONE;
    let mut story = Story::with(2, rules);
    story.link(1, 0, 1);
    story.publish(0);
    story.wait(s(9));
    story.core(&[0, 1]);
    story.converge();
    story.is_right();
}

#[test]
fn what_is_declared_is_not_outstanding() {
    let mut story = Story::of(2);
    story.publish(0);
    story.core(&[0, 1]);
    story.gap(1, 0, 1, 1);
    assert!(story.judge.converged());
    story.converge();
    // There never was a link, so it had reason to give up.
    story.is_right();
}

/// Three nodes in a row; what the first publishes, and dies, the last must get through the second.
fn row(first: (u64, u64), second: (u64, u64)) -> Story {
    let mut story = Story::of(3);
    let mut events = [
        (first.0, 1, true),
        (first.1, 1, false),
        (second.0, 2, true),
        (second.1, 2, false),
    ];
    events.sort_unstable();
    story.publish(0);
    let begin = story.now;
    for (at, conn, is_up) in events {
        story.now = begin.after(s(at));
        if is_up {
            let (a, b) = if conn == 1 { (0, 1) } else { (1, 2) };
            story.link(conn, a, b);
        } else {
            story.unlink(conn);
        }
    }
    story.died(0);
    story.core(&[1, 2]);
    story
}

#[test]
fn what_had_a_way_is_owed() {
    let mut story = row((0, 3), (4, 7));
    story.converge();
    assert_eq!(story.found(), [("L1", "lost"); 2]);
    let found = &story.judge.violations()[1];
    assert_eq!(found.node, Some(2));
    assert!(found.sentence.contains("due by 16.000000 s"), "{found}");
    assert_eq!(story.number("not delivered: without a reason"), 2);

    let mut story = row((0, 3), (4, 7));
    story.deliver(0, 1);
    story.deliver(0, 2);
    story.converge();
    story.is_right();
}

#[test]
fn what_had_no_way_is_not_owed() {
    for (first, second) in [((4, 7), (0, 3)), ((0, 3), (4, 5))] {
        let mut story = row(first, second);
        story.deliver(0, 1);
        // The second has it, and is in the core; so it has to leave.
        story.died(1);
        story.converge();
        story.is_right();
        assert_eq!(story.number("not delivered: no way"), 1);
    }
}

#[test]
fn a_link_that_is_held_is_no_way() {
    for hold in 0..4 {
        let mut story = Story::of(2);
        story.link(1, 0, 1);
        let conn = 1;
        match hold {
            0 => story.tell(&Fact::Held {
                conn,
                is_held: [true, false],
            }),
            1 => story.tell(&Fact::Paused {
                life: story.life(1),
                is_paused: true,
            }),
            2 => story.peer(conn, 1, 0, false),
            _ => {}
        }
        story.publish(0);
        story.wait(s(3));
        story.died(0);
        story.converge();
        let expected = if hold == 3 { 1 } else { 0 };
        assert_eq!(story.found().len(), expected, "{hold}");
    }
}

#[test]
fn only_the_first_that_is_lost_is_told() {
    let mut story = Story::of(2);
    story.link(1, 0, 1);
    for _ in 0..3 {
        story.publish(0);
    }
    story.wait(s(3));
    story.died(0);
    story.converge();
    assert_eq!(story.found(), [("L1", "lost")]);
    assert_eq!(story.number("not delivered: behind another"), 2);
}

#[test]
fn who_had_a_way_must_not_declare_missing_what_all_logs_had_room_for() {
    let declare = |count: u32| {
        let mut story = Story::of(2);
        story.link(1, 0, 1);
        for _ in 0..count {
            story.publish(0);
        }
        story.wait(s(3));
        story.gap(1, 0, 1, 1);
        for message in 1..count {
            story.deliver(message, 1);
        }
        story.converge();
        story
    };
    assert_eq!(declare(100).found(), [("L1", "declared without need")]);
    declare(101).is_right();

    // To get it and to lose it again is no better.
    let mut story = Story::of(2);
    story.link(1, 0, 1);
    story.publish(0);
    story.wait(s(700));
    story.gap(1, 0, 1, 1);
    story.converge();
    assert_eq!(story.found(), [("L1", "declared without need")]);
}

#[test]
fn what_is_told_of_a_private_message_must_be_so() {
    let tell = |outcome: Option<bool>, is_delivered: bool, after: Duration| {
        let mut story = Story::of(2);
        let message = story.send(0, 1, 7);
        if is_delivered {
            story.deliver(message, 1);
        }
        if let Some(is_delivered) = outcome {
            story.tell(&Fact::Outcome {
                life: story.life(0),
                number: 7,
                is_delivered,
            });
        }
        story.wait(after);
        story.converge();
        let found = story.found();
        found.first().map(|(code, kind)| format!("{code} {kind}"))
    };
    assert_eq!(tell(Some(true), true, s(40)), None);
    assert_eq!(tell(Some(false), false, s(40)), None);
    assert_eq!(
        tell(Some(true), false, s(40)).as_deref(),
        Some("S8 claimed")
    );
    assert_eq!(tell(None, true, s(29)), None);
    assert_eq!(tell(None, true, s(30)).as_deref(), Some("L1 no outcome"));
}

#[test]
fn a_wrong_claim_is_counted_where_claims_are_not_certain() {
    let mut rules = rules();
    rules.claims_are_certain = false;
    let mut story = Story::with(2, rules);
    story.send(0, 1, 7);
    let outcome = Fact::Outcome {
        life: story.life(0),
        number: 7,
        is_delivered: true,
    };
    story.tell(&outcome);
    story.converge();
    story.is_right();
    assert_eq!(story.number("wrong claims"), 1);
    story.tell(&outcome);
    assert_eq!(story.found(), [("S8", "two outcomes")]);
}

#[test]
fn what_is_in_two_classes_is_found_again_at_the_end() {
    let mut story = Story::of(2);
    let message = story.publish(0);
    story.gap(1, 0, 1, 1);
    story.deliver(message, 1);
    story.converge();
    let found = [("S3", "after its gap"), ("S8", "in two classes")];
    assert_eq!(story.found(), found);
}

#[test]
fn the_sums_are_checked() {
    let mut story = Story::of(2);
    let message = story.publish(0);
    story.deliver(message, 1);
    story.judge.messages.get_mut(message).delivered.remove(1);
    story.converge();
    assert_eq!(story.found(), [("S8", "sum")]);
}

#[test]
fn a_sender_is_waited_for_until_it_tells_or_ends_or_has_had_its_time() {
    let awaited = |story: &Story| story.judge.is_outcome_awaited(story.now);
    let sent = || {
        let mut story = Story::of(2);
        assert!(!awaited(&story));
        let message = story.send(0, 1, 1);
        story.deliver(message, 1);
        assert!(awaited(&story), "it does not know that it came");
        story
    };
    let mut told = sent();
    told.tell(&Fact::Outcome {
        life: told.life(0),
        number: 1,
        is_delivered: true,
    });
    assert!(!awaited(&told));
    let mut dead = sent();
    dead.died(0);
    assert!(!awaited(&dead));
    let mut late = sent();
    late.wait(s(29));
    assert!(awaited(&late));
    late.wait(s(1));
    assert!(!awaited(&late));
}
