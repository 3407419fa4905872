//! A run as one page of HTML that needs nothing else: for people who have to understand a failure.

use std::fmt::Write as _;

use super::lanes::{self, MAX_FAULTS};
use super::numbers::numbers;
use super::spread::Spread;
use super::story::Story;
use super::text::{self, html};
use super::words::{Family, SYMBOLS, peer, symbol, words};
use crate::report::{Report, Violation};
use crate::trace::{Record, Trace, What};

/// What a page shows besides the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOptions {
    /// What to run to see the same again, if that is known. It is shown whole.
    pub replay: Option<String>,
    /// The scenario in words, if that is known.
    pub scenario: Option<String>,
    /// How many records before and after the violation are shown at its node, whether they matter or not.
    pub around: usize,
    /// How many records of a run without violation are shown.
    pub limit: usize,
}

impl Default for PageOptions {
    /// No replay line and no scenario, three records around, and 120 of a run without violation.
    fn default() -> Self {
        Self {
            replay: None,
            scenario: None,
            around: 3,
            limit: 120,
        }
    }
}

/// How much of a sentence is shown, in characters.
const MAX_SENTENCE: usize = 600;

/// How long a command may be that is shown at once, in bytes, and how many lines a scenario may have: what is longer has to
/// be opened, so that it does not push away what led to the failure.
const MAX_REPLAY: usize = 300;
const MAX_OPEN: usize = 14;

/// How many lines of a scenario are shown.
const MAX_SCENARIO: usize = 60;

/// How many nodes the drawing of a message's spread has.
const MAX_SPREAD: usize = 40;

const STYLE: &str = include_str!("page.css");

const HOW_TO_READ: &str = "<p>Each column is a node, each row is one thing that happened, and time runs downwards; rows are \
equally high however much time lies between them, and a dotted line says where it was long. The words to the right say what the row \
is. A line that slants from one column to another is bytes on their way: from where they were sent to where they arrived. Thick lines \
carry the message that the failure is about. A short dashed line leads to something that is not drawn here; with a red cross, it never \
arrived. A shaded area is a fault, by its number on the left. A broken column is a node that was down or paused. Point at a row to see all \
of it; follow it to find it in the table.</p>";

