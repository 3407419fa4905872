//! Measurements in processes of their own.

use std::env;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::machine;

/// What the last line of a child's output begins with.
const MARK: &str = "outcome ";

/// After this a child counts as stuck, and is ended.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs this program anew with other arguments, and returns what it [told](tell).
///
/// smol's executor gets as many threads as there are cores, as tokio's has by itself.
///
/// # Errors
///
/// The process did not end in time, or ended without telling anything.
pub fn run<T: DeserializeOwned>(arguments: &[String]) -> Result<T, String> {
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(this)
        .args(arguments)
        .env("SMOL_THREADS", machine::cores().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut stdout = child.stdout.take().expect("it is a pipe");
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        // If nobody waits any more, the child was ended.
        let _ = done.send(read.map(|_| text));
    });
    let text = ended.recv_timeout(LIMIT);
    if text.is_err() {
        // It may have ended in the meantime, which is as good.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let text = text.map_err(|_error| format!("not done in {} s", LIMIT.as_secs()))?;
    let text = text.map_err(|error| error.to_string())?;
    let told = text.lines().rev().find_map(|line| line.strip_prefix(MARK));
    let told = told.ok_or_else(|| format!("it told nothing, {status}"))?;
    let told: Result<T, String> = serde_json::from_str(told).map_err(|error| error.to_string())?;
    told
}

/// Tells the process that started this one what came of it.
///
/// # Panics
///
/// The outcome cannot be written as JSON.
pub fn tell<T: Serialize>(outcome: &Result<T, String>) {
    let text = serde_json::to_string(outcome).expect("outcomes are plain data");
    println!("{MARK}{text}");
}
