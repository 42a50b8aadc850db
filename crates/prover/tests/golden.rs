//! Proofs are made again byte for byte, whatever version of the prover makes them: a retry after an
//! upgrade opens nothing new.

mod support;

use support::{Choice, Example};
use zk_autograd_air::Rule;
use zk_autograd_prover::{Masking, Progress, prove};
use zk_autograd_verifier::{Preset, verify};

const fn choice(rule: Rule, s: u32, decay: bool, first: bool, (log_params, steps): (usize, usize)) -> Choice {
    Choice { rule, s, decay, first, log_params, steps, no_ops: steps / 4 }
}

/// A statement of every rule, with the first half of the BLAKE3 digest of its commitments and
/// proof.
const GOLDEN: [(Choice, Preset, &str); 8] = [
    (choice(Rule::Adam, 0, false, false, (13, 8)), Preset::Standard, "506efbd1009119dfe60dc9cf40374929"),
    (choice(Rule::AdamW, 0, true, true, (14, 4)), Preset::Strict, "915e808024fa0d692b6906c4e809746d"),
    (choice(Rule::Sgd, 30, false, true, (13, 16)), Preset::Standard, "2ead75006ac94920a0e8b41305c209b4"),
    (choice(Rule::SgdMomentum, 30, true, false, (15, 4)), Preset::Standard, "25830c32b93ccec9d9280f1cceae71d6"),
    (choice(Rule::SgdNesterov, 15, true, true, (13, 8)), Preset::Strict, "fd3eb6d3821b1cac820d610e5d457f49"),
    (choice(Rule::Adam, 0, false, true, (16, 1)), Preset::Standard, "051efe43b9420d98d65d693dd88f5cc7"),
    (choice(Rule::Lion, 0, true, true, (13, 8)), Preset::Standard, "4b5eff3feeb99db21c73f7461a909f1b"),
    (choice(Rule::Rmsprop, 0, false, true, (13, 8)), Preset::Strict, "c4b09b4cbea7c0d717261bc257f240a1"),
];

#[test]
fn every_version_of_the_prover_makes_the_same_bytes() {
    for (choice, preset, expected) in &GOLDEN {
        let example = Example::new(choice, *preset, 2026);
        let proof = prove(&example.statement, &example.witness(), Masking::Full, &Progress::default()).unwrap();
        verify(&example.statement, &proof.commitments, &proof.bytes).unwrap();
        let mut hasher = blake3::Hasher::new();
        let list = &proof.commitments;
        for sealed in list.state_in.iter().chain(&list.state_out).chain([&list.gradient]) {
            hasher.update(&sealed.to_bytes());
        }
        hasher.update(&proof.bytes);
        assert_eq!(&hasher.finalize().to_hex()[..32], *expected, "{:?}", choice.rule);
    }
}
