use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::packets;
use crate::wire::native::tests::native;
use crate::wire::payload::Packets;
use crate::wire::value::Value;

/// The reading of any kind of message, to have one table for all.
type Parse = fn(&Native) -> Result<(), ControlFault>;

const KINDS: [(u64, Parse); 9] = [
    (kind::SUMMARY, |native| Summary::parse(native).map(drop)),
    (kind::HAVE, |native| Have::parse(native).map(drop)),
    (kind::WANT, |native| Want::parse(native).map(drop)),
    (kind::REPAIR, |native| Repair::parse(native).map(drop)),
    (kind::GONE, |native| Gone::parse(native).map(drop)),
    (kind::IDS, |native| Ids::parse(native).map(drop)),
    (kind::WANT_IDS, |native| WantIds::parse(native).map(drop)),
    (kind::PRUNE, |native| Prune::parse(native).map(drop)),
    (kind::GRAFT, |native| Graft::parse(native).map(drop)),
];

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

/// An array without elements.
fn none() -> Value {
    Value::from(Vec::<Value>::new())
}

fn have_entry(ranges: Vec<Range>) -> HaveEntry {
    HaveEntry {
        origin: node("A"),
        epoch: 300,
        upto: 5,
        low: 2,
        from: 4,
        ranges,
    }
}

fn extent(ranges: Vec<Range>) -> Extent {
    Extent {
        origin: node("A"),
        epoch: u64::MAX,
        ranges,
    }
}

/// One message of each kind, and its packets.
fn examples() -> Vec<(OutControl, Vec<u8>)> {
    let summary = Summary {
        fingerprint: *b"0123456789abcdef",
        streams: 3,
        others: *b"fedcba9876543210",
        reach: Duration::from_millis(1000),
    };
    let have = Have {
        entries: vec![have_entry(vec![(7, 7), (9, 200)]), have_entry(vec![])],
        is_complete: true,
    };
    let want = Want {
        entries: vec![extent(vec![(1, u64::MAX)])],
    };
    let repair = Repair {
        age: Duration::from_micros(1_500_999),
        packed: Bytes::from_static(b"\x95\0\xa1N\x01\0\x07"),
    };
    let gone = Gone {
        entries: vec![extent(vec![(1, 2), (4, 4)])],
        ids: vec![MessageId::from_bytes([b'x'; 32])],
    };
    let ids = gone.ids.clone();
    let streams = vec![Stream {
        origin: node("A"),
        epoch: 300,
    }];
    let max = b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff";
    let id = [&b"\x91\xc4\x20"[..], &[b'x'; 32]].concat();
    vec![
        (
            summary.encode(),
            b"\x06\xc4\x100123456789abcdef\x03\xc4\x10fedcba9876543210\xcd\x03\xe8".to_vec(),
        ),
        (
            have.encode(),
            b"\x07\x92\x96\xa1A\xcd\x01\x2c\x05\x02\x04\x94\x07\x07\x09\xcc\xc8\
                \x96\xa1A\xcd\x01\x2c\x05\x02\x04\x90\x01"
                .to_vec(),
        ),
        (
            want.encode(),
            [b"\x08\x91\x93\xa1A", &max[..], b"\x92\x01", max].concat(),
        ),
        (
            repair.encode(),
            b"\x09\xcd\x05\xdc\xc4\x07\x95\0\xa1N\x01\0\x07".to_vec(),
        ),
        (
            gone.encode(),
            [
                b"\x0a\x91\x93\xa1A",
                &max[..],
                b"\x94\x01\x02\x04\x04",
                &id[..],
            ]
            .concat(),
        ),
        (
            Ids { ids: ids.clone() }.encode(),
            [b"\x0b", &id[..]].concat(),
        ),
        (WantIds { ids }.encode(), [b"\x0c", &id[..]].concat()),
        (
            Prune {
                span: Duration::from_micros(1_000_999),
                streams: streams.clone(),
            }
            .encode(),
            b"\x10\x91\x92\xa1A\xcd\x01\x2c\xcd\x03\xe8".to_vec(),
        ),
        (
            Graft { streams }.encode(),
            b"\x11\x91\x92\xa1A\xcd\x01\x2c".to_vec(),
        ),
    ]
}

