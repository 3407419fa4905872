//! What is known of a network that is played: its nodes, its connections, the faults that are going on, and the referee. All
//! of it is behind one lock, so that there is one order of things.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rs2p_core::{LinkId, NodeId, SendOutcome, Side};
use rs2p_driver::{Delivery, Event, MeshSocket, Message, Occasion, PeerInfo, SendError};
use rs2p_sim::{Checker, DialManner, Life, Place, Referee, Scenario, Step, Stop, Storm, Time};

use super::gate::{Bell, lock};
use conns::Conn;
use letters::Letters;

pub(super) use conns::Next;

mod conns;
mod letters;

/// A network while it is played.
#[derive(Debug)]
pub(super) struct Net {
    began: Instant,
    state: Mutex<State>,
    bell: Bell,
}

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) storm: Storm,
    pub(super) referee: Referee,
    pub(super) scenario: Scenario,
    /// What is at each place.
    pub(super) slots: Vec<Slot>,
    pub(super) conns: BTreeMap<u64, Conn>,
    made: u64,
    /// Which connection a link is, by life and the node's own name for the link.
    links: BTreeMap<(Life, LinkId), u64>,
    /// Messages that were handed in, and that nodes have not taken yet.
    pub(super) waiting: usize,
    letters: Letters,
    is_over: bool,
}

/// A place, and who is there.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Where others dial it: at the proxy.
    pub(super) place: SocketAddr,
    /// Which life it is, or was.
    pub(super) life: u32,
    /// Where it listens, while it is up.
    pub(super) target: Option<SocketAddr>,
    /// Who it is, while it is up.
    pub(super) id: Option<NodeId>,
    /// Whether its machine is gone, and not just its process.
    pub(super) is_dark: bool,
    /// How many faults hold it still.
    pub(super) paused: u32,
    /// Whether it is about to leave in good order.
    pub(super) is_leaving: bool,
}

/// What an application wants to say.
#[derive(Clone, Debug)]
pub(super) enum Words {
    /// To all.
    All(Bytes),
    /// To one node.
    One(u32, Bytes),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Said {
    /// It was said, or never will be.
    Done,
    /// To one node, by this number; what becomes of it is told later.
    Sent(u64, Delivery),
    /// There is no room for it now.
    Full,
}

/// What becomes of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Connect(SocketAddr, Life),
    Fail(DialManner),
}

impl Net {
    pub(super) fn new(state: State) -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::new(state),
            bell: Bell::default(),
        }
    }

    /// Returns for how long it has been played.
    pub(super) fn now(&self) -> Time {
        Time::ZERO.after(self.began.elapsed())
    }

    /// Looks at the state, or notes something of which no stream needs to know.
    pub(super) fn enter<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        // After the lock, so that the referee never sees the time go back.
        let now = self.now();
        state.referee.at(now);
        act(&mut state)
    }

    /// Changes what streams wait for.
    pub(super) fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = self.enter(act);
        self.bell.ring();
        result
    }

    /// Waits until a look at the state finds something.
    pub(super) async fn until<T>(&self, mut find: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let times = self.bell.times();
            if let Some(found) = self.enter(&mut find) {
                return found;
            }
            self.bell.rung(times).await;
        }
    }

    /// Waits until the state is changed, having looked at it before.
    pub(super) fn times(&self) -> u64 {
        self.bell.times()
    }

    pub(super) async fn changed(&self, times: u64) {
        self.bell.rung(times).await;
    }
}

impl State {
    pub(super) fn new(scenario: &Scenario, referee: Referee, places: Vec<SocketAddr>) -> Self {
        let slot = |place| Slot {
            place,
            life: 0,
            target: None,
            id: None,
            is_dark: false,
            paused: 0,
            is_leaving: false,
        };
        Self {
            storm: Storm::new(scenario),
            referee,
            scenario: scenario.clone(),
            slots: places.into_iter().map(slot).collect(),
            conns: BTreeMap::new(),
            made: 0,
            links: BTreeMap::new(),
            waiting: 0,
            letters: Letters::default(),
            is_over: false,
        }
    }

