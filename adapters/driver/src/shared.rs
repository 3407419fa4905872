//! What the tasks of one socket share: the state under its lock, and the queues that its outputs
//! are carried into.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use rs2p_core::{
    AcceptError, Address, CloseReason, DialId, Event, Instant, LinkId, MeshState, Message, NodeId,
    Output, Protocol, SendError, SendId, SendOutcome, SubFlag,
};

use crate::ConnectFailure;
use crate::calendar::Calendar;
use crate::callback::Registry;
use crate::dispatch::Dispatch;
use crate::event::Subscribers;
use crate::inbox::{Handed, Inbox, Limits};
use crate::outcome::Delivery;
use crate::pool::Pool;
use crate::queue::{Chunk, Ending, GRANT, Queue};
use crate::status::{Problem, SocketState};
use crate::store::Store;
use crate::wait::{Slot, WaitFor, Waiters, Wakes, lock, wait_for};

/// How many problems are remembered.
const MAX_PROBLEMS: usize = 64;

/// How much longer than the lingering of links closing a socket may take: for the last writes.
const CLOSE_MARGIN: Duration = Duration::from_secs(1);

/// How long after we have said all a closed link may wait for the other side to close it too. Closing at
/// once, with bytes unread, would reset the connection, and what we said last would be lost.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);

/// Where the outcome of a dial goes.
pub(crate) type ConnectSlot = Slot<Result<NodeId, ConnectFailure>>;

pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One socket.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What the state's clock counts from.
    origin: std::time::Instant,
    pub(crate) id: NodeId,
    pub(crate) protocol: Protocol,
    pub(crate) listening: Vec<Address>,
    pub(crate) advertised: Option<Address>,
    pub(crate) inbox: Inbox,
    pub(crate) dispatch: Dispatch,
    pub(crate) registry: Registry,
    pub(crate) buffers: Pool,
    /// Where the node's state is kept, if anywhere.
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) inner: Mutex<Inner>,
}

/// What is under the lock. The locks of queues, inbox and dispatch are taken inside it, never the other way round.
pub(crate) struct Inner {
    pub(crate) state: MeshState,
    calendar: Calendar,
    links: BTreeMap<LinkId, LinkEntry>,
    /// When the first link that is being closed is out of time, or earlier.
    closing_due: Option<Instant>,
    dials: BTreeMap<DialId, Arc<Slot<()>>>,
    connects: BTreeMap<DialId, Vec<Arc<ConnectSlot>>>,
    deliveries: BTreeMap<SendId, Arc<Slot<SendOutcome>>>,
    pub(crate) subscribers: Subscribers,
    problems: VecDeque<Problem>,
    /// Whether a message was refused for want of room, and there has been none since.
    pub(crate) is_full: bool,
    /// Those who wait for room, or for the phase to change.
    waiters: Waiters,
    phase: SocketState,
    /// When closing is over, whatever is left.
    close_due: Option<Instant>,
    /// Whether the state has said that it is shut down.
    is_shut_down: bool,
    /// How many listeners are open.
    listeners: usize,
    /// How many accepted streams are in their TLS or WebSocket handshake.
    upgrades: usize,
    /// Whether there are handlers, callbacks for events, callbacks for messages.
    pub(crate) has_handlers: bool,
    pub(crate) wants_events: bool,
    pub(crate) wants_messages: bool,
    pub(crate) is_dispatching: bool,
    keeper: KeeperSeat,
    /// Whom to wake once the lock is free.
    wakes: Wakes,
}

struct LinkEntry {
    queue: Arc<Queue>,
    /// If it is being closed: when it is out of time.
    closing: Option<Instant>,
}

/// What the keeper is to do, and how to call it.
#[derive(Default)]
struct KeeperSeat {
    todo: Vec<Todo>,
    /// What it sleeps until.
    armed: Option<Instant>,
    is_called: bool,
    waker: Option<Waker>,
}

/// Something that needs the runtime.
pub(crate) enum Todo {
    Dial(DialId, Address, Arc<Slot<()>>),
    Run(Task),
}

/// What the keeper has to do next.
pub(crate) struct Step {
    pub(crate) todo: Vec<Todo>,
    pub(crate) deadline: Option<std::time::Instant>,
    pub(crate) is_over: bool,
}

