//! A short story about a few nodes, as data: it is told to the models and to the real packages, and both give an outcome.

use std::fmt;

/// What a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Py2p,
    Js2p,
    Rs2p,
}

/// One of a script's nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    pub(super) kind: Kind,
    pub(super) subnet: &'static str,
    /// Whether it tells others an address at which nobody listens.
    pub(super) is_hidden: bool,
    pub(super) is_compressed: bool,
}

impl Who {
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            subnet: "mesh",
            is_hidden: false,
            is_compressed: true,
        }
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    pub(super) const fn uncompressed(mut self) -> Self {
        self.is_compressed = false;
        self
    }

    pub(super) const fn subnet(mut self, subnet: &'static str) -> Self {
        self.subnet = subnet;
        self
    }
}

/// One thing that a user does with a node, which is named by its place in the script.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The first dials the second.
    Join(usize, usize),
    /// Broadcasts.
    Say(usize, String),
    /// Broadcasts the same twice within one second of the calendar.
    SayTwice(usize, String),
    /// Broadcasts in a later second than all before.
    SayLater(usize, String),
    /// Whispers to all that it is linked to.
    Whisper(usize, String),
    /// Broadcasts so many short messages without pause, in frames whose length is so much more than a multiple of eight bytes
    /// if they are not compressed.
    Burst(usize, u32, usize),
    /// The first closes its link to the second.
    Disconnect(usize, usize),
    /// Closes its socket, and is gone.
    Leave(usize),
    /// Comes back, as somebody new.
    Return(usize),
    /// Somebody who runs no package dials, and writes all this at once.
    Stranger(usize, Vec<Bit>),
    /// The stranger writes more.
    StrangerWrites(Vec<Bit>),
    /// The stranger goes.
    StrangerGoes,
}

impl Step {
    /// Returns the node whose user does it; none if it is the stranger.
    pub(super) fn by(&self) -> Option<usize> {
        match self {
            Self::Join(node, _)
            | Self::Say(node, _)
            | Self::SayTwice(node, _)
            | Self::SayLater(node, _)
            | Self::Whisper(node, _)
            | Self::Burst(node, ..)
            | Self::Disconnect(node, _)
            | Self::Leave(node)
            | Self::Return(node) => Some(*node),
            Self::Stranger(..) | Self::StrangerWrites(_) | Self::StrangerGoes => None,
        }
    }
}

/// A piece of what a stranger writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bit {
    /// A handshake of the usual network, without compression. Its id is bin, or else str.
    Hello { is_bin: bool },
    /// A handshake of another network.
    Foreign,
    /// A broadcast, so many seconds old. Its sender is the stranger's id, as bin or else as str.
    Broadcast {
        age: u64,
        is_bin: bool,
        text: &'static str,
    },
    /// A new broadcast, as a frame of so many bytes in all.
    Sized { len: usize, text: &'static str },
    /// A whisper.
    Whisper { text: &'static str },
    /// A whisper of that sub-flag, which means nothing to the packages.
    Odd { flag: &'static str },
    /// The first bytes of a frame.
    Begun { len: usize },
    /// A frame whose checksum is wrong.
    Damaged,
}

/// How the outcomes of model and reality are to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// They are equal after each step.
    Equal,
    /// They are equal until the last step, which is a burst to one peer. What then arrives is luck: but nothing that was not
    /// sent, nothing twice, all in order, and all of it unless the link is gone.
    UpToTheBurst,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) nodes: Vec<Who>,
    pub(super) steps: Vec<Step>,
    /// Whether every node has a port of its own. Otherwise all share one, each on a host of its own.
    pub(super) has_own_ports: bool,
    pub(super) agreement: Agreement,
}

impl Script {
    pub(super) fn new(nodes: &[Who]) -> Self {
        Self {
            nodes: nodes.to_vec(),
            steps: Vec::new(),
            has_own_ports: false,
            agreement: Agreement::Equal,
        }
    }

    pub(super) fn own_ports(mut self) -> Self {
        self.has_own_ports = true;
        self
    }

    pub(super) fn up_to_the_burst(mut self) -> Self {
        self.agreement = Agreement::UpToTheBurst;
        self
    }

    pub(super) fn join(self, by: usize, to: usize) -> Self {
        self.step(Step::Join(by, to))
    }

    pub(super) fn say(self, by: usize, text: &str) -> Self {
        self.step(Step::Say(by, text.to_owned()))
    }

