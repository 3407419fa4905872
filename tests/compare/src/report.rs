//! What was found, as tables.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rs2p_tests::bench::{Outcome, Work, machine, median};

use crate::alone::Costs;
use crate::plot;
use crate::systems::System;

/// One piece of work, done by all systems.
pub(crate) struct Cell {
    pub(crate) work: Work,
    /// By system, in the order of [`Results::systems`]; by round.
    pub(crate) outcomes: Vec<Vec<Outcome>>,
    /// In how many rounds nothing arrived, by system.
    pub(crate) failed: Vec<u32>,
    /// Why a system was left out.
    pub(crate) skipped: Vec<Option<String>>,
}

impl Cell {
    /// Returns the median of the rounds of a system; `None` if there is none.
    pub(crate) fn median(&self, system: usize, part: impl Fn(&Outcome) -> f64) -> Option<f64> {
        let outcomes = &self.outcomes[system];
        (!outcomes.is_empty()).then(|| median(outcomes.iter().map(part).collect()))
    }

    /// Returns the mean share of what arrived. A round in which nothing did counts.
    fn arrived(&self, system: usize) -> f64 {
        let outcomes = &self.outcomes[system];
        let sum: f64 = outcomes.iter().map(|outcome| outcome.share).sum();
        sum / (outcomes.len() as f64 + f64::from(self.failed[system])).max(1.0)
    }
}

pub(crate) struct Results {
    rounds: usize,
    lasts: Duration,
    pub(crate) systems: Vec<System>,
    pub(crate) throughput: Vec<Cell>,
    pub(crate) latency: Option<Cell>,
    pub(crate) alone: Vec<Costs>,
}

impl Results {
    pub(crate) fn new(rounds: usize, lasts: Duration, systems: &[System]) -> Self {
        Self {
            rounds,
            lasts,
            systems: systems.to_vec(),
            throughput: Vec::new(),
            latency: None,
            alone: Vec::new(),
        }
    }

