//! The command line of `rs2p sim`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use rs2p_sim::{Family, view};

const SIM_HELP: &str = "\
A scenario is all that happens to a network from outside: how many nodes there are, what they
send, and what goes wrong and when. The same scenario gives the same run, on every machine.
Wherever SCENARIO stands it is one of
  - a line that was printed for it: rs2p-sim:1:...
  - a file with such a line or with the JSON of a scenario; - is standard input
  - a number: the scenario that is drawn from this seed

Exit status:
  0    no rule was broken
  1    a number got worse than in the baseline, or something could not be written
  2    wrong command line, or a scenario that cannot be read
  10   safety: something was delivered altered, twice, out of order or under a false name, or a
       node passed its limits (rules S1 to S8)
  11   liveness: a message that was owed did not come, or the network did not heal, or does not
       come to rest, or wastes what it sends (rules L1 to L5, E1)
  12   a node panicked (P0)
  13   two runs of one scenario differed (D1)
  14   a fault did nothing, so that it tested nothing (V1)

Try it:
  rs2p sim run
  rs2p sim run --seeds 1000 --nodes 3..8 --families split,stop
  rs2p sim replay 7
  rs2p sim show 7 --html run.html";

const RUN_HELP: &str = "\
Each scenario is drawn from a seed, with the seeds FROM, FROM+1, and so on, on all cores; one in
16 is run twice, to see that both runs are the same. It ends with the first failure, unless
--keep-going is given. The first failure is made as small as it gets, and explained: what is
wrong, the smallest scenario in which it is, a command that runs it again, and files to look at.

Of many failures, the exit status is that of the first. A kind of fault of which there were 20 or
more and none did anything ends with status 14, too.

Kinds of faults: split, stop, late, pause, clock, slow, delay, stall, drip, flip, reset,
half-open, dial-fails, hostile.

Examples:
  rs2p sim run --time 10m --keep-going
  rs2p sim run --from 0x$(git rev-parse --short=12 HEAD) --seeds 2000 --out report.json
  rs2p sim run --baseline report.json      # the same seeds as in the report, and what changed
  rs2p sim run --scenario failure.json";

const REPLAY_HELP: &str = "\
It is run twice, to see that both runs are the same. With --trace the folder gets a page of HTML
to look at, the run as text (.txt) and as lines of JSON (.jsonl), and the scenario.";

const SHRINK_HELP: &str = "\
Takes away whatever the failure does not need: faults, messages, nodes, time. A step is kept if
the same rule is broken in the same way. Ends after 2,000 runs or 45 s, or when nothing more can
be taken away. Then finds out within 15 s when the failure became unavoidable: the moment after
which it comes about whatever else happens by chance. Prints the small scenario in words, as a line, as JSON, and as a test.";

const SHOW_HELP: &str = "\
Without options: the scenario in words, and what came of its run. --words and --rust do not run
it. --nodes, --from, --until, --kinds and --limit choose what of the timeline is shown. Kinds of
records: life, link, frame, publish, deliver, told, world, violation.

A line of the timeline has the time in seconds of the world, the node, which life of it that is,
a symbol of the kind, the node at the other end, and words.

A file may be - for standard output.

Examples:
  rs2p sim show 7 --from 10s --until 12s --nodes 1,2
  rs2p sim show 7 --spread 3               # how the fourth message got everywhere
  rs2p sim show failure.json --html failure.html
  rs2p sim show 7 --chrome run.json        # open it at ui.perfetto.dev";

const BENCH_HELP: &str = "\
For each size: a network forms, rests for a minute, and carries 100 broadcasts, all in virtual
time. An event is a chunk of bytes handled, or a deadline. The bare queue is as many events put
in a queue and taken out again with nothing behind them: what the machine could do at best, so
that the factor between the two can be compared between machines. Only a release build says
anything. Memory is known on Linux only.";

/// Networks to try, and how.
#[derive(Debug, ClapArgs)]
#[command(after_help = SIM_HELP)]
pub(crate) struct Sim {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run many scenarios, and explain the first that fails
    Run(Run),
    /// Run one scenario, and judge it
    Replay(Replay),
    /// Make a scenario that fails as small as it gets
    Shrink(Shrink),
    /// Show what a scenario is, and what happens in it
    Show(Show),
    /// Measure how fast simulations are
    #[command(after_help = BENCH_HELP)]
    Bench(Bench),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = RUN_HELP)]
