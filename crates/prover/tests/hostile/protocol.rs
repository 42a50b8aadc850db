//! Lies between the messages: lookups that don't balance, commitments to something else, polynomials that are too long, words that
//! are none, work that isn't done.

use p3_field::{Field, PrimeCharacteristicRing};
use zk_autograd_air::{Ext, Rule, Val};
use zk_autograd_prover::coins::Seed;
use zk_autograd_prover::commit;
use zk_autograd_prover::state::{States, seal};
use zk_autograd_prover::tamper::Tamper;
use zk_autograd_prover::tree::Tree;
use zk_autograd_prover::words::{Dft, Polynomials, Words, padded};
use zk_autograd_verifier::fri::SHIFT;
use zk_autograd_verifier::parameters::MASK;
use zk_autograd_verifier::range::horner;
use zk_autograd_verifier::sealed::{Sealed, Sort};
use zk_autograd_verifier::{Commitments, Error, Preset, Shape, fri, verify};

use crate::forged::{Forged, forge, judge, prove_forged};
use crate::support::{Choice, Example};

type Both<'a> = Option<Box<dyn Fn(&mut States, &mut States) + Sync + 'a>>;
type Hook<'a, T> = Option<Box<dyn Fn(&mut T) + Sync + 'a>>;
type Hook2<'a, T, U> = Option<Box<dyn Fn(&mut T, U) + Sync + 'a>>;

/// A prover that lies where it is told to, and doesn't check itself.
#[derive(Default)]
struct Liar<'a> {
    committed: Both<'a>,
    polynomials: Hook<'a, Polynomials>,
    commitments: Hook<'a, Commitments>,
    lazy: Option<&'static str>,
    lookups: Hook<'a, [Val]>,
    quotient: Hook<'a, Words>,
    out_of_domain: Hook2<'a, [Ext], Ext>,
    layer: Hook2<'a, [Ext], usize>,
    final_polynomial: Hook<'a, [Ext]>,
}

impl Tamper for Liar<'_> {
    fn checks(&self) -> bool {
        false
    }
    fn committed(&self, lines: &mut [States]) {
        if let (Some(lie), [before, after]) = (&self.committed, lines) {
            lie(before, after);
        }
    }
    fn polynomials(&self, round: usize, polynomials: &mut Polynomials) {
        if let (Some(lie), 0) = (&self.polynomials, round) {
            lie(polynomials);
        }
    }
    fn commitments(&self, sealed: &mut [Sealed]) {
        if let Some(lie) = &self.commitments {
            let mut commitments = Commitments::from_tree_order(sealed).unwrap();
            lie(&mut commitments);
            sealed.copy_from_slice(&commitments.in_tree_order());
        }
    }
    fn works(&self, before: &'static str) -> bool {
        self.lazy != Some(before)
    }
    fn columns(&self, _round: usize, values: &mut [Val]) {
        if let Some(lie) = &self.lookups {
            lie(values);
        }
    }
    fn quotient(&self, parts: &mut Words) {
        if let Some(lie) = &self.quotient {
            lie(parts);
        }
    }
    fn out_of_domain(&self, values: &mut [Ext], point: Ext) {
        if let Some(lie) = &self.out_of_domain {
            lie(values, point);
        }
    }
    fn layer(&self, number: usize, word: &mut [Ext]) {
        if let Some(lie) = &self.layer {
            lie(word, number);
        }
    }
    fn final_polynomial(&self, coefficients: &mut [Ext]) {
        if let Some(lie) = &self.final_polynomial {
            lie(coefficients);
        }
    }
}

const CHOICE: Choice =
    Choice { rule: Rule::SgdMomentum, s: 30, decay: false, first: false, log_params: 13, steps: 8, no_ops: 0 };

fn example() -> Example {
    Example::new(&CHOICE, Preset::Standard, 21)
}

fn honest(example: &Example) -> Forged {
    forge(example, |_, _, _| None)
}

fn told(example: &Example, liar: &Liar<'_>) -> Result<(), Error> {
    judge(example, honest(example), liar)
}

/// A prover that only skips its own checks is still an honest one: what follows is refused for its lies.
#[test]
fn without_a_lie_the_proof_verifies() {
    let example = example();
    assert_eq!(told(&example, &Liar::default()), Ok(()));
}

