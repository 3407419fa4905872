//! The task that calls the program's code: one thing after the other, in the order in which they
//! happened, with no lock held.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};

use rs2p_core::{Event, Message, SubFlag};

use crate::MeshSocket;
use crate::callback::{Callback, Handled, HandlerContext, Occasion};
use crate::error::Lagged;
use crate::event::EVENT_LIMIT;
use crate::inbox::{Backlog, Limits};
use crate::shared::Shared;
use crate::socket::Handle;
use crate::wait::{Waiters, Wakes, lock, wait_for};

/// What waits to be told to the program's code. Bounded: messages as in the inbox, events as for any
/// subscriber.
#[derive(Debug)]
pub(crate) struct Dispatch(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The order in which to take from the queues below.
    order: VecDeque<Next>,
    messages: Backlog,
    events: VecDeque<Result<Event, Lagged>>,
    is_closed: bool,
    waiters: Waiters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A message for the handlers, or a gap.
    Message,
    /// So many messages were put into the inbox.
    Queued(u64),
    Event,
}

/// One thing to tell.
#[derive(Debug)]
enum Job {
    Message(Message),
    Gap(Lagged),
    Queued(u64),
    Event(Result<Event, Lagged>),
}

impl Dispatch {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Mutex::new(State {
            order: VecDeque::new(),
            messages: Backlog::new(limits),
            events: VecDeque::new(),
            is_closed: false,
            waiters: Waiters::default(),
        }))
    }

    pub(crate) fn push_message(&self, message: Message, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        let had_gap = state.messages.ends_with_gap();
        let fits = state.messages.push(message);
        if fits || !had_gap {
            state.order.push_back(Next::Message);
        }
        state.waiters.take_all(wakes);
    }

    pub(crate) fn push_queued(&self, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        if let Some(Next::Queued(count)) = state.order.back_mut() {
            *count += 1;
        } else {
            state.order.push_back(Next::Queued(1));
        }
        state.waiters.take_all(wakes);
    }

    pub(crate) fn push_event(&self, event: Event, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        let is_full = state.events.len() >= EVENT_LIMIT;
        if is_full && let Some(Err(lagged)) = state.events.back_mut() {
            lagged.missed += 1;
            return;
        }
        let entry = if is_full {
            Err(Lagged {
                missed: 1,
                ..Lagged::default()
            })
        } else {
            Ok(event)
        };
        state.events.push_back(entry);
        state.order.push_back(Next::Event);
        state.waiters.take_all(wakes);
    }

    /// What is in it is still told; then the task ends.
    pub(crate) fn close(&self, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        state.is_closed = true;
        state.waiters.take_all(wakes);
    }

    /// Waits for the next thing to tell; `None` at the end.
    async fn next(&self) -> Option<Job> {
        wait_for(&self.0, |state| &mut state.waiters, State::next).await
    }
}

impl State {
    fn next(&mut self) -> Option<Option<Job>> {
        let Some(next) = self.order.pop_front() else {
            return self.is_closed.then_some(None);
        };
        let job = match next {
            Next::Message => match self.messages.pop()? {
                Ok(message) => Job::Message(message),
                Err(lagged) => Job::Gap(lagged),
            },
            Next::Queued(count) => Job::Queued(count),
            Next::Event => Job::Event(self.events.pop_front()?),
        };
        Some(Some(job))
    }
}

/// Calls the program's code until the socket is closed, or nobody holds it any more.
pub(crate) async fn run(shared: Arc<Shared>, handle: Weak<Handle>) {
    while let Some(job) = shared.dispatch.next().await {
        let Some(handle) = handle.upgrade() else {
            return;
        };
        let socket = MeshSocket { handle };
        match job {
            Job::Message(message) => handle_message(&shared, &socket, message),
            Job::Gap(lagged) => {
                let mut wakes = Wakes::default();
                shared.inbox.push_gap(&lagged, &mut wakes);
                wakes.wake_all();
            }
            Job::Queued(count) => (0..count).for_each(|_| tell(&socket, &Occasion::Message)),
            Job::Event(Ok(event)) => tell(&socket, &Occasion::Event(event)),
            Job::Event(Err(lagged)) => tell(&socket, &Occasion::Lagged(lagged)),
        }
        // Whoever else runs on this thread gets a turn between two calls.
        futures_lite::future::yield_now().await;
    }
}

/// Offers a message to the handlers, the first registered first, and at last to the inbox.
fn handle_message(shared: &Shared, socket: &MeshSocket, message: Message) {
    let context = HandlerContext {
        socket,
        link: message.link(),
    };
    for (index, handler) in shared.registry.handlers().iter().enumerate() {
        tracing::trace!(index, message = ?message.id(), "handler entered");
        let handled = catch_unwind(AssertUnwindSafe(|| handler(&message, &context)));
        match handled {
            Ok(Handled::Yes) => return shared.acknowledge(&message),
            Ok(Handled::No) => {}
            Err(_) => tracing::error!(index, "a handler panicked"),
        }
    }
    if *message.sub_flag() != SubFlag::Default {
        tracing::trace!(message = ?message.id(), "no handler took it");
        return shared.acknowledge(&message);
    }
    let mut wakes = Wakes::default();
    let fits = shared.inbox.push(message, &mut wakes);
    wakes.wake_all();
    if fits {
        tell(socket, &Occasion::Message);
    }
}

fn tell(socket: &MeshSocket, occasion: &Occasion) {
    let registry = &socket.handle.shared.registry;
    for callback in registry.callbacks_for(occasion) {
        // One that was called before may have taken it out.
        let is_due = if callback.is_once {
            registry.remove_callback(callback.id)
        } else {
            registry.has_callback(callback.id)
        };
        if is_due {
            call(&callback, occasion, socket);
        }
    }
}

fn call(callback: &Callback, occasion: &Occasion, socket: &MeshSocket) {
    tracing::trace!(id = ?callback.id, ?occasion, "callback entered");
    let mut action = lock(&callback.action);
    if catch_unwind(AssertUnwindSafe(|| action(occasion, socket))).is_err() {
        tracing::error!(id = ?callback.id, "a callback panicked");
    }
}
