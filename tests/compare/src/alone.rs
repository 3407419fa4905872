//! The state machines without any network: what a message costs a node that receives it from one of its five neighbours,
//! delivers it, and passes it on to the other four.
//!
//! rs2p's takes and gives bytes: framing, hashing, and encoding are in it. iroh-gossip's takes and gives messages, and its network
//! layer writes and reads them with postcard; it is measured without that, and with it. Its ids are BLAKE3.

use std::collections::VecDeque;
use std::hint::black_box;

use bytes::Bytes;
use iroh_gossip::proto::{
    Command, Config, InEvent, Message, OutEvent, PeerData, Scope, State, TopicId,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rs2p_tests::bench::{machine, payload};
use rs2p_tests::hub::{Hub, Neighbours};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

const DEGREE: u8 = 5;

/// How often each is done; the fastest counts.
const ROUNDS: usize = 7;

const TOPIC: TopicId = TopicId::from_bytes(*b"the topic of the benchmark here.");

/// As long as the real ones.
type Id = [u8; 32];
type Node = State<Id, StdRng>;

/// Nanoseconds of processor time per message.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Costs {
    pub(crate) len: usize,
    pub(crate) rs2p: f64,
    pub(crate) iroh_alone: f64,
    pub(crate) iroh_with_codec: f64,
}

/// Measures messages of that length.
pub(crate) fn measure(len: usize) -> Result<Costs, String> {
    let count = if len > 1024 { 300 } else { 3000 };
    let mut costs = Costs {
        len,
        rs2p: f64::MAX,
        iroh_alone: f64::MAX,
        iroh_with_codec: f64::MAX,
    };
    for _ in 0..ROUNDS {
        costs.rs2p = costs.rs2p.min(rs2p(len, count)?);
        costs.iroh_alone = costs.iroh_alone.min(iroh(len, count, false)?);
        costs.iroh_with_codec = costs.iroh_with_codec.min(iroh(len, count, true)?);
    }
    Ok(costs)
}

fn per_message(count: usize, work: impl FnOnce() -> usize) -> Result<f64, String> {
    let before = machine::cpu_time();
    let sent = work();
    let took = machine::cpu_time() - before;
    let due = count * usize::from(DEGREE - 1);
    // Besides, a node acknowledges now and then, in chunks of their own.
    if !(due..=due + due / 20 + 5).contains(&sent) {
        return Err(format!("passed on {sent} times, not {due}"));
    }
    Ok(took.as_secs_f64() * 1e9 / count as f64)
}

fn rs2p(len: usize, count: usize) -> Result<f64, String> {
    let config = rs2p_core::Config {
        compression: Vec::new(),
        ..rs2p_core::Config::default()
    };
    let mut hub = Hub::new(Neighbours::Native, DEGREE, config);
    let frames: Vec<Vec<u8>> = (0..count).map(|_| hub.make_frame(len)).collect();
    per_message(count, || {
        let sent = |frame: &Vec<u8>| black_box(hub.arrive(0, frame)).sent as usize;
        frames.iter().map(sent).sum()
    })
}

fn iroh(len: usize, count: usize, with_codec: bool) -> Result<f64, String> {
    let (mut hub, mut publisher) = linked(len);
    let from = *publisher.me();
    let messages: Vec<Message<Id>> = (0..count as u64)
        .filter_map(|number| {
            let content = Bytes::from(payload(number, 0, len));
            let command = Command::Broadcast(content, Scope::Swarm);
            let out = publisher.handle(InEvent::Command(TOPIC, command), Instant::now(), None);
            out.filter_map(|event| match event {
                OutEvent::SendMessage(to, message) if to == id(0) => Some(message),
                _ => None,
            })
            .next()
        })
        .collect();
    if !with_codec {
        return per_message(count, || {
            let each = messages.into_iter();
            each.map(|message| black_box(receive(&mut hub, from, message, drop)))
                .sum()
        });
    }
    let frames: Vec<Vec<u8>> = messages
        .iter()
        .map(|message| postcard::to_stdvec(message).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    per_message(count, || {
        let each = frames.iter().map(|frame| {
            let message = postcard::from_bytes(frame).expect("we have written it");
            receive(&mut hub, from, message, |message| {
                black_box(postcard::to_stdvec(&message).expect("it fits"));
            })
        });
        each.sum()
    })
}

/// Returns to how many the message is passed on.
fn receive(
    hub: &mut Node,
    from: Id,
    message: Message<Id>,
    mut send: impl FnMut(Message<Id>),
) -> usize {
    let mut sent = 0;
    for event in hub.handle(InEvent::RecvMessage(from, message), Instant::now(), None) {
        if let OutEvent::SendMessage(_, message) = event {
            sent += 1;
            send(message);
        }
    }
    sent
}

/// Returns a node with five neighbours, and one of these.
fn linked(len: usize) -> (Node, Node) {
    let config = Config {
        max_message_size: len + 1024,
        ..Config::default()
    };
    let node = |number: u8| {
        let random = StdRng::seed_from_u64(u64::from(number));
        State::new(id(number), PeerData::default(), config.clone(), random)
    };
    let mut nodes: Vec<Node> = (0..=DEGREE).map(node).collect();
    for number in 0..=DEGREE {
        let seeds = if number == 0 { Vec::new() } else { vec![id(0)] };
        let join = InEvent::Command(TOPIC, Command::Join(seeds));
        let mut events = VecDeque::from([(number, join)]);
        while let Some((at, event)) = events.pop_front() {
            let me = id(at);
            for out in nodes[usize::from(at)].handle(event, Instant::now(), None) {
                if let OutEvent::SendMessage(to, message) = out {
                    events.push_back((to[0], InEvent::RecvMessage(me, message)));
                }
            }
        }
    }
    let publisher = nodes.swap_remove(1);
    (nodes.swap_remove(0), publisher)
}

fn id(number: u8) -> Id {
    let mut id = [7; 32];
    id[0] = number;
    id
}
