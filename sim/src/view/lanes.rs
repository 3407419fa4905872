//! The space-time diagram: a lane for each node, time downwards, a row for each record with its words beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::story::{Story, find, is_of_message};
use super::text::{self, html};
use super::words::{Family, peer, says, symbol, words};
use crate::time::Time;
use crate::trace::{FaultSpan, Record, What};

/// More lanes than this are not told apart: nodes of no interest share one.
const MAX_LANES: usize = 24;

/// Heights and widths, in pixels.
const ROW: u32 = 22;
const HEAD: u32 = 34;
const GAP: u32 = 18;
const TIME: u32 = 100;
const GUTTER: u32 = 26;
const GUTTERS: u32 = 4;
const WORDS: u32 = 700;

/// How many characters of a record's words are shown beside its row, and when it is pointed at.
const SHOWN: usize = 84;
pub(super) const DETAIL: usize = 240;

/// A pause that is marked, in milliseconds.
const PAUSE: u64 = 300;

/// How many faults are drawn.
pub(super) const MAX_FAULTS: usize = 16;

/// Where everything is.
struct Layout<'a> {
    story: &'a Story<'a>,
    /// The nodes with a lane of their own, in order.
    lanes: Vec<u32>,
    is_folded: bool,
    lane: u32,
    /// The height of each record's row, by its place in the trace.
    rows: BTreeMap<usize, u32>,
    bottom: u32,
}

impl<'a> Layout<'a> {
    fn new(story: &'a Story<'a>) -> Self {
        let lanes = lanes(story);
        let is_folded = lanes.len() < story.trace.nodes as usize;
        let count = u32::try_from(lanes.len() + usize::from(is_folded)).unwrap_or(1);
        let mut rows = BTreeMap::new();
        let mut y = HEAD;
        let mut last: Option<Time> = None;
        for (index, record) in story.chosen.iter().zip(story.records()) {
            if last.is_some_and(|last| is_pause(last, record.at)) {
                y += GAP;
            }
            last = Some(record.at);
            y += ROW;
            rows.insert(*index, y - ROW / 2);
        }
        Self {
            story,
            lanes,
            is_folded,
            lane: (600 / count.max(1)).clamp(40, 90),
            rows,
            bottom: y + 6,
        }
    }

    fn left(&self) -> u32 {
        let faults = u32::try_from(self.story.trace.faults.len());
        TIME + GUTTER * faults.unwrap_or(GUTTERS).min(GUTTERS)
    }

    fn x_of_place(&self, place: usize) -> u32 {
        self.left() + self.lane * u32::try_from(place).unwrap_or(0) + self.lane / 2
    }

    /// Returns the middle of a node's lane, or that of all the rest.
    fn x(&self, node: u32) -> u32 {
        let place = self.lanes.binary_search(&node);
        self.x_of_place(place.unwrap_or(self.lanes.len()))
    }

    fn right(&self) -> u32 {
        self.x_of_place(self.lanes.len() + usize::from(self.is_folded)) - self.lane / 2
    }

    /// Returns the top of the first row that is not before a moment.
    fn top_of(&self, at: Time) -> u32 {
        let mut rows = self.rows.iter();
        let row = rows.find(|(index, _)| self.story.trace.records[**index].at >= at);
        row.map_or(self.bottom, |(_, y)| y - ROW / 2)
    }

    /// Returns the bottom of the last row that is not after a moment.
    fn bottom_of(&self, at: Time) -> u32 {
        let rows = self.rows.iter().rev();
        let mut rows = rows.filter(|(index, _)| self.story.trace.records[**index].at <= at);
        rows.next().map_or(HEAD, |(_, y)| y + ROW / 2)
    }
}

const fn is_pause(last: Time, at: Time) -> bool {
    at.as_millis() >= last.as_millis() + PAUSE
}

/// Returns the nodes that get a lane: all, or if there are many those that occur most in the story.
fn lanes(story: &Story<'_>) -> Vec<u32> {
    if story.trace.nodes as usize <= MAX_LANES {
        return (0..story.trace.nodes).collect();
    }
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for record in story.records() {
        for node in record.node.into_iter().chain(peer(&record.what)) {
            *counts.entry(node).or_default() += 1;
        }
    }
    // Whom it is about comes before all.
    if let Some(node) = story.node() {
        counts.insert(node, usize::MAX);
    }
    let mut nodes: Vec<(usize, u32)> = counts.into_iter().map(|(node, n)| (n, node)).collect();
    nodes.sort_unstable_by_key(|(count, node)| (std::cmp::Reverse(*count), *node));
    nodes.truncate(MAX_LANES - 1);
    let lanes: BTreeSet<u32> = nodes.into_iter().map(|(_, node)| node).collect();
    lanes.into_iter().collect()
}

