//! The address book: whom to dial, and when.
//!
//! Nobody is forgotten because a dial failed; what fails is tried less often. The book is a
//! machine of its own: it knows of links only what it is told.

use std::time::Duration;

use crate::address::Address;
use crate::chance::Chance;
use crate::id::NodeId;
use crate::sorted::SortedMap;
use crate::time::Instant;

/// Why an address is in the book; a later one counts for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// A legacy peer told of it: it may be one too, and those are not dialled without need.
    Hearsay,
    /// A native peer told of it.
    Told,
    /// A native neighbour that was lost.
    Lost,
    /// A legacy neighbour that was lost. It will not dial us again, so it is dialled whatever
    /// the number of links.
    Stray,
}

impl Standing {
    /// Returns the number that stands for it in a save.
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Hearsay => 0,
            Self::Told => 1,
            Self::Lost => 2,
            Self::Stray => 3,
        }
    }

    /// Returns what a number stands for, if it is known, and else the least.
    pub(crate) const fn of_number(number: u64) -> Self {
        match number {
            1 => Self::Told,
            2 => Self::Lost,
            3 => Self::Stray,
            _ => Self::Hearsay,
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    standing: Standing,
    /// The application named it: it is never forgotten.
    is_seed: bool,
    id: Option<NodeId>,
    /// Failures in a row.
    failures: u32,
    next: Instant,
    /// When somebody last told of it, or was there.
    heard: Instant,
    /// When it was last dialled, or linked to.
    tried: Instant,
    /// Being dialled, or linked to.
    busy: bool,
}

/// Which addresses there is a place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// All places are taken by dials, and there is no link yet: any seed may be the one that answers.
    Seeds,
    /// All places are taken.
    Strays,
}

impl Wanted {
    fn includes(self, entry: &Entry) -> bool {
        let is_stray = entry.standing == Standing::Stray;
        match self {
            Self::All => true,
            Self::Seeds => entry.is_seed || is_stray,
            Self::Strays => is_stray,
        }
    }
}

/// The addresses that this node knows.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    max: usize,
    redial_min: Duration,
    redial_max: Duration,
    entries: SortedMap<Address, Entry>,
    /// Addresses that turned out to be our own.
    own: Vec<Address>,
    #[cfg(feature = "marks")]
    pub(crate) marks: crate::Marks,
}

/// A link that lived so long was a good one: the address starts afresh.
const LONG_LIFE: Duration = Duration::from_secs(10);

/// As how many failures it counts to be turned away: with the default, the wait is 16 s at first.
const TURNED_AWAY: u32 = 4;

/// How many of our own addresses are remembered.
const MAX_OWN: usize = 16;

impl Book {
    pub(crate) fn new(max: usize, redial_min: Duration, redial_max: Duration) -> Self {
        Self {
            max,
            redial_min,
            redial_max,
            entries: SortedMap::default(),
            own: Vec::new(),
            #[cfg(feature = "marks")]
            marks: crate::Marks::NONE,
        }
    }

    /// Notes an address that is to be dialled for as long as the node lives.
    pub(crate) fn add_seed(&mut self, address: &Address, next: Instant) {
        self.add(address, None, Standing::Lost, next);
        if let Some(entry) = self.entries.get_mut(address) {
            entry.is_seed = true;
        }
    }

    /// Notes an address of which one hears now, or raises its standing. It may be dialled from now on.
    pub(crate) fn add(
        &mut self,
        address: &Address,
        id: Option<&NodeId>,
        standing: Standing,
        next: Instant,
    ) {
        if address.port() == 0 || address.is_unspecified() || self.is_own(address) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(address) {
            entry.standing = entry.standing.max(standing);
            entry.heard = entry.heard.max(next);
            if id.is_some() {
                entry.id = id.cloned();
            }
            return;
        }
        if self.entries.len() >= self.max {
            if !self.evict(standing) {
                return;
            }
            reached!(self, Mark::BookEvicted);
        }
        self.entries.insert(
            address.clone(),
            Entry {
                standing,
                is_seed: false,
                id: id.cloned(),
                failures: 0,
                next,
                heard: next,
                tried: Instant::ZERO,
                busy: false,
            },
        );
    }

    /// Notes that an address is our own: it is never dialled again.
    pub(crate) fn set_own(&mut self, address: &Address) {
        self.entries.remove(address);
        if !self.is_own(address) && self.own.len() < MAX_OWN {
            self.own.push(address.clone());
        }
    }

    pub(crate) fn is_own(&self, address: &Address) -> bool {
        self.own.contains(address)
    }

