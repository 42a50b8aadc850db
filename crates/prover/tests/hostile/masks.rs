//! What somebody learns who reads the proofs, and has a guess at the witness.
//!
//! Each distinguisher is shown to work where masks are missing or too short, and then to fail on proofs as they are.

use std::collections::HashSet;
use std::sync::Mutex;

use p3_dft::TwoAdicSubgroupDft;
use p3_field::{Field, PrimeCharacteristicRing, PrimeField64, batch_multiplicative_inverse};
use p3_matrix::dense::RowMajorMatrix;
use p3_util::reverse_bits_len;
use zk_autograd_air::{Rule, Val};
use zk_autograd_prover::prove::prove_tampered;
use zk_autograd_prover::state::States;
use zk_autograd_prover::tamper::Tamper;
use zk_autograd_prover::words::{Dft, Polynomials, Words};
use zk_autograd_prover::{Masking, Progress, Proof, commit, commit_all, prove};
use zk_autograd_verifier::fri::SHIFT;
use zk_autograd_verifier::parameters::MASK;
use zk_autograd_verifier::{Preset, fri};

use crate::forged::forge;
use crate::support::anatomy::{Anatomy, Opening};
use crate::support::{Choice, Example, Random};

const CHOICE: Choice =
    Choice { rule: Rule::SgdMomentum, s: 30, decay: false, first: false, log_params: 13, steps: 8, no_ops: 0 };
const PARAMS: usize = 1 << 13;

/// Weights that are all the same, and don't move.
fn still(weight: i64) -> Example {
    Example::with(CHOICE.statement(Preset::Standard), 41, |_| [weight, 0, 0], |_, _| 0)
}

fn proof(example: &Example, masking: Masking) -> (Proof, Anatomy) {
    let proof = prove(&example.statement, &example.witness(), masking, &Progress::default()).unwrap();
    let anatomy = Anatomy::of(&example.statement, &proof.commitments, &proof.bytes);
    (proof, anatomy)
}

fn opened(proof: &Proof, opening: &Opening) -> Vec<Val> {
    (0..opening.indices.len()).flat_map(|number| opening.values(&proof.bytes, number)).collect()
}

/// Chi-squared of the values' highest four bits, which has 15 degrees of freedom: 60 is passed with probability 2e-7.
fn unevenness(values: &[Val]) -> f64 {
    let mut counts = [0_u32; 16];
    for value in values {
        counts[usize::try_from(value.as_canonical_u64() >> 60).unwrap()] += 1;
    }
    let expected = f64::from(u32::try_from(values.len()).unwrap()) / 16.0;
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

#[test]
fn opened_values_are_uniform_whatever_the_witness() {
    for example in [still(0), still(1 << 44), Example::new(&CHOICE, Preset::Standard, 42)] {
        let (masked, anatomy) = proof(&example, Masking::Full);
        for opening in &anatomy.openings {
            let chi = unevenness(&opened(&masked, opening));
            assert!(chi < 60.0, "{}: {chi}", opening.name);
        }
        let (_, range) = anatomy.messages.iter().find(|(name, _)| *name == "final polynomial").unwrap();
        let words = masked.bytes[range.clone()].chunks_exact(8);
        let words: Vec<Val> = words.map(|word| Val::from_u64(u64::from_le_bytes(word.try_into().unwrap()))).collect();
        let chi = unevenness(&words);
        assert!(chi < 60.0, "the final polynomial: {chi}");
    }
    // Without masks it can be seen that nothing moves.
    let (bare, anatomy) = proof(&still(0), Masking::Off);
    for name in ["gradient", "main", "lookups", "state before", "state after"] {
        let chi = unevenness(&opened(&bare, anatomy.opening(name, 0)));
        assert!(chi > 300.0, "{name}: {chi}");
    }
}

/// How many opened values of a state are those of the unmasked polynomial through `guess`.
fn agreement(proof: &Proof, opening: &Opening, guess: &[i64]) -> usize {
    let words = States::new(&Dft::default(), &[(guess, &[0; 32])], 0).words;
    let indices = opening.indices.iter().enumerate();
    indices.filter(|(number, index)| opening.values(&proof.bytes, *number)[0] == words.row(**index)[0]).count()
}

#[test]
fn a_guess_of_the_weights_can_not_be_held_against_a_proof() {
    let example = Example::new(&CHOICE, Preset::Standard, 43);
    let other = Example::new(&CHOICE, Preset::Standard, 44);
    let guesses = [&example, &other].map(|example| &example.states[0][..PARAMS]);
    let (bare, anatomy) = proof(&example, Masking::Off);
    let opening = anatomy.opening("state before", 0);
    assert_eq!(guesses.map(|guess| agreement(&bare, opening, guess)), [opening.indices.len(), 0]);
    let (masked, anatomy) = proof(&example, Masking::Full);
    assert_eq!(guesses.map(|guess| agreement(&masked, anatomy.opening("state before", 0), guess)), [0, 0]);
}

/// Whether values at points fit a polynomial through `guess` with some mask of `mask` coefficients: needs `mask + 1` points.
fn fits(points: &[usize], values: &[Val], guess: &[i64], mask: usize) -> bool {
    let log_size = PARAMS.trailing_zeros() as usize + 1;
    let words = States::new(&Dft::default(), &[(guess, &[0; 32])], 0).words;
    let (points, values) = (&points[..=mask], &values[..=mask]);
    let xs: Vec<Val> = points.iter().map(|index| SHIFT * fri::point(*index, log_size)).collect();
    // The mask's values; its divided difference over mask + 1 points is zero.
    let mut total = Val::ZERO;
    for (i, x) in xs.iter().enumerate() {
        let own = (values[i] - words.row(points[i])[0]) * (x.exp_u64(PARAMS as u64) - Val::ONE).inverse();
        let differences: Vec<Val> =
            xs.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| *x - *other).collect();
        total += batch_multiplicative_inverse(&differences).into_iter().fold(own, |product, factor| product * factor);
    }
    total == Val::ZERO
}