/// Returns the number by which records name a fault.
pub(super) fn fault_number(story: &Story<'_>, index: usize, span: &FaultSpan) -> u32 {
    let number = |record: &Record| {
        let What::FaultBegan(number, what) = &record.what else {
            return None;
        };
        (record.at == span.began && *what == span.what).then_some(*number)
    };
    let found = story.trace.records.iter().find_map(number);
    found.unwrap_or_else(|| u32::try_from(index).unwrap_or(u32::MAX))
}

/// Draws a story.
pub(super) fn draw(story: &Story<'_>) -> String {
    let layout = Layout::new(story);
    let width = layout.right() + 14 + WORDS;
    let height = layout.bottom + 24;
    let mut svg = format!(
        "<svg class=\"lanes\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" aria-label=\"Space-time diagram; the table below says the same\">\n<defs>"
    );
    for class in ["plain", "bold"] {
        let _ = write!(
            svg,
            "<marker id=\"head-{class}\" class=\"head {class}\" viewBox=\"0 0 8 8\" refX=\"12\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker>"
        );
    }
    svg.push_str("</defs>\n");
    draw_faults(&mut svg, &layout);
    draw_lanes(&mut svg, &layout);
    draw_rows(&mut svg, &layout);
    draw_arrows(&mut svg, &layout);
    draw_badges(&mut svg, &layout);
    svg.push_str("</svg>\n");
    svg
}

fn draw_faults(svg: &mut String, layout: &Layout<'_>) {
    let story = layout.story;
    let mut drawn = 0;
    for (index, span) in story.trace.faults.iter().enumerate() {
        let top = layout.top_of(span.began);
        let bottom = span.ended.map_or(layout.bottom, |at| layout.bottom_of(at));
        if bottom <= top || drawn as usize >= MAX_FAULTS {
            continue;
        }
        let height = bottom - top;
        let x = TIME + GUTTER * (drawn % GUTTERS);
        drawn += 1;
        let number = fault_number(story, index, span);
        let words = html(&text::short(&span.what, DETAIL));
        let _ = write!(
            svg,
            "<g class=\"fault\"><title>fault {number}: {words}</title>"
        );
        let mut lanes: BTreeSet<u32> = span.nodes.iter().map(|node| layout.x(*node)).collect();
        if lanes.is_empty() {
            let (left, width) = (layout.left(), layout.right() - layout.left());
            let _ = write!(
                svg,
                "<rect class=\"shade\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>"
            );
        }
        while let Some(middle) = lanes.pop_first() {
            let (left, width) = (middle - layout.lane / 2, layout.lane);
            let _ = write!(
                svg,
                "<rect class=\"shade\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>"
            );
        }
        let _ = writeln!(
            svg,
            "<rect class=\"bar\" x=\"{x}\" y=\"{top}\" width=\"22\" height=\"{height}\" rx=\"3\"/><text class=\"bar-name\" x=\"{}\" y=\"{}\">F{number}</text></g>",
            x + 11,
            top + 15
        );
    }
}

fn draw_lanes(svg: &mut String, layout: &Layout<'_>) {
    let story = layout.story;
    for (place, node) in layout.lanes.iter().enumerate() {
        let x = layout.x_of_place(place);
        let class = if story.node() == Some(*node) {
            "name wrong"
        } else {
            "name"
        };
        let _ = writeln!(
            svg,
            "<path class=\"lane\" d=\"M{x} {HEAD}V{}\"/><text class=\"{class}\" x=\"{x}\" y=\"22\">n{node}</text><text class=\"{class}\" x=\"{x}\" y=\"{}\">n{node}</text>",
            layout.bottom,
            layout.bottom + 16
        );
        for (from, to) in absences(layout, *node) {
            let _ = writeln!(svg, "<path class=\"absent\" d=\"M{x} {from}V{to}\"/>");
        }
    }
    if layout.is_folded {
        let x = layout.x_of_place(layout.lanes.len());
        let others = story.trace.nodes as usize - layout.lanes.len();
        let _ = writeln!(
            svg,
            "<path class=\"lane\" d=\"M{x} {HEAD}V{}\"/><text class=\"name\" x=\"{x}\" y=\"12\">{others}</text><text class=\"name\" x=\"{x}\" y=\"26\">others</text>",
            layout.bottom
        );
    }
}

