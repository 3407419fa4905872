use super::*;
use crate::id::NodeId;

const NOW: Instant = Instant::from_micros(1_000_000);

fn stream(epoch: u64) -> Stream {
    let origin = NodeId::new("A").unwrap();
    Stream { origin, epoch }
}

fn after(seconds: u64) -> Instant {
    NOW.saturating_add(Duration::from_secs(seconds))
}

/// Asks link 2 not to push a stream, which link 1 brings.
fn prune(tree: &mut Tree, now: Instant) -> bool {
    let until = now.saturating_add(Duration::from_secs(10));
    tree.prune(&stream(1), LinkId(1), LinkId(2), 1, (now, until))
}

#[test]
fn whoever_is_spared_is_so_until_it_has_run_out() {
    let mut tree = Tree::default();
    assert!(tree.spare(stream(1), LinkId(1), after(10)));
    assert!(tree.spare(stream(1), LinkId(2), after(20)));
    assert!(tree.is_spared(&stream(1), LinkId(1), after(9)));
    assert!(!tree.is_spared(&stream(1), LinkId(1), after(10)));
    assert!(!tree.is_spared(&stream(2), LinkId(1), NOW));
    assert_eq!(tree.spared(&stream(1), after(15)), [(LinkId(2), after(20))]);
    tree.check_invariants();
    tree.unspare(&stream(1), LinkId(2));
    tree.unspare(&stream(1), LinkId(2));
    assert!(tree.spares_nobody());
    tree.check_invariants();
}

#[test]
fn what_peers_make_us_keep_is_bounded_for_each_of_them() {
    let mut tree = Tree::default();
    for epoch in 1..10_000 {
        let is_kept = tree.spare(stream(epoch), LinkId(1), after(10));
        assert_eq!(is_kept, epoch <= MAX_SPARED as u64, "{epoch}");
    }
    assert!(tree.spare(stream(1), LinkId(1), after(20)), "known already");
    assert!(tree.spare(stream(9_999), LinkId(2), after(10)));
    tree.check_invariants();
    tree.lose(LinkId(1));
    tree.check_invariants();
    assert!(tree.is_spared(&stream(9_999), LinkId(2), NOW));
    assert_eq!(tree.spared.len(), 1);
}

#[test]
fn nobody_hangs_on_one_that_was_asked_not_to_push() {
    let mut tree = Tree::default();
    assert!(prune(&mut tree, NOW));
    assert!(!prune(&mut tree, NOW), "it was asked already");
    let (first, until) = (LinkId(1), after(10));
    assert!(!tree.prune(&stream(1), LinkId(2), first, 1, (NOW, until)));
    assert!(tree.prune(&stream(1), first, LinkId(3), 1, (NOW, until)));
    assert!(tree.is_pruned(&stream(1), LinkId(2), after(9)));
    assert!(!tree.is_pruned(&stream(1), LinkId(2), after(10)), "run out");
    assert!(!tree.is_pruned(&stream(1), first, NOW));
}

#[test]
fn the_branches_of_a_node_are_bounded_and_make_room_when_they_have_run_out() {
    let mut tree = Tree::default();
    let mut ask = |epoch: u64, now: Instant| {
        let until = now.saturating_add(Duration::from_secs(10));
        let asked = tree.prune(&stream(epoch), LinkId(1), LinkId(2), 1, (now, until));
        tree.check_invariants();
        asked
    };
    for epoch in 1..=MAX_BRANCHES as u64 {
        assert!(ask(epoch, NOW));
    }
    assert!(!ask(9_999, NOW));
    tree.renew(|_| 1, (after(10), after(20)));
    let until = after(20);
    assert!(tree.prune(&stream(9_999), LinkId(1), LinkId(2), 1, (after(10), until)));
    assert_eq!(tree.branches.len(), 1);
}

