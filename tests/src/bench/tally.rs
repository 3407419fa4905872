//! Counting what arrives, and holding the publisher back until it has.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// When nothing has arrived for so long, nothing will.
const QUIET: Duration = Duration::from_secs(4);

/// How often it is looked at whether anything arrives.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What of the messages has arrived, by receiver.
///
/// A message is a number, the time at which it was published, and what fills it up: see [`payload`].
#[derive(Debug)]
pub struct Tally {
    origin: Instant,
    receivers: Vec<Receiver>,
    /// How many messages each receiver has to have before the publisher goes on. `u64::MAX` if it does not wait.
    awaited: AtomicU64,
    /// When the last message arrived, if nothing has arrived for [`QUIET`] since.
    quiet_since: Mutex<Option<Instant>>,
    keeps_latencies: AtomicBool,
    publisher: Mutex<Option<Waker>>,
}

#[derive(Debug, Default)]
struct Receiver {
    /// Different messages.
    count: AtomicU64,
    /// Messages that are not waited for any more.
    forgiven: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// A bit for every number.
    bits: Vec<u64>,
    /// One more than the highest number.
    next: u64,
    again: u64,
    out_of_order: u64,
    micros: Vec<u32>,
}

impl Tally {
    /// Returns a tally for so many receivers.
    #[must_use]
    pub fn new(receivers: usize) -> Arc<Self> {
        let tally = Arc::new(Self {
            origin: Instant::now(),
            receivers: (0..receivers).map(|_| Receiver::default()).collect(),
            awaited: AtomicU64::new(u64::MAX),
            quiet_since: Mutex::new(None),
            keeps_latencies: AtomicBool::new(false),
            publisher: Mutex::new(None),
        });
        let watched = Arc::downgrade(&tally);
        thread::spawn(move || watch(&watched));
        tally
    }

    /// Notes that a receiver, counted from 0, got a message.
    ///
    /// # Panics
    ///
    /// The message is none of ours.
    pub fn arrived(&self, receiver: usize, message: &[u8]) {
        let head = |at: usize| {
            let bytes = message
                .get(at..at + 8)
                .and_then(|head| head.try_into().ok());
            u64::from_le_bytes(bytes.expect("a message has 16 bytes or more"))
        };
        let (number, published) = (head(0), head(8));
        let receiver = &self.receivers[receiver];
        {
            let mut seen = lock(&receiver.seen);
            if !seen.note(number) {
                return;
            }
            if self.keeps_latencies.load(SeqCst) {
                let micros = self.micros().saturating_sub(published);
                seen.micros.push(u32::try_from(micros).unwrap_or(u32::MAX));
            }
        }
        receiver.count.fetch_add(1, SeqCst);
        if receiver.dealt_with() == self.awaited.load(SeqCst) {
            self.wake();
        }
    }

    /// Waits until every receiver has so many messages, or nothing arrives any more. Returns whether they have them.
    pub async fn have(&self, count: u64) -> bool {
        poll_fn(|cx| {
            *lock(&self.publisher) = Some(cx.waker().clone());
            self.awaited.store(count, SeqCst);
            let is_there = self.least() >= count;
            if is_there || self.quiet_since().is_some() {
                self.awaited.store(u64::MAX, SeqCst);
                return Poll::Ready(is_there);
            }
            Poll::Pending
        })
        .await
    }

    /// Begins to keep how long each message took.
    pub fn keep_latencies(&self) {
        self.keeps_latencies.store(true, SeqCst);
    }

    /// Takes it that nothing comes any more of this many messages.
    pub fn forgive(&self, published: u64) {
        for receiver in &self.receivers {
            let count = receiver.count.load(SeqCst);
            receiver
                .forgiven
                .store(published.saturating_sub(count), SeqCst);
        }
    }

    /// Returns how many messages the receiver has that has the fewest, with those that were [forgiven](Self::forgive).
    #[must_use]
    pub fn least(&self) -> u64 {
        let counts = self.receivers.iter().map(Receiver::dealt_with);
        counts.min().unwrap_or(0)
    }

    /// Returns when the last message arrived, if none has for a while that was waited for.
    #[must_use]
    pub fn quiet_since(&self) -> Option<Instant> {
        *lock(&self.quiet_since)
    }

