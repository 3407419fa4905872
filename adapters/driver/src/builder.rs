//! From settings to a running socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rs2p_core::{Address, Config, MeshState, Protocol, RestoreError};

use crate::MeshSocket;
use crate::address::{AddressError, ToAddress, reachable};
use crate::calendar::{self, Calendar};
use crate::carrier::Security;
use crate::error::BindError;
use crate::inbox::Limits;
use crate::runtime::Runtime;
use crate::shared::{Parts, Shared};
use crate::store::Store;
use crate::{keeper, listen};

/// How often the state is saved, if the configuration does not say.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// What a socket is to be like. The defaults are those of [`Config`], with no listener.
///
/// What is set by a method of its own goes over what the [`config`](Self::config) says.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `bind`"]
pub struct Builder<R> {
    runtime: R,
    config: Config,
    protocol: Option<Protocol>,
    listen: Vec<Result<Address, AddressError>>,
    advertise: Option<Result<Address, AddressError>>,
    seeds: Vec<Result<Address, AddressError>>,
    limits: Limits,
    store: Option<PathBuf>,
}

impl<R: Runtime> Builder<R> {
    /// Begins with the defaults, on this runtime.
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            config: Config::default(),
            protocol: None,
            listen: Vec::new(),
            advertise: None,
            seeds: Vec::new(),
            limits: Limits::default(),
            store: None,
        }
    }

    /// Listens there. Each call adds an address; without any, the node only dials.
    ///
    /// Port 0 is any that is free, told by [`MeshSocket::local_addresses`]. Of a name, the first
    /// address that works is taken.
    pub fn listen(mut self, address: impl ToAddress) -> Self {
        self.listen.push(address.to_address());
        self
    }

    /// Sets the network. Default: subnet `mesh` in plain text.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Sets the address that is told to others, for nodes behind a port forwarding. Port 0 stands for the port
    /// of the first listener.
    ///
    /// Default: the first listener's; if that is `0.0.0.0` or `::`, the address of this machine in its local
    /// network. Without listeners, none.
    pub fn advertise(mut self, address: impl ToAddress) -> Self {
        self.advertise = Some(address.to_address());
        self
    }

    /// Adds an address that the node dials by itself, as often as it takes.
    pub fn seed(mut self, address: impl ToAddress) -> Self {
        self.seeds.push(address.to_address());
        self
    }

    /// Sets everything that the node's [`Config`] holds.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets how many messages wait to be received before further ones are dropped, and counted as
    /// [`RecvError::Lagged`](crate::RecvError::Lagged).
    ///
    /// Default: 65,536 (guess).
    pub const fn receive_limit(mut self, messages: usize) -> Self {
        self.limits.messages = messages;
        self
    }

    /// Sets how many bytes of packets wait to be received, likewise. A message that is alone may be longer.
    ///
    /// Default: 64 MiB (guess).
    pub const fn receive_limit_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Keeps the node's state in this file, and goes on from what is there: it is the same node with the same id, receives
    /// nothing again that the program was done with, and what it missed while it was away as far as others
    /// still have it; and sends what it had broadcast when nobody was there to take it.
    ///
    /// The file is written whole, in the place of the old one, every [`Config::save_interval`] (1 s, if the configuration does not
    /// say) in which something has changed, by a thread of its own. Beside it there is a file of the same name that ends in
    /// `.lock`: it keeps a second node from going on from the same state.
    pub fn store(mut self, path: impl Into<PathBuf>) -> Self {
        self.store = Some(path.into());
        self
    }

    /// Starts the node.
    ///
    /// # Errors
    ///
    /// An address is none, or cannot be listened on; the configuration cannot work; the encryption is not
    /// built in; or the store cannot be opened, or holds something else. Nothing is left running, and a store is as it was.
    pub async fn bind(self) -> Result<MeshSocket, BindError> {
        let Self {
            runtime,
            mut config,
            protocol,
            listen,
            advertise,
            seeds,
            limits,
            store,
        } = self;
        let listen: Vec<Address> = listen.into_iter().collect::<Result<_, _>>()?;
        let advertise = advertise.transpose()?;
        for seed in seeds {
            config.seeds.push(seed?);
        }
        if let Some(protocol) = protocol {
            config.protocol = protocol;
        }
        config.check().map_err(BindError::Config)?;
        let security = Security::new(&config)?;
        let mut listeners = Vec::with_capacity(listen.len());
        let mut bound = Vec::with_capacity(listen.len());
        for address in listen {
            let (listener, at) = open_listener(&runtime, address).await?;
            listeners.push(listener);
            bound.push(at);
        }
        config.advertised = advertised(advertise.or(config.advertised), &bound);
        let (store, state) = match store {
            None => (None, new_state(config)?),
            Some(path) => {
                config.save_interval.get_or_insert(SAVE_INTERVAL);
                let store = Store::open(path.clone()).await;
                let failed = |source| BindError::Store {
                    path: path.clone(),
                    source,
                };
                let (store, saved) = store.map_err(failed)?;
                let state = match saved {
                    Some(saved) => restored_state(config, &saved, &path)?,
                    None => new_state(config)?,
                };
                (Some((Arc::new(store), path)), state)
            }
        };
        let started = store.clone();
        let shared = Arc::new(Shared::new(Parts {
            origin: Instant::now(),
            calendar: Calendar::new(calendar::system),
            state,
            listening: bound.iter().copied().map(Address::from).collect(),
            limits,
            store: store.map(|(store, _)| store),
        }));
        if let Some((store, path)) = started {
            let failed = |source| BindError::Store { path, source };
            store.start(Arc::downgrade(&shared)).map_err(failed)?;
        }
        for listener in listeners {
            let shared = Arc::clone(&shared);
            let task = listen::run(runtime.clone(), security.clone(), shared, listener);
            runtime.spawn(task);
        }
        runtime.spawn(keeper::run(runtime.clone(), security, Arc::clone(&shared)));
        tracing::debug!(id = %shared.id, listening = ?shared.listening, "socket open");
        Ok(MeshSocket::new(shared))
    }
}

