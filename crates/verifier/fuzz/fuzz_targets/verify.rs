//! Commitments and proofs of any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = zk_autograd_verifier_fuzz::judge(bytes);
});
