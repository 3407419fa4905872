//! A runtime whose tasks can all be made to vanish, as those of a process that is killed, and whose connections can be cut.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use rs2p_smol::{Runtime, Smol};
use smol::Task;

use super::cable::{Cable, Wire};

/// smol, until it is killed.
#[derive(Clone, Debug)]
pub(super) struct Mortal {
    /// `None` once it is dead.
    tasks: Arc<Mutex<Option<Vec<Task<()>>>>>,
    cable: Cable,
    /// Where it listens, once it does.
    address: Arc<OnceLock<SocketAddr>>,
}

impl Mortal {
    pub(super) fn on(cable: &Cable) -> Self {
        Self {
            tasks: Arc::new(Mutex::new(Some(Vec::new()))),
            cable: cable.clone(),
            address: Arc::default(),
        }
    }

    /// Returns where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
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
    type Stream = Wire;
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

    async fn connect(&self, to: SocketAddr) -> io::Result<Wire> {
        self.cable.dial(self.address(), to).await
    }

    async fn bind(&self, at: SocketAddr) -> io::Result<Self::Listener> {
        let listener = Smol.bind(at).await?;
        // A node of the demonstration has one listener.
        let _ = self.address.set(Smol.local_addr(&listener)?);
        Ok(listener)
    }

    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr> {
        Smol.local_addr(listener)
    }

    async fn accept(&self, listener: &Self::Listener) -> io::Result<(Wire, SocketAddr)> {
        let (stream, from) = Smol.accept(listener).await?;
        Ok((Wire::accepted(stream), from))
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
            let mortal = Mortal::on(&Cable::default());
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
