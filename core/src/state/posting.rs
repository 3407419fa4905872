//! Messages to one node, at their sender: by which way each goes, when it goes again, and what is told of it.

use super::MeshState;
use crate::encode::Encoder;
use crate::error::{ConnectError, SendError};
use crate::id::{IdForm, NodeId};
use crate::output::{LinkId, SendId, SendOutcome};
use crate::post::{MAX_POSTS, Post};
use crate::search::{HEAD_START, Search};
use crate::time::Instant;
use crate::timers::Timer;
use crate::wire::control::sub_flag;
use crate::wire::letter::{Content, Letter, LetterName, MAX_HOPS, Obstacle, Receipt, Seek};
use crate::wire::message::{MainType, Packed};
use crate::wire::payload::{Payload, SubFlag};

/// How long after a link on the way was full it is tried again, and after a way was lost.
const SHORTLY: std::time::Duration = std::time::Duration::from_millis(500);

impl MeshState {
    pub(super) fn send_privately(
        &mut self,
        node: &NodeId,
        form: Option<IdForm>,
        sub_flag: SubFlag,
        payload: Payload,
        now: Instant,
    ) -> Result<SendId, SendError> {
        if *node == self.id {
            return Err(SendError::Ourselves);
        }
        let neighbour = sabotaged!(self.config, Sabotage::ReplyMisrouted
            => self.peers.values().next(), else self.peers.get(node));
        let neighbour = neighbour.and_then(|link| self.links.get(link));
        if let Some(link) = neighbour.filter(|link| !link.carries_letters) {
            let link = link.id;
            return self.whisper_on_link(link, sub_flag, payload, now);
        }
        let is_near = neighbour.is_some();
        self.check_own(&sub_flag, &payload)?;
        self.check_room()?;
        let limit = self.config.max_searches;
        let is_lost = |post: &Post| post.sent_on.is_none();
        if !is_near && self.posts.those(is_lost).len() >= limit {
            return Err(SendError::TooManySearches { limit });
        }
        let packed = self.compose_own(
            MainType::Whisper,
            &sub_flag,
            &payload,
            sub_flag::WHISPER,
            None,
            now,
        )?;
        let len = packed.bytes().len();
        if !self.has_room_for_post(len) {
            self.awaited = Some(super::Room::Posts(len));
            return Err(SendError::Full);
        }
        let send = SendId(self.number());
        let chance = &mut self.chance;
        let name = self.posts.next_name(node, || chance.u64());
        let post = Post {
            node: node.clone(),
            form,
            packed,
            name,
            deadline: now.saturating_add(self.config.send_timeout),
            retry: None,
            tries: 0,
            sent_on: None,
            at_large: 0,
            gateway: None,
            is_too_long: false,
        };
        self.posts.add(send, post);
        self.post(send, now);
        self.settle(now);
        Ok(send)
    }

    /// Returns whether a message to one node may be taken on, beside those that are on their way.
    pub(super) fn has_room_for_post(&self, len: usize) -> bool {
        let count = self.posts.count();
        let bytes = self.posts.bytes().saturating_add(len);
        count == 0 || (count < MAX_POSTS && bytes <= self.config.max_posts_len)
    }

    /// Sends a message by the best way there is, or begins to look for one.
    fn post(&mut self, send: SendId, now: Instant) {
        let Some(post) = self.posts.get(send) else {
            return;
        };
        let (target, node) = (post.target().clone(), post.node.clone());
        let neighbour = self.peers.get(&node).and_then(|link| self.links.get(link));
        if let Some(link) = neighbour.filter(|link| !link.carries_letters) {
            let link = link.id;
            let may_have_come = post.gateway.is_some() && post.at_large > 0;
            if may_have_come {
                // It would come twice. So it is for its gateway to say what became of it.
                if let Some(post) = self.posts.get_mut(send) {
                    post.retry = None;
                }
            } else if let Some(post) = self.posts.take(send, false) {
                self.whisper_on(link, &post.packed, send, now);
            }
        } else if let Some(link) = self.way_to(&target) {
            self.send_post(send, link, now);
        } else {
            self.seek(&target, now);
        }
        self.watch_posts();
    }

