//! Events, for everyone who wants to know.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use futures_lite::Stream;
use rs2p_core::Event;

use crate::error::Lagged;
use crate::wait::{Wakes, lock};

/// How many events wait for one subscriber before further ones are only counted.
pub(crate) const EVENT_LIMIT: usize = 1024;

/// A subscriber's own queue of events; see [`MeshSocket::events`](crate::MeshSocket::events).
///
/// Holds up to 1,024 events. When it is full, further ones are counted, and at their place the stream says how many
/// are missing. Ends when the socket is closed. Does not hold the socket open.
pub struct Events(Arc<Mutex<Subscription>>);

#[derive(Debug, Default)]
pub(crate) struct Subscription {
    entries: VecDeque<Result<Event, Lagged>>,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Subscription {
    pub(crate) fn push(&mut self, event: Event, wakes: &mut Wakes) {
        if self.entries.len() < EVENT_LIMIT {
            self.entries.push_back(Ok(event));
        } else if let Some(Err(lagged)) = self.entries.back_mut() {
            lagged.missed += 1;
        } else {
            self.entries.push_back(Err(Lagged {
                missed: 1,
                ..Lagged::default()
            }));
        }
        self.wake(wakes);
    }

    fn close(&mut self, wakes: &mut Wakes) {
        self.is_closed = true;
        self.wake(wakes);
    }

    fn wake(&mut self, wakes: &mut Wakes) {
        if let Some(waker) = self.waker.take() {
            wakes.add(waker);
        }
    }
}

/// The subscribers that are still there.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    list: Vec<Weak<Mutex<Subscription>>>,
    is_closed: bool,
}

impl Subscribers {
    pub(crate) fn subscribe(&mut self) -> Events {
        let subscription = Subscription {
            is_closed: self.is_closed,
            ..Subscription::default()
        };
        let events = Events(Arc::new(Mutex::new(subscription)));
        if !self.is_closed {
            self.list.push(Arc::downgrade(&events.0));
        }
        events
    }

    pub(crate) fn push(&mut self, event: &Event, wakes: &mut Wakes) {
        self.each(|subscription| subscription.push(event.clone(), wakes));
    }

    pub(crate) fn close(&mut self, wakes: &mut Wakes) {
        self.is_closed = true;
        self.each(|subscription| subscription.close(wakes));
        self.list.clear();
    }

    fn each(&mut self, mut act: impl FnMut(&mut Subscription)) {
        self.list.retain(|weak| {
            let subscription = weak.upgrade();
            if let Some(subscription) = &subscription {
                act(&mut lock(subscription));
            }
            subscription.is_some()
        });
    }
}

impl Stream for Events {
    type Item = Result<Event, Lagged>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut subscription = lock(&self.0);
        if let Some(entry) = subscription.entries.pop_front() {
            return Poll::Ready(Some(entry));
        }
        if subscription.is_closed {
            return Poll::Ready(None);
        }
        subscription.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = lock(&self.0).entries.len();
        f.debug_struct("Events")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::StreamExt as _;
    use futures_lite::future::block_on;

    #[test]
    fn a_subscriber_that_lags_is_told_where_and_by_how_much() {
        let mut subscribers = Subscribers::default();
        let mut events = subscribers.subscribe();
        let mut wakes = Wakes::default();
        for _ in 0..EVENT_LIMIT + 3 {
            subscribers.push(&Event::Joined, &mut wakes);
        }
        for n in 0..EVENT_LIMIT {
            assert_eq!(block_on(events.next()), Some(Ok(Event::Joined)), "{n}");
        }
        subscribers.push(&Event::Isolated, &mut wakes);
        subscribers.close(&mut wakes);
        let rest: Vec<_> = block_on(events.collect());
        let lagged = Lagged {
            missed: 3,
            ..Lagged::default()
        };
        assert_eq!(rest, [Err(lagged), Ok(Event::Isolated)]);
    }

    #[test]
    fn a_subscriber_that_left_is_forgotten() {
        let mut subscribers = Subscribers::default();
        let stays = subscribers.subscribe();
        drop(subscribers.subscribe());
        subscribers.push(&Event::Joined, &mut Wakes::default());
        assert_eq!(subscribers.list.len(), 1);
        drop(stays);
    }
}
