//! What becomes of a message to one node.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rs2p_core::SendOutcome;

use crate::wait::Slot;

/// Resolves once it is known what became of a message to one node.
///
/// The message is on its way without it: dropping this changes nothing.
#[derive(Debug)]
pub struct Delivery(Arc<Slot<SendOutcome>>);

impl Delivery {
    pub(crate) const fn new(slot: Arc<Slot<SendOutcome>>) -> Self {
        Self(slot)
    }
}

impl Future for Delivery {
    type Output = SendOutcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SendOutcome> {
        self.0.poll_take(cx)
    }
}
