//! gossipsub of rust-libp2p, over TCP and yamux.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::futures::StreamExt as _;
use libp2p::gossipsub::{
    Behaviour, ConfigBuilder, Event, IdentTopic, MessageAuthenticity, MessageId, PublishError,
    ValidationMode,
};
use libp2p::swarm::SwarmEvent;
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder, core::upgrade::Version, noise, plaintext, tcp, yamux,
};
use libp2p::{Transport as _, identity::Keypair};
use rs2p_tests::bench::{Network, Outcome, Tally, Work, run};
use tokio::sync::{mpsc, oneshot};

/// How long the nodes get to make their mesh: the first heartbeat comes after 5 s.
const SETTLES: Duration = Duration::from_secs(7);

/// How gossipsub is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As by default: noise, signed messages, checked strictly.
    Signed,
    /// Plain TCP, and messages without a sender. Their ids are a hash of what they hold, since there is nothing else.
    Plain,
}

struct Publish(Bytes, oneshot::Sender<Result<(), String>>);

struct Gossipsub(mpsc::Sender<Publish>);

impl Network for Gossipsub {
    async fn publish(&self, message: Bytes) -> Result<(), String> {
        let (done, published) = oneshot::channel();
        let sent = self.0.send(Publish(message, done)).await;
        sent.map_err(|error| error.to_string())?;
        published.await.map_err(|error| error.to_string())?
    }

    async fn sleep_until(&self, moment: Instant) {
        tokio::time::sleep_until(moment.into()).await;
    }
}

/// Does the work on nodes that are all connected to each other.
pub(crate) async fn measure(mode: Mode, work: &Work) -> Result<Outcome, String> {
    let topic = IdentTopic::new("bench");
    let mut swarms: Vec<Swarm<Behaviour>> = Vec::new();
    let mut addresses: Vec<Multiaddr> = Vec::new();
    for _ in 0..work.nodes {
        let mut swarm = node(mode)?;
        let subscribed = swarm.behaviour_mut().subscribe(&topic);
        subscribed.map_err(|error| format!("{error:?}"))?;
        addresses.push(listen(&mut swarm).await?);
        for address in &addresses[..swarms.len()] {
            let dialed = swarm.dial(address.clone());
            dialed.map_err(|error| error.to_string())?;
        }
        swarms.push(swarm);
    }
    let tally = Tally::new(work.nodes - 1);
    let (publisher, mut commands) = (mpsc::channel(1), Vec::new());
    let (sender, first) = publisher;
    commands.push(first);
    // The others publish nothing; their channels only have to stay open.
    let mut open = Vec::new();
    for _ in 1..work.nodes {
        let (sender, receiver) = mpsc::channel(1);
        open.push(sender);
        commands.push(receiver);
    }
    for (number, (swarm, commands)) in swarms.into_iter().zip(commands).enumerate() {
        let receiver = number
            .checked_sub(1)
            .map(|number| (number, Arc::clone(&tally)));
        tokio::spawn(drive(swarm, topic.clone(), commands, receiver));
    }
    tokio::time::sleep(SETTLES).await;
    run(&Gossipsub(sender), &tally, work).await
}

/// Runs a node.
async fn drive(
    mut swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    mut commands: mpsc::Receiver<Publish>,
    receiver: Option<(usize, Arc<Tally>)>,
) {
    let mut waiting: Option<Publish> = None;
    loop {
        tokio::select! {
            command = commands.recv(), if waiting.is_none() => match command {
                Some(command) => waiting = Some(command),
                None => return,
            },
            event = swarm.select_next_some() => {
                if let SwarmEvent::Behaviour(Event::Message { message, .. }) = event
                    && let Some((number, tally)) = &receiver
                {
                    tally.arrived(*number, &message.data);
                }
            }
        }
        if let Some(Publish(message, done)) = waiting.take() {
            match swarm
                .behaviour_mut()
                .publish(topic.clone(), message.clone())
            {
                // Again after the next event: there is room when one of the queues has moved on.
                Err(PublishError::AllQueuesFull(_)) => waiting = Some(Publish(message, done)),
                // Nobody may wait any more.
                published => {
                    drop(done.send(published.map(drop).map_err(|error| error.to_string())))
                }
            }
        }
    }
}

fn node(mode: Mode) -> Result<Swarm<Behaviour>, String> {
    let keypair = Keypair::generate_ed25519();
    let mut config = ConfigBuilder::default();
    let authenticity = match mode {
        Mode::Signed => MessageAuthenticity::Signed(keypair.clone()),
        Mode::Plain => {
            config.validation_mode(ValidationMode::Anonymous);
            config.message_id_fn(|message| {
                let mut hasher = DefaultHasher::new();
                message.data.hash(&mut hasher);
                MessageId::from(hasher.finish().to_be_bytes())
            });
            MessageAuthenticity::Anonymous
        }
    };
    let config = config.build().map_err(|error| error.to_string())?;
    let behaviour = Behaviour::new(authenticity, config).map_err(str::to_owned)?;
    let tcp = tcp::Config::new().nodelay(true);
    let builder = SwarmBuilder::with_existing_identity(keypair).with_tokio();
    let swarm = match mode {
        Mode::Signed => builder
            .with_tcp(tcp, noise::Config::new, yamux::Config::default)
            .map_err(|error| error.to_string())?
            .with_behaviour(|_| behaviour)
            .map_err(|error| error.to_string())?
            .with_swarm_config(keep_open)
            .build(),
        Mode::Plain => builder
            .with_other_transport(|keypair| {
                tcp::tokio::Transport::new(tcp)
                    .upgrade(Version::V1Lazy)
                    .authenticate(plaintext::Config::new(keypair))
                    .multiplex(yamux::Config::default())
            })
            .map_err(|error| error.to_string())?
            .with_behaviour(|_| behaviour)
            .map_err(|error| error.to_string())?
            .with_swarm_config(keep_open)
            .build(),
    };
    Ok(swarm)
}

fn keep_open(config: libp2p::swarm::Config) -> libp2p::swarm::Config {
    config.with_idle_connection_timeout(Duration::from_secs(600))
}

/// Listens at a port that is free, and returns the address.
async fn listen(swarm: &mut Swarm<Behaviour>) -> Result<Multiaddr, String> {
    let address = "/ip4/127.0.0.1/tcp/0".parse();
    let address: Multiaddr = address.map_err(|error| format!("{error:?}"))?;
    swarm
        .listen_on(address)
        .map_err(|error| error.to_string())?;
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return Ok(address);
        }
    }
}
