//! `rs2p node`: takes part in a network for as long as it is wanted.

use std::cell::Cell;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use rs2p_smol::{
    Config, Events, Lagged, MeshSocket, Message, Payload, RecvError, SendError, Value,
};
use smol::Timer;
use smol::future::or;
use smol::stream::StreamExt as _;

use crate::args::Node;
use crate::exit::Failure;
use crate::input::{Input, Line};
use crate::join::flushed;
use crate::printer::OutputGone;
use crate::signals::Interrupt;
use crate::view::{Console, Human, Notice, View};

/// How long a line waits for a link before the person is told.
const QUIET_WAIT: Duration = Duration::from_millis(500);

/// How long a node that leaves waits for a reader of its output that stands still.
const SHOW_LIMIT: Duration = Duration::from_secs(1);

/// Why a node leaves.
#[derive(Debug)]
enum Ending {
    /// All of the input is sent.
    InputSent,
    /// The person, or the system, asks for it.
    Asked,
    /// Nobody reads what it shows.
    OutputGone,
    /// The socket has closed by itself, which it does not.
    SocketClosed,
}

impl From<OutputGone> for Ending {
    fn from(_: OutputGone) -> Self {
        Self::OutputGone
    }
}

pub(crate) async fn run(args: Node) -> Result<(), Failure> {
    let interrupt = Interrupt::listen().map_err(Failure::cannot_start)?;
    let view = if args.json {
        View::Json
    } else {
        View::Human(Human::new(args.network.protocol(), args.join.clone()))
    };
    let socket = open(&args).await?;
    // Before the first dial, so that nothing is missed.
    let events = socket.events();
    let console = Console::new(view)?;
    let input = Input::open(Config::default().max_message_len).map_err(Failure::cannot_start)?;
    let session = Session {
        socket: &socket,
        console: &console,
        input: &input,
        stay: args.stay,
        held: Cell::new(false),
    };
    let ending = session.run(&args, events, &interrupt).await?;
    let unsent = session.unsent();
    session.leave(&ending).await;
    console.finish().await?;
    match ending {
        Ending::Asked if unsent > 0 => Err(Failure::failed(unsent_reason(unsent))),
        Ending::SocketClosed => Err(Failure::failed("the node has stopped by itself")),
        Ending::Asked | Ending::InputSent | Ending::OutputGone => Ok(()),
    }
}

fn unsent_reason(count: usize) -> String {
    match count {
        1 => "a line was not sent: nobody was linked".to_owned(),
        count => format!("{count} lines were not sent: nobody was linked"),
    }
}

async fn open(args: &Node) -> Result<MeshSocket, Failure> {
    let mut builder = rs2p_smol::builder().protocol(args.network.protocol());
    for address in &args.listen {
        builder = builder.listen(address);
    }
    if let Some(address) = &args.advertise {
        builder = builder.advertise(address);
    }
    builder.bind().await.map_err(Failure::cannot_start)
}

/// A node at work.
#[derive(Debug)]
struct Session<'a> {
    socket: &'a MeshSocket,
    console: &'a Console,
    input: &'a Input,
    /// Whether to stay when the input ends.
    stay: bool,
    /// Whether a line was taken from the input and not sent yet.
    held: Cell<bool>,
}