/// Returns the page of a run: what was violated first and what led to it, or the whole run, thinned, if nothing was.
pub fn page(trace: &Trace, report: &Report, options: &PageOptions) -> String {
    let violation = report.violations.first();
    let story = violation.map_or_else(
        || Story::of_run(trace, options.limit),
        |violation| Story::of_violation(trace, violation, options.around),
    );
    let title = violation.map_or_else(
        || "No rule was broken".to_owned(),
        |violation| text::short(&violation.sentence, MAX_SENTENCE),
    );
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        html(&title)
    );
    head(&mut page, trace, report, violation, options);
    legend(&mut page, &story);
    let shown = story.chosen.len();
    let all = trace.records.len();
    let heading = if violation.is_some() {
        "What led to it"
    } else {
        "The run"
    };
    let _ = write!(
        page,
        "<h2>{heading}</h2>\n<p class=\"quiet\">{shown} of {} records{}.</p>\n<div class=\"wide\">\n{}</div>\n",
        text::count(all as u64),
        match violation {
            Some(_) if shown < all => ": those that matter most",
            None if shown < all => ": what is rare, and some of the rest",
            _ => "",
        },
        lanes::draw(&story)
    );
    spread(&mut page, &story);
    faults(&mut page, &story);
    events(&mut page, &story);
    if !report.numbers.is_empty() {
        let numbers = html(&numbers(report));
        let _ = write!(page, "<h2>Numbers</h2>\n<pre>{numbers}</pre>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn head(
    page: &mut String,
    trace: &Trace,
    report: &Report,
    violation: Option<&Violation>,
    options: &PageOptions,
) {
    page.push_str("<dl>\n");
    let mut line = |name: &str, words: String| {
        let _ = writeln!(page, "<dt>{name}</dt><dd>{words}</dd>");
    };
    if let Some(violation) = violation {
        let (code, rule) = (violation.checker.code(), violation.checker.rule());
        let kind = html(&violation.kind);
        line(
            "Rule broken",
            format!("<b>{code}</b>: {rule} <span class=\"quiet\">({kind})</span>"),
        );
        let node = violation
            .node
            .map(|node| format!(" at node <b>n{node}</b>"));
        let message = violation
            .message
            .map(|one| format!(", about message <b>{one}</b>"));
        let (node, message) = (node.unwrap_or_default(), message.unwrap_or_default());
        line("Found", format!("at {} s{node}{message}", violation.at));
    }
    let end = trace
        .records
        .last()
        .map(|record| record.at)
        .unwrap_or_default();
    line(
        "Run",
        format!("{} nodes, {end} s, hash {:016x}", trace.nodes, report.hash),
    );
    if let Some(replay) = &options.replay {
        let code = format!("<code>{}</code>", html(replay));
        let folded = format!("<details><summary>a long command</summary>{code}</details>");
        let is_long = replay.len() > MAX_REPLAY;
        line("To see it again", if is_long { folded } else { code });
    }
    page.push_str("</dl>\n");
    if let Some(scenario) = &options.scenario {
        let _ = writeln!(
            page,
            "<details{}><summary>The scenario</summary>\n<p class=\"quiet\">{}</p><ul class=\"scenario\">",
            if scenario.lines().count() > MAX_OPEN {
                ""
            } else {
                " open"
            },
            origin(trace)
        );
        for line in scenario.lines().take(MAX_SCENARIO) {
            let _ = writeln!(page, "<li>{}</li>", html(&text::short(line, MAX_SENTENCE)));
        }
        let more = scenario.lines().count().saturating_sub(MAX_SCENARIO);
        if more > 0 {
            let _ = writeln!(page, "<li>… {more} more</li>");
        }
        page.push_str("</ul></details>\n");
    }
    if report.violations.len() > 1 {
        let _ = writeln!(
            page,
            "<details><summary>{} more violations after the first</summary><ul>",
            report.violations.len() - 1
        );
        for violation in report.violations.iter().skip(1).take(20) {
            let words = text::short(&format!("{} s: {violation}", violation.at), MAX_SENTENCE);
            let _ = writeln!(page, "<li>{}</li>", html(&words));
        }
        page.push_str("</ul></details>\n");
    }
}

/// Returns from where the times of a scenario count, which are not those of the trace.
fn origin(trace: &Trace) -> String {
    let is_storm = |record: &&Record| matches!(&record.what, What::Phase(name) if name == "storm");
    match trace.records.iter().find(is_storm) {
        Some(storm) => format!(
            "Its times count from {} s on, when the network had formed.",
            storm.at
        ),
        None => "Its times count from when the network has formed, which it never did.".to_owned(),
    }
}

fn legend(page: &mut String, story: &Story<'_>) {
    let _ = write!(
        page,
        "<details open><summary>How to read this</summary>\n{HOW_TO_READ}\n<p class=\"legend\">"
    );
    for (sign, name) in SYMBOLS {
        let record = story.records().find(|record| symbol(&record.what) == sign);
        let Some(record) = record.filter(|record| record.node.is_some()) else {
            continue;
        };
        let family = Family::of(&record.what);
        let drawn = if family == Family::Frame {
            lanes::dot(10, 10, sign == '>')
        } else {
            lanes::badge(10, 10, sign, family.name())
        };
        let _ = write!(
            page,
            "<span><svg width=\"20\" height=\"20\" aria-hidden=\"true\">{drawn}</svg> {name}</span> "
        );
    }
    page.push_str("</p></details>\n");
}

fn spread(page: &mut String, story: &Story<'_>) {
    let Some(message) = story.message() else {
        return;
    };
    let Some(spread) = Spread::with(story.trace, &story.carried, message) else {
        return;
    };
    let _ = write!(
        page,
        "<h2>How message {message} spread</h2>\n<p>{}. <span class=\"quiet\">Time runs to the right; grey lines are copies that came for nothing.</span></p>\n<div class=\"wide\">{}</div>\n",
        html(&text::short(&spread.summary(), MAX_SENTENCE)),
        spread.svg(MAX_SPREAD)
    );
}

fn faults(page: &mut String, story: &Story<'_>) {
    let faults = &story.trace.faults;
    if faults.is_empty() {
        return;
    }
    page.push_str("<h2>Faults</h2>\n<div class=\"wide\"><table>\n<tr><th>fault</th><th>from</th><th>to</th><th>nodes</th><th>what</th><th>effect</th></tr>\n");
    for (index, span) in faults.iter().enumerate().take(MAX_FAULTS) {
        let number = lanes::fault_number(story, index, span);
        let ended = span
            .ended
            .map_or_else(|| "the end".to_owned(), |at| format!("{at} s"));
        let nodes = match span.nodes.as_slice() {
            [] => "all".to_owned(),
            nodes => text::short(&text::nodes(nodes), lanes::DETAIL),
        };
        let effect = match span.effect {
            0 => "<b>none</b>".to_owned(),
            effect => text::count(effect),
        };
        let _ = writeln!(
            page,
            "<tr><td>F{number}</td><td class=\"time\">{} s</td><td class=\"time\">{ended}</td><td>{nodes}</td><td>{}</td><td>{effect}</td></tr>",
            span.began,
            html(&text::short(&text::one_line(&span.what), lanes::DETAIL))
        );
    }
    page.push_str("</table></div>\n");
    if faults.len() > MAX_FAULTS {
        let _ = writeln!(page, "<p>… {} more</p>", faults.len() - MAX_FAULTS);
    }
}

fn events(page: &mut String, story: &Story<'_>) {
    page.push_str("<h2>The same as a table</h2>\n<div class=\"wide\"><table>\n<tr><th>record</th><th>seconds</th><th>node</th><th>kind</th><th>peer</th><th>what</th><th>follows from</th></tr>\n");
    let shown: Vec<u64> = story.records().map(|record| record.number).collect();
    for record in story.records() {
        let node = record.node.map(text::node).unwrap_or_default();
        let life = match record.life {
            0 | 1 => String::new(),
            life => format!(", life {life}"),
        };
        let sign = symbol(&record.what);
        let kind = SYMBOLS.iter().find(|(other, _)| *other == sign);
        let kind = kind.map_or("", |(_, name)| name);
        let cause = match record.cause {
            Some(cause) if shown.binary_search(&cause).is_ok() => {
                format!("<a href=\"#r{cause}\">{cause}</a>")
            }
            Some(cause) => cause.to_string(),
            None => String::new(),
        };
        let number = record.number;
        let _ = writeln!(
            page,
            "<tr id=\"r{number}\" class=\"{}\"><td>{number}</td><td class=\"time\">{}</td><td>{node}{life}</td><td>{kind}</td><td>{}</td><td>{}</td><td>{cause}</td></tr>",
            Family::of(&record.what).name(),
            record.at,
            peer(&record.what).map(text::node).unwrap_or_default(),
            html(&text::short(&words(record), lanes::DETAIL))
        );
    }
    page.push_str("</table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;
    use crate::trace::FaultSpan;
    use crate::view::sample;

    /// The most that a page may be long, in bytes.
    const MAX_PAGE: usize = 300_000;

    fn with(violation: Option<Violation>) -> Report {
        Report {
            violations: violation.into_iter().collect(),
            ..sample::report(12_345)
        }
    }

    #[test]
    fn a_page_tells_what_is_wrong_and_needs_nothing_else() {
        let (trace, violation) = sample::split();
        let options = PageOptions {
            replay: Some("rs2p-sim:1:abc & <def>".to_owned()),
            scenario: Some("seed 7, 6 nodes\nnode 3 <leaves>".to_owned()),
            ..PageOptions::default()
        };
        let page = page(&trace, &with(Some(violation.clone())), &options);
        for wanted in [
            violation.sentence.as_str(),
            violation.checker.rule(),
            "rs2p-sim:1:abc &amp; &lt;def&gt;",
            "<li>node 3 &lt;leaves&gt;</li>",
            "when the network ha",
            "never arrived",
            "How message 1 spread",
            "class=\"shade\"",
            "marker-end",
        ] {
            assert!(page.contains(wanted), "{wanted}");
        }
        for outside in ["http:", "https:", "src=", "<script", "url(\"", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(
            page.matches("<tr id=").count(),
            page.matches("<g class=\"row").count()
        );
    }

    #[test]
    fn large_runs_make_small_pages() {
        let (trace, violation) = sample::twice(60, 40);
        let bad = page(&trace, &with(Some(violation)), &PageOptions::default());
        let good = page(&trace, &with(None), &PageOptions::default());
        assert!(bad.contains(">others<"));
        assert!(good.contains("No rule was broken"));
        assert!(bad.len() < MAX_PAGE && good.len() < MAX_PAGE);
        assert_eq!(page(&trace, &with(None), &PageOptions::default()), good);
    }

    #[test]
    fn what_nodes_say_cannot_make_a_page_long_or_break_out_of_it() {
        let says = vec!["<script>\"'&".repeat(500); 5];
        let what = What::Told(says.concat());
        let record = |number| Record {
            number,
            at: Time::from_millis(number * 400),
            node: Some(u32::try_from(number % 9).expect("small")),
            life: 2,
            cause: None,
            what: what.clone(),
        };
        let span = FaultSpan {
            what: says[0].clone(),
            began: Time::ZERO,
            ended: None,
            nodes: (0..9).collect(),
            effect: 0,
        };
        let trace = Trace {
            records: (0..1000).map(record).collect(),
            nodes: 9,
            faults: vec![span; 40],
        };
        let page = page(&trace, &with(None), &PageOptions::default());
        assert!(!page.contains("<script"));
        assert!(page.len() < MAX_PAGE, "{}", page.len());
    }

    #[test]
    fn an_empty_run_has_a_page() {
        let page = page(
            &Trace::default(),
            &Report::default(),
            &PageOptions::default(),
        );
        assert!(page.ends_with("</html>\n"));
    }
}
