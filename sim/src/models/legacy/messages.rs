//! What a legacy node makes of a message, and which it sends.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{DIAL_TIMEOUT, End, Fault, Key, Legacy, MAX_KNOWN, Waiting, message_key, peer_key};
use crate::models::Flavour;
use crate::models::wire::{self, Value};
use crate::node::{Action, Delivery, Io, Note, PeerKey, Place, Refusal};

/// How old a broadcast may be, in seconds by its sender's clock.
const MAX_AGE: u64 = 60;

/// How many links a node dials because of what others tell it.
const MAX_DIALED: usize = 4;

/// A message, taken apart.
struct Message<'a> {
    number: u64,
    main: &'a Value,
    sender: &'a Value,
    payload: &'a [Value],
    id: [u8; 32],
}

impl Legacy {
    /// Packs a message of its own, and remembers it.
    pub(super) fn packed(
        &mut self,
        main: i128,
        payload: &[Value],
        io: &Io<'_>,
    ) -> (Vec<u8>, [u8; 32]) {
        let time = i128::from(io.wall().as_secs());
        let mut items = vec![Value::Int(main), self.own_id(), Value::Int(time)];
        items.extend_from_slice(payload);
        let mut packed = Vec::new();
        wire::pack(&Value::Array(items), self.flavour, &mut packed);
        let id = wire::id_of(&packed);
        self.seen.insert(seconds(io), id);
        (packed, id)
    }

    /// Sends a message of its own to one link, whatever its main type.
    pub(super) fn whisper(
        &mut self,
        number: u64,
        main: i128,
        payload: Vec<Value>,
        io: &mut Io<'_>,
    ) {
        let (packed, _) = self.packed(main, &payload, io);
        if main != 1
            && let Some(link) = self.links.get_mut(&number)
        {
            link.last_sent = payload;
        }
        self.transmit(number, &packed, io);
    }

    fn address(&self) -> Value {
        Value::Array(vec![
            Value::text(&self.advertised.to_string()),
            Value::Int(i128::from(self.port_of(self.advertised))),
        ])
    }

    /// Sends its handshake, uncompressed.
    pub(super) fn greet(&mut self, number: u64, io: &mut Io<'_>) {
        let Some(link) = self.links.get_mut(&number) else {
            return;
        };
        let methods = std::mem::take(&mut link.methods);
        let payload = vec![
            Value::Int(5),
            self.own_id(),
            self.spelled(&self.protocol),
            self.address(),
            Value::Array(self.methods.clone()),
        ];
        self.whisper(number, 2, payload, io);
        if let Some(link) = self.links.get_mut(&number) {
            link.methods = methods;
        }
    }

    /// Handles the body of a frame.
    pub(super) fn frame(&mut self, number: u64, body: &[u8], io: &mut Io<'_>) -> Result<(), Fault> {
        let Some(link) = self.links.get(&number) else {
            return Ok(());
        };
        if self.is_poisoned {
            return Err(Fault::Broken("its memory throws"));
        }
        let packed = wire::open(body, &link.methods, self.flavour).map_err(Fault::Broken)?;
        let value = wire::unpack(&packed, self.flavour).map_err(Fault::Broken)?;
        let items = match &value {
            Value::Array(items) => items,
            // Taken for a sequence of letters.
            Value::Text(_) => return Ok(()),
            Value::Nil
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Bin(_)
            | Value::Map(_)
            | Value::Ext(..) => return Err(Fault::Broken("it is no list")),
        };
        let (nil, nan) = (Value::Nil, Value::Float(f64::NAN));
        if self.flavour == Flavour::Py2p && items.len() < 3 {
            return Err(Fault::Short);
        }
        let message = Message {
            number,
            main: items.first().unwrap_or(&nil),
            sender: items.get(1).unwrap_or(&nil),
            payload: items.get(3..).unwrap_or_default(),
            id: wire::id_of(&packed),
        };
        let time = items.get(2).unwrap_or(&nan);
        if self.is(message.main, 0) {
            if !self.passes_on(&message, time, &packed, io)? {
                return Ok(());
            }
        } else if self.is(message.main, 1) && self.renegotiates(&message, io)? {
            return Ok(());
        }
        self.handle(&message, io)
    }

    /// Whether a value of a header is this number, as the package compares.
    fn is(&self, value: &Value, number: i8) -> bool {
        match value {
            Value::Int(n) => *n == i128::from(number),
            Value::Float(x) => *x == f64::from(number),
            Value::Bool(is) => self.flavour == Flavour::Py2p && i8::from(*is) == number,
            Value::Nil
            | Value::Text(_)
            | Value::Bin(_)
            | Value::Array(_)
            | Value::Map(_)
            | Value::Ext(..) => false,
        }
    }