#[test]
fn a_mask_is_longer_than_all_that_is_opened_of_it() {
    // With a mask of 40 coefficients 41 values tell a guess from another.
    let mut random = Random(45);
    let [guess, other]: [Vec<i64>; 2] = core::array::from_fn(|_| (0..PARAMS).map(|_| random.signed(44)).collect());
    let short = States::new(&Dft::default(), &[(&guess, &[1; 32])], 40).words;
    let points: Vec<usize> = (0..60).map(|i| i * 269).collect();
    let values: Vec<Val> = points.iter().map(|index| short.row(*index)[0]).collect();
    assert!(fits(&points, &values, &guess, 40));
    assert!(!fits(&points, &values, &other, 40));

    // Two proofs in a chain open one state: after the first segment, before the second. Each value of the extension tells two.
    let first = Example::new(&CHOICE, Preset::Strict, 46);
    let mut second = Example::with(
        CHOICE.statement(Preset::Strict),
        47,
        |element| core::array::from_fn(|state| first.states.get(state).map_or(0, |s| s[s.len() - PARAMS + element])),
        |_, _| random.signed(22),
    );
    second.salts.state_in = first.salts.state_out.clone();
    second.statement.context[0] ^= 1;
    let ((one, before), (two, after)) = (proof(&first, Masking::Full), proof(&second, Masking::Full));
    assert_eq!(one.commitments.state_out, two.commitments.state_in);
    for state in 0..2 {
        let indices = [before.opening("state after", state), after.opening("state before", state)];
        let known: HashSet<usize> = indices.iter().flat_map(|opening| opening.indices.iter().copied()).collect();
        let outside = 2 + 2 + 2;
        // And once for each query the quotient tells a sum of values one row on, where that row is opened, too.
        assert!(known.len() > MASK / 2 && known.len() + outside + 40 <= MASK, "{}", known.len());
    }
    // A column of the rows is opened at each query, seen through the quotient one row before each, and at two points outside.
    assert!(2 * before.indices.len() + 4 <= MASK);
}

/// Keeps the masks of the trace's columns, and the coefficients of the quotient's parts and the batch's mask.
#[derive(Default)]
struct Watch {
    columns: Mutex<(Vec<Val>, usize)>,
    quotient: Mutex<(Vec<Val>, usize)>,
}

impl Tamper for Watch {
    fn polynomials(&self, round: usize, polynomials: &mut Polynomials) {
        if round == 0 {
            *self.columns.lock().unwrap() = (polynomials.high.clone(), polynomials.low.width);
        }
    }
    fn quotient(&self, parts: &mut Words) {
        let log_size = parts.log_half + 1;
        let rows = (0..1 << log_size).flat_map(|row| parts.row(reverse_bits_len(row, log_size)).iter().copied());
        let values = RowMajorMatrix::new(rows.collect(), parts.width);
        *self.quotient.lock().unwrap() = (Dft::default().coset_idft_batch(values, SHIFT).values, parts.width);
    }
}

fn watched(example: &Example) -> Watch {
    let watch = Watch::default();
    let trace = forge(example, |_, _, _| None).trace;
    prove_tampered(&example.statement, &example.witness(), trace, &watch).unwrap();
    watch
}

/// The mask of each column of the trace, gradient last.
fn masks(example: &Example) -> Vec<Vec<Val>> {
    let (high, width) = watched(example).columns.into_inner().unwrap();
    let shape = &example.statement.shape;
    // The column of multiplicities stands before the gradient's.
    (0..shape.main + shape.gradient).map(|column| high.iter().skip(column).step_by(width).copied().collect()).collect()
}

