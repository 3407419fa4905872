//! What the core is owed: what one of it holds, all of it is to have.

use super::bits::Bits;
use super::lives::{LifeIndex, ReaderIndex};
use super::messages::MessageIndex;
use super::{About, Judge};
use crate::facts::Life;
use crate::report::Checker;
use crate::time::Time;

/// Who is whole from some moment on.
#[derive(Clone, Debug, Default)]
pub(super) struct Core {
    pub(super) since: Time,
    lives: Vec<LifeIndex>,
    members: Bits,
    /// Those of them that can be owed something.
    readers: Bits,
    /// Those of them whose deliveries all were made by the life that they are in.
    plain: Bits,
    resumed: Vec<ReaderIndex>,
}

impl Core {
    pub(super) fn has(&self, life: LifeIndex) -> bool {
        self.members.contains(life)
    }

    pub(super) fn lives(&self) -> &[LifeIndex] {
        &self.lives
    }
}

impl Judge {
    /// Begins the ending: these lives are whole from now on, and can reach each other.
    ///
    /// Those that mean harm or are gone are left out. May be called again, for another core.
    pub(crate) fn begin_core(&mut self, at: Time, core: &[Life]) {
        let lives = core.iter().filter_map(|life| self.lives.find(*life));
        let lives = lives.filter(|life| {
            let state = self.lives.life(*life);
            !state.is_hostile && state.died.is_none()
        });
        let lives: Vec<LifeIndex> = lives.collect();
        self.set_core(at, at, lives);
    }

    /// Takes a life that ended out of the core.
    pub(super) fn leave_core(&mut self, at: Time, gone: LifeIndex) {
        if let Some(core) = self.core.take() {
            let rest = core.lives.into_iter().filter(|life| *life != gone);
            self.set_core(at, core.since, rest.collect());
        }
    }

    fn set_core(&mut self, at: Time, since: Time, lives: Vec<LifeIndex>) {
        let mut core = Core {
            since,
            ..Core::default()
        };
        for life in &lives {
            let state = self.lives.life(*life);
            core.members.insert(*life);
            if state.is_mesh() || self.rules.owes_to_legacy {
                core.readers.insert(state.reader);
            }
            match self.lives.reader(state.reader).resumed {
                _ if !state.is_mesh() => {}
                Some(_) => core.resumed.push(state.reader),
                None => _ = core.plain.insert(state.reader),
            }
        }
        core.lives = lives;
        self.core = Some(core);
        self.note_stragglers();
        self.outstanding = 0;
        self.tally.owed = 0;
        self.tally.converged = None;
        for index in 0..self.messages.list.len() {
            let index = u32::try_from(index).expect("they are counted in 32 bits");
            self.messages.get_mut(index).is_owed = false;
            self.owe_if_held(at, index);
        }
        self.watch_convergence(at);
    }

    /// Returns whether all that the core is owed by now has been delivered or declared missing.
    #[cfg(test)]
    pub(crate) const fn converged(&self) -> bool {
        self.outstanding == 0
    }

    /// Returns how many deliveries the core is owed by now that are neither made nor declared missing.
    pub(crate) fn outstanding(&self) -> usize {
        usize::try_from(self.outstanding).unwrap_or(usize::MAX)
    }

    /// Returns how many bytes the nodes of the core may still have to fetch: for each of them the payloads, and what a log
    /// takes besides, of all messages that its own life has not got, whether it is owed them or not.
    pub(crate) fn missing_bytes(&self) -> u64 {
        let Some(core) = &self.core else {
            return 0;
        };
        let overhead = self.rules.retention.overhead;
        let has_got = |reader: ReaderIndex, message: MessageIndex| {
            let published = self.messages.get(message);
            match &self.lives.reader(reader).resumed {
                Some(got) => got.contains(message),
                None => published.own == reader || published.delivered.contains(reader),
            }
        };
        let lacking = self.messages.public().map(|(index, message)| {
            let lacking = core
                .readers
                .iter()
                .filter(|reader| !has_got(*reader, index));
            lacking.count() as u64 * (message.len + overhead)
        });
        lacking.sum()
    }

    /// Returns a life of the core that certainly has a message in its log.
    fn holder(&self, message: MessageIndex) -> Option<LifeIndex> {
        let core = self.core.as_ref()?;
        let published = self.messages.get(message);
        if core.members.contains(published.by) && self.lives.life(published.by).is_mesh() {
            return Some(published.by);
        }
        let has_resumed = |reader: &ReaderIndex| {
            let resumed = &self.lives.reader(*reader).resumed;
            resumed.as_ref().is_some_and(|got| got.contains(message))
        };
        let reader = if core.plain.meets(&published.delivered) {
            let mut plain = core.plain.iter();
            plain.find(|reader| published.delivered.contains(*reader))
        } else {
            core.resumed.iter().copied().find(has_resumed)
        };
        Some(self.lives.reader(reader?).life)
    }

    /// Returns whether one of the core is owed what the core holds.
    fn can_be_owed(&self, core: &Core, message: MessageIndex, reader: ReaderIndex) -> bool {
        let at = self.messages.get(message).at;
        let is_whole_time = at >= core.since;
        core.readers.contains(reader)
            && self.is_due(message, reader)
            && (is_whole_time || self.lives.last_life(reader).is_mesh())
    }

    /// Returns whether a message's publisher is one whose messages are kept for others.
    pub(super) fn is_kept(&self, message: MessageIndex) -> bool {
        let by = self.lives.life(self.messages.get(message).by);
        !by.is_hostile && (by.is_mesh() || self.rules.owes_from_legacy)
    }

