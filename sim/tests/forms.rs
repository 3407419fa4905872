//! The forms of a scenario: a line, JSON, Rust, and words.

#[path = "forms/arbitrary.rs"]
mod arbitrary;
#[path = "forms/as_rust.rs"]
mod as_rust;

use proptest::prelude::*;
use rs2p_sim::{
    Cut, DialManner, Fault, FormError, Load, Manner, PairPick, Pick, Profile, Scenario, Timed, Ways,
};

proptest! {
    #[test]
    fn every_scenario_survives_its_line(scenario in arbitrary::scenario()) {
        let line = scenario.to_line();
        prop_assert_eq!(Scenario::from_line(&line), Ok(scenario.clone()));
        // As it comes out of a mail.
        let wrapped: Vec<String> = line
            .to_uppercase()
            .as_bytes()
            .chunks(70)
            .map(|piece| String::from_utf8_lossy(piece).into_owned())
            .collect();
        prop_assert_eq!(wrapped.join("\r\n  ").parse(), Ok(scenario));
    }

    #[cfg(feature = "json")]
    #[test]
    fn every_scenario_survives_json(scenario in arbitrary::scenario()) {
        let json = scenario.to_json();
        prop_assert_eq!(Scenario::from_json(&json), Ok(scenario.clone()));
        prop_assert_eq!(json.parse(), Ok(scenario));
    }

    #[test]
    fn every_scenario_can_be_told_in_words_and_in_rust(scenario in arbitrary::scenario()) {
        let lines = scenario.describe().lines().count();
        prop_assert!(lines >= 3 + scenario.load.len() + scenario.faults.len());
        let source = scenario.to_rust("a", "");
        let seed = format!("seed: {},", scenario.seed);
        prop_assert!(source.contains(&seed));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".*", digits in "[0-9a-z]{0,60}") {
        let _ = text.parse::<Scenario>();
        let _ = format!("rs2p-sim:1:{digits}:{text}").parse::<Scenario>();
        let _ = format!("{{\"schema\":1,{text}}}").parse::<Scenario>();
    }

    #[test]
    fn a_changed_character_is_noticed(seed: u64, place: prop::sample::Index, to in "[0-9a-z]") {
        let line = Scenario::from_seed(seed).to_line();
        let at = "rs2p-sim:1:".len() + place.index(line.len() - "rs2p-sim:1:".len());
        let old = &line[at..=at];
        // Letters that are read as others change nothing.
        let plain = to.replace('o', "0").replace(['i', 'l'], "1");
        prop_assume!(plain != old);
        let mut changed = line.clone();
        changed.replace_range(at..=at, &to);
        prop_assert!(Scenario::from_line(&changed).is_err(), "{}", changed);
    }
}