#[test]
fn multiplicities_are_those_of_the_values() {
    let example = example();
    let multiplicity = example.statement.shape.main - 1;
    // As many lookups in all, and one of another entry: 65,536 would be as good as any value.
    let mut forged = honest(&example);
    let width = forged.trace.width;
    forged.trace.values[5 * width + multiplicity] += Val::ONE;
    forged.trace.values[6 * width + multiplicity] -= Val::ONE;
    assert_eq!(judge(&example, forged, &Liar::default()), Err(Error::Relations));
    // A value outside the table, and a multiplicity that makes up for it at a challenge that the prover hoped for.
    let mut forged = honest(&example);
    let hoped = Val::from_u64(0x1234_5678_9abc);
    let limb = example.statement.air.columns().iter().position(|name| *name == "u1").unwrap();
    let outside = Val::from_u64(1 << 20);
    let inside = forged.trace.values[limb];
    forged.trace.values[limb] = outside;
    // 1 / (hoped + outside) - 1 / (hoped + inside) = change / (hoped + 0)
    forged.trace.values[multiplicity] += hoped * ((hoped + outside).inverse() - (hoped + inside).inverse());
    assert_eq!(judge(&example, forged, &Liar::default()), Err(Error::Relations));
}

#[test]
fn the_running_sum_closes() {
    let example = example();
    let shape = &example.statement.shape;
    let (width, sum) = (padded(2 * (shape.helpers + 1)), 2 * shape.helpers);
    let shifted = |from: usize, to: usize| Liar {
        lookups: Some(Box::new(move |values: &mut [Val]| {
            for row in values.chunks_exact_mut(width).take(to).skip(from) {
                row[sum] += Val::ONE;
            }
        })),
        ..Liar::default()
    };
    // A sum that goes around may begin anywhere.
    assert_eq!(told(&example, &shifted(0, usize::MAX)), Ok(()));
    // A jump between two rows, or between the last and the first, would make up for any value outside the table.
    assert_eq!(told(&example, &shifted(1000, usize::MAX)), Err(Error::Relations));
    // Two helpers of a row that make up for each other: only their own relations see it.
    let helpers = Liar {
        lookups: Some(Box::new(move |values: &mut [Val]| {
            values[100 * width] += Val::ONE;
            values[100 * width + 2] -= Val::ONE;
        })),
        ..Liar::default()
    };
    assert_eq!(told(&example, &helpers), Err(Error::Relations));
}

#[test]
fn the_states_are_tied_to_the_rows() {
    struct Untied(usize, bool);
    impl Tamper for Untied {
        fn checks(&self) -> bool {
            false
        }
        fn states(&self, before: &mut [Vec<i64>], after: &mut [Vec<i64>]) {
            if self.1 { after[self.0][4321] += 1 } else { before[self.0][4321] += 1 }
        }
    }
    // A state before or after that is not the trace's: weights from nowhere. With one step, too, where every row is first and last.
    let one = Choice { rule: Rule::Sgd, log_params: 16, steps: 1, ..CHOICE };
    for (choice, states) in [(CHOICE, 2), (one, 1)] {
        let example = Example::new(&choice, Preset::Standard, 21);
        for state in 0..states {
            for after in [false, true] {
                let verdict = judge(&example, honest(&example), &Untied(state, after));
                assert_eq!(verdict, Err(Error::Relations), "{state} {after}");
            }
        }
    }
}

/// Adds `factor (X^N - 1) X^power` to a state: the same values, other words.
fn lengthen(states: &mut States, state: usize, shape: &Shape, power: u64, factor: Val) {
    let (params, log_size) = (1_u64 << shape.lengths.log_params, shape.lengths.log_state_words());
    let width = states.words.width;
    let coefficients = &mut states.coefficients[state];
    coefficients.resize(usize::try_from(params + power).unwrap() + 1, Val::ZERO);
    coefficients[usize::try_from(params + power).unwrap()] += factor;
    coefficients[usize::try_from(power).unwrap()] -= factor;
    for index in 0..1 << log_size {
        let x = SHIFT * fri::point(index, log_size);
        let own = factor * x.exp_u64(power) * (x.exp_u64(params) - Val::ONE);
        states.words.halves[index >> shape.lengths.log_params]
            [(index & ((1 << shape.lengths.log_params) - 1)) * width + state] += own;
    }
    commit_again(states, state, log_size);
}

/// The tree and seal of a state whose words and coefficients have changed.
fn commit_again(states: &mut States, state: usize, log_size: usize) {
    let words = &states.words;
    let salts = Seed::derive("zk-autograd tests", &[b"salts"]);
    let tree = Tree::new(1 << log_size, 1, Some(salts), |index, out| out[0] = words.row(index)[state]);
    states.sealed[state] = seal(Sort::Table, tree.root(), log_size, |point| horner(&states.coefficients[state], point));
    states.trees[state] = tree;
}

