//! The ids of those whose messages came lately, so that they need not be made anew for each.

use crate::id::NodeId;

/// A few of them: with many senders at a time most ids are made anew, which is as it would be without.
const PLACES: usize = 16;

/// A table with one place for each of a few ids that collide.
#[derive(Clone, Debug, Default)]
pub(crate) struct Senders {
    /// Empty until the first message comes: most nodes of a simulated network are silent.
    places: Vec<Option<NodeId>>,
}

impl Senders {
    /// Returns the id with this text, if it is one.
    pub(crate) fn id(&mut self, text: &str) -> Option<NodeId> {
        if self.places.is_empty() {
            self.places = vec![None; PLACES];
        }
        let place = &mut self.places[place(text)];
        if let Some(known) = place.as_ref().filter(|known| known.as_str() == text) {
            return Some(known.clone());
        }
        let id = NodeId::new(text).ok()?;
        *place = Some(id.clone());
        Some(id)
    }

    /// Returns about how many bytes all this takes.
    pub(crate) fn memory(&self) -> usize {
        let texts = self.places.iter().flatten().map(|id| id.as_str().len());
        self.places.len() * size_of::<Option<NodeId>>() + texts.sum::<usize>()
    }
}

/// Ids of real nodes are hashes, so that any bytes of them will do. The last ones differ in others as well.
fn place(text: &str) -> usize {
    let bytes = text.bytes().rev().take(8);
    bytes.fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31) + usize::from(byte)
    }) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_that_of_its_text_whoever_was_there_before() {
        let mut senders = Senders::default();
        for round in 0..3 {
            for n in 0..100 {
                let text = format!("node {n}");
                let id = senders.id(&text).unwrap();
                assert_eq!(id.as_str(), text);
                let again = senders.id(&text).unwrap();
                let is_shared = std::ptr::eq(id.as_str(), again.as_str());
                assert!(is_shared, "{text} in round {round}");
            }
        }
        assert_eq!(senders.id(""), None);
        assert_eq!(senders.id(&"x".repeat(NodeId::MAX_LEN + 1)), None);
        assert_eq!(senders.places.len(), PLACES);
    }
}
