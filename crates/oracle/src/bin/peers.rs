//! Plonky3's hiding mode on the relations of Adam: `peers LOG_ROWS LOG_STEPS LOG_BLOWUP`, with a blowup of 2^1 or 2^2. Prints one JSON
//! object: seconds of one proof, the best of three verifications, bytes, memory, and bits of soundness by p3-security.

use std::process::ExitCode;
use std::time::Instant;

use p3_air::BaseAir;
use p3_matrix::dense::RowMajorMatrix;
use zk_autograd_air::Rule;
use zk_autograd_oracle::json::object;
use zk_autograd_oracle::machine::peak_gib;
use zk_autograd_oracle::relations::Steps;
use zk_autograd_oracle::sample::{Random, training, walk};
use zk_autograd_oracle::stark::{Batch, Parameters, Refused};
use zk_autograd_oracle::verdict::low_limb;

fn measure(log_rows: usize, log_steps: usize, parameters: Parameters) -> Result<String, Refused> {
    let segment = training(Rule::Adam, 0, 1 << log_steps);
    let steps = Steps::new(segment.clone(), None);
    let mut values = Vec::with_capacity(steps.width() << log_rows);
    walk(&mut Random::new(1), &segment, 1 << (log_rows - log_steps), |visit| {
        values.extend_from_slice(visit.row);
        values.extend(low_limb(&segment, visit.row, visit.step));
    });
    let main = RowMajorMatrix::new(values, steps.width());
    let batch = Batch::new(steps, main, parameters, 1)?;
    let proven = batch.security(log_rows);
    let start = Instant::now();
    let proof = batch.prove()?;
    let prove_s = start.elapsed().as_secs_f64();
    let mut verify_ms = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        batch.verify(&proof)?;
        verify_ms = verify_ms.min(1e3 * start.elapsed().as_secs_f64());
    }
    let bytes = postcard::to_allocvec(&proof).map_or(0, |bytes| bytes.len());
    Ok(object([
        ("rows", (1_usize << log_rows).to_string()),
        ("prove_s", format!("{prove_s:.4}")),
        ("verify_ms", format!("{verify_ms:.3}")),
        ("proof_bytes", bytes.to_string()),
        ("peak_gib", format!("{:.3}", peak_gib())),
        ("proven_bits", format!("{proven:.1}")),
        ("log_blowup", parameters.log_blowup.to_string()),
        ("log_steps", log_steps.to_string()),
        ("queries", parameters.queries.to_string()),
    ]))
}

fn main() -> ExitCode {
    let numbers: Option<Vec<usize>> = std::env::args().skip(1).map(|argument| argument.parse().ok()).collect();
    let (log_rows, log_steps, parameters) = match numbers.as_deref() {
        Some([log_rows, log_steps, 1]) => (*log_rows, *log_steps, Parameters::FASTEST),
        Some([log_rows, log_steps, 2]) => (*log_rows, *log_steps, Parameters::SMALLER),
        _ => {
            eprintln!("usage: peers LOG_ROWS LOG_STEPS LOG_BLOWUP");
            return ExitCode::from(2);
        }
    };
    if log_steps > log_rows || !(12..=24).contains(&log_rows) {
        eprintln!("peers: 2^12 to 2^24 rows, and no more steps than rows");
        return ExitCode::from(2);
    }
    match measure(log_rows, log_steps, parameters) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}
