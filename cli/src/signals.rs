//! Ctrl-C, and the polite request to end.

use std::io;

use async_signal::{Signal, Signals};
use smol::channel::{Receiver, bounded};
use smol::stream::StreamExt as _;

use crate::exit;

/// The signals that ask a node to leave. Not `SIGHUP`: `nohup` has it ignored, and a handler would
/// undo that.
#[cfg(unix)]
const ASKING: [Signal; 2] = [Signal::Int, Signal::Term];
#[cfg(not(unix))]
const ASKING: [Signal; 1] = [Signal::Int];

/// The first signal that asks to end; the second ends the process at once.
#[derive(Debug)]
pub(crate) struct Interrupt(Receiver<()>);

impl Interrupt {
    /// Takes the signals over from the system, which would end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut signals = Signals::new(ASKING)?;
        let (sender, receiver) = bounded(1);
        let watch = async move {
            let mut is_asked = false;
            while signals.next().await.is_some() {
                if is_asked {
                    std::process::exit(exit::INTERRUPTED);
                }
                is_asked = true;
                // If nobody waits any more, the process is about to end anyway.
                let _ = sender.try_send(());
            }
        };
        smol::spawn(watch).detach();
        Ok(Self(receiver))
    }

    /// Waits for the first signal.
    pub(crate) async fn asked(&self) {
        if self.0.recv().await.is_err() {
            // No more signals can come.
            std::future::pending::<()>().await;
        }
    }
}