    /// Sends a message as a letter on a link, if there is room.
    fn send_post(&mut self, send: SendId, link: LinkId, now: Instant) {
        let own = self.id.clone();
        let has_room = self
            .links
            .get(&link)
            .is_some_and(|link| link.outbox.has_room());
        let Some(post) = self.posts.get_mut(send) else {
            return;
        };
        if !has_room {
            post.retry = Some(now.saturating_add(SHORTLY));
            return;
        }
        let letter = Letter {
            to: post.target().clone(),
            from: own,
            hops: MAX_HOPS,
            content: Content::Message {
                name: post.name,
                whom: post.node.clone(),
                packed: post.packed.bytes().clone(),
            },
        };
        reached!(self, Mark::PostRetried if post.sent_on.is_some());
        post.retry = Some(now.saturating_add(post.patience()));
        post.tries = post.tries.saturating_add(1);
        post.sent_on = Some(link);
        post.at_large = post.at_large.saturating_add(1);
        if self.send_letter(link, &letter, now) == Err(Obstacle::TooLong)
            && let Some(post) = self.posts.get_mut(send)
        {
            post.is_too_long = true;
            post.sent_on = None;
            post.at_large -= 1;
        }
    }

    /// Looks for a way to a node, unless that is done already.
    fn seek(&mut self, node: &NodeId, now: Instant) {
        for send in self.posts.those(|post| post.target() == node) {
            if let Some(post) = self.posts.get_mut(send) {
                post.retry = None;
            }
        }
        if self.searches.contains(node) {
            return;
        }
        let form = self.posts.those(|post| post.node == *node);
        let form = form.first().and_then(|send| self.posts.get(*send)?.form);
        let search = Search {
            request: self.request_id(),
            form,
            deadline: now.saturating_add(self.config.search_timeout),
            ask: Some(now.saturating_add(HEAD_START)),
            seek: now,
            sought: 0,
            found: false,
            error: None,
        };
        self.searches.begin(node.clone(), search);
        self.search_on(node, now);
    }

    /// Asks for a node whom it is time to ask: native nodes now and then, all of them by the protocol's request once.
    fn search_on(&mut self, node: &NodeId, now: Instant) {
        let carriers = self.carriers();
        let Some(search) = self.searches.get_mut(node) else {
            return;
        };
        let asks = carriers.is_empty() || search.ask.is_some_and(|ask| ask <= now);
        let request = asks
            .then(|| search.ask.take())
            .flatten()
            .map(|_| (search.request.clone(), search.form));
        let seeks = search.seek <= now;
        if seeks {
            search.note_sought(now);
        }
        if seeks && !carriers.is_empty() {
            let seek = Seek {
                wanted: node.clone(),
                seeker: self.id.clone(),
                nonce: self.chance.u64(),
                hops: MAX_HOPS,
            };
            self.seen.insert(seek_key(&seek), self.config.seen_ttl, now);
            for link in carriers {
                self.send_control(link, &seek.encode(), now);
            }
        }
        if let Some((request, form)) = request {
            self.ask_for_node(node, &request, form, now);
        }
    }

    /// Asks again for the nodes that nobody has found, since there is a new peer to ask.
    pub(super) fn search_again(&mut self, now: Instant) {
        for node in self.searches.unanswered() {
            if let Some(search) = self.searches.get_mut(&node) {
                search.seek = now;
                search.sought = 0;
                search.ask = Some(search.ask.map_or(now, |ask| ask.max(now)));
            }
            self.search_on(&node, now);
        }
        self.watch_posts();
    }

    /// Sends the requests of a search. A node is found only by the form in which it spells its id;
    /// where that is not known, both are asked for.
    fn ask_for_node(
        &mut self,
        wanted: &NodeId,
        request: &bytes::Bytes,
        form: Option<IdForm>,
        now: Instant,
    ) {
        for wanted_form in [IdForm::Str, IdForm::Bin] {
            if form.is_none_or(|form| form == wanted_form) {
                let message = crate::wire::control::RequestNode {
                    request_id: request.clone(),
                    wanted: wanted.clone(),
                    wanted_form,
                };
                self.broadcast_control(&message.encode(), now);
            }
        }
    }

