//! Proofs of work: always the smallest number, so that a proof made again is the same proof.

use p3_blake3::Blake3;
use p3_field::PrimeCharacteristicRing;
use p3_maybe_rayon::prelude::*;
use p3_symmetric::CryptographicHasher;
use zk_autograd_air::Val;
use zk_autograd_verifier::transcript::{Transcript, WORK_BYTES, is_work, work_message};

const CHUNK: usize = 256;
const ROUND: u64 = 64;

/// The smallest proof of work of `bits` bits, which the transcript takes in.
pub fn grind(transcript: &mut Transcript, bits: usize) -> Val {
    let seed = transcript.work_seed();
    let smallest = |chunk: u64| {
        let first = chunk * CHUNK as u64;
        let mut messages = Vec::with_capacity(WORK_BYTES * CHUNK);
        for number in first..first + CHUNK as u64 {
            messages.extend_from_slice(&work_message(&seed, number));
        }
        let mut digests = [[0; 32]; CHUNK];
        Blake3.hash_many(&messages, &mut digests);
        let found = digests.iter().position(|digest| is_work(digest, bits))?;
        Some(first + found as u64)
    };
    let mut round = 0;
    let number = loop {
        let found: Option<u64> =
            (round * ROUND..(round + 1) * ROUND).into_par_iter().map(smallest).find_first(Option::is_some).flatten();
        if let Some(number) = found {
            break number;
        }
        round += 1;
    };
    let work = Val::from_u64(number);
    transcript.work(work);
    work
}
