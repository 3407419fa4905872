//! The program's own code that the socket calls: callbacks for events, handlers for messages.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rs2p_core::{Event, LinkId, Message, Payload, SendError, SubFlag};

use crate::MeshSocket;
use crate::error::Lagged;
use crate::outcome::Delivery;
use crate::wait::lock;

/// When a callback is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum On {
    /// The node has joined a network: its first link is established, or the first after there was
    /// none. py2p's and js2p's event `connect`.
    Connect,
    /// A message was put into the queue that [`MeshSocket::recv`] and
    /// [`MeshSocket::try_recv`] read. py2p's and js2p's event `message`.
    Message,
    /// Whatever [`MeshSocket::events`] tells.
    Event,
}

/// What a callback is called for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Occasion {
    /// A message was put into the queue. It is there for whoever takes it first.
    Message,
    /// Something happened to the node.
    Event(Event),
    /// So many events were missed: callbacks took longer than the events that came. Told to [`On::Event`].
    Lagged(Lagged),
}

impl On {
    pub(crate) const fn includes(self, occasion: &Occasion) -> bool {
        match self {
            Self::Connect => matches!(
                occasion,
                Occasion::Event(Event::Joined | Event::JoinedAgain)
            ),
            Self::Message => matches!(occasion, Occasion::Message),
            Self::Event => matches!(occasion, Occasion::Event(_) | Occasion::Lagged(_)),
        }
    }
}

/// Names a callback, for [`MeshSocket::off`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallbackId(u64);

/// What a handler made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a handler took the message or not")]
pub enum Handled {
    /// The message is dealt with: no further handler sees it, and it is not queued.
    Yes,
    /// It is for the next handler, and at last for the queue.
    No,
}

/// Where the message that a handler is called with came from.
#[derive(Debug)]
pub struct HandlerContext<'a> {
    pub(crate) socket: &'a MeshSocket,
    pub(crate) link: LinkId,
}

impl HandlerContext<'_> {
    /// Returns the socket.
    #[must_use]
    pub const fn socket(&self) -> &MeshSocket {
        self.socket
    }

    /// Returns the link that carried the message.
    #[must_use]
    pub const fn link(&self) -> LinkId {
        self.link
    }

    /// Sends a message to the neighbour that the message came from, which is not always the node
    /// that sent it.
    ///
    /// # Errors
    ///
    /// As of [`MeshSocket::send_to`]; or the link is not there any more.
    pub fn whisper(&self, payload: impl Into<Payload>) -> Result<Delivery, SendError> {
        self.whisper_as(SubFlag::Default, payload)
    }

    /// Sends a message with a sub-flag of the program's own to the neighbour that the message came
    /// from.
    ///
    /// # Errors
    ///
    /// As of [`whisper`](Self::whisper); or the sub-flag belongs to the protocol.
    pub fn whisper_as(
        &self,
        sub_flag: impl Into<SubFlag>,
        payload: impl Into<Payload>,
    ) -> Result<Delivery, SendError> {
        self.socket
            .whisper_on_link(self.link, sub_flag.into(), payload.into())
    }
}

pub(crate) type Handler = Arc<dyn Fn(&Message, &HandlerContext<'_>) -> Handled + Send + Sync>;

pub(crate) type Action = Box<dyn FnMut(&Occasion, &MeshSocket) + Send>;

#[derive(Clone)]
pub(crate) struct Callback {
    pub(crate) id: CallbackId,
    on: On,
    pub(crate) is_once: bool,
    /// Locked by the dispatcher alone, so that it never waits.
    pub(crate) action: Arc<Mutex<Action>>,
}

/// What the program has registered.
#[derive(Default)]
pub(crate) struct Registry {
    last_id: AtomicU64,
    callbacks: Mutex<Vec<Callback>>,
    handlers: Mutex<Arc<Vec<Handler>>>,
}

impl Registry {
    pub(crate) fn add_callback(&self, on: On, is_once: bool, action: Action) -> CallbackId {
        let id = CallbackId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        lock(&self.callbacks).push(Callback {
            id,
            on,
            is_once,
            action: Arc::new(Mutex::new(action)),
        });
        id
    }

    /// Removes a callback, and returns whether it was there.
    pub(crate) fn remove_callback(&self, id: CallbackId) -> bool {
        let mut callbacks = lock(&self.callbacks);
        let before = callbacks.len();
        callbacks.retain(|callback| callback.id != id);
        callbacks.len() < before
    }

    pub(crate) fn has_callback(&self, id: CallbackId) -> bool {
        lock(&self.callbacks)
            .iter()
            .any(|callback| callback.id == id)
    }

    /// Returns the callbacks for an occasion, in the order in which they were registered.
    pub(crate) fn callbacks_for(&self, occasion: &Occasion) -> Vec<Callback> {
        let callbacks = lock(&self.callbacks);
        let concerned = callbacks
            .iter()
            .filter(|callback| callback.on.includes(occasion));
        concerned.cloned().collect()
    }

    pub(crate) fn add_handler(&self, handler: Handler) {
        Arc::make_mut(&mut *lock(&self.handlers)).push(handler);
    }

    pub(crate) fn handlers(&self) -> Arc<Vec<Handler>> {
        Arc::clone(&lock(&self.handlers))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("callbacks", &lock(&self.callbacks).len())
            .field("handlers", &lock(&self.handlers).len())
            .finish_non_exhaustive()
    }
}
