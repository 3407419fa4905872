//! What people and scripts look at: views of a [`Trace`](crate::Trace) and a [`Report`](crate::Report), as text.
//!
//! All of them are functions from what happened to a string: no files, no network, and the same bytes for the same run.

mod chrome;
mod compare;
mod lanes;
mod mermaid;
mod numbers;
mod page;
mod spread;
mod story;
mod text;
mod timeline;
mod words;

#[cfg(feature = "json")]
mod lines;
#[cfg(test)]
mod sample;

pub use chrome::chrome_trace;
pub use compare::{Change, Comparison, Thresholds, Verdict, compare};
#[cfg(feature = "json")]
pub use lines::{LinesError, json_lines, parse_json_lines};
pub use mermaid::{MAX_MERMAID_EVENTS, mermaid};
pub use numbers::{Gathered, Stats, Summary, human, numbers, statistics, summarize};
pub use page::{PageOptions, page};
pub use spread::{Arrival, Copy, Spread};
pub use story::{MAX_CONE, Story};
pub use timeline::{Filter, timeline};
pub use words::{Family, symbol, words};