    /// A way to a node was found: to itself, or to a native neighbour of it.
    pub(super) fn on_found(&mut self, wanted: &NodeId, by: &NodeId, now: Instant) {
        if self.searches.end(wanted).is_none() {
            return;
        }
        for send in self.posts.those(|post| post.target() == wanted) {
            let is_for = |post: &Post| post.node == *wanted;
            if by != wanted && self.posts.get(send).is_some_and(is_for) {
                let chance = &mut self.chance;
                let name = self.posts.next_name(by, || chance.u64());
                if let Some(post) = self.posts.get_mut(send) {
                    post.gateway = Some(by.clone());
                    post.name = name;
                }
            }
            self.post(send, now);
        }
        self.watch_posts();
    }

    /// A link to a node was established: sends what waits for that.
    pub(super) fn post_what_waits(&mut self, peer: &NodeId, now: Instant) {
        self.searches.end(peer);
        for send in self
            .posts
            .those(|post| post.target() == peer || post.node == *peer)
        {
            self.post(send, now);
        }
        self.watch_posts();
    }

    /// A link ended: what was sent on it and is not acknowledged goes another way.
    pub(super) fn post_by_another_link(&mut self, gone: LinkId, now: Instant) {
        if sabotaged!(self.config, Sabotage::PostNotRetried) {
            return;
        }
        for send in self.posts.those(|post| post.sent_on == Some(gone)) {
            self.post(send, now);
        }
    }

    /// The dial of an address that a response named did not lead to its node.
    pub(super) fn dial_led_nowhere(&mut self, node: &NodeId, error: &ConnectError) {
        let is_last_hope = self.carriers().is_empty();
        if is_last_hope {
            self.searches.end(node);
            for send in self
                .posts
                .those(|post| post.node == *node && post.at_large == 0)
            {
                self.posts.take(send, false);
                self.tell_outcome(send, SendOutcome::Unreachable(error.clone()));
            }
        } else if let Some(search) = self.searches.get_mut(node) {
            // Native nodes may still find a way.
            search.found = false;
            search.error = Some(error.clone());
        }
    }

    /// Does what is due: sends again, looks further, gives up.
    pub(super) fn tend_posts(&mut self, now: Instant) {
        for node in self.searches.due(now) {
            let is_over = self
                .searches
                .get_mut(&node)
                .is_some_and(|search| search.deadline <= now);
            if is_over {
                self.end_search(&node, now);
            } else {
                self.search_on(&node, now);
            }
        }
        for send in self.posts.due(now) {
            let Some(post) = self.posts.get_mut(send) else {
                continue;
            };
            if post.deadline <= now {
                self.give_post_up(send, None);
            } else if sabotaged!(self.config, Sabotage::PostNotRetried) {
                post.retry = None;
            } else {
                // No receipt in time: the way may be none any more.
                let (target, way) = (post.target().clone(), post.sent_on);
                if let Some(way) = way.filter(|_| post.tries > 0) {
                    self.ways.forget(&target, way);
                }
                self.post(send, now);
            }
        }
        self.watch_posts();
    }

    /// A search was of no avail.
    fn end_search(&mut self, node: &NodeId, now: Instant) {
        reached!(self, Mark::SearchTimedOut);
        let error = self.searches.end(node).and_then(|search| search.error);
        for send in self.posts.those(|post| post.target() == node) {
            let Some(post) = self.posts.get_mut(send) else {
                continue;
            };
            if post.at_large == 0 {
                self.give_post_up(send, error.clone());
            } else {
                post.retry = Some(now.saturating_add(SHORTLY));
            }
        }
    }

