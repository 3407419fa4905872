//! The numbers of a report as a table, and those of many reports as statistics.

use std::collections::BTreeMap;

use super::text;
use crate::report::{Better, Number, Report, Unit};

/// Returns a number with its unit as people read it: `12.3 ms`, `4.5 KiB`, `99.98 %`.
pub fn human(value: u64, unit: Unit) -> String {
    text::human(value, unit)
}

/// Returns the numbers of a report as a table, in their order.
pub fn numbers(report: &Report) -> String {
    let row = |number: &Number| vec![number.name.clone(), human(number.value, number.unit)];
    let rows: Vec<Vec<String>> = report.numbers.iter().map(row).collect();
    table(&["number", "value"], &rows)
}

/// Aligns a table: the first column to the left, the others to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| {
        let cells = all().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut table = String::new();
    for row in all() {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(column, (cell, width))| text::pad(cell, *width, column > 0))
            .collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    table
}

/// What many values of a number have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many values there are.
    pub count: usize,
    /// The least.
    pub min: u64,
    /// The sum divided by the count, rounded to the nearest.
    pub mean: u64,
    /// The least value that half of them do not exceed.
    pub median: u64,
    /// The least value that 90 % of them do not exceed.
    pub p90: u64,
    /// The least value that 99 % of them do not exceed.
    pub p99: u64,
    /// The greatest.
    pub max: u64,
}

impl Stats {
    /// Returns what the values have in common, or `None` if there are none.
    pub fn of(values: &[u64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let count = sorted.len();
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        // The nearest rank: a value that did occur.
        let rank = |percent: usize| sorted[(count * percent).div_ceil(100).max(1) - 1];
        let sum: u128 = sorted.iter().map(|value| u128::from(*value)).sum();
        let mean = (sum + count as u128 / 2) / count as u128;
        Some(Self {
            count,
            min,
            mean: u64::try_from(mean).unwrap_or(u64::MAX),
            median: rank(50),
            p90: rank(90),
            p99: rank(99),
            max,
        })
    }
}

/// A number over many reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// What it counts.
    pub unit: Unit,
    /// Which way it gets better.
    pub better: Better,
    /// Its values. Reports without it do not count.
    pub stats: Stats,
}

/// The numbers of many reports, without the reports: eight bytes for each value.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    places: BTreeMap<(String, Unit), usize>,
    found: Vec<Values>,
}

/// All values of a number.
#[derive(Clone, Debug)]
struct Values {
    /// The number as it is in the first report that has it.
    number: Number,
    /// The order of that report, and the place of the number in it.
    first: (u64, usize),
    values: Vec<u64>,
}

impl Gathered {
    /// Takes in the numbers of a report. What comes of it depends on the `order` of the reports only, and not on the order of
    /// the calls.
    pub fn add(&mut self, order: u64, report: &Report) {
        for (index, number) in report.numbers.iter().enumerate() {
            let first = (order, index);
            let key = (number.name.clone(), number.unit);
            let place = *self.places.entry(key).or_insert_with(|| {
                self.found.push(Values {
                    number: number.clone(),
                    first,
                    values: Vec::new(),
                });
                self.found.len() - 1
            });
            let found = &mut self.found[place];
            if first < found.first {
                (found.first, found.number) = (first, number.clone());
            }
            found.values.push(number.value);
        }
    }

    /// Returns each number over all reports, in the order in which they first occur. Numbers of one name but different units
    /// are different numbers.
    pub fn summaries(&self) -> Vec<Summary> {
        let mut found: Vec<&Values> = self.found.iter().collect();
        found.sort_by_key(|values| values.first);
        let summary = |values: &Values| {
            Some(Summary {
                name: values.number.name.clone(),
                unit: values.number.unit,
                better: values.number.better,
                stats: Stats::of(&values.values)?,
            })
        };
        found.into_iter().filter_map(summary).collect()
    }

    /// Returns the statistics as a table.
    pub fn text(&self) -> String {
        let row = |summary: &Summary| {
            let stats = &summary.stats;
            let values = [
                stats.min,
                stats.median,
                stats.mean,
                stats.p90,
                stats.p99,
                stats.max,
            ];
            let mut row = vec![summary.name.clone(), text::count(stats.count as u64)];
            row.extend(values.iter().map(|value| human(*value, summary.unit)));
            row
        };
        let rows: Vec<Vec<String>> = self.summaries().iter().map(row).collect();
        let head = [
            "number", "reports", "min", "median", "mean", "p90", "p99", "max",
        ];
        table(&head, &rows)
    }

    fn of(reports: &[Report]) -> Self {
        let mut gathered = Self::default();
        for (order, report) in (0..).zip(reports) {
            gathered.add(order, report);
        }
        gathered
    }
}

/// Returns each number over many reports, as [`Gathered::summaries`].
pub fn summarize(reports: &[Report]) -> Vec<Summary> {
    Gathered::of(reports).summaries()
}

/// Returns the statistics of many reports as a table.
pub fn statistics(reports: &[Report]) -> String {
    Gathered::of(reports).text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;

    #[test]
    fn statistics_are_what_their_names_say() {
        let values: Vec<u64> = (1..=200).rev().map(|value| value * value).collect();
        let stats = Stats::of(&values).expect("there are values");
        let mean = (values.iter().sum::<u64>() + 100) / 200;
        let expected = Stats {
            count: 200,
            min: 1,
            mean,
            median: 10_000,
            p90: 180 * 180,
            p99: 198 * 198,
            max: 40_000,
        };
        assert_eq!(stats, expected);
        assert_eq!(mean, 13_434);
        assert_eq!(Stats::of(&[]), None);
        let one = Stats::of(&[7]).expect("one");
        assert_eq!(
            [one.min, one.mean, one.median, one.p90, one.p99, one.max],
            [7; 6]
        );
        let huge = Stats::of(&[u64::MAX, u64::MAX]).expect("two");
        assert_eq!(huge.mean, u64::MAX);
    }

    #[test]
    fn numbers_are_summarized_by_name_over_the_reports_that_have_them() {
        let mut reports = vec![sample::report(1000); 3];
        reports[1].numbers[1].value = 3000;
        reports[2].numbers.remove(0);
        let summaries = summarize(&reports);
        assert_eq!(summaries[0].stats.count, 2);
        let latency = &summaries[1].stats;
        assert_eq!(
            (latency.min, latency.median, latency.max),
            (1000, 1000, 3000)
        );
        assert_eq!(latency.mean, 1667);
    }

    #[test]
    fn numbers_gathered_in_any_order_come_to_the_same() {
        let mut reports = vec![sample::report(1000); 3];
        reports[0].numbers.remove(1);
        reports[2].numbers.swap(0, 1);
        reports[2].numbers[0].value = 7;
        let mut backwards = Gathered::default();
        for order in [2, 0, 1] {
            backwards.add(order, &reports[usize::try_from(order).expect("small")]);
        }
        assert_eq!(backwards.summaries(), summarize(&reports));
        assert_eq!(backwards.text(), statistics(&reports));
    }

    #[test]
    fn tables_are_aligned() {
        let table = numbers(&sample::report(12_345));
        assert_eq!(table.lines().count(), 5, "{table}");
        let width = |line: &str| line.chars().count();
        let widths: Vec<usize> = table.lines().map(width).collect();
        assert!(widths.iter().all(|one| *one == widths[0]), "{table}");
        assert!(table.contains("12.3 ms"), "{table}");
    }
}
