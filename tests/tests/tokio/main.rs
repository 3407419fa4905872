//! The suite of sockets, on both kinds of tokio runtime; and what only this runtime need show.

mod runtime;

use std::thread;

use rs2p_tokio::Tokio;
use tokio::runtime::Builder;

/// The kind that `#[tokio::main]` makes.
mod many_threads {
    rs2p_tests::suite!(super::many_threads());
}

/// The kind that a thread of the program's drives.
mod one_thread {
    rs2p_tests::suite!(super::one_thread());
}

fn many_threads() -> Tokio {
    start(Builder::new_multi_thread().worker_threads(2))
}

fn one_thread() -> Tokio {
    start(&mut Builder::new_current_thread())
}

/// Starts a runtime for one test, which ends with the process: where tests share one, a test that is busy with the lock of
/// its socket blocks a thread that another one needs.
fn start(builder: &mut Builder) -> Tokio {
    let runtime = builder.enable_all().build();
    let runtime = runtime.expect("the system gives what it needs");
    let tokio = Tokio::new(runtime.handle().clone());
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    tokio
}
