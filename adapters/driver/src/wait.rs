//! Waiting for something that happens under a lock, without losing a wake-up or leaving a waker behind.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Locks, whether or not a panic has happened under the lock: the panic was reported where it was, and a
/// node that can still close its links is better than one that cannot.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakers to be called once no lock is held.
#[derive(Debug, Default)]
pub(crate) struct Wakes(Vec<Waker>);

impl Wakes {
    pub(crate) fn add(&mut self, waker: Waker) {
        self.0.push(waker);
    }

    pub(crate) fn wake_all(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

/// The tasks that wait for one thing.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next_key: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Waiters {
    /// Notes a waker, in the place of the one that it gave before.
    pub(crate) fn register(&mut self, key: &mut Option<u64>, waker: &Waker) {
        let key = *key.get_or_insert_with(|| {
            self.next_key += 1;
            self.next_key
        });
        self.wakers.insert(key, waker.clone());
    }

    pub(crate) fn forget(&mut self, key: &mut Option<u64>) {
        if let Some(key) = key.take() {
            self.wakers.remove(&key);
        }
    }

    pub(crate) fn take_all(&mut self, wakes: &mut Wakes) {
        for waker in std::mem::take(&mut self.wakers).into_values() {
            wakes.add(waker);
        }
    }
}

/// Waits until a look under the lock finds something.
pub(crate) struct WaitFor<'a, S, F> {
    mutex: &'a Mutex<S>,
    waiters: fn(&mut S) -> &mut Waiters,
    find: F,
    key: Option<u64>,
}

/// Waits until `find` returns something. It is called under the lock: at once, and whenever `waiters`
/// are woken.
pub(crate) const fn wait_for<S, T, F>(
    mutex: &Mutex<S>,
    waiters: fn(&mut S) -> &mut Waiters,
    find: F,
) -> WaitFor<'_, S, F>
where
    F: FnMut(&mut S) -> Option<T> + Unpin,
{
    WaitFor {
        mutex,
        waiters,
        find,
        key: None,
    }
}

impl<S, T, F> Future for WaitFor<'_, S, F>
where
    F: FnMut(&mut S) -> Option<T> + Unpin,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        let mut state = lock(this.mutex);
        let found = (this.find)(&mut state);
        let waiters = (this.waiters)(&mut state);
        if let Some(found) = found {
            waiters.forget(&mut this.key);
            Poll::Ready(found)
        } else {
            waiters.register(&mut this.key, cx.waker());
            Poll::Pending
        }
    }
}

impl<S, F> Drop for WaitFor<'_, S, F> {
    fn drop(&mut self) {
        if self.key.is_some() {
            (self.waiters)(&mut lock(self.mutex)).forget(&mut self.key);
        }
    }
}

impl<S, F> fmt::Debug for WaitFor<'_, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFor")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A place for one value that a task waits for.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<SlotState<T>>);

#[derive(Debug)]
struct SlotState<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::new(SlotState {
            value: None,
            waker: None,
        }))
    }
}

impl<T> Slot<T> {
    /// Puts the value in. The first one stays.
    pub(crate) fn set(&self, value: T, wakes: &mut Wakes) {
        let mut state = lock(&self.0);
        state.value.get_or_insert(value);
        if let Some(waker) = state.waker.take() {
            wakes.add(waker);
        }
    }

    /// Takes the value out once it is there. For one task at a time.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<T> {
        let mut state = lock(&self.0);
        if let Some(value) = state.value.take() {
            return Poll::Ready(value);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[derive(Default)]
    struct Level {
        height: u32,
        waiters: Waiters,
    }

    #[test]
    fn a_wait_that_is_dropped_leaves_nothing_behind() {
        let level = Mutex::new(Level::default());
        let rises = || {
            wait_for(
                &level,
                |level: &mut Level| &mut level.waiters,
                |level: &mut Level| (level.height > 0).then_some(level.height),
            )
        };
        let mut first = rises();
        let mut second = rises();
        assert_eq!(block_on(poll_once(&mut first)), None);
        assert_eq!(block_on(poll_once(&mut second)), None);
        assert_eq!(lock(&level).waiters.wakers.len(), 2);
        drop(first);
        assert_eq!(lock(&level).waiters.wakers.len(), 1);
        lock(&level).height = 3;
        assert_eq!(block_on(second), 3);
        assert_eq!(lock(&level).waiters.wakers.len(), 0);
    }

    #[test]
    fn the_first_value_of_a_slot_stays() {
        let slot = Slot::default();
        let mut wakes = Wakes::default();
        slot.set(1, &mut wakes);
        slot.set(2, &mut wakes);
        let taken = block_on(std::future::poll_fn(|cx| slot.poll_take(cx)));
        assert_eq!(taken, 1);
    }
}
