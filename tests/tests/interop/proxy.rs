//! A TCP proxy on loopback that can be cut, and mended; and that can cut frames where py2p breaks over it.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rs2p_tests::peers::next_address;
use smol::Task;
use smol::future::FutureExt as _;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use smol::net::{TcpListener, TcpStream};

use super::node::wait;

/// How many frames there are before one that is followed by a trap.
const BETWEEN_TRAPS: u32 = 100;

/// How long the reader is given to step into a trap: to take what has come, and find that it is four bytes too much.
const TRAP: Duration = Duration::from_millis(500);

/// Passes on connections to one address, until it is cut.
pub(super) struct Proxy {
    pub(super) address: SocketAddrV4,
    target: SocketAddrV4,
    traps: Arc<AtomicU32>,
    running: Mutex<Option<Task<()>>>,
}

impl Proxy {
    pub(super) fn to(target: SocketAddrV4) -> Self {
        Self::with_traps(target, 0)
    }

    /// A proxy that now and then, so many times in all, lets exactly the first four bytes of a frame follow the one before
    /// at once, and the rest later. It is what py2p breaks its own links over.
    pub(super) fn with_traps(target: SocketAddrV4, traps: u32) -> Self {
        let proxy = Self {
            address: next_address(),
            target,
            traps: Arc::new(AtomicU32::new(traps)),
            running: Mutex::new(None),
        };
        proxy.mend();
        proxy
    }

    /// Returns how many traps were not set yet.
    pub(super) fn traps_left(&self) -> u32 {
        self.traps.load(Ordering::Relaxed)
    }

    /// Ends its connections, whatever is under way on them, and refuses further ones.
    pub(super) fn cut(&self) {
        let running = self.running.lock().unwrap().take();
        wait("the cut", async {
            if let Some(running) = running {
                running.cancel().await;
            }
        });
    }

    /// Accepts connections again.
    pub(super) fn mend(&self) {
        let at = SocketAddr::from(self.address);
        let listener = wait("binding", TcpListener::bind(at)).unwrap();
        let task = smol::spawn(pass_on(listener, self.target, Arc::clone(&self.traps)));
        *self.running.lock().unwrap() = Some(task);
    }
}

async fn pass_on(listener: TcpListener, target: SocketAddrV4, traps: Arc<AtomicU32>) {
    // Dropped with this task, they end.
    let mut connections = Vec::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let traps = Arc::clone(&traps);
        connections.push(smol::spawn(async move {
            // Whatever ends one side ends the other.
            let _ = join(stream, target, &traps).await;
        }));
    }
}

async fn join(near: TcpStream, target: SocketAddrV4, traps: &AtomicU32) -> std::io::Result<u64> {
    let far = TcpStream::connect(SocketAddr::from(target)).await?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    let back = smol::io::copy(far.clone(), near.clone());
    let out = async {
        set_traps(near.clone(), far.clone(), traps).await?;
        smol::io::copy(near, far).await
    };
    out.or(back).await
}

/// Passes on frames, some of them with a trap behind, as long as there are traps left.
async fn set_traps(
    mut near: TcpStream,
    mut far: TcpStream,
    traps: &AtomicU32,
) -> std::io::Result<()> {
    let mut frames = 0;
    let mut is_ahead = false;
    let mut prefix = [0; 4];
    while traps.load(Ordering::Relaxed) > 0 || is_ahead {
        let mut bytes = Vec::new();
        if !std::mem::take(&mut is_ahead) {
            near.read_exact(&mut prefix).await?;
            bytes.extend_from_slice(&prefix);
        }
        let begun = bytes.len();
        bytes.resize(begun + u32::from_be_bytes(prefix) as usize, 0);
        near.read_exact(&mut bytes[begun..]).await?;
        frames += 1;
        if frames % BETWEEN_TRAPS == 0 {
            near.read_exact(&mut prefix).await?;
            bytes.extend_from_slice(&prefix);
            is_ahead = true;
        }
        far.write_all(&bytes).await?;
        if is_ahead {
            traps.fetch_sub(1, Ordering::Relaxed);
            smol::Timer::after(TRAP).await;
        }
    }
    Ok(())
}
