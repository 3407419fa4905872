//! From settings to a running socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rs2p_core::{Address, Config, MeshState, Protocol};

use crate::MeshSocket;
use crate::address::{AddressError, ToAddress, reachable};
use crate::calendar::{self, Calendar};
use crate::carrier::Security;
use crate::error::BindError;
use crate::inbox::Limits;
use crate::runtime::Runtime;
use crate::shared::{Parts, Shared};
use crate::{keeper, listen};

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

    /// Starts the node.
    ///
    /// # Errors
    ///
    /// An address is none, or cannot be listened on; the configuration cannot work; the encryption is not
    /// built in. Nothing is left running.
    pub async fn bind(self) -> Result<MeshSocket, BindError> {
        let Self {
            runtime,
            mut config,
            protocol,
            listen,
            advertise,
            seeds,
            limits,
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
        let shared = Arc::new(Shared::new(Parts {
            origin: Instant::now(),
            calendar: Calendar::new(calendar::system),
            state: new_state(config)?,
            listening: bound.iter().copied().map(Address::from).collect(),
            limits,
        }));
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