#[test]
fn they_look_the_same_for_ever() {
    for (out, expected) in examples() {
        assert_eq!(out.packets.body(), expected, "{:02x?}", out.packets.body());
    }
}

#[test]
fn packets_of_later_versions_are_passed_over() {
    for ((mut out, _), (kind, parse)) in examples().into_iter().zip(KINDS) {
        out.packets.push("a packet more");
        let native = native(&out);
        assert_eq!((native.kind, parse(&native)), (kind, Ok(())));
    }
}

#[test]
fn elements_of_later_versions_are_passed_over() {
    let ranges = Value::array([1, 2]);
    let stream = || [Value::from("A"), 1.into()];
    let later = |more: &[Value]| {
        let entry = stream().into_iter().chain(more.iter().cloned());
        packets![Value::array([Value::array(entry)])]
    };
    let want = later(&[ranges, "new".into()]);
    let want = Want::parse(&native(&OutControl::native(kind::WANT, &want)));
    assert_eq!(want.unwrap().entries[0].ranges, [(1, 2)]);

    let have = later(&[
        0.into(),
        0.into(),
        0.into(),
        Value::array([1, 2]),
        Value::Nil,
    ])
    .with(0);
    let have = Have::parse(&native(&OutControl::native(kind::HAVE, &have)));
    assert_eq!(have.unwrap().entries[0].ranges, [(1, 2)]);
}

#[test]
fn messages_of_no_entries_are_messages() {
    let empty = packets![none()];
    for (kind, parse) in KINDS {
        let is_list = kind != kind::SUMMARY && kind != kind::REPAIR;
        // A have says whether it is the last, and a prune for how long.
        let empty = match kind {
            kind::HAVE | kind::PRUNE => empty.clone().with(1),
            _ => empty.clone(),
        };
        let native = native(&OutControl::native(kind, &empty));
        assert_eq!(parse(&native).is_ok(), is_list, "kind {kind}");
    }
}

#[test]
fn what_is_gone_has_names_unless_it_is_said_otherwise() {
    let gone = native(&OutControl::native(kind::GONE, &packets![none()]));
    assert_eq!(Gone::parse(&gone), Ok(Gone::default()));
    let body = packets![none(), "text"];
    broken(kind::GONE, &body, "gone: ids must be a list");
    let ids: Vec<MessageId> = (0..MAX_IDS as u64 + 1)
        .map(|n| MessageId::of(&n.to_be_bytes()))
        .collect();
    let entries = vec![extent(vec![(1, 2)]); MAX_ENTRIES + 1];
    let gone = Gone { entries, ids };
    let parts = gone.clone().divide();
    for part in &parts {
        assert_eq!(Gone::parse(&native(&part.encode())).as_ref(), Ok(part));
    }
    let entries: Vec<_> = parts.iter().flat_map(|part| part.entries.clone()).collect();
    let ids: Vec<_> = parts.into_iter().flat_map(|part| part.ids).collect();
    assert_eq!(Gone { entries, ids }, gone);
}

#[test]
fn an_origin_may_be_spelt_as_bin() {
    let entry = [Value::from(b"A"), 1.into(), none()];
    let want = packets![Value::array([Value::array(entry)])];
    let want = Want::parse(&native(&OutControl::native(kind::WANT, &want)));
    assert_eq!(want.unwrap().entries[0].origin, node("A"));
}

/// Expects that kind of message to break that rule.
#[track_caller]
fn broken(kind: u64, body: &Payload, expected: &str) {
    let parse = KINDS.into_iter().find(|(other, _)| *other == kind);
    let (_, parse) = parse.expect("a kind of these");
    let read = parse(&native(&OutControl::native(kind, body)));
    let fault = read.map_err(|fault| fault.to_string());
    assert_eq!(fault, Err(expected.to_owned()), "{body:?}");
}

