//! What is delivered.

use super::*;

#[test]
fn what_is_delivered_once_and_in_order_is_right() {
    let mut story = Story::of(3);
    for _ in 0..3 {
        let message = story.publish(0);
        story.wait(ms(40));
        story.deliver(message, 1);
        story.deliver(message, 2);
    }
    story.core(&[0, 1, 2]);
    story.converge();
    story.is_right();
    assert_eq!(story.number("deliveries"), 6);
    assert_eq!(story.number("owed"), 6);
    assert_eq!(story.number("latency max"), 40_000);
}

#[test]
fn a_message_must_not_come_twice() {
    let mut story = Story::of(2);
    let message = story.publish(1);
    story.wait(ms(500));
    story.deliver(message, 0);
    story.wait(s(2));
    story.deliver(message, 0);
    assert_eq!(story.found(), [("S2", "twice")]);
    let found = &story.judge.violations()[0];
    assert_eq!((found.node, found.message), (Some(0), Some(0)));
    assert_eq!(
        found.sentence,
        "node 0 got message 0 (published by node 1 at 10.000000 s) twice: at 10.500000 s and again at 12.500000 s"
    );
}

#[test]
fn a_node_must_not_get_its_own_message() {
    let mut story = Story::of(2);
    let message = story.publish(0);
    story.deliver(message, 0);
    assert_eq!(story.found(), [("S2", "own")]);
}

#[test]
fn a_new_life_gets_anew_what_the_one_before_it_got_unless_it_remembers() {
    for (is_restored, redelivery, expected) in [
        (false, false, None),
        (true, true, None),
        (true, false, Some(("S2", "again after restart"))),
    ] {
        let mut rules = rules();
        rules.redelivery_after_crash = redelivery;
        rules.birth_slack = s(60);
        let mut story = Story::with(2, rules);
        story.wait(s(60));
        let message = story.publish(0);
        story.deliver(message, 1);
        story.died(1);
        story.begin(1, Kind::Mesh, false, is_restored);
        story.deliver(message, 1);
        assert_eq!(story.found(), Vec::from_iter(expected), "{is_restored}");
        assert_eq!(
            story.number("repeated after restart"),
            u64::from(is_restored)
        );

        story.deliver(message, 1);
        assert_eq!(story.found().last(), Some(&("S2", "twice")));
    }
}

#[test]
fn a_life_with_an_old_memory_gets_what_is_before_the_last_that_the_one_before_it_got() {
    let mut rules = rules();
    rules.redelivery_after_crash = true;
    let mut story = Story::with(2, rules);
    story.wait(s(5));
    let [first, second, third] = [0; 3].map(|_| story.publish(0));
    story.deliver(first, 1);
    story.died(1);
    story.begin(1, Kind::Mesh, false, true);
    story.deliver(third, 1);
    assert_eq!(story.found(), [("S3", "skipped")]);
    story.died(1);
    story.begin(1, Kind::Mesh, false, true);
    story.deliver(second, 1);
    story.deliver(third, 1);
    assert_eq!(story.found().len(), 1);
}

/// It cannot know how long it was away.
#[test]
fn a_life_that_came_back_while_calendars_are_set_may_begin_where_it_came_back() {
    for (calendars_jump, expected) in [(true, None), (false, Some(("S3", "skipped")))] {
        let mut rules = rules();
        rules.calendars_jump = calendars_jump;
        let mut story = Story::with(2, rules);
        story.wait(s(5));
        story.died(1);
        story.publish(0);
        story.wait(s(5));
        story.begin(1, Kind::Mesh, false, true);
        story.wait(s(5));
        let message = story.publish(0);
        story.deliver(message, 1);
        assert_eq!(story.found(), Vec::from_iter(expected));
    }
}