#[test]
fn a_line_cut_off_anywhere_is_refused() {
    let line = Scenario::from_seed(5).to_line();
    for len in 0..line.len() {
        let error = Scenario::from_line(&line[..len]).expect_err("too short");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn errors_of_lines_say_what_is_wrong_and_where() {
    let cases = [
        (
            "",
            "a scenario begins with `rs2p-sim:` or `{`, and this with ``",
        ),
        (
            "see issue 5",
            "a scenario begins with `rs2p-sim:` or `{`, and this with `seeissue5`",
        ),
        (
            "rs2p-sim:2:00:0",
            "version 2 of scenarios is not known, only 1",
        ),
        (
            "rs2p-sim:1:00",
            "a scenario in a line has four parts between colons, and this has 3",
        ),
        (
            "rs2p-sim:1:0u:00",
            "character 13 is 'u', which is no digit here",
        ),
        (
            "rs2p-sim:1:0:00",
            "1 digits of these are not a whole number of bytes: some are missing",
        ),
        (
            "rs2p-sim:1:00:0000000",
            "the checksum is 0000000 and should be t81ez38: the line is not whole",
        ),
        (
            "rs2p-sim:1:00:t81ez38",
            "at byte 1, in nodes: the data end here",
        ),
    ];
    for (text, expected) in cases {
        let error = Scenario::from_line(text).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[cfg(feature = "json")]
#[test]
fn json_may_leave_out_what_is_usual_and_nothing_else() {
    let text = r#"{"schema":1,"seed":7,"nodes":3}"#;
    let scenario: Scenario = text.parse().expect("all that has to be there");
    assert_eq!((scenario.seed, scenario.nodes), (7, 3));
    assert!(scenario.faults.is_empty() && scenario.net == rs2p_sim::Net::default());

    let cases = [
        (r#"{"seed":7,"nodes":3}"#, "missing field `schema`"),
        (
            r#"{"schema":9,"seed":7,"nodes":3}"#,
            "version 9 of scenarios",
        ),
        (r#"{"schema":1,"nodes":3}"#, "missing field `seed`"),
        (
            r#"{"schema":1,"seed":7,"nodes":3,"faluts":[]}"#,
            "unknown field `faluts`",
        ),
        (
            r#"{"schema":1,"seed":7,"nodes":3,"net":{"latency_ms":3}}"#,
            "unknown field `latency_ms`",
        ),
        (
            r#"{"schema":1,"seed":7,"nodes":70000}"#,
            "invalid value: integer `70000`",
        ),
        (
            r#"{"schema":1,"seed":7,"nodes":3,"faults":[{"at_ms":1,"lasts_ms":1,"what":"Flood"}]}"#,
            "unknown variant `Flood`",
        ),
        (
            r#"{"schema":1,"seed":7,"nodes":3} x"#,
            "trailing characters",
        ),
        ("{", "at line 1 column 1"),
    ];
    for (text, expected) in cases {
        let error = Scenario::from_json(text).expect_err(text);
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}

#[test]
fn words_name_the_nodes_there_are() {
    let at = |at_ms, lasts_ms, what: Fault| Timed {
        at_ms,
        lasts_ms,
        what,
    };
    let split = Fault::Split {
        cut: Cut::Halves,
        ways: Ways::Both,
        live: Manner::Reset,
        dial: DialManner::Refused,
    };
    assert_eq!(
        at(5000, 30_000, split).describe(8),
        "at 5.000 s for 30 s: the network falls into halves; connections break, dials are refused"
    );
    let who = PairPick(9, 0);
    assert_eq!(
        at(70, 1250, Fault::Stall { who }).describe(8),
        "at 0.070 s for 1.25 s: node 2 does not read what node 1 sends"
    );
    let publish = Timed {
        at_ms: 10_000,
        lasts_ms: 0,
        what: Load::Publish {
            by: Pick(10),
            count: 1,
            len: 12,
            equal: false,
        },
    };
    assert_eq!(
        publish.describe(8),
        "at 10.000 s: node 2 publishes 1 message of 12 bytes"
    );
}

#[test]
fn a_seed_means_the_same_scenario_for_ever() {
    // Whoever changes what is drawn: old seeds then mean other scenarios, and people have them in their notes.
    let golden = include_str!("forms/golden.txt");
    let seeds = [0, 1, 2, 0x5eed, u64::MAX];
    let lines: Vec<_> = seeds.map(|seed| Scenario::from_seed(seed).to_line()).into();
    assert_eq!(golden.lines().collect::<Vec<_>>(), lines);
}

/// The scenario that [`as_rust`] is the source of.
fn example() -> Scenario {
    let profile = Profile {
        max_faults: 40,
        limited_percent: 100,
        mixed_percent: 100,
        ..Profile::default()
    };
    Scenario::from_seed_with(12, &profile)
}

#[test]
fn the_source_of_a_test_is_what_stands_in_the_example() {
    let check = "assert_eq!(scenario, super::example());";
    let source = example().to_rust("a_scenario_as_rust", check);
    let example = include_str!("forms/as_rust.rs");
    let (_, committed) = example
        .split_once("\n\n")
        .expect("a comment, and the source");
    assert_eq!(committed, source);
}

#[test]
fn errors_can_be_told_apart() {
    let error = "rs2p-sim:7:0:0".parse::<Scenario>();
    assert!(matches!(error, Err(FormError::Version { .. })));
}