#[test]
fn every_broken_rule_is_named() {
    let fingerprint = Value::from(&[0_u8; 16]);
    let table = [
        (packets![], "fingerprint must be 16 bytes"),
        (
            packets!["0123456789abcdef", 1],
            "fingerprint must be 16 bytes",
        ),
        (packets![&[0_u8; 15], 1], "fingerprint must be 16 bytes"),
        (packets![&[0_u8; 17], 1], "fingerprint must be 16 bytes"),
        (packets![fingerprint.clone()], "streams must be a number"),
        (packets![fingerprint, -1], "streams must be a number"),
    ];
    for (body, rule) in table {
        broken(kind::SUMMARY, &body, &format!("summary: {rule}"));
    }
    let table = [
        (packets![], "age must be a number"),
        (packets![-1, b"x"], "age must be a number"),
        (packets![1], "message must be bytes"),
        (packets![1, "text"], "message must be bytes"),
    ];
    for (body, rule) in table {
        broken(kind::REPAIR, &body, &format!("repair: {rule}"));
    }
    for (kind, name) in [(kind::IDS, "ids"), (kind::WANT_IDS, "want ids")] {
        let table = [
            (packets![], "ids must be a list"),
            (packets![1], "ids must be a list"),
            (packets![Value::array([1])], "an id must be 32 bytes"),
            (
                packets![Value::array([Value::from(&[0_u8; 31])])],
                "an id must be 32 bytes",
            ),
        ];
        for (body, rule) in table {
            broken(kind, &body, &format!("{name}: {rule}"));
        }
    }
}

#[test]
fn every_rule_that_an_entry_breaks_is_named() {
    let wants = [(kind::WANT, "want"), (kind::GONE, "gone")];
    for (kind, name) in [(kind::HAVE, "have")].into_iter().chain(wants) {
        let upto_and_low: &[Value] = match kind {
            kind::HAVE => &[Value::from(0), Value::from(0), Value::from(0)],
            _ => &[],
        };
        // Of an origin, an epoch and ranges.
        let one = |origin: Value, epoch: Value, ranges: Value| {
            let mut entry = vec![origin, epoch];
            entry.extend_from_slice(upto_and_low);
            entry.push(ranges);
            packets![Value::array([Value::array(entry)])]
        };
        let of = |ranges: &[u64]| {
            let ranges = Value::array(ranges.iter().copied());
            one("A".into(), 1.into(), ranges)
        };
        let origin = "origin must be text of 1 to 256 bytes";
        let epoch = "epoch must be a number above 0";
        let order = "ranges must ascend from 1";
        let table = [
            (packets![], "entries must be a list"),
            (packets!["A"], "entries must be a list"),
            (packets![Value::array(["A"])], "an entry must be a list"),
            (packets![Value::array([none()])], origin),
            (one("".into(), 1.into(), none()), origin),
            (one("x".repeat(257).into(), 1.into(), none()), origin),
            (one(1.into(), 1.into(), none()), origin),
            (one("A".into(), "1".into(), none()), epoch),
            (one("A".into(), 0.into(), none()), epoch),
            (one("A".into(), (-1).into(), none()), epoch),
            (
                one("A".into(), 1.into(), Value::Nil),
                "ranges must be a list",
            ),
            (
                one("A".into(), 1.into(), Value::array(["a", "b"])),
                "ranges must be numbers",
            ),
            (of(&[1]), "ranges must be pairs"),
            (of(&[0, 1]), order),
            (of(&[2, 1]), order),
            (of(&[1, 2, 2, 3]), order),
            (of(&[5, 6, 1, 2]), order),
            (of(&[1, u64::MAX, 1, 1]), order),
        ];
        for (body, rule) in table {
            broken(kind, &body, &format!("{name}: {rule}"));
        }
    }
    let cases: [(&[Value], &str); 5] = [
        (&[], "upto must be a number"),
        (&[Value::Nil], "upto must be a number"),
        (&[Value::from(1)], "low must be a number"),
        (&[Value::from(1), "1".into()], "low must be a number"),
        (&[Value::from(1), Value::from(1)], "from must be a number"),
    ];
    for (rest, rule) in cases {
        let entry = [Value::from("A"), 1.into()].into_iter();
        let entry = Value::array(entry.chain(rest.iter().cloned()));
        broken(
            kind::HAVE,
            &packets![Value::array([entry])],
            &format!("have: {rule}"),
        );
    }
    for (upto, is_above) in [(5, true), (6, true), (7, false), (9, false)] {
        let entry = HaveEntry {
            upto,
            ..have_entry(vec![(7, 8)])
        };
        let have = Have {
            entries: vec![entry],
            is_complete: false,
        };
        let read = Have::parse(&native(&have.encode()));
        let rule = "ranges must be above upto";
        let message = "have";
        let fault = ControlFault::Field { message, rule };
        assert_eq!(read, if is_above { Ok(have) } else { Err(fault) }, "{upto}");
    }
}