#[test]
fn a_state_that_is_too_long_is_none() {
    let example = example();
    let shape = &example.statement.shape;
    let factor = Val::from_u64(0x00ab_cdef);
    // N + MASK coefficients are enforced for this block exactly, and the division by x - z allows one more. A longer one would be
    // near no single polynomial, and its values after the segment anybody's guess.
    assert_eq!(shape.lengths.enforced_length() >> shape.lengths.log_steps, (1 << 13) + MASK);
    for (extra, verdict) in [(0, Ok(())), (1, Err(Error::FinalPolynomial))] {
        let power = MASK as u64 + extra;
        let liar = Liar {
            // All of them: this prover knows one length of states.
            committed: Some(Box::new(move |before, after| {
                for state in 0..2 {
                    lengthen(before, state, shape, power, factor);
                    lengthen(after, state, shape, power, factor);
                }
            })),
            ..Liar::default()
        };
        assert_eq!(told(&example, &liar), verdict, "{extra}");
    }
}

#[test]
fn a_column_that_is_too_long_is_none() {
    let example = example();
    let shape = &example.statement.shape;
    let rows = 1_usize << shape.lengths.log_rows();
    for (extra, verdict) in [(0, Ok(())), (1, Err(Error::FinalPolynomial))] {
        // W stands in no product, so that the quotient stays short.
        let power = shape.lengths.enforced_length() - rows + extra;
        let liar = Liar {
            polynomials: Some(Box::new(move |polynomials| {
                let width = polynomials.low.width;
                polynomials.high.resize((power + 1) * width, Val::ZERO);
                polynomials.high[power * width] += Val::ONE;
                polynomials.low.values[power * width] -= Val::ONE;
            })),
            ..Liar::default()
        };
        assert_eq!(told(&example, &liar), verdict, "{extra}");
    }
}

#[test]
fn a_committed_word_is_that_of_a_polynomial() {
    let example = example();
    let shape = &example.statement.shape;
    // Half of the word from one state, half from another: near two codewords, either of which a later proof could go on from.
    let liar = Liar {
        committed: Some(Box::new(|before, after| {
            after.words.halves[1].clone_from(&before.words.halves[1]);
            for state in 0..2 {
                commit_again(after, state, shape.lengths.log_state_words());
            }
        })),
        ..Liar::default()
    };
    assert_eq!(told(&example, &liar), Err(Error::FinalPolynomial));
    // The low-degree test of one codeword, the openings of another.
    let liar = Liar {
        committed: Some(Box::new(|before, after| {
            for (own, other) in after.trees.iter_mut().zip(&mut before.trees) {
                core::mem::swap(own, other);
            }
        })),
        ..Liar::default()
    };
    assert_eq!(told(&example, &liar), Err(Error::Opening("state before")));
    // The quotient's words, one of them a constant too high: the values that go with them break the identity.
    let liar = Liar {
        quotient: Some(Box::new(|parts| {
            for half in &mut parts.halves {
                half.iter_mut().step_by(parts.width).for_each(|value| *value += Val::ONE);
            }
        })),
        ..Liar::default()
    };
    assert_eq!(told(&example, &liar), Err(Error::Relations));
}

#[test]
fn a_seal_is_the_polynomials_own_value() {
    let example = example();
    // The value of the codeword that the liar will go on from, in the proof of the one that it comes from.
    let states = |after: bool| Liar {
        committed: Some(Box::new(move |own, other| {
            let states = if after { other } else { own };
            states.sealed[1].value += Ext::ONE;
        })),
        ..Liar::default()
    };
    assert_eq!(told(&example, &states(false)), Err(Error::FinalPolynomial));
    assert_eq!(told(&example, &states(true)), Err(Error::FinalPolynomial));
    // The same for gradients, which no other proof reads today.
    let gradient = Liar { commitments: Some(Box::new(|all| all.gradient.value += Ext::ONE)), ..Liar::default() };
    assert_eq!(told(&example, &gradient), Err(Error::FinalPolynomial));
}

#[test]
fn a_commitment_is_of_its_own_height() {
    let example = example();
    let shape = &example.statement.shape;
    let log_size = shape.lengths.log_state_words();
    let dft = Dft::default();
    let values = vec![7_i64; 2 << shape.lengths.log_params];
    let tall = States::new(&dft, &[(&values, &[9; 32])], MASK);
    // The seal of a block twice as large: its point is another.
    let sealed = tall.sealed[0];
    let liar = Liar { commitments: Some(Box::new(move |all| all.state_out[0] = sealed)), ..Liar::default() };
    assert_eq!(told(&example, &liar), Err(Error::Commitment("of a state after the segment")));
    // Its root with a seal for this height: the paths are longer.
    let liar = Liar {
        committed: Some(Box::new(|_, after| {
            let tall = States::new(&dft, &[(&values, &[9; 32])], MASK);
            after.trees[0] = tall.trees.into_iter().next().unwrap();
            let coefficients = &after.coefficients[0];
            after.sealed[0] = seal(Sort::Table, after.trees[0].root(), log_size, |point| horner(coefficients, point));
        })),
        ..Liar::default()
    };
    assert_eq!(told(&example, &liar), Err(Error::Opening("state after")));
}

