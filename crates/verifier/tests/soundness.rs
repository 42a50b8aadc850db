//! The bits of every shape, and the terms against p3-security.

#![allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]

use p3_security::SecurityAssumption;
use p3_security::fri::{FriRegime, commit_phase_error_ldr_m, commit_phase_error_udr, query_phase_error};
use p3_security::logup::{LogUpAir, fingerprint_error};
use p3_security::proximity::{alpha_ldr_m, list_size_ldr_m};
use p3_security::shape::InstanceShape;
use zk_autograd_air::{Air, Rule, Variant};
use zk_autograd_verifier::parameters::{
    BATCH_BITS, FOLD_BITS, LOG_BLOWUP, LOG_FINAL_DOMAIN, LOG_PARAMS, LOG_ROWS, LOOKUP_BITS, MASK, MAX_LOG_ARITY,
    QUERY_BITS,
};
use zk_autograd_verifier::soundness::{Regime, Sizes, bits, openings, proven, terms};
use zk_autograd_verifier::{Preset, Shape};

fn shapes() -> Vec<(Shape, Preset)> {
    let mut all = Vec::new();
    for rule in Rule::ALL {
        for (decay, first) in [(false, false), (false, true), (true, false), (true, true)] {
            for s in [15, 30] {
                let air = Air::generic(&Variant { rule, s, decay, weights_in_range: first });
                for log_rows in LOG_ROWS {
                    for log_params in *LOG_PARAMS.start()..=log_rows {
                        for preset in Preset::ALL {
                            all.push((Shape::new(&air, preset, log_params, log_rows - log_params).unwrap(), preset));
                        }
                    }
                }
            }
        }
    }
    all
}

#[test]
fn every_shape_has_a_hundred_proven_bits() {
    let least = shapes()
        .iter()
        .map(|(shape, preset)| (proven(shape, *preset).0, shape.clone()))
        .fold((f64::INFINITY, None), |least, (bits, shape)| if bits < least.0 { (bits, Some(shape)) } else { least });
    assert!(least.0 >= 100.0, "{least:?}");
}

/// What documents and reports say of the benchmark's shape: change both together.
#[test]
fn the_bits_of_the_largest_segment_are_pinned() {
    let air = Air::generic(&Variant { rule: Rule::Adam, s: 0, decay: false, weights_in_range: false });
    for (preset, expected) in [(Preset::Standard, "100.3"), (Preset::Strict, "100.6")] {
        let shape = Shape::new(&air, preset, 16, 4).unwrap();
        assert_eq!(
            format!("{:.1}", proven(&shape, preset).0),
            expected,
            "{:?}",
            terms(&Sizes::new(&shape), proven(&shape, preset).1)
        );
    }
}

/// The rounds of docs/soundness.md, each in both regimes: none is left out of the minimum.
#[test]
fn the_proven_bits_are_those_of_the_weakest_round() {
    let rounds = [
        "lookups",
        "composition",
        "out-of-domain point",
        "batch",
        "folds",
        "queries",
        "sealed commitments",
        "collision of BLAKE3",
    ];
    for (shape, preset) in shapes() {
        let (found, regime) = proven(&shape, preset);
        let terms = terms(&Sizes::new(&shape), regime);
        assert_eq!(terms.iter().map(|term| term.name).collect::<Vec<_>>(), rounds);
        assert!(terms.iter().all(|term| term.bits >= found), "{terms:?}");
        assert!(terms.iter().any(|term| (term.bits - found).abs() < 1e-9), "{terms:?}");
    }
}

#[test]
fn no_polynomial_is_opened_more_often_than_it_has_random_coefficients() {
    assert!(shapes().iter().all(|(shape, _)| openings(shape) <= MASK));
}

/// At a rate of exactly 1/2, where p3-security has an answer, the terms are its own.
#[test]
fn the_terms_are_those_of_p3_security() {
    let log_rows = 20;
    let sizes = |queries: usize| Sizes {
        rate: 0.5,
        domain: f64::from(1 << (log_rows + 1)),
        length: f64::from(1 << log_rows),
        denominators: f64::from(24 << log_rows),
        relations: 30.0,
        batched: 70.0,
        folded: f64::from(1 << MAX_LOG_ARITY),
        queries: queries as f64,
    };
    let shape = InstanceShape {
        log_trace_length: log_rows as usize,
        modulus_bits: 128,
        collision_resistance: 128,
        num_batched_functions: 70,
    };
    let regime = FriRegime {
        log_blowup: LOG_BLOWUP,
        num_queries: 176,
        log_final_poly_len: LOG_FINAL_DOMAIN - 1,
        max_log_arity: MAX_LOG_ARITY,
        commit_pow_bits: FOLD_BITS,
        query_pow_bits: QUERY_BITS,
    };
    let near = |own: f64, theirs: f64, what: &str| assert!((own - theirs).abs() < 1e-4, "{what}: {own} and {theirs}");
    let term = |regime, name: &str| terms(&sizes(176), regime).into_iter().find(|term| term.name == name).unwrap().bits;
    for m in [3, 10, 24, 100] {
        let regime_m = Regime::Johnson(m);
        let m = m as usize;
        let query = query_phase_error(alpha_ldr_m(1, m), 176, QUERY_BITS).bits();
        near(term(regime_m, "queries"), query, "queries");
        near(term(regime_m, "folds"), commit_phase_error_ldr_m(&regime, &shape, m).unwrap().bits(), "folds");
        let batch = SecurityAssumption::prox_gaps_error_jb_at_m(log_rows as usize, 1, 128, 70, m) + BATCH_BITS as f64;
        near(term(regime_m, "batch"), batch, "batch");
        let list = list_size_ldr_m(1, m).log2();
        let lookups = LogUpAir { num_interactions: 24, max_message_width: 1 };
        let fingerprint = fingerprint_error(&lookups, &shape).bits() + LOOKUP_BITS as f64 - list;
        near(term(regime_m, "lookups"), fingerprint, "lookups");
        near(term(regime_m, "composition"), 128.0 - list - 30_f64.log2(), "composition");
    }
    near(term(Regime::Unique, "folds"), commit_phase_error_udr(&regime, &shape).unwrap().bits(), "folds");
    let unique = SecurityAssumption::UniqueDecoding.prox_gaps_error(log_rows as usize, 1, 128, 70);
    near(term(Regime::Unique, "batch"), unique + BATCH_BITS as f64, "batch");
    near(term(Regime::Unique, "queries"), query_phase_error(0.75, 176, QUERY_BITS).bits(), "queries");
    assert!(bits(&terms(&sizes(0), Regime::Unique)) <= 20.0, "without queries the proof of work is all");
}