/// So many ranges of one message each, with holes between them.
fn holes(count: usize) -> Vec<Range> {
    (1..=count as u64).map(|n| (2 * n, 2 * n)).collect()
}

#[test]
fn the_limits_hold_and_are_named() {
    let (message, at_limit, over) = ("want", MAX_ENTRIES, MAX_ENTRIES + 1);
    let want = |entries: Vec<Extent>| {
        let want = Want { entries };
        let read = Want::parse(&native(&want.encode()));
        read.map(|read| assert_eq!(read, want))
    };
    assert_eq!(want(vec![extent(vec![]); at_limit]), Ok(()));
    let rule = "entries must be at most 64";
    let fault = ControlFault::Field { message, rule };
    assert_eq!(want(vec![extent(vec![]); over]), Err(fault));

    let half = || extent(holes(MAX_RANGES / 2));
    assert_eq!(want(vec![extent(holes(MAX_RANGES))]), Ok(()));
    assert_eq!(want(vec![half(), half(), extent(vec![])]), Ok(()));
    let rule = "ranges must be at most 1024 in a message";
    let fault = ControlFault::Field { message, rule };
    assert_eq!(want(vec![extent(holes(MAX_RANGES + 1))]), Err(fault));
    assert_eq!(want(vec![half(), half(), extent(vec![(1, 1)])]), Err(fault));

    let ids = |count: usize| {
        let ids = vec![MessageId::from_bytes([7; 32]); count];
        Ids::parse(&native(&Ids { ids }.encode())).map(|read| read.ids.len())
    };
    assert_eq!(ids(MAX_IDS), Ok(MAX_IDS));
    let (message, rule) = ("ids", "ids must be at most 512");
    assert_eq!(ids(MAX_IDS + 1), Err(ControlFault::Field { message, rule }));
}

#[test]
fn the_longest_messages_fit_a_small_frame() {
    let origin = node(&"x".repeat(NodeId::MAX_LEN));
    let ranges: Vec<Range> = (0..16)
        .map(|n| u64::MAX - 2 * n)
        .rev()
        .map(|n| (n, n))
        .collect();
    let entry = HaveEntry {
        origin,
        epoch: u64::MAX,
        upto: 1 << 60,
        low: 1 << 60,
        from: 1 << 60,
        ranges,
    };
    let have = Have {
        entries: vec![entry; MAX_ENTRIES],
        is_complete: true,
    };
    let out = have.encode();
    assert!(
        out.packets.encoded_len() < 40 << 10,
        "{}",
        out.packets.encoded_len()
    );
    assert_eq!(Have::parse(&native(&out)), Ok(have));
}

#[test]
fn a_repair_shares_the_buffer_that_it_came_in() {
    let repair = Repair {
        age: Duration::ZERO,
        packed: vec![7; 100].into(),
    };
    let native = native(&repair.encode());
    let read = Repair::parse(&native).unwrap();
    assert_eq!(read, repair);
    let buffer = native.body.as_bytes().as_ptr_range();
    assert!(buffer.contains(&read.packed.as_ptr()));
}

#[test]
fn an_age_beyond_all_time_is_the_longest() {
    let repair = Repair {
        age: Duration::MAX,
        packed: Bytes::new(),
    };
    let read = Repair::parse(&native(&repair.encode())).unwrap();
    assert_eq!(read.age, Duration::from_millis(u64::MAX));
}

#[test]
fn an_entry_of_too_many_ranges_is_told_as_far_as_it_goes() {
    let batches = batches([extent(holes(MAX_RANGES + 5)), extent(vec![(1, 1)])]);
    let expected = [[extent(holes(MAX_RANGES))], [extent(vec![(1, 1)])]];
    assert_eq!(batches, expected);
}

fn origin() -> impl Strategy<Value = NodeId> {
    "[a-zé]{1,70}".prop_map(|id| node(&id))
}

/// Valid ranges, all above a number.
fn ranges(above: u64) -> impl Strategy<Value = Vec<Range>> {
    vec((1..1_000_u64, 0..1_000_u64), 0..6).prop_map(move |steps| {
        let mut at = above;
        let mut range = |(hole, len): (u64, u64)| {
            let first = at + hole;
            at = first + len;
            (first, at)
        };
        steps.into_iter().map(&mut range).collect()
    })
}

