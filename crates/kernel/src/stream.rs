//! Writing past the caches what the next step alone will read.
//!
//! A store to memory reads the cache line first, and pushes out another: for a state larger than the caches that is half
//! of a step's traffic. Non-temporal stores do neither.

#![allow(unsafe_code)]

use std::ops::Range;

use pulp::Simd;

/// States of this many bytes and more don't stay in a cache between two steps.
pub const LARGE: usize = 8 << 20;

/// Integers without padding or invalid bits.
pub trait Word: Copy {}
impl Word for u16 {}
impl Word for i32 {}
impl Word for i64 {}

/// `to.copy_from_slice(from)`, past the caches, by the vectors of S. [`fence`] has to follow before another thread reads it.
#[inline(always)]
pub fn copy<S: Simd, T: Word>(to: &mut [T], from: &[T]) {
    assert_eq!(to.len(), from.len(), "slices of one length");
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{
            __m128i, __m256i, __m512i, _mm_loadu_si128, _mm_stream_si128, _mm256_loadu_si256, _mm256_stream_si256,
            _mm512_loadu_si512, _mm512_stream_si512,
        };
        match size_of::<S::f64s>() {
            // SAFETY: an S of such vectors is only made where they are; what `chunks` gives is aligned, and as large as they.
            64 => chunks(to, from, |to: *mut __m512i, from| unsafe {
                _mm512_stream_si512(to, _mm512_loadu_si512(from));
            }),
            // SAFETY: as above.
            32 => chunks(to, from, |to: *mut __m256i, from| unsafe {
                _mm256_stream_si256(to, _mm256_loadu_si256(from));
            }),
            // SAFETY: as above; SSE2 belongs to x86-64.
            _ => chunks(to, from, |to: *mut __m128i, from| unsafe { _mm_stream_si128(to, _mm_loadu_si128(from)) }),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    to.copy_from_slice(from);
}

/// Copies by `copy`, which gets an aligned V of `to` and as many bytes of `from`, and word by word what is left at both ends.
#[inline(always)]
fn chunks<T: Word, V>(to: &mut [T], from: &[T], copy: impl Fn(*mut V, *const V)) {
    let each = size_of::<V>() / size_of::<T>();
    // SAFETY: every bit pattern is valid for a `Word`, and for a vector.
    let (head, middle, tail) = unsafe { to.align_to_mut::<V>() };
    let inside: Range<usize> = head.len()..head.len() + middle.len() * each;
    head.copy_from_slice(&from[..inside.start]);
    tail.copy_from_slice(&from[inside.end..]);
    for (to, from) in middle.iter_mut().zip(from[inside].chunks_exact(each)) {
        copy(to, from.as_ptr().cast());
    }
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
