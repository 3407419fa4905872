//! The task that keeps the deadlines of a socket, and does what needs the runtime: it starts dials and
//! other tasks.

use std::future::Future;
use std::sync::Arc;

use futures_lite::future::or;

use crate::carrier::Security;
use crate::dial;
use crate::runtime::Runtime;
use crate::shared::{Shared, Step, Todo};

/// Runs until the socket is closed.
///
/// If the runtime drops this task, even before it has begun, nobody is left to end what others wait
/// for; so the socket ends with it.
pub(crate) fn run<R: Runtime>(
    runtime: R,
    security: Security,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send {
    let guard = AbandonOnDrop(shared);
    async move { keep(&runtime, &security, &guard.0).await }
}

async fn keep<R: Runtime>(runtime: &R, security: &Security, shared: &Arc<Shared>) {
    loop {
        let Step {
            todo,
            deadline,
            is_over,
        } = shared.step();
        for todo in todo {
            match todo {
                Todo::Dial(dial, address, cancel) => {
                    let shared = Arc::clone(shared);
                    let job = dial::Job {
                        dial,
                        address,
                        cancel,
                    };
                    runtime.spawn(dial::run(runtime.clone(), security.clone(), shared, job));
                }
                Todo::Run(task) => runtime.spawn(task),
            }
        }
        if is_over {
            return;
        }
        match deadline {
            Some(deadline) => or(shared.called(), runtime.sleep_until(deadline)).await,
            None => shared.called().await,
        }
    }
}

struct AbandonOnDrop(Arc<Shared>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Fake;
    use crate::wait::lock;
    use crate::{
        ConnectError, ConnectFailure, MeshSocket, NodeId, RecvError, SendError, SocketState,
    };
    use futures_lite::StreamExt as _;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn a_runtime_that_drops_its_tasks_leaves_nobody_waiting() {
        let runtime = Fake::default();
        let socket = crate::Builder::new(runtime.clone()).listen("127.0.0.1:4444");
        let socket = block_on(socket.bind()).unwrap();
        let events = socket.events();
        let mut connect = Box::pin(socket.connect("192.0.2.1:4444"));
        assert_eq!(block_on(poll_once(&mut connect)), None);

        let tasks = std::mem::take(&mut lock(&runtime.0).tasks);
        drop(tasks);
        let shut_down = ConnectError::Failed(ConnectFailure::ShutDown);
        assert_eq!(block_on(connect), Err(shut_down));
        assert_eq!(block_on(events.collect::<Vec<_>>()), []);
        assert_ended(&socket);
    }

    #[test]
    fn a_runtime_that_runs_nothing_at_all_leaves_nobody_waiting_either() {
        let runtime = Fake::default();
        lock(&runtime.0).drops_tasks = true;
        let socket = block_on(crate::Builder::new(runtime).bind()).unwrap();
        assert_ended(&socket);
    }

    /// Nothing begins any more that would never end.
    fn assert_ended(socket: &MeshSocket) {
        let mut connect = Box::pin(socket.connect("192.0.2.1:4444"));
        let shut_down = ConnectError::Failed(ConnectFailure::ShutDown);
        assert_eq!(block_on(poll_once(&mut connect)), Some(Err(shut_down)));
        assert_eq!(socket.broadcast("late"), Err(SendError::ShutDown));
        let somebody = NodeId::new("somebody").unwrap();
        let sent = socket.send_to(&somebody, "late").map(drop);
        assert_eq!(sent, Err(SendError::ShutDown));
        assert_eq!(block_on(socket.recv()), Err(RecvError::Closed));
        block_on(socket.close());
        assert_eq!(socket.status().state, SocketState::Closed);
    }
}
