//! Large buffers that go from one part of a proof to the next, and from one proof to the next.
//!
//! A proof of 2^20 rows fills some 2 GiB. Memory that the system hands out anew has to be cleared by it first, page by page: that took
//! much of the prover's time. Buffers come back when their owner is dropped and are taken again by whoever needs one of about that
//! length; [`release`] gives them all to the system. What waits for its first proof has them made ready by [`warm`].

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use p3_field::PrimeCharacteristicRing;
use p3_maybe_rayon::prelude::*;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::Shape;
use zk_autograd_verifier::digest::{DIGEST_BYTES, Digest};

/// Shorter buffers come from the allocator, which keeps them itself.
const LEAST: usize = 1 << 15;

/// Elements of a new buffer that one thread writes at least.
const TOUCHED: usize = 1 << 16;

/// Bytes of the buffers that were made because none was free.
static FRESH: AtomicUsize = AtomicUsize::new(0);

/// Whether a proof wants the buffers that are there.
static WANTED: AtomicBool = AtomicBool::new(false);

type Pool<T> = Mutex<Vec<Vec<T>>>;

/// Columns are laid out so that a row fills whole vectors.
#[must_use]
pub const fn padded(width: usize) -> usize {
    width.next_multiple_of(8)
}

/// What large buffers hold.
pub trait Element: Copy + Send + Sync + 'static {
    /// What a cleared buffer holds.
    const CLEAR: Self;
    /// The buffers that nobody has.
    fn pool() -> &'static Pool<Self>;
}

impl Element for Val {
    const CLEAR: Self = <Self as PrimeCharacteristicRing>::ZERO;
    fn pool() -> &'static Pool<Self> {
        static POOL: Pool<Val> = Mutex::new(Vec::new());
        &POOL
    }
}

impl Element for Ext {
    const CLEAR: Self = <Self as PrimeCharacteristicRing>::ZERO;
    fn pool() -> &'static Pool<Self> {
        static POOL: Pool<Ext> = Mutex::new(Vec::new());
        &POOL
    }
}

impl Element for Digest {
    const CLEAR: Self = [0; DIGEST_BYTES];
    fn pool() -> &'static Pool<Self> {
        static POOL: Pool<Digest> = Mutex::new(Vec::new());
        &POOL
    }
}

/// A buffer of that length. What it holds is left over: the caller writes all of it.
#[must_use]
pub fn take<T: Element>(length: usize) -> Vec<T> {
    if let Some(buffer) = found(length) {
        return buffer;
    }
    // Written by all cores: whoever writes to a page first waits until the system has cleared it.
    (0..length).into_par_iter().with_min_len(TOUCHED).map(|_| T::CLEAR).collect()
}

/// A free buffer of that length. For a large one there is none, it is counted that one is made.
fn found<T: Element>(length: usize) -> Option<Vec<T>> {
    if length < LEAST {
        return None;
    }
    let mut free = T::pool().lock().unwrap_or_else(PoisonError::into_inner);
    // The tightest fit, and none that is twice too large.
    let best = (0..free.len())
        .filter(|i| (length..=2 * length).contains(&free[*i].capacity()))
        .min_by_key(|i| free[*i].capacity());
    if let Some(index) = best {
        let mut buffer = free.swap_remove(index);
        drop(free);
        buffer.resize(length, T::CLEAR);
        return Some(buffer);
    }
    FRESH.fetch_add(length * size_of::<T>(), Ordering::Relaxed);
    None
}

/// Bytes of all buffers so far that were made because none was free.
#[must_use]
pub fn fresh() -> usize {
    FRESH.load(Ordering::Relaxed)
}

/// Says that a proof begins: [`warm`] leaves off.
pub(crate) fn wanted() {
    WANTED.store(true, Ordering::Relaxed);
}

/// Makes the buffers ready that a proof of this shape takes, by one core, before the first proof. It ends early if a proof begins.
pub fn warm(shape: &Shape) {
    WANTED.store(false, Ordering::Relaxed);
    let rows = 1_usize << shape.lengths.log_rows();
    // The trace, its copy and its words; the lookups; the quotient's parts.
    let (main, lookups) = (padded(shape.main + shape.gradient), padded(2 * (shape.helpers + 1)));
    // The lookups' copy takes the place of the trace, where it fits.
    let copy = if (lookups..=2 * lookups).contains(&main) { 0 } else { lookups };
    warm_all::<Val>([main, main, main, lookups, copy, 8, 8, 8, 4, 4, 4].map(|width| width * rows));
    // Differences, the batch, and the low-degree test's words.
    warm_all::<Ext>([2 * rows; 4]);
    // The trees over rows: main columns, gradient, lookups, quotient.
    warm_all::<Digest>(
        (0..4).flat_map(|_| (0..).map(|level| (2 * rows) >> level).take_while(|length| *length >= LEAST)),
    );
}

fn warm_all<T: Element>(lengths: impl IntoIterator<Item = usize>) {
    let mut made = Vec::new();
    for length in lengths.into_iter().filter(|length| *length >= LEAST) {
        if WANTED.load(Ordering::Relaxed) {
            break;
        }
        made.push(found::<T>(length).unwrap_or_else(|| (0..length).map(|_| T::CLEAR).collect()));
    }
    made.into_iter().for_each(give);
}

/// A cleared buffer of that length.
#[must_use]
pub fn cleared<T: Element>(length: usize) -> Vec<T> {
    let mut buffer = take(length);
    buffer.par_chunks_mut(1 << 16).for_each(|part| part.fill(T::CLEAR));
    buffer
}

/// A copy.
#[must_use]
pub fn copied<T: Element>(values: &[T]) -> Vec<T> {
    let mut copy = take(values.len());
    copy.par_chunks_mut(1 << 16).zip(values.par_chunks(1 << 16)).for_each(|(to, from)| to.copy_from_slice(from));
    copy
}

/// Takes a buffer back.
pub fn give<T: Element>(buffer: Vec<T>) {
    if buffer.capacity() >= LEAST {
        T::pool().lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// Hands all buffers that nobody has to the system.
pub fn release() {
    fn clear<T: Element>() {
        T::pool().lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
    clear::<Val>();
    clear::<Ext>();
    clear::<Digest>();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, because the pools are everybody's.
    #[test]
    fn buffers_come_back_in_the_length_that_is_asked_for() {
        let length = 3 * LEAST;
        let mut buffer: Vec<Digest> = take(length);
        buffer.fill([7; DIGEST_BYTES]);
        give(buffer);
        assert_eq!(take::<Digest>(LEAST).len(), LEAST, "one that is thrice too large is not taken");
        assert!(cleared::<Digest>(length - 5).iter().all(|digest| *digest == [0; DIGEST_BYTES]));
        assert_eq!(copied(&[[1; DIGEST_BYTES]]), vec![[1; DIGEST_BYTES]]);
        give(vec![[3; DIGEST_BYTES]; length]);
        release();
        assert!(Digest::pool().lock().unwrap().is_empty());
        // Whoever waits for a proof doesn't wait for memory that is made ready.
        warm_all::<Digest>((0..5).map(|number| {
            if number == 2 {
                wanted();
            }
            LEAST
        }));
        assert_eq!(Digest::pool().lock().unwrap().len(), 2);
    }
}
