//! Proofs and statements that were changed on the way.

use std::sync::OnceLock;

use zk_autograd_air::{Rule, StepConstants, Variant, field::ORDER};
use zk_autograd_prover::{Masking, Progress, Proof, prove};
use zk_autograd_verifier::sealed::{SEALED_BYTES, Sealed};
use zk_autograd_verifier::{Commitments, Error, Preset, Statement, verify};

use crate::support::anatomy::Anatomy;
use crate::support::{Choice, Example, Random};

const CHOICE: Choice =
    Choice { rule: Rule::SgdMomentum, s: 30, decay: true, first: false, log_params: 13, steps: 8, no_ops: 1 };

struct Small {
    statement: Statement,
    proof: Proof,
    anatomy: Anatomy,
}

/// A proof that verifies.
fn small() -> &'static Small {
    static SMALL: OnceLock<Small> = OnceLock::new();
    SMALL.get_or_init(|| {
        let example = Example::new(&CHOICE, Preset::Standard, 31);
        let proof = prove(&example.statement, &example.witness(), Masking::Full, &Progress::default()).unwrap();
        assert_eq!(verify(&example.statement, &proof.commitments, &proof.bytes), Ok(()));
        let anatomy = Anatomy::of(&example.statement, &proof.commitments, &proof.bytes);
        Small { statement: example.statement, proof, anatomy }
    })
}

fn with(bytes: &[u8]) -> Result<(), Error> {
    verify(&small().statement, &small().proof.commitments, bytes)
}

fn flipped(at: usize) -> Result<(), Error> {
    let mut bytes = small().proof.bytes.clone();
    bytes[at] ^= 1;
    with(&bytes)
}

#[test]
fn each_message_is_bound_by_the_work_after_it() {
    // Messages that challenges don't depend on could be chosen after them.
    let next = [
        ("main root", "of the lookups"),
        ("work of the lookups", "of the lookups"),
        ("lookups root", "of the point"),
        ("quotient root", "of the point"),
        ("work of the point", "of the point"),
        ("out-of-domain values", "of the batch"),
        ("work of the batch", "of the batch"),
        ("layer root", "of a fold"),
        ("work of a fold", "of a fold"),
        ("final polynomial", "of the queries"),
        ("work of the queries", "of the queries"),
    ];
    for (name, range) in &small().anatomy.messages {
        let before = next.iter().find(|(message, _)| message == name).unwrap().1;
        for at in range.clone().step_by(16) {
            assert_eq!(flipped(at), Err(Error::ProofOfWork(before)), "{name} {at}");
        }
    }
}

#[test]
fn each_opening_leads_to_its_root() {
    for opening in &small().anatomy.openings {
        let refused = Err(Error::Opening(opening.name));
        let count = opening.indices.len();
        for number in [0, count / 2, count - 1] {
            let row = opening.row(number);
            assert_eq!(flipped(row.start), refused);
            assert_eq!(flipped(row.end - 8), refused);
            if opening.salt > 0 {
                assert_eq!(flipped(row.end), refused);
                assert_eq!(flipped(row.end + opening.salt - 1), refused);
            }
        }
        if !opening.siblings.is_empty() {
            assert_eq!(flipped(opening.siblings.start), refused);
            assert_eq!(flipped(opening.siblings.end - 1), refused);
        }
    }
}

#[test]
fn every_byte_of_a_proof_matters() {
    // A prime stride meets every place of a row.
    for at in (0..small().proof.bytes.len()).step_by(307) {
        assert!(flipped(at).is_err(), "{at}");
    }
}

#[test]
fn no_change_makes_the_verifier_panic() {
    let own = small();
    let mut random = Random(32);
    let mut below = |bound: usize| usize::try_from(random.next() % bound as u64).unwrap();
    let header = own.anatomy.openings[0].rows.start;
    for round in 0..400 {
        let mut bytes = own.proof.bytes.clone();
        // Half of the changes come after the last proof of work, where most of the verifier's own work is.
        let from = if round % 2 == 0 { header + below(bytes.len() - header) } else { below(bytes.len()) };
        let length = (1 << below(12)).min(bytes.len() - from);
        match round % 5 {
            0 => bytes[from..from + length].fill(0),
            1 => bytes[from..from + length].fill(0xff),
            2 => _ = bytes.drain(from..from + length),
            3 => bytes.copy_within(..length, from),
            _ => {
                let copy = bytes[from..from + length].to_vec();
                bytes.splice(from..from, copy);
            }
        }
        assert!(with(&bytes).is_err(), "{round}");
    }
    assert_eq!(with(&[]), Err(Error::Length));
}

