//! What a node shows: as text for a person, or as JSON lines for a program.

mod human;
mod json;
mod text;

use std::cell::RefCell;

use rs2p_smol::{Address, Event, Lagged, MeshSocket, Message, NodeId, Protocol};

use crate::exit::Failure;
use crate::printer::{OutputGone, Piece, Printer};
pub(crate) use human::{Human, reason};
pub(crate) use json::{as_millis, to_line};
pub(crate) use text::{Cleaned, short};

/// Something that the command itself has to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice<'a> {
    /// The node runs.
    Started {
        id: &'a NodeId,
        protocol: &'a Protocol,
        listening: &'a [Address],
    },
    /// A person can type lines now.
    Typing,
    /// The addresses that it is to link to.
    Joining { addresses: &'a [Address] },
    /// A line waits for a link to somebody.
    Waiting,
    /// The lines that waited are sent from now on.
    WaitingOver,
    /// A line cannot be sent.
    Refused { line: u64, reason: &'a str },
    /// The input has ended, and the node stays.
    InputEnded,
    /// The node leaves.
    Leaving,
    /// Some of what arrived is missing here.
    Missed { what: &'static str, count: u64 },
}

/// For whom to show it.
#[derive(Debug)]
pub(crate) enum View {
    Human(Human),
    Json,
}

impl View {
    fn message(&self, message: &Message) -> Piece {
        match self {
            Self::Human(human) => Piece::Out(human.message(message)),
            Self::Json => Piece::Out(json::message(message)),
        }
    }

    fn event(&mut self, event: &Event) -> Option<Piece> {
        match self {
            Self::Human(human) => human.event(event).map(Piece::Err),
            Self::Json => json::event(event).map(Piece::Out),
        }
    }

    fn notice(&self, notice: Notice<'_>) -> Option<Piece> {
        match self {
            Self::Human(human) => human.notice(notice).map(Piece::Err),
            Self::Json => json::notice(notice).map(Piece::Out),
        }
    }
}

/// A view and the printer of what it makes.
#[derive(Debug)]
pub(crate) struct Console {
    /// Never borrowed while something waits.
    view: RefCell<View>,
    printer: Printer,
}

impl Console {
    pub(crate) fn new(view: View) -> Result<Self, Failure> {
        let printer = Printer::start().map_err(|error| Failure::output(&error))?;
        Ok(Self {
            view: RefCell::new(view),
            printer,
        })
    }

    pub(crate) async fn message(&self, message: &Message) -> Result<(), OutputGone> {
        let piece = self.view.borrow().message(message);
        self.printer.print(piece).await
    }

    pub(crate) async fn event(&self, event: &Event) -> Result<(), OutputGone> {
        let piece = self.view.borrow_mut().event(event);
        self.print(piece).await
    }

    pub(crate) async fn notice(&self, notice: Notice<'_>) -> Result<(), OutputGone> {
        let piece = self.view.borrow().notice(notice);
        self.print(piece).await
    }

    /// Shows it unless that would mean to wait.
    pub(crate) fn notice_if_room(&self, notice: Notice<'_>) {
        if let Some(piece) = self.view.borrow().notice(notice) {
            self.printer.print_if_room(piece);
        }
    }

    pub(crate) async fn missed(
        &self,
        what: &'static str,
        Lagged { missed, .. }: Lagged,
    ) -> Result<(), OutputGone> {
        let count = missed;
        self.notice(Notice::Missed { what, count }).await
    }

    /// Shows that the node runs, and where.
    pub(crate) async fn started(&self, socket: &MeshSocket) -> Result<(), OutputGone> {
        self.notice(Notice::Started {
            id: socket.id(),
            protocol: socket.protocol(),
            listening: socket.local_addresses(),
        })
        .await
    }

    /// Waits until nobody reads standard output any more.
    pub(crate) async fn gone(&self) -> OutputGone {
        self.printer.gone().await
    }

    /// Waits until all is written.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        let written = self.printer.finish().await;
        written.map_err(|error| Failure::output(&error))
    }

    async fn print(&self, piece: Option<Piece>) -> Result<(), OutputGone> {
        match piece {
            Some(piece) => self.printer.print(piece).await,
            None => Ok(()),
        }
    }
}
