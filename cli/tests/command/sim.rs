//! Simulations: what is run, what is shown of it, and the status that scripts go by.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process;

use serde_json::Value;

use crate::process::{Ended, Process};

/// Two nodes, one message, and a fault that can do nothing, since nobody dials any more.
const INERT: &str = r#"{"schema": 1, "seed": 5, "nodes": 2,
    "load": [{"at_ms": 100, "lasts_ms": 0,
              "what": {"Publish": {"by": 0, "count": 1, "len": 64, "equal": false}}}],
    "faults": [{"at_ms": 2000, "lasts_ms": 1,
                "what": {"DialFails": {"who": [0, 0], "how": "Refused"}}}]}"#;

fn sim(args: &[&str]) -> Ended {
    Process::run(&[&["sim"], args].concat())
}

/// A folder of one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("rs2p-sim-{name}-{}", process::id()));
        fs::create_dir_all(&path).expect("it can be made");
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a few scenarios of a few nodes.
fn few(args: &[&str]) -> Ended {
    let few = ["run", "--from", "20", "--seeds", "2", "--nodes", "3..4"];
    sim(&[&few, args].concat())
}

#[test]
fn a_sweep_tells_its_seed_its_numbers_and_what_the_faults_did() {
    let ended = few(&["--families", "split,stop", "--kinds", "mesh"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "", "no progress where nobody watches");
    for part in [
        "base seed 20: 2 scenarios of 3 to 4 nodes, with these kinds of faults: split, stop\n",
        "\n2 runs in ",
        "latency p99",
        "did something",
        "no rule was broken\n",
    ] {
        assert!(
            ended.stdout.contains(part),
            "{part:?} is missing in {}",
            ended.stdout
        );
    }
}

#[test]
fn a_report_is_the_same_again_and_a_baseline_for_the_next() {
    let folder = Folder::new("baseline");
    let out = folder.file("report.json");
    let options = ["--families", "none", "--kinds", "mesh"];
    let first = few(&[&options[..], &["--json", "--out", &out]].concat());
    assert_eq!(first.status, Some(0), "{first:?}");
    let written = fs::read_to_string(&out).expect("it was written");
    assert_eq!(first.stdout, written);
    let mut report: Value = serde_json::from_str(&written).expect("it is JSON");
    assert_eq!(report["runs"], 2);
    assert_eq!(report["asked"]["from"], 20);

    let again = ["run", "--nodes", "3..4", "--baseline", &out];
    let again = |more: &[&str]| sim(&[&again, more].concat());
    let same = again(&options);
    assert_eq!(same.status, Some(0), "{same:?}");
    assert!(
        same.stdout.starts_with("base seed 20: 2 scenarios"),
        "{same:?}"
    );
    assert!(
        same.stdout.contains("compared with the baseline, 0 of "),
        "{same:?}"
    );

    let other = again(&["--kinds", "mesh"]);
    assert_eq!(other.status, Some(2));
    assert!(
        other.stderr.contains("the baseline is of other scenarios"),
        "{other:?}"
    );

    for number in report["numbers"].as_array_mut().expect("a list") {
        if number["name"] == "latency p99, mean" {
            number["value"] = Value::from(1);
        }
    }
    fs::write(&out, report.to_string()).expect("it can be written");
    let worse = again(&options);
    assert_eq!(worse.status, Some(1), "{worse:?}");
    assert!(worse.stdout.contains("WORSE"), "{worse:?}");
    assert_eq!(
        worse.stderr,
        "rs2p: a number got worse than in the baseline\n"
    );
}

#[test]
fn a_scenario_is_replayed_from_a_seed_a_line_and_a_file() {
    let folder = Folder::new("replay");
    let file = folder.file("inert.json");
    fs::write(&file, INERT).expect("it can be written");
    let from_file = sim(&["replay", &file, "--json", "--trace", &folder.path()]);
    assert_eq!(from_file.status, Some(0), "{from_file:?}");
    let report: Value = serde_json::from_str(&from_file.stdout).expect("it is JSON");
    let line = report["line"].as_str().expect("it has a line");
    let endings = [".html", ".txt", ".jsonl", ".json", ".line"];
    let files = report["files"].as_array().expect("a list");
    assert_eq!(files.len(), endings.len());
    for (file, ending) in files.iter().zip(endings) {
        let file = file.as_str().expect("a path");
        assert!(file.ends_with(ending), "{file}");
        assert!(
            fs::metadata(file).is_ok_and(|file| file.len() > 0),
            "{file}"
        );
    }

    let from_line = sim(&["replay", line, "--json"]);
    let again: Value = serde_json::from_str(&from_line.stdout).expect("it is JSON");
    assert_eq!(again["hash"], report["hash"]);

    let words = sim(&["replay", line]);
    assert!(words.stdout.contains("no rule was broken\n"), "{words:?}");
    let inert = "this fault did nothing: at 2.000 s for 0.001 s: dials from node 0 to node 1";
    assert!(words.stdout.contains(inert), "{words:?}");
}

#[test]
fn a_failure_is_explained_and_has_a_status_of_its_own() {
    let folder = Folder::new("inert");
    let file = folder.file("inert.json");
    fs::write(&file, INERT).expect("it can be written");
    let args = ["--demand-effects", "--trace", &folder.path()];
    let run = sim(&[&["run", "--scenario", &file], &args[..]].concat());
    let shrunk = sim(&[&["shrink", &file], &args[..]].concat());
    for ended in [&run, &shrunk] {
        assert_eq!(ended.status, Some(14), "{ended:?}");
        for part in [
            "V1 (every fault did something)",
            "it was unavoidable from the start: whatever happens by chance, 100 % of all runs fail",
            "run it again:\n    rs2p sim replay rs2p-sim:1:",
            "scenario.html",
        ] {
            assert!(
                ended.stdout.contains(part),
                "{part:?} is missing in {}",
                ended.stdout
            );
        }
        assert!(ended.stderr.starts_with("rs2p: "), "{ended:?}");
    }
    let line = shrunk
        .stdout
        .lines()
        .find(|line| line.starts_with("rs2p-sim:1:"));
    let small = sim(&["show", line.expect("it prints a line"), "--words"]);
    assert!(!small.stdout.contains("node 0 publishes"), "{small:?}");
    assert!(small.stdout.contains("are refused"), "{small:?}");
    for part in [
        "\"schema\": 1",
        "fn found_by_shrinking()",
        "Options::default().demanding_effects()",
        "run(&Rs2p::default(), &scenario, options)",
    ] {
        assert!(
            shrunk.stdout.contains(part),
            "{part:?} is missing in {}",
            shrunk.stdout
        );
    }

    let healthy = sim(&["shrink", &file]);
    assert_eq!(healthy.status, Some(1));
    assert!(
        healthy.stderr.contains("nothing to make smaller"),
        "{healthy:?}"
    );
}

#[test]
fn what_happens_in_a_scenario_is_shown_as_it_is_asked_for() {
    let folder = Folder::new("show");
    let (html, dot, chrome) = (
        folder.file("a.html"),
        folder.file("a.dot"),
        folder.file("a.json"),
    );
    let scenario = folder.file("inert.json");
    fs::write(&scenario, INERT).expect("it can be written");
    let show = |args: &[&str]| {
        let ended = sim(&[&["show", &scenario], args].concat());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        ended.stdout
    };
    assert!(show(&[]).contains("no rule was broken"));
    assert!(show(&["--words"]).starts_with("seed 5, 2 nodes; all know the first\n"));
    assert!(show(&["--rust", "it_works"]).starts_with("#[test]\nfn it_works() {\n"));
    let published = show(&["--kinds", "publish", "--nodes", "0", "--limit", "1"]);
    assert!(
        published.contains(" n0      1 P        published message 0"),
        "{published}"
    );
    assert!(show(&["--from", "0s", "--until", "0s"]).contains("phase: form"));
    let spread = show(&[
        "--spread", "0", "--dot", &dot, "--html", &html, "--chrome", &chrome,
    ]);
    assert!(
        spread.starts_with("message 0 of n0: delivered to 1 others"),
        "{spread}"
    );
    assert!(show(&["--mermaid"]).starts_with("sequenceDiagram\n"));
    let starts = [
        (html, "<!DOCTYPE html>"),
        (dot, "digraph"),
        (chrome, "{\"traceEvents\""),
    ];
    for (file, start) in starts {
        let text = fs::read_to_string(&file).expect("it was written");
        assert!(text.starts_with(start), "{file}: {text}");
    }
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    let table: [(&[&str], &str); 11] = [
        (
            &["replay", "rs2p-sim:1:00:000"],
            "digits of these are not a whole number of bytes",
        ),
        (&["replay", "rs2p-sim:1"], "four parts"),
        (&["replay", "no-such-file"], "no file that can be read"),
        (
            &["replay", "{\"schema\": 7}"],
            "version 7 of scenarios is not known, only 1",
        ),
        (
            &["run", "--families", "split,fire"],
            "no kind of fault is called \"fire\"; there are split, stop, late",
        ),
        (&["run", "--nodes", "8..3"], "8 is more than 3"),
        (
            &["run", "--time", "3 weeks"],
            "the unit \"weeks\" is none of ms, s, m, h",
        ),
        (&["run", "--from", "fire"], "a seed is a number"),
        (
            &["run", "--scenario", "7", "--seeds", "3"],
            "cannot be used with",
        ),
        (
            &["show", "7", "--kinds", "fire"],
            "no kind of record is called \"fire\"; there are life, link",
        ),
        (&["show", "7", "--rust", "7x"], "name of a function"),
    ];
    for (args, expected) in table {
        let ended = sim(args);
        assert_eq!(ended.status, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_benchmark_has_a_row_for_each_size() {
    let ended = sim(&["bench", "--nodes", "4,8", "--messages", "3"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let rows = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let sizes: Vec<&str> = rows.filter(|first| first.parse::<u32>().is_ok()).collect();
    assert_eq!(sizes, ["4", "8"], "{ended:?}");
}

/// Which bit flips decides whether anything comes of it: before that it can be avoided, and after it not.
#[cfg(feature = "sabotage")]
#[test]
fn a_failure_that_chance_decides_is_dated() {
    let folder = Folder::new("dated");
    let report = folder.file("report.json");
    let bug = "ChecksumIgnored";
    let drawn = ["--from", "0", "--seeds", "200", "--nodes", "3..4"];
    let kinds = ["--kinds", "mesh", "--families", "flip", "--bug", bug];
    let files = ["--trace", &folder.path(), "--out", &report];
    let ended = sim(&[&["run"], &drawn[..], &kinds[..], &files[..]].concat());
    assert!(
        ended.stdout.contains("\nit became unavoidable between "),
        "{ended:?}"
    );
    let written = fs::read_to_string(&report).expect("it was written");
    let report: Value = serde_json::from_str(&written).expect("it is JSON");
    let first = &report["first"];
    let moments = first["unavoidable_us"].as_array().expect("a list");
    let moments: Vec<u64> = moments.iter().filter_map(Value::as_u64).collect();
    let [after, by] = moments[..] else {
        panic!("two numbers: {moments:?}");
    };
    assert!(after < by, "{moments:?}");

    let line = first["line"].as_str().expect("it has a line");
    let test = sim(&["show", line, "--bug", bug, "--rust", "it_is_found"]);
    let run = "run(&Rs2p::sabotaged(Sabotage::ChecksumIgnored), &scenario, options)";
    assert!(test.stdout.contains(run), "{test:?}");
}

#[cfg(feature = "sabotage")]
#[test]
fn planted_bugs_are_found_with_the_status_of_their_rules() {
    let folder = Folder::new("bugs");
    for (bug, status, rule) in [
        ("BeaconsWithoutPause", 11, "rule L4"),
        ("RelayAltersByte", 10, "rule S1"),
    ] {
        let ended = few(&[
            "--bug",
            bug,
            "--kinds",
            "mesh",
            "--no-shrink",
            "--trace",
            &folder.path(),
        ]);
        assert_eq!(ended.status, Some(status), "{bug}: {ended:?}");
        assert!(ended.stderr.contains(rule), "{bug}: {ended:?}");
        let command = format!("rs2p sim replay --bug {bug} ");
        assert!(ended.stdout.contains(&command), "{bug}: {ended:?}");
    }
    let ended = sim(&["replay", "1", "--bug", "NoFire"]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended
            .stderr
            .contains("no bug is called \"NoFire\"; there are"),
        "{ended:?}"
    );
}
