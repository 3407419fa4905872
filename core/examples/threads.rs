//! A node on plain threads and blocking sockets: what it takes to drive the state without any async runtime.
//!
//! ```console
//! $ cargo run -p rs2p-core --example threads -- 127.0.0.1:4444
//! $ cargo run -p rs2p-core --example threads -- 127.0.0.1:4445 127.0.0.1:4444
//! ```
//!
//! The arguments: where to listen, and any participants to dial. Lines that are typed go to everybody, and what others
//! say is printed. The end of input ends it. A `rs2p node --join 127.0.0.1:4444` understands it too.
//!
//! Everything that happens comes through one channel to one loop, which alone has the state: nothing is locked. Whatever
//! blocks has a thread of its own: the listener, each dial, the input, and for each link one that reads and one that writes.
//! What it lacks to be an adapter is TLS, WebSocket, and an API; see `rs2p-driver` for those.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "this is a driver: sockets, threads, the clock and the terminal are its part, so that the core needs none"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufRead as _, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rs2p_core::{Config, DialFailure, DialId, Event, Instant, LinkId, MeshState, Output, UnixTime};

/// How many bytes may be on their way to a thread that writes. Without such a limit a slow peer would cost any memory.
const CREDIT: usize = 64 << 10;

/// How long a write may take nothing, and how long the other side may take to close after us.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// What happens.
enum Input {
    Accepted(TcpStream, SocketAddr),
    Dialed(DialId, io::Result<TcpStream>),
    Bytes(LinkId, Vec<u8>),
    Written(LinkId, usize),
    Closed(LinkId),
    Line(String),
    End,
}

/// What the loop has of a link: the queue of the thread that writes, whose end is the link's, and that thread.
type Link = (Sender<Bytes>, JoinHandle<()>);

struct Driver {
    state: MeshState,
    start: std::time::Instant,
    links: BTreeMap<LinkId, Link>,
    closing: Vec<JoinHandle<()>>,
    sender: Sender<Input>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let listen = args
        .next()
        .ok_or("usage: threads LISTEN [PARTICIPANT]...")?;
    let listener = TcpListener::bind(listen)?;
    let config = Config {
        advertised: Some(listener.local_addr()?.into()),
        seeds: args.map(|seed| seed.parse()).collect::<Result<_, _>>()?,
        ..Config::default()
    };
    println!("listening on {}", listener.local_addr()?);
    let (sender, inputs) = mpsc::channel();
    let mut driver = Driver {
        state: MeshState::new(config, seed(), Instant::ZERO, calendar())?,
        start: std::time::Instant::now(),
        links: BTreeMap::new(),
        closing: Vec::new(),
        sender: sender.clone(),
    };
    let accepted = sender.clone();
    thread::spawn(move || accept(&listener, &accepted));
    thread::spawn(move || read_lines(&sender));
    driver.run(&inputs);
    // The last words are still being written.
    for writer in driver.closing {
        drop(writer.join());
    }
    Ok(())
}

