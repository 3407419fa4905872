//! Named randomness: each draw is a hash of what it is for, so that nothing else can change it.
//!
//! Two draws have nothing to do with each other unless they have the same name. Take a fault out of a scenario, and the
//! latency of every chunk elsewhere stays what it was: that is what lets a failure be shrunk.

use std::time::Duration;

use crate::time::nanos;

/// What a draw is for. The numbers are part of what a seed means, and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Purpose {
    /// The base latency of an ordered pair of nodes.
    Latency = 1,
    /// What is added to it for one chunk.
    Jitter,
    /// Where a chunk is cut.
    Cut,
    /// How long a dial takes.
    Dial,
    /// The seed of a node's life.
    NodeSeed = 6,
    /// How late a timer fires.
    Lateness,
    /// Whether a timer is called too early.
    Spurious,
    /// Which bits flip.
    Flip,
    /// How a clock runs.
    Clock,
    /// The bytes of a payload.
    Payload,
    /// The order of what happens at the same moment.
    Shuffle,
    /// What a generated scenario is made of.
    Scenario = 14,
    /// Who stays whole in the end.
    Core,
}

/// A seed, and everything that is drawn from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5eed_0f5e_ed00_f5ee))
    }

    /// Returns the `n`th number drawn for a purpose and an entity: a name made by [`name`].
    pub(crate) const fn draw(self, purpose: Purpose, entity: u64, n: u64) -> u64 {
        let first = mix(self.0 ^ (purpose as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let second = mix(first ^ entity);
        mix(second ^ n.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// Returns a draw below `bound`; zero if that is zero.
    pub(crate) const fn below(self, bound: u64, purpose: Purpose, entity: u64, n: u64) -> u64 {
        let drawn = self.draw(purpose, entity, n) as u128;
        let scaled = (drawn * bound as u128) >> 64;
        // A product of 64 bits and less, shifted by 64 bits.
        scaled as u64
    }

    /// Returns a draw between zero and twice a length, exponentially spread around it, and at most eight times as long.
    pub(crate) fn exponential(
        self,
        mean: Duration,
        purpose: Purpose,
        entity: u64,
        n: u64,
    ) -> Duration {
        let drawn = self.draw(purpose, entity, n);
        // A negative logarithm in 16 bits of fraction, by the place of the first bit and a straight line from there.
        let zeros = u64::from(drawn.leading_zeros().min(12));
        let rest = (drawn << zeros) >> 48;
        let log2 = (zeros << 16) + (0xffff - ((rest & 0x7fff) << 1));
        // ln 2 = 45426 / 65536.
        let scaled = (u128::from(nanos(mean)) * u128::from(log2) * 45_426) >> 32;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    /// Returns 32 drawn bytes.
    pub(crate) fn bytes(self, purpose: Purpose, entity: u64, n: u64) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (at, chunk) in (0..).zip(bytes.chunks_exact_mut(8)) {
            let drawn = self.draw(purpose, entity, n.wrapping_mul(4).wrapping_add(at));
            chunk.copy_from_slice(&drawn.to_le_bytes());
        }
        bytes
    }
}

/// Makes a name of two numbers: a pair of nodes, a node and its life.
pub(crate) const fn name(a: u32, b: u32) -> u64 {
    (a as u64) << 32 | b as u64
}

/// Spreads the bits of a number over all of it. One to one.
pub(crate) const fn mix(mut x: u64) -> u64 {
    x ^= x >> 32;
    x = x.wrapping_mul(0xe9846af9b1a615d);
    x ^= x >> 32;
    x = x.wrapping_mul(0xe9846af9b1a615d);
    x ^= x >> 28;
    x
}

/// A hash of bytes that is the same on every machine. No defence against anybody.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = mix(bytes.len() as u64 ^ 0x27d4_eb2f_1656_67c5);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        hash = (hash ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
        hash ^= hash >> 32;
    }
    for byte in chunks.remainder() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x9fb2_1c65_1e98_df25);
        hash ^= hash >> 32;
    }
    mix(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ms;

    #[test]
    fn draws_with_other_names_are_other_draws() {
        let chance = Chance::new(7);
        let mut drawn = vec![
            chance.draw(Purpose::Jitter, name(1, 2), 0),
            chance.draw(Purpose::Jitter, name(2, 1), 0),
            chance.draw(Purpose::Jitter, name(1, 2), 1),
            chance.draw(Purpose::Latency, name(1, 2), 0),
            Chance::new(8).draw(Purpose::Jitter, name(1, 2), 0),
        ];
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 5);
        assert_eq!(chance, Chance::new(7));
    }

    #[test]
    fn draws_below_a_bound_are_spread_evenly() {
        let chance = Chance::new(1);
        let mut counts = [0_u32; 10];
        for n in 0..10_000 {
            let drawn = chance.below(10, Purpose::Cut, 3, n);
            counts[usize::try_from(drawn).expect("below ten")] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
        assert_eq!(chance.below(0, Purpose::Cut, 3, 1), 0);
    }

    #[test]
    fn the_exponential_has_its_mean() {
        let chance = Chance::new(2);
        let draws = (0..20_000).map(|n| chance.exponential(ms(10), Purpose::Jitter, 5, n));
        let (mut sum, mut most) = (Duration::ZERO, Duration::ZERO);
        for drawn in draws {
            sum += drawn;
            most = most.max(drawn);
        }
        let mean = sum / 20_000;
        assert!((ms(9)..ms(11)).contains(&mean), "{mean:?}");
        assert!((ms(60)..ms(95)).contains(&most), "{most:?}");
    }
}