#[test]
fn those_of_streams_that_go_on_are_asked_again() {
    let mut tree = Tree::default();
    prune(&mut tree, NOW);
    assert!(
        tree.renew(|_| 1, (after(4), after(14))).is_empty(),
        "silent"
    );
    let asked = tree.renew(|_| 2, (after(8), after(18)));
    assert_eq!(
        asked.into_iter().collect::<Vec<_>>(),
        [(LinkId(2), vec![stream(1)])]
    );
    assert!(tree.is_pruned(&stream(1), LinkId(2), after(17)));
    assert!(tree.has_pruned());
    tree.renew(|_| 2, (after(18), after(28)));
    assert!(!tree.has_pruned(), "it has run out");
}

#[test]
fn what_is_overdue_is_waited_for_as_long_as_it_moves() {
    let mut tree = Tree::default();
    prune(&mut tree, NOW);
    let missing = Ranges::of(5, 9);
    assert_eq!(tree.await_missing(&stream(2), &missing, 4, after(1)), None);
    assert_eq!(
        tree.await_missing(&stream(1), &missing, 4, after(1)),
        Some(after(1))
    );
    assert_eq!(
        tree.await_missing(&stream(1), &missing, 4, after(2)),
        None,
        "watched"
    );
    assert!(tree.overdue(NOW).is_empty());
    assert_eq!(tree.overdue(after(1)), [(stream(1), missing)]);
    let mut judge = |lacks, upto, at| tree.judge(&stream(1), lacks, upto, (after(at), 2));
    assert_eq!(judge(true, 5, 2), Verdict::Wait);
    assert_eq!(judge(true, 6, 3), Verdict::Wait);
    assert_eq!(
        judge(true, 7, 4),
        Verdict::Failed,
        "it was given enough time"
    );
    assert_eq!(tree.next_overdue(), Some(after(3)));
    let mut judge = |lacks, upto, at| tree.judge(&stream(1), lacks, upto, (after(at), 9));
    assert_eq!(judge(true, 6, 4), Verdict::Failed, "it does not move");
    assert_eq!(judge(false, 9, 4), Verdict::Fine);
    assert_eq!(tree.next_overdue(), None);
}

#[test]
fn a_tree_that_failed_is_left_alone_for_longer_each_time() {
    let mut tree = Tree::default();
    let mut now = NOW;
    for hold in [30, 60, 120, 240, 480, 960, 1920, 1920] {
        assert!(prune(&mut tree, now));
        assert_eq!(tree.fail(&stream(1), now), [LinkId(2)]);
        assert!(!tree.is_pruned(&stream(1), LinkId(2), now));
        let almost = now.saturating_add(Duration::from_secs(hold - 1));
        assert!(!prune(&mut tree, almost));
        now = now.saturating_add(Duration::from_secs(hold));
    }
}

#[test]
fn when_the_link_that_brought_it_is_lost_all_are_to_push() {
    let mut tree = Tree::default();
    prune(&mut tree, NOW);
    assert!(tree.lose(LinkId(3)).is_empty());
    tree.note_parent(&stream(1), LinkId(2));
    assert!(
        tree.lose(LinkId(3)).is_empty(),
        "under way when it was asked"
    );
    tree.note_parent(&stream(1), LinkId(4));
    assert!(tree.lose(LinkId(1)).is_empty(), "another one brings it");
    assert_eq!(tree.lose(LinkId(4)), [(stream(1), vec![LinkId(2)])]);
    assert!(prune(&mut tree, NOW), "nothing has failed");
    assert!(tree.lose(LinkId(2)).is_empty());
    assert!(!tree.has_pruned());
}

#[test]
fn one_of_so_many_repetitions_in_a_second_is_looked_at() {
    let mut repeats = Repeats::default();
    let mut count = |len, limit, seconds| {
        repeats.note(len, limit, after(seconds));
        repeats.take_due()
    };
    assert_eq!(
        [(); 7].map(|()| count(100, 3, 0)),
        [false, false, true, false, false, true, false]
    );
    assert!(!count(100, 3, 10), "the second is another");
    assert!(count(3 << 12, 3, 10), "long ones count for several");
    assert_eq!([(); 5].map(|()| count(1 << 20, 0, 20)), [false; 5], "never");
}
