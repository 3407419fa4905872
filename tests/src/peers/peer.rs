//! One peer: its process, its identity, and waiting for what it reports.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddrV4;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::address::next_address;
use super::commands::{CommandError, Counts, RoutingRow};
use super::log::{Heard, Log, PeerMessage, Unmet};
use super::options::{Encryption, PeerOptions};
use super::provision::{self, Availability};
use super::value;

/// How often a peer is asked while waiting for what it does not tell by itself.
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// How often a process is looked at that is about to halt, which is a matter of a time slice.
const HALT_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Which library a peer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Package {
    /// py2p on CPython 3.
    Py2p,
    /// js2p on Node.
    Js2p,
}

impl Package {
    /// Returns the package's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Py2p => "py2p",
            Self::Js2p => "js2p",
        }
    }
}

/// A running node of another implementation.
///
/// All methods take `&self`, so threads of a test may share it. What it reports is kept from the
/// start: a wait looks at what came before it as well, so nothing is missed between two calls.
/// Dropping it kills the process without a farewell, as a crash would.
pub struct Peer {
    package: Package,
    address: SocketAddrV4,
    id: String,
    protocol_id: String,
    timeout: Duration,
    log: Arc<Log>,
    process: Process,
    stdin: Mutex<ChildStdin>,
    last_command: AtomicU64,
}

impl Peer {
    /// Starts a py2p node and waits until it listens.
    ///
    /// # Panics
    ///
    /// If the node does not start, or the options ask for what py2p does not have.
    #[track_caller]
    pub fn py2p(options: PeerOptions) -> Availability<Self> {
        assert_ne!(options.encryption, Encryption::Ws, "py2p has no WebSocket");
        let py2p = match provision::py2p() {
            Availability::Ready(py2p) => py2p,
            Availability::Missing(what) => return Availability::Missing(what),
        };
        if options.encryption == Encryption::Ssl && py2p.version >= (3, 12) {
            let (major, minor) = py2p.version;
            return Availability::Missing(format!(
                "py2p's SSL mode needs a python3 below 3.12, this is {major}.{minor}"
            ));
        }
        let mut command = Command::new(py2p.python);
        command.arg(provision::drivers().join("py2p_peer.py"));
        Availability::Ready(Self::start(Package::Py2p, command, &options))
    }

    /// Starts a js2p node and waits until it listens.
    ///
    /// # Panics
    ///
    /// If the node does not start.
    #[track_caller]
    pub fn js2p(options: PeerOptions) -> Availability<Self> {
        let js2p = match provision::js2p() {
            Availability::Ready(js2p) => js2p,
            Availability::Missing(what) => return Availability::Missing(what),
        };
        let mut command = Command::new("node");
        command
            .arg("--no-deprecation")
            .arg(provision::drivers().join("js2p_peer.js"))
            .env("NODE_PATH", js2p.node_path);
        Availability::Ready(Self::start(Package::Js2p, command, &options))
    }

    #[track_caller]
    fn start(package: Package, mut command: Command, options: &PeerOptions) -> Self {
        let address = options.address.unwrap_or_else(next_address);
        command
            .args(options.command_line(address))
            .envs(options.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start {command:?}: {error}"),
        };

        let log = Arc::new(Log::default());
        let stdin = child.stdin.take().expect("stdin is a pipe");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        // The threads end with the process, which is not outlived by the peer.
        let reading = Arc::clone(&log);
        thread::spawn(move || reading.read_stdout(stdout));
        let reading = Arc::clone(&log);
        thread::spawn(move || reading.read_stderr(stderr));

        let mut peer = Self {
            package,
            address,
            id: String::new(),
            protocol_id: String::new(),
            timeout: options.timeout,
            log,
            process: Process::new(child),
            stdin: Mutex::new(stdin),
            last_command: AtomicU64::new(0),
        };
        let ready = peer.wait_event("ready", |_| true);
        let text = |name| value::text(&ready[name]).expect("the drivers give ids as text");
        peer.id = text("id");
        peer.protocol_id = text("protocol_id");
        peer
    }

