//! `rs2p send`: one message to everyone.

use std::io::{self, IsTerminal as _, Write as _};

use rs2p_smol::{Event, Events, MeshSocket, MessageId, WithheldReason};
use smol::future::{block_on, poll_once};
use smol::stream::StreamExt as _;

use crate::args::Send;
use crate::exit::Failure;
use crate::join::{flushed, join_any, open_visitor, within};
use crate::paint::{Paint, Style};
use crate::view::short;

pub(crate) async fn run(args: Send) -> Result<(), Failure> {
    let limit = args.join.timeout();
    let socket = open_visitor(args.network.protocol(), limit).await?;
    let sent = within(limit, send(&socket, &args), "could not send the message").await;
    if sent.is_ok() {
        // The last bytes are with the system; this sees to it that the other side has them.
        socket.close().await;
    }
    sent
}

async fn send(socket: &MeshSocket, args: &Send) -> Result<(), Failure> {
    let mut events = socket.events();
    join_any(socket, &args.join.join).await?;
    let text = args.text.join(" ");
    let peers = socket.peers();
    let ticket = socket.broadcast(text).map_err(Failure::failed)?;
    if !flushed(socket).await {
        let reason = "the link ended before the message was out";
        return Err(Failure::failed(reason));
    }
    let kept_back = withheld(&mut events, ticket.id());
    if let Some(why) = kept_back.first().filter(|_| kept_back.len() >= peers.len()) {
        let reason = format_args!("the node there cannot take this message: {why}");
        return Err(Failure::failed(reason));
    }
    if io::stderr().is_terminal() {
        let names: Vec<_> = peers
            .iter()
            .map(|peer| format!("{} at {}", short(&peer.id), peer.remote))
            .collect();
        let line = format!("* sent by way of {}", names.join(" and "));
        let line = Paint::for_output(&io::stderr()).with(Style::Dim, line);
        // It is only for comfort.
        let _ = writeln!(io::stderr(), "{line}");
    }
    Ok(())
}

/// Returns why peers do not get the message, one reason for each, of what has happened so far.
fn withheld(events: &mut Events, message: MessageId) -> Vec<WithheldReason> {
    let mut reasons = Vec::new();
    while let Some(Some(Ok(event))) = block_on(poll_once(events.next())) {
        if let Event::Withheld { id, why, .. } = event
            && id == message
        {
            reasons.push(why);
        }
    }
    reasons
}