pub(crate) struct Run {
    /// How many scenarios to run [default: 100; without limit if there is a --time]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: Option<u64>,

    /// The first seed, decimal or 0x and hexadecimal [default: that of the baseline, or drawn from the time]
    #[arg(long, value_name = "SEED", value_parser = seed)]
    pub(crate) from: Option<u64>,

    /// How many nodes there may be
    #[arg(long, value_name = "MIN..MAX", default_value = "3..32", value_parser = range)]
    pub(crate) nodes: (u16, u16),

    /// Only these kinds of faults, with commas between them, or none; see below for all
    #[arg(long, value_name = "KINDS", value_parser = families)]
    pub(crate) families: Option<Families>,

    /// What the nodes are: mesh is rs2p only, mixed has py2p and js2p among them in every scenario, any in some
    #[arg(long, value_name = "KINDS", default_value = "any")]
    pub(crate) kinds: Kinds,

    /// Run this one scenario instead of those that are drawn
    #[arg(long, conflicts_with_all = ["seeds", "from", "nodes", "families", "kinds", "time"])]
    pub(crate) scenario: Option<String>,

    /// Begin no more scenarios after so long: 60s, 10m, 1h
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    pub(crate) time: Option<Duration>,

    /// Go on after a failure
    #[arg(long)]
    pub(crate) keep_going: bool,

    /// Do not make the first failure smaller
    #[arg(long)]
    pub(crate) no_shrink: bool,

    /// A fault that does nothing is a failure
    #[arg(long)]
    pub(crate) demand_effects: bool,

    /// Write the report as JSON to standard output, and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    /// Compare with an earlier report, and fail if a number got worse by more than 10 %
    #[arg(long, value_name = "OLD.json")]
    pub(crate) baseline: Option<PathBuf>,

    /// Write the report as JSON to this file
    #[arg(long, value_name = "REPORT.json")]
    pub(crate) out: Option<PathBuf>,

    /// Where the files of the first failure go [default: $RS2P_SIM_TRACE, or target/rs2p-sim, or a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) trace: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) bug: Bug,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct Replay {
    /// What to run: a line, a file, or a seed
    pub(crate) scenario: String,

    /// Write files to look at into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) trace: Option<PathBuf>,

    /// A fault that does nothing is a failure
    #[arg(long)]
    pub(crate) demand_effects: bool,

    /// Write the report as JSON to standard output, and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) bug: Bug,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = SHRINK_HELP)]
pub(crate) struct Shrink {
    /// What to make smaller: a line, a file, or a seed
    pub(crate) scenario: String,

    /// Write files to look at into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) trace: Option<PathBuf>,

    /// A fault that does nothing is a failure
    #[arg(long)]
    pub(crate) demand_effects: bool,

    #[command(flatten)]
    pub(crate) bug: Bug,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = SHOW_HELP)]
pub(crate) struct Show {
    /// What to show: a line, a file, or a seed
    pub(crate) scenario: String,

    /// The scenario in words
    #[arg(long)]
    pub(crate) words: bool,

    /// The scenario as a test in Rust, with this name
    #[arg(long, value_name = "NAME", value_parser = identifier)]
    pub(crate) rust: Option<String>,

    /// What happened, one line each
    #[arg(long)]
    pub(crate) timeline: bool,

    /// In the timeline, only these nodes and what they exchange with others
    #[arg(long, value_name = "NODES", value_delimiter = ',')]
    pub(crate) nodes: Vec<u32>,

    /// In the timeline, nothing before this moment of the world's time: 10s, 12.5s
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub(crate) from: Option<Duration>,

    /// In the timeline, nothing after this moment
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub(crate) until: Option<Duration>,

    /// In the timeline, only these kinds of records
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = record_kind)]
    pub(crate) kinds: Vec<view::Family>,

    /// In the timeline, so many lines at most
    #[arg(long, value_name = "LINES")]
    pub(crate) limit: Option<usize>,

    /// How this message got from node to node; messages are counted from 0
    #[arg(long, value_name = "MESSAGE")]
    pub(crate) spread: Option<u32>,

    /// A page to look at in a browser: the failure and what led to it, or the run
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// The spread of the message as a graph, for Graphviz
    #[arg(long, value_name = "FILE", requires = "spread")]
    pub(crate) dot: Option<PathBuf>,

    /// The failure, or the run, as a sequence diagram for a document
    #[arg(long)]
    pub(crate) mermaid: bool,

    /// The run for the trace viewers of Chrome and Perfetto
    #[arg(long, value_name = "FILE")]
    pub(crate) chrome: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) bug: Bug,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Bench {
    /// The sizes of the networks, with commas between them
    #[arg(
        long,
        value_name = "NODES",
        value_delimiter = ',',
        default_value = "64,1000,10000",
        value_parser = clap::value_parser!(u32).range(2..=1_000_000),
    )]
    pub(crate) nodes: Vec<u32>,

    /// How many broadcasts
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) messages: u32,
}

