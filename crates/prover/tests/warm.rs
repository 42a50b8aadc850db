//! A first proof whose memory was made ready. A process of its own, because the buffers are everybody's.

mod support;

use support::{Choice, Example};
use zk_autograd_air::Rule;
use zk_autograd_prover::{Masking, Progress, memory, prove};
use zk_autograd_verifier::Preset;

/// Bytes of new buffers while something is done.
fn fresh(act: impl FnOnce()) -> usize {
    let before = memory::fresh();
    act();
    memory::fresh() - before
}

#[test]
fn a_first_proof_finds_its_buffers() {
    for rule in Rule::ALL {
        for preset in [Preset::Standard, Preset::Strict] {
            let s = rule.shifts().first().copied().unwrap_or(0);
            let choice = Choice { rule, s, decay: true, first: true, log_params: 13, steps: 8, no_ops: 1 };
            let example = Example::new(&choice, preset, 1);
            let make =
                || _ = prove(&example.statement, &example.witness(), Masking::Full, &Progress::default()).unwrap();
            memory::release();
            let cold = fresh(make);
            memory::release();
            let ready = fresh(|| memory::warm(&example.statement.shape));
            assert_eq!(fresh(|| memory::warm(&example.statement.shape)), 0, "nothing is made twice");
            let missed = fresh(make);
            assert!(missed * 20 < cold, "{rule:?}: of {cold} bytes {missed} were not made ready");
            assert!(ready < cold + cold / 8, "{rule:?}: {ready} bytes are made ready for a proof that takes {cold}");
        }
    }
}