#[test]
fn a_proof_has_one_length() {
    let bytes = &small().proof.bytes;
    let ends = small().anatomy.messages.iter().map(|(_, range)| range.end);
    let openings = small().anatomy.openings.iter().flat_map(|opening| [opening.rows.end, opening.siblings.end]);
    for end in ends.chain(openings).chain([0, bytes.len() - 1, bytes.len() - 32]) {
        if end < bytes.len() {
            assert_eq!(with(&bytes[..end]), Err(Error::Length), "{end}");
        }
    }
    for more in [&[0][..], &[0; 8], &bytes[bytes.len() - 32..], &bytes[..]] {
        assert_eq!(with(&[bytes, more].concat()), Err(Error::Length));
    }
    // One byte less in front: everything is read from the wrong place.
    assert!(with(&bytes[1..]).is_err());
    assert!(with(&[&[0], &bytes[..]].concat()).is_err());
}

#[test]
fn one_number_has_one_form() {
    let own = small();
    let write = |at: usize, number: u64| {
        let mut bytes = own.proof.bytes.clone();
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        with(&bytes)
    };
    let read = |at: usize| u64::from_le_bytes(own.proof.bytes[at..at + 8].try_into().unwrap());
    // The same field element, the order higher, where it fits into 64 bits: a second proof of the same.
    for (name, range) in own.anatomy.messages.iter().filter(|(name, _)| name.starts_with("work")) {
        let number = read(range.start);
        assert_eq!(write(range.start, number.checked_add(ORDER).unwrap()), Err(Error::NotCanonical), "{name}");
    }
    for (name, range) in own.anatomy.messages.iter().filter(|(name, _)| !name.ends_with("root")) {
        for number in [ORDER, u64::MAX] {
            assert_eq!(write(range.start, number), Err(Error::NotCanonical), "{name}");
            assert_eq!(write(range.end - 8, number), Err(Error::NotCanonical), "{name}");
        }
    }
    for opening in &own.anatomy.openings {
        assert_eq!(write(opening.row(0).start, ORDER), Err(Error::NotCanonical), "{}", opening.name);
    }
    let mut sealed = own.proof.commitments.gradient.to_bytes();
    assert_eq!(Sealed::from_bytes(&sealed), Ok(own.proof.commitments.gradient));
    for at in [32, 40, 48] {
        let mut other = sealed;
        other[at..at + 8].copy_from_slice(&ORDER.to_le_bytes());
        assert_eq!(Sealed::from_bytes(&other), Err(Error::NotCanonical));
    }
    sealed[0] ^= 1;
    assert_eq!(Sealed::from_bytes(&sealed[..SEALED_BYTES - 1]), Err(Error::Length));
    assert_eq!(Sealed::from_bytes(&[&sealed[..], &[0]].concat()), Err(Error::Length));
}

#[test]
fn every_byte_of_a_commitment_matters() {
    let own = small();
    let list = &own.proof.commitments;
    let all: Vec<Sealed> = list.state_in.iter().chain(&list.state_out).chain([&list.gradient]).copied().collect();
    for (number, sealed) in all.iter().enumerate() {
        for at in 0..SEALED_BYTES {
            let mut bytes = sealed.to_bytes();
            bytes[at] ^= 1;
            let Ok(other) = Sealed::from_bytes(&bytes) else { continue };
            let mut changed = all.clone();
            changed[number] = other;
            let changed = Commitments {
                state_in: changed[..2].to_vec(),
                state_out: changed[2..4].to_vec(),
                gradient: changed[4],
            };
            let verdict = verify(&own.statement, &changed, &own.proof.bytes);
            assert_eq!(verdict, Err(Error::ProofOfWork("of the lookups")), "{number} {at}");
        }
    }
    let swap = |change: fn(&mut Commitments)| {
        let mut changed = list.clone();
        change(&mut changed);
        verify(&own.statement, &changed, &own.proof.bytes)
    };
    let bound = Err(Error::ProofOfWork("of the lookups"));
    assert_eq!(swap(|all| all.state_in.swap(0, 1)), bound);
    assert_eq!(swap(|all| core::mem::swap(&mut all.state_in, &mut all.state_out)), bound);
    assert_eq!(swap(|all| core::mem::swap(&mut all.state_in[0], &mut all.gradient)), bound);
    assert!(matches!(swap(|all| all.state_in.truncate(1)), Err(Error::Statement(_))));
    assert!(matches!(swap(|all| all.state_out.push(all.gradient)), Err(Error::Statement(_))));
}