#[test]
fn the_values_outside_the_domain_are_the_polynomials() {
    let example = example();
    let shape = &example.statement.shape;
    let quotient = shape.main + shape.gradient + shape.helpers + 1;
    let places = [
        ("a column", 1),
        ("the multiplicities", shape.main - 1),
        ("the gradient", shape.main),
        ("a helper", shape.main + shape.gradient),
        ("the sum", quotient - 1),
        ("a part of the quotient", quotient + 1),
        ("a state one row on", quotient + 3),
        ("the sum one row on", quotient + 2 + shape.states),
        ("a state before", quotient + 3 + shape.states),
        ("a state after", quotient + 3 + 2 * shape.states),
    ];
    for (name, place) in places {
        let liar =
            Liar { out_of_domain: Some(Box::new(move |values, _| values[place] += Ext::ONE)), ..Liar::default() };
        assert_eq!(told(&example, &liar), Err(Error::Relations), "{name}");
    }
    // Two lies that the identity doesn't see: any identity at all could be had. They are no values of short polynomials.
    let log_rows = shape.lengths.log_rows();
    let liar = Liar {
        out_of_domain: Some(Box::new(move |values, point: Ext| {
            values[quotient] += point.exp_power_of_2(log_rows);
            values[quotient + 1] -= Ext::ONE;
        })),
        ..Liar::default()
    };
    assert_eq!(told(&example, &liar), Err(Error::FinalPolynomial));
}

#[test]
fn each_fold_is_of_the_word_before() {
    // Another polynomial, of low degree, in the place of a layer: without the check between layers anything is short.
    for choice in [CHOICE, Choice { rule: Rule::Sgd, log_params: 16, steps: 1, ..CHOICE }] {
        let example = Example::new(&choice, Preset::Standard, 21);
        for lied in 0..example.statement.shape.lengths.folds.len() {
            let liar = Liar {
                layer: Some(Box::new(move |word, number| {
                    for value in word.iter_mut().filter(|_| number == lied) {
                        *value += Ext::ONE;
                    }
                })),
                ..Liar::default()
            };
            assert_eq!(told(&example, &liar), Err(Error::Fold(lied)));
        }
        let last = Liar { final_polynomial: Some(Box::new(|list| list[0] += Ext::ONE)), ..Liar::default() };
        assert_eq!(told(&example, &last), Err(Error::FinalPolynomial));
    }
}

#[test]
fn no_work_is_left_out() {
    // Each would make its challenge as cheap to draw again as a hash.
    let example = example();
    for before in ["of the lookups", "of the point", "of the batch", "of a fold", "of the queries"] {
        let liar = Liar { lazy: Some(before), ..Liar::default() };
        assert_eq!(told(&example, &liar), Err(Error::ProofOfWork(before)));
    }
    let idle = |change: fn(&mut Commitments)| Liar { commitments: Some(Box::new(change)), ..Liar::default() };
    let verdicts = [
        (idle(|all| all.gradient.work = Val::NEG_ONE), "of the gradient"),
        (idle(|all| all.state_in[1].work = Val::NEG_ONE), "of a state before the segment"),
        (idle(|all| all.state_out[1].work = Val::NEG_ONE), "of a state after the segment"),
    ];
    for (liar, name) in verdicts {
        assert_eq!(told(&example, &liar), Err(Error::Commitment(name)));
    }
}

#[test]
fn a_first_moment_that_is_not_zero_shows() {
    // A run that begins with momentum of its own choice: the proof is right, and its commitment is not that of zeros, which
    // whoever judges the first segment makes again from the published salt.
    let own = example();
    let begun =
        Example::with(CHOICE.statement(Preset::Standard), 21, |element| [own.states[0][element], 0, 0], |_, _| 5);
    let moved = Example::with(
        CHOICE.statement(Preset::Standard),
        21,
        |element| [own.states[0][element], i64::from(element == 8000), 0],
        |_, _| 5,
    );
    let zeros = commit(&vec![0; 1 << CHOICE.log_params], &begun.salts.state_in[1]);
    for (example, same) in [(begun, true), (moved, false)] {
        let proof = prove_forged(&example, honest(&example), &Liar::default());
        assert_eq!(verify(&example.statement, &proof.commitments, &proof.bytes), Ok(()));
        assert_eq!(proof.commitments.state_in[1] == zeros, same);
    }
}
