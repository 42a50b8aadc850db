//! The lookups' columns over the rows: one helper for two lookups, and the running sum.

use p3_field::{Field, PackedValue, PrimeCharacteristicRing};
use p3_maybe_rayon::prelude::*;
use zk_autograd_air::constants::PERIODIC;
use zk_autograd_air::field::from_signed;
use zk_autograd_air::{Collected, Ext, Periodic, Val, evaluate};
use zk_autograd_verifier::Statement;
use zk_autograd_verifier::parameters::LOG_TABLE;

use crate::memory;
use crate::packed::{LANES, Packed, PackedExt, from_lanes, gather, lanes};
use crate::state::parts;
use crate::witness::Trace;
use crate::words::padded;

const CHUNK: usize = 512;

/// The lookups' columns in the rows' natural order, two base columns for each, padded; and the running sum's total, which is zero if
/// every looked-up value is in the table.
#[must_use]
pub fn columns(statement: &Statement, trace: &Trace, challenge: Ext) -> (Vec<Val>, Ext) {
    let shape = &statement.shape;
    let pairs = shape.helpers + 1;
    let width = padded(2 * pairs);
    let rows = 1_usize << shape.lengths.log_rows();
    let mut values = memory::cleared(rows * width);
    // First each row's own sum, then, after a scan over the chunks, the running one.
    let totals: Vec<Ext> = values
        .par_chunks_mut(CHUNK * width)
        .enumerate()
        .map(|(chunk, out)| fill(statement, trace, challenge, chunk * CHUNK, out, width))
        .collect();
    let mut before = Ext::ZERO;
    let starts: Vec<Ext> = totals
        .iter()
        .map(|total| {
            let start = before;
            before += *total;
            start
        })
        .collect();
    values.par_chunks_mut(CHUNK * width).zip(starts).for_each(|(out, start)| {
        let mut sum = start;
        for row in out.chunks_exact_mut(width) {
            let place = &mut row[2 * pairs - 2..2 * pairs];
            let own = zk_autograd_verifier::codec::extension(place[0], place[1]);
            place.copy_from_slice(&parts(sum));
            sum += own;
        }
    });
    (values, before)
}

fn fill(statement: &Statement, trace: &Trace, challenge: Ext, first: usize, out: &mut [Val], width: usize) -> Ext {
    let shape = &statement.shape;
    let pairs = shape.helpers + 1;
    let challenge = PackedExt::from(challenge);
    let groups = out.len() / width / LANES;
    let mut relations = Collected::default();
    let mut columns = Vec::with_capacity(shape.main - 1 + shape.gradient);
    let mut numerators = Vec::with_capacity(groups * pairs);
    let mut denominators = Vec::with_capacity(groups * pairs);
    for group in 0..groups {
        let row = first + group * LANES;
        gather_row(statement, trace, row, &mut columns);
        let periodic = periodic_rows(statement, row);
        relations.clear();
        evaluate(&statement.air, &columns, &periodic, &mut relations);
        let Some((last, paired)) = relations.ranges.split_last() else { continue };
        for pair in paired.chunks(2) {
            let one = challenge + pair[0];
            if let Some(second) = pair.get(1) {
                let two = challenge + *second;
                numerators.push(one + two);
                denominators.push(one * two);
            } else {
                numerators.push(PackedExt::ONE);
                denominators.push(one);
            }
        }
        let table = Packed::from_fn(|lane| Val::from_usize((row + lane) & ((1 << LOG_TABLE) - 1)));
        let places = core::array::from_fn(|lane| (row + lane) * trace.width);
        let multiplicity = gather(&trace.values, &places, shape.main - 1);
        let (looked_up, entry) = (challenge + *last, challenge + table);
        numerators.push(entry - looked_up * multiplicity);
        denominators.push(looked_up * entry);
    }
    invert(&mut denominators);
    let mut total = Ext::ZERO;
    for group in 0..groups {
        let mut sums = PackedExt::ZERO;
        for pair in 0..pairs {
            let value = numerators[group * pairs + pair] * denominators[group * pairs + pair];
            sums += value;
            let stored = if pair + 1 == pairs { sums } else { value };
            for (lane, element) in lanes(stored).enumerate() {
                let at = (group * LANES + lane) * width + 2 * pair;
                out[at..at + 2].copy_from_slice(&parts(element));
                if pair + 1 == pairs {
                    total += element;
                }
            }
        }
    }
    total
}

/// Inverts each element; the product of all must not be zero in any lane, which it is with probability 2^-100.
fn invert(values: &mut [PackedExt]) {
    let mut products = Vec::with_capacity(values.len());
    let mut product = PackedExt::ONE;
    for value in values.iter() {
        products.push(product);
        product *= *value;
    }
    let inverses: Vec<Ext> = lanes(product).map(|element| element.try_inverse().unwrap_or(Ext::ZERO)).collect();
    let mut inverse = from_lanes(&inverses);
    for (value, product) in values.iter_mut().zip(products).rev() {
        let own = inverse * product;
        inverse *= *value;
        *value = own;
    }
}

fn gather_row(statement: &Statement, trace: &Trace, row: usize, columns: &mut Vec<Packed>) {
    let shape = &statement.shape;
    let places = core::array::from_fn(|lane| (row + lane) * trace.width);
    columns.clear();
    columns.extend((0..shape.main - 1).map(|column| gather(&trace.values, &places, column)));
    columns.extend((0..shape.gradient).map(|column| gather(&trace.values, &places, shape.main + column)));
}

fn periodic_rows(statement: &Statement, row: usize) -> Periodic<Packed> {
    let steps = &statement.constants.periodic;
    let mask = steps.len() - 1;
    let column = |which: usize| Packed::from_fn(|lane| from_signed(steps[(row + lane) & mask][which]));
    let columns: [Packed; PERIODIC] = core::array::from_fn(column);
    Periodic::from_array(columns)
}
