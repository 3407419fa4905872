//! A node of ours without a driver: the state, one TCP stream, and whatever clock the test wants.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant as SystemInstant, SystemTime};

use rs2p_core::{Config, Instant, LinkId, MeshState, Output, UnixTime};

/// How long it waits for bytes before it looks at its deadline.
const TICK: Duration = Duration::from_millis(10);

/// A node that is driven by the thread that holds it.
pub(super) struct BareNode {
    pub(super) state: MeshState,
    begun: SystemInstant,
    open: Option<(LinkId, TcpStream)>,
}

impl BareNode {
    /// Makes a node whose calendar is behind by so much.
    pub(super) fn behind(config: Config, by: Duration) -> Self {
        let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let today = today.unwrap() - by;
        let wall = UnixTime::from_secs(today.as_secs());
        let state = MeshState::new(config, [7; 32], Instant::ZERO, wall).unwrap();
        let begun = SystemInstant::now();
        Self {
            state,
            begun,
            open: None,
        }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.begun.elapsed().as_micros()).unwrap())
    }

    /// Dials, and keeps the link going until `is_done`.
    pub(super) fn run_to(
        &mut self,
        address: SocketAddrV4,
        mut is_done: impl FnMut(&MeshState) -> bool,
    ) {
        let to = std::net::SocketAddr::from(address).into();
        self.state.connect(to, self.now()).unwrap();
        let mut buffer = vec![0; 1 << 16];
        let deadline = SystemInstant::now() + Duration::from_secs(40);
        while !is_done(&self.state) {
            assert!(
                SystemInstant::now() < deadline,
                "{:#?}",
                self.state.snapshot()
            );
            self.carry_out(address);
            let now = self.now();
            self.state.handle_timeout(now);
            self.take_in(&mut buffer);
        }
    }

    fn carry_out(&mut self, address: SocketAddrV4) {
        while let Some(output) = self.state.poll_output() {
            match output {
                Output::Dial(dial, _) => {
                    let stream = TcpStream::connect(address).unwrap();
                    stream.set_read_timeout(Some(TICK)).unwrap();
                    let now = self.now();
                    if let Some(link) = self.state.handle_dial_succeeded(dial, now) {
                        self.state.handle_credit(link, 1 << 20, now);
                        self.open = Some((link, stream));
                    }
                }
                Output::Send { bytes, .. } => {
                    let (link, stream) = self.open.as_mut().unwrap();
                    stream.write_all(&bytes).unwrap();
                    let link = *link;
                    let now = self.now();
                    self.state.handle_credit(link, bytes.len(), now);
                }
                Output::Close(_, reason) => panic!("{reason}"),
                Output::CancelDial(_)
                | Output::Message(_)
                | Output::Event(_)
                | Output::Persist(_) => {}
            }
        }
    }

    fn take_in(&mut self, buffer: &mut [u8]) {
        let Some((link, stream)) = &mut self.open else {
            return;
        };
        let link = *link;
        // Nothing came, or it is over: then the test's limit tells.
        if let Ok(len) = stream.read(buffer) {
            let now = self.now();
            self.state.handle_bytes(link, &buffer[..len], now);
        }
    }
}
