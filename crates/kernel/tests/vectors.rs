//! Every set of instructions gives the same bits.
//!
//! Compiled for a certain machine, as a checkout is, all of them are that machine's; the Python test of other machines
//! compiles this one for lesser ones. That the bits are the definition's is for the tests in Python.

use zk_autograd_kernel::arch::{NAMES, named};
use zk_autograd_kernel::{Refusal, Source, Stepper, Tensor, rules};

/// A rule's name, the bits of its states, and usual constants.
const RULES: [(&str, &[u32], &[i64]); 6] = [
    ("sgd", &[44], &[0, 1 << 15, 107_374_182, 30, 1074]),
    ("sgd-momentum", &[44, 26], &[29491, 1 << 15, 107_374_182, 30, 1074]),
    ("sgd-nesterov", &[44, 26], &[29491, 1 << 15, 107_374_182, 30, 0]),
    ("adamw", &[44, 28, 60], &[3277, 33, 4_294_967, 687, 1074]),
    ("lion", &[44, 44], &[3277, 328, 4_294_967, 1074]),
    ("rmsprop", &[44, 60], &[328, 4_294_967, 687, 1074]),
];
const SIZES: [usize; 4] = [700, 1, 0, 300];

/// Numbers at random, the same each time (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self, bits: u32) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> (64 - bits)).cast_signed()
    }

    /// A number of at most `bits` bits, of any size.
    fn sized(&mut self, bits: u32) -> i64 {
        let used = 1 + u32::try_from(self.next(16)).expect("16 bits") % bits;
        self.next(used)
    }
}

/// All that a step of `rule` gives: its answer, states, gradients and weights.
type Found = (Result<u64, Refusal>, Vec<Vec<i64>>, Vec<i32>, Vec<Vec<f32>>);

fn step(rule: usize, vectors: &str, seed: u64, spoiled: bool) -> Found {
    let (name, bits, constants) = RULES[rule];
    let mut random = Random(seed);
    let size = SIZES.iter().sum();
    let states: Vec<Vec<i64>> = bits.iter().map(|&b| (0..size).map(|_| random.sized(b)).collect()).collect();
    let tensors = SIZES.iter().map(|&size| Tensor { size, group: 0 }).collect();
    let slices: Vec<_> = states.iter().map(Vec::as_slice).collect();
    let mut stepper = Stepper::new(rules::row(name).expect("a rule"), tensors, &slices).expect("in range");
    let mut gradients: Vec<Vec<f32>> = Vec::new();
    for size in SIZES {
        #[allow(clippy::cast_precision_loss)]
        gradients.push((0..size).map(|_| (random.sized(24) - random.sized(24)) as f32 / (1 << 30) as f32).collect());
    }
    if spoiled {
        gradients[3][299] = f32::NAN;
    }
    let mut weights: Vec<Vec<f32>> = SIZES.iter().map(|&size| vec![0.0; size]).collect();
    let mut kept = vec![0; size];
    stepper.write(&mut weights.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>()).expect("its sizes");
    let source = Source::Model {
        gradients: gradients.iter().map(Vec::as_slice).collect(),
        weights: weights.iter_mut().map(Vec::as_mut_slice).collect(),
        k: 2,
    };
    let answer = stepper.step(source, &mut kept, &[constants], named(vectors).expect("checked"), 1);
    let mut after = states;
    after.iter_mut().enumerate().for_each(|(number, values)| stepper.read(number, values).expect("its size"));
    (answer, after, if spoiled { Vec::new() } else { kept }, weights)
}

#[test]
fn all_sets_of_instructions_give_the_same_bits() {
    let here: Vec<_> = NAMES.into_iter().filter(|name| named(name).is_some()).collect();
    assert!(here.contains(&"scalar"));
    for (rule, (name, ..)) in RULES.iter().enumerate() {
        for seed in 1..40 {
            let wanted = step(rule, "scalar", seed, false);
            assert!(wanted.0.is_ok(), "{name}, seed {seed}");
            let refused = step(rule, "scalar", seed, true);
            assert_eq!(refused.0, Err(Refusal::Step));
            for vectors in &here {
                assert_eq!(step(rule, vectors, seed, false), wanted, "{name} {vectors} {seed}");
                assert_eq!(step(rule, vectors, seed, true), refused, "{name} {vectors} {seed}");
            }
        }
    }
}
