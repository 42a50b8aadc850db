//! Integers in as few bytes as they take, in chunks that have a width and a digest each: the form that
//! `src/zk_autograd/run/narrow.py` describes, and writes byte for byte alike.
//!
//! Everything runs on the caller's thread: a forked process has no others.

/// Integers of a chunk.
pub const CHUNK: usize = 1 << 14;

/// Bytes of a digest.
pub const DIGEST: usize = blake3::OUT_LEN;

/// How a vector is packed: the width of each chunk in bytes, the extremes (0 if it has no elements), and the bytes in
/// all.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The width of each chunk.
    pub widths: Vec<u8>,
    /// The least of the integers.
    pub low: i64,
    /// The greatest of them.
    pub high: i64,
    /// The bytes that they take.
    pub bytes: usize,
}

/// The BLAKE3 digest of some pieces, one after the other.
#[must_use]
pub fn digest<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> [u8; DIGEST] {
    let mut hasher = blake3::Hasher::new();
    for piece in pieces {
        hasher.update(piece);
    }
    *hasher.finalize().as_bytes()
}

/// How to pack `values`: each chunk as narrow as its extremes allow in two's complement.
#[must_use]
pub fn plan<T: Copy + Ord + Into<i64>>(values: &[T]) -> Plan {
    let mut plan = Plan { widths: Vec::with_capacity(values.len().div_ceil(CHUNK)), low: 0, high: 0, bytes: 0 };
    for (number, chunk) in values.chunks(CHUNK).enumerate() {
        let (low, high) =
            chunk.iter().fold((chunk[0], chunk[0]), |(low, high), &value| (low.min(value), high.max(value)));
        let (low, high) = (low.into(), high.into());
        let width = width(low, high);
        plan.widths.push(width);
        plan.bytes += usize::from(width) * chunk.len();
        plan.low = if number == 0 { low } else { plan.low.min(low) };
        plan.high = if number == 0 { high } else { plan.high.max(high) };
    }
    plan
}

/// Packs `values` into the `plan.bytes` bytes of `data`; the digests of the chunks, one after the other.
///
/// # Panics
///
/// If the plan isn't that of these values, or `data` of another length.
#[must_use]
pub fn pack<T: Copy + Into<i64>>(values: &[T], plan: &Plan, data: &mut [u8]) -> Vec<u8> {
    assert_eq!(data.len(), plan.bytes, "the bytes of a plan");
    let mut digests = Vec::with_capacity(plan.widths.len() * DIGEST);
    let mut rest = data;
    for (chunk, &width) in values.chunks(CHUNK).zip(&plan.widths) {
        let (packed, behind) = rest.split_at_mut(usize::from(width) * chunk.len());
        rest = behind;
        match width {
            0 => {}
            1 => narrow::<T, 1>(chunk, packed),
            2 => narrow::<T, 2>(chunk, packed),
            3 => narrow::<T, 3>(chunk, packed),
            4 => narrow::<T, 4>(chunk, packed),
            5 => narrow::<T, 5>(chunk, packed),
            6 => narrow::<T, 6>(chunk, packed),
            7 => narrow::<T, 7>(chunk, packed),
            _ => narrow::<T, 8>(chunk, packed),
        }
        digests.extend(digest([&*packed]));
    }
    digests
}

/// The bytes that integers from `low` to `high` take; none if both are 0.
fn width(low: i64, high: i64) -> u8 {
    let bits = u64::BITS - high.max(!low).cast_unsigned().leading_zeros();
    if low == 0 && high == 0 { 0 } else { u8::try_from((bits + 8) / 8).unwrap_or(8) }
}

fn narrow<T: Copy + Into<i64>, const WIDTH: usize>(chunk: &[T], packed: &mut [u8]) {
    for (&value, bytes) in chunk.iter().zip(packed.as_chunks_mut::<WIDTH>().0) {
        bytes.copy_from_slice(&value.into().to_le_bytes()[..WIDTH]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed<T: Copy + Ord + Into<i64>>(values: &[T]) -> (Plan, Vec<u8>, Vec<u8>) {
        let plan = plan(values);
        let mut data = vec![0; plan.bytes];
        let digests = pack(values, &plan, &mut data);
        (plan, data, digests)
    }

    fn widened(data: &[u8], width: usize) -> Vec<i64> {
        let value = |bytes: &[u8]| {
            let sign = if bytes[width - 1] < 0x80 { 0 } else { 0xff };
            let mut word = [sign; 8];
            word[..width].copy_from_slice(bytes);
            i64::from_le_bytes(word)
        };
        data.chunks(width).map(value).collect()
    }

    #[test]
    fn an_integer_takes_the_fewest_bytes_that_hold_it_and_its_sign() {
        for width in 1..=8_usize {
            let half = 1_i128 << (8 * width - 1);
            let less = if width == 1 { 0 } else { 1_i128 << (8 * width - 9) };
            for value in [half - 1, -half, less.max(1), -less - 1] {
                let value = i64::try_from(value).unwrap();
                let (plan, data, _) = packed(&[value]);
                assert_eq!((plan.widths, plan.low, plan.high), (vec![u8::try_from(width).unwrap()], value, value));
                assert_eq!(widened(&data, width), [value]);
            }
        }
        assert_eq!(packed(&[0_i64; 3]).0.widths, [0]);
        assert_eq!(packed::<i32>(&[]).0, Plan { widths: vec![], low: 0, high: 0, bytes: 0 });
    }

    #[test]
    fn each_chunk_has_a_width_and_a_digest_of_its_own() {
        let mut values = vec![0_i32; 2 * CHUNK + 3];
        values[CHUNK] = -300;
        values[2 * CHUNK + 1] = i32::MIN;
        let (plan, data, digests) = packed(&values);
        assert_eq!((plan.widths.as_slice(), plan.low, plan.high), (&[0, 2, 4][..], i32::MIN.into(), 0));
        assert_eq!(data.len(), 2 * CHUNK + 12);
        let (second, third) = data.split_at(2 * CHUNK);
        assert_eq!(digests, [digest([]), digest([second]), digest([third])].concat());
        assert_eq!(widened(third, 4), [0, i32::MIN.into(), 0]);
    }
}