/// A bug to plant into every node, where the command is built with the feature `sabotage`.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct Bug {
    /// Plant this bug into every node of rs2p, to see whether it is found
    #[cfg(feature = "sabotage")]
    #[arg(long, value_name = "NAME", value_parser = bug)]
    pub(crate) bug: Option<rs2p_sim::Sabotage>,
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Families(pub(crate) Vec<Family>);

/// What nodes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kinds {
    /// All are rs2p.
    Mesh,
    /// There are several kinds in each scenario.
    Mixed,
    /// Most scenarios are of rs2p only.
    Any,
}

fn seed(text: &str) -> Result<u64, String> {
    let hex = text.strip_prefix("0x");
    let seed = hex.map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
    seed.map_err(|_no_number| "a seed is a number of at most 64 bits, decimal or 0x...".to_owned())
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|number| *number > 0);
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let range = number(min).zip(number(max.trim_start_matches('=')));
    let range = range.ok_or("write MIN..MAX, two numbers from 1 to 65535, both included")?;
    if range.0 > range.1 {
        return Err(format!("{} is more than {}", range.0, range.1));
    }
    Ok(range)
}

/// Reads a length of time: a number and its unit; without one it is seconds.
fn length(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("the unit {unit:?} is none of ms, s, m, h")),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_no_number| "write a number and its unit: 500ms, 12.5s, 10m, 1h".to_owned())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

fn families(text: &str) -> Result<Families, String> {
    if text == "none" {
        return Ok(Families(Vec::new()));
    }
    let families = text.split(',').map(|name| {
        let name = name.trim();
        let found = Family::ALL.into_iter().find(|family| family.name() == name);
        found.ok_or_else(|| unknown("kind of fault", name, Family::ALL.map(Family::name)))
    });
    Ok(Families(families.collect::<Result<_, _>>()?))
}

fn record_kind(name: &str) -> Result<view::Family, String> {
    let all = view::Family::ALL;
    let found = all.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| unknown("kind of record", name, all.map(view::Family::name)))
}

#[cfg(feature = "sabotage")]
fn bug(name: &str) -> Result<rs2p_sim::Sabotage, String> {
    let all = rs2p_sim::Sabotage::ALL.iter().map(|bug| bug.name());
    rs2p_sim::Sabotage::from_name(name).ok_or_else(|| unknown("bug", name, all))
}

fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    format!(
        "no {what} is called {name:?}; there are {}",
        known.join(", ")
    )
}

fn identifier(name: &str) -> Result<String, String> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.chars().all(is_inner) && name.starts_with(|c: char| !c.is_ascii_digit()) {
        return Ok(name.to_owned());
    }
    Err("a test needs the name of a function: letters, digits and _, and no digit first".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_all_kinds() {
        for family in Family::ALL {
            assert!(RUN_HELP.contains(family.name()), "{}", family.name());
        }
        for kind in view::Family::ALL {
            assert!(SHOW_HELP.contains(kind.name()), "{}", kind.name());
        }
    }

    #[test]
    fn lengths_of_time_have_units() {
        let table = [
            ("90", Some(90_000)),
            ("12.5s", Some(12_500)),
            ("250ms", Some(250)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("-1s", None),
            ("s", None),
            ("1d", None),
            ("1e99h", None),
        ];
        for (text, millis) in table {
            let found = length(text).ok();
            assert_eq!(found, millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn seeds_and_ranges_are_numbers() {
        assert_eq!(seed("17"), Ok(17));
        assert_eq!(seed("0xff"), Ok(255));
        assert!(seed("0x1ffffffffffffffff").is_err());
        assert_eq!(range("3..8"), Ok((3, 8)));
        assert_eq!(range("5"), Ok((5, 5)));
        for wrong in ["", "..", "0..3", "3..70000", "8..3"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
