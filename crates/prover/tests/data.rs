//! A commitment to data is masked, salted and sealed as one to a state, and is none to a state.

use p3_field::PrimeCharacteristicRing;
use zk_autograd_air::{Ext, Val};
use zk_autograd_prover::coins::Seed;
use zk_autograd_prover::{commit, commit_data};
use zk_autograd_verifier::Error;
use zk_autograd_verifier::parameters::{LOG_PARAMS, MASK};
use zk_autograd_verifier::range::horner;
use zk_autograd_verifier::sealed::{SEALED_BYTES, Sealed, Sort};

const LOG_CELLS: usize = 13;
const SECRET: [u8; 32] = [7; 32];

fn cells(log_cells: usize) -> Vec<i64> {
    (0..1 << log_cells).map(|place| (place * 7919) % (1 << 22) - (1 << 21)).collect()
}

/// The value that zeros have at a commitment's point, if they are masked by coins of `purpose`.
fn value_of_zeros(purpose: &'static str, point: Ext) -> Ext {
    let zeros = vec![0; 8 << LOG_CELLS];
    let mut coins = Seed::derive(purpose, &[&SECRET, &zeros]).child("mask").stream(0);
    let mask: Vec<Val> = (0..MASK).map(|_| coins.value()).collect();
    (point.exp_power_of_2(LOG_CELLS) - Ext::ONE) * horner(&mask, point)
}

#[test]
fn data_and_a_state_of_the_same_integers_have_other_commitments() {
    let values = cells(LOG_CELLS);
    let (data, state) = (commit_data(&values, &SECRET), commit(&values, &SECRET));
    assert!(data.root != state.root && data.value != state.value);
    assert_eq!(commit_data(&values, &SECRET), data);
    assert_ne!(commit_data(&values, &[8; 32]).root, data.root);
    let mut other = values;
    other[0] += 1;
    assert_ne!(commit_data(&other, &SECRET).root, data.root);
}

/// `tests/prove/native/test_backend.py` has it, too.
const GOLDEN: &str =
    "4345c2af2b42527845e2bb595887062657eeec1b856e8cba2b49120a9deb6727191c0000000000006d869975d1091ef50c779147d5ee188f";

#[test]
fn the_commitment_to_these_cells_is_always_this_one() {
    let digits = |byte: usize| &GOLDEN[2 * byte..2 * byte + 2];
    let golden: Vec<u8> = (0..SEALED_BYTES).map(|byte| u8::from_str_radix(digits(byte), 16).unwrap()).collect();
    assert_eq!(commit_data(&cells(LOG_CELLS), &SECRET).to_bytes().as_slice(), golden);
}

#[test]
fn a_root_has_another_point_as_data_than_as_a_state() {
    let values = cells(LOG_CELLS);
    let log_size = LOG_CELLS + 1;
    for (sealed, own, other) in
        [(commit_data(&values, &SECRET), Sort::Data, Sort::Table), (commit(&values, &SECRET), Sort::Table, Sort::Data)]
    {
        assert!(sealed.point(own, log_size, "it").is_ok());
        // Its proof of work is none for the other label; and where one passes, the point is another.
        assert_eq!(sealed.point(other, log_size, "it"), Err(Error::Commitment("it")));
        let drawn = |sort| Sealed::transcript(sort, &sealed.root, log_size).challenge();
        assert_ne!(drawn(own), drawn(other));
    }
}

#[test]
fn data_are_masked_by_coins_of_their_own() {
    let sealed = commit_data(&vec![0; 1 << LOG_CELLS], &SECRET);
    let point = sealed.point(Sort::Data, LOG_CELLS + 1, "the data").unwrap();
    assert_eq!(sealed.value, value_of_zeros("zk-autograd native data v1", point));
    assert_ne!(sealed.value, value_of_zeros("zk-autograd native state v1", point));
}

#[test]
fn a_shard_of_any_size_that_a_block_may_have_is_committed_to() {
    for log_cells in [*LOG_PARAMS.start(), 16] {
        let sealed = commit_data(&cells(log_cells), &SECRET);
        assert!(sealed.point(Sort::Data, log_cells + 1, "the data").is_ok());
        assert!(Sealed::from_bytes(&sealed.to_bytes()).is_ok_and(|read| read == sealed));
    }
}
