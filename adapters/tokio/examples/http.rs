//! A web service beside a node: what is posted to one instance is an alert that all others hear.
//!
//! ```console
//! $ cargo run -p rs2p-tokio --example http -- 127.0.0.1:8001 127.0.0.1:4001
//! $ cargo run -p rs2p-tokio --example http -- 127.0.0.1:8002 127.0.0.1:4002 127.0.0.1:4001
//! $ curl --data 'the disk is full' http://127.0.0.1:8001/alert
//! $ curl http://127.0.0.1:8002/alerts
//! ```
//!
//! The arguments: where to serve HTTP, where the node listens, and any participants of the network to
//! dial. Ctrl-C ends it, and sends what was accepted before.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use rs2p_tokio::{MeshSocket, RecvError, SendError};
use tokio::net::TcpListener;

/// How many alerts are listed: the latest.
const MAX_ALERTS: usize = 100;

type Alerts = Arc<Mutex<VecDeque<String>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(http), Some(mesh)) = (args.next(), args.next()) else {
        return Err("usage: http HTTP_ADDRESS NODE_ADDRESS [PARTICIPANT]...".into());
    };
    // Seeds are dialled for as long as it takes: instances may start in any order.
    let builder = rs2p_tokio::builder().listen(mesh);
    let socket = args.fold(builder, |builder, seed| builder.seed(seed));
    let socket = socket.bind().await?;

    let alerts = Alerts::default();
    tokio::spawn(collect(socket.clone(), Arc::clone(&alerts)));
    let app = Router::new()
        .route("/alert", post(raise).with_state(socket.clone()))
        .route("/alerts", get(list).with_state(alerts));
    let listener = TcpListener::bind(http).await?;
    println!("http://{}/alerts", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    socket.close().await;
    Ok(())
}

/// `POST /alert`: the body is the alert, and the answer the id of the message.
async fn raise(
    State(socket): State<MeshSocket>,
    alert: String,
) -> Result<(StatusCode, String), (StatusCode, String)> {
    match socket.broadcast(alert) {
        // Not "OK": it is on its way, and kept until a neighbour has it.
        Ok(ticket) => Ok((StatusCode::ACCEPTED, format!("{}\n", ticket.id()))),
        Err(error) => {
            let passes = matches!(error, SendError::Full | SendError::ShutDown);
            let status = if passes {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::BAD_REQUEST
            };
            Err((status, format!("{error}\n")))
        }
    }
}

/// `GET /alerts`: what others have raised, the oldest first.
async fn list(State(alerts): State<Alerts>) -> String {
    let alerts = alerts.lock().unwrap_or_else(PoisonError::into_inner);
    alerts.iter().map(|alert| format!("{alert}\n")).collect()
}

/// Puts what comes into the list until the socket is closed.
async fn collect(socket: MeshSocket, alerts: Alerts) {
    loop {
        let line = match socket.recv().await {
            Ok(message) => match message.text() {
                Some(text) => format!("{}: {text}", message.sender()),
                None => format!("{}: {:?}", message.sender(), message.packets()),
            },
            Err(RecvError::Closed) => return,
            Err(gap) => gap.to_string(),
        };
        let mut alerts = alerts.lock().unwrap_or_else(PoisonError::into_inner);
        alerts.push_back(line);
        if alerts.len() > MAX_ALERTS {
            alerts.pop_front();
        }
    }
}
