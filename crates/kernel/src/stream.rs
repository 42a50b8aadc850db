//! Writing past the caches what the next step alone will read.
//!
//! A store to memory reads the cache line first, and pushes out another: for a state larger than the caches that is half
//! of a step's traffic. Non-temporal stores do neither.

#![allow(unsafe_code)]

use std::ops::Range;

/// States of this many bytes and more don't stay in a cache between two steps.
pub const LARGE: usize = 8 << 20;

/// Integers without padding or invalid bits.
pub trait Word: Copy {}
impl Word for u16 {}
impl Word for i32 {}
impl Word for i64 {}

/// `to.copy_from_slice(from)`, past the caches. [`fence`] has to follow before another thread reads it.
#[inline(always)]
pub fn copy<T: Word>(to: &mut [T], from: &[T]) {
    assert_eq!(to.len(), from.len(), "slices of one length");
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
        // SAFETY: every bit pattern is valid for a `Word`, and for the vector.
        let (head, middle, tail) = unsafe { to.align_to_mut::<__m128i>() };
        let each = size_of::<__m128i>() / size_of::<T>();
        let inside: Range<usize> = head.len()..head.len() + middle.len() * each;
        head.copy_from_slice(&from[..inside.start]);
        tail.copy_from_slice(&from[inside.end..]);
        for (to, from) in middle.iter_mut().zip(from[inside].chunks_exact(each)) {
            // SAFETY: SSE2 belongs to x86-64; a chunk has 16 bytes, which may lie anywhere; `to` is aligned.
            unsafe { _mm_stream_si128(to, _mm_loadu_si128(from.as_ptr().cast())) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    to.copy_from_slice(from);
}

/// Everything copied before is written before what follows.
#[inline(always)]
pub fn fence() {
    // SAFETY: SSE belongs to x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    };
}