/// Returns where a node's lane is to be drawn as absent: stopped or paused.
fn absences(layout: &Layout<'_>, node: u32) -> Vec<(u32, u32)> {
    let mut absences = Vec::new();
    let mut since = None;
    for record in layout
        .story
        .trace
        .records
        .iter()
        .filter(|r| r.node == Some(node))
    {
        if matches!(record.what, What::Stopped(_) | What::Paused) {
            since = since.or(Some(record.at));
        } else if matches!(record.what, What::Started { .. } | What::Resumed)
            && let Some(since) = since.take()
        {
            absences.push((layout.top_of(since), layout.top_of(record.at)));
        }
    }
    absences.extend(since.map(|since| (layout.top_of(since), layout.bottom)));
    absences.retain(|(from, to)| from < to);
    absences
}

fn draw_rows(svg: &mut String, layout: &Layout<'_>) {
    let right = layout.right() + 14;
    let mut last: Option<Time> = None;
    for (index, y) in &layout.rows {
        let record = &layout.story.trace.records[*index];
        let top = y - ROW / 2;
        if let Some(last) = last.filter(|last| is_pause(*last, record.at)) {
            let line = top - GAP / 2;
            let pause = html(&text::delay(last, record.at));
            let _ = writeln!(
                svg,
                "<path class=\"pause\" d=\"M{TIME} {line}H{}\"/><text class=\"pause-name\" x=\"{right}\" y=\"{}\">{pause} later</text>",
                layout.right(),
                line + 4
            );
        }
        last = Some(record.at);
        let class = row_class(layout.story, record);
        let number = record.number;
        let said = html(&text::short(&beside(record), SHOWN));
        let base = y + 4;
        let _ = writeln!(
            svg,
            "<a href=\"#r{number}\"><g class=\"row {class}\"><title>{}</title><rect x=\"0\" y=\"{top}\" width=\"{}\" height=\"{ROW}\"/><text class=\"time\" x=\"{}\" y=\"{base}\">{}</text><text x=\"{right}\" y=\"{base}\">{said}</text></g></a>",
            html(&detail(record)),
            right + WORDS,
            TIME - 10,
            record.at
        );
    }
}

