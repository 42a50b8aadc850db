//! Writes a proof of each statement into a folder: what the fuzzer begins with.

use std::path::PathBuf;

use zk_autograd_prover::{Masking, Progress, Salts, Witness, prove};
use zk_autograd_verifier_fuzz::{STATEMENTS, input, judge, statement};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("the folder to write to"));
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for number in 0..STATEMENTS {
        let statement = statement(number);
        let shape = &statement.shape;
        let (params, rows) = (1 << shape.lengths.log_params, 1 << shape.lengths.log_rows());
        // Nothing ever moves: all zeros are a fixed point of every rule.
        let states = vec![vec![0; params]; shape.states];
        let ends = || states.iter().map(Vec::as_slice).collect();
        let witness = Witness {
            start: ends(),
            end: ends(),
            gradients: &vec![0; rows],
            salts: Salts {
                state_in: vec![[1; 32]; shape.states],
                state_out: vec![[2; 32]; shape.states],
                gradient: [3; 32],
            },
        };
        let proof = prove(&statement, &witness, Masking::Full, &Progress::default()).expect("a witness");
        let bytes = input(number, &proof.commitments, &proof.bytes);
        assert!(judge(&bytes), "the seed is a proof");
        std::fs::write(folder.join(format!("proof-{number}")), bytes).expect("the file can be written");
    }
}