fn new_state(config: Config) -> Result<MeshState, BindError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(BindError::Random)?;
    MeshState::new(config, seed, rs2p_core::Instant::ZERO, calendar::system())
        .map_err(BindError::Config)
}

/// Returns the node that a file holds.
fn restored_state(config: Config, saved: &Bytes, path: &Path) -> Result<MeshState, BindError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(BindError::Random)?;
    let now = rs2p_core::Instant::ZERO;
    let restored = MeshState::restore(config, seed, saved, now, calendar::system());
    restored.map_err(|error| match error {
        RestoreError::Config(error) => BindError::Config(error),
        RestoreError::Save(source) => BindError::Restore {
            path: path.to_owned(),
            source,
        },
        // There is no other reason yet.
        other => BindError::Store {
            path: path.to_owned(),
            source: std::io::Error::other(other),
        },
    })
}

/// Returns what to tell others, of what was asked for and what is listened on.
fn advertised(asked: Option<Address>, bound: &[SocketAddr]) -> Option<Address> {
    let first = bound.first();
    match (asked, first) {
        (Some(asked), Some(first)) if asked.port() == 0 => Some(asked.with_port(first.port())),
        (Some(asked), _) => Some(asked),
        (None, first) => first.map(|first| reachable(*first).into()),
    }
}

async fn open_listener<R: Runtime>(
    runtime: &R,
    address: Address,
) -> Result<(R::Listener, SocketAddr), BindError> {
    match try_listen(runtime, &address).await {
        Ok(open) => Ok(open),
        Err(source) => Err(BindError::Listen { address, source }),
    }
}

async fn try_listen<R: Runtime>(
    runtime: &R,
    address: &Address,
) -> std::io::Result<(R::Listener, SocketAddr)> {
    let candidates = match address.ip() {
        Some(ip) => vec![SocketAddr::new(ip, address.port())],
        None => runtime.resolve(address.host(), address.port()).await?,
    };
    let mut failure = std::io::Error::new(std::io::ErrorKind::NotFound, "unknown host");
    for candidate in candidates {
        match runtime.bind(candidate).await {
            Ok(listener) => {
                let at = runtime.local_addr(&listener)?;
                return Ok((listener, at));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
