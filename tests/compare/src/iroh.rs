//! iroh-gossip, over QUIC on the loopback interface, without relays.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::StreamExt as _;
use iroh::address_lookup::MemoryLookup;
use iroh::endpoint::{RelayMode, presets};
use iroh::protocol::Router;
use iroh::{Endpoint, EndpointAddr, TransportAddr};
use iroh_gossip::api::{Event, GossipReceiver, GossipSender};
use iroh_gossip::{ALPN, net::Gossip, proto::TopicId};
use rs2p_tests::bench::{Network, Outcome, Tally, Work, run};

/// How long the nodes get to find their neighbours, once they have joined.
const SETTLES: Duration = Duration::from_secs(3);

/// How long each may take to join.
const JOINS: Duration = Duration::from_secs(20);

/// The default limit is 4 KiB, too little for the longest messages here.
const MAX_MESSAGE_LEN: usize = 64 << 10;

const TOPIC: TopicId = TopicId::from_bytes(*b"the topic of the benchmark here.");

struct Iroh(GossipSender);

impl Network for Iroh {
    async fn publish(&self, message: Bytes) -> Result<(), String> {
        let sent = self.0.broadcast(message).await;
        sent.map_err(|error| error.to_string())
    }

    async fn sleep_until(&self, moment: Instant) {
        tokio::time::sleep_until(moment.into()).await;
    }
}

/// Does the work on nodes of which all join by the first one.
pub(crate) async fn measure(work: &Work) -> Result<Outcome, String> {
    let lookup = MemoryLookup::new();
    let mut nodes = Vec::new();
    for _ in 0..work.nodes {
        nodes.push(node(&lookup).await?);
    }
    let first = nodes[0].0.id();
    let tally = Tally::new(work.nodes - 1);
    let topic = nodes[0].1.subscribe(TOPIC, Vec::new()).await;
    let (sender, receiver) = topic.map_err(|error| error.to_string())?.split();
    // It has to be read, or it ends.
    tokio::spawn(receive(receiver, None));
    let mut senders = Vec::new();
    for (number, (_, gossip, _)) in nodes.iter().skip(1).enumerate() {
        let joined = gossip.subscribe_and_join(TOPIC, vec![first]);
        let joined = tokio::time::timeout(JOINS, joined).await;
        let joined = joined.map_err(|_elapsed| "a node does not join".to_owned())?;
        let (sender, receiver) = joined.map_err(|error| error.to_string())?.split();
        tokio::spawn(receive(receiver, Some((number, Arc::clone(&tally)))));
        senders.push(sender);
    }
    tokio::time::sleep(SETTLES).await;
    run(&Iroh(sender), &tally, work).await
}

async fn node(lookup: &MemoryLookup) -> Result<(Endpoint, Gossip, Router), String> {
    let endpoint = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .address_lookup(lookup.clone())
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::LOCALHOST, 0))
        .map_err(|error| error.to_string())?
        .bind()
        .await
        .map_err(|error| error.to_string())?;
    let at = endpoint.bound_sockets().into_iter().map(TransportAddr::Ip);
    lookup.add_endpoint_info(EndpointAddr::from_parts(endpoint.id(), at));
    let gossip = Gossip::builder()
        .max_message_size(MAX_MESSAGE_LEN)
        .spawn(endpoint.clone());
    let router = Router::builder(endpoint.clone())
        .accept(ALPN, gossip.clone())
        .spawn();
    Ok((endpoint, gossip, router))
}

async fn receive(mut receiver: GossipReceiver, to: Option<(usize, Arc<Tally>)>) {
    while let Some(Ok(event)) = receiver.next().await {
        if let Event::Received(message) = event
            && let Some((number, tally)) = &to
        {
            tally.arrived(*number, &message.content);
        }
    }
}