    /// Returns how many messages all receivers have together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = self
            .receivers
            .iter()
            .map(|receiver| receiver.count.load(SeqCst));
        counts.sum()
    }

    /// Returns how many receivers there are.
    #[must_use]
    pub fn receivers(&self) -> usize {
        self.receivers.len()
    }

    /// Returns how often a message arrived that was there, and how often one with a lower number than one that was.
    #[must_use]
    pub fn irregular(&self) -> (u64, u64) {
        self.receivers.iter().fold((0, 0), |sum, receiver| {
            let seen = lock(&receiver.seen);
            (sum.0 + seen.again, sum.1 + seen.out_of_order)
        })
    }

    /// Returns how long the messages took, in microseconds, the shortest first.
    #[must_use]
    pub fn latencies(&self) -> Vec<u32> {
        let each = self.receivers.iter();
        let mut all: Vec<u32> = each.flat_map(|r| lock(&r.seen).micros.clone()).collect();
        all.sort_unstable();
        all
    }

    /// Returns the time as messages carry it: microseconds since the tally was made.
    #[must_use]
    pub fn micros(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn wake(&self) {
        let waker = lock(&self.publisher).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Receiver {
    fn dealt_with(&self) -> u64 {
        self.count.load(SeqCst) + self.forgiven.load(SeqCst)
    }
}

impl Seen {
    /// Returns whether the number is new.
    fn note(&mut self, number: u64) -> bool {
        let at = usize::try_from(number / 64).expect("messages are counted from 0");
        if at >= self.bits.len() {
            self.bits.resize((at + 1).next_power_of_two(), 0);
        }
        let bit = 1 << (number % 64);
        if self.bits[at] & bit != 0 {
            self.again += 1;
            return false;
        }
        self.bits[at] |= bit;
        self.out_of_order += u64::from(number < self.next);
        self.next = self.next.max(number + 1);
        true
    }
}

/// Tells the publisher when nothing arrives any more, for as long as the tally is used.
fn watch(tally: &Weak<Tally>) {
    let mut last = (0, Instant::now());
    loop {
        thread::sleep(LOOK_INTERVAL);
        let Some(tally) = tally.upgrade() else { return };
        let total = tally.total();
        if total != last.0 || tally.awaited.load(SeqCst) == u64::MAX {
            last = (total, Instant::now());
            *lock(&tally.quiet_since) = None;
        } else if last.1.elapsed() >= QUIET {
            *lock(&tally.quiet_since) = Some(last.1);
            tally.wake();
        }
    }
}

/// Returns a message of that length, at least 16 bytes: its number, when it was published, and bytes that no method makes
/// shorter.
#[must_use]
pub fn payload(number: u64, micros: u64, len: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(len.max(16));
    message.extend_from_slice(&number.to_le_bytes());
    message.extend_from_slice(&micros.to_le_bytes());
    let mut state = number ^ 0x9e37_79b9_7f4a_7c15;
    while message.len() < len {
        // xorshift64: as good as chance to a compressor, and costs next to nothing.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        message.extend_from_slice(&state.to_le_bytes());
    }
    message.truncate(len.max(16));
    message
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::block_on;

    #[test]
    fn what_comes_again_or_late_is_told_and_counted_once() {
        let tally = Tally::new(2);
        for number in [0, 1, 3, 2, 2] {
            tally.arrived(0, &payload(number, 0, 20));
        }
        assert_eq!((tally.total(), tally.least()), (4, 0));
        assert_eq!(tally.irregular(), (1, 1));
    }

    #[test]
    fn the_publisher_waits_for_the_last_receiver() {
        let tally = Tally::new(2);
        let arriving = Arc::clone(&tally);
        let thread = thread::spawn(move || {
            for receiver in [0, 1] {
                arriving.arrived(receiver, &payload(0, 0, 16));
            }
        });
        assert!(block_on(tally.have(1)));
        assert_eq!(tally.least(), 1);
        thread.join().expect("it counts");
        assert!(!block_on(tally.have(2)), "nothing arrives any more");
    }

    #[test]
    fn a_message_has_its_length() {
        for len in [16, 17, 64, 1000] {
            assert_eq!(payload(7, 9, len).len(), len);
        }
        assert_ne!(payload(1, 0, 64)[16..], payload(2, 0, 64)[16..]);
    }
}