    /// Whether a broadcast is fresh and new. If so it is remembered, and relayed to all but its sender.
    fn passes_on(
        &mut self,
        message: &Message<'_>,
        time: &Value,
        packed: &Bytes,
        io: &mut Io<'_>,
    ) -> Result<bool, Fault> {
        let time = self.time(time)?;
        let oldest = seconds(io) - as_float(MAX_AGE);
        if time < oldest || !self.seen.insert(time, message.id) {
            return Ok(false);
        }
        let targets: Vec<u64> = self
            .table
            .iter()
            .map(|(_, number)| *number)
            .filter(|number| !self.leads_to(*number, message.sender))
            .collect();
        if self.flavour == Flavour::Js2p && *message.sender == Value::Nil && !targets.is_empty() {
            return Err(Fault::Broken("it has no sender"));
        }
        for number in targets {
            self.transmit(number, packed, io);
        }
        if self.flavour == Flavour::Js2p && !time.is_nan() && time.fract() != 0.0 {
            self.is_poisoned = true;
            return Err(Fault::Broken("its memory throws"));
        }
        // What is just as old as it may be is forgotten at once, and comes back as new.
        self.seen.prune(oldest);
        Ok(true)
    }

    /// Whether a link leads to the sender of a message, by the id of the last handshake on it.
    fn leads_to(&self, number: u64, sender: &Value) -> bool {
        let Some(link) = self.links.get(&number) else {
            return false;
        };
        let told = link.known.as_ref();
        let id = match self.flavour {
            Flavour::Py2p => link.id.as_ref(),
            Flavour::Js2p => link.id.as_ref().or(told),
        };
        id.is_some_and(|id| id.is_sender(sender, self.flavour))
    }

