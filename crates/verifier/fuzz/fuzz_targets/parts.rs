//! What stands behind the proofs of work: any numbers of a statement, any Merkle opening, any values at any point.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zk_autograd_air::{Ext, Rule, StepConstants, Variant};
use zk_autograd_verifier::codec::Reader;
use zk_autograd_verifier::composition::check;
use zk_autograd_verifier::merkle::check_opening;
use zk_autograd_verifier::{Preset, Statement, Table};
use zk_autograd_verifier_fuzz::statement;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let _ = match kind % 3 {
        0 => numbers(rest),
        1 => opening(rest),
        _ => identity(*kind, rest),
    };
});

/// A statement of any numbers.
fn numbers(bytes: &[u8]) -> Option<()> {
    let mut words = bytes.chunks_exact(8).map(|word| i64::from_le_bytes(word.try_into().unwrap_or_default()));
    let mut next = || words.next();
    let flags = next()?;
    let rule = Rule::ALL[usize::try_from(flags & 7).ok()? % 5];
    let preset = Preset::ALL[usize::try_from(flags >> 3 & 1).ok()?];
    let (s, log_params) = (next()? as u32, next()? as usize);
    let mut steps = Vec::new();
    while let (Some(c1), Some(c2), Some(mu), Some(cg), Some(lr), Some(eps), Some(decay)) =
        (next(), next(), next(), next(), next(), next(), next())
    {
        steps.push(StepConstants { c1, c2, mu, cg, lr, eps, decay });
    }
    Statement::new(&Variant { rule, s, decay: flags & 16 != 0, weights_in_range: flags & 32 != 0 }, preset, log_params, &steps, [0; 32]).ok().map(|_| ())
}

/// An opening of any sorted indices, whose leaves and siblings are what comes next.
fn opening(bytes: &[u8]) -> Option<()> {
    let (depth, rest) = bytes.split_first()?;
    let (count, mut rest) = rest.split_first()?;
    let depth = usize::from(depth % 22);
    let mut indices = Vec::new();
    for _ in 0..*count {
        let (word, more) = rest.split_at_checked(4)?;
        indices.push(u32::from_le_bytes(word.try_into().ok()?) as usize & ((1 << depth) - 1));
        rest = more;
    }
    indices.sort_unstable();
    indices.dedup();
    let mut reader = Reader::new(rest);
    let root = reader.digest().ok()?;
    let leaves = indices.iter().map(|_| reader.digest().ok()).collect::<Option<Vec<_>>>()?;
    check_opening(&mut reader, &root, depth, &indices, leaves, "fuzz").ok()
}

/// The identity at any values, challenges and point.
fn identity(kind: u8, bytes: &[u8]) -> Option<()> {
    let statement = statement(kind / 3);
    let mut reader = Reader::new(bytes);
    let [lookup, composition, point]: [Ext; 3] =
        [reader.element().ok()?, reader.element().ok()?, reader.element().ok()?];
    let layout = statement.layout();
    // Seals' values like all others.
    let claims = reader.elements(layout.openings.len()).ok()?;
    check(&statement, &layout, &claims, &[lookup, composition], point).ok()
}
