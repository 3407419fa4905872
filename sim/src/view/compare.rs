//! Two reports side by side: what got better, what got worse, and whether by too much.

use super::numbers::table;
use super::text;
use crate::report::{Better, Number, Report};

/// By how much a number may get worse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// In percent of the old value.
    pub percent: u32,
    /// Other limits, by name of the number.
    pub by_name: Vec<(String, u32)>,
}

impl Default for Thresholds {
    /// Ten percent for all.
    fn default() -> Self {
        Self {
            percent: 10,
            by_name: Vec::new(),
        }
    }
}

impl Thresholds {
    fn of(&self, name: &str) -> u32 {
        let mut named = self.by_name.iter();
        let named = named.find(|(other, _)| other == name);
        named.map_or(self.percent, |(_, percent)| *percent)
    }
}

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It is what it was.
    Same,
    /// It changed by no more than the threshold, or is of a kind that gets neither better nor worse.
    Within,
    /// It got better by more than the threshold.
    Better,
    /// It got worse by more than the threshold.
    Worse,
    /// It was not there before.
    New,
    /// It is there no more. For a number that can get better or worse that is as bad as worse: nobody watches it any more.
    Gone,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Within => "within",
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::New => "new",
            Self::Gone => "GONE",
        }
    }
}

/// A number then and now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The number then.
    pub old: Option<Number>,
    /// The number now.
    pub new: Option<Number>,
    /// What became of it.
    pub verdict: Verdict,
}

/// Two reports side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// The numbers: those of the new report in its order, then those that are gone.
    pub changes: Vec<Change>,
}

/// Compares a report with an earlier one of the same scenario.
pub fn compare(old: &Report, new: &Report, thresholds: &Thresholds) -> Comparison {
    let is = |a: &Number, b: &Number| a.name == b.name && a.unit == b.unit;
    let mut changes = Vec::new();
    for number in &new.numbers {
        let before = old.numbers.iter().find(|other| is(other, number)).cloned();
        let verdict = before.as_ref().map_or(Verdict::New, |before| {
            judge(before.value, number, thresholds.of(&number.name))
        });
        let new = Some(number.clone());
        let old = before;
        changes.push(Change { old, new, verdict });
    }
    for number in &old.numbers {
        if !new.numbers.iter().any(|other| is(other, number)) {
            changes.push(Change {
                old: Some(number.clone()),
                new: None,
                verdict: Verdict::Gone,
            });
        }
    }
    Comparison { changes }
}

fn judge(old: u64, new: &Number, percent: u32) -> Verdict {
    let difference = u128::from(old.abs_diff(new.value));
    // From nothing, anything is more than any percentage.
    let is_large = difference * 100 > u128::from(old) * u128::from(percent);
    match new.better {
        _ if difference == 0 => Verdict::Same,
        Better::More if is_large && new.value > old => Verdict::Better,
        Better::Less if is_large && new.value < old => Verdict::Better,
        Better::More | Better::Less if is_large => Verdict::Worse,
        Better::More | Better::Less | Better::Neither => Verdict::Within,
    }
}

impl Change {
    fn is_failure(&self) -> bool {
        let is_watched = |number: &Number| number.better != Better::Neither;
        match self.verdict {
            Verdict::Worse => true,
            Verdict::Gone => self.old.as_ref().is_some_and(is_watched),
            Verdict::Same | Verdict::Within | Verdict::Better | Verdict::New => false,
        }
    }

    fn row(&self) -> Vec<String> {
        let name = self.new.as_ref().or(self.old.as_ref());
        let name = name.map(|number| number.name.clone());
        let value = |number: &Option<Number>| {
            let number = number.as_ref();
            number.map_or_else(|| "-".to_owned(), |one| text::human(one.value, one.unit))
        };
        let change = match (&self.old, &self.new) {
            (Some(old), Some(new)) => percent(old.value, new.value),
            _ => String::new(),
        };
        vec![
            name.unwrap_or_default(),
            value(&self.old),
            value(&self.new),
            change,
            self.verdict.word().to_owned(),
        ]
    }
}

fn percent(old: u64, new: u64) -> String {
    let difference = u128::from(old.abs_diff(new));
    let sign = if new < old { '-' } else { '+' };
    if difference == 0 {
        String::new()
    } else if old == 0 {
        "from 0".to_owned()
    } else {
        let tenths = (difference * 1000 + u128::from(old) / 2) / u128::from(old);
        format!("{sign}{}.{} %", tenths / 10, tenths % 10)
    }
}

const HEAD: [&str; 5] = ["number", "before", "now", "change", "verdict"];

impl Comparison {
    /// Returns whether any number got worse by more than its threshold, or is watched no more.
    pub fn is_worse(&self) -> bool {
        self.changes.iter().any(Change::is_failure)
    }

    /// Returns the table as text.
    pub fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self.changes.iter().map(Change::row).collect();
        table(&HEAD, &rows)
    }

    /// Returns the table as Markdown.
    pub fn markdown(&self) -> String {
        let mut markdown = format!("| {} |\n|---|---:|---:|---:|---|\n", HEAD.join(" | "));
        for change in &self.changes {
            let cells = change.row();
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            markdown.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        markdown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;

    fn verdict(old: u64, new: u64, better: Better) -> Verdict {
        let mut number = sample::report(new).numbers.swap_remove(1);
        number.better = better;
        judge(old, &number, 10)
    }

    #[test]
    fn worse_is_what_goes_the_wrong_way_by_more_than_the_threshold() {
        let cases = [
            (100, 100, Better::Less, Verdict::Same),
            (100, 110, Better::Less, Verdict::Within),
            (100, 111, Better::Less, Verdict::Worse),
            (100, 89, Better::Less, Verdict::Better),
            (100, 89, Better::More, Verdict::Worse),
            (100, 90, Better::More, Verdict::Within),
            (100, 111, Better::More, Verdict::Better),
            (100, 900, Better::Neither, Verdict::Within),
            (0, 1, Better::Less, Verdict::Worse),
            (0, 1, Better::More, Verdict::Better),
            (u64::MAX, 1, Better::More, Verdict::Worse),
        ];
        for (old, new, better, expected) in cases {
            assert_eq!(
                verdict(old, new, better),
                expected,
                "{old} {new} {better:?}"
            );
        }
    }

    #[test]
    fn a_comparison_fails_for_what_is_worse_or_gone() {
        let (old, mut new) = (sample::report(1000), sample::report(1200));
        let comparison = compare(&old, &new, &Thresholds::default());
        assert!(comparison.is_worse());
        assert!(
            comparison.text().contains("+20.0 %"),
            "{}",
            comparison.text()
        );
        let lines = comparison.markdown();
        assert!(
            lines.contains("| latency p99 | 1 ms | 1.2 ms | +20.0 % | WORSE |"),
            "{lines}"
        );
        let thresholds = Thresholds {
            by_name: vec![("latency p99".to_owned(), 20)],
            ..Thresholds::default()
        };
        assert!(!compare(&old, &new, &thresholds).is_worse());
        new.numbers.pop();
        assert!(
            !compare(&old, &new, &thresholds).is_worse(),
            "nobody watches it"
        );
        new.numbers.pop();
        assert!(compare(&old, &new, &thresholds).is_worse());
    }
}