    /// Writes `RESULTS.md` and `results.svg` beside the crate's `Cargo.toml`, if that is wanted.
    pub(crate) fn write_if(&self, is_wanted: bool) -> Result<(), String> {
        if !is_wanted {
            return Ok(());
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let table = fs::write(folder.join("RESULTS.md"), self.to_string());
        let plot = table.and_then(|()| fs::write(folder.join("results.svg"), plot::svg(self)));
        plot.map_err(|error| format!("{}: {error}", folder.display()))
    }

    fn write_throughput(&self, f: &mut fmt::Formatter<'_>, cell: &Cell) -> fmt::Result {
        let Work { nodes, len, .. } = cell.work;
        writeln!(f, "\n### {nodes} nodes, {len} bytes\n")?;
        writeln!(
            f,
            "| system | deliveries per second | per CPU-second | of iroh-gossip's | arrived | again | out of order | peak MiB |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|")?;
        let iroh = self
            .systems
            .iter()
            .position(|system| *system == System::Iroh);
        let reference = iroh.and_then(|iroh| cell.median(iroh, Outcome::cpu_rate));
        for (number, system) in self.systems.iter().enumerate() {
            let of = |part: &dyn Fn(&Outcome) -> f64| cell.median(number, part);
            let Some(rate) = of(&Outcome::rate) else {
                write_missing(f, cell, number, *system, 7)?;
                continue;
            };
            let cpu_rate = of(&Outcome::cpu_rate).unwrap_or_default();
            let ratio = reference.map_or_else(String::new, |it| format!("{:.2}", cpu_rate / it));
            let is_foreign = matches!(system, System::Foreign(_));
            let order = if is_foreign {
                "not told".to_owned()
            } else {
                percent(of(&|o| o.out_of_order as f64 / o.delivered.max(1) as f64))
            };
            writeln!(
                f,
                "| {system} | {} | {} | {ratio} | {} | {} | {order} | {:.0} |",
                thousands(rate),
                thousands(cpu_rate),
                percent(Some(cell.arrived(number))),
                percent(of(&|o| o.again as f64 / o.delivered.max(1) as f64)),
                of(&|o| o.memory as f64).unwrap_or_default() / f64::from(1 << 20),
            )?;
        }
        Ok(())
    }

    fn write_latency(&self, f: &mut fmt::Formatter<'_>, cell: &Cell) -> fmt::Result {
        writeln!(
            f,
            "\n### Latency: {} nodes, {} bytes, 200 messages a second\n",
            cell.work.nodes, cell.work.len
        )?;
        writeln!(
            f,
            "| system | p50 ms | p99 ms | arrived | CPU s per million deliveries |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|")?;
        for (number, system) in self.systems.iter().enumerate() {
            if *system == System::Bound {
                continue;
            }
            let of = |part: &dyn Fn(&Outcome) -> f64| cell.median(number, part);
            let Some(p50) = of(&|o| o.p50_ms) else {
                write_missing(f, cell, number, *system, 4)?;
                continue;
            };
            writeln!(
                f,
                "| {system} | {p50:.2} | {:.2} | {} | {:.0} |",
                of(&|o| o.p99_ms).unwrap_or_default(),
                percent(Some(cell.arrived(number))),
                of(&|o| 1e6 / o.cpu_rate()).unwrap_or_default(),
            )?;
        }
        Ok(())
    }

    fn write_alone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n### The state machines alone\n")?;
        writeln!(
            f,
            "Nanoseconds of processor time for a message that comes from one of five neighbours, is delivered, and goes on to four. \
             rs2p's state machine takes and gives bytes; iroh-gossip's takes and gives messages, which postcard reads and writes for it.\n"
        )?;
        writeln!(
            f,
            "| bytes | rs2p | iroh-gossip with postcard | iroh-gossip without |"
        )?;
        writeln!(f, "|--:|--:|--:|--:|")?;
        for costs in &self.alone {
            writeln!(
                f,
                "| {} | {:.0} | {:.0} | {:.0} |",
                costs.len, costs.rs2p, costs.iroh_with_codec, costs.iroh_alone
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# rs2p beside others\n")?;
        writeln!(
            f,
            "Written by `cargo run --release --manifest-path tests/compare/Cargo.toml -- --write`; the definitions are in \
             [`src/main.rs`](src/main.rs). {}. Medians of {} rounds of {} s, taken in turns, each in a fresh process; all nodes on \
             the loopback interface of one machine. Where others used it as well, the figures per CPU-second and the ratios mean more than \
             those per second.\n",
            machine::describe(),
            self.rounds,
            self.lasts.as_secs(),
        )?;
        if self.throughput.iter().any(|cell| cell.work.nodes == 10) {
            writeln!(f, "![deliveries per CPU-second](results.svg)")?;
        }
        for cell in &self.throughput {
            self.write_throughput(f, cell)?;
        }
        if let Some(cell) = &self.latency {
            self.write_latency(f, cell)?;
        }
        if !self.alone.is_empty() {
            self.write_alone(f)?;
        }
        writeln!(f, "\n### What each guaranteed while it was measured\n")?;
        writeln!(f, "| system | |\n|---|---|")?;
        for system in &self.systems {
            writeln!(f, "| {system} | {} |", system.guarantees())?;
        }
        writeln!(
            f,
            "\nVersions: iroh-gossip 0.101 on iroh 1.4, libp2p 0.57, py2p 0.7.878, js2p 0.7.870; each with its defaults but \
             for limits of message length and for timeouts of idle connections."
        )
    }
}

fn write_missing(
    f: &mut fmt::Formatter<'_>,
    cell: &Cell,
    number: usize,
    system: System,
    columns: usize,
) -> fmt::Result {
    let why = cell.skipped[number].as_deref().unwrap_or("no result");
    let why = why.lines().next().unwrap_or(why);
    writeln!(f, "| {system} | {why} {}", "| ".repeat(columns))
}

fn percent(share: Option<f64>) -> String {
    let percent = 100.0 * share.unwrap_or_default();
    let text = format!("{percent:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
