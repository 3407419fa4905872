//! Buffers to read into. A link needs one only while it reads, and most links read nothing most of the time, so they share
//! as many as there are links that read at once.

use std::sync::{Mutex, PoisonError};

/// How many bytes are read at once: what a busy socket has for one call.
pub(crate) const READ_LEN: usize = 64 << 10;

/// How many buffers are kept that nobody uses: no more are used at once than the executor has threads.
const MAX_SPARE: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<Box<[u8]>>>);

impl Pool {
    /// Calls `read` with a buffer.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&mut [u8]) -> T) -> T {
        let spare = self.lock().pop();
        let mut buffer = spare.unwrap_or_else(|| vec![0; READ_LEN].into_boxed_slice());
        let result = read(&mut buffer);
        let mut spare = self.lock();
        if spare.len() < MAX_SPARE {
            spare.push(buffer);
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_and_no_more_are_kept_than_are_needed() {
        fn nest(pool: &Pool, depth: usize) {
            pool.with(|buffer| {
                assert_eq!(buffer.len(), READ_LEN);
                if depth > 0 {
                    nest(pool, depth - 1);
                }
            });
        }
        let pool = Pool::default();
        nest(&pool, 2);
        nest(&pool, 2);
        assert_eq!(pool.lock().len(), 3);
        nest(&pool, 2 * MAX_SPARE);
        assert_eq!(pool.lock().len(), MAX_SPARE);
    }
}
