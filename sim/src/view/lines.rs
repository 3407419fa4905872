//! The run as lines of JSON: for scripts.
//!
//! The first line says which schema it is, and what concerns the whole run; each further line is a record that can be understood
//! by itself.

use std::fmt;

use crate::trace::{FaultSpan, Record, Trace};

/// The schema that this version writes and reads.
const SCHEMA: u32 = 1;

#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    rs2p_sim_trace: u32,
    nodes: u32,
    records: u64,
    faults: Vec<FaultSpan>,
}

/// Why lines of JSON are no trace.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinesError {
    /// There is no line at all.
    Empty,
    /// The first line is no header of a trace.
    Header(serde_json::Error),
    /// The schema is another one than this version reads.
    Schema(u32),
    /// A line, counted from 1, is no record.
    Record(usize, serde_json::Error),
    /// There are fewer or more records than the header says.
    Count {
        /// How many the header says.
        said: u64,
        /// How many there are.
        found: u64,
    },
}

impl fmt::Display for LinesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a trace begins with a header, and here is nothing"),
            Self::Header(why) => write!(f, "the first line must be the header of a trace: {why}"),
            Self::Schema(found) => write!(
                f,
                "the trace has schema {found}, and this version reads schema {SCHEMA}"
            ),
            Self::Record(line, why) => write!(f, "line {line} must be a record: {why}"),
            Self::Count { said, found } => write!(
                f,
                "the header says that there are {said} records, but there are {found}"
            ),
        }
    }
}

impl std::error::Error for LinesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Header(why) | Self::Record(_, why) => Some(why),
            Self::Empty | Self::Schema(_) | Self::Count { .. } => None,
        }
    }
}

/// Returns the run as lines of JSON.
pub fn json_lines(trace: &Trace) -> String {
    let header = Header {
        rs2p_sim_trace: SCHEMA,
        nodes: trace.nodes,
        records: trace.records.len() as u64,
        faults: trace.faults.clone(),
    };
    let mut lines = line(&header);
    for record in &trace.records {
        lines.push_str(&line(record));
    }
    lines
}

fn line(value: &impl serde::Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("plain structures can be written");
    line.push('\n');
    line
}

/// Returns the run that was written as lines of JSON.
///
/// # Errors
///
/// The lines are not what [`json_lines`] writes, or not all of it.
pub fn parse_json_lines(lines: &str) -> Result<Trace, LinesError> {
    let mut lines = lines.lines().enumerate();
    let (_, header) = lines.next().ok_or(LinesError::Empty)?;
    let header: Header = serde_json::from_str(header).map_err(LinesError::Header)?;
    if header.rs2p_sim_trace != SCHEMA {
        return Err(LinesError::Schema(header.rs2p_sim_trace));
    }
    let record = |(index, line)| -> Result<Record, LinesError> {
        serde_json::from_str(line).map_err(|why| LinesError::Record(index + 1, why))
    };
    let records: Vec<Record> = lines.map(record).collect::<Result<_, _>>()?;
    let (said, found) = (header.records, records.len() as u64);
    if said != found {
        return Err(LinesError::Count { said, found });
    }
    Ok(Trace {
        records,
        nodes: header.nodes,
        faults: header.faults,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Time;
    use crate::trace::What;
    use crate::view::sample;

    fn record() -> impl Strategy<Value = Record> {
        let what = (0..sample::one_of_each().len(), any::<String>()).prop_map(|(kind, word)| {
            let what = sample::one_of_each().swap_remove(kind);
            if let What::Told(_) = what {
                What::Told(word)
            } else {
                what
            }
        });
        let node = any::<Option<u32>>();
        let numbers = (
            any::<u64>(),
            any::<u64>(),
            any::<u32>(),
            any::<Option<u64>>(),
        );
        (numbers, node, what).prop_map(|((number, at, life, cause), node, what)| Record {
            number,
            at: Time::from_nanos(at),
            node,
            life,
            cause,
            what,
        })
    }

    fn span() -> impl Strategy<Value = FaultSpan> {
        let times = (any::<u64>(), any::<Option<u64>>());
        (any::<String>(), times, any::<Vec<u32>>(), any::<u64>()).prop_map(
            |(what, (began, ended), nodes, effect)| FaultSpan {
                what,
                began: Time::from_nanos(began),
                ended: ended.map(Time::from_nanos),
                nodes,
                effect,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read(
            records in prop::collection::vec(record(), 0..20),
            nodes in any::<u32>(),
            faults in prop::collection::vec(span(), 0..3),
        ) {
            let trace = Trace { records, nodes, faults };
            let lines = json_lines(&trace);
            prop_assert_eq!(lines.lines().count(), trace.records.len() + 1);
            prop_assert_eq!(parse_json_lines(&lines).expect("a trace"), trace);
        }
    }

    #[test]
    fn what_is_no_trace_is_refused_with_the_rule() {
        let lines = json_lines(&sample::split().0);
        let cut = &lines[..lines.len() - 20];
        let (header, _) = lines.split_once('\n').expect("a header");
        let cases = [
            (String::new(), "begins with a header"),
            ("{}".to_owned(), "header of a trace"),
            (lines.replace("_trace\":1", "_trace\":2"), "schema 2"),
            (cut.to_owned(), "must be a record"),
            (header.to_owned(), "but there are 0"),
        ];
        for (lines, rule) in cases {
            let error = parse_json_lines(&lines).expect_err(rule).to_string();
            assert!(error.contains(rule), "{error}");
        }
    }
}
