//! The proxy between all nodes: whoever dials a node dials the proxy, says who it is, and is told what became of that.
//!
//! Each place has a listener of its own. On a connection to it the dialler sends its node and its life in 8 bytes, and gets one
//! byte back; from then on bytes pass, as the faults that are going on let them.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::{or, zip};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use rs2p_sim::{DialManner, Life};
use smol::{Async, Timer};
use socket2::SockRef;

use super::net::{Net, Next, Verdict};

/// What a dialler is told.
pub(super) const ACCEPTED: u8 = b'+';
const REFUSED: u8 = b'-';

/// How much is read at once.
const CHUNK: usize = 16 << 10;

/// How little the system is to hold of what a node writes, so that it notices soon that nobody reads.
const SYSTEM_BUFFER: usize = 16 << 10;

/// Says who dials, in the way of the proxy.
pub(super) const fn greeting(life: Life) -> [u8; 8] {
    (((life.node as u64) << 32) | life.life as u64).to_be_bytes()
}

fn greeted(greeting: [u8; 8]) -> Life {
    let number = u64::from_be_bytes(greeting);
    let half = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap_or_default();
    Life {
        node: half(number >> 32),
        life: half(number),
    }
}

/// Binds the listener of a place.
pub(super) fn bind() -> io::Result<(Async<TcpListener>, SocketAddr)> {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    SockRef::from(listener.get_ref()).set_recv_buffer_size(SYSTEM_BUFFER)?;
    let at = listener.get_ref().local_addr()?;
    Ok((listener, at))
}

/// Accepts the dials to a node until the network is over.
pub(super) async fn serve(net: Arc<Net>, listener: Async<TcpListener>, node: u32) {
    let over = async {
        net.until(|state| state.is_over().then_some(())).await;
        None
    };
    let mut over = Box::pin(over);
    loop {
        let accepted = async { Some(listener.accept().await) };
        match or(&mut over, accepted).await {
            None => return,
            // The system has no more descriptors, say: who dials notices.
            Some(Err(_)) => _ = Timer::after(Duration::from_millis(50)).await,
            Some(Ok((stream, _))) => smol::spawn(welcome(Arc::clone(&net), stream, node)).detach(),
        }
    }
}

async fn welcome(net: Arc<Net>, near: Async<TcpStream>, node: u32) {
    let over = async {
        net.until(|state| state.is_over().then_some(())).await;
        Ok(())
    };
    // Whatever fails, who has dialled sees it.
    let _ = or(over, answer(&net, near, node)).await;
}

async fn answer(net: &Arc<Net>, mut near: Async<TcpStream>, node: u32) -> io::Result<()> {
    near.get_ref().set_nodelay(true)?;
    let mut said = [0; 8];
    near.read_exact(&mut said).await?;
    let from = greeted(said);
    let latency = net.enter(|state| state.storm.latency(from.node, node, u64::MAX, 0));
    Timer::after(latency).await;
    let (target, life) = match net.enter(|state| state.judge_dial(from, node)) {
        Verdict::Connect(target, life) => (target, life),
        Verdict::Fail(DialManner::Silent) => {
            // Until it gives up.
            near.read(&mut said).await?;
            return Ok(());
        }
        Verdict::Fail(DialManner::Dropped) => {
            near.write_all(&[ACCEPTED]).await?;
            return abort(&near);
        }
        Verdict::Fail(DialManner::Refused | _) => return near.write_all(&[REFUSED]).await,
    };
    let Ok(far) = Async::<TcpStream>::connect(target).await else {
        return near.write_all(&[REFUSED]).await;
    };
    far.get_ref().set_nodelay(true)?;
    SockRef::from(far.get_ref()).set_recv_buffer_size(SYSTEM_BUFFER)?;
    let at = far.get_ref().local_addr()?;
    let Some(number) = net.change(|state| state.connect([from, life], at)) else {
        return near.write_all(&[REFUSED]).await;
    };
    near.write_all(&[ACCEPTED]).await.unwrap_or_default();
    carry(net, number, [near, far]).await;
    Ok(())
}

/// Carries bytes between the two ends of a connection until it ends or breaks.
async fn carry(net: &Net, number: u64, streams: [Async<TcpStream>; 2]) {
    let broken = async {
        net.until(|state| state.is_broken(number).then_some(()))
            .await;
        true
    };
    let [near, far] = &streams;
    let both = async {
        let forth = zip(take(net, number, 0, near), give(net, number, 0, far));
        let back = zip(take(net, number, 1, far), give(net, number, 1, near));
        zip(forth, back).await;
        false
    };
    if or(broken, both).await {
        for stream in &streams {
            // One may be gone.
            let _ = abort(stream);
        }
    }
    drop(streams);
    net.change(|state| state.forget(number));
}

/// Takes what one end sends.
async fn take(net: &Net, number: u64, side: usize, mut stream: &Async<TcpStream>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        net.until(|state| state.may_read(number, side).then_some(()))
            .await;
        let read = stream.read(&mut buffer).await;
        // What was read just before a fault that nobody is told of is lost in it, and so is the end.
        if !net.enter(|state| state.may_read(number, side)) {
            continue;
        }
        match read {
            Ok(0) => return net.change(|state| state.end_read(number, side, false)),
            Ok(len) => net.change(|state| state.take_in(number, side, &buffer[..len])),
            Err(_) => return net.change(|state| state.end_read(number, side, true)),
        }
    }
}

/// Gives the other end what is under way, when it is due.
async fn give(net: &Net, number: u64, side: usize, mut stream: &Async<TcpStream>) {
    loop {
        let times = net.times();
        match net.enter(|state| state.next(number, side)) {
            Next::Wait => net.changed(times).await,
            Next::WaitUntil(at) => {
                let due = async { _ = Timer::at(at).await };
                or(due, net.changed(times)).await;
            }
            Next::Finish => {
                // It may be gone by itself.
                let _ = stream.get_ref().shutdown(Shutdown::Write);
                return;
            }
            Next::Write(bytes) => {
                let written = stream.write_all(&bytes).await;
                // There may be room again for what is to follow.
                match written {
                    Ok(()) => net.change(|_| ()),
                    Err(_) => return net.change(|state| state.end_write(number, 1 - side)),
                }
            }
        }
    }
}

/// Has a connection break off rather than end.
fn abort(stream: &Async<TcpStream>) -> io::Result<()> {
    SockRef::from(stream.get_ref()).set_linger(Some(Duration::ZERO))
}
