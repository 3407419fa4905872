//! The run as lines of text in fixed columns: for a terminal, and for `diff`.

use std::fmt::Write as _;

use super::text;
use super::words::{Family, peer, symbol, words};
use crate::time::Time;
use crate::trace::{Record, Trace};

/// Which records a timeline shows. By default all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Records of these nodes, or with one of them at the other end; none means of all. What is of the world itself, such as
    /// faults, is always of interest.
    pub nodes: Vec<u32>,
    /// Not before.
    pub from: Time,
    /// Not after.
    pub until: Time,
    /// Records of these kinds; none means all.
    pub kinds: Vec<Family>,
    /// How many at most.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            from: Time::ZERO,
            until: Time::MAX,
            kinds: Vec::new(),
            limit: usize::MAX,
        }
    }
}

impl Filter {
    /// Returns whether it lets a record through, apart from the limit.
    pub fn shows(&self, record: &Record) -> bool {
        let is_of = |node: Option<u32>| node.is_some_and(|node| self.nodes.contains(&node));
        let is_of_nodes = self.nodes.is_empty()
            || record.node.is_none()
            || is_of(record.node)
            || is_of(peer(&record.what));
        is_of_nodes
            && (self.from..=self.until).contains(&record.at)
            && (self.kinds.is_empty() || self.kinds.contains(&Family::of(&record.what)))
    }
}

/// Returns the run as text: for each record its time in seconds, its node, which life of it, the symbol of its kind, the
/// node at the other end, and words. What the limit leaves out is counted in the last line.
pub fn timeline(trace: &Trace, filter: &Filter) -> String {
    let mut text = String::new();
    let mut shown = trace.records.iter().filter(|record| filter.shows(record));
    for record in shown.by_ref().take(filter.limit) {
        line(&mut text, record);
    }
    match shown.count() {
        0 => {}
        left => {
            // Writing to a string does not fail.
            let _ = writeln!(text, "… {left} more");
        }
    }
    text
}

fn line(text: &mut String, record: &Record) {
    let node = record.node.map(text::node).unwrap_or_default();
    let life = record.node.map(|_| record.life.to_string());
    let peer = peer(&record.what).map(text::node).unwrap_or_default();
    let time = record.at.to_string();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{time:>12} {node:<6} {life:>2} {} {peer:<6} {}",
        symbol(&record.what),
        words(record),
        life = life.unwrap_or_default(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;

    #[test]
    fn columns_are_where_they_belong() {
        let (trace, _) = sample::split();
        let text = timeline(&trace, &Filter::default());
        assert_eq!(text.lines().count(), trace.records.len());
        let published = text
            .lines()
            .find(|line| line.contains("published message 1"));
        assert_eq!(
            published,
            Some("    6.000000 n1      1 P        published message 1, its number 2, 24 bytes")
        );
        for line in text.lines() {
            let columns: Vec<char> = line.chars().collect();
            for blank in [12, 19, 22, 24, 31] {
                assert_eq!(columns[blank], ' ', "{line}");
            }
        }
    }

    #[test]
    fn a_filter_lets_through_what_it_says() {
        let (trace, _) = sample::split();
        let filter = Filter {
            nodes: vec![5],
            from: Time::from_millis(5000),
            until: Time::from_millis(9000),
            kinds: vec![Family::Frame, Family::World],
            ..Filter::default()
        };
        let text = timeline(&trace, &filter);
        assert!(text.lines().count() > 2);
        assert!(text.contains("fault 0 began"));
        for line in text.lines() {
            assert!(
                line.contains("fault") || line.contains("phase") || line.contains("n5"),
                "{line}"
            );
            let seconds: f64 = line[..12].trim().parse().expect("a time");
            assert!((5.0..=9.0).contains(&seconds), "{line}");
        }
    }

    #[test]
    fn a_limit_counts_what_it_leaves_out() {
        let (trace, _) = sample::split();
        let filter = Filter {
            limit: 3,
            ..Filter::default()
        };
        let text = timeline(&trace, &filter);
        let last = format!("… {} more", trace.records.len() - 3);
        assert_eq!(text.lines().last(), Some(last.as_str()));
        assert_eq!(text.lines().count(), 4);
    }
}