    /// Returns which library this is.
    pub fn package(&self) -> Package {
        self.package
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Returns its node id as text, whatever its type on the wire.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns its protocol id as text, whatever its type on the wire.
    pub fn protocol_id(&self) -> &str {
        &self.protocol_id
    }

    /// Returns the messages reported so far, oldest first.
    pub fn messages(&self) -> Vec<PeerMessage> {
        self.log.lock().messages.clone()
    }

    /// Returns the events reported so far, oldest first: all but messages and answers.
    pub fn events(&self) -> Vec<Value> {
        self.log.lock().events.clone()
    }

    /// Returns what the peer wrote to stdout besides events. Drivers that work write nothing.
    pub fn noise(&self) -> Vec<String> {
        self.log.lock().noise.clone()
    }

    /// Returns the first message, of all since the start, that `is_wanted` accepts.
    ///
    /// # Panics
    ///
    /// If none comes in time, or the process ends.
    #[track_caller]
    pub fn wait_message(&self, is_wanted: impl Fn(&PeerMessage) -> bool) -> PeerMessage {
        let mut seen = 0;
        let found = self.log.wait(self.timeout, |heard| {
            let found = heard.messages[seen..]
                .iter()
                .find(|message| is_wanted(message));
            seen = heard.messages.len();
            found.cloned()
        });
        match found {
            Ok(message) => message,
            Err(unmet) => self.fail_wait("no such message", unmet),
        }
    }

    /// Returns the first event called `name`, of all since the start, that `is_wanted` accepts.
    ///
    /// Messages have [`wait_message`](Self::wait_message); answers are what the commands return.
    ///
    /// # Panics
    ///
    /// If none comes in time, or the process ends.
    #[track_caller]
    pub fn wait_event(&self, name: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut seen = 0;
        let found = self.log.wait(self.timeout, |heard| {
            let mut fresh = heard.events[seen..].iter();
            let found = fresh.find(|event| event["event"] == name && is_wanted(event));
            seen = heard.events.len();
            found.cloned()
        });
        match found {
            Ok(event) => event,
            Err(unmet) => self.fail_wait(&format!("no such event {name:?}"), unmet),
        }
    }

    /// Waits until the routing table has exactly `links` established links, and returns them.
    ///
    /// # Panics
    ///
    /// If it has another number for too long.
    #[track_caller]
    pub fn wait_routing(&self, links: usize) -> Vec<RoutingRow> {
        let what = format!("not {links} established links");
        self.poll(&what, Self::routing, |rows| {
            let up = rows.iter().filter(|row| row.is_established());
            let up: Vec<_> = up.cloned().collect();
            (up.len() == links).then_some(up)
        })
    }

    /// Waits until the routing table has an established link to the node with this id.
    ///
    /// # Panics
    ///
    /// If there is none for too long.
    #[track_caller]
    pub fn wait_linked(&self, id: &str) -> RoutingRow {
        let what = format!("no established link to {id}");
        self.poll(&what, Self::routing, |rows| {
            let mut up = rows.iter().filter(|row| row.is_established());
            up.find(|row| row.id_text() == id).cloned()
        })
    }

    /// Waits until a quiet peer has counted at least `total` messages, and returns its counts.
    ///
    /// # Panics
    ///
    /// If it counts fewer for too long.
    #[track_caller]
    pub fn wait_counts(&self, total: u64) -> Counts {
        let what = format!("not {total} messages counted");
        self.poll(&what, Self::counts, |counts| {
            (counts.total >= total).then_some(*counts)
        })
    }

    #[track_caller]
    fn poll<T: fmt::Debug, R>(
        &self,
        what: &str,
        ask: impl Fn(&Self) -> Result<T, CommandError>,
        pick: impl Fn(&T) -> Option<R>,
    ) -> R {
        let deadline = Instant::now() + self.timeout;
        loop {
            let answer = ask(self);
            if let Some(found) = answer.as_ref().ok().and_then(&pick) {
                return found;
            }
            if Instant::now() >= deadline {
                let what = format!("{what} but {answer:#?}");
                self.fail_wait(&what, Unmet::Timeout(self.timeout));
            }
            // A foreign process that does not tell when these change can only be asked again.
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Closes the node in its own way, and waits for the process to end.
    ///
    /// # Panics
    ///
    /// If it does not end in time.
    #[track_caller]
    pub fn close(&self) -> ExitStatus {
        if let Err(error) = self.command(json!({ "cmd": "close" })) {
            self.fail(&error.to_string());
        }
        self.wait_event("exit", |_| true);
        let ended = |heard: &mut Heard| heard.has_ended().then_some(());
        if let Err(unmet) = self.log.wait(self.timeout, ended) {
            self.fail_wait("still running", unmet);
        }
        match self.process.wait() {
            Ok(status) => status,
            Err(error) => self.fail(&format!("cannot be waited for: {error}")),
        }
    }

    /// Kills the process without a farewell. Its links end when the system closes its sockets.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Returns the id of its process, for looking at what it uses. [`stop`](Self::stop) and
    /// [`kill`](Self::kill) are the safe ways to signal it.
    pub fn process_id(&self) -> u32 {
        self.process.child().id()
    }

    /// Halts the process: its sockets stay open and nothing reads them, until [`cont`](Self::cont).
    ///
    /// Returns when every thread has come to a halt.
    ///
    /// # Panics
    ///
    /// If the process has ended, or does not halt in time.
    #[track_caller]
    pub fn stop(&self) {
        self.signal("STOP");
        let deadline = Instant::now() + self.timeout;
        // On a busy machine the others run on until the one thread that takes the signal does.
        while !is_halted(self.process_id()) {
            if Instant::now() >= deadline {
                self.fail_wait("not halted", Unmet::Timeout(self.timeout));
            }
            thread::sleep(HALT_POLL_INTERVAL);
        }
    }

    /// Lets a halted process go on.
    ///
    /// # Panics
    ///
    /// If the process has ended.
    #[track_caller]
    pub fn cont(&self) {
        self.signal("CONT");
    }

    #[track_caller]
    fn signal(&self, signal: &str) {
        self.log.note("> ", &format!("SIG{signal}"));
        if let Err(error) = self.process.signal(signal) {
            self.fail(&format!("cannot send SIG{signal}: {error}"));
        }
    }

    /// Sends a command of the drivers and returns their answer.
    ///
    /// For what no method covers; `command` is an object with `cmd`.
    ///
    /// # Errors
    ///
    /// The library's exception, or what the driver says about a wrong command.
    ///
    /// # Panics
    ///
    /// If no answer comes in time, or the process ends.
    #[track_caller]
    pub fn command(&self, command: Value) -> Result<Value, CommandError> {
        let answer = self.exchange(command, self.timeout, true);
        CommandError::check(answer)
    }

    /// Sends a command and returns the answer, also one that tells of an error.
    ///
    /// `noted` says whether it is shown when a later wait fails.
    #[track_caller]
    pub(super) fn exchange(&self, mut command: Value, timeout: Duration, noted: bool) -> Value {
        let number = self.last_command.fetch_add(1, Ordering::Relaxed) + 1;
        command["seq"] = json!(number);
        let line = command.to_string();
        if noted {
            self.log.note("> ", &line);
        }
        {
            let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
            // A peer that is gone shows below, by the end of its stdout.
            let _ = stdin.write_all(format!("{line}\n").as_bytes());
        }
        let answer = self
            .log
            .wait(timeout, |heard| heard.results.remove(&number));
        match answer {
            Ok(answer) => {
                if noted {
                    self.log.note("< ", &answer.to_string());
                }
                answer
            }
            Err(unmet) => self.fail_wait(&format!("no answer to {line}"), unmet),
        }
    }

    /// Returns how long a wait may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    // Called from `match`, not from closures: those would hide which line of the test waited.
    #[track_caller]
    fn fail_wait(&self, what: &str, unmet: Unmet) -> ! {
        let when = match unmet {
            Unmet::Timeout(timeout) => format!("within {timeout:?}"),
            Unmet::Ended => match self.process.status() {
                Some(status) => format!("and the process has ended, {status}"),
                None => "and the process has closed its output".to_owned(),
            },
        };
        self.fail(&format!("{what} {when}"))
    }

    /// Panics with everything that may help to see why.
    #[track_caller]
    pub(super) fn fail(&self, what: &str) -> ! {
        panic!("{self:?}: {what}{}", self.log.report());
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.package.name(), self.address)
    }
}

/// The child process. Nothing is sent to its id once it is known to have ended, since the system
/// may have given the id to another process by then.
struct Process(Mutex<Child>);

impl Process {
    fn new(child: Child) -> Self {
        Self(Mutex::new(child))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) -> io::Result<ExitStatus> {
        self.child().wait()
    }

    fn status(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    fn kill(&self) {
        let mut child = self.child();
        // Both fail only if it has been waited for already. A halted process is killed as well.
        let _ = child.kill();
        let _ = child.wait();
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let mut child = self.child();
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("the process has ended, {status}")));
        }
        // The command, since the system call would be unsafe code.
        let status = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("kill ended with {status}")));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns whether all threads of a process are halted. Where the system does not show its
/// processes as Linux does, this cannot be told and is taken for granted.
fn is_halted(process_id: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process_id}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        // A thread that has gone since it was listed does not run either.
        fs::read_to_string(thread.path().join("stat")).map_or(true, |stat| {
            // The state follows the name, which is in parentheses and may hold some itself.
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    })
}