    /// Ends all connections.
    pub(super) const fn finish(&mut self) {
        self.is_over = true;
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns the life at a place.
    pub(super) fn life(&self, node: u32) -> Life {
        let life = self.slots[node as usize].life;
        Life { node, life }
    }

    pub(super) fn is_up(&self, life: Life) -> bool {
        let slot = &self.slots[life.node as usize];
        slot.life == life.life && slot.target.is_some()
    }

    /// Returns the lives that are up.
    pub(super) fn lives(&self) -> Vec<Life> {
        let nodes = 0..self.storm.nodes();
        let lives = nodes.map(|node| self.life(node));
        lives.filter(|life| self.is_up(*life)).collect()
    }

    // What becomes of lives.

    /// Notes that the next life of a node begins, which listens there.
    pub(super) fn born(&mut self, life: Life, target: SocketAddr, id: &NodeId, is_restored: bool) {
        let slot = &mut self.slots[life.node as usize];
        slot.life = life.life;
        slot.target = Some(target);
        slot.id = Some(id.clone());
        slot.is_dark = false;
        slot.is_leaving = false;
        self.referee.born(life, Place(life.node), id, is_restored);
    }

    /// Notes that a life ends, if it has not: nothing that it does counts any more.
    pub(super) fn die(&mut self, life: Life, how: Stop) {
        if !self.is_up(life) {
            return;
        }
        let slot = &mut self.slots[life.node as usize];
        slot.target = None;
        slot.id = None;
        slot.is_leaving = false;
        slot.is_dark = how == Stop::PowerLoss;
        if slot.is_dark {
            self.vanish(life);
        }
        self.letters.end_sender(life);
        self.referee.died(life, how);
    }

    /// Holds a node still, or lets it go on. Returns whether it is up, and stands still from now on or no more.
    pub(super) fn pause(&mut self, node: u32, is_paused: bool) -> bool {
        let life = self.life(node);
        let is_up = self.is_up(life);
        let slot = &mut self.slots[node as usize];
        let before = slot.paused;
        slot.paused = if is_paused {
            before + 1
        } else {
            before.saturating_sub(1)
        };
        let has_changed = is_up && (before == 0) != (slot.paused == 0);
        if has_changed {
            self.referee.paused(life, is_paused);
        }
        has_changed
    }

    /// Returns whether the application of a node would say something now.
    pub(super) fn is_talkative(&self, node: u32) -> bool {
        let slot = &self.slots[node as usize];
        self.is_up(self.life(node)) && slot.paused == 0 && !slot.is_leaving
    }

    /// Has a node say something.
    pub(super) fn say(&mut self, life: Life, socket: &MeshSocket, words: &Words) -> Said {
        if !self.is_up(life) {
            self.referee.refused(life, "its node ended first");
            return Said::Done;
        }
        match words {
            Words::All(payload) => match socket.broadcast(payload.clone()) {
                Ok(ticket) => {
                    let stream = (socket.id(), socket.epoch());
                    self.referee.published(life, &ticket, stream, payload);
                }
                Err(SendError::Full) => return Said::Full,
                Err(error) => self.referee.refused(life, &error.to_string()),
            },
            Words::One(to, payload) => {
                let Some(id) = self.slots[*to as usize].id.clone() else {
                    let why = "nobody is there to send it to";
                    self.referee.refused(life, why);
                    return Said::Done;
                };
                match socket.send_to(&id, payload.clone()) {
                    Ok(delivery) => {
                        let receiver = self.life(*to);
                        let number = self.letters.add(life, receiver, payload.clone());
                        self.referee.sent(life, number, *to, payload);
                        return Said::Sent(number, delivery);
                    }
                    Err(SendError::Full) => return Said::Full,
                    Err(error) => self.referee.refused(life, &error.to_string()),
                }
            }
        }
        Said::Done
    }

    /// Notes what became of a message to one node, if its sender is there to know.
    pub(super) fn resolved(&mut self, life: Life, number: u64, outcome: &SendOutcome) {
        if self.letters.resolve(life, number, outcome) {
            self.referee.outcome(life, number, outcome);
        }
    }

    /// Returns the sender and the number of a message to one node of which it is not known what became of it.
    pub(super) fn unresolved(&self) -> Option<(Life, u64)> {
        self.letters.unresolved()
    }

    /// Returns what senders were told, and nobody saw by now: each a sender and a number.
    pub(super) fn false_claims(&self) -> Vec<(Life, u64)> {
        self.letters.false_claims(|life| self.is_up(life))
    }

    /// Has that judged, in the end.
    pub(super) fn judge_claims(&mut self) {
        for (sender, number) in self.false_claims() {
            self.referee
                .outcome(sender, number, &SendOutcome::Delivered);
        }
    }

    // What nodes tell.

    /// Notes that a message was delivered. Returns false if that life is over: it is not to count there either.
    pub(super) fn delivered(&mut self, life: Life, message: &Message) -> bool {
        let is_up = self.is_up(life);
        if is_up {
            self.referee.delivered(life, message);
            for (sender, number) in self.letters.deliver(life, message) {
                self.referee
                    .outcome(sender, number, &SendOutcome::Delivered);
            }
        }
        is_up
    }

    /// Notes that something happened to a node.
    pub(super) fn told(&mut self, life: Life, occasion: &Occasion) {
        if !self.is_up(life) {
            return;
        }
        if let Occasion::Event(event) = occasion {
            return self.event(life, event);
        }
        let node = life.node;
        let sentence = format!("node {node} tells more than its application takes: {occasion:?}");
        self.referee
            .violate(Checker::Accounts, "lagged", Some(node), sentence);
    }

    fn event(&mut self, life: Life, event: &Event) {
        let conn = if let Event::PeerUp(peer) = event {
            self.identify(life, peer)
        } else if let Event::PeerDown { peer, .. } = event {
            self.links.remove(&(life, peer.link))
        } else {
            None
        };
        self.referee.event(life, event, conn);
    }

    /// Finds out which connection a link is.
    fn identify(&mut self, life: Life, peer: &PeerInfo) -> Option<u64> {
        let is_it = |conn: &Conn| match peer.side {
            Side::Dialed => conn.ends[0] == life && peer.remote == conn.dialed.into(),
            Side::Accepted => conn.ends[1] == life && peer.remote == conn.from.into(),
        };
        // Of several to the same place it is the last: nobody dials where it has a link.
        let mut conns = self.conns.iter().rev();
        let found = conns
            .find(|(_, conn)| is_it(conn))
            .map(|(number, _)| *number);
        if let Some(number) = found {
            self.links.insert((life, peer.link), number);
        }
        found
    }

    /// Returns the connection that a link is.
    pub(super) fn conn_of(&self, life: Life, link: LinkId) -> Option<u64> {
        self.links.get(&(life, link)).copied()
    }

    // What becomes of dials.

    pub(super) fn judge_dial(&mut self, from: Life, to: u32) -> Verdict {
        let verdict = self.verdict(from, to);
        if let Verdict::Fail(manner) = verdict
            && self.is_up(from)
        {
            let why = format!("{manner:?}").to_lowercase();
            self.referee.dial_failed(from, Place(to), &why);
        }
        verdict
    }

    fn verdict(&mut self, from: Life, to: u32) -> Verdict {
        if let Some((fault, manner)) = self.storm.dial(from.node, to) {
            self.storm.note_effect(fault, 1);
            return Verdict::Fail(manner);
        }
        let slot = &self.slots[to as usize];
        match slot.target {
            Some(target) => Verdict::Connect(target, self.life(to)),
            None if slot.is_dark => Verdict::Fail(DialManner::Silent),
            None => Verdict::Fail(DialManner::Refused),
        }
    }

    /// Returns all that is to happen in the storm.
    pub(super) fn steps(&self) -> Vec<(Duration, Step)> {
        self.storm.steps()
    }
}