#[test]
fn every_part_of_a_statement_matters() {
    let own = small();
    let choice = CHOICE;
    let steps = |change: fn(&mut Vec<StepConstants>)| {
        let mut steps = choice.steps();
        change(&mut steps);
        choice.statement_with(Preset::Standard, &steps)
    };
    let replayed = |at: usize| {
        let mut statement = own.statement.clone();
        statement.context[at] ^= 1;
        statement
    };
    let others = [
        ("another run", replayed(0)),
        ("another segment", replayed(31)),
        ("LR of one step", steps(|steps| steps[0].lr += 1)),
        ("LR of two steps, swapped", steps(|steps| (steps[0].lr, steps[1].lr) = (5, 4))),
        ("mu", steps(|steps| steps.iter_mut().take(7).for_each(|step| step.mu += 1))),
        ("D", steps(|steps| steps[6].decay += 1)),
        ("one step more", steps(|steps| steps[7] = steps[6])),
        ("one step less", steps(|steps| steps[6] = steps[7])),
        ("without decay", {
            let mut steps = choice.steps();
            for step in &mut steps {
                step.decay = 0;
            }
            Choice { decay: false, ..choice }.statement_with(Preset::Standard, &steps)
        }),
        ("the first segment", Choice { first: true, ..choice }.statement(Preset::Standard)),
        ("strict", choice.statement(Preset::Strict)),
        ("s", Choice { s: 15, ..choice }.statement(Preset::Standard)),
        ("another rule", Choice { rule: Rule::SgdNesterov, ..choice }.statement(Preset::Standard)),
        ("twice the steps", Choice { steps: 16, ..choice }.statement(Preset::Standard)),
        (
            "twice the parameters, half the steps",
            Choice { log_params: 14, steps: 4, ..choice }.statement(Preset::Standard),
        ),
    ];
    for (name, statement) in others {
        let verdict = verify(&statement, &own.proof.commitments, &own.proof.bytes);
        assert_eq!(verdict, Err(Error::ProofOfWork("of the lookups")), "{name}");
    }
    // Adam's name and AdamW's go with the same relations.
    let adam = Choice { rule: Rule::Adam, s: 0, decay: false, ..choice };
    let example = Example::new(&adam, Preset::Standard, 31);
    let proof = prove(&example.statement, &example.witness(), Masking::Full, &Progress::default()).unwrap();
    let other = Choice { rule: Rule::AdamW, ..adam }.statement(Preset::Standard);
    let verdict = verify(&other, &proof.commitments, &proof.bytes);
    assert_eq!(verdict, Err(Error::ProofOfWork("of the lookups")));
}