    pub(super) fn say_twice(self, by: usize, text: &str) -> Self {
        self.step(Step::SayTwice(by, text.to_owned()))
    }

    pub(super) fn say_later(self, by: usize, text: &str) -> Self {
        self.step(Step::SayLater(by, text.to_owned()))
    }

    pub(super) fn whisper(self, by: usize, text: &str) -> Self {
        self.step(Step::Whisper(by, text.to_owned()))
    }

    pub(super) fn burst(self, by: usize, count: u32, rest: usize) -> Self {
        self.step(Step::Burst(by, count, rest))
    }

    pub(super) fn disconnect(self, by: usize, from: usize) -> Self {
        self.step(Step::Disconnect(by, from))
    }

    pub(super) fn leave(self, node: usize) -> Self {
        self.step(Step::Leave(node))
    }

    pub(super) fn back(self, node: usize) -> Self {
        self.step(Step::Return(node))
    }

    pub(super) fn stranger(self, to: usize, bits: &[Bit]) -> Self {
        self.step(Step::Stranger(to, bits.to_vec()))
    }

    pub(super) fn stranger_writes(self, bits: &[Bit]) -> Self {
        self.step(Step::StrangerWrites(bits.to_vec()))
    }

    pub(super) fn stranger_goes(self) -> Self {
        self.step(Step::StrangerGoes)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Lets everybody who is there at the end say two things more. By what these meet, they show what had come before them,
    /// and which links still carry anything.
    pub(super) fn marked(mut self) -> Self {
        if self.agreement == Agreement::UpToTheBurst {
            return self;
        }
        let there: Vec<usize> = (0..self.nodes.len())
            .filter(|node| self.is_there_at_the_end(*node))
            .collect();
        for round in 1..=2 {
            for node in &there {
                self = self.say(*node, &format!("mark {round} of {node}"));
            }
        }
        self
    }

    fn is_there_at_the_end(&self, node: usize) -> bool {
        let moves = self.steps.iter().rev().filter(|it| it.by() == Some(node));
        let last = moves
            .map(|it| (matches!(it, Step::Leave(_)), matches!(it, Step::Return(_))))
            .find(|(leaves, returns)| *leaves || *returns);
        last.is_none_or(|(leaves, _)| !leaves)
    }
}

/// Who is spoken of in an outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// A node, and in which of its lives, counted from 1.
    Node(usize, u32),
    Stranger,
    /// An id that belongs to nobody in the script.
    Nobody,
}

/// A message that an application got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) is_broadcast: bool,
    pub(super) from: Name,
    pub(super) text: String,
}

/// An entry of a routing table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) to: Name,
    /// Whether this node dialled.
    pub(super) is_dialed: bool,
    /// Whether the other's handshake has come; without it, the entry is of a dial under way, or dead.
    pub(super) is_up: bool,
}

/// What can be seen of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// All that its application got in this life, in order.
    pub(super) heard: Vec<Heard>,
    /// The routing table, sorted. One connection may be there twice.
    pub(super) links: Vec<Link>,
    /// Connections that have not come so far as to be in the table: one that was turned away is not among them any more.
    pub(super) awaiting: usize,
}

/// How things stand after a step: each node's state, or nothing for one that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) after: String,
    pub(super) states: Vec<Option<State>>,
    /// What the stranger was sent.
    pub(super) stranger: Vec<String>,
}

impl fmt::Display for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {}", self.after)?;
        for (node, state) in self.states.iter().enumerate() {
            let Some(state) = state else {
                write!(f, "\n  {node} is gone")?;
                continue;
            };
            write!(f, "\n  {node} awaits {}, has", state.awaiting)?;
            for link in &state.links {
                let how = if link.is_dialed { "to" } else { "from" };
                let up = if link.is_up { "" } else { " (not up)" };
                write!(f, " [{how} {:?}{up}]", link.to)?;
            }
            write!(f, ", heard")?;
            // The last tell the most.
            for heard in state.heard.iter().rev().take(12).rev() {
                let how = if heard.is_broadcast { "" } else { "whisper " };
                write!(f, " [{how}{:?} of {:?}]", heard.text, heard.from)?;
            }
        }
        if !self.stranger.is_empty() {
            write!(f, "\n  the stranger was sent {:?}", self.stranger)?;
        }
        Ok(())
    }
}

/// How things stood after each step.
pub(super) type Outcome = Vec<Stand>;
