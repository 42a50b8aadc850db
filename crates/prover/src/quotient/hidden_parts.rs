//! From the quotient's values to the words of its two hidden parts.

use p3_dft::TwoAdicSubgroupDft;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::Lengths;
use zk_autograd_verifier::codec::extension;
use zk_autograd_verifier::parameters::MASK;
use zk_autograd_verifier::table::QUOTIENT_COLUMNS;

use crate::coins::Seed;
use crate::memory;
use crate::small::{LOG_SMALL, small_shift};
use crate::state::parts;
use crate::words::{Dft, Polynomials, Words, on_small_coset, padded, shifts, words};

/// The inverse transform of values in bit-reversed order.
pub(super) fn dft_of_bit_reversed(dft: &Dft, values: Vec<Val>, width: usize) -> Vec<Val> {
    let mut matrix = RowMajorMatrix::new(values, width);
    p3_matrix::util::reverse_matrix_index_bits(&mut matrix);
    dft.idft_batch(matrix).values
}

/// From f(t X) to f on each half.
pub(super) fn unshift(coefficients: &mut [Val], log_rows: usize, width: usize) {
    let inverses = shifts(log_rows).map(|shift| shift.inverse());
    let chunk = 4096;
    coefficients.par_chunks_mut(chunk * width).enumerate().for_each(|(number, rows)| {
        let mut powers = inverses.map(|inverse| inverse.exp_u64((number * chunk) as u64));
        for row in rows.chunks_exact_mut(width) {
            for half in 0..2 {
                row[2 * half] *= powers[half];
                row[2 * half + 1] *= powers[half];
                powers[half] *= inverses[half];
            }
        }
    });
}

/// The words of q0 + X^n b, q1 - b and the mask, from Q's remainders on the two halves (columns 0 1 and 2 3) and its values on the
/// small coset.
pub(super) fn parts_from_values(
    dft: &Dft,
    lengths: &Lengths,
    (halves, width): (Vec<Val>, usize),
    small: &[Ext],
    mask: usize,
    seed: &Seed,
) -> Words {
    let (log_rows, rows) = (lengths.log_rows(), 1_usize << lengths.log_rows());
    let wrap = shifts(log_rows)[0].exp_power_of_2(log_rows);
    let half_inverse = wrap.double().inverse();
    // With t^n = c on the first half and -c on the second: A = low + X^n high, a0 = low + c high, a1 = low - c high.
    let out_width = padded(QUOTIENT_COLUMNS);
    let high_rows = 4 * MASK;
    let mut low = memory::cleared(rows * out_width);
    low.par_chunks_mut(4096 * out_width).zip(halves.par_chunks(4096 * width)).for_each(|(out, values)| {
        for (out, row) in out.chunks_exact_mut(out_width).zip(values.chunks_exact(width)) {
            for part in 0..2 {
                out[part] = (row[part] + row[2 + part]).halve();
                out[2 + part] = (row[part] - row[2 + part]) * half_inverse;
            }
        }
    });
    memory::give(halves);
    let mut high = Val::zero_vec(high_rows.max(lengths.enforced_length().saturating_sub(rows)) * out_width);

    // B on the small coset, then its coefficients.
    let shift = small_shift();
    let overhang = overhang(dft, &low, out_width, log_rows, shift, small);
    let full_wrap = wrap.square();
    for (index, value) in overhang.iter().enumerate() {
        // X^2n B belongs to q1 at n + index; -t^2n B to q0 at index.
        let [first, second] = parts(*value);
        let [first_low, second_low] = parts(*value * full_wrap);
        low[index * out_width] -= first_low;
        low[index * out_width + 1] -= second_low;
        high[index * out_width + 2] += first;
        high[index * out_width + 3] += second;
    }
    let mut stream = seed.child("quotient").stream(0);
    for index in 0..mask {
        for part in 0..2 {
            let coin = stream.value();
            high[index * out_width + part] += coin;
            low[index * out_width + 2 + part] -= coin;
        }
    }
    if mask > 0 {
        let seed = seed.child("batch");
        let length = lengths.enforced_length();
        low.par_chunks_mut(4096 * out_width).enumerate().for_each(|(chunk, rows)| {
            let mut stream = seed.stream(chunk as u64);
            for row in rows.chunks_exact_mut(out_width) {
                row[4] = stream.value();
                row[5] = stream.value();
            }
        });
        let mut stream = seed.stream(u64::MAX);
        for row in high.chunks_exact_mut(out_width).take(length.saturating_sub(rows)) {
            row[4] = stream.value();
            row[5] = stream.value();
        }
    }
    words(dft, Polynomials { low: RowMajorMatrix::new(low, out_width), high })
}

/// B's coefficients from Q's values on the small coset and A's coefficients (`low`: columns 0 1 the first n, 2 3 those after them).
fn overhang(dft: &Dft, low: &[Val], width: usize, log_rows: usize, shift: Val, small: &[Ext]) -> Vec<Ext> {
    let polynomials = Polynomials { low: RowMajorMatrix::new(memory::copied(low), width), high: Vec::new() };
    let remainders = on_small_coset(dft, &polynomials, LOG_SMALL, shift);
    memory::give(polynomials.low.values);
    let generator = Val::two_adic_generator(LOG_SMALL);
    let wrap = shifts(log_rows)[0].exp_power_of_2(log_rows + 1);
    let mut values = Val::zero_vec(padded(2) << LOG_SMALL);
    for (index, value) in small.iter().enumerate() {
        let x = shift * generator.exp_u64(index as u64);
        let row = &remainders[index * width..];
        let remainder = extension(row[0], row[1]) + extension(row[2], row[3]) * x.exp_power_of_2(log_rows);
        let divisor = (x.exp_power_of_2(log_rows + 1) - wrap).inverse();
        values[index * padded(2)..index * padded(2) + 2].copy_from_slice(&parts((*value - remainder) * divisor));
    }
    let coefficients = dft.coset_idft_batch(RowMajorMatrix::new(values, padded(2)), shift).values;
    coefficients.chunks_exact(padded(2)).map(|row| extension(row[0], row[1])).collect()
}