#[test]
fn what_comes_must_have_been_published_as_it_is() {
    let mut story = Story::of(2);
    let message = story.publish(0);
    let right = story.delivery(message);
    story.deliver_as(right.clone(), 77, 1);
    assert_eq!(story.found(), [("S1", "altered")]);

    let key = Some(MessageKey(99));
    story.deliver_as(Delivery { key, ..right }, 77, 1);
    assert_eq!(story.found()[1..], [("S1", "invented")]);
}

#[test]
fn equal_messages_are_different_messages() {
    let mut story = Story::of(2);
    let first = story.publish_as(0, 0, 5);
    let second = story.publish_as(0, 1, 5);
    for message in [first, second] {
        story.deliver_as(story.delivery(message), 5, 1);
    }
    story.is_right();

    story.publish_as(0, 1, 5);
    assert_eq!(story.found(), [("S1", "same identity")]);
}

#[test]
fn what_has_no_identity_is_known_by_its_content() {
    let mut story = Story::of(1);
    story.born(1, Kind::Py2p);
    for key in [0, 1] {
        story.publish_as(0, key, 5);
    }
    let nameless = Delivery {
        key: None,
        position: None,
        ..story.delivery(0)
    };
    for _ in 0..2 {
        story.deliver_as(nameless.clone(), 5, 1);
    }
    story.is_right();
    assert_eq!(story.number("deliveries"), 2);

    story.deliver_as(nameless.clone(), 5, 1);
    assert_eq!(story.found(), [("S2", "twice")]);
    story.deliver_as(nameless, 6, 1);
    assert_eq!(story.found()[1..], [("S1", "invented")]);
}

#[test]
fn a_legacy_node_may_forget_what_it_got() {
    let mut story = Story::of(1);
    story.born(1, Kind::Js2p);
    let message = story.publish(0);
    story.deliver(message, 1);
    story.wait(s(61));
    story.deliver(message, 1);
    story.is_right();
    assert_eq!(story.number("repeated late at legacy"), 1);
}

#[test]
fn a_message_must_be_from_who_sent_it() {
    let mut story = Story::of(3);
    let message = story.publish(0);
    let sender = identity(2);
    let right = story.delivery(message);
    story.deliver_as(Delivery { sender, ..right }, 0, 1);
    assert_eq!(story.found(), [("S4", "wrong sender")]);
    assert!(
        story.judge.violations()[0]
            .sentence
            .ends_with("as a message from node 2")
    );
}

#[test]
fn who_means_harm_may_say_what_he_likes_in_his_own_name_only() {
    let mut story = Story::of(2);
    story.begin(2, Kind::Mesh, true, false);
    let message = story.publish(0);
    let strange = Delivery {
        key: Some(MessageKey(99)),
        sender: PeerKey(5),
        ..story.delivery(message)
    };
    story.deliver_as(strange.clone(), 77, 1);
    story.is_right();
    assert_eq!(story.number("from strangers"), 1);

    let sender = identity(0);
    story.deliver_as(Delivery { sender, ..strange }, 77, 1);
    assert_eq!(story.found(), [("S1", "invented")]);
}

#[test]
fn messages_must_come_in_order() {
    let mut story = Story::of(2);
    let messages = [0; 3].map(|_| story.publish(0));
    story.deliver(messages[1], 1);
    assert_eq!(story.found(), [("S3", "skipped")]);
    story.deliver(messages[0], 1);
    assert_eq!(story.found()[1..], [("S3", "out of order")]);
    story.deliver(messages[2], 1);
    assert_eq!(story.found().len(), 2);
}

#[test]
fn without_a_promise_of_order_any_order_will_do() {
    let mut rules = rules();
    rules.is_ordered = false;
    let mut story = Story::with(2, rules);
    let messages = [0; 2].map(|_| story.publish(0));
    story.deliver(messages[1], 1);
    story.deliver(messages[0], 1);
    story.is_right();
}

#[test]
fn what_is_skipped_must_be_declared_and_not_come_later() {
    let mut story = Story::of(2);
    let messages = [0; 4].map(|_| story.publish(0));
    story.deliver(messages[0], 1);
    story.gap(1, 0, 2, 3);
    story.deliver(messages[3], 1);
    story.is_right();
    assert_eq!(story.number("declared missing"), 2);

    story.deliver(messages[2], 1);
    let found = [("S3", "after its gap"), ("S3", "out of order")];
    assert_eq!(story.found(), found);
}