/// What a socket is made of.
pub(crate) struct Parts {
    pub(crate) origin: std::time::Instant,
    pub(crate) calendar: Calendar,
    pub(crate) state: MeshState,
    pub(crate) listening: Vec<Address>,
    pub(crate) limits: Limits,
    pub(crate) store: Option<Arc<Store>>,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            origin,
            calendar,
            state,
            listening,
            limits,
            store,
        } = parts;
        Self {
            origin,
            id: state.id().clone(),
            protocol: state.config().protocol.clone(),
            advertised: state.config().advertised.clone(),
            inbox: Inbox::new(limits, store.is_some()),
            dispatch: Dispatch::new(limits),
            registry: Registry::default(),
            buffers: Pool::default(),
            store,
            inner: Mutex::new(Inner {
                state,
                calendar,
                links: BTreeMap::new(),
                closing_due: None,
                dials: BTreeMap::new(),
                connects: BTreeMap::new(),
                deliveries: BTreeMap::new(),
                subscribers: Subscribers::default(),
                problems: VecDeque::new(),
                is_full: false,
                waiters: Waiters::default(),
                phase: SocketState::Open,
                close_due: None,
                is_shut_down: false,
                listeners: listening.len(),
                upgrades: 0,
                has_handlers: false,
                wants_events: false,
                wants_messages: false,
                is_dispatching: false,
                keeper: KeeperSeat::default(),
                wakes: Wakes::default(),
            }),
            listening,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Gives the state an input, and carries out what comes of it.
    pub(crate) fn enter<T>(&self, input: impl FnOnce(&mut Inner, Instant) -> T) -> T {
        let mut inner = self.lock();
        // After the lock, so that the state never sees the time go back.
        let now = self.now();
        inner.tell_calendar(now);
        let result = input(&mut inner, now);
        self.carry_out(&mut inner, now);
        release(inner);
        result
    }

    fn now(&self) -> Instant {
        let micros = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn to_std(&self, moment: Instant) -> Option<std::time::Instant> {
        self.origin
            .checked_add(Duration::from_micros(moment.as_micros()))
    }

    fn carry_out(&self, inner: &mut Inner, now: Instant) {
        while let Some(output) = inner.state.poll_output() {
            match output {
                Output::Dial(dial, address) => {
                    let cancel = Arc::new(Slot::default());
                    inner.dials.insert(dial, Arc::clone(&cancel));
                    inner.ask_keeper(Todo::Dial(dial, address, cancel));
                }
                Output::CancelDial(dial) => {
                    if let Some(cancel) = inner.dials.remove(&dial) {
                        cancel.set((), &mut inner.wakes);
                    }
                }
                Output::Send {
                    link,
                    bytes,
                    batching,
                } => {
                    if let Some(entry) = inner.links.get(&link) {
                        let chunk = Chunk { bytes, batching };
                        entry.queue.push(chunk, &mut inner.wakes);
                    }
                }
                Output::Close(link, reason) => inner.close_link(link, &reason, now),
                Output::Message(message) => self.deliver(inner, message, now),
                Output::Persist(bytes) => {
                    if let Some(store) = &self.store {
                        store.put(bytes);
                    }
                }
                Output::Event(event) => self.tell(inner, event),
            }
        }
        let has_nothing = inner.links.is_empty() && inner.listeners == 0;
        if inner.phase == SocketState::Closing && inner.is_shut_down && has_nothing {
            self.finish(inner);
        }
        inner.call_keeper_if_due();
    }

    fn deliver(&self, inner: &mut Inner, message: Message, now: Instant) {
        let wakes = &mut inner.wakes;
        if inner.has_handlers {
            self.dispatch.push_message(message, wakes);
        } else if *message.sub_flag() != SubFlag::Default {
            tracing::trace!(message = ?message.id(), "no handler is there to take it");
            inner.state.acknowledge(&message, now);
        } else if self.inbox.push(message, wakes) && inner.wants_messages {
            self.dispatch.push_queued(wakes);
        }
    }

    fn tell(&self, inner: &mut Inner, event: Event) {
        tracing::trace!(?event, "event");
        inner.resolve(&event);
        if let Some(problem) = problem_of(&event) {
            inner.note_problem(problem);
        }
        inner.subscribers.push(&event, &mut inner.wakes);
        if inner.wants_events {
            self.dispatch.push_event(event, &mut inner.wakes);
        }
    }

    /// Notes that the program is done with a message, if that is saved.
    pub(crate) fn acknowledge(&self, message: &Message) {
        if self.store.is_some() {
            self.enter(|inner, now| inner.state.acknowledge(message, now));
        }
    }

    /// The same for what was taken out of the inbox before.
    pub(crate) fn acknowledge_handed(&self) {
        if self.store.is_none() {
            return;
        }
        let handed = self.inbox.take_handed();
        if handed.is_empty() {
            return;
        }
        self.enter(|inner, now| {
            for handed in handed {
                match handed {
                    Handed::Message(message) => inner.state.acknowledge(&message, now),
                    Handed::Missed(missed) => inner.state.acknowledge_range(
                        &missed.origin,
                        missed.epoch,
                        missed.first,
                        missed.last,
                        now,
                    ),
                }
            }
        });
    }

    /// Begins to close the socket, unless that has begun.
    pub(crate) fn begin_closing(&self) {
        self.enter(|inner, now| {
            if inner.phase != SocketState::Open {
                return;
            }
            tracing::debug!("closing the socket");
            inner.phase = SocketState::Closing;
            let linger = inner.state.config().linger_timeout;
            let margin = linger.saturating_add(CLOSE_MARGIN);
            inner.close_due = Some(now.saturating_add(margin));
            inner.state.shutdown(now);
            inner.waiters.take_all(&mut inner.wakes);
        });
    }

    /// Ends the socket: closes what is still open, and tells everyone who waits.
    fn finish(&self, inner: &mut Inner) {
        if inner.phase == SocketState::Closed {
            return;
        }
        tracing::debug!("the socket is closed");
        inner.phase = SocketState::Closed;
        inner.let_go();
        self.inbox.close(&mut inner.wakes);
        self.dispatch.close(&mut inner.wakes);
        if let Some(store) = &self.store {
            store.close();
        }
        inner.keeper.call(&mut inner.wakes);
    }

    /// Ends the socket at once: nobody keeps its deadlines any more.
    pub(crate) fn abandon(&self) {
        let mut inner = self.lock();
        self.finish(&mut inner);
        // So that it takes nothing on for which nobody is left to see it through.
        let now = self.now();
        inner.state.shutdown(now);
        release(inner);
    }

    /// Does what is due, and returns what the keeper has to do and when to come again.
    pub(crate) fn step(&self) -> Step {
        let mut inner = self.lock();
        let now = self.now();
        inner.tell_calendar(now);
        inner.state.handle_timeout(now);
        inner.abort_overdue(now);
        self.carry_out(&mut inner, now);
        if inner.close_due.is_some_and(|due| due <= now) {
            self.finish(&mut inner);
        }
        let deadline = inner.deadline();
        inner.keeper.is_called = false;
        inner.keeper.armed = deadline;
        let step = Step {
            todo: std::mem::take(&mut inner.keeper.todo),
            deadline: deadline.and_then(|deadline| self.to_std(deadline)),
            is_over: inner.phase == SocketState::Closed,
        };
        release(inner);
        step
    }

    /// Waits until the keeper is called before its time.
    pub(crate) async fn called(&self) {
        std::future::poll_fn(|cx| {
            let mut inner = self.lock();
            if inner.keeper.is_called {
                return std::task::Poll::Ready(());
            }
            inner.keeper.waker = Some(cx.waker().clone());
            std::task::Poll::Pending
        })
        .await;
    }

    /// Waits until the socket is no longer open.
    pub(crate) async fn stopping(&self) {
        self.wait_for(|inner| (inner.phase != SocketState::Open).then_some(()))
            .await;
    }

    /// Waits for something that a change of the phase, or of the room, can bring about.
    pub(crate) const fn wait_for<T, F>(&self, find: F) -> WaitFor<'_, Inner, F>
    where
        F: FnMut(&mut Inner) -> Option<T> + Unpin,
    {
        wait_for(&self.inner, |inner| &mut inner.waiters, find)
    }

    /// Takes an accepted stream in.
    pub(crate) fn accepted(&self, from: Address) -> Result<(LinkId, Arc<Queue>), AcceptError> {
        self.enter(|inner, now| {
            let link = inner.state.handle_accepted(from, now)?;
            Ok((link, inner.open_link(link, now)))
        })
    }

    /// Takes a dialled stream in, if it is still wanted.
    pub(crate) fn dialed(&self, dial: DialId) -> Option<(LinkId, Arc<Queue>)> {
        self.enter(|inner, now| {
            inner.dials.remove(&dial);
            let link = inner.state.handle_dial_succeeded(dial, now)?;
            Some((link, inner.open_link(link, now)))
        })
    }

    pub(crate) fn dial_failed(&self, dial: DialId, failure: rs2p_core::DialFailure) {
        self.enter(|inner, now| {
            inner.dials.remove(&dial);
            inner.state.handle_dial_failed(dial, failure, now);
        });
    }

    /// A link's task has said all, and waits for the other side.
    pub(crate) fn link_drains(&self, link: LinkId) {
        self.enter(|inner, now| inner.set_closing(link, now.saturating_add(DRAIN_LIMIT)));
    }

    /// A link's task has ended, and its stream is gone.
    pub(crate) fn link_ended(&self, link: LinkId) {
        self.enter(|inner, now| {
            if inner.links.remove(&link).is_some() {
                inner.state.handle_closed(link, now);
            }
        });
    }

    pub(crate) fn listener_ended(&self) {
        self.enter(|inner, _| inner.listeners -= 1);
    }

    /// Takes one of the places for streams in their TLS or WebSocket handshake.
    pub(crate) fn begin_upgrade(self: &Arc<Self>) -> Option<UpgradePlace> {
        let mut inner = self.lock();
        if inner.upgrades >= inner.state.config().max_pending {
            return None;
        }
        inner.upgrades += 1;
        Some(UpgradePlace(Arc::clone(self)))
    }

    /// Remembers something that went wrong outside the state.
    pub(crate) fn note_problem(&self, what: String) {
        tracing::debug!(what, "problem");
        self.lock().note_problem(what);
    }
}

/// Lets the lock go, and then wakes whom there is something for.
fn release(mut inner: MutexGuard<'_, Inner>) {
    let wakes = std::mem::take(&mut inner.wakes);
    drop(inner);
    wakes.wake_all();
}

/// A place for a stream in its TLS or WebSocket handshake; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct UpgradePlace(Arc<Shared>);

impl Drop for UpgradePlace {
    fn drop(&mut self) {
        self.0.lock().upgrades -= 1;
    }
}

impl Inner {
    fn tell_calendar(&mut self, now: Instant) {
        if let Some(wall) = self.calendar.due(now) {
            self.state.handle_wall_clock(wall, now);
        }
    }

    pub(crate) const fn phase(&self) -> SocketState {
        self.phase
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.problems.iter().cloned().collect()
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.links
            .values()
            .map(|entry| entry.queue.unwritten())
            .sum()
    }

    /// Asks the keeper to do something; it is called when the input is done with.
    pub(crate) fn ask_keeper(&mut self, todo: Todo) {
        self.keeper.todo.push(todo);
    }

    /// Remembers who waits for a dial.
    pub(crate) fn await_connect(&mut self, dial: DialId) -> Arc<ConnectSlot> {
        let slot = Arc::new(Slot::default());
        self.connects
            .entry(dial)
            .or_default()
            .push(Arc::clone(&slot));
        slot
    }

    /// Remembers who waits for the outcome of a send, and whether there was no room for it.
    pub(crate) fn await_delivery(
        &mut self,
        sent: Result<SendId, SendError>,
    ) -> Result<Delivery, SendError> {
        let send = self.note_room(sent)?;
        let slot = Arc::new(Slot::default());
        self.deliveries.insert(send, Arc::clone(&slot));
        Ok(Delivery::new(slot))
    }

    /// Remembers that there was no room for a message.
    pub(crate) fn note_room<T>(&mut self, sent: Result<T, SendError>) -> Result<T, SendError> {
        if matches!(sent, Err(SendError::Full)) {
            self.is_full = true;
        }
        sent
    }

    fn open_link(&mut self, link: LinkId, now: Instant) -> Arc<Queue> {
        let queue = Arc::new(Queue::new());
        let entry = LinkEntry {
            queue: Arc::clone(&queue),
            closing: None,
        };
        self.links.insert(link, entry);
        self.state.handle_credit(link, GRANT, now);
        queue
    }

    fn close_link(&mut self, link: LinkId, reason: &CloseReason, now: Instant) {
        tracing::trace!(%link, %reason, "closing the stream");
        let (linger, max_links) = {
            let config = self.state.config();
            (config.linger_timeout, config.max_links)
        };
        let closing = self.links.values().filter(|entry| entry.closing.is_some());
        // Whoever is made to be closed again and again must not collect sockets.
        let ending = if closing.count() < max_links {
            Ending::Flush
        } else {
            Ending::Abort
        };
        if let Some(entry) = self.links.get(&link) {
            entry.queue.end(ending, &mut self.wakes);
            self.set_closing(link, now.saturating_add(linger));
        }
    }

    /// Sets the time limit of a link that is being closed, which only ever becomes shorter.
    fn set_closing(&mut self, link: LinkId, due: Instant) {
        if let Some(entry) = self.links.get_mut(&link) {
            let due = entry.closing.map_or(due, |old| old.min(due));
            entry.closing = Some(due);
            self.closing_due = Some(self.closing_due.map_or(due, |old| old.min(due)));
        }
    }

    /// Ends the links that are out of time.
    fn abort_overdue(&mut self, now: Instant) {
        if self.closing_due.is_none_or(|due| due > now) {
            return;
        }
        let mut next: Option<Instant> = None;
        for entry in self.links.values() {
            match entry.closing {
                Some(due) if due <= now => entry.queue.end(Ending::Abort, &mut self.wakes),
                Some(due) => next = Some(next.map_or(due, |old| old.min(due))),
                None => {}
            }
        }
        self.closing_due = next;
    }

    /// Stops dials and links, and answers the calls that still wait.
    fn let_go(&mut self) {
        let wakes = &mut self.wakes;
        for cancel in std::mem::take(&mut self.dials).into_values() {
            cancel.set((), wakes);
        }
        for entry in self.links.values() {
            entry.queue.end(Ending::Abort, wakes);
        }
        let connects = std::mem::take(&mut self.connects);
        for slot in connects.into_values().flatten() {
            slot.set(Err(ConnectFailure::ShutDown), wakes);
        }
        for slot in std::mem::take(&mut self.deliveries).into_values() {
            slot.set(SendOutcome::ShutDown, wakes);
        }
        self.subscribers.close(wakes);
        self.waiters.take_all(wakes);
    }

    fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.state.poll_timeout(), self.closing_due, self.close_due];
        deadlines.into_iter().flatten().min()
    }

    fn call_keeper_if_due(&mut self) {
        let is_earlier = match (self.deadline(), self.keeper.armed) {
            (Some(deadline), Some(armed)) => deadline < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_earlier || !self.keeper.todo.is_empty() {
            self.keeper.call(&mut self.wakes);
        }
    }

    /// Tells the calls that wait for an event.
    fn resolve(&mut self, event: &Event) {
        let wakes = &mut self.wakes;
        if let Event::Connected { dial, peer } = event {
            for slot in self.connects.remove(dial).into_iter().flatten() {
                slot.set(Ok(peer.clone()), wakes);
            }
        } else if let Event::ConnectFailed { dial, error, .. } = event {
            for slot in self.connects.remove(dial).into_iter().flatten() {
                slot.set(Err(error.clone()), wakes);
            }
        } else if let Event::Sent { send, outcome } = event {
            if let Some(slot) = self.deliveries.remove(send) {
                slot.set(outcome.clone(), wakes);
            }
        } else if matches!(event, Event::Room) {
            self.is_full = false;
            self.waiters.take_all(wakes);
        } else if matches!(event, Event::ShutDown) {
            self.is_shut_down = true;
        }
    }

    fn note_problem(&mut self, what: String) {
        if self.problems.len() == MAX_PROBLEMS {
            self.problems.pop_front();
        }
        let time = SystemTime::now();
        self.problems.push_back(Problem { time, what });
    }
}

