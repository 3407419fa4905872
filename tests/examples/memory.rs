//! What two linked nodes hold while three million messages of 64 bytes go from one to the other:
//! `cargo run --release -p rs2p-tests --example memory [MESSAGES]`
//!
//! The nodes are state machines in one process, and time is virtual, 10,000 messages a second: what is counted is what they have
//! allocated and not freed. First their logs fill (by default 131,072 messages, or 64 MiB, each), then the ids of the last 75
//! seconds, and from then on nothing grows any more.

use std::time::Duration;

use rs2p_core::{Config, Instant, LinkId, MeshState, Output};
use rs2p_tests::hub::{address, node, now};

/// After so many messages a line is printed.
const LINE: u32 = 100_000;

/// Messages come so fast.
const PER_MILLISECOND: u32 = 10;

fn main() {
    let count = std::env::args().nth(1).map_or(30 * LINE, |text| {
        text.parse().expect("a number of messages")
    });
    println!(
        "{:>10}{:>12}{:>14}{:>14}",
        "messages", "delivered", "heap KiB", "nodes' KiB"
    );
    let mut heap = 0;
    let mut pair = None;
    let made = allocation_counter::measure(|| pair = Some(Pair::new()));
    heap += made.bytes_current;
    let mut pair = pair.expect("just made");
    for line in 1..=count.div_ceil(LINE) {
        heap += allocation_counter::measure(|| pair.publish(LINE)).bytes_current;
        let nodes: usize = pair.ends.iter().map(|end| end.node.memory()).sum();
        println!(
            "{:>10}{:>12}{:>14}{:>14}",
            line * LINE,
            pair.delivered,
            heap / 1024,
            nodes / 1024
        );
    }
}

/// Two nodes and the link between them.
struct Pair {
    ends: [End; 2],
    now: Instant,
    delivered: u32,
}

struct End {
    node: MeshState,
    link: LinkId,
}

impl Pair {
    fn new() -> Self {
        let now = now();
        let [mut dialer, mut listener] = [1, 2].map(|number| node(number, Config::default()));
        let dial = dialer.connect(address(2), now).expect("an address");
        let dialed = dialer
            .handle_dial_succeeded(dial, now)
            .expect("it has dialled");
        let accepted = listener.handle_accepted(address(1), now).expect("a place");
        let ends = [(dialer, dialed), (listener, accepted)];
        let ends = ends.map(|(node, link)| End { node, link });
        let mut pair = Self {
            ends,
            now,
            delivered: 0,
        };
        for end in &mut pair.ends {
            end.node.handle_credit(end.link, 1 << 16, now);
        }
        pair.carry();
        assert_eq!(pair.ends[1].node.peers().count(), 1, "they are linked");
        pair
    }

    fn publish(&mut self, count: u32) {
        for n in 0..count {
            let payload = self.delivered.to_be_bytes().repeat(16);
            let sent = self.ends[0].node.broadcast(payload, self.now);
            sent.expect("what came before has arrived");
            self.carry();
            if n % PER_MILLISECOND == 0 {
                self.pass(Duration::from_millis(1));
            }
        }
        self.pass(Duration::from_secs(1));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        while let Some(due) = self
            .ends
            .iter()
            .filter_map(|end| end.node.poll_timeout())
            .min()
            && due <= end
        {
            self.now = self.now.max(due);
            for end in &mut self.ends {
                end.node.handle_timeout(self.now);
            }
            self.carry();
        }
        self.now = end;
    }

    /// Carries what the two say, until they have no more to say.
    fn carry(&mut self) {
        let mut is_done = false;
        while !is_done {
            is_done = true;
            for from in [0, 1] {
                while let Some(output) = self.ends[from].node.poll_output() {
                    is_done = false;
                    self.take(from, output);
                }
            }
        }
    }

    fn take(&mut self, from: usize, output: Output) {
        let [one, other] = &mut self.ends;
        let (from, to) = if from == 0 {
            (one, other)
        } else {
            (other, one)
        };
        match output {
            Output::Send { bytes, .. } => {
                to.node.handle_bytes(to.link, &bytes, self.now);
                from.node.handle_credit(from.link, bytes.len(), self.now);
            }
            Output::Message(_) => self.delivered += 1,
            Output::Close(_, reason) => panic!("{reason:?}"),
            Output::Dial(..) | Output::CancelDial(_) | Output::Persist(_) | Output::Event(_) => {}
        }
    }
}
