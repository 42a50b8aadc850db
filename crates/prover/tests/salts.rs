//! Two proofs have no secret coin in common, unless they are about the same committed values under the same secret.

mod support;

use std::collections::HashSet;

use support::anatomy::Anatomy;
use support::{Choice, Example, Random};
use zk_autograd_air::Rule;
use zk_autograd_prover::{Masking, Progress, Proof, commit, prove};
use zk_autograd_verifier::Preset;

const CHOICE: Choice =
    Choice { rule: Rule::SgdMomentum, s: 30, decay: false, first: false, log_params: 13, steps: 8, no_ops: 0 };
const PARAMS: usize = 1 << 13;

fn example() -> Example {
    Example::new(&CHOICE, Preset::Standard, 81)
}

fn proof(example: &Example) -> (Proof, Anatomy) {
    let proof = prove(&example.statement, &example.witness(), Masking::Full, &Progress::default()).unwrap();
    let anatomy = Anatomy::of(&example.statement, &proof.commitments, &proof.bytes);
    (proof, anatomy)
}

/// What secret coins are seen through: salts and rows of the opened leaves of the named trees, roots and values.
fn seen(proof: &Proof, anatomy: &Anatomy, names: &[&str]) -> HashSet<Vec<u8>> {
    let mut all = HashSet::new();
    let mut add = |bytes: &[u8]| assert!(all.insert(bytes.to_vec()), "a coin is used twice within one proof");
    for opening in anatomy.openings.iter().filter(|opening| names.contains(&opening.name)) {
        for number in 0..opening.indices.len() {
            let row = opening.row(number);
            add(&proof.bytes[row.end..row.end + opening.salt]);
            // Each value of a row by itself: one that came back in another proof would be masked by the same coins.
            for value in proof.bytes[row].chunks_exact(8) {
                add(value);
            }
        }
    }
    all
}

fn roots(proof: &Proof) -> Vec<Vec<u8>> {
    let list = &proof.commitments;
    let all = list.state_in.iter().chain(&list.state_out).chain([&list.gradient]);
    all.map(|sealed| sealed.to_bytes().to_vec()).collect()
}

const ALL: [&str; 6] = ["gradient", "main", "lookups", "quotient", "state before", "state after"];

#[test]
fn equal_values_under_other_secrets_have_no_coin_in_common() {
    let one = example();
    let mut two = example();
    let mut random = Random(82);
    for salt in two.salts.state_in.iter_mut().chain(&mut two.salts.state_out).chain([&mut two.salts.gradient]) {
        *salt = random.secret();
    }
    assert_eq!((&one.states, &one.gradients), (&two.states, &two.gradients));
    let (one, two) = (proof(&one), proof(&two));
    assert!(seen(&one.0, &one.1, &ALL).is_disjoint(&seen(&two.0, &two.1, &ALL)));
    for (a, b) in roots(&one.0).iter().zip(roots(&two.0)) {
        // Root and value; the proofs of work between them are small numbers.
        assert!(a[..32] != b[..32] && a[40..] != b[40..]);
    }
}

#[test]
fn other_values_under_the_same_secrets_have_no_coin_in_common() {
    let one = example();
    let mut two = Example::with(
        CHOICE.statement(Preset::Standard),
        81,
        |element| {
            [one.states[0][element] + i64::from(element == 5), one.states[1][element] + i64::from(element == 6), 0]
        },
        |element, step| (one.gradients[step * PARAMS + element] + i32::from(element == 7 && step == 7)).into(),
    );
    two.salts = one.salts.clone();
    let (one, two) = (proof(&one), proof(&two));
    assert!(seen(&one.0, &one.1, &ALL).is_disjoint(&seen(&two.0, &two.1, &ALL)));
    for (a, b) in roots(&one.0).iter().zip(roots(&two.0)) {
        assert!(a[..32] != b[..32] && a[40..] != b[40..]);
    }
}

#[test]
fn the_same_witness_at_another_place_shares_its_commitments_alone() {
    let one = example();
    let mut two = example();
    two.statement.context[9] ^= 1;
    two.salts = one.salts.clone();
    let (one, two) = (proof(&one), proof(&two));
    assert_eq!(roots(&one.0), roots(&two.0));
    let own = ["main", "lookups", "quotient"];
    assert!(seen(&one.0, &one.1, &own).is_disjoint(&seen(&two.0, &two.1, &own)));
}

#[test]
fn two_parts_of_a_state_with_equal_values_are_not_seen_to_be_equal() {
    let mut random = Random(83);
    let values: Vec<i64> = (0..PARAMS).map(|_| random.signed(44)).collect();
    let zeros = vec![0; PARAMS];
    let mut seen = HashSet::new();
    for values in [&values, &zeros] {
        for _ in 0..4 {
            let sealed = commit(values, &random.secret()).to_bytes();
            assert!(seen.insert(sealed[..32].to_vec()) && seen.insert(sealed[40..].to_vec()));
        }
    }
}