    /// Notes that an address is being dialled or linked to.
    pub(crate) fn set_busy(&mut self, address: &Address, now: Instant) {
        if let Some(entry) = self.entries.get_mut(address) {
            entry.busy = true;
            entry.tried = now;
        }
    }

    /// Notes that a probe of an address led nowhere. That says nothing of when to dial it for a link.
    pub(crate) fn probed(&mut self, address: &Address) {
        if let Some(entry) = self.entries.get_mut(address) {
            entry.busy = false;
        }
    }

    /// Returns the address to probe: the one that was tried longest ago, whatever became of it. Every other time, if
    /// chance has it, one of the seeds: there people expect to meet.
    pub(crate) fn to_probe(
        &self,
        is_linked: impl Fn(&NodeId) -> bool,
        chance: &mut Chance,
    ) -> Option<Address> {
        let is_right = |entry: &Entry| {
            entry.is_seed || matches!(entry.standing, Standing::Told | Standing::Lost)
        };
        let candidates = self.candidates(Wanted::All, is_linked);
        let candidates: Vec<_> = candidates.filter(|(_, entry)| is_right(entry)).collect();
        let has_seeds = candidates.iter().any(|(_, entry)| entry.is_seed);
        let only_seeds = has_seeds && chance.below(2) == 0;
        let fit = candidates.into_iter();
        let fit = fit.filter(|(_, entry)| entry.is_seed || !only_seeds);
        // Nodes that were told of the same addresses at the same time do not all begin with the same one.
        let salt = chance.u64();
        let rank = |address: &Address, entry: &Entry| (entry.tried, salted(address, salt));
        fit.min_by_key(|(address, entry)| rank(address, entry))
            .map(|(address, _)| address.clone())
    }

    /// Notes who is at an address. It is left alone for as long as there is a link to that node.
    pub(crate) fn belongs_to(&mut self, address: &Address, id: &NodeId) {
        if let Some(entry) = self.entries.get_mut(address) {
            entry.id = Some(id.clone());
            entry.busy = false;
        }
    }

    /// Notes that a link to an address ended, and that it is to be dialled again: soon, but not at
    /// once; and later each time, if links to it do not live long.
    pub(crate) fn lost(
        &mut self,
        address: &Address,
        lived: Duration,
        chance: &mut Chance,
        now: Instant,
    ) {
        if let Some(entry) = self.entries.get_mut(address)
            && lived >= LONG_LIFE
        {
            reached!(self, Mark::BackoffReset if entry.failures > 0);
            entry.failures = 0;
        }
        self.failed(address, chance, now);
    }

    /// Forgets an address, unless it is a seed.
    pub(crate) fn forget(&mut self, address: &Address) {
        match self.entries.get_mut(address) {
            Some(entry) if entry.is_seed => entry.busy = false,
            Some(_) => {
                self.entries.remove(address);
            }
            None => {}
        }
    }

    /// Notes that the node at an address had no place for us, who are linked to others: it is not asked again soon.
    pub(crate) fn turned_away(&mut self, address: &Address) {
        if let Some(entry) = self.entries.get_mut(address) {
            entry.failures = entry.failures.max(TURNED_AWAY);
        }
    }

    /// Notes that a dial failed. Returns how long the address is left alone, if it is in the book.
    pub(crate) fn failed(
        &mut self,
        address: &Address,
        chance: &mut Chance,
        now: Instant,
    ) -> Option<Duration> {
        let entry = self.entries.get_mut(address)?;
        reached!(self, Mark::BackoffGrown if entry.failures > 0);
        let doubled = 1u32.checked_shl(entry.failures).unwrap_or(u32::MAX);
        let wait = self.redial_min.saturating_mul(doubled).min(self.redial_max);
        let wait = spread(wait, chance);
        entry.busy = false;
        entry.failures = entry.failures.saturating_add(1);
        entry.next = now.saturating_add(wait);
        Some(wait)
    }

    /// Forgets addresses of which nothing was heard for so long, but for seeds.
    pub(crate) fn expire(&mut self, age: Duration, now: Instant) {
        let is_old =
            |entry: &Entry| now.saturating_duration_since(entry.heard) > age && !entry.busy;
        self.entries
            .retain(|_, entry| entry.is_seed || !is_old(entry));
    }

    /// Returns the address to dial now, of those that are wanted. The one that failed least comes first; among
    /// equals, the one of higher standing.
    pub(crate) fn due(
        &self,
        wanted: Wanted,
        is_linked: impl Fn(&NodeId) -> bool,
        now: Instant,
    ) -> Option<Address> {
        self.candidates(wanted, is_linked)
            .filter(|(_, entry)| entry.next <= now)
            .min_by_key(|(_, entry)| (entry.failures, std::cmp::Reverse(entry.standing)))
            .map(|(address, _)| address.clone())
    }