    /// The time of a broadcast as a number, or not a number where JavaScript makes that of it.
    fn time(&self, time: &Value) -> Result<f64, Fault> {
        match (self.flavour, time) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "as JavaScript does; no clock is that late"
            )]
            (_, Value::Int(n)) => Ok(*n as f64),
            (_, Value::Float(x)) => Ok(*x),
            (_, Value::Bool(is)) => Ok(f64::from(u8::from(*is))),
            (Flavour::Py2p, _) => Err(Fault::Broken("a time that is no number")),
            (Flavour::Js2p, Value::Nil) => Ok(0.0),
            (Flavour::Js2p, _) => Ok(f64::NAN),
        }
    }

    /// Handles what only concerns the link. Returns false if it is something else.
    fn renegotiates(&mut self, message: &Message<'_>, io: &mut Io<'_>) -> Result<bool, Fault> {
        let Some(kind) = message.payload.first() else {
            return match self.flavour {
                Flavour::Py2p => Err(Fault::Short),
                Flavour::Js2p => Ok(true),
            };
        };
        let number = message.number;
        if self.is(kind, 9) {
            if self.flavour == Flavour::Js2p {
                return Err(Fault::Broken("it cannot send anything again"));
            }
            let last = self.links.get(&number).map(|link| link.last_sent.clone());
            let mut items = last.unwrap_or_default();
            if items.is_empty() {
                return Ok(true);
            }
            // The sub-flag stands where the main type should.
            items.insert(1, self.own_id());
            items.insert(2, Value::Int(i128::from(io.wall().as_secs())));
            let mut packed = Vec::new();
            wire::pack(&Value::Array(items), self.flavour, &mut packed);
            self.transmit(number, &packed, io);
            return Ok(true);
        }
        if !self.is(kind, 1) {
            return Ok(false);
        }
        let methods = match (self.flavour, message.payload.get(1)) {
            (_, Some(Value::Array(methods))) => methods.clone(),
            (Flavour::Py2p, None) => return Err(Fault::Short),
            _ => return Err(Fault::Broken("no list of methods")),
        };
        let Some(link) = self.links.get_mut(&number) else {
            return Ok(true);
        };
        let old = std::mem::replace(&mut link.methods, methods.clone());
        match self.flavour {
            Flavour::Py2p if old != methods => {
                let ours = self.methods.iter().filter(|ours| methods.contains(ours));
                let answer = Value::Array(ours.cloned().collect());
                self.whisper(number, 1, vec![Value::Int(1), answer], io);
            }
            Flavour::Js2p if old.iter().any(|method| !methods.contains(method)) => {
                return Err(Fault::Broken("it cannot do with fewer methods"));
            }
            Flavour::Py2p | Flavour::Js2p => {}
        }
        Ok(true)
    }

    fn handle(&mut self, message: &Message<'_>, io: &mut Io<'_>) -> Result<(), Fault> {
        let Some(kind) = message.payload.first() else {
            return match self.flavour {
                Flavour::Py2p => Err(Fault::Short),
                Flavour::Js2p => Ok(()),
            };
        };
        if self.is(kind, 5) {
            self.handshake(message, io)
        } else if self.is(kind, 7) {
            self.peers(message, io)
        } else if self.is(kind, 8) {
            self.request(message, io)
        } else if self.is(kind, 10) {
            self.response(message, io)
        } else {
            if self.is(kind, 0) || self.is(kind, 2) {
                self.deliver(message, io);
            }
            Ok(())
        }
    }

    fn deliver(&mut self, message: &Message<'_>, io: &mut Io<'_>) {
        let sender = message.sender.as_bytes().unwrap_or_default();
        let is_broadcast = self.is(message.main, 0);
        if self.known.len() < MAX_KNOWN {
            self.known.insert(peer_key(sender), sender.to_vec());
        }
        let payload = match message.payload.get(1) {
            Some(value) => match value.as_bytes() {
                Some(bytes) => Bytes::copy_from_slice(bytes),
                None => Bytes::from(format!("{value:?}")),
            },
            None => Bytes::new(),
        };
        let link = self.links.get(&message.number);
        io.act(Action::Deliver(Delivery {
            key: is_broadcast.then(|| message_key(&message.id)),
            sender: peer_key(sender),
            position: None,
            payload,
            from: link.and_then(|link| link.conn),
            is_private: !is_broadcast,
        }));
    }

    fn handshake(&mut self, message: &Message<'_>, io: &mut Io<'_>) -> Result<(), Fault> {
        let [_, id, protocol, address, methods] = message.payload else {
            return Ok(());
        };
        let is_ours = match (self.flavour, protocol) {
            (Flavour::Py2p, Value::Bin(protocol)) => protocol == self.protocol.as_bytes(),
            (Flavour::Py2p, _) => false,
            (Flavour::Js2p, Value::Nil) => return Err(Fault::Broken("no protocol")),
            (Flavour::Js2p, _) => protocol.as_bytes() == Some(self.protocol.as_bytes()),
        };
        if !is_ours {
            return Err(Fault::Mismatch);
        }
        let number = message.number;
        let link = self.links.get(&number);
        let is_awaited = link.is_some_and(|link| link.id.is_none() && link.known.is_none());
        if is_awaited && self.flavour == Flavour::Js2p {
            self.greet(number, io);
        }
        let methods = match (self.flavour, methods) {
            (_, Value::Array(methods)) => methods.clone(),
            (Flavour::Js2p, Value::Int(_)) => Vec::new(),
            _ => return Err(Fault::Broken("no list of methods")),
        };
        let key = self.key(id)?;
        let survives = match self.flavour {
            Flavour::Py2p => self.resolve(number, &key, io)?,
            Flavour::Js2p => true,
        };
        let Some(link) = self.links.get_mut(&number).filter(|_| survives) else {
            return Ok(());
        };
        let is_new = link.id.as_ref() != Some(&key);
        link.address = address.clone();
        if let Some(conn) = link.conn.filter(|_| is_new) {
            io.act(Action::Tell(Note::PeerUp(conn, peer_key(key.bytes()))));
        }
        link.id = Some(key.clone());
        link.methods = methods;
        match self.flavour {
            Flavour::Py2p => {
                self.table.set(key, number);
                self.send_peers(number, io);
            }
            // Who is new is not in the list that it gets, and gets one but once.
            Flavour::Js2p => {
                if is_awaited {
                    self.send_peers(number, io);
                }
                self.table.set(key, number);
            }
        }
        Ok(())
    }

    /// py2p's choice between two links to the same node. Returns whether the new one lives on.
    ///
    /// The link stays that the larger id dialled. But the table points to the new one afterwards, so that the old one is not
    /// read any more if it is the one to stay: then both end.
    fn resolve(&mut self, number: u64, key: &Key, io: &mut Io<'_>) -> Result<bool, Fault> {
        let Some(old) = self.table.get(key).filter(|old| *old != number) else {
            return Ok(true);
        };
        let theirs = wire::base58_number(key.bytes());
        let theirs = theirs.ok_or(Fault::Broken("an id that is no number"))?;
        let is_larger = wire::base58_number(self.id.as_bytes()) > Some(theirs);
        let is_dialed = self.links.get(&number).is_some_and(|link| link.is_dialed);
        let keeps_old = is_larger != is_dialed;
        // Neither leaves a dead entry behind.
        self.table.remove(key);
        self.end(old, End::Closed, "there are two", io);
        if keeps_old {
            self.end(number, End::Closed, "there were two", io);
        }
        Ok(!keeps_old)
    }

    /// Sends the list of the peers that have an address.
    fn send_peers(&mut self, number: u64, io: &mut Io<'_>) {
        let mut list: Vec<Value> = self
            .table
            .iter()
            .filter_map(|(key, number)| {
                let address = &self.links.get(number)?.address;
                let is_listed = match self.flavour {
                    Flavour::Py2p => *address != Value::Nil,
                    Flavour::Js2p => address
                        .as_array()
                        .is_some_and(|parts| parts.first() != Some(&Value::Nil)),
                };
                is_listed.then(|| Value::Array(vec![address.clone(), key.value()]))
            })
            .collect();
        if self.flavour == Flavour::Py2p {
            for at in (1..list.len()).rev() {
                let other = self.below(at + 1);
                list.swap(at, other);
            }
        }
        self.whisper(number, 2, vec![Value::Int(7), Value::Array(list)], io);
    }

    fn peers(&mut self, message: &Message<'_>, io: &mut Io<'_>) -> Result<(), Fault> {
        match (self.flavour, message.payload.get(1)) {
            (_, Some(Value::Array(list))) => {
                self.dial_peers(message.number, list.clone().into(), io)
            }
            (Flavour::Py2p, None) => Err(Fault::Short),
            _ => Err(Fault::Broken("no list of peers")),
        }
    }

    /// Dials the entries of a peers list, while there are not enough links. py2p waits for each.
    pub(super) fn dial_peers(
        &mut self,
        number: u64,
        mut entries: VecDeque<Value>,
        io: &mut Io<'_>,
    ) -> Result<(), Fault> {
        while let Some(entry) = entries.pop_front() {
            let items = entry.as_array().ok_or(Fault::Broken("an odd peer"))?;
            let (address, id) = match (self.flavour, items) {
                (_, [address, id]) | (Flavour::Js2p, [address, id, ..]) => (address, id),
                (Flavour::Js2p, [address]) => (address, &Value::Nil),
                _ => return Err(Fault::Broken("an odd peer")),
            };
            let Some((place, port)) = self.destination(address)? else {
                continue;
            };
            let is_own = *id == self.own_id() && self.flavour == Flavour::Js2p;
            let key = self.key(id)?;
            let is_known = self.flavour == Flavour::Py2p && self.table.get(&key).is_some();
            if self.dialed_count() >= MAX_DIALED || is_own || is_known {
                continue;
            }
            if self.skips(place.to_string().as_bytes(), port)? {
                continue;
            }
            // A port at which no node listens is a place where there is none.
            let is_there = port == self.port_of(place);
            let place = if is_there { place } else { Place(u32::MAX) };
            let dial = match self.flavour {
                Flavour::Py2p => self.next_number(),
                Flavour::Js2p => self.add_link(None, true, io.now()),
            };
            io.act(Action::Dial(dial, place));
            if self.flavour == Flavour::Py2p {
                self.waiting = Some(Waiting {
                    dial,
                    known: key,
                    until: io.now().saturating_add(DIAL_TIMEOUT),
                    link: number,
                    rest: entries,
                });
                return Ok(());
            }
            if let Some(link) = self.links.get_mut(&dial) {
                link.known = Some(key.clone());
            }
            self.table.set(key, dial);
            self.greet(dial, io);
        }
        Ok(())
    }

    /// Returns where an address of a peers list leads, if it can be dialled at all.
    fn destination(&self, address: &Value) -> Result<Option<(Place, u16)>, Fault> {
        let Some([host, port]) = address.as_array() else {
            return match (self.flavour, address) {
                (Flavour::Js2p, Value::Nil) => Err(Fault::Broken("no address")),
                _ => Ok(None),
            };
        };
        let (Some(host), Value::Int(port)) = (host.as_bytes(), port) else {
            return Ok(None);
        };
        let Ok(port) = u16::try_from(*port) else {
            return match self.flavour {
                Flavour::Py2p => Ok(None),
                Flavour::Js2p => Err(Fault::Broken("no port")),
            };
        };
        Ok(Some((place_of(host).unwrap_or(Place(u32::MAX)), port)))
    }

    /// How many links of the table were dialled.
    fn dialed_count(&self) -> usize {
        let links = self
            .table
            .iter()
            .filter_map(|(_, number)| self.links.get(number));
        links.filter(|link| link.is_dialed).count()
    }

    fn request(&mut self, message: &Message<'_>, io: &mut Io<'_>) -> Result<(), Fault> {
        let number = message.number;
        let name = match (self.flavour, message.payload.get(1)) {
            (Flavour::Py2p, None) => return Err(Fault::Short),
            (Flavour::Js2p, None | Some(Value::Nil)) => return Err(Fault::Broken("no request")),
            (_, Some(name)) => name.clone(),
        };
        // py2p does not understand what it sends.
        let is_for_all = match self.flavour {
            Flavour::Py2p => name == Value::Bin(b"*".to_vec()),
            Flavour::Js2p => name.as_bytes() == Some(b"*"),
        };
        if is_for_all {
            self.send_peers(number, io);
            return Ok(());
        }
        let wanted = match (self.flavour, message.payload.get(2)) {
            (Flavour::Py2p, None) => return Err(Fault::Short),
            (Flavour::Js2p, None) => return Ok(()),
            (_, Some(wanted)) => wanted.clone(),
        };
        let key = self.key(&wanted)?;
        let found = self.table.get(&key).and_then(|to| self.links.get(&to));
        if let Some(found) = found {
            let entry = Value::Array(vec![found.address.clone(), wanted]);
            self.whisper(number, 0, vec![Value::Int(10), name, entry], io);
        }
        Ok(())
    }

    /// js2p dials whom it searched for, and then throws: what it had to say is lost, and so is the link.
    fn response(&mut self, message: &Message<'_>, io: &mut Io<'_>) -> Result<(), Fault> {
        let [_, name, rest @ ..] = message.payload else {
            return match self.flavour {
                Flavour::Py2p => Err(Fault::Short),
                Flavour::Js2p => Ok(()),
            };
        };
        let name = name
            .as_bytes()
            .and_then(|name| std::str::from_utf8(name).ok());
        let Some(sent) = name.and_then(|name| self.requests.remove(name)) else {
            return Ok(());
        };
        let entries = rest.first().cloned().into_iter().collect();
        let dialed = self.dial_peers(message.number, entries, io);
        let why = "the package throws when it should be sent".to_owned();
        io.act(Action::Tell(Note::Outcome(sent, false, why)));
        dialed.and(Err(Fault::Broken("it throws when it should answer")))
    }

    /// Answers a node: directly if it is a peer.
    pub(super) fn reply(
        &mut self,
        peer: PeerKey,
        payload: &Bytes,
        sent: u64,
        io: &mut Io<'_>,
    ) -> Result<(), Refusal> {
        let direct = self.table.iter().find_map(|(key, number)| {
            let is_it = peer_key(key.bytes()) == peer && self.links.contains_key(number);
            is_it.then_some(*number)
        });
        if let Some(number) = direct {
            let fields = vec![Value::Int(2), Value::Bin(payload.to_vec())];
            self.whisper(number, 2, fields, io);
            let note = Note::Outcome(sent, true, "written to its link".to_owned());
            io.act(Action::Tell(note));
            return Ok(());
        }
        let known = self.known.get(&peer).cloned();
        let Some(id) = known.filter(|_| self.flavour == Flavour::Js2p) else {
            return Err(Refusal::Never(
                "the package throws for who is no peer".to_owned(),
            ));
        };
        let name = wire::request_id(&id, io.wall().as_secs());
        let fields = vec![Value::Int(8), Value::text(&name), Value::Text(id)];
        self.requests.insert(name, sent);
        for number in self.table_links() {
            self.whisper(number, 0, fields.clone(), io);
        }
        Ok(())
    }
}

/// The time since 1970 in whole seconds, as the package's numbers are.
fn seconds(io: &Io<'_>) -> f64 {
    as_float(io.wall().as_secs())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a time in seconds has fewer than 53 bits"
)]
const fn as_float(seconds: u64) -> f64 {
    seconds as f64
}

/// Returns the place of a host, if it is one.
fn place_of(host: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(host).ok()?;
    let mut parts = text.split('.').map(str::parse::<u8>);
    let mut next = || parts.next()?.ok();
    let (ten, a, b, c) = (next()?, next()?, next()?, next()?);
    let host = u32::from_be_bytes([0, a, b, c]);
    (ten == 10).then(|| host.checked_sub(1).map(Place))?
}
