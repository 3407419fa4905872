//! How one message spread: who had it from whom, after how many hops, how late, and what came twice.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::story::{Carried, find};
use super::text;
use crate::time::Time;
use crate::trace::{Trace, What};

/// A message that came to a node's application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrival {
    /// The node.
    pub node: u32,
    /// The node that it came from, if that is known.
    pub from: Option<u32>,
    /// How many links it came over, if that is known.
    pub hop: Option<u32>,
    /// When.
    pub at: Time,
}

/// A message that came to a node for nothing: it had it already.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copy {
    /// The node that sent it.
    pub from: u32,
    /// The node that had it.
    pub to: u32,
    /// When.
    pub at: Time,
}

/// How one message spread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spread {
    /// Which message, counted in order of publishing.
    pub message: u32,
    /// Who published it.
    pub publisher: u32,
    /// When.
    pub published: Time,
    /// Where it was delivered first, in order of time.
    pub arrivals: Vec<Arrival>,
    /// Where it was delivered again: a broken rule, unless the node has lost its memory.
    pub again: Vec<Arrival>,
    /// What came for nothing, as far as the trace tells.
    pub copies: Vec<Copy>,
    /// Nodes that never got it.
    pub missing: Vec<u32>,
}

impl Spread {
    /// Returns how a message spread, or `None` if nobody published it.
    pub fn of(trace: &Trace, message: u32) -> Option<Self> {
        Self::with(trace, &Carried::new(trace), message)
    }

    pub(super) fn with(trace: &Trace, carried: &Carried<'_>, message: u32) -> Option<Self> {
        let published = trace.records.iter().find(|record| {
            matches!(&record.what, What::Published { message: other, .. } if *other == message)
        })?;
        let publisher = published.node?;
        let mut spread = Self {
            message,
            publisher,
            published: published.at,
            arrivals: Vec::new(),
            again: Vec::new(),
            copies: Vec::new(),
            missing: Vec::new(),
        };
        let mut hops = BTreeMap::from([(publisher, Some(0_u32))]);
        let mut useful = BTreeSet::new();
        for record in &trace.records {
            let (
                What::Delivered {
                    message: Some(other),
                    from,
                    ..
                },
                Some(node),
            ) = (&record.what, record.node)
            else {
                continue;
            };
            if *other != message {
                continue;
            }
            let came_in = record.cause.and_then(|cause| find(trace, cause));
            let came_in = came_in.and_then(|index| super::words::peer(&trace.records[index].what));
            let from = from.or(came_in);
            let hop = from.and_then(|from| hops.get(&from).copied().flatten());
            let hop = hop.map(|hop| hop + 1);
            let at = record.at;
            let arrival = Arrival {
                node,
                from,
                hop,
                at,
            };
            useful.extend(record.cause);
            if let Entry::Vacant(first) = hops.entry(node) {
                first.insert(hop);
                spread.arrivals.push(arrival);
            } else {
                spread.again.push(arrival);
            }
        }
        for record in &trace.records {
            if let (What::Received { peer, .. }, Some(node)) = (&record.what, record.node)
                && carried.carries(record, message)
                && !useful.contains(&record.number)
            {
                let (from, to, at) = (*peer, node, record.at);
                spread.copies.push(Copy { from, to, at });
            }
        }
        let all = 0..trace.nodes;
        spread.missing = all.filter(|node| !hops.contains_key(node)).collect();
        Some(spread)
    }

    /// Returns it in a sentence: how many have it, how late the last, how many copies came for nothing.
    pub fn summary(&self) -> String {
        let last = self.arrivals.last();
        let last = last.map(|last| format!(", the last after {}", self.delay(last)));
        let missing = match self.missing.as_slice() {
            [] => String::new(),
            missing => format!("; never to {}", text::nodes(missing)),
        };
        format!(
            "message {} of {}: delivered to {} others{}; {} copies for nothing{missing}",
            self.message,
            text::node(self.publisher),
            self.arrivals.len(),
            last.unwrap_or_default(),
            self.copies.len(),
        )
    }

    fn delay(&self, arrival: &Arrival) -> String {
        text::delay(self.published, arrival.at)
    }

    /// The nodes that had it from each node, and first those that had it from nobody known.
    fn children(&self) -> BTreeMap<Option<u32>, Vec<&Arrival>> {
        let mut children: BTreeMap<Option<u32>, Vec<&Arrival>> = BTreeMap::new();
        for arrival in &self.arrivals {
            let from = arrival.from.filter(|_| arrival.hop.is_some());
            children.entry(from).or_default().push(arrival);
        }
        children
    }