    /// Returns when [`due`](Self::due) will have something, if nothing else changes.
    pub(crate) fn next(
        &self,
        wanted: Wanted,
        is_linked: impl Fn(&NodeId) -> bool,
    ) -> Option<Instant> {
        self.candidates(wanted, is_linked)
            .map(|(_, entry)| entry.next)
            .min()
    }

    /// Returns how many addresses there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns all addresses, in order, with the failures in a row of each.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&Address, Option<&NodeId>, u32)> {
        self.entries
            .iter()
            .map(|(address, entry)| (address, entry.id.as_ref(), entry.failures))
    }

    /// Returns so many of the addresses for a save: those that failed least, and of these the ones of the highest standing.
    pub(crate) fn to_save(&self, max: usize) -> Vec<(Address, Option<NodeId>, Standing)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(_, entry)| (entry.failures, std::cmp::Reverse(entry.standing)));
        let first = entries.into_iter().take(max);
        first
            .map(|(address, entry)| (address.clone(), entry.id.clone(), entry.standing))
            .collect()
    }

    fn candidates(
        &self,
        wanted: Wanted,
        is_linked: impl Fn(&NodeId) -> bool,
    ) -> impl Iterator<Item = (&Address, &Entry)> {
        self.entries.iter().filter(move |(_, entry)| {
            !entry.busy && wanted.includes(entry) && !entry.id.as_ref().is_some_and(&is_linked)
        })
    }

    /// Makes room for one of this standing: drops the idle one that is worth least, if it is worth
    /// no more.
    fn evict(&mut self, standing: Standing) -> bool {
        let worst = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.busy && !entry.is_seed)
            .max_by_key(|(_, entry)| (std::cmp::Reverse(entry.standing), entry.failures))
            .filter(|(_, entry)| entry.standing < standing || entry.failures > 0)
            .map(|(address, _)| address.clone());
        worst.is_some_and(|address| self.entries.remove(&address).is_some())
    }

    pub(crate) fn check_invariants(&self) {
        debug_assert!(self.entries.len() <= self.max, "the book is bounded");
    }
}

/// Returns a number that depends on the address, in another way for each salt.
fn salted(address: &Address, salt: u64) -> u64 {
    let port = u64::from(address.port());
    let bytes = address.host().bytes();
    bytes.fold(salt ^ port, |hash, byte| {
        (hash ^ u64::from(byte))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    })
}

