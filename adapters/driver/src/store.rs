//! The file that a node's state is kept in, and the thread that writes it: a disk may block, and an executor must not.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, Weak};

use bytes::Bytes;

use crate::shared::Shared;
use crate::wait::{Slot, Waiters, Wakes, lock, wait_for};

/// A file that was opened for one node, and what is to be written to it.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What is to be written. Of several, the last is enough.
    next: Option<Bytes>,
    /// How many were given, and how many of these are written, or have been overtaken by one that is.
    given: u64,
    written: u64,
    /// Why the last one could not be written.
    failure: Option<(io::ErrorKind, String)>,
    is_closed: bool,
    /// Whether the thread has ended.
    is_over: bool,
    /// Held until then: no other node goes on from the same file.
    held: Option<File>,
    waiters: Waiters,
}

/// What a file was opened with: what is to be written to it, and what was in it.
pub(crate) type Opened = (Store, Option<Bytes>);

impl Store {
    /// Opens a file for this process alone, and reads it if it is there. On a thread of its own.
    pub(crate) async fn open(path: PathBuf) -> io::Result<Opened> {
        let slot = Arc::new(Slot::default());
        let told = Arc::clone(&slot);
        let work = move || {
            let opened = open(path);
            let mut wakes = Wakes::default();
            told.set(opened, &mut wakes);
            wakes.wake_all();
        };
        std::thread::Builder::new()
            .name("rs2p-store".to_owned())
            .spawn(work)?;
        std::future::poll_fn(|cx| slot.poll_take(cx)).await
    }

    /// Starts the thread that writes.
    pub(crate) fn start(self: &Arc<Self>, shared: Weak<Shared>) -> io::Result<()> {
        let store = Arc::clone(self);
        let thread = std::thread::Builder::new().name("rs2p-store".to_owned());
        thread.spawn(move || store.run(&shared)).map(drop)
    }

    /// Has these bytes written, in the place of those that were given before.
    pub(crate) fn put(&self, bytes: Bytes) {
        let mut state = lock(&self.state);
        state.next = Some(bytes);
        state.given += 1;
        self.changed.notify_one();
    }

    /// What was given is still written; nothing more will be.
    pub(crate) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_one();
    }

    /// Waits until all that was given before is written.
    pub(crate) async fn written(&self) -> io::Result<()> {
        let given = lock(&self.state).given;
        let outcome = |state: &mut State| {
            if state.written < given && !state.is_over {
                return None;
            }
            Some(match &state.failure {
                Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
                None if state.written < given => {
                    Err(io::Error::other("the thread that writes is gone"))
                }
                None => Ok(()),
            })
        };
        wait_for(&self.state, |state| &mut state.waiters, outcome).await
    }

    /// Waits until the last bytes are written, and the file is free for another node.
    pub(crate) async fn ended(&self) {
        let is_over = |state: &mut State| state.is_over.then_some(());
        wait_for(&self.state, |state| &mut state.waiters, is_over).await;
    }

    fn run(&self, shared: &Weak<Shared>) {
        let _over = OverOnDrop(self);
        while let Some((number, bytes)) = self.next() {
            let failure = write(&self.path, &bytes).err();
            if let (Some(error), Some(shared)) = (&failure, shared.upgrade()) {
                shared.note_problem(format!("cannot save to {}: {error}", self.path.display()));
            }
            let mut wakes = Wakes::default();
            let mut state = lock(&self.state);
            state.written = number;
            state.failure = failure.map(|error| (error.kind(), error.to_string()));
            state.waiters.take_all(&mut wakes);
            drop(state);
            wakes.wake_all();
        }
    }

    /// Waits for the next bytes to write; `None` at the end.
    fn next(&self) -> Option<(u64, Bytes)> {
        let mut state = lock(&self.state);
        loop {
            if let Some(bytes) = state.next.take() {
                return Some((state.given, bytes));
            }
            if state.is_closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

/// Tells those who wait that nothing is written any more, even after a panic.
struct OverOnDrop<'a>(&'a Store);

impl Drop for OverOnDrop<'_> {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.0.state);
        state.is_over = true;
        state.held = None;
        state.waiters.take_all(&mut wakes);
        drop(state);
        wakes.wake_all();
    }
}

fn open(path: PathBuf) -> io::Result<Opened> {
    let held = File::create(beside(&path, ".lock"))?;
    held.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => {
            io::Error::new(io::ErrorKind::ResourceBusy, "another node uses it")
        }
        fs::TryLockError::Error(error) => error,
    })?;
    let found = match fs::read(&path) {
        Ok(bytes) => Some(Bytes::from(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let store = Store {
        path,
        state: Mutex::new(State {
            held: Some(held),
            ..State::default()
        }),
        changed: Condvar::new(),
    };
    Ok((store, found))
}

/// Puts bytes in the place of a file: whatever happens meanwhile, what is there is whole, old or new.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path, ".new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    // So that the new name outlives a crash of the machine. Not every system can do that, and the content is safe.
    if let Some(directory) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        && let Ok(directory) = File::open(directory)
    {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// Returns the path with something at its end.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    /// A directory that is gone at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let name = format!("rs2p-store-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_last_bytes_are_there_when_the_file_is_opened_again() {
        let place = Place::new("again");
        let path = place.0.join("state");
        let (store, found) = block_on(Store::open(path.clone())).unwrap();
        assert_eq!(found, None);
        let store = Arc::new(store);
        store.start(Weak::new()).unwrap();
        for n in 0..10_u8 {
            store.put(Bytes::from(vec![n; 1000]));
        }
        block_on(store.written()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [9; 1000]);
        store.put(Bytes::from_static(b"the end"));
        store.close();
        block_on(store.ended());
        let opened = block_on(Store::open(path)).unwrap();
        assert_eq!(opened.1.as_deref(), Some(&b"the end"[..]));
    }

    #[test]
    fn a_file_is_for_one_node_at_a_time() {
        let place = Place::new("one");
        let path = place.0.join("state");
        let first = block_on(Store::open(path.clone())).unwrap();
        let second = block_on(Store::open(path)).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
        drop(first);
    }

    #[test]
    fn what_cannot_be_written_is_told_and_leaves_the_old_bytes() {
        let place = Place::new("fails");
        let path = place.0.join("state");
        fs::write(&path, "old").unwrap();
        let (store, found) = block_on(Store::open(path.clone())).unwrap();
        assert_eq!(found.as_deref(), Some(&b"old"[..]));
        // Where the new file is to be there is a directory.
        fs::create_dir(place.0.join("state.new")).unwrap();
        let store = Arc::new(store);
        store.start(Weak::new()).unwrap();
        store.put(Bytes::from_static(b"new"));
        assert!(block_on(store.written()).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        fs::remove_dir(place.0.join("state.new")).unwrap();
        store.put(Bytes::from_static(b"newer"));
        block_on(store.written()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        store.close();
    }
}
