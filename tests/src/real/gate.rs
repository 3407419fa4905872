//! A gate before all tasks of a node: they run while it is open, stand still while it is shut, and are dropped when it is gone.
//! So a node can be stopped as a process is: with all that it has to do, in the middle of it.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Something is rung, and who waits for it looks again.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<Rung>);

#[derive(Debug, Default)]
struct Rung {
    times: u64,
    waiting: Vec<Waker>,
}

impl Bell {
    pub(super) fn ring(&self) {
        let mut rung = lock(&self.0);
        rung.times += 1;
        let waiting = std::mem::take(&mut rung.waiting);
        drop(rung);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Returns how often it was rung: to be asked for before a look at what it is about.
    pub(super) fn times(&self) -> u64 {
        lock(&self.0).times
    }

    /// Waits until it has been rung more often than so many times.
    pub(super) async fn rung(&self, times: u64) {
        std::future::poll_fn(|cx| {
            let mut rung = lock(&self.0);
            if rung.times > times {
                return Poll::Ready(());
            }
            if !rung.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                rung.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// Locks, also after a panic: what is behind these locks is never half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Nothing has run yet, or the node is paused.
    #[default]
    Shut,
    Open,
    Gone,
}

#[derive(Debug, Default)]
struct Tasks {
    mode: Mode,
    next: u64,
    /// Each with how to call it.
    there: BTreeMap<u64, Option<Waker>>,
    /// What the first that panicked said.
    panic: Option<String>,
}

/// See the module. A clone is the same gate.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tasks: Mutex<Tasks>,
    bell: Bell,
}

impl Gate {
    pub(super) fn open(&self) {
        self.set(Mode::Open);
    }

    pub(super) fn shut(&self) {
        self.set(Mode::Shut);
    }

    /// Has all tasks dropped, and waits until they are.
    pub(super) async fn end(&self) {
        self.set(Mode::Gone);
        loop {
            let times = self.0.bell.times();
            if lock(&self.0.tasks).there.is_empty() {
                return;
            }
            self.0.bell.rung(times).await;
        }
    }

    /// Returns what the first task that panicked said.
    pub(super) fn panic(&self) -> Option<String> {
        lock(&self.0.tasks).panic.clone()
    }

    fn set(&self, mode: Mode) {
        let mut tasks = lock(&self.0.tasks);
        if tasks.mode == Mode::Gone {
            return;
        }
        tasks.mode = mode;
        let wakers: Vec<Waker> = tasks.there.values().flatten().cloned().collect();
        drop(tasks);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Puts a task behind the gate.
    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) -> Behind {
        let mut tasks = lock(&self.0.tasks);
        let number = tasks.next;
        tasks.next += 1;
        tasks.there.insert(number, None);
        Behind {
            gate: self.clone(),
            number,
            task: Some(Box::pin(task)),
        }
    }
}

/// A task behind a gate.
pub(super) struct Behind {
    gate: Gate,
    number: u64,
    task: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Future for Behind {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut tasks = lock(&self.gate.0.tasks);
        let mode = tasks.mode;
        tasks.there.insert(self.number, Some(cx.waker().clone()));
        drop(tasks);
        match mode {
            Mode::Shut => return Poll::Pending,
            Mode::Gone => {
                self.task = None;
                return Poll::Ready(());
            }
            Mode::Open => {}
        }
        let Some(task) = &mut self.task else {
            return Poll::Ready(());
        };
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => {
                let words = panic.downcast_ref::<String>().cloned();
                let words =
                    words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned()));
                let words = words.unwrap_or_else(|| "without words".to_owned());
                lock(&self.gate.0.tasks).panic.get_or_insert(words);
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // What it holds is gone before anyone is told that it is.
        self.task = None;
        lock(&self.gate.0.tasks).there.remove(&self.number);
        self.gate.0.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once, yield_now};

    use super::*;

    #[test]
    fn a_task_runs_while_the_gate_is_open_and_is_dropped_when_it_is_gone() {
        let (gate, count) = (Gate::default(), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&count);
        let mut task = Box::pin(gate.run(async move {
            loop {
                *lock(&counted) += 1;
                yield_now().await;
            }
        }));
        let mut step = || {
            let done = block_on(poll_once(&mut task)).is_some();
            (done, *lock(&count))
        };
        assert_eq!(step(), (false, 0), "it is shut at first");
        gate.open();
        assert_eq!(step(), (false, 1));
        gate.shut();
        assert_eq!(step(), (false, 1));
        gate.open();
        assert_eq!(step(), (false, 2));
        let mut end = Box::pin(gate.end());
        assert!(block_on(poll_once(&mut end)).is_none(), "it is still there");
        assert_eq!(step(), (true, 2));
        assert_eq!(Arc::strong_count(&count), 1, "it is dropped");
        drop(task);
        block_on(end);
        gate.open();
        assert!(block_on(poll_once(gate.run(async {}))).is_some());
    }

    #[test]
    fn a_panic_is_kept_in_its_words() {
        let gate = Gate::default();
        gate.open();
        block_on(gate.run(async { panic!("out of {}", "order") }));
        assert_eq!(gate.panic().as_deref(), Some("out of order"));
        block_on(gate.end());
    }
}
