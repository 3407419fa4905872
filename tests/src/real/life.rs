//! One life of a node: its socket, the gate before its tasks, and its application.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use rs2p_core::{Address, Config};
use rs2p_driver::{BindError, Builder, Handled, MeshSocket, On};
use rs2p_sim::{Life, Stop};
use smol::channel::{Receiver, Sender, unbounded};
use smol::{Task, Timer};

use super::gate::Gate;
use super::net::{Net, Said, Words};
use super::runtime::Gated;

/// How long a node may take to leave in good order.
const LEAVE_TIME: Duration = Duration::from_secs(10);

/// What a node is to be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: Config,
    /// Where others dial it.
    pub(super) place: SocketAddr,
    pub(super) seeds: Vec<SocketAddr>,
    pub(super) places: Arc<BTreeSet<SocketAddr>>,
    /// The file that its state is kept in, and whether it goes on from what is there.
    pub(super) store: Option<(PathBuf, bool)>,
    /// Whether it stands still at first.
    pub(super) is_paused: bool,
}

/// A node that has begun, and was not ended yet. It may have left by itself.
#[derive(Debug)]
pub(super) struct Alive {
    pub(super) life: Life,
    pub(super) gate: Gate,
    pub(super) socket: MeshSocket,
    words: Sender<Words>,
    mouth: Task<()>,
    leaving: Option<Task<()>>,
}

impl Alive {
    /// Begins a life.
    pub(super) async fn begin(net: &Arc<Net>, life: Life, plan: Plan) -> Result<Self, BindError> {
        let gate = Gate::default();
        let runtime = Gated {
            gate: gate.clone(),
            life,
            places: plan.places,
        };
        let mut builder = Builder::new(runtime)
            .config(plan.config)
            .listen("127.0.0.1:0")
            .advertise(Address::from(plan.place));
        for seed in plan.seeds {
            builder = builder.seed(Address::from(seed));
        }
        let is_restored = plan.store.as_ref().is_some_and(|(_, goes_on)| *goes_on);
        if let Some((path, _)) = plan.store {
            builder = builder.store(path);
        }
        let socket = builder.bind().await?;
        let listening = socket.local_addresses()[0].clone();
        let ip = listening
            .ip()
            .expect("it listens at an address, not a name");
        let target = SocketAddr::new(ip, listening.port());
        net.change(|state| state.born(life, target, socket.id(), is_restored));
        let told = Arc::clone(net);
        socket.register_handler(move |message, _| {
            // What comes after the end is not acknowledged either.
            match told.enter(|state| state.delivered(life, message)) {
                true => Handled::Yes,
                false => Handled::No,
            }
        });
        let told = Arc::clone(net);
        socket.on(On::Event, move |occasion, _| {
            told.enter(|state| state.told(life, occasion));
        });
        if !plan.is_paused {
            gate.open();
        }
        let (words, heard) = unbounded();
        let mouth = smol::spawn(speak(Arc::clone(net), life, socket.clone(), heard));
        Ok(Self {
            life,
            gate,
            socket,
            words,
            mouth,
            leaving: None,
        })
    }

    /// Has its application say something, after what it has been given to say before.
    pub(super) fn say(&self, net: &Net, words: Words) {
        net.enter(|state| state.waiting += 1);
        let given = self.words.try_send(words);
        given.expect("a life speaks until it is ended");
    }

    /// Lets it leave in good order, as long as that takes.
    pub(super) fn leave(&mut self, net: &Arc<Net>) {
        let (net, socket, life) = (Arc::clone(net), self.socket.clone(), self.life);
        net.enter(|state| state.slots[life.node as usize].is_leaving = true);
        let leaving = async move {
            let out_of_time = async { _ = Timer::after(LEAVE_TIME).await };
            or(socket.close(), out_of_time).await;
            net.change(|state| state.die(life, Stop::Leave));
        };
        self.leaving = Some(smol::spawn(leaving));
    }

    /// Ends it, unless it has left, and returns when nothing is left of it.
    pub(super) async fn end(self, net: &Net, how: Stop) {
        if let Some(leaving) = self.leaving {
            leaving.cancel().await;
        }
        net.change(|state| state.die(self.life, how));
        self.gate.end().await;
        // Its file is free then.
        self.socket.close().await;
        self.words.close();
        self.mouth.await;
    }
}

/// Says one thing after the other, each when there is room for it.
async fn speak(net: Arc<Net>, life: Life, socket: MeshSocket, heard: Receiver<Words>) {
    while let Ok(words) = heard.recv().await {
        loop {
            match net.enter(|state| state.say(life, &socket, &words)) {
                Said::Done => break,
                Said::Sent(number, delivery) => {
                    let net = Arc::clone(&net);
                    let told = async move {
                        let outcome = delivery.await;
                        net.enter(|state| state.resolved(life, number, &outcome));
                    };
                    smol::spawn(told).detach();
                    break;
                }
                Said::Full => socket.ready().await,
            }
        }
        net.enter(|state| state.waiting -= 1);
    }
}