impl Session<'_> {
    async fn run(
        &self,
        args: &Node,
        events: Events,
        interrupt: &Interrupt,
    ) -> Result<Ending, Failure> {
        if self.console.started(self.socket).await.is_err() {
            return Ok(Ending::OutputGone);
        }
        for address in &args.join {
            let added = self.socket.add_seed(address);
            added.map_err(|error| {
                Failure::cannot_start(format_args!("cannot join {address}: {error}"))
            })?;
        }
        let addresses = &args.join;
        if self
            .console
            .notice(Notice::Joining { addresses })
            .await
            .is_err()
        {
            return Ok(Ending::OutputGone);
        }
        let asked = async {
            interrupt.asked().await;
            Ending::Asked
        };
        let shown = async { self.show(events).await.unwrap_or_else(Ending::from) };
        let sent = async { self.send_input().await.unwrap_or_else(Ending::from) };
        let unread = async { Ending::from(self.console.gone().await) };
        Ok(or(or(asked, unread), or(shown, sent)).await)
    }

    /// Shows what happens, in the order in which it does.
    async fn show(&self, mut events: Events) -> Result<Ending, OutputGone> {
        enum Next {
            Event(Option<Result<rs2p_smol::Event, Lagged>>),
            Message(Result<Message, RecvError>),
        }
        loop {
            let event = async { Next::Event(events.next().await) };
            let message = async { Next::Message(self.socket.recv().await) };
            // Events first: a peer is told of before what it says.
            match or(event, message).await {
                Next::Event(Some(Ok(event))) => self.console.event(&event).await?,
                Next::Event(Some(Err(lagged))) => self.console.missed("events", lagged).await?,
                Next::Message(Ok(message)) => self.console.message(&message).await?,
                Next::Message(Err(RecvError::Lagged(lagged))) => {
                    let what = "messages";
                    let count = lagged.missed;
                    self.console.notice(Notice::Missed { what, count }).await?;
                }
                Next::Event(None) | Next::Message(Err(RecvError::Closed | _)) => {
                    return Ok(Ending::SocketClosed);
                }
            }
        }
    }

    /// Sends the lines of the input to everyone, up to its end.
    async fn send_input(&self) -> Result<Ending, OutputGone> {
        if self.input.is_terminal {
            self.console.notice(Notice::Typing).await?;
        }
        let mut number = 0;
        let mut refused = None;
        while let Some(line) = self.input.next().await {
            number += 1;
            let payload = match line {
                Line::Text(text) if text.is_empty() && self.input.is_terminal => continue,
                Line::Text(text) => Payload::from(text),
                Line::Bytes(bytes) => Payload::new().with(Value::from(bytes)),
                Line::TooLong { len } => {
                    let limit = Config::default().max_message_len;
                    let reason = SendError::TooLong { len, limit }.to_string();
                    self.refuse(number, &reason).await?;
                    continue;
                }
                Line::Broken(error) => {
                    refused = Some(format!("cannot read the input: {error}"));
                    break;
                }
            };
            self.held.set(true);
            let sent = self.send(payload).await?;
            self.held.set(false);
            match sent {
                Ok(()) => {}
                Err(SendError::ShutDown) => return Ok(Ending::SocketClosed),
                Err(error) => self.refuse(number, &error.to_string()).await?,
            }
        }
        if let Some(reason) = refused {
            self.refuse(number, &reason).await?;
        }
        let was_used = number > 0 || self.input.is_terminal;
        if self.stay || !was_used {
            self.console.notice(Notice::InputEnded).await?;
            return pending().await;
        }
        flushed(self.socket).await;
        Ok(Ending::InputSent)
    }

    /// Sends a message once there is somebody to send it to.
    async fn send(&self, payload: Payload) -> Result<Result<(), SendError>, OutputGone> {
        loop {
            if self.socket.peers().is_empty() {
                self.wait_for_peer().await?;
            }
            match self.socket.broadcast(payload.clone()) {
                Ok(_) => return Ok(Ok(())),
                Err(SendError::Full) => self.socket.ready().await,
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Waits until somebody is linked, and says so if that takes long.
    async fn wait_for_peer(&self) -> Result<(), OutputGone> {
        let mut events = self.socket.events();
        let linked = async {
            while self.socket.peers().is_empty() {
                if events.next().await.is_none() {
                    // The socket is closed, and sending says so.
                    return;
                }
            }
        };
        let mut linked = pin!(linked);
        let at_once = async {
            linked.as_mut().await;
            true
        };
        let not_yet = async {
            Timer::after(QUIET_WAIT).await;
            false
        };
        if or(at_once, not_yet).await {
            return Ok(());
        }
        self.console.notice(Notice::Waiting).await?;
        linked.await;
        self.console.notice(Notice::WaitingOver).await
    }

    async fn refuse(&self, line: u64, reason: &str) -> Result<(), OutputGone> {
        self.console.notice(Notice::Refused { line, reason }).await
    }

    /// Returns how many lines were read and not sent.
    fn unsent(&self) -> usize {
        self.input.waiting() + usize::from(self.held.get())
    }

    /// Sends what was accepted, leaves the network, and shows what came until then.
    async fn leave(&self, ending: &Ending) {
        if matches!(ending, Ending::Asked) {
            self.console.notice_if_room(Notice::Leaving);
        }
        self.socket.close().await;
        let show_rest = async {
            while let Ok(Some(message)) = self.socket.try_recv() {
                if self.console.message(&message).await.is_err() {
                    return;
                }
            }
        };
        let given_up = async {
            Timer::after(SHOW_LIMIT).await;
        };
        or(show_rest, given_up).await;
    }
}
