//! [`MeshSocket`]: what a program holds.

use std::fmt;
use std::io;
use std::sync::Arc;

use futures_lite::{AsyncRead, AsyncWrite};
use rs2p_core::{
    AcceptError, Address, LinkId, Message, MessageId, NodeId, Payload, PeerInfo, Protocol,
    SendError, Spread, SubFlag, Ticket,
};

use crate::ConnectFailure;
use crate::address::ToAddress;
use crate::callback::{Action, CallbackId, Handled, HandlerContext, Occasion, On};
use crate::error::{ConnectError, RecvError};
use crate::event::Events;
use crate::inbox::{Inbox, Messages};
use crate::outcome::Delivery;
use crate::shared::{Inner, Shared, Todo};
use crate::status::{SocketState, Status};
use crate::{dispatch, link};

/// One node of the network, running.
///
/// A handle: clones are the same socket, and may be used from any thread or task. When the last
/// one is dropped, the socket closes as by [`close`](Self::close), in the background.
///
/// Made by a [`Builder`](crate::Builder).
#[derive(Clone)]
pub struct MeshSocket {
    pub(crate) handle: Arc<Handle>,
}

/// What the clones of a socket share; its end is the socket's.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.begin_closing();
    }
}

impl MeshSocket {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            handle: Arc::new(Handle { shared }),
        }
    }

    /// Connects to the node at an address, and returns its id once the handshakes are done. From then
    /// on messages reach it.
    ///
    /// Dropping the future does not stop the dial.
    ///
    /// # Errors
    ///
    /// The text is no address; nobody is there, or somebody of another network; it is this node itself, or one
    /// that is a peer already; or the time, or a limit, was exceeded. [`ConnectFailure`] says which.
    pub async fn connect(&self, address: impl ToAddress) -> Result<NodeId, ConnectError> {
        let address = address.to_address()?;
        let slot = self.shared().enter(|inner, now| {
            let dial = inner.state.connect(address, now)?;
            Ok::<_, ConnectFailure>(inner.await_connect(dial))
        })?;
        let outcome = std::future::poll_fn(|cx| slot.poll_take(cx)).await;
        Ok(outcome?)
    }

    /// Sends a message to every participant of the network. Once this returns, it is kept until a neighbour has
    /// it, however long there is none; the ticket tells [how far it is](Self::spread).
    ///
    /// # Errors
    ///
    /// The message is too long, or some peers could not read it; too many messages have not reached a
    /// neighbour yet ([`SendError::Full`], see [`ready`](Self::ready)); or the socket is closed. Nothing was sent.
    pub fn broadcast(&self, payload: impl Into<Payload>) -> Result<Ticket, SendError> {
        self.broadcast_as(SubFlag::Default, payload)
    }

    /// Sends a message with a sub-flag of the program's own to every participant. It reaches their
    /// [handlers](Self::register_handler) only.
    ///
    /// # Errors
    ///
    /// As of [`broadcast`](Self::broadcast); or the sub-flag belongs to the protocol.
    pub fn broadcast_as(
        &self,
        sub_flag: impl Into<SubFlag>,
        payload: impl Into<Payload>,
    ) -> Result<Ticket, SendError> {
        let (sub_flag, payload) = (sub_flag.into(), payload.into());
        self.shared().enter(|inner, now| {
            let sent = inner.state.broadcast_as(sub_flag, payload, now);
            inner.note_room(sent)
        })
    }

    /// Waits until there is room, then sends a message to every participant.
    ///
    /// # Errors
    ///
    /// As of [`broadcast`](Self::broadcast), but for [`SendError::Full`].
    pub async fn broadcast_when_ready(
        &self,
        payload: impl Into<Payload>,
    ) -> Result<Ticket, SendError> {
        let payload = payload.into();
        loop {
            self.ready().await;
            match self.broadcast(payload.clone()) {
                // Others send too.
                Err(SendError::Full) => {}
                done => return done,
            }
        }
    }

    /// Returns how far a broadcast of this socket has come, by what its neighbours have said.
    pub fn spread(&self, ticket: &Ticket) -> Spread {
        self.shared().enter(|inner, _| inner.state.spread(ticket))
    }

    /// Waits until messages are accepted again after one was refused as [`SendError::Full`]. Returns
    /// at once if none was, or if the socket is closed.
    pub async fn ready(&self) {
        let has_room = |inner: &mut Inner| {
            let is_open = inner.phase() == SocketState::Open;
            (!inner.is_full || !is_open).then_some(())
        };
        self.shared().wait_for(has_room).await;
    }

    /// Sends a message to all neighbours, who do not pass it on.
    ///
    /// # Errors
    ///
    /// As of [`broadcast`](Self::broadcast).
    pub fn whisper(&self, payload: impl Into<Payload>) -> Result<MessageId, SendError> {
        self.whisper_as(SubFlag::Default, payload)
    }

    /// Sends a message with a sub-flag of the program's own to all neighbours.
    ///
    /// # Errors
    ///
    /// As of [`broadcast_as`](Self::broadcast_as).
    pub fn whisper_as(
        &self,
        sub_flag: impl Into<SubFlag>,
        payload: impl Into<Payload>,
    ) -> Result<MessageId, SendError> {
        let (sub_flag, payload) = (sub_flag.into(), payload.into());
        self.shared().enter(|inner, now| {
            let sent = inner.state.whisper_as(sub_flag, payload, now);
            inner.note_room(sent)
        })
    }

    /// Sends a message to one node, wherever it is in the network and whether or not it can be dialled: on the link
    /// to it, by native nodes that pass it on, or by a search and a dial. The [`Delivery`] tells what became of it; a
    /// native node acknowledges.
    ///
    /// # Errors
    ///
    /// As of [`broadcast`](Self::broadcast); or the node is this one; or there are too many messages
    /// on their way, or searches. Nothing was sent.
    pub fn send_to(
        &self,
        node: &NodeId,
        payload: impl Into<Payload>,
    ) -> Result<Delivery, SendError> {
        self.send_to_as(node, SubFlag::Default, payload)
    }

    /// Sends a message with a sub-flag of the program's own to one node.
    ///
    /// # Errors
    ///
    /// As of [`send_to`](Self::send_to); or the sub-flag belongs to the protocol.
    pub fn send_to_as(
        &self,
        node: &NodeId,
        sub_flag: impl Into<SubFlag>,
        payload: impl Into<Payload>,
    ) -> Result<Delivery, SendError> {
        let (sub_flag, payload) = (sub_flag.into(), payload.into());
        self.shared().enter(|inner, now| {
            let sent = inner.state.send_to_as(node, sub_flag, payload, now);
            inner.await_delivery(sent)
        })
    }

    /// Answers the sender of a message, wherever it is; see [`send_to`](Self::send_to).
    ///
    /// # Errors
    ///
    /// As of [`send_to`](Self::send_to).
    pub fn reply(&self, to: &Message, payload: impl Into<Payload>) -> Result<Delivery, SendError> {
        let payload = payload.into();
        self.shared().enter(|inner, now| {
            let sent = inner.state.reply(to, payload, now);
            inner.await_delivery(sent)
        })
    }

    pub(crate) fn whisper_on_link(
        &self,
        link: LinkId,
        sub_flag: SubFlag,
        payload: Payload,
    ) -> Result<Delivery, SendError> {
        self.shared().enter(|inner, now| {
            let sent = inner.state.whisper_on_link(link, sub_flag, payload, now);
            inner.await_delivery(sent)
        })
    }

    /// Receives the next message.
    ///
    /// All clones of the socket read one queue: each message goes to one receiver. With a
    /// [store](crate::Builder::store), what was received before counts as dealt with when this is called again; see
    /// [`acknowledge`](Self::acknowledge).
    ///
    /// # Errors
    ///
    /// At this place messages are missing, because they came while the queue was full: just go on. Or
    /// the socket is closed, and everything was received.
    pub async fn recv(&self) -> Result<Message, RecvError> {
        self.acknowledge_handed();
        self.inbox().recv().await
    }

    /// Receives the next message if it is there.
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Option<Message>, RecvError> {
        self.acknowledge_handed();
        self.inbox().try_recv()
    }

    /// Receives as many messages as are there, up to a number, and up to the next gap.
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv), when that is what comes first.
    pub fn try_recv_many(&self, count: usize) -> Result<Vec<Message>, RecvError> {
        self.acknowledge_handed();
        self.inbox().try_recv_many(count)
    }

    /// Says that the program is done with a message: with a [store](crate::Builder::store), it is not received again after
    /// a restart, once that is saved ([`save`](Self::save)). A message that the program had not dealt with is.
    ///
    /// There is no need to call this where messages are dealt with one after the other: to receive the next is to say so of
    /// the last. A message that a handler took is dealt with when the handler returns.
    pub fn acknowledge(&self, message: &Message) {
        self.shared().acknowledge(message);
    }

    /// Saves the state of the node now, and returns when it is stored: all that was acknowledged before is not received again
    /// after a restart, and all that was broadcast before is sent by the next life if need be.
    ///
    /// There is no need to call this but for certainty: it is done every second, and at the end.
    ///
    /// # Errors
    ///
    /// The system could not write the file; the old one is whole. It is tried again with the next change. Or the socket has
    /// no [store](crate::Builder::store), or is closed.
    pub async fn save(&self) -> io::Result<()> {
        let shared = self.shared();
        let Some(store) = &shared.store else {
            let text = "the socket has no store";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        };
        shared.enter(|inner, now| inner.state.persist(now));
        store.written().await
    }

    pub(crate) fn acknowledge_handed(&self) {
        self.shared().acknowledge_handed();
    }

    /// Returns the messages as a stream, which reads the same queue as [`recv`](Self::recv) and
    /// holds the socket open.
    #[must_use]
    pub fn messages(&self) -> Messages {
        Messages::new(self.clone())
    }

    /// Returns what happens from now on, as a stream of its own.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared().lock().subscribers.subscribe()
    }

    /// Calls this whenever the occasion is there, until [`off`](Self::off) is called.
    ///
    /// Callbacks and handlers run one after the other in a task of the socket's, in the order of what
    /// happened; one that blocks holds up the others, and the thread of the runtime that it is on, but not the node.
    /// One that panics is not called off.
    pub fn on<F>(&self, on: On, callback: F) -> CallbackId
    where
        F: FnMut(&Occasion, &Self) + Send + 'static,
    {
        self.register(on, false, Box::new(callback))
    }

    /// Calls this the next time that the occasion is there; see [`on`](Self::on).
    pub fn once<F>(&self, on: On, callback: F) -> CallbackId
    where
        F: FnMut(&Occasion, &Self) + Send + 'static,
    {
        self.register(on, true, Box::new(callback))
    }

    /// Takes a callback out. Returns whether it was there.
    pub fn off(&self, callback: CallbackId) -> bool {
        self.shared().registry.remove_callback(callback)
    }

    /// Offers messages to this function before they are queued.
    ///
    /// Handlers are called in the order in which they were registered, until one returns [`Handled::Yes`]. A
    /// message that none has handled is queued if its sub-flag is [`SubFlag::Default`], else dropped.
    pub fn register_handler<F>(&self, handler: F)
    where
        F: Fn(&Message, &HandlerContext<'_>) -> Handled + Send + Sync + 'static,
    {
        self.shared().registry.add_handler(Arc::new(handler));
        self.start_dispatching(|inner| inner.has_handlers = true);
    }

    /// Returns the peers with an established link, by id.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.shared().lock().state.peers().collect()
    }

    /// Returns the id of this node. It is new for every socket, but for one that goes on from its
    /// [store](crate::Builder::store).
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.shared().id
    }

    /// Returns the epoch of what this node broadcasts: others see it as [`Message::epoch`], and as that of a
    /// [gap](rs2p_core::Event::Gap). New for every socket, store or not.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared().lock().state.epoch()
    }

    /// Returns the network that this node takes part in.
    #[must_use]
    pub fn protocol(&self) -> &Protocol {
        &self.shared().protocol
    }

    /// Returns where this node listens, with the ports that the system has chosen.
    #[must_use]
    pub fn local_addresses(&self) -> &[Address] {
        &self.shared().listening
    }

    /// Returns the address that is told to others.
    #[must_use]
    pub fn advertised(&self) -> Option<&Address> {
        self.shared().advertised.as_ref()
    }

    /// Looks at the socket: its peers and links, its queues, what went wrong lately.
    #[must_use]
    pub fn status(&self) -> Status {
        let (received, received_bytes, missed) = self.inbox().levels();
        let inner = self.shared().lock();
        Status {
            state: inner.phase(),
            node: inner.state.snapshot(),
            memory: inner.state.memory(),
            unwritten: inner.unwritten(),
            received,
            received_bytes,
            missed,
            problems: inner.problems(),
        }
    }

    /// Closes the link to a neighbour once what waits for it is sent, and does not dial it again.
    ///
    /// # Errors
    ///
    /// There is no link to it.
    pub fn disconnect(&self, node: &NodeId) -> Result<(), SendError> {
        self.shared()
            .enter(|inner, now| inner.state.disconnect(node, now))
    }

    /// Adds an address that the node dials by itself, as often as it takes.
    ///
    /// # Errors
    ///
    /// The text is no address, or one that cannot be dialled, or our own.
    pub fn add_seed(&self, address: impl ToAddress) -> Result<(), ConnectError> {
        let address = address.to_address()?;
        let added = self
            .shared()
            .enter(|inner, now| inner.state.add_seed(address, now));
        Ok(added?)
    }

    /// Takes in a byte stream that was accepted from this address, whatever it is: a Unix socket, a pipe, a queue in
    /// memory. It carries the protocol as it is, whatever the encryption of the network.
    ///
    /// # Errors
    ///
    /// A limit is reached, or the socket is closed. The stream is dropped.
    pub fn attach<S>(&self, stream: S, from: Address) -> Result<LinkId, AcceptError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shared = self.shared();
        let (id, queue) = shared.accepted(from)?;
        let task = link::run(stream, false, id, queue, Arc::clone(shared));
        shared.enter(|inner, _| inner.ask_keeper(Todo::Run(Box::pin(task))));
        Ok(id)
    }

    /// Closes the socket: what was accepted is sent, within [`Config::linger_timeout`](rs2p_core::Config::linger_timeout) and
    /// a second, links and listeners are closed, and everyone who waits is told. May be called again.
    ///
    /// When this returns, ports are free, and the state is saved if there is a store. What was received before can still be taken out.
    pub async fn close(&self) {
        self.shared().begin_closing();
        let is_closed = |inner: &mut Inner| (inner.phase() == SocketState::Closed).then_some(());
        self.shared().wait_for(is_closed).await;
        if let Some(store) = &self.shared().store {
            // If it could not be written, that is among the problems.
            store.ended().await;
        }
    }

    pub(crate) fn inbox(&self) -> &Inbox {
        &self.shared().inbox
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    fn register(&self, on: On, is_once: bool, callback: Action) -> CallbackId {
        let id = self.shared().registry.add_callback(on, is_once, callback);
        self.start_dispatching(|inner| match on {
            On::Message => inner.wants_messages = true,
            On::Connect | On::Event => inner.wants_events = true,
        });
        id
    }

    /// Has the program's code called from now on, by a task that starts with the first of it.
    fn start_dispatching(&self, want: impl FnOnce(&mut Inner)) {
        let shared = self.shared();
        shared.enter(|inner, _| {
            want(inner);
            if !std::mem::replace(&mut inner.is_dispatching, true) {
                let handle = Arc::downgrade(&self.handle);
                let task = dispatch::run(Arc::clone(shared), handle);
                inner.ask_keeper(Todo::Run(Box::pin(task)));
            }
        });
    }
}

impl fmt::Debug for MeshSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshSocket")
            .field("id", self.id())
            .field("listening", &self.local_addresses())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Fake;
    use futures_lite::future::block_on;

    fn is_send<T: Send>(value: T) -> T {
        value
    }

    #[test]
    fn everything_can_be_sent_to_other_threads() {
        fn is_sync<T: Sync>(_: &T) {}
        let socket = block_on(is_send(crate::Builder::new(Fake::default()).bind()));
        let socket = is_send(socket.unwrap());
        is_sync(&socket);
        drop(is_send(socket.connect("192.0.2.1:4444")));
        drop(is_send(socket.broadcast_when_ready("text")));
        drop(is_send(socket.ready()));
        drop(is_send(socket.recv()));
        drop(is_send(socket.close()));
        drop(is_send((socket.messages(), socket.events())));
    }
}