#[test]
fn the_quotient_is_split_at_random_and_the_batch_is_masked_in_full() {
    let example = still(0);
    let shape = &example.statement.shape;
    let mut elsewhere = still(0);
    elsewhere.statement.context[5] ^= 1;
    let rows = 1_usize << shape.lengths.log_rows();
    let [own, other] = [&example, &elsewhere].map(|example| {
        let (coefficients, width) = watched(example).quotient.into_inner().unwrap();
        let column = |column| coefficients.iter().skip(column).step_by(width).copied().collect::<Vec<Val>>();
        (0..6).map(column).collect::<Vec<_>>()
    });
    let random = |column: usize, from: usize, to: usize| {
        let (own, other) = (&own[column], &other[column]);
        assert!(own[from..to].iter().zip(&other[from..to]).all(|(one, two)| *one != Val::ZERO && one != two));
        assert!(own[to..].iter().all(|coefficient| *coefficient == Val::ZERO), "{column}");
    };
    // X^n b in the first part, the batch's mask as long as anything that the low-degree test lets pass.
    random(0, rows, rows + MASK);
    random(1, rows, rows + MASK);
    random(4, 0, shape.lengths.enforced_length());
    random(5, 0, shape.lengths.enforced_length());
}

#[test]
fn no_coin_masks_two_values() {
    let example = Example::new(&CHOICE, Preset::Standard, 48);
    let own = masks(&example);
    let gradient = example.statement.shape.main;
    assert!(own.iter().all(|mask| mask.len() == MASK));
    let all: HashSet<Val> = own.iter().flatten().copied().collect();
    assert_eq!(all.len(), own.len() * MASK, "two columns share coins");

    let differ = |mine: &[Vec<Val>], theirs: &[Vec<Val>]| {
        mine.iter().zip(theirs).all(|(one, two)| one.iter().zip(two).all(|(one, two)| one != two))
    };
    // The same witness and salts in another place: the gradient is committed to in the same way, all else differs.
    let mut elsewhere = Example::new(&CHOICE, Preset::Standard, 48);
    elsewhere.statement.context[5] ^= 1;
    let other = masks(&elsewhere);
    assert!(differ(&own[..gradient], &other[..gradient]));
    assert_eq!(own[gradient..], other[gradient..]);
    // The same salts and place, one gradient another: a difference of openings must not be one of values.
    let mut changed = Example::with(
        CHOICE.statement(Preset::Standard),
        48,
        |element| [example.states[0][element], example.states[1][element], 0],
        |element, step| (example.gradients[step * PARAMS + element] + i32::from(element == 17 && step == 3)).into(),
    );
    changed.salts = example.salts.clone();
    assert!(differ(&own, &masks(&changed)));
    // The same salts, another preset: other queries.
    let mut strict = Example::new(&CHOICE, Preset::Strict, 48);
    strict.salts = example.salts.clone();
    assert!(differ(&own[..gradient], &masks(&strict)[..gradient]));
}

#[test]
fn states_are_masked_by_their_salt_and_their_values() {
    let mut random = Random(49);
    let values: Vec<i64> = (0..PARAMS).map(|_| random.signed(44)).collect();
    let mut other = values.clone();
    other[PARAMS - 1] += 1;
    let (one, two) = ([1; 32], [2; 32]);
    // Equal values can't be seen to be equal.
    let commitments = [commit(&values, &one), commit(&values, &two), commit(&other, &one)];
    for (i, a) in commitments.iter().enumerate() {
        for b in &commitments[..i] {
            assert!(a.root != b.root && a.value != b.value);
        }
    }
    assert_eq!(commit(&values, &one), commitments[0]);
    // The same salt for other values: every coin is another.
    let dft = Dft::default();
    let states = States::new(&dft, &[(&values, &one), (&other, &one), (&values, &two)], MASK);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let (a, b) = (&states.coefficients[a][PARAMS..], &states.coefficients[b][PARAMS..]);
        assert!(a.len() == MASK && a.iter().zip(b).all(|(a, b)| a != b));
    }
    // Committed together or alone, it is the same commitment.
    assert_eq!(states.sealed[0], commitments[0]);
}

#[test]
fn states_are_committed_to_together_as_one_by_one() {
    let mut random = Random(50);
    let zeros = vec![0; PARAMS];
    let values: Vec<Vec<i64>> = (0..10)
        .map(|i| if i % 3 == 1 { zeros.clone() } else { (0..PARAMS).map(|_| random.signed(44)).collect() })
        .collect();
    let secrets: Vec<_> = (0..10).map(|i| [i; 32]).collect();
    let states: Vec<_> = values.iter().map(Vec::as_slice).zip(&secrets).collect();
    let alone: Vec<_> = states.iter().map(|(values, secret)| commit(values, secret)).collect();
    for count in [0, 1, 2, 8, 9, 10] {
        assert_eq!(commit_all(&states[..count]), alone[..count]);
    }
    // `commit` is `commit_all` of one, so one of them is held against what a proof's states are made by.
    let states: Vec<_> = states[..3].to_vec();
    assert_eq!(States::new(&Dft::default(), &states, MASK).sealed, alone[..3]);
}

#[test]
fn no_salt_of_a_leaf_is_used_twice() {
    let (masked, anatomy) = proof(&Example::new(&CHOICE, Preset::Standard, 50), Masking::Full);
    let mut seen = HashSet::new();
    let mut count = 0;
    for opening in anatomy.openings.iter().filter(|opening| opening.salt > 0) {
        for number in 0..opening.indices.len() {
            let end = opening.row(number).end;
            seen.insert(&masked.bytes[end..end + opening.salt]);
            count += 1;
        }
    }
    assert_eq!(seen.len(), count);
}
