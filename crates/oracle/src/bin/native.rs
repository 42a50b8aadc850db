//! Our own prover: `native RULE LOG_PARAMS LOG_STEPS masked|unmasked TIMES`. Proves once to warm up, then TIMES times; prints one JSON
//! object with the medians, the phases of the median proof, and how near the prover comes to what the machine can do: the seconds
//! that its transforms and hashes would take at the rate that is measured in the same run, over those that it takes.

use std::process::ExitCode;
use std::time::Instant;

use zk_autograd_air::{Rule, Variant};
use zk_autograd_oracle::json::object;
use zk_autograd_oracle::machine::{butterflies, hash_bytes, peak_gib};
use zk_autograd_oracle::sample::{Random, training, walk};
use zk_autograd_prover::{Masking, Progress, Salts, Witness, prove};
use zk_autograd_verifier::digest::DIGEST_BYTES;
use zk_autograd_verifier::parameters::{LOG_BLOWUP, SALT_BYTES};
use zk_autograd_verifier::table::QUOTIENT_COLUMNS;
use zk_autograd_verifier::{Preset, Shape, Statement, verify};

struct Task {
    rule: Rule,
    log_params: usize,
    log_steps: usize,
    masking: Masking,
    times: usize,
}

fn task() -> Option<Task> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rule, log_params, log_steps, masking, times] = arguments.as_slice() else { return None };
    Some(Task {
        rule: Rule::parse(rule).ok()?,
        log_params: log_params.parse().ok()?,
        log_steps: log_steps.parse().ok().filter(|log_steps| *log_steps <= 20)?,
        masking: match masking.as_str() {
            "masked" => Masking::Full,
            "unmasked" => Masking::Off,
            _ => return None,
        },
        times: times.parse().ok().filter(|times| *times > 0)?,
    })
}

/// The butterflies of the transforms and the hashed bytes that the protocol can't do without.
#[allow(clippy::cast_precision_loss)]
fn least_work(shape: &Shape) -> (f64, f64) {
    let rows = 1_usize << shape.lengths.log_rows();
    // To coefficients, and to each of the two cosets; the quotient comes from two cosets and goes to two.
    let words = shape.main + shape.gradient + 2 * (shape.helpers + 1);
    let transforms = 3 * words + 2 * 2 + 2 * QUOTIENT_COLUMNS;
    let butterflies = transforms * rows / 2 * shape.lengths.log_rows();
    let leaves = rows << LOG_BLOWUP;
    let rows_of_trees = [shape.main, shape.gradient, 2 * (shape.helpers + 1), QUOTIENT_COLUMNS];
    let mut bytes: usize =
        rows_of_trees.iter().map(|columns| leaves * (8 * columns + SALT_BYTES + 2 * DIGEST_BYTES)).sum();
    bytes += 2 * shape.states * (leaves >> shape.lengths.log_steps) * (8 + SALT_BYTES + 2 * DIGEST_BYTES);
    let mut word = leaves;
    for log_arity in &shape.lengths.folds {
        bytes += 16 * word + (word >> log_arity) * 2 * DIGEST_BYTES;
        word >>= log_arity;
    }
    (butterflies as f64, bytes as f64)
}

fn measure(task: &Task) -> Result<String, Box<dyn core::error::Error>> {
    let segment = training(task.rule, 30, 1 << task.log_steps);
    let statement = Statement::new(
        &Variant { rule: task.rule, s: segment.s, decay: false, weights_in_range: false },
        Preset::Standard,
        task.log_params,
        &segment.steps,
        core::array::from_fn(|i| u8::try_from(i).unwrap_or(0)),
    )?;
    let (params, steps) = (1_usize << task.log_params, 1_usize << task.log_steps);
    let mut random = Random::new(1);
    let mut ends = [(); 2].map(|()| vec![vec![0_i64; params]; segment.states()]);
    let mut gradients = vec![0_i32; params * steps];
    walk(&mut random, &segment, params, |visit| {
        gradients[visit.step * params + visit.parameter] = visit.gradient.try_into().unwrap_or(i32::MAX);
        let [start, end] = &mut ends;
        for (state, (before, after)) in visit.before.iter().zip(visit.after).enumerate().take(segment.states()) {
            if visit.step == 0 {
                start[state][visit.parameter] = *before;
            }
            end[state][visit.parameter] = after;
        }
    });
    let [start, end] = ends.each_ref().map(|states| states.iter().map(Vec::as_slice).collect());
    let salts = Salts {
        state_in: vec![[1; 32]; segment.states()],
        state_out: vec![[2; 32]; segment.states()],
        gradient: [3; 32],
    };
    let witness = Witness { start, end, gradients: &gradients, salts };

    let mut proofs = Vec::new();
    for _ in 0..=task.times {
        let start = Instant::now();
        let proof = prove(&statement, &witness, task.masking, &Progress::default())?;
        proofs.push((start.elapsed().as_secs_f64(), proof));
    }
    let peak = peak_gib();
    proofs.remove(0);
    proofs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (prove_s, proof) = &proofs[proofs.len() / 2];
    let mut checks = Vec::new();
    for _ in 0..11 {
        let start = Instant::now();
        verify(&statement, &proof.commitments, &proof.bytes)?;
        checks.push(1e3 * start.elapsed().as_secs_f64());
    }
    checks.sort_by(f64::total_cmp);

    let (butterfly_rate, byte_rate) = (butterflies(5), hash_bytes(5));
    let (butterflies, bytes) = least_work(&statement.shape);
    let (transform_s, hash_s) = (butterflies / butterfly_rate, bytes / byte_rate);
    let seconds = |value: f64| format!("{value:.4}");
    let phases = object(proof.phases.0.iter().map(|(name, time)| (name, seconds(time.as_secs_f64()))));
    Ok(object([
        ("rule", format!("\"{}\"", task.rule.name())),
        ("rows", (params * steps).to_string()),
        ("log_steps", task.log_steps.to_string()),
        ("masked", (task.masking == Masking::Full).to_string()),
        ("prove_s", seconds(*prove_s)),
        ("fastest_s", seconds(proofs[0].0)),
        ("verify_ms", format!("{:.3}", checks[checks.len() / 2])),
        ("proof_bytes", proof.bytes.len().to_string()),
        ("peak_gib", format!("{peak:.3}")),
        ("phases", phases),
        ("butterflies_per_s", format!("{butterfly_rate:.4e}")),
        ("hash_bytes_per_s", format!("{byte_rate:.4e}")),
        ("transforms_at_limit_s", seconds(transform_s)),
        ("hashes_at_limit_s", seconds(hash_s)),
        ("share_of_limit", format!("{:.4}", (transform_s + hash_s) / prove_s)),
    ]))
}

fn main() -> ExitCode {
    let Some(task) = task() else {
        eprintln!("usage: native RULE LOG_PARAMS LOG_STEPS masked|unmasked TIMES");
        return ExitCode::from(2);
    };
    match measure(&task) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("native: {error}");
            ExitCode::FAILURE
        }
    }
}
