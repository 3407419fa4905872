//! `rs2p peers`: who is linked to a node.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use rs2p_smol::{Address, ConnectError, ConnectFailure, MeshSocket, NodeId, PeerInfo, PeerKind};
use smol::Task;

use crate::args::Peers;
use crate::exit::Failure;
use crate::join::{join_any, open_visitor, settled, within};
use crate::paint::{Paint, Style};
use crate::view::{as_millis, reason, short, to_line};

/// How many of the named nodes are dialled.
const MAX_TRIED: usize = 64;

/// The list of peers follows a handshake at once: after so long without anything new it has been read.
const LIST_QUIET: Duration = Duration::from_millis(150);

/// How long to wait for it in all.
const LIST_LIMIT: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: Peers) -> Result<(), Failure> {
    let limit = args.join.timeout();
    let socket = open_visitor(args.network.protocol(), limit).await?;
    let join = join_any(&socket, &args.join.join);
    within(limit, join, "nobody answered").await?;
    let named = named(&socket).await;
    let rows = look(&socket, named, limit).await;
    let shown = if args.json {
        rows.iter().map(to_line).collect()
    } else {
        table(&rows, Paint::for_output(&io::stdout()))
    };
    let written = io::stdout().write_all(shown.as_bytes());
    socket.close().await;
    written.map_err(|error| Failure::output(&error))
}

/// Waits for the list of peers of the node that was joined, and returns who is on it.
async fn named(socket: &MeshSocket) -> Vec<(Address, Option<NodeId>)> {
    let mut known = 0;
    settled(LIST_QUIET, LIST_LIMIT, || {
        let count = socket.status().node.addresses.len();
        std::mem::replace(&mut known, count) == count
    })
    .await;
    let joined = socket.peers();
    let is_joined = |address: &Address, id: Option<&NodeId>| {
        joined.iter().any(|peer| {
            Some(&peer.id) == id
                || peer.remote == *address
                || peer.address.as_ref() == Some(address)
        })
    };
    let addresses = socket.status().node.addresses.into_iter();
    addresses
        .map(|info| (info.address, info.id))
        .filter(|(address, id)| !is_joined(address, id.as_ref()))
        .collect()
}

/// Looks at each peer, the joined ones first.
async fn look(
    socket: &MeshSocket,
    named: Vec<(Address, Option<NodeId>)>,
    limit: Duration,
) -> Vec<Row> {
    let joined = socket.peers();
    let stands_visits = joined.iter().all(|peer| peer.kind == PeerKind::Native);
    let mut rows: Vec<Row> = joined
        .iter()
        .map(|peer| Row::linked(peer, "joined"))
        .collect();
    let visits: Vec<Task<Row>> = named
        .into_iter()
        .enumerate()
        .map(|(index, (address, id))| {
            let socket = socket.clone();
            let is_tried = stands_visits && index < MAX_TRIED;
            smol::spawn(async move {
                if is_tried {
                    visit(&socket, address, id, limit).await
                } else {
                    Row::named(&address, id.as_ref())
                }
            })
        })
        .collect();
    for visit in visits {
        rows.push(visit.await);
    }
    rows
}

/// Links to a named node, to see whether it can be reached.
async fn visit(socket: &MeshSocket, address: Address, id: Option<NodeId>, limit: Duration) -> Row {
    let connect = async {
        match socket.connect(&address).await {
            Ok(found) | Err(ConnectError::Failed(ConnectFailure::Duplicate(found))) => Ok(found),
            Err(ConnectError::Failed(failure)) => {
                Err(Failure::failed(reason(&failure, socket.protocol())))
            }
            Err(error) => Err(Failure::failed(error)),
        }
    };
    match within(limit, connect, "no answer").await {
        Ok(found) => {
            let peer = socket.peers().into_iter().find(|peer| peer.id == found);
            peer.map_or_else(
                || Row::unreachable(&address, id.as_ref(), "the link ended at once".to_owned()),
                |peer| Row::linked(&peer, "reached"),
            )
        }
        Err(failure) => Row::unreachable(&address, id.as_ref(), failure.into_reason()),
    }
}

/// A peer, as it is shown.
#[derive(Debug, serde::Serialize)]
struct Row {
    id: Option<String>,
    kind: Option<String>,
    address: String,
    /// `joined`, `reached`, `unreachable`, or `named` if it was not tried.
    state: &'static str,
    round_trip_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Row {
    fn linked(peer: &PeerInfo, state: &'static str) -> Self {
        Self {
            id: Some(peer.id.to_string()),
            kind: Some(peer.kind.to_string()),
            address: peer.remote.to_string(),
            state,
            round_trip_ms: peer.round_trip.map(as_millis),
            reason: None,
        }
    }

    fn named(address: &Address, id: Option<&NodeId>) -> Self {
        Self {
            id: id.map(ToString::to_string),
            kind: None,
            address: address.to_string(),
            state: "named",
            round_trip_ms: None,
            reason: None,
        }
    }

    fn unreachable(address: &Address, id: Option<&NodeId>, reason: String) -> Self {
        Self {
            state: "unreachable",
            reason: Some(reason),
            ..Self::named(address, id)
        }
    }

    fn cells(&self) -> [String; 5] {
        let none = || "-".to_owned();
        let id = self.id.as_ref().and_then(|id| NodeId::new(id).ok());
        [
            id.as_ref().map_or_else(none, short),
            self.kind.clone().unwrap_or_else(none),
            self.address.clone(),
            self.round_trip_ms
                .map_or_else(none, |millis| format!("{millis:.1} ms")),
            match &self.reason {
                Some(reason) => format!("{}: {reason}", self.state),
                None => self.state.to_owned(),
            },
        ]
    }
}

/// Lays the rows out in columns.
fn table(rows: &[Row], paint: Paint) -> String {
    let head = ["node", "kind", "address", "round trip", "state"].map(str::to_owned);
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let all = std::iter::once(&head).chain(&cells);
            all.map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let line = |row: &[String; 5]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        line.trim_end().to_owned()
    };
    let mut shown = format!("{}\n", paint.with(Style::Bold, line(&head)));
    for row in &cells {
        shown += &line(row);
        shown.push('\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let near: Address = "127.0.0.1:1".parse().unwrap();
        let far: Address = "far.example.org:65535".parse().unwrap();
        let id = NodeId::new("123456789").unwrap();
        let rows = [
            Row::unreachable(&near, Some(&id), "connection refused".to_owned()),
            Row::named(&far, None),
        ];
        let expected = "\
node      kind  address                round trip  state
12345678  -     127.0.0.1:1            -           unreachable: connection refused
-         -     far.example.org:65535  -           named
";
        assert_eq!(table(&rows, Paint::PLAIN), expected);
    }
}
