//! What a peer has said so far, and waiting for more of it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::value;

/// How many lines of the conversation, and of stderr, a failure shows.
const TAIL_LEN: usize = 200;
/// How much of each line is kept for that.
const LINE_LEN: usize = 1_000;

/// A message that the library gave to its user.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PeerMessage {
    /// Running number at this peer, for [`Peer::reply`](super::Peer::reply).
    pub n: u64,
    /// Main type: 0 for a broadcast, 2 for a whisper.
    #[serde(rename = "type")]
    pub main_type: Value,
    /// Id of the node it came from first.
    pub sender: Value,
    /// Seconds since 1970.
    pub time: Value,
    /// Message id in hex.
    pub id: String,
    /// Sub-flag, then the packets. See [`value`] for how to compare them.
    pub packets: Vec<Value>,
    /// The serialized bytes, with [`PeerOptions::raw`](super::PeerOptions::raw).
    #[serde(default, deserialize_with = "bytes_of_hex")]
    pub raw: Option<Vec<u8>>,
}

impl PeerMessage {
    /// Returns the packets without the sub-flag.
    pub fn user_packets(&self) -> &[Value] {
        self.packets.get(1..).unwrap_or_default()
    }

    /// Returns the sender's id as text, whether it came as bin or as str; empty if as neither.
    pub fn sender_text(&self) -> String {
        value::text(&self.sender).unwrap_or_default()
    }
}

fn bytes_of_hex<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    Ok(value::unhex(&String::deserialize(from)?))
}

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmet {
    /// It did not come in time.
    Timeout(Duration),
    /// The process ended first.
    Ended,
}

/// Everything a peer has said, filled by the threads that read its output.
#[derive(Debug, Default)]
pub(super) struct Log {
    heard: Mutex<Heard>,
    more: Condvar,
}

/// The part that waits look at.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) messages: Vec<PeerMessage>,
    /// All other events, except results that have a number.
    pub(super) events: Vec<Value>,
    /// Results nobody has taken yet, by the number of the command.
    pub(super) results: BTreeMap<u64, Value>,
    /// Lines on stdout that are no events: the drivers should not write any.
    pub(super) noise: Vec<String>,
    stdout_ended: bool,
    stderr_ended: bool,
    conversation: Tail,
    stderr: Tail,
}

impl Log {
    /// Reads events until the peer closes its stdout.
    pub(super) fn read_stdout(&self, stdout: impl Read) {
        for_each_line(stdout, |line| {
            self.lock().take_line(line);
            self.more.notify_all();
        });
        self.lock().stdout_ended = true;
        self.more.notify_all();
    }

    /// Keeps the end of what the peer writes on stderr.
    pub(super) fn read_stderr(&self, stderr: impl Read) {
        for_each_line(stderr, |line| self.lock().stderr.push("  ", line));
        self.lock().stderr_ended = true;
        self.more.notify_all();
    }

    /// Notes a line of the conversation, for the report of a failure.
    pub(super) fn note(&self, direction: &'static str, line: &str) {
        self.lock().conversation.push(direction, line);
    }

