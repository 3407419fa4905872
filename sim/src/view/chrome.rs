//! The run for the trace viewers of Chrome and Perfetto.

use std::collections::BTreeSet;

use super::text;
use super::words::{Family, words};
use crate::trace::{Record, Trace, What};

/// How long an instant is drawn, in microseconds: long enough to be clicked on.
const DRAWN: u64 = 100;

/// Returns the run in the JSON of Chrome's trace events: a lane for each node, one for the faults, and an arrow from what was
/// sent to what arrived.
pub fn chrome_trace(trace: &Trace) -> String {
    let mut events = vec![process(0, "world")];
    events.extend((0..trace.nodes).map(|node| process(node + 1, &text::node(node))));
    let end = trace.records.last().map_or(0, micros);
    for (index, span) in trace.faults.iter().enumerate() {
        let began = span.began.as_nanos() / 1000;
        let ended = span.ended.map_or(end, |ended| ended.as_nanos() / 1000);
        events.push(format!(
            "{{\"ph\":\"X\",\"pid\":0,\"tid\":{},\"ts\":{began},\"dur\":{},\"cat\":\"fault\",\"name\":\"{}\"}}",
            index + 1,
            ended.saturating_sub(began),
            text::json(&span.what)
        ));
    }
    let arrived: BTreeSet<u64> = trace.records.iter().filter_map(arrival).collect();
    for record in &trace.records {
        let pid = record.node.map_or(0, |node| node + 1);
        let at = micros(record);
        let name = text::json(&words(record));
        let family = Family::of(&record.what).name();
        events.push(format!(
            "{{\"ph\":\"X\",\"pid\":{pid},\"tid\":0,\"ts\":{at},\"dur\":{DRAWN},\"cat\":\"{family}\",\"name\":\"{name}\"}}"
        ));
        let number = record.number;
        if matches!(record.what, What::Sent { .. }) && arrived.contains(&number) {
            events.push(format!(
                "{{\"ph\":\"s\",\"id\":{number},\"pid\":{pid},\"tid\":0,\"ts\":{at},\"cat\":\"bytes\",\"name\":\"bytes\"}}"
            ));
        }
        if let Some(sent) = arrival(record) {
            events.push(format!(
                "{{\"ph\":\"f\",\"bp\":\"e\",\"id\":{sent},\"pid\":{pid},\"tid\":0,\"ts\":{at},\"cat\":\"bytes\",\"name\":\"bytes\"}}"
            ));
        }
    }
    format!("{{\"traceEvents\":[\n{}\n]}}\n", events.join(",\n"))
}

fn micros(record: &Record) -> u64 {
    record.at.as_nanos() / 1000
}

/// Returns the record of the bytes' being sent, if a record is of their arrival.
fn arrival(record: &Record) -> Option<u64> {
    record
        .cause
        .filter(|_| matches!(record.what, What::Received { .. }))
}

fn process(pid: u32, name: &str) -> String {
    format!(
        "{{\"ph\":\"M\",\"pid\":{pid},\"tid\":0,\"name\":\"process_name\",\"args\":{{\"name\":\"{}\"}}}}",
        text::json(name)
    )
}

#[cfg(all(test, feature = "json"))]
mod tests {
    use super::*;
    use crate::view::sample;

    #[test]
    fn every_record_is_an_event_and_every_arrow_has_two_ends() {
        let (trace, _) = sample::split();
        let json: serde_json::Value =
            serde_json::from_str(&chrome_trace(&trace)).expect("it is JSON");
        let events = json["traceEvents"].as_array().expect("a list");
        let count = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
        assert_eq!(count("X"), trace.records.len() + trace.faults.len());
        assert_eq!(count("M"), 7);
        assert!(count("f") > 20);
        assert_eq!(count("s"), count("f"));
    }
}