fn entry() -> impl Strategy<Value = HaveEntry> {
    let numbers = (
        origin(),
        1..=u64::MAX,
        0..=u64::MAX / 2,
        any::<(u64, u64)>(),
    );
    numbers.prop_flat_map(|(origin, epoch, upto, (low, from))| {
        ranges(upto).prop_map(move |ranges| HaveEntry {
            origin: origin.clone(),
            epoch,
            upto,
            low,
            from,
            ranges,
        })
    })
}

fn extents() -> impl Strategy<Value = Vec<Extent>> {
    let extent = (origin(), 1..=u64::MAX, ranges(0)).prop_map(|(origin, epoch, ranges)| Extent {
        origin,
        epoch,
        ranges,
    });
    vec(extent, 0..8)
}

fn ids() -> impl Strategy<Value = Vec<MessageId>> {
    vec(any::<[u8; 32]>().prop_map(MessageId::from_bytes), 0..8)
}

fn arrives<T: PartialEq + Debug>(
    sent: &T,
    out: &OutControl,
    parse: impl Fn(&Native) -> Result<T, ControlFault>,
) {
    assert_eq!(parse(&native(out)).as_ref(), Ok(sent));
}

proptest! {
    #[test]
    fn they_arrive_as_they_were_sent(
        (fingerprint, streams) in any::<([u8; 16], u64)>(),
        (others, reach, is_complete) in any::<([u8; 16], u64, bool)>(),
        have in vec(entry(), 0..8),
        (want, gone) in (extents(), extents()),
        (age, packed) in any::<(u64, Vec<u8>)>(),
        (told, wanted) in (ids(), ids()),
    ) {
        let reach = Duration::from_millis(reach);
        let summary = Summary { fingerprint, streams, others, reach };
        arrives(&summary, &summary.encode(), Summary::parse);
        let have = Have { entries: have, is_complete };
        arrives(&have, &have.encode(), Have::parse);
        let want = Want { entries: want };
        arrives(&want, &want.encode(), Want::parse);
        let gone = Gone { entries: gone, ids: wanted.clone() };
        arrives(&gone, &gone.encode(), Gone::parse);
        let repair = Repair { age: Duration::from_millis(age), packed: packed.into() };
        arrives(&repair, &repair.encode(), Repair::parse);
        let streams: Vec<Stream> = want.entries.iter().chain(&gone.entries).take(MAX_ENTRIES).map(|entry| {
            Stream { origin: entry.origin.clone(), epoch: entry.epoch }
        }).collect();
        let prune = Prune { span: Duration::from_millis(age), streams: streams.clone() };
        arrives(&prune, &prune.encode(), Prune::parse);
        let graft = Graft { streams };
        arrives(&graft, &graft.encode(), Graft::parse);
        let ids = Ids { ids: told };
        arrives(&ids, &ids.encode(), Ids::parse);
        let want_ids = WantIds { ids: wanted };
        arrives(&want_ids, &want_ids.encode(), WantIds::parse);
    }

    #[test]
    fn batches_keep_to_the_limits_and_lose_nothing(
        counts in vec(prop_oneof![0..3_usize, 400..=MAX_RANGES], 0..200),
    ) {
        let entries: Vec<Extent> = counts.iter().map(|count| extent(holes(*count))).collect();
        let batches = batches(entries.clone());
        for batch in &batches {
            let want = Want { entries: batch.clone() };
            prop_assert!(Want::parse(&native(&want.encode())).is_ok());
            prop_assert!(!batch.is_empty());
        }
        prop_assert_eq!(batches.concat(), entries);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>, count: u32) {
        for (kind, parse) in KINDS {
            let body = Packets::new(count, bytes.clone().into());
            let _ = parse(&Native { kind, body });
        }
    }

    #[test]
    fn no_change_makes_reading_panic(at in 0..60_usize, byte: u8, cut in 0..60_usize) {
        for ((_, good), (kind, parse)) in examples().into_iter().zip(KINDS) {
            let mut bytes = good[1..].to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len().saturating_sub(cut).max(1));
            let body = Packets::new(2, bytes.into());
            let _ = parse(&Native { kind, body });
        }
    }
}