    /// Returns the tree in order of depth: how deep, and which arrival.
    fn tree(&self) -> Vec<(usize, &Arrival)> {
        let children = self.children();
        let of = |from: Option<u32>| children.get(&from).into_iter().flatten().rev().copied();
        let mut open: Vec<(usize, &Arrival)> = of(None).map(|arrival| (1, arrival)).collect();
        open.extend(of(Some(self.publisher)).map(|arrival| (1, arrival)));
        let mut tree = Vec::new();
        while let Some((depth, arrival)) = open.pop() {
            tree.push((depth, arrival));
            open.extend(of(Some(arrival.node)).map(|arrival| (depth + 1, arrival)));
        }
        tree
    }

    /// Returns the copies for nothing, by who sent to whom.
    fn copy_counts(&self) -> BTreeMap<(u32, u32), usize> {
        let mut counts = BTreeMap::new();
        for copy in &self.copies {
            *counts.entry((copy.from, copy.to)).or_default() += 1;
        }
        counts
    }

    /// Returns the tree as indented text.
    pub fn text(&self) -> String {
        let mut text = self.summary() + "\n";
        let publisher = text::node(self.publisher);
        let mut line = |words: String| {
            text.push_str(&words);
            text.push('\n');
        };
        line(format!("{publisher} published at {} s", self.published));
        for (depth, arrival) in self.tree() {
            let unknown = match (arrival.hop, arrival.from) {
                (Some(_), _) => String::new(),
                (None, Some(from)) => format!("  from {}, who had it not", text::node(from)),
                (None, None) => "  from whom is not known".to_owned(),
            };
            let hop = arrival
                .hop
                .map_or_else(|| "?".to_owned(), |hop| hop.to_string());
            line(format!(
                "{}{}  hop {hop}  +{}{unknown}",
                "  ".repeat(depth),
                text::node(arrival.node),
                self.delay(arrival),
            ));
        }
        for again in &self.again {
            let node = text::node(again.node);
            let from = again.from.map_or_else(|| "?".to_owned(), text::node);
            line(format!("AGAIN {node}  from {from}  +{}", self.delay(again)));
        }
        for ((from, to), count) in self.copy_counts() {
            let (from, to) = (text::node(from), text::node(to));
            line(format!("for nothing: {from} -> {to}, {count} times"));
        }
        if !self.missing.is_empty() {
            line(format!("never: {}", text::nodes(&self.missing)));
        }
        text
    }

    /// Returns it as a graph for Graphviz: who had it from whom in black, what came for nothing in grey.
    pub fn dot(&self) -> String {
        let mut dot = format!("digraph message_{} {{\n  rankdir=LR;\n", self.message);
        let _ = writeln!(dot, "  label=\"{}\";", text::dot(&self.summary()));
        let publisher = self.publisher;
        let _ = writeln!(
            dot,
            "  n{publisher} [label=\"n{publisher}\", shape=box, style=bold];"
        );
        for arrival in &self.arrivals {
            let label = format!("n{}\\n+{}", arrival.node, text::dot(&self.delay(arrival)));
            let _ = writeln!(dot, "  n{} [label=\"{label}\"];", arrival.node);
        }
        for node in &self.missing {
            let _ = writeln!(
                dot,
                "  n{node} [label=\"n{node}\\nnever\", color=red, style=dashed];"
            );
        }
        for arrival in &self.arrivals {
            if let Some(from) = arrival.from {
                let _ = writeln!(dot, "  n{from} -> n{};", arrival.node);
            }
        }
        for again in &self.again {
            if let Some(from) = again.from {
                let label = "label=\"again\"";
                let _ = writeln!(dot, "  n{from} -> n{} [color=red, {label}];", again.node);
            }
        }
        for ((from, to), count) in self.copy_counts() {
            let style = "color=gray, fontcolor=gray, constraint=false";
            let _ = writeln!(dot, "  n{from} -> n{to} [{style}, label=\"{count}\"];");
        }
        dot.push_str("}\n");
        dot
    }

