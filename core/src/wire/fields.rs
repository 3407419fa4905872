//! Reading and writing the parts that the protocol's own messages are made of.

use super::fault::ControlFault;
use super::message::{Packed, put_text, read_id, read_text};
use super::msgpack::{self, Cursor, Head};
use crate::address::Address;
use crate::id::{IdForm, NodeId};

/// How many compression methods of a list are kept. The protocol has names for 17; the rest says nothing to us.
const MAX_METHODS: usize = 64;

/// The packets of a message, read in turn, and what to say when one is not what it should be.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    message: &'static str,
    packets: u32,
    left: u32,
    cursor: Cursor<'a>,
}

impl<'a> Fields<'a> {
    /// Begins with the first packet of a message, whose name is for faults.
    pub(crate) fn of(name: &'static str, message: &'a Packed) -> Self {
        Self::new(name, message.packet_bytes(), message.packet_count())
    }

    /// Begins with the first of `packets` values.
    pub(crate) const fn new(name: &'static str, bytes: &'a [u8], packets: u32) -> Self {
        Self {
            message: name,
            packets,
            left: packets,
            cursor: Cursor::new(bytes),
        }
    }

    /// Returns how many packets were not read, and where they begin.
    pub(crate) const fn rest(&self) -> (u32, usize) {
        (self.left, self.cursor.position())
    }

    /// The fault of having the wrong number of packets.
    pub(crate) const fn wrong_shape(&self) -> ControlFault {
        ControlFault::Shape {
            message: self.message,
            packets: self.packets,
        }
    }

    /// The fault of a packet that breaks the rule.
    pub(crate) const fn breaks(&self, rule: &'static str) -> ControlFault {
        ControlFault::Field {
            message: self.message,
            rule,
        }
    }