    fn give_post_up(&mut self, send: SendId, error: Option<ConnectError>) {
        let Some(post) = self.posts.take(send, false) else {
            return;
        };
        let outcome = if post.at_large > 0 {
            SendOutcome::Unacknowledged
        } else if post.is_too_long {
            SendOutcome::TooLong
        } else {
            error.map_or(SendOutcome::NotFound, SendOutcome::Unreachable)
        };
        self.tell_outcome(send, outcome);
        let node = post.target();
        if self.posts.those(|other| other.target() == node).is_empty() {
            self.searches.end(node);
        }
    }

    /// The receiver of a letter says what it did with the message.
    pub(super) fn on_receipt(&mut self, from: &NodeId, name: LetterName, receipt: Receipt) {
        let Some(send) = self.find_post(from, name) else {
            return;
        };
        let outcome = match receipt {
            Receipt::Taken => SendOutcome::Delivered,
            Receipt::HandedOver => SendOutcome::HandedOver { by: from.clone() },
            Receipt::Refused => SendOutcome::Refused,
        };
        self.posts.take(send, receipt != Receipt::Refused);
        self.tell_outcome(send, outcome);
        self.watch_posts();
    }

    /// A letter of ours got no further.
    pub(super) fn on_no_way(
        &mut self,
        from: &NodeId,
        name: LetterName,
        why: Obstacle,
        now: Instant,
    ) {
        let Some(send) = self.posts.find(name) else {
            return;
        };
        let Some(post) = self.posts.get_mut(send) else {
            return;
        };
        if why == Obstacle::TooLong && post.at_large <= 1 {
            self.posts.take(send, false);
            self.tell_outcome(send, SendOutcome::TooLong);
            return self.watch_posts();
        }
        post.at_large = post.at_large.saturating_sub(1);
        if post.gateway.as_ref() == Some(from) && post.at_large == 0 {
            // It has lost its neighbour before it could hand the message over; so another one may.
            post.gateway = None;
            post.sent_on = None;
            self.posts.begin_anew(from);
        }
        let Some(post) = self.posts.get_mut(send) else {
            return;
        };
        post.retry = Some(now.saturating_add(SHORTLY));
        if why == Obstacle::NoLink {
            let (target, way) = (post.target().clone(), post.sent_on);
            if let Some(way) = way {
                self.ways.forget(&target, way);
            }
        }
        self.watch_posts();
    }

    /// Returns the message of this name, if it is that node which is to acknowledge it.
    fn find_post(&self, target: &NodeId, name: LetterName) -> Option<SendId> {
        let send = self.posts.find(name)?;
        let post = self.posts.get(send)?;
        (post.target() == target).then_some(send)
    }

    /// Ends all, since the node is shut down.
    pub(super) fn end_posts(&mut self) {
        self.searches.clear();
        for send in self.posts.those(|_| true) {
            let post = self.posts.take(send, false);
            let was_sent = post.is_some_and(|post| post.at_large > 0);
            let outcome = if was_sent {
                SendOutcome::Unacknowledged
            } else {
                SendOutcome::ShutDown
            };
            self.tell_outcome(send, outcome);
        }
        self.watch_posts();
    }

    /// Sends a message to one peer that does not acknowledge.
    pub(super) fn whisper_on(&mut self, id: LinkId, packed: &Packed, send: SendId, now: Instant) {
        let mut encoder = Encoder::new(packed.id(), packed.bytes().clone());
        self.send_encoded(id, &mut encoder, Some(send), now);
    }

    /// Sets the timer for what is due next.
    pub(super) fn watch_posts(&mut self) {
        let next = [self.searches.deadline(), self.posts.deadline()];
        match next.into_iter().flatten().min() {
            Some(next) => self.timers.set(Timer::Search, next),
            None => self.timers.cancel(Timer::Search),
        }
    }
}

/// Returns what a search is remembered by, among the ids of messages.
pub(super) fn seek_key(seek: &Seek) -> crate::MessageId {
    let text = [b"seek ", seek.seeker.as_str().as_bytes()].concat();
    crate::MessageId::of(&[&text[..], &seek.nonce.to_be_bytes()].concat())
}
