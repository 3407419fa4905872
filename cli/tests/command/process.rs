//! Processes of the command, and waiting for what they show.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take. Only a failure takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// The command at work. Killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

/// How the command ended, and all that it showed and that was not waited for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Lines of one output, as a thread reads them.
struct Lines {
    name: &'static str,
    receiver: Receiver<String>,
}

impl Process {
    /// Starts the command, with pipes.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with_input(args, Stdio::piped())
    }

    /// Starts the command with this standard input, and pipes for what it shows.
    pub(crate) fn start_with_input(args: &[&str], stdin: Stdio) -> Self {
        Self::start_with(args, stdin, Stdio::piped())
    }

    /// Starts the command with a standard output that nobody reads any more, as after `head`.
    pub(crate) fn start_unread(args: &[&str]) -> Self {
        let (reader, writer) = std::io::pipe().expect("pipes can be had");
        drop(reader);
        Self::start_with(args, Stdio::piped(), writer.into())
    }

    /// Starts the command with this standard input and output.
    pub(crate) fn start_with(args: &[&str], stdin: Stdio, stdout: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rs2p"));
        command.args(args).stdin(stdin).stdout(stdout);
        command.stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary is built");
        Self {
            stdin: child.stdin.take(),
            stdout: Lines::of("stdout", child.stdout.take()),
            stderr: Lines::of("stderr", child.stderr.take()),
            child,
        }
    }

    /// Runs the command to its end.
    pub(crate) fn run(args: &[&str]) -> Ended {
        Self::start_with_input(args, Stdio::null()).ended()
    }

    /// Starts a node with JSON output that listens on any free port, and returns its address.
    pub(crate) fn listener(options: &[&str]) -> (Self, String) {
        let args = ["node", "--listen", "127.0.0.1:0", "--json"];
        let node = Self::start(&[&args, options].concat());
        let listening = node.event("listening");
        let address = listening["address"]
            .as_str()
            .expect("it is text")
            .to_owned();
        (node, address)
    }

    /// Writes to its standard input.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        stdin.write_all(bytes).expect("it is read");
    }

    /// Ends its standard input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for a line on standard output, and returns it.
    pub(crate) fn out(&self, is_it: impl FnMut(&str) -> bool) -> String {
        self.stdout.wait(is_it)
    }

    /// Waits for a line on standard error that contains a text, and returns it.
    pub(crate) fn err(&self, text: &str) -> String {
        self.stderr.wait(|line| line.contains(text))
    }

    /// Waits for two lines on standard error, in whichever order.
    pub(crate) fn err_both(&self, one: &str, other: &str) {
        let first = self
            .stderr
            .wait(|line| line.contains(one) || line.contains(other));
        self.err(if first.contains(one) { other } else { one });
    }

    /// Waits for the next JSON line with this event. Every line before it has to be JSON, too.
    pub(crate) fn event(&self, name: &str) -> Value {
        let line = self.out(|line| json(line)["event"] == name);
        json(&line)
    }

    /// Waits for the next message, and returns its text.
    pub(crate) fn message(&self) -> String {
        let message = self.event("message");
        message["text"].as_str().expect("it has a text").to_owned()
    }

    /// Sends the process a signal, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name}");
    }

    /// Sends the process a signal again and again until it has ended, and returns its status.
    pub(crate) fn signal_until_ended(mut self, name: &str) -> Option<i32> {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status.code();
            }
            self.signal(name);
        }
        panic!("it does not end");
    }

    /// Waits for the end of the process.
    pub(crate) fn ended(mut self) -> Ended {
        self.stdin = None;
        let stdout = self.stdout.rest();
        let stderr = self.stderr.rest();
        // Both outputs are closed: it ends now, or has.
        let status = self.child.wait().expect("it is our child").code();
        Ended {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn of(name: &'static str, output: Option<impl Read + Send + 'static>) -> Self {
        let (sender, receiver) = channel();
        let Some(output) = output else {
            return Self { name, receiver };
        };
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                // When nobody wants more lines, the output is closed.
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { name, receiver }
    }

    fn wait(&self, mut is_it: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(line) if is_it(&line) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{} has no such line: {error}; it has {seen:#?}", self.name),
            }
        }
    }

    fn rest(&self) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut rest = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(line) => rest = rest + &line + "\n",
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("it does not end; {} has {rest}", self.name)
                }
            }
        }
    }
}

/// Reads a line that has to be a JSON object with an event.
pub(crate) fn json(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(value["event"].is_string(), "{line}");
    value
}

/// Returns an address that nobody listens on.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let address = listener.local_addr().expect("it is bound");
    address.to_string()
}
