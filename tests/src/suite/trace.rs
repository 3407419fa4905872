//! What is traced, kept for tests to look at.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Everything that the crates of rs2p have traced since [`Traces::start`], of all sockets of the process.
#[derive(Clone, Debug, Default)]
pub struct Traces(Arc<Mutex<Vec<(Level, String)>>>);

impl Traces {
    /// Begins to keep what is traced. There is one record for the whole process.
    pub fn start() -> Self {
        static RECORD: OnceLock<Traces> = OnceLock::new();
        let start = || {
            let traces = Self::default();
            let set = tracing::subscriber::set_global_default(traces.clone());
            set.expect("nobody else in this process traces");
            traces
        };
        RECORD.get_or_init(start).clone()
    }

    /// Returns whether a line at this level has all these words.
    #[must_use]
    pub fn tell(&self, level: Level, words: &[&str]) -> bool {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .any(|(at, line)| *at == level && words.iter().all(|word| line.contains(word)))
    }
}

impl Subscriber for Traces {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("rs2p")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push((*event.metadata().level(), line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).expect("a string takes everything");
    }
}
