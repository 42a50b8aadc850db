#[path = "../tests/support/mod.rs"]
mod support;
use std::time::Instant;
use support::{Choice, Example};
use zk_autograd_air::Rule;
use zk_autograd_prover::{Masking, Progress, prove};
use zk_autograd_verifier::{Preset, verify};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let rule = Rule::parse(&args[1]).unwrap();
    let (lp, ls): (usize, u32) = (args[2].parse().unwrap(), args[3].parse().unwrap());
    let example = Example::new(
        &Choice { rule, s: 30, decay: false, first: false, log_params: lp, steps: 1 << ls, no_ops: 0 },
        Preset::Standard,
        1,
    );
    for _ in 0..2 {
        for masking in [Masking::Full, Masking::Off] {
            let start = Instant::now();
            let proof = prove(&example.statement, &example.witness(), masking, &Progress::default()).unwrap();
            let spent = start.elapsed();
            let start = Instant::now();
            verify(&example.statement, &proof.commitments, &proof.bytes).unwrap();
            println!(
                "{masking:?} {:?} {:.0}/s, {} kB, verify {:?}",
                spent,
                f64::from(1u32 << (lp as u32 + ls)) / spent.as_secs_f64(),
                proof.bytes.len() / 1000,
                start.elapsed()
            );
            for (name, time) in &proof.phases.0 {
                print!("{name} {:.0}ms  ", time.as_secs_f64() * 1e3);
            }
            println!();
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