/// What is changed, and how.
type Change = (&'static str, fn(&mut StepConstants));

#[test]
fn statements_out_of_range_are_none() {
    let new = |rule, s, log_params, steps: &[StepConstants]| {
        Statement::new(
            &Variant { rule, s, decay: false, weights_in_range: false },
            Preset::Standard,
            log_params,
            steps,
            [0; 32],
        )
    };
    let sgd = StepConstants { cg: 1 << 15, lr: 5, ..StepConstants::default() };
    let adam = StepConstants { c1: 3277, c2: 33, lr: 5, eps: 1, ..StepConstants::default() };
    assert!(new(Rule::Sgd, 30, 13, &[sgd; 8]).is_ok());
    assert!(new(Rule::Adam, 0, 13, &[adam; 8]).is_ok());
    let refused = |what: &str, result: Result<Statement, Error>| {
        assert!(matches!(result, Err(Error::Statement(_))), "{what}: {result:?}");
    };
    for s in [0, 1, 14, 16, 29, 31, 32, 63, 64, u32::MAX] {
        refused("s", new(Rule::Sgd, s, 13, &[sgd; 8]));
    }
    // A block with fewer parameters than the mask has coefficients: every word would be a codeword.
    for log_params in [0, 5, 9, 12, 21, 63, 64, usize::MAX] {
        refused("N", new(Rule::Sgd, 30, log_params, &[sgd; 8]));
    }
    for count in [0, 3, 7, 9, 4, 256] {
        refused("T", new(Rule::Sgd, 30, 13, &vec![sgd; count]));
    }
    let one = |change: fn(&mut StepConstants)| {
        let mut step = adam;
        change(&mut step);
        let mut steps = [adam; 8];
        steps[7] = step;
        new(Rule::Adam, 0, 13, &steps)
    };
    // Each widens a range that the relations' arguments rest on.
    refused("c1", one(|step| step.c1 = (1 << 15) + 1));
    refused("c1", one(|step| step.c1 = -1));
    refused("c1 alone is 0", one(|step| step.c1 = 0));
    refused("c2", one(|step| step.c2 = (1 << 15) + 1));
    refused("LR", one(|step| step.lr = 1 << 30));
    refused("LR", one(|step| step.lr = -1));
    refused("E", one(|step| step.eps = 0));
    refused("E", one(|step| step.eps = 1 << 29));
    refused("D without decay", one(|step| step.decay = 1));
    refused("coefficients of its own", one(|step| step.c1 = 3278));
    refused("a no-op that moves the weights", one(|step| (step.c1, step.c2) = (0, 0)));
    let idle = StepConstants { eps: 1, ..StepConstants::default() };
    assert!(new(Rule::Adam, 0, 13, &[adam, adam, adam, adam, adam, adam, adam, idle]).is_ok());
    refused("a no-op in between", new(Rule::Adam, 0, 13, &[adam, idle, adam, adam, adam, adam, adam, adam]));
    refused("no-ops alone", new(Rule::Adam, 0, 13, &[idle; 8]));
    let momentum = |change: fn(&mut StepConstants)| {
        let mut step = sgd;
        change(&mut step);
        new(Rule::SgdMomentum, 30, 13, &[step; 8])
    };
    let lion = StepConstants { c1: 3277, c2: 328, lr: 5, ..StepConstants::default() };
    let rmsprop = StepConstants { c2: 328, lr: 5, eps: 1, ..StepConstants::default() };
    let of = |rule: Rule, usual: StepConstants, change: fn(&mut StepConstants)| {
        let mut steps = [usual; 8];
        change(&mut steps[7]);
        new(rule, 0, 13, &steps)
    };
    assert!(of(Rule::Lion, lion, |_| ()).is_ok());
    assert!(of(Rule::Lion, lion, |step| (step.c1, step.c2, step.lr) = (0, 0, 0)).is_ok());
    assert!(of(Rule::Rmsprop, rmsprop, |_| ()).is_ok());
    assert!(of(Rule::Rmsprop, rmsprop, |step| (step.c2, step.lr) = (0, 0)).is_ok());
    let both: [Change; 4] = [
        ("c2", |step| step.c2 = -1),
        ("LR", |step| step.lr = 1 << 30),
        ("LR", |step| step.lr = -1),
        ("D without decay", |step| step.decay = 1),
    ];
    for (what, change) in both {
        refused(what, of(Rule::Lion, lion, change));
        refused(what, of(Rule::Rmsprop, rmsprop, change));
    }
    // Coefficients are a segment's: all its steps have them.
    let whole = |rule: Rule, usual: StepConstants, change: fn(&mut StepConstants)| {
        let mut step = usual;
        change(&mut step);
        new(rule, 0, 13, &[step; 8])
    };
    refused("c1", whole(Rule::Lion, lion, |step| step.c1 = (1 << 15) + 1));
    refused("c1", whole(Rule::Lion, lion, |step| step.c1 = -1));
    refused("c1 alone is 0", of(Rule::Lion, lion, |step| step.c1 = 0));
    refused("c2 alone is 0", of(Rule::Lion, lion, |step| step.c2 = 0));
    refused("c2", whole(Rule::Lion, lion, |step| step.c2 = (1 << 15) + 1));
    refused("a no-op that moves the weights", of(Rule::Lion, lion, |step| (step.c1, step.c2) = (0, 0)));
    refused("c2", whole(Rule::Rmsprop, rmsprop, |step| step.c2 = (1 << 15) + 1));
    refused("E", of(Rule::Rmsprop, rmsprop, |step| step.eps = 0));
    refused("E", of(Rule::Rmsprop, rmsprop, |step| step.eps = 1 << 29));
    refused("a no-op that moves the weights", of(Rule::Rmsprop, rmsprop, |step| step.c2 = 0));
    refused("E of a no-op", of(Rule::Rmsprop, rmsprop, |step| (step.c2, step.lr, step.eps) = (0, 0, 2)));
    for rule in [Rule::Lion, Rule::Rmsprop] {
        assert!(rule.step([1, 1, 1, 1, 1], 0).is_err(), "numbers that it has not");
    }
    refused("mu", momentum(|step| step.mu = 1 << 15));
    refused("mu", momentum(|step| step.mu = -1));
    refused("LR", momentum(|step| step.lr = 1 << 31));
    refused("cg", momentum(|step| step.cg = 1));
}