    fn owe_if_held(&mut self, at: Time, message: MessageIndex) {
        let published = self.messages.get(message);
        if published.is_owed || published.to.is_some() || published.has_twin {
            return;
        }
        let kept_until = self.messages.kept_until(message, &self.rules.retention);
        let is_kept = kept_until > at.after(self.rules.settle) && self.is_kept(message);
        if !is_kept || self.holder(message).is_none() {
            return;
        }
        let Some(core) = &self.core else {
            return;
        };
        let (mut owed, mut missing) = (0, 0);
        for reader in core.readers.iter() {
            if self.can_be_owed(core, message, reader) {
                owed += 1;
                missing += u32::from(self.lacks(message, reader));
            }
        }
        self.tally.owed += owed;
        self.outstanding += u64::from(missing);
        let published = self.messages.get_mut(message);
        published.is_owed = true;
        published.missing = missing;
    }

    /// Returns whether a reader neither got a message nor declared it missing.
    pub(super) fn lacks(&self, message: MessageIndex, reader: ReaderIndex) -> bool {
        let message = self.messages.get(message);
        !message.delivered.contains(reader) && !message.declared.contains(reader)
    }

    pub(super) fn core_has_published(&mut self, at: Time, by: LifeIndex, message: MessageIndex) {
        if self.core.as_ref().is_some_and(|core| core.has(by)) {
            self.owe_if_held(at, message);
            self.watch_convergence(at);
        }
    }

    /// Notes that a life got a message for the first time.
    pub(super) fn core_has_got(&mut self, at: Time, life: LifeIndex, message: MessageIndex) {
        self.core_is_settled(at, life, message);
        self.core_has_again(at, life, message);
    }

    /// Notes that a life has a message, though perhaps not for the first time.
    pub(super) fn core_has_again(&mut self, at: Time, life: LifeIndex, message: MessageIndex) {
        let is_news = !self.messages.get(message).is_owed;
        if is_news && self.core.as_ref().is_some_and(|core| core.has(life)) {
            self.owe_if_held(at, message);
            self.watch_convergence(at);
        }
    }

    /// Notes that a life just got what it may be owed, or declared it missing.
    pub(super) fn core_is_settled(&mut self, at: Time, life: LifeIndex, message: MessageIndex) {
        let reader = self.lives.life(life).reader;
        let Some(core) = &self.core else {
            return;
        };
        if self.messages.get(message).is_owed && self.can_be_owed(core, message, reader) {
            self.messages.get_mut(message).missing -= 1;
            self.outstanding -= 1;
            self.watch_convergence(at);
        }
    }

    /// Looks at which messages have not reached everyone yet, or reached someone late: they may displace newer ones.
    fn note_stragglers(&mut self) {
        let readers = (0..self.lives.reader_count())
            .filter(|reader| self.lives.last_life(*reader).died.is_none())
            .filter(|reader| self.lives.last_life(*reader).is_mesh());
        let mut living = Bits::default();
        for reader in readers {
            living.insert(reader);
        }
        let nothing = Bits::default();
        let settled = self.messages.public().map(|(_, message)| {
            let mut lacking = living.without(&message.delivered, &nothing);
            match lacking.find(|reader| *reader != message.own) {
                Some(_) => Time::MAX,
                None => message.last_got,
            }
        });
        let settled: Vec<Time> = settled.collect();
        self.messages.set_stragglers(&settled);
    }

    fn watch_convergence(&mut self, at: Time) {
        if self.outstanding > 0 {
            self.tally.converged = None;
        } else if let Some(core) = &self.core {
            self.tally
                .converged
                .get_or_insert_with(|| at.since(core.since));
        }
    }

    /// Judges what has to hold when the core has had its time: all that is owed is delivered, or declared missing with
    /// reason; what became of private messages is told; and every message is accounted for.
    pub(crate) fn check_converged(&mut self, at: Time) {
        self.lost.clear();
        self.note_stragglers();
        for index in 0..self.messages.list.len() {
            let index = u32::try_from(index).expect("they are counted in 32 bits");
            self.owe_if_held(at, index);
        }
        self.watch_convergence(at);
        self.tally.owed_and_missing = 0;
        self.check_held(at);
        self.check_ways(at);
        self.check_private(at);
        self.check_accounts(at);
    }

    /// The rule of holders.
    fn check_held(&mut self, at: Time) {
        let Some(core) = self.core.take() else {
            return;
        };
        for index in 0..self.messages.list.len() {
            let index = u32::try_from(index).expect("they are counted in 32 bits");
            let message = self.messages.get(index);
            if !message.is_owed || message.missing == 0 {
                continue;
            }
            if self.messages.kept_until(index, &self.rules.retention) <= at {
                continue;
            }
            let lacking = core.readers.without(&message.delivered, &message.declared);
            let lacking: Vec<ReaderIndex> = lacking
                .filter(|reader| self.can_be_owed(&core, index, *reader))
                .collect();
            for reader in lacking {
                self.note_undelivered(at, &core, index, reader);
            }
        }
        self.core = Some(core);
    }

    fn note_undelivered(
        &mut self,
        at: Time,
        core: &Core,
        message: MessageIndex,
        reader: ReaderIndex,
    ) {
        self.tally.owed_and_missing += 1;
        self.lost.insert((message, reader));
        let which = self.tell(message);
        let published = self.messages.get(message);
        let got = core.lives.iter().copied().find(|life| {
            *life == published.by || published.delivered.contains(self.lives.life(*life).reader)
        });
        let holder = got.map_or(0, |life| self.lives.life(life).life.node);
        let node = self.lives.reader(reader).node;
        let about = About {
            at,
            node: Some(node),
            message: Some(message),
        };
        let since = core.since;
        self.docket
            .note(Checker::Owed, "not delivered", about, || {
                format!(
                    "node {node} neither got {which} nor declared it missing by {at} s, though node {holder} has it and \
                     both are whole since {since} s"
                )
            });
    }
}
