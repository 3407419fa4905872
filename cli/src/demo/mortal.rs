//! A runtime whose tasks can all be made to vanish, as those of a process that is killed.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rs2p_smol::{Runtime, Smol};
use smol::Task;

/// smol, until it is killed.
#[derive(Clone, Debug)]
pub(super) struct Mortal {
    /// `None` once it is dead.
    tasks: Arc<Mutex<Option<Vec<Task<()>>>>>,
}

impl Mortal {
    pub(super) fn new() -> Self {
        Self {
            tasks: Arc::new(Mutex::new(Some(Vec::new()))),
        }
    }

    /// Drops all tasks where they stand, and with them their connections and listeners: what waits to be
    /// sent is lost, and nobody is told. The system closes the connections, as it does for a process that
    /// crashes.
    pub(super) fn kill(&self) {
        let tasks = self
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Without the lock: what a task owns may want to spawn another as it goes.
        drop(tasks);
    }
}

impl Runtime for Mortal {
    type Stream = <Smol as Runtime>::Stream;
    type Listener = <Smol as Runtime>::Listener;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tasks) = &mut *tasks {
            tasks.retain(|task| !task.is_finished());
            tasks.push(smol::spawn(task));
        }
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send {
        Smol.sleep_until(deadline)
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<Self::Stream> {
        Smol.connect(to).await
    }

    async fn bind(&self, at: SocketAddr) -> io::Result<Self::Listener> {
        Smol.bind(at).await
    }

    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr> {
        Smol.local_addr(listener)
    }

    async fn accept(&self, listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        Smol.accept(listener).await
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Smol.resolve(host, port).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::channel::bounded;

    #[test]
    fn whoever_is_killed_does_nothing_more() {
        smol::block_on(async {
            let mortal = Mortal::new();
            let (sender, receiver) = bounded::<()>(1);
            let holder = sender.clone();
            mortal.spawn(async move {
                let _holder = holder;
                std::future::pending::<()>().await;
            });
            mortal.kill();
            mortal.spawn(async move { sender.send(()).await.unwrap() });
            // Both senders are gone, and nothing was sent.
            assert!(receiver.recv().await.is_err());
        });
    }
}