fn row_class(story: &Story<'_>, record: &Record) -> &'static str {
    let is_of =
        |message| is_of_message(&record.what, message) || story.carried.carries(record, message);
    let family = Family::of(&record.what);
    if family == Family::Violation {
        "violation"
    } else if family == Family::World {
        "world"
    } else if story.message().is_some_and(is_of) {
        "subject"
    } else {
        ""
    }
}

/// Returns what stands beside a row: who, with whom, what.
fn beside(record: &Record) -> String {
    let who = record.node.map(text::node).unwrap_or_default();
    if let What::Violated { checker, .. } = &record.what {
        // The sentence is at the top.
        return format!("{who} RULE {checker} IS BROKEN")
            .trim_start()
            .to_owned();
    }
    let is_outward = matches!(record.what, What::Sent { .. } | What::SentTo { .. });
    let is_inward = matches!(record.what, What::Received { .. } | What::Delivered { .. });
    let sign = match (is_outward, is_inward) {
        (true, _) => "→",
        (_, true) => "←",
        (false, false) => "–",
    };
    let with = peer(&record.what).map(|peer| format!(" {sign} n{peer}"));
    let with = with.unwrap_or_default();
    format!("{who}{with} {}", words(record))
        .trim_start()
        .to_owned()
}

/// Returns what is shown when a row is pointed at: all of it, with each frame on a line.
fn detail(record: &Record) -> String {
    let life = match record.life {
        0 | 1 => String::new(),
        life => format!(", life {life}"),
    };
    let said = says(&record.what).filter(|says| !says.is_empty());
    let said = said.map_or_else(|| words(record), |says| says.join("\n"));
    let said = text::short(&said, DETAIL);
    format!("record {} at {} s{life}\n{said}", record.number, record.at)
}

fn draw_arrows(svg: &mut String, layout: &Layout<'_>) {
    let records = &layout.story.trace.records;
    let mut drawn = BTreeSet::new();
    for (index, y) in &layout.rows {
        let record = &records[*index];
        let (What::Received { peer, .. }, Some(node)) = (&record.what, record.node) else {
            continue;
        };
        let class = arrow_class(layout, record);
        let sent = record
            .cause
            .and_then(|cause| find(layout.story.trace, cause));
        let sent = sent.and_then(|sent| layout.rows.get_key_value(&sent));
        let x = layout.x(node);
        if let Some((sent, from)) = sent {
            drawn.insert(*sent);
            let x1 = layout.x(*peer);
            let _ = writeln!(
                svg,
                "<path class=\"arrow {class}\" marker-end=\"url(#head-{class})\" d=\"M{x1} {from}L{x} {y}\"/>"
            );
        } else {
            let x1 = toward(layout, x, *peer);
            let _ = writeln!(
                svg,
                "<path class=\"arrow {class} stub\" marker-end=\"url(#head-{class})\" d=\"M{x1} {}L{x} {y}\"/>",
                y - 9
            );
        }
    }
    let ends = last_arrivals(layout.story);
    for (index, y) in &layout.rows {
        let record = &records[*index];
        let (What::Sent { peer, conn, .. }, Some(node)) = (&record.what, record.node) else {
            continue;
        };
        if drawn.contains(index) {
            continue;
        }
        let class = arrow_class(layout, record);
        let x = layout.x(node);
        let (x2, y2) = (toward(layout, x, *peer), y + 9);
        let has_arrived = ends
            .get(&(node, conn.as_u64()))
            .is_some_and(|end| *end >= record.number);
        let _ = writeln!(
            svg,
            "<path class=\"arrow {class} stub\" d=\"M{x} {y}L{x2} {y2}\"/>"
        );
        if !has_arrived {
            let (l, r, t, b) = (x2 - 4, x2 + 4, y2 - 4, y2 + 4);
            let _ = writeln!(
                svg,
                "<path class=\"never\" d=\"M{l} {t}L{r} {b}M{r} {t}L{l} {b}\"><title>never arrived</title></path>"
            );
        }
    }
}

/// Returns a place between a lane and that of a node.
fn toward(layout: &Layout<'_>, x: u32, node: u32) -> u32 {
    let step = layout.lane * 2 / 5;
    if layout.x(node) < x {
        x - step
    } else {
        x + step
    }
}

/// The last record of sending that anything arrived from, by sender and its end of the connection.
fn last_arrivals(story: &Story<'_>) -> BTreeMap<(u32, u64), u64> {
    let mut ends = BTreeMap::new();
    for record in &story.trace.records {
        if let (What::Received { .. }, Some(cause)) = (&record.what, record.cause)
            && let Some(sent) = find(story.trace, cause).map(|sent| &story.trace.records[sent])
            && let (What::Sent { conn, .. }, Some(node)) = (&sent.what, sent.node)
        {
            ends.insert((node, conn.as_u64()), sent.number);
        }
    }
    ends
}

fn arrow_class(layout: &Layout<'_>, record: &Record) -> &'static str {
    let story = layout.story;
    let is_subject = story
        .message()
        .is_some_and(|message| story.carried.carries(record, message));
    if is_subject { "bold" } else { "plain" }
}

fn draw_badges(svg: &mut String, layout: &Layout<'_>) {
    for (index, y) in &layout.rows {
        let record = &layout.story.trace.records[*index];
        let family = Family::of(&record.what).name();
        let Some(node) = record.node else {
            let left = layout.left();
            let right = layout.right();
            let _ = writeln!(svg, "<path class=\"edge\" d=\"M{left} {y}H{right}\"/>");
            continue;
        };
        let x = layout.x(node);
        if Family::of(&record.what) == Family::Frame {
            svg.push_str(&dot(x, *y, matches!(record.what, What::Sent { .. })));
            svg.push('\n');
            continue;
        }
        svg.push_str(&badge(x, *y, symbol(&record.what), family));
        svg.push('\n');
    }
}

/// Draws a symbol in a box, with its middle at a place.
pub(super) fn badge(x: u32, y: u32, symbol: char, family: &str) -> String {
    format!(
        "<g class=\"badge {family}\"><rect x=\"{}\" y=\"{}\" width=\"18\" height=\"18\" rx=\"4\"/><text x=\"{x}\" y=\"{}\">{}</text></g>",
        x.saturating_sub(9),
        y.saturating_sub(9),
        y + 4,
        html(&symbol.to_string())
    )
}

/// Draws an end of an arrow: full where bytes were sent, hollow where they arrived.
pub(super) fn dot(x: u32, y: u32, is_sent: bool) -> String {
    let class = if is_sent { "dot" } else { "dot hollow" };
    format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"3.5\"/>")
}