/// Returns half to one and a half of `wait`, so that those who lost a node together do not dial it
/// together.
fn spread(wait: Duration, chance: &mut Chance) -> Duration {
    let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX / 2);
    Duration::from_micros((micros / 2).saturating_add(chance.below(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn book() -> (Book, Chance) {
        let book = Book::new(3, SECOND, Duration::from_secs(60));
        (book, Chance::new([0; 32]))
    }

    fn address(port: u16) -> Address {
        format!("10.0.0.1:{port}").parse().unwrap()
    }

    fn nobody(_: &NodeId) -> bool {
        false
    }

    #[test]
    fn a_failed_address_is_tried_again_less_and_less_often_and_never_forgotten() {
        let (mut book, mut chance) = book();
        let mut now = Instant::ZERO;
        book.add(&address(1), None, Standing::Told, now);
        for n in 0..40u32 {
            assert_eq!(
                book.due(Wanted::All, nobody, now),
                Some(address(1)),
                "attempt {n}"
            );
            book.set_busy(&address(1), Instant::ZERO);
            assert_eq!(book.due(Wanted::All, nobody, now), None);
            let wait = book.failed(&address(1), &mut chance, now).unwrap();
            let ideal = Duration::from_secs((1u64 << n.min(6)).min(60));
            assert!(
                wait >= ideal / 2 && wait < ideal + ideal / 2,
                "{n}: {wait:?}"
            );
            now = book.next(Wanted::All, nobody).unwrap();
        }
    }

    #[test]
    fn a_stray_is_dialled_when_all_places_are_taken() {
        let (mut book, mut chance) = book();
        book.add_seed(&address(1), Instant::ZERO);
        book.add(&address(2), None, Standing::Stray, Instant::ZERO);
        assert_eq!(
            book.due(Wanted::Strays, nobody, Instant::ZERO),
            Some(address(2))
        );
        book.set_busy(&address(2), Instant::ZERO);
        assert_eq!(book.due(Wanted::Strays, nobody, Instant::ZERO), None);
        book.lost(&address(2), LONG_LIFE, &mut chance, Instant::ZERO);
        assert_eq!(
            book.due(Wanted::Strays, nobody, Instant::ZERO),
            None,
            "not at once"
        );
        let next = book.next(Wanted::Strays, nobody).unwrap();
        assert!(next <= Instant::ZERO.saturating_add(SECOND * 2));
        assert_eq!(book.due(Wanted::Strays, nobody, next), Some(address(2)));
    }

    #[test]
    fn a_flood_of_addresses_displaces_no_seed_and_no_neighbour() {
        let (mut book, mut chance) = book();
        book.add_seed(&address(1), Instant::ZERO);
        book.add(&address(2), None, Standing::Lost, Instant::ZERO);
        for port in 100..200 {
            book.add(&address(port), None, Standing::Told, Instant::ZERO);
            book.failed(&address(port), &mut chance, Instant::ZERO);
            book.check_invariants();
        }
        let known: Vec<u16> = book.addresses().map(|(known, ..)| known.port()).collect();
        assert_eq!(known.len(), 3);
        assert!(known.contains(&1) && known.contains(&2), "{known:?}");
    }

    #[test]
    fn a_seed_is_not_forgotten_whatever_becomes_of_it() {
        let (mut book, mut chance) = book();
        book.add_seed(&address(1), Instant::ZERO);
        book.add(&address(1), None, Standing::Stray, Instant::ZERO);
        book.set_busy(&address(1), Instant::ZERO);
        book.forget(&address(1));
        assert_eq!(
            book.due(Wanted::All, nobody, Instant::ZERO),
            Some(address(1))
        );
        for port in 2..50 {
            book.failed(&address(1), &mut chance, Instant::ZERO);
            book.add(&address(port), None, Standing::Stray, Instant::ZERO);
        }
        assert!(book.addresses().any(|(known, ..)| *known == address(1)));
    }

    #[test]
    fn probes_go_round_prefer_seeds_and_spare_legacy_nodes() {
        let mut chance = Chance::new([0; 32]);
        let mut book = Book::new(9, SECOND, SECOND);
        for (port, standing) in [
            (1, Standing::Told),
            (2, Standing::Lost),
            (3, Standing::Stray),
            (4, Standing::Hearsay),
        ] {
            book.add(&address(port), None, standing, Instant::ZERO);
        }
        book.add_seed(&address(5), Instant::ZERO);
        for _ in 0..3 {
            book.failed(&address(5), &mut chance, Instant::ZERO);
        }
        let mut count = [0_u32; 6];
        for second in 1..=300 {
            let probed = book.to_probe(nobody, &mut chance).unwrap();
            book.set_busy(&probed, Instant::from_micros(second));
            assert_ne!(book.to_probe(nobody, &mut chance), Some(probed.clone()));
            book.probed(&probed);
            count[usize::from(probed.port())] += 1;
        }
        assert_eq!((count[3], count[4]), (0, 0), "legacy nodes");
        assert!(count[1].abs_diff(count[2]) <= 1, "in turn: {count:?}");
        assert!(count[5] > 150, "however often it failed: {count:?}");
    }

    #[test]
    fn what_nobody_has_told_of_for_days_is_forgotten_and_failing_is_no_reason() {
        let day = |n: u64| Instant::from_micros(n * 24 * 3600 * 1_000_000);
        let week = Duration::from_secs(7 * 24 * 3600);
        let mut chance = Chance::new([0; 32]);
        let mut book = Book::new(9, SECOND, SECOND);
        book.add_seed(&address(1), day(0));
        for port in 2..5 {
            book.add(&address(port), None, Standing::Told, day(0));
        }
        for n in 1..=7 {
            book.failed(&address(2), &mut chance, day(n));
            book.expire(week, day(n));
        }
        assert_eq!(book.len(), 4, "a week has not passed");
        book.add(&address(3), None, Standing::Hearsay, day(7));
        book.set_busy(&address(4), day(7));
        book.expire(week, day(8));
        let known: Vec<u16> = book.addresses().map(|(known, ..)| known.port()).collect();
        assert_eq!(known, [1, 3, 4], "a seed, one told of, one in use");
    }

    #[test]
    fn our_own_address_is_never_dialled() {
        let (mut book, _) = book();
        book.set_own(&address(1));
        book.add_seed(&address(1), Instant::ZERO);
        assert_eq!(book.due(Wanted::All, nobody, Instant::ZERO), None);
    }
}