impl KeeperSeat {
    fn call(&mut self, wakes: &mut Wakes) {
        self.is_called = true;
        if let Some(waker) = self.waker.take() {
            wakes.add(waker);
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("phase", &self.phase)
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}

/// Returns how an event reads in the list of problems, if it is one.
fn problem_of(event: &Event) -> Option<String> {
    match event {
        Event::Rejected {
            address, reason, ..
        } => Some(format!("{address}: {reason}")),
        // What this program asks for is no problem.
        Event::PeerDown { reason, .. } if is_asked_for(reason) => None,
        Event::PeerDown { peer, reason } => {
            Some(format!("node {} at {}: {reason}", peer.id, peer.remote))
        }
        Event::ConnectFailed { address, error, .. } | Event::DialFailed { address, error, .. } => {
            Some(format!("{address}: {error}"))
        }
        Event::Withheld { id, peer, why } => {
            Some(format!("message {id} kept from node {peer}: {why}"))
        }
        Event::Expired { sender, seconds } => Some(format!(
            "a broadcast of node {sender} came {seconds} s too late"
        )),
        Event::ClockSkew { peer, seconds } => Some(format!(
            "the clock of node {peer} is {seconds} s ahead of ours"
        )),
        Event::ControlFlood { link, limit } => {
            Some(format!("{link}: over {limit} control messages a second"))
        }
        Event::SeenOverflow { forgotten } => {
            Some(format!("{forgotten} message ids were forgotten early"))
        }
        Event::Joined
        | Event::JoinedAgain
        | Event::Isolated
        | Event::PeerUp(_)
        | Event::Connected { .. }
        | Event::Sent { .. }
        | Event::Room
        | Event::ShutDown
        | _ => None,
    }
}

const fn is_asked_for(reason: &CloseReason) -> bool {
    matches!(reason, CloseReason::Requested | CloseReason::ShutDown)
}