impl Driver {
    /// The loop: carry out what the state wants, then wait for the next thing to happen, or for its deadline.
    fn run(&mut self, inputs: &Receiver<Input>) {
        while self.carry_out() {
            let now = self.now();
            let due = self.state.poll_timeout();
            let wait = due.map_or(Duration::MAX, |due| due.saturating_duration_since(now));
            let input = inputs.recv_timeout(wait);
            let now = self.now();
            self.state.handle_wall_clock(calendar(), now);
            match input {
                Ok(input) => self.take(input, now),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Early is as good as late: also between inputs that leave no pause.
            self.state.handle_timeout(now);
        }
    }

    /// Does what the state wants. Returns whether it goes on.
    fn carry_out(&mut self) -> bool {
        while let Some(output) = self.state.poll_output() {
            match output {
                Output::Dial(dial, address) => {
                    let sender = self.sender.clone();
                    thread::spawn(move || {
                        let stream = TcpStream::connect((address.host(), address.port()));
                        drop(sender.send(Input::Dialed(dial, stream)));
                    });
                }
                // `connect` cannot be stopped. What comes of it is not taken.
                Output::CancelDial(_) => {}
                Output::Send { link, bytes, .. } => {
                    if let Some((queue, _)) = self.links.get(&link) {
                        // If the thread is gone, it has said that the link is closed.
                        drop(queue.send(bytes));
                    }
                }
                Output::Close(link, _) => self.let_go(link),
                Output::Message(message) => {
                    println!("{}: {:?}", message.sender(), message.packets())
                }
                Output::Event(Event::ShutDown) => return false,
                Output::Event(event) => eprintln!("{event:?}"),
                // Only with a save interval, which is not set.
                Output::Persist(_) => {}
            }
        }
        true
    }

    /// Tells the state what has happened.
    fn take(&mut self, input: Input, now: Instant) {
        match input {
            Input::Accepted(mut stream, from) => match self.state.handle_accepted(from.into(), now)
            {
                Ok(link) => self.begin(link, stream, now),
                // A few bytes, which a new connection has room for.
                Err(_) => drop(stream.write(&self.state.farewell(now))),
            },
            Input::Dialed(dial, Ok(stream)) => {
                if let Some(link) = self.state.handle_dial_succeeded(dial, now) {
                    self.begin(link, stream, now);
                }
            }
            Input::Dialed(dial, Err(error)) => {
                let failure = if error.kind() == ErrorKind::ConnectionRefused {
                    DialFailure::Refused
                } else {
                    DialFailure::Other(error.to_string())
                };
                self.state.handle_dial_failed(dial, failure, now);
            }
            Input::Bytes(link, bytes) => self.state.handle_bytes(link, &bytes, now),
            Input::Written(link, len) => self.state.handle_credit(link, len, now),
            Input::Closed(link) => {
                self.state.handle_closed(link, now);
                self.let_go(link);
            }
            Input::Line(line) => {
                if let Err(error) = self.state.broadcast(line, now) {
                    eprintln!("not sent: {error}");
                }
            }
            Input::End => self.state.shutdown(now),
        }
    }

    /// Starts the two threads of a link, and lets the state write to it.
    fn begin(&mut self, link: LinkId, stream: TcpStream, now: Instant) {
        let (queue, chunks) = mpsc::channel();
        let sender = self.sender.clone();
        let writer = thread::spawn(move || {
            if let Err(error) = carry(link, &stream, &chunks, &sender) {
                eprintln!("{link}: {error}");
            }
            drop(stream.shutdown(Shutdown::Both));
            drop(sender.send(Input::Closed(link)));
        });
        self.links.insert(link, (queue, writer));
        self.state.handle_credit(link, CREDIT, now);
    }

    /// Ends the queue of a link: its threads end when it is written.
    fn let_go(&mut self, link: LinkId) {
        if let Some((_, writer)) = self.links.remove(&link) {
            self.closing.retain(|writer| !writer.is_finished());
            self.closing.push(writer);
        }
    }

    fn now(&self) -> Instant {
        let micros = self.start.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// Writes what is queued, while another thread reads, until the queue ends or the stream breaks.
fn carry(
    link: LinkId,
    mut stream: &TcpStream,
    chunks: &Receiver<Bytes>,
    sender: &Sender<Input>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_LIMIT))?;
    let (reading, of_reader) = (stream.try_clone()?, sender.clone());
    let (is_reading, read_all) = mpsc::channel::<()>();
    thread::spawn(move || {
        read(link, reading, &of_reader);
        drop(is_reading);
    });
    for bytes in chunks {
        stream.write_all(&bytes)?;
        drop(sender.send(Input::Written(link, bytes.len())));
    }
    // Closed at once, with bytes unread, the connection would be reset, and the last words lost.
    stream.shutdown(Shutdown::Write)?;
    let _ = read_all.recv_timeout(CLOSE_LIMIT);
    Ok(())
}

fn read(link: LinkId, mut stream: TcpStream, sender: &Sender<Input>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        drop(sender.send(Input::Bytes(link, buffer[..len].to_vec())));
    }
    drop(sender.send(Input::Closed(link)));
}

fn accept(listener: &TcpListener, sender: &Sender<Input>) {
    loop {
        match listener.accept() {
            Ok((stream, from)) => drop(sender.send(Input::Accepted(stream, from))),
            // Out of descriptors, say: asking again at once would not help.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn read_lines(sender: &Sender<Input>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        drop(sender.send(Input::Line(line)));
    }
    drop(sender.send(Input::End));
}

/// Random bytes out of what seeds the standard library's hash maps.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    for (n, part) in seed.chunks_mut(8).enumerate() {
        part.copy_from_slice(&RandomState::new().hash_one(n).to_le_bytes());
    }
    seed
}

fn calendar() -> UnixTime {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::from_secs(passed.map_or(0, |passed| passed.as_secs()))
}
