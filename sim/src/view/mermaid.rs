//! A story as a sequence diagram, for documents.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::story::{Story, find};
use super::text;
use super::words::{peer, words};
use crate::trace::What;

/// How many events a sequence diagram has at most: more are not readable.
pub const MAX_MERMAID_EVENTS: usize = 40;

/// How many characters of an event's words are shown.
const SHOWN: usize = 60;

/// Returns a story as a Mermaid sequence diagram of its last events.
pub fn mermaid(story: &Story<'_>) -> String {
    let all: Vec<_> = story.records().collect();
    let skipped = all.len().saturating_sub(MAX_MERMAID_EVENTS);
    let shown = &all[skipped..];
    let mut nodes: BTreeSet<u32> = shown.iter().filter_map(|record| record.node).collect();
    nodes.extend(shown.iter().filter_map(|record| peer(&record.what)));
    let mut diagram = "sequenceDiagram\n".to_owned();
    // Writing to a string does not fail.
    for node in &nodes {
        let _ = writeln!(diagram, "    participant n{node}");
    }
    let (first, last) = (nodes.first().copied(), nodes.last().copied());
    for record in shown {
        let words = text::mermaid(&text::short(&words(record), SHOWN));
        let at = record.at;
        let sent = record.cause.and_then(|cause| find(story.trace, cause));
        let is_shown = sent.is_some_and(|sent| story.chosen[skipped..].contains(&sent));
        let _ = match (&record.what, record.node, first, last) {
            (What::Sent { peer, .. }, Some(node), ..) => {
                writeln!(diagram, "    n{node}-)n{peer}: {at} {words}")
            }
            // The arrow is there already.
            (What::Received { .. }, ..) if is_shown => Ok(()),
            (What::Received { peer, .. }, Some(node), ..) => {
                writeln!(diagram, "    n{peer}--)n{node}: {at} {words}")
            }
            (_, Some(node), ..) => writeln!(diagram, "    Note over n{node}: {at} {words}"),
            (_, None, Some(first), Some(last)) if first != last => {
                writeln!(diagram, "    Note over n{first},n{last}: {at} {words}")
            }
            (_, None, Some(first), _) => {
                writeln!(diagram, "    Note over n{first}: {at} {words}")
            }
            (_, None, None, _) => Ok(()),
        };
    }
    diagram
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample;

    #[test]
    fn a_diagram_has_the_last_events_and_all_its_participants() {
        let (trace, violation) = sample::split();
        let story = Story::of_violation(&trace, &violation, 2);
        let diagram = mermaid(&story);
        assert!(diagram.starts_with("sequenceDiagram\n    participant n0\n"));
        let events = diagram.lines().filter(|line| line.contains(": ")).count();
        assert!(events <= MAX_MERMAID_EVENTS && events > 15, "{events}");
        assert!(diagram.contains("    n2-)n3: "), "{diagram}");
        assert!(diagram.contains("VIOLATION L1"));
        for (name, line) in diagram.lines().filter_map(|line| line.split_once(": ")) {
            assert!(
                !line.contains(['<', '>', ';']) || line.contains("#"),
                "{name} {line}"
            );
        }
    }
}
