//! Small traces with their verdicts as JSON, one a line: what the check in Python is held against.

use std::collections::HashSet;

use p3_field::PrimeField64;
use zk_autograd_air::describe::describe;
use zk_autograd_air::{Air, Rule, RuleError, Val, Variant};

use crate::forge::forged;
use crate::json::{list, object};
use crate::sample::{Random, no_op, segment, trace};
use crate::segment::Segment;
use crate::verdict::{Fault, Trace, first};

/// Forgeries of each set of relations, most of which aren't kept.
const TRIED: usize = 3000;

/// For every rule, shift, and variant an honest trace, one that is as good, and for each relation and lookup that the variant adds a
/// forged trace that breaks this one alone, on a row or on several. The same at every call.
///
/// # Errors
/// Never: the segments' constants are in range.
pub fn lines() -> Result<Vec<String>, RuleError> {
    let mut random = Random::new(42);
    let mut lines = Vec::new();
    let mut kept: HashSet<(Rule, u32, Option<&str>)> = HashSet::new();
    for (rule, s, decay, weights_in_range) in variants() {
        let segment = segment(&mut random, rule, s, decay, weights_in_range, 2, 0);
        let names = describe(&Air::generic(&Variant { rule, s, decay, weights_in_range }));
        let name = |fault: &Fault| match fault {
            Fault::Relation(which) => names.zeros[*which].0,
            Fault::Lookup(which) => names.ranges[*which].0,
            Fault::Before => "before",
            Fault::After => "after",
        };
        let ended = Segment { steps: vec![segment.steps[0], no_op(rule)], ..segment.clone() };
        for segment in [segment, ended] {
            let honest = trace(&mut random, &segment, 1)?;
            lines.push(line(&segment, &honest, &[]));
            for _ in 0..TRIED {
                let forged = forged(&mut random, &segment, &honest)?;
                let faults = first(&segment, &forged)?;
                let alone = faults.iter().all(|fault| name(fault) == name(&faults[0]));
                if alone && kept.insert((rule, s, faults.first().map(name))) {
                    lines.push(line(&segment, &forged, &faults));
                }
            }
        }
    }
    Ok(lines)
}

/// Every set of relations: rule, s, decay, weights in range.
pub fn variants() -> impl Iterator<Item = (Rule, u32, bool, bool)> {
    Rule::ALL.into_iter().flat_map(|rule| {
        let shifts: &[u32] = if rule.shifts().is_empty() { &[0] } else { rule.shifts() };
        shifts.iter().flat_map(move |s| {
            [(false, false), (false, true), (true, false), (true, true)]
                .into_iter()
                .map(move |(decay, weights)| (rule, *s, decay, weights))
        })
    })
}

fn line(segment: &Segment, trace: &Trace, faults: &[Fault]) -> String {
    let values = |values: &Vec<Val>| list(values.iter().map(Val::as_canonical_u64));
    let constants = segment.steps.iter().map(|step| {
        let constants = [
            ("c1", step.c1),
            ("c2", step.c2),
            ("mu", step.mu),
            ("cg", step.cg),
            ("LR", step.lr),
            ("E", step.eps),
            ("D", step.decay),
        ];
        object(constants)
    });
    object([
        ("rule", format!("\"{}\"", segment.rule.name())),
        ("s", segment.s.to_string()),
        ("decay", segment.decay.to_string()),
        ("weights_in_range", segment.weights_in_range.to_string()),
        ("steps", list(constants)),
        ("rows", list(trace.rows.iter().map(values))),
        ("before", list(trace.ends.before.iter().map(values))),
        ("after", list(trace.ends.after.iter().map(values))),
        ("accepted", faults.is_empty().to_string()),
    ])
}
