//! A connection: two pipes of bytes, and what is known of each end.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::facts::Life;
use crate::node::ConnId;
use crate::time::Time;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) life: Life,
    /// Whether its node has it: it was told of it, and has neither closed it nor been told that it is closed.
    pub(super) is_open: bool,
}

/// Some bytes on their way, or the end of them.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) at: Time,
    /// Empty is the end.
    pub(super) bytes: Bytes,
    /// The record of sending them.
    pub(super) cause: Option<u64>,
}

/// The chunks on their way. Nearly always it is one at most, and then no memory of its own is taken for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Flight {
    first: Option<Chunk>,
    /// Empty if there is no first.
    rest: VecDeque<Chunk>,
}

impl Flight {
    pub(super) const fn front(&self) -> Option<&Chunk> {
        self.first.as_ref()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn push_back(&mut self, chunk: Chunk) {
        match self.first {
            None => self.first = Some(chunk),
            Some(_) => self.rest.push_back(chunk),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Chunk> {
        let next = self.rest.pop_front();
        if next.is_none() && self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
        std::mem::replace(&mut self.first, next)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Chunk> {
        self.first.iter().chain(&self.rest)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Chunk> {
        self.first.iter_mut().chain(&mut self.rest)
    }
}

/// One direction of a connection. The first pipe begins at the first end.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    pub(super) flight: Flight,
    /// When the last chunk arrives: none overtakes another.
    pub(super) last_at: Time,
    /// Whether something will look at it when the first chunk arrives.
    pub(super) is_armed: bool,
    /// Whether it waits for a fault, or a reader, to let it go on.
    pub(super) is_parked: bool,
    /// Whether it carries nothing any more, and nobody is told.
    pub(super) is_silent: bool,
    /// Whether its end has been written.
    pub(super) is_finished: bool,
    /// How many bytes its writer may still write.
    pub(super) room: usize,
    /// How many bytes were read since its writer was last given room.
    pub(super) read: usize,
    /// How many draws were made for it.
    pub(super) draws: u64,
    /// How many bytes were read from it so far.
    pub(super) carried: u64,
}

impl Pipe {
    /// Returns how many bytes were read from it, and are under way.
    pub(super) fn written(&self) -> u64 {
        let under_way = self.flight.iter().map(|chunk| chunk.bytes.len() as u64);
        self.carried + under_way.sum::<u64>()
    }
}

/// A connection. Its place is used again when it is gone; its generation then is another.
#[derive(Clone, Debug)]
pub(super) struct Conn {
    pub(super) generation: u32,
    pub(super) ends: [End; 2],
    pub(super) pipes: [Pipe; 2],
    /// Its name, for draws: who dialled whom for the how-manieth time.
    pub(super) name: u64,
    /// A number that no other has.
    pub(super) number: u64,
    /// Which pipes a fault holds, as it was last told to those who judge.
    pub(super) held: [bool; 2],
}

impl Conn {
    /// Returns whether nobody has it any more.
    pub(super) fn is_gone(&self) -> bool {
        self.ends.iter().all(|end| !end.is_open)
    }

    /// Returns the nodes that a pipe leads from and to.
    pub(super) const fn way(&self, pipe: usize) -> (u32, u32) {
        (self.ends[pipe].life.node, self.ends[1 - pipe].life.node)
    }
}

/// All connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Conns {
    places: Vec<Option<Conn>>,
    free: Vec<(u32, u32)>,
    made: u64,
}

impl Conns {
    pub(super) fn add(&mut self, ends: [Life; 2], name: u64, window: usize) -> u32 {
        let (place, generation) = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            let place = u32::try_from(self.places.len() - 1).expect("fewer than 2^31 connections");
            (place, 0)
        });
        let pipe = || Pipe {
            room: window,
            ..Pipe::default()
        };
        self.made += 1;
        self.places[place as usize] = Some(Conn {
            generation,
            ends: ends.map(|life| End {
                life,
                is_open: false,
            }),
            pipes: [pipe(), pipe()],
            name,
            number: self.made,
            held: [false; 2],
        });
        place
    }

    pub(super) fn get(&self, place: u32) -> Option<&Conn> {
        self.places.get(place as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Conn> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    /// Returns the connection at a place, if it is still the one of that generation.
    pub(super) fn current(&mut self, place: u32, generation: u32) -> Option<&mut Conn> {
        self.get_mut(place)
            .filter(|conn| conn.generation == generation)
    }

    pub(super) fn remove(&mut self, place: u32) -> Option<Conn> {
        let gone = self.places.get_mut(place as usize)?.take()?;
        self.free.push((place, gone.generation.wrapping_add(1)));
        Some(gone)
    }

    /// Returns the id by which a node knows its end.
    pub(super) fn id(&self, place: u32, side: usize) -> ConnId {
        let generation = self.get(place).map_or(0, |conn| conn.generation);
        ConnId(u64::from(generation) << 33 | u64::from(place) << 1 | side as u64)
    }

    /// Returns the place and the side of an id, if that connection is still there.
    pub(super) fn find(&self, id: ConnId) -> Option<(u32, usize)> {
        let place = u32::try_from(id.0 >> 1 & 0xffff_ffff).ok()?;
        let conn = self.get(place)?;
        let side = usize::from(id.0 & 1 == 1);
        (u64::from(conn.generation) == id.0 >> 33).then_some((place, side))
    }

    /// Returns the places of all connections, the oldest place first.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> + use<> {
        let all: Vec<u32> = (0..)
            .zip(&self.places)
            .filter(|(_, conn)| conn.is_some())
            .map(|(place, _)| place)
            .collect();
        all.into_iter()
    }

    pub(super) const fn made(&self) -> u64 {
        self.made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVES: [Life; 2] = [Life { node: 3, life: 1 }, Life { node: 5, life: 2 }];

    #[test]
    fn chunks_come_out_in_the_order_in_which_they_went_in() {
        let mut flight = Flight::default();
        let chunk = |n| Chunk {
            at: Time::from_nanos(n),
            bytes: Bytes::new(),
            cause: None,
        };
        for round in 1..5 {
            (0..round).for_each(|n| flight.push_back(chunk(n)));
            let all: Vec<u64> = flight.iter().map(|chunk| chunk.at.as_nanos()).collect();
            assert_eq!(all, (0..round).collect::<Vec<_>>());
            for n in 0..round {
                assert_eq!(flight.front().map(|chunk| chunk.at.as_nanos()), Some(n));
                assert!(flight.pop_front().is_some());
            }
            assert!(flight.is_empty() && flight.pop_front().is_none());
        }
    }

    #[test]
    fn an_id_leads_to_its_connection_and_no_other() {
        let mut conns = Conns::default();
        let first = conns.add(LIVES, 7, 100);
        let ids = [conns.id(first, 0), conns.id(first, 1)];
        assert_eq!(conns.find(ids[0]), Some((first, 0)));
        assert_eq!(conns.find(ids[1]), Some((first, 1)));
        assert_eq!(conns.get(first).expect("there").way(1), (5, 3));

        conns.remove(first);
        let second = conns.add(LIVES, 8, 100);
        assert_eq!(second, first, "the place is used again");
        assert_eq!(conns.find(ids[0]), None);
        assert_ne!(conns.id(second, 0), ids[0]);
        assert_eq!(conns.made(), 2);
    }
}