    /// Returns it as a drawing, of at most so many nodes: time to the right, a row for each node, below whom it had it from.
    /// Its classes are styled by the page that it is put into.
    pub fn svg(&self, max_nodes: usize) -> String {
        let tree = self.tree();
        let left = tree.len().saturating_sub(max_nodes);
        let tree: Vec<_> = tree.into_iter().take(max_nodes).collect();
        let mut rows = BTreeMap::from([(self.publisher, 0_usize)]);
        rows.extend(
            tree.iter()
                .zip(1..)
                .map(|((_, arrival), row)| (arrival.node, row)),
        );
        let span = self.arrivals.iter().map(|arrival| arrival.at);
        let span = span.max().unwrap_or(self.published).since(self.published);
        let span = span.as_micros().max(1);
        let x = |at: Time| {
            let passed = at.since(self.published).as_micros().min(span);
            u64::try_from(60 + passed * 620 / span).unwrap_or(60)
        };
        let y = |row: usize| 18 + 22 * row;
        let at: BTreeMap<u32, Time> = tree.iter().map(|(_, one)| (one.node, one.at)).collect();
        let x_of = |node: u32| x(at.get(&node).copied().unwrap_or(self.published));
        let mut back = String::new();
        let mut front = String::new();
        for ((from, to), count) in self.copy_counts() {
            if let (Some(a), Some(b)) = (rows.get(&from), rows.get(&to)) {
                let (x1, y1, x2, y2) = (x_of(from), y(*a), x_of(to), y(*b));
                let _ = write!(
                    back,
                    "<path class=\"copy\" d=\"M{x1} {y1}L{x2} {y2}\"><title>{count} copies from n{from} to n{to}, for nothing</title></path>"
                );
            }
        }
        let _ = write!(
            front,
            "<circle class=\"publish\" cx=\"60\" cy=\"18\" r=\"7\"/><text x=\"8\" y=\"22\">n{}</text><text x=\"74\" y=\"22\">published</text>",
            self.publisher
        );
        for (_, arrival) in &tree {
            let node = arrival.node;
            let (cx, cy) = (x_of(node), y(rows.get(&node).copied().unwrap_or(0)));
            if let Some(parent) = arrival
                .from
                .and_then(|from| rows.get(&from).map(|row| (from, row)))
            {
                let (px, py) = (x_of(parent.0), y(*parent.1));
                let _ = write!(back, "<path class=\"branch\" d=\"M{px} {py}V{cy}H{cx}\"/>");
            }
            let delay = text::html(&self.delay(arrival));
            let hop = arrival
                .hop
                .map_or_else(|| "?".to_owned(), |hop| hop.to_string());
            let base = cy + 4;
            let _ = write!(
                front,
                "<circle class=\"deliver\" cx=\"{cx}\" cy=\"{cy}\" r=\"6\"/><text x=\"8\" y=\"{base}\">n{node}</text><text x=\"{}\" y=\"{base}\">+{delay}, hop {hop}</text>",
                cx + 12
            );
        }
        let height = y(rows.len()) + 10;
        let more = match left {
            0 => String::new(),
            left => format!(
                "<text x=\"60\" y=\"{}\">… {left} more nodes</text>",
                height - 4
            ),
        };
        format!(
            "<svg class=\"spread\" role=\"img\" viewBox=\"0 0 860 {height}\" width=\"860\" height=\"{height}\"><title>{}</title>{back}{front}{more}</svg>",
            text::html(&self.summary())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;

    #[test]
    fn a_spread_tells_hops_delays_copies_and_who_never_got_it() {
        let (trace, _) = sample::split();
        let spread = Spread::of(&trace, 1).expect("it was published");
        assert_eq!(spread.publisher, 1);
        let hops: Vec<_> = spread
            .arrivals
            .iter()
            .map(|a| (a.node, a.from, a.hop))
            .collect();
        let (one, two) = (Some(1), Some(2));
        assert_eq!(
            hops,
            [
                (0, one, one),
                (2, one, one),
                (3, two, two),
                (4, Some(3), Some(3))
            ]
        );
        assert_eq!(spread.missing, [5]);
        assert_eq!(spread.copies.len(), 2);
        let text = spread.text();
        assert!(text.contains("\n    n3  hop 2  +"), "{text}");
        assert!(text.contains("for nothing: n0 -> n2, 1 times"), "{text}");
        assert!(text.ends_with("never: n5\n"), "{text}");
        assert!(spread.dot().contains("n2 -> n3;"));
        assert!(spread.dot().contains("n0 -> n2 [color=gray"));
    }

    #[test]
    fn a_second_delivery_is_not_a_first_one() {
        let (trace, violation) = sample::twice(12, 4);
        let spread = Spread::of(&trace, violation.message.expect("one")).expect("published");
        assert_eq!(spread.arrivals.len(), 11);
        assert_eq!(spread.again.len(), 1);
        assert!(spread.text().contains("AGAIN"));
        assert!(spread.missing.is_empty());
    }

    #[test]
    fn what_nobody_published_has_no_spread() {
        assert_eq!(Spread::of(&sample::split().0, 77), None);
    }
}