    /// Gives what was heard. The lock is not to be held across a wait.
    pub(super) fn lock(&self) -> MutexGuard<'_, Heard> {
        // A test's predicate may have panicked on another thread; what was heard is whole anyway.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `pick` finds something. It is asked again after each line.
    pub(super) fn wait<T>(
        &self,
        timeout: Duration,
        mut pick: impl FnMut(&mut Heard) -> Option<T>,
    ) -> Result<T, Unmet> {
        let deadline = Instant::now() + timeout;
        let mut heard = self.lock();
        loop {
            if let Some(found) = pick(&mut heard) {
                return Ok(found);
            }
            if heard.has_ended() {
                return Err(Unmet::Ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Unmet::Timeout(timeout));
            }
            heard = self
                .more
                .wait_timeout(heard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Returns the end of the conversation and of stderr, as text for a panic.
    pub(super) fn report(&self) -> String {
        let heard = self.lock();
        let mut text = String::new();
        heard
            .conversation
            .write(&mut text, "conversation (> to it, < from it)");
        heard.stderr.write(&mut text, "stderr");
        text
    }
}

impl Heard {
    /// Returns whether the process has ended, and everything it said was heard.
    pub(super) fn has_ended(&self) -> bool {
        // Both, so that a failure's report holds the last words, which often are on stderr.
        self.stdout_ended && self.stderr_ended
    }

    fn take_line(&mut self, line: &str) {
        let Ok(mut event) = serde_json::from_str::<Value>(line) else {
            self.conversation.push("? ", line);
            self.noise.push(line.to_owned());
            return;
        };
        value::normalise(&mut event);
        if event["event"] == "result"
            && let Some(number) = event["seq"].as_u64()
        {
            // Noted by the one who takes it, since a poll's many results are better left out.
            self.results.insert(number, event);
            return;
        }
        self.conversation.push("< ", line);
        if event["event"] == "message"
            && let Ok(message) = PeerMessage::deserialize(&event)
        {
            self.messages.push(message);
        } else {
            self.events.push(event);
        }
    }
}

/// The last lines of something.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<String>,
    dropped: usize,
}

impl Tail {
    fn push(&mut self, prefix: &str, line: &str) {
        if self.lines.len() == TAIL_LEN {
            self.lines.pop_front();
            self.dropped += 1;
        }
        let mut shown = String::from(prefix);
        shown.extend(line.chars().take(LINE_LEN));
        if line.len() > LINE_LEN {
            let _ = write!(shown, ".. ({} bytes)", line.len());
        }
        self.lines.push_back(shown);
    }

    fn write(&self, text: &mut String, title: &str) {
        let _ = write!(text, "\n--- {title}");
        if self.dropped > 0 {
            let _ = write!(text, ", {} earlier lines left out", self.dropped);
        }
        for line in &self.lines {
            text.push('\n');
            text.push_str(line);
        }
    }
}

fn for_each_line(from: impl Read, mut take: impl FnMut(&str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    // Bytes, since a library may print what is not UTF-8. An error is an end like any other.
    while matches!(from.read_until(b'\n', &mut line), Ok(len) if len > 0) {
        take(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const MESSAGE: &str = r#"{"event":"message","n":1,"type":{"t":"int","v":"0"},"sender":{"t":"bin","hex":"4142"},
        "time":{"t":"int","v":"5"},"id":"00","packets":[{"t":"int","v":"0"},{"t":"str","v":"x"}],"raw":"0aff"}"#;

    /// The log of a peer that said this and ended.
    fn log_of(stdout: &str, stderr: &[u8]) -> Log {
        let log = Log::default();
        log.read_stdout(stdout.as_bytes());
        log.read_stderr(stderr);
        log
    }

    #[test]
    fn events_are_sorted_by_kind() {
        let message = MESSAGE.replace('\n', "");
        let lines = [
            message.as_str(),
            "nonsense",
            r#"{"event":"connect"}"#,
            r#"{"event":"result","seq":3}"#,
            r#"{"event":"result","cmd":"connect"}"#,
        ];
        let log = log_of(&lines.join("\n"), b"");
        let heard = log.lock();
        let [message] = &heard.messages[..] else {
            panic!("{heard:?}");
        };
        assert_eq!(message.user_packets(), [value::str("x")]);
        assert_eq!(message.sender_text(), "AB");
        assert_eq!(message.raw.as_deref(), Some(&b"\x0a\xff"[..]));
        assert_eq!(heard.noise, ["nonsense"]);
        assert_eq!(Vec::from_iter(heard.results.keys()), [&3]);
        let names = heard.events.iter().map(|event| event["event"].as_str());
        assert_eq!(Vec::from_iter(names), [Some("connect"), Some("result")]);
    }

    #[test]
    fn a_wait_ends_when_the_peer_does() {
        let log = log_of("{\"event\":\"exit\"}\n", b"");
        let exit = log.wait(LONG, |heard| heard.events.first().cloned());
        assert_eq!(exit.unwrap()["event"], "exit");
        assert_eq!(log.wait(LONG, |_| None::<()>), Err(Unmet::Ended));
    }

    #[test]
    fn a_wait_ends_in_time() {
        let short = Duration::from_millis(1);
        let log = Log::default();
        assert_eq!(log.wait(short, |_| None::<()>), Err(Unmet::Timeout(short)));
    }

    #[test]
    fn a_wait_sees_what_comes_meanwhile() {
        let log = Log::default();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| log.wait(LONG, |heard| heard.events.pop()));
            log.read_stdout(&b"{\"event\":\"connect\"}\n"[..]);
            assert_eq!(waiter.join().unwrap().unwrap()["event"], "connect");
        });
    }

    #[test]
    fn a_report_shows_the_end_of_all_streams() {
        let mut stderr: Vec<u8> = (0..=TAIL_LEN)
            .flat_map(|n| format!("line {n}.\n").into_bytes())
            .collect();
        stderr.extend(b"caf\xe9");
        let log = log_of("{\"event\":\"connect\"}\nodd\n", &stderr);
        log.note("> ", "{\"cmd\":\"ping\"}");

        let report = log.report();
        for part in [
            "< {\"event\"",
            "? odd",
            "> {\"cmd\"",
            "2 earlier lines",
            "line 2.",
            "caf",
        ] {
            assert!(report.contains(part), "{part} in {report}");
        }
        assert!(!report.contains("line 1."), "{report}");
    }
}
