//! Loopback addresses that no other node on this machine uses.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::ops::RangeInclusive;
use std::process;
use std::sync::{Mutex, PoisonError};

/// Below the range Linux takes source ports from, so that no outgoing link sits on one.
const PORTS: RangeInclusive<u16> = 10_000..=29_999;
/// The last byte of the hosts handed out; above it lies the host of the block's guard.
const HOSTS: RangeInclusive<u8> = 1..=250;
const GUARD: (u8, u16) = (254, 9_999);
/// How many blocks 127.a.b.0/24 there are when `a` goes from 1 to 254.
const BLOCK_COUNT: u32 = 254 * 256;

static ALLOCATOR: Mutex<Option<Allocator>> = Mutex::new(None);

/// Returns an address for one node: a host and a port of its own, both in 127.0.0.0/8.
///
/// js2p does not dial a node that shares its host *or* its port with one it is linked to, so
/// neither repeats within a process before some twenty thousand calls, and no host is shared with
/// another test process that runs at the same time. The port was free a moment ago.
///
/// # Panics
///
/// If loopback addresses besides 127.0.0.1 cannot be bound.
pub fn next_address() -> SocketAddrV4 {
    ALLOCATOR
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_with(Allocator::new)
        .next()
}

struct Allocator {
    block: Block,
    host: u8,
    port: u16,
    /// Blocks used up. Nodes may still run on their hosts, so they are not given back.
    spent: Vec<Block>,
}

impl Allocator {
    fn new() -> Self {
        Self {
            block: Block::claim(process::id() % BLOCK_COUNT),
            host: *HOSTS.start(),
            port: *PORTS.start(),
            spent: Vec::new(),
        }
    }

    fn next(&mut self) -> SocketAddrV4 {
        for _ in PORTS {
            let address = SocketAddrV4::new(self.block.host(self.host), self.port);
            self.advance();
            if TcpListener::bind(address).is_ok() {
                return address;
            }
        }
        panic!(
            "no port from {} to {} can be bound in 127.0.0.0/8",
            PORTS.start(),
            PORTS.end()
        );
    }

    fn advance(&mut self) {
        self.port = if self.port == *PORTS.end() {
            *PORTS.start()
        } else {
            self.port + 1
        };
        self.host += 1;
        if self.host > *HOSTS.end() {
            self.host = *HOSTS.start();
            let next = Block::claim((self.block.number + 1) % BLOCK_COUNT);
            self.spent.push(std::mem::replace(&mut self.block, next));
        }
    }
}

/// A /24 of loopback hosts that belongs to this process for as long as it listens on its guard.
struct Block {
    number: u32,
    _guard: TcpListener,
}

impl Block {
    /// Takes the first block, from `first` on, whose guard no other process holds.
    fn claim(first: u32) -> Self {
        let mut last_error = None;
        for step in 0..BLOCK_COUNT.min(1_000) {
            let number = (first + step) % BLOCK_COUNT;
            match TcpListener::bind((block_host(number, GUARD.0), GUARD.1)) {
                Ok(guard) => {
                    return Self {
                        number,
                        _guard: guard,
                    };
                }
                Err(error) => last_error = Some(error),
            }
        }
        panic!("no block of loopback addresses can be claimed: {last_error:?}");
    }

    fn host(&self, last: u8) -> Ipv4Addr {
        block_host(self.number, last)
    }
}

fn block_host(number: u32, last: u8) -> Ipv4Addr {
    let [_, _, high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, high + 1, low, last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn neither_hosts_nor_ports_repeat_also_past_the_end_of_a_block() {
        let addresses: Vec<_> = (0..600).map(|_| next_address()).collect();

        let hosts: BTreeSet<_> = addresses.iter().map(SocketAddrV4::ip).collect();
        let ports: BTreeSet<_> = addresses.iter().map(SocketAddrV4::port).collect();
        assert_eq!((hosts.len(), ports.len()), (600, 600));
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn a_block_that_is_taken_is_passed_over() {
        let held = Block::claim(40_000);
        let other = Block::claim(held.number);
        assert_ne!(held.number, other.number);
    }

    #[test]
    fn every_block_is_a_different_loopback_network() {
        assert_eq!(block_host(0, 1), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(
            block_host(BLOCK_COUNT - 1, 1),
            Ipv4Addr::new(127, 254, 255, 1)
        );
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let mut allocator = Allocator::new();
        let taken = SocketAddrV4::new(allocator.block.host(allocator.host), allocator.port);
        let _listener = TcpListener::bind(taken).unwrap();
        assert_ne!(allocator.next(), taken);
    }
}