    /// Reads a packet of any kind.
    pub(crate) fn raw(&mut self, rule: &'static str) -> Result<&'a [u8], ControlFault> {
        if self.left == 0 {
            return Err(self.breaks(rule));
        }
        self.left -= 1;
        let value = self.cursor.value();
        value.map_err(|_scanned| self.breaks(rule))
    }

    /// Reads a node's id, str or bin.
    pub(crate) fn id(&mut self, rule: &'static str) -> Result<(NodeId, IdForm), ControlFault> {
        let value = self.raw(rule)?;
        id(value).ok_or_else(|| self.breaks(rule))
    }

    /// Reads a text, str or bin.
    pub(crate) fn text(&mut self, rule: &'static str) -> Result<(&'a str, IdForm), ControlFault> {
        let value = self.raw(rule)?;
        text(value).ok_or_else(|| self.breaks(rule))
    }

    /// Reads an integer that is not negative.
    pub(crate) fn number(&mut self, rule: &'static str) -> Result<u64, ControlFault> {
        let value = self.raw(rule)?;
        number(value).ok_or_else(|| self.breaks(rule))
    }

    /// Reads the bytes of a bin.
    pub(crate) fn bytes(&mut self, rule: &'static str) -> Result<&'a [u8], ControlFault> {
        let value = self.raw(rule)?;
        bytes(value).ok_or_else(|| self.breaks(rule))
    }

    /// Begins with the first element of an array.
    pub(crate) fn list(&mut self, rule: &'static str) -> Result<Self, ControlFault> {
        let value = self.raw(rule)?;
        let mut cursor = Cursor::new(value);
        let Ok(Head::Array(len)) = cursor.head() else {
            return Err(self.breaks(rule));
        };
        Ok(Self::new(self.message, &value[cursor.position()..], len))
    }

    /// Reads an array: `read` gets its elements, in turn. Those that it leaves are passed over.
    pub(crate) fn in_list<T>(
        &mut self,
        rule: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, ControlFault>,
    ) -> Result<T, ControlFault> {
        if self.left == 0 {
            return Err(self.breaks(rule));
        }
        self.left -= 1;
        let Ok(Head::Array(len)) = self.cursor.head() else {
            return Err(self.breaks(rule));
        };
        // In place: to look for the end first would be to read all of it once for each array that it is in.
        let mut elements = Self {
            message: self.message,
            packets: len,
            left: len,
            cursor: self.cursor.clone(),
        };
        let read = read(&mut elements)?;
        while elements.left > 0 {
            elements.raw(rule)?;
        }
        self.cursor = elements.cursor;
        Ok(read)
    }

    /// Reads a list of compression methods, of which those that are no numbers are left out.
    pub(crate) fn methods(&mut self) -> Result<Vec<u64>, ControlFault> {
        let rule = "methods must be a list";
        let list = elements(self.raw(rule)?).ok_or_else(|| self.breaks(rule))?;
        Ok(list.filter_map(number).take(MAX_METHODS).collect())
    }
}

fn id(value: &[u8]) -> Option<(NodeId, IdForm)> {
    read_id(&mut Cursor::new(value)).ok()?
}

/// Returns the text that a value is, str or bin.
pub(crate) fn text(value: &[u8]) -> Option<(&str, IdForm)> {
    read_text(&mut Cursor::new(value)).ok()?
}

fn number(value: &[u8]) -> Option<u64> {
    if let Head::Int(number) = Cursor::new(value).head().ok()? {
        number.as_u64()
    } else {
        None
    }
}

fn bytes(value: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(value);
    if let Head::Bin(len) = cursor.head().ok()? {
        cursor.content(len).ok()
    } else {
        None
    }
}

pub(crate) fn is_nil(value: &[u8]) -> bool {
    Cursor::new(value).head() == Ok(Head::Nil)
}

/// Returns the elements of the array that a value is, each in msgpack.
pub(crate) fn elements(value: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut cursor = Cursor::new(value);
    let Head::Array(len) = cursor.head().ok()? else {
        return None;
    };
    Some((0..len).map_while(move |_| cursor.value().ok()))
}

fn pair(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut elements = elements(value)?;
    let pair = (elements.next()?, elements.next()?);
    elements.next().is_none().then_some(pair)
}

/// What stands in the place of an address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    At(Address, IdForm),
    /// `nil`, `[nil, nil]`, or a host or port that nobody can dial.
    Nowhere,
    Malformed,
}

impl Place {
    pub(crate) fn read(value: &[u8]) -> Self {
        if is_nil(value) {
            return Self::Nowhere;
        }
        let Some((host, port)) = pair(value) else {
            return Self::Malformed;
        };
        if is_nil(host) && is_nil(port) {
            return Self::Nowhere;
        }
        let (Some((host, form)), Some(port)) = (text(host), number(port)) else {
            return Self::Malformed;
        };
        // py2p lists what its neighbours say of themselves, so what cannot be is no fault of the
        // one who tells it.
        let address = u16::try_from(port).ok().filter(|port| *port > 0);
        match address.map(|port| Address::new(host, port)) {
            Some(Ok(address)) => Self::At(address, form),
            Some(Err(_)) | None => Self::Nowhere,
        }
    }
}

/// Writes an address as `[host, port]`.
pub(crate) fn put_address(out: &mut Vec<u8>, address: &Address) {
    put_array_head(out, 2);
    put_text(out, address.host(), IdForm::Str);
    msgpack::put_int(out, address.port().into());
}

/// A node that can be dialled, as messages name it: `[[host, port], id]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerEntry {
    pub(crate) address: Address,
    pub(crate) id: NodeId,
    /// As the node itself spells its id. Legacy nodes take the other form for another node.
    pub(crate) id_form: IdForm,
}

impl PeerEntry {
    /// Reads an entry. `None` when it is malformed, `Some(None)` when it names a node that cannot be dialled.
    pub(crate) fn read(value: &[u8]) -> Option<Option<Self>> {
        let (place, name) = pair(value)?;
        let address = match Place::read(place) {
            Place::At(address, _) => address,
            Place::Nowhere => return Some(None),
            Place::Malformed => return None,
        };
        let (id, id_form) = id(name)?;
        Some(Some(Self {
            address,
            id,
            id_form,
        }))
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_array_head(out, 2);
        put_address(out, &self.address);
        put_text(out, self.id.as_str(), self.id_form);
    }
}

/// Writes compression methods as a list.
pub(crate) fn put_methods(out: &mut Vec<u8>, methods: &[u8]) {
    put_array_head(out, methods.len());
    for method in methods {
        msgpack::put_int(out, (*method).into());
    }
}

/// Writes the start of a list that we made ourselves.
pub(crate) fn put_array_head(out: &mut Vec<u8>, len: usize) {
    msgpack::put_array_head(out, len).expect("our own lists are short");
}
