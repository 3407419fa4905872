//! Who lives, and who remembers what.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::bits::Bits;
use crate::chance::mix;
use crate::facts::{ConnNumber, Life};
use crate::node::PeerKey;
use crate::scenario::Kind;
use crate::time::Time;

/// A map from keys that are numbers. Only ever asked, never walked through.
pub(super) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Spreads a number, or a few, over 64 bits: the same on every machine, and cheap.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ number);
    }
}

/// The place of a life in [`Lives`].
pub(super) type LifeIndex = u32;

/// The place of a reader in [`Lives`].
pub(super) type ReaderIndex = u32;

/// A life, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct LifeState {
    pub(super) life: Life,
    pub(super) reader: ReaderIndex,
    pub(super) kind: Kind,
    pub(super) is_hostile: bool,
    pub(super) identity: Option<PeerKey>,
    pub(super) died: Option<Time>,
    pub(super) is_paused: bool,
    /// Its connections.
    pub(super) conns: Vec<ConnNumber>,
}

impl LifeState {
    /// Returns whether the promises of rs2p are its to keep.
    pub(super) fn is_mesh(&self) -> bool {
        self.kind == Kind::Mesh && !self.is_hostile
    }

    pub(super) const fn is_awake(&self) -> bool {
        self.died.is_none() && !self.is_paused
    }
}

/// A memory: a life and those that were restored from it. What one of them delivered is delivered for all.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) node: u32,
    /// When the first of its lives began.
    pub(super) born: Time,
    /// When the last of its lives began.
    pub(super) came_back: Time,
    /// Its last life.
    pub(super) life: LifeIndex,
    /// What its last life delivered, if that was restored from another.
    pub(super) resumed: Option<Bits>,
}

/// All lives and readers, in order of birth.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    lives: Vec<LifeState>,
    readers: Vec<Reader>,
    by_node: Vec<Vec<LifeIndex>>,
    /// Who shows an identity and means no harm.
    honest: NumberMap<u64, LifeIndex>,
    pub(super) has_hostile: bool,
}

/// Returns the place that comes next in a list.
pub(super) fn next_place<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).expect("memory ends before the numbers do")
}

impl Lives {
    /// Begins a life. One with its memory goes on as the reader that the life was whose memory it is: the last honest one that
    /// showed the same identity. Returns its reader.
    pub(super) fn begin(
        &mut self,
        at: Time,
        mut state: LifeState,
        is_restored: bool,
    ) -> ReaderIndex {
        let index = next_place(&self.lives);
        let node = state.life.node;
        let same = state
            .identity
            .and_then(|it| self.honest.get(&it.0))
            .copied();
        let earlier = is_restored
            .then(|| same.or_else(|| self.last_honest(node)))
            .flatten();
        if let Some(earlier) = earlier {
            state.reader = self.life(earlier).reader;
            let reader = &mut self.readers[state.reader as usize];
            reader.life = index;
            reader.resumed = Some(Bits::default());
            reader.came_back = at;
        } else {
            state.reader = next_place(&self.readers);
            self.readers.push(Reader {
                node,
                born: at,
                came_back: at,
                life: index,
                resumed: None,
            });
        }
        self.has_hostile |= state.is_hostile;
        if let (Some(identity), false) = (state.identity, state.is_hostile) {
            self.honest.insert(identity.0, index);
        }
        if self.by_node.len() <= node as usize {
            self.by_node.resize_with(node as usize + 1, Vec::new);
        }
        self.by_node[node as usize].push(index);
        let reader = state.reader;
        self.lives.push(state);
        reader
    }

    fn last_honest(&self, node: u32) -> Option<LifeIndex> {
        let mut lives = self.by_node.get(node as usize)?.iter().rev().copied();
        lives.find(|life| !self.life(*life).is_hostile)
    }

    pub(super) fn find(&self, life: Life) -> Option<LifeIndex> {
        let lives = self.by_node.get(life.node as usize)?;
        let is_it = |index: &LifeIndex| self.life(*index).life == life;
        // Lives are counted from 1, one after the other; to be sure, all are looked at if that fails.
        let guess = lives.get((life.life as usize).wrapping_sub(1));
        guess
            .filter(|index| is_it(index))
            .or_else(|| lives.iter().find(|index| is_it(index)))
            .copied()
    }

    pub(super) fn life(&self, life: LifeIndex) -> &LifeState {
        &self.lives[life as usize]
    }

    pub(super) fn life_mut(&mut self, life: LifeIndex) -> &mut LifeState {
        &mut self.lives[life as usize]
    }

    pub(super) fn reader(&self, reader: ReaderIndex) -> &Reader {
        &self.readers[reader as usize]
    }

    pub(super) fn reader_mut(&mut self, reader: ReaderIndex) -> &mut Reader {
        &mut self.readers[reader as usize]
    }

    /// Returns the last life of a reader.
    pub(super) fn last_life(&self, reader: ReaderIndex) -> &LifeState {
        self.life(self.reader(reader).life)
    }

    pub(super) fn len(&self) -> u32 {
        next_place(&self.lives)
    }

    pub(super) fn reader_count(&self) -> u32 {
        next_place(&self.readers)
    }

    /// Returns all lives of a node.
    pub(super) fn of_node(&self, node: u32) -> impl Iterator<Item = &LifeState> {
        let lives = self.by_node.get(node as usize).into_iter().flatten();
        lives.map(|life| self.life(*life))
    }

    /// Returns the last honest life that shows this identity.
    pub(super) fn by_identity(&self, identity: PeerKey) -> Option<&LifeState> {
        self.honest.get(&identity.0).map(|life| self.life(*life))
    }
}
