//! Who was to get which message, and who got it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::paint::{Paint, Style};

/// The account of all messages.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    rounds: Vec<Round>,
    /// What happened to the network, and how long that took.
    pub(super) times: Vec<(String, Duration)>,
    /// What did not happen in time.
    pub(super) troubles: Vec<String>,
}

#[derive(Debug)]
struct Round {
    name: String,
    /// The messages of the round by their text, with who is to get each.
    due: BTreeMap<String, BTreeSet<String>>,
    /// How often each message was delivered to whom.
    done: BTreeMap<(String, String), u32>,
}

/// What there is to say about one round.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    due: usize,
    done: usize,
    duplicates: u32,
}

impl Ledger {
    pub(super) fn begin_round(&mut self, name: &str) {
        self.rounds.push(Round {
            name: name.to_owned(),
            due: BTreeMap::new(),
            done: BTreeMap::new(),
        });
    }

    /// Notes that a message is sent in the present round.
    pub(super) fn sent(&mut self, text: &str, receivers: impl IntoIterator<Item = String>) {
        if let Some(round) = self.rounds.last_mut() {
            let receivers = receivers.into_iter().collect();
            round.due.insert(text.to_owned(), receivers);
        }
    }

    /// Notes that a message was delivered, in whichever round.
    pub(super) fn delivered(&mut self, text: &str, receiver: &str) {
        let round = self
            .rounds
            .iter_mut()
            .find(|round| round.due.contains_key(text));
        match round {
            Some(round) => {
                let key = (text.to_owned(), receiver.to_owned());
                *round.done.entry(key).or_default() += 1;
            }
            None => self
                .troubles
                .push(format!("{receiver} got {text:?}, which nobody sent")),
        }
    }

    /// Returns whether everyone got everything.
    pub(super) fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

    /// Returns who did not get what, as lines.
    pub(super) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for round in &self.rounds {
            for (text, receivers) in &round.due {
                for receiver in receivers {
                    if !round.done.contains_key(&(text.clone(), receiver.clone())) {
                        missing.push(format!("{receiver} did not get {text:?}"));
                    }
                }
            }
        }
        missing
    }

    /// Returns what spoils the result: nothing, if every message arrived everywhere exactly once.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = self.troubles.clone();
        faults.extend(self.missing());
        for round in &self.rounds {
            for ((text, receiver), count) in &round.done {
                if *count > 1 {
                    faults.push(format!("{receiver} got {text:?} {count} times"));
                }
            }
        }
        faults
    }

    /// Lays the account out as a table.
    pub(super) fn table(&self, paint: Paint) -> String {
        let names = self.rounds.iter().map(|round| round.name.as_str());
        let labels = names.chain(self.times.iter().map(|(what, _)| what.as_str()));
        let width = labels.map(|label| label.chars().count()).max();
        let width = width.unwrap_or_default().max("deliveries".len()) + 2;
        let mut table = String::new();
        let head = format!("{:width$}  due  done  duplicates", "deliveries");
        // Writing to a string does not fail.
        let _ = writeln!(table, "{}", paint.with(Style::Bold, head));
        let mut total = Sum::default();
        for round in &self.rounds {
            let sum = round.sum();
            let _ = writeln!(table, "{:width$}{}", round.name, sum.cells());
            total.due += sum.due;
            total.done += sum.done;
            total.duplicates += sum.duplicates;
        }
        let _ = writeln!(table, "{:width$}{}", "total", total.cells());
        if !self.times.is_empty() {
            let head = format!("\n{:width$}  time", "network");
            let _ = writeln!(table, "{}", paint.with(Style::Bold, head));
        }
        for (what, time) in &self.times {
            let millis = time.as_secs_f64() * 1e3;
            let _ = writeln!(table, "{what:width$}{millis:7.1} ms");
        }
        table
    }
}

impl Round {
    fn sum(&self) -> Sum {
        let is_due = |(text, receiver): &&(String, String)| {
            self.due
                .get(text)
                .is_some_and(|receivers| receivers.contains(receiver))
        };
        Sum {
            due: self.due.values().map(BTreeSet::len).sum(),
            done: self.done.keys().filter(is_due).count(),
            duplicates: self.done.values().map(|count| count - 1).sum(),
        }
    }
}

impl Sum {
    fn cells(&self) -> String {
        let Self {
            due,
            done,
            duplicates,
        } = self;
        format!("{due:5}{done:6}{duplicates:12}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.begin_round("first");
        ledger.sent("hello", ["bob".to_owned(), "cleo".to_owned()]);
        ledger
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut ledger = ledger();
        ledger.delivered("hello", "cleo");
        assert!(!ledger.is_complete());
        assert_eq!(ledger.faults(), ["bob did not get \"hello\""]);
        ledger.delivered("hello", "bob");
        assert!(ledger.is_complete());
        assert!(ledger.faults().is_empty());
    }

    #[test]
    fn a_second_copy_is_a_fault_also_in_a_later_round() {
        let mut ledger = ledger();
        ledger.delivered("hello", "bob");
        ledger.delivered("hello", "cleo");
        ledger.begin_round("second");
        ledger.delivered("hello", "bob");
        assert!(ledger.is_complete());
        assert_eq!(ledger.faults(), ["bob got \"hello\" 2 times"]);
        let sum = Sum {
            due: 2,
            done: 2,
            duplicates: 1,
        };
        assert_eq!(ledger.rounds[0].sum(), sum);
    }

    #[test]
    fn a_message_that_was_not_due_is_no_fault_but_one_that_nobody_sent_is() {
        let mut ledger = ledger();
        for receiver in ["bob", "cleo", "fay"] {
            ledger.delivered("hello", receiver);
        }
        assert!(ledger.faults().is_empty());
        assert_eq!(ledger.rounds[0].sum().done, 2);
        ledger.delivered("boo", "bob");
        assert_eq!(ledger.faults(), ["bob got \"boo\", which nobody sent"]);
    }

    #[test]
    fn the_table_lines_up() {
        let mut ledger = ledger();
        ledger.delivered("hello", "bob");
        let time = Duration::from_millis(12);
        ledger.times.push(("whole again".to_owned(), time));
        let expected = "\
deliveries     due  done  duplicates
first            2     1           0
total            2     1           0

network        time
whole again     12.0 ms
";
        assert_eq!(ledger.table(Paint::PLAIN), expected);
    }
}
