//! A node of ours, for tests that wait by blocking; and the modes in which a peer can run.

use std::future::Future;
use std::net::SocketAddrV4;
use std::time::Duration;

use rs2p_smol::{
    Address, Config, Encryption, Event, Events, MeshSocket, Message, PeerInfo, PeerKind, Protocol,
};
use rs2p_tests::peers::{self, Availability, Peer, PeerOptions, next_address};
use smol::future::FutureExt as _;
use smol::stream::StreamExt as _;

/// Far more than anything here takes, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(40);

/// Waits for a future, and fails the test if it takes too long.
#[track_caller]
pub(super) fn wait<T>(what: &str, future: impl Future<Output = T>) -> T {
    let late = async {
        smol::Timer::after(LIMIT).await;
        None
    };
    let done = smol::block_on(async { Some(future.await) }.or(late));
    done.unwrap_or_else(|| panic!("waited {LIMIT:?} for {what}"))
}

/// A node of ours.
pub(super) struct Node {
    pub(super) socket: MeshSocket,
    pub(super) address: SocketAddrV4,
    events: Events,
}

impl Node {
    pub(super) fn start(mode: Mode) -> Self {
        Self::with(mode, "mesh", Config::default())
    }

    pub(super) fn with(mode: Mode, subnet: &str, config: Config) -> Self {
        let address = next_address();
        let socket = rs2p_smol::builder()
            .config(config)
            .protocol(Protocol::new(subnet, mode.ours))
            .listen(address.to_string())
            .bind();
        let socket = wait("binding", socket).unwrap();
        let events = socket.events();
        Self {
            socket,
            address,
            events,
        }
    }

    /// Dials a peer, and waits for the link on both sides.
    pub(super) fn connect(&self, peer: &Peer) {
        let dialed = wait("connect", self.socket.connect(peer.address().to_string()));
        let id = dialed.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(id.as_str(), peer.id());
    }

    pub(super) fn connect_to(&self, other: &Self) {
        wait("connect", self.socket.connect(other.address.to_string())).unwrap();
    }

    /// Waits for the link to a peer, whoever dialled.
    pub(super) fn wait_peer(&self, id: &str) -> PeerInfo {
        let find = || {
            self.socket
                .peers()
                .into_iter()
                .find(|peer| peer.id.as_str() == id)
        };
        let mut events = self.socket.events();
        wait(&format!("a link to {id}"), async {
            loop {
                if let Some(peer) = find() {
                    return peer;
                }
                events.next().await;
            }
        })
    }

    /// Waits until there is no link to a peer.
    pub(super) fn wait_no_peer(&self, id: &str) {
        let mut events = self.socket.events();
        let is_linked = || {
            self.socket
                .peers()
                .iter()
                .any(|peer| peer.id.as_str() == id)
        };
        wait(&format!("the end of the link to {id}"), async {
            while is_linked() {
                events.next().await;
            }
        });
    }

    /// Waits for an event, among those since the node started or the last wait.
    pub(super) fn wait_event<T>(&mut self, what: &str, pick: impl Fn(Event) -> Option<T>) -> T {
        let events = &mut self.events;
        wait(what, async {
            loop {
                let event = events.next().await.expect("the socket is open");
                if let Some(picked) = event.ok().and_then(&pick) {
                    return picked;
                }
            }
        })
    }

    /// Receives a message. In vain, it tells what the node looks like.
    #[track_caller]
    pub(super) fn recv(&self) -> Message {
        let late = async {
            smol::Timer::after(LIMIT).await;
            panic!("no message in {LIMIT:?}; {:#?}", self.socket.status())
        };
        smol::block_on(self.socket.recv().or(late)).unwrap()
    }

    /// Returns the next message as text, if one comes within so long.
    pub(super) fn next_text(&self, within: Duration) -> Option<String> {
        let late = async {
            smol::Timer::after(within).await;
            None
        };
        let next = async { Some(self.socket.recv().await.unwrap()) };
        smol::block_on(next.or(late))?.text()
    }

    pub(super) fn recv_text(&self) -> String {
        self.recv().text().expect("text")
    }

    pub(super) fn id(&self) -> &str {
        self.socket.id().as_str()
    }
}

/// A kind of peer, and how its links are protected.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    start: fn(PeerOptions) -> Availability<Peer>,
    theirs: peers::Encryption,
    pub(super) ours: Encryption,
    pub(super) kind: PeerKind,
}

impl Mode {
    pub(super) const PY2P: Self = Self {
        start: Peer::py2p,
        theirs: peers::Encryption::Plaintext,
        ours: Encryption::Plaintext,
        kind: PeerKind::Py2p,
    };

    pub(super) const PY2P_SSL: Self = Self {
        theirs: peers::Encryption::Ssl,
        ours: Encryption::Tls,
        ..Self::PY2P
    };

    pub(super) const JS2P: Self = Self {
        start: Peer::js2p,
        kind: PeerKind::Js2p,
        ..Self::PY2P
    };

    pub(super) const JS2P_SSL: Self = Self {
        theirs: peers::Encryption::Ssl,
        ours: Encryption::Tls,
        ..Self::JS2P
    };

    pub(super) const JS2P_WS: Self = Self {
        theirs: peers::Encryption::Ws,
        ours: Encryption::WebSocket,
        ..Self::JS2P
    };

    /// Starts a peer, or says loudly that it cannot be had here.
    pub(super) fn peer(self) -> Option<Peer> {
        self.peer_with(PeerOptions::new())
    }

    pub(super) fn peer_with(self, options: PeerOptions) -> Option<Peer> {
        (self.start)(options.encryption(self.theirs)).or_skip()
    }

    /// Starts a node of ours and a peer, and links them.
    pub(super) fn pair(self) -> Option<(Node, Peer)> {
        let peer = self.peer()?;
        let node = Node::start(self);
        node.connect(&peer);
        peer.wait_linked(node.id());
        Some((node, peer))
    }
}

pub(super) fn as_ours(address: SocketAddrV4) -> Address {
    std::net::SocketAddr::from(address).into()
}
