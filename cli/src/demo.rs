//! `rs2p demo`: five nodes, real TCP on loopback, a crash, a late guest, a cut and its healing, and an account of it all.
//!
//! The nodes form a chain, so that the crash of the one in the middle cuts the network in two and the
//! survivors have to find each other again.

mod cable;
mod ledger;
mod mortal;
mod stage;

use std::time::Duration;

use crate::exit::Failure;
use stage::Stage;

/// How long any one thing may take before it is given up and what is missing is told. Five such waits
/// stay below 20 s.
const PATIENCE: Duration = Duration::from_millis(3500);

/// How long a network that was cut may take to heal.
const HEALING: Duration = Duration::from_secs(10);

/// How long to watch for surplus copies when all is done.
const AFTERMATH: Duration = Duration::from_millis(300);

const CHAIN: [&str; 5] = ["ada", "bob", "cleo", "dan", "eve"];
const VICTIM: &str = "cleo";
const GUEST: &str = "fay";
/// The survivor that the guest knows, at one end of the chain.
const HOST: &str = "ada";

pub(crate) async fn run() -> Result<(), Failure> {
    let mut stage = Stage::new();
    stage
        .scene("five nodes meet, each knows the one before it: ada - bob - cleo - dan - eve")
        .await?;
    let mut before = None;
    for name in CHAIN {
        stage.enter(name, before).await?;
        if let Some(before) = before {
            stage.until_linked(name, before).await?;
        }
        before = Some(name);
    }

    stage.scene("each sends a message to everyone").await?;
    stage.exchange("all five", "hello").await?;

    stage
        .scene(&format!(
            "{VICTIM} crashes; it was the only way between the halves"
        ))
        .await?;
    stage.crash(VICTIM)?;
    stage.until_whole(VICTIM).await?;

    stage
        .scene("the survivors send a message to everyone")
        .await?;
    stage.exchange("four survivors", "still here").await?;

    stage
        .scene(&format!("{GUEST} comes late, and knows {HOST} only"))
        .await?;
    stage.enter(GUEST, Some(HOST)).await?;
    stage.until_linked(GUEST, HOST).await?;

    stage
        .scene("each sends a message to everyone, again")
        .await?;
    stage.exchange(&format!("with {GUEST}"), "welcome").await?;

    stage.scene("the network is cut in two").await?;
    let half = stage.cut().await?;

    stage
        .scene("on both sides each sends a message to everyone")
        .await?;
    let waiting = stage
        .exchange_apart(&half, "while cut", "can you hear me")
        .await?;

    stage
        .scene(&format!(
            "the cut heals; {waiting} deliveries have waited for that"
        ))
        .await?;
    stage.mend().await?;

    stage.watch(AFTERMATH).await?;
    stage.end().await
}