#[test]
fn a_gap_must_be_of_what_is_missing() {
    let mut story = Story::of(2);
    let message = story.publish(0);
    story.deliver(message, 1);
    story.gap(1, 0, 1, 1);
    assert_eq!(story.found(), [("S3", "gap over delivered")]);
    story.publish(0);
    story.gap(1, 0, 2, 3);
    assert_eq!(story.found()[1..], [("S8", "gap of nothing")]);
    story.gap(1, 0, 2, 2);
    assert_eq!(story.found()[2..], [("S8", "declared twice")]);
}

#[test]
fn who_comes_late_begins_in_the_middle() {
    let mut story = Story::of(1);
    let old = story.publish(0);
    story.wait(s(5));
    story.born(1, Kind::Mesh);
    story.wait(s(5));
    let messages = [0; 2].map(|_| story.publish(0));
    story.deliver(messages[0], 1);
    story.is_right();

    story.deliver(old, 1);
    let found = [("S3", "before birth"), ("S3", "out of order")];
    assert_eq!(story.found(), found);
}

#[test]
fn who_comes_late_must_not_begin_later_than_he_came() {
    let mut story = Story::of(1);
    story.publish(0);
    story.wait(s(5));
    story.born(1, Kind::Mesh);
    story.wait(s(5));
    let messages = [0; 2].map(|_| story.publish(0));
    story.deliver(messages[1], 1);
    assert_eq!(story.found(), [("S3", "skipped")]);
}

#[test]
fn a_sender_must_number_its_messages_one_after_the_other() {
    let mut story = Story::of(2);
    story.publish(0);
    story.sequences[0] = 4;
    story.publish(0);
    assert_eq!(story.found(), [("S3", "numbering")]);
}

#[test]
fn a_private_message_is_for_one_node_once() {
    let mut story = Story::of(3);
    let message = story.send(0, 1, 7);
    story.deliver(message, 1);
    story.is_right();
    story.deliver(message, 1);
    assert_eq!(story.found(), [("S2", "twice")]);
    story.deliver(message, 2);
    assert_eq!(story.found()[1..], [("S1", "misdirected")]);
}

#[test]
fn a_message_to_all_must_not_seem_private() {
    let mut story = Story::of(2);
    let message = story.publish(0);
    let right = story.delivery(message);
    let is_private = true;
    story.deliver_as(
        Delivery {
            is_private,
            ..right
        },
        0,
        1,
    );
    assert_eq!(story.found(), [("S1", "audience")]);
}

#[test]
fn who_means_harm_can_say_to_one_what_is_for_all_before_it_comes() {
    let mut story = Story::of(2);
    story.begin(2, Kind::Mesh, true, false);
    let message = story.publish(0);
    let right = story.delivery(message);
    let is_private = true;
    let replayed = Delivery {
        is_private,
        ..right
    };
    story.deliver_as(replayed, 0, 1);
    story.deliver(message, 1);
    story.is_right();
    story.deliver(message, 1);
    assert_eq!(story.found(), [("S2", "twice")]);
}

#[test]
fn what_the_world_saw_is_passed_on() {
    let mut story = Story::of(1);
    story.tell(&Fact::Breach {
        life: story.life(0),
        checker: Checker::Zeno,
        kind: "storm",
        sentence: "node 0 acts for ever".to_owned(),
    });
    assert_eq!(story.found(), [("S6", "storm")]);
}

#[test]
fn only_the_first_hundred_are_kept() {
    let mut story = Story::of(2);
    let message = story.publish(0);
    for _ in 0..200 {
        story.deliver(message, 1);
    }
    assert_eq!(story.judge.violations().len(), 100);
    assert_eq!(story.number("violations"), 199);
}
