//! What happens next: a queue in which everything is in one order, by time, then by who caused it, then by how many
//! things that one had caused before.
//!
//! The counter belongs to the one who causes, so that what others do changes nothing in the order of what this one does.
//! Two wheels hold what is near, at a cost that does not grow with how much there is; a heap holds the rest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Time;

/// A slot of the near wheel is 131 µs long.
const SLOT_BITS: u32 = 17;
/// So many slots are a block: 268 ms.
const SLOTS: usize = 2048;
const BLOCK_BITS: u32 = SLOT_BITS + SLOTS.trailing_zeros();
/// So many blocks are on the far wheel: 275 s.
const BLOCKS: usize = 1024;

/// The place of something in the order of what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) at: Time,
    /// Who caused it.
    pub(crate) source: u32,
    /// How many things that one had caused before.
    pub(crate) counter: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    key: Key,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    /// All in the slot that the queue stands at, and before it.
    current: BinaryHeap<Reverse<Entry<T>>>,
    /// The slot that `current` is of, counted from the beginning of time.
    slot: u64,
    /// The rest of the block that this slot is in.
    near: Wheel<T, SLOTS>,
    /// The blocks behind it.
    far: Wheel<T, BLOCKS>,
    /// What is behind those. What is in here may have come near since; nothing that is here is in the wheels.
    beyond: BinaryHeap<Reverse<Entry<T>>>,
    len: usize,
}

impl<T: Copy> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            current: BinaryHeap::new(),
            slot: 0,
            near: Wheel::new(),
            far: Wheel::new(),
            beyond: BinaryHeap::new(),
            len: 0,
        }
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Adds something. No two have the same key.
    pub(crate) fn push(&mut self, key: Key, what: T) {
        self.len += 1;
        let entry = Entry { key, what };
        let slot = key.at.as_nanos() >> SLOT_BITS;
        if slot <= self.slot {
            return self.current.push(Reverse(entry));
        }
        let (block, here) = (key.at.as_nanos() >> BLOCK_BITS, self.block());
        if block == here {
            self.near.add(slot, entry);
        } else if block - here < BLOCKS as u64 {
            self.far.add(block, entry);
        } else {
            self.beyond.push(Reverse(entry));
        }
    }

    /// Returns when the next thing happens.
    pub(crate) fn next_at(&mut self) -> Option<Time> {
        while self.current.is_empty() {
            self.advance()?;
        }
        Some(self.current.peek()?.0.key.at)
    }

    /// Takes what happens next.
    pub(crate) fn pop(&mut self) -> Option<(Key, T)> {
        self.next_at()?;
        let Reverse(entry) = self.current.pop()?;
        self.len -= 1;
        Some((entry.key, entry.what))
    }

    const fn block(&self) -> u64 {
        self.slot >> SLOTS.trailing_zeros()
    }

    /// Goes on to the next slot, or block, that holds anything.
    fn advance(&mut self) -> Option<()> {
        if let Some(slot) = self.near.next_after(self.slot) {
            self.slot = slot;
            self.near.take_into(slot, &mut self.current);
            return Some(());
        }
        let far = self.far.next_after(self.block());
        let beyond = self.beyond.peek();
        let beyond = beyond.map(|Reverse(entry)| entry.key.at.as_nanos() >> BLOCK_BITS);
        let block = match (far, beyond) {
            (Some(far), Some(beyond)) => far.min(beyond),
            (far, beyond) => far.or(beyond)?,
        };
        self.slot = block << SLOTS.trailing_zeros();
        let mut entries = self.far.take(block);
        while let Some(Reverse(entry)) = self.beyond.peek()
            && entry.key.at.as_nanos() >> BLOCK_BITS == block
        {
            entries.push(*entry);
            self.beyond.pop();
        }
        for entry in entries.drain(..) {
            let slot = entry.key.at.as_nanos() >> SLOT_BITS;
            if slot == self.slot {
                self.current.push(Reverse(entry));
            } else {
                self.near.add(slot, entry);
            }
        }
        self.far.give_back(block, entries);
        Some(())
    }
}

/// A ring of places, and which of them hold anything.
#[derive(Clone, Debug)]
struct Wheel<T, const N: usize> {
    places: Vec<Vec<Entry<T>>>,
    used: Vec<u64>,
}

impl<T: Copy, const N: usize> Wheel<T, N> {
    fn new() -> Self {
        Self {
            places: (0..N).map(|_| Vec::new()).collect(),
            used: vec![0; N / 64],
        }
    }

    fn place(number: u64) -> usize {
        usize::try_from(number % N as u64).expect("below N")
    }

    fn add(&mut self, number: u64, entry: Entry<T>) {
        let place = Self::place(number);
        self.places[place].push(entry);
        self.used[place / 64] |= 1 << (place % 64);
    }

    /// Returns the first number after this one whose place holds anything. All that are held are less than N after it.
    fn next_after(&self, number: u64) -> Option<u64> {
        let start = Self::place(number + 1);
        let words = self.used.len();
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.used[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (place + N - start) % N;
                return Some(number + 1 + ahead as u64);
            }
        }
        None
    }

    fn take(&mut self, number: u64) -> Vec<Entry<T>> {
        let place = Self::place(number);
        self.used[place / 64] &= !(1 << (place % 64));
        std::mem::take(&mut self.places[place])
    }

    /// Gives the memory of a place back to it, for the next time.
    fn give_back(&mut self, number: u64, empty: Vec<Entry<T>>) {
        let place = Self::place(number);
        if self.places[place].is_empty() && empty.capacity() <= 1024 {
            self.places[place] = empty;
        }
    }

    fn take_into(&mut self, number: u64, heap: &mut BinaryHeap<Reverse<Entry<T>>>) {
        let mut entries = self.take(number);
        heap.extend(entries.drain(..).map(Reverse));
        self.give_back(number, entries);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(at: u64, source: u32, counter: u32) -> Key {
        let at = Time::from_nanos(at);
        Key {
            at,
            source,
            counter,
        }
    }

    #[test]
    fn what_happens_at_the_same_time_is_in_order_of_source_and_counter() {
        let mut queue = Queue::new();
        for (source, counter) in [(2, 0), (1, 1), (1, 0), (0, 7)] {
            queue.push(key(5, source, counter), ());
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(key, ())| (key.source, key.counter))
            .collect();
        assert_eq!(order, [(0, 7), (1, 0), (1, 1), (2, 0)]);
    }

    proptest! {
        /// Beside a heap, with steps from nanoseconds to hours, and pushes between the pops.
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec((0_u32..44, any::<u64>(), 0_usize..4), 1..300)) {
            let mut queue = Queue::new();
            let mut model = BinaryHeap::new();
            let mut now = 0;
            for (counter, (bits, drawn, pops)) in (0..).zip(steps) {
                let at = now + drawn % (1 << bits);
                queue.push(key(at, 0, counter), counter);
                model.push(Reverse((at, counter)));
                for _ in 0..pops {
                    let popped = queue.pop().map(|(key, what)| (key.at.as_nanos(), what));
                    prop_assert_eq!(popped, model.pop().map(|Reverse(entry)| entry));
                    now = popped.map_or(now, |(at, _)| at);
                }
                prop_assert_eq!(queue.len(), model.len());
            }
            while let Some(Reverse(entry)) = model.pop() {
                let popped = queue.pop().map(|(key, what)| (key.at.as_nanos(), what));
                prop_assert_eq!(popped, Some(entry));
            }
            prop_assert!(queue.pop().is_none());
        }
    }
}
