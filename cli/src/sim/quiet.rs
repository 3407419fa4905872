//! Panics that are expected: of nodes under test, thousands of times.

use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex};

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// While this lives, panics print nothing. The last one is kept.
pub(super) struct Quiet {
    before: Option<Hook>,
    last: Arc<Mutex<Option<String>>>,
}

impl Quiet {
    pub(super) fn new() -> Self {
        let before = panic::take_hook();
        let last = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&last);
        panic::set_hook(Box::new(move |panic| {
            if let Ok(mut last) = keep.lock() {
                *last = Some(panic.to_string());
            }
        }));
        Self {
            before: Some(before),
            last,
        }
    }

    /// Returns what the last panic would have printed: where it was, and its message.
    pub(super) fn last(&self) -> Option<String> {
        self.last.lock().ok()?.clone()
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // This one was not expected, and nobody has seen it. A hook cannot be set while it goes on.
            let last = self.last().unwrap_or_default();
            eprintln!("{last}");
        } else if let Some(before) = self.before.take() {
            panic::set_hook(before);
        }
    }
}
