//! What no system of this kind can do without, and nothing else.
//!
//! One thread publishes to a TCP connection per receiver, in writes of 64 KiB; each receiver is a thread that reads 64 KiB at
//! once, takes the frames apart, hashes each (SHA-256), looks whether the hash was there, and hands the message over. The
//! publisher hashes each message once as well. Nothing is acknowledged, kept, or encrypted, and only TCP holds anyone back.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rs2p_tests::bench::{Outcome, Tally, Task, Work, machine, payload};
use sha2::{Digest as _, Sha256};

const BATCH_LEN: usize = 64 << 10;

/// What stands before a message: its length, whom it is from, and when it was sent.
const HEAD_LEN: usize = 4 + 32 + 8;

/// Does the work.
pub(crate) fn measure(work: &Work) -> Result<Outcome, String> {
    if work.task != Task::Throughput {
        return Err("there is nothing to measure the latency of".to_owned());
    }
    let tally = Tally::new(work.nodes - 1);
    let mut streams = Vec::new();
    for receiver in 0..work.nodes - 1 {
        let (near, far) = connect().map_err(|error| error.to_string())?;
        streams.push(near);
        let tally = Arc::clone(&tally);
        thread::spawn(move || receive(far, receiver, &tally));
    }
    let (began, cpu) = (Instant::now(), machine::cpu_time());
    let mut batch = Vec::with_capacity(2 * BATCH_LEN);
    let mut published = 0;
    while began.elapsed() < work.lasts {
        batch.clear();
        while batch.len() < BATCH_LEN {
            let message = payload(published, tally.micros(), work.len);
            put_frame(&mut batch, &message);
            published += 1;
        }
        for stream in &mut streams {
            stream
                .write_all(&batch)
                .map_err(|error| error.to_string())?;
        }
    }
    futures_lite::future::block_on(tally.have(published));
    let (seconds, cpu_seconds) = (began.elapsed(), machine::cpu_time() - cpu);
    let delivered = tally.total();
    let (again, out_of_order) = tally.irregular();
    Ok(Outcome {
        published,
        delivered,
        again,
        out_of_order,
        seconds: seconds.as_secs_f64(),
        cpu_seconds: cpu_seconds.as_secs_f64(),
        share: delivered as f64 / (published * streams.len() as u64) as f64,
        memory: machine::peak_memory(None),
        ..Outcome::default()
    })
}

fn connect() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    Ok((near, far))
}

fn put_frame(batch: &mut Vec<u8>, message: &[u8]) {
    let len = u32::try_from(message.len()).expect("messages are short");
    batch.extend_from_slice(&len.to_be_bytes());
    batch.extend_from_slice(&Sha256::digest(message));
    batch.extend_from_slice(&1_700_000_000_u64.to_be_bytes());
    batch.extend_from_slice(message);
}

fn receive(mut stream: TcpStream, receiver: usize, tally: &Tally) {
    let mut seen: HashSet<[u8; 32]> = HashSet::new();
    let mut buffer = vec![0; 2 * BATCH_LEN];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) | Err(_) => return,
            Ok(len) => filled += len,
        }
        let mut rest = &buffer[..filled];
        while let Some((id, message, after)) = split(rest) {
            let hash: [u8; 32] = Sha256::digest(message).into();
            if hash == *id && seen.insert(hash) {
                tally.arrived(receiver, message);
            }
            rest = after;
        }
        let left = rest.len();
        buffer.copy_within(filled - left..filled, 0);
        filled = left;
    }
}

/// Takes the first frame off, if it is whole.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD_LEN)?;
    let (len, head) = head.split_first_chunk()?;
    let (message, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    Some((&head[..32], message, rest))
}
