//! Puts numbers together again whose bytes or bits were stored one after the other.

/// Puts the bytes of numbers together again: first the first bytes of all numbers, then the second ones, and at the end what is no
/// whole number.
pub(super) fn unshuffle(shuffled: &[u8], bytes: &mut [u8], type_bytes: usize) {
    let count = bytes.len() / type_bytes;
    let whole = count * type_bytes;
    bytes[whole..].copy_from_slice(&shuffled[whole..]);
    if count == 0 {
        return;
    }
    let (planes, bytes) = (&shuffled[..whole], &mut bytes[..whole]);
    match type_bytes {
        2 => unshuffle_of::<2>(planes, bytes),
        4 => unshuffle_of::<4>(planes, bytes),
        8 => unshuffle_of::<8>(planes, bytes),
        _ => {
            for (place, plane) in planes.chunks_exact(count).enumerate() {
                let to = bytes[place..].iter_mut().step_by(type_bytes);
                to.zip(plane).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// As [`unshuffle`], for whole numbers of a length that the compiler knows.
fn unshuffle_of<const BYTES: usize>(planes: &[u8], bytes: &mut [u8]) {
    let count = bytes.len() / BYTES;
    let planes: [&[u8]; BYTES] = std::array::from_fn(|place| &planes[place * count..][..count]);
    for (place, number) in bytes.as_chunks_mut::<BYTES>().0.iter_mut().enumerate() {
        *number = std::array::from_fn(|byte| planes[byte][place]);
    }
}

/// Puts the bits of numbers together again: first the lowest bits of the first bytes of all numbers. Where numbers are no multiple of 8,
/// they are as they were. `planes` is memory.
pub(super) fn unshuffle_bits(
    shuffled: &[u8],
    bytes: &mut [u8],
    type_bytes: usize,
    planes: &mut Vec<u8>,
) {
    let count = bytes.len() / type_bytes;
    if !count.is_multiple_of(8) {
        bytes.copy_from_slice(shuffled);
        return;
    }
    let whole = count * type_bytes;
    planes.resize(bytes.len(), 0);
    planes[whole..].copy_from_slice(&shuffled[whole..]);
    let pairs = planes[..whole].chunks_exact_mut(count.max(1));
    for (plane, bits) in pairs.zip(shuffled.chunks_exact(count.max(1))) {
        join_bits(bits, plane);
    }
    unshuffle(planes, bytes, type_bytes);
}

/// Makes bytes of their bits: first the lowest bits of all.
fn join_bits(bits: &[u8], bytes: &mut [u8]) {
    /// Words of a row that are turned together.
    const WORDS: usize = 4;
    let row = bits.len() / 8;
    let rows: [&[u8]; 8] = std::array::from_fn(|bit| &bits[bit * row..][..row]);
    let fast = row / (8 * WORDS) * (8 * WORDS);
    for first in (0..fast).step_by(8 * WORDS) {
        join_words::<WORDS>(rows.map(|row| &row[first..]), &mut bytes[8 * first..]);
    }
    for first in fast..row {
        let byte = |bit: usize| rows[bit][first];
        let joined = &mut bytes[8 * first..][..8];
        for (place, joined) in joined.iter_mut().enumerate() {
            *joined = (0..8).fold(0, |sum, bit| sum | (byte(bit) >> place & 1) << bit);
        }
    }
}

/// Joins the bits of `64 * WORDS` bytes. Each 8 bytes below each other, one of each row, are 8 times 8 bits that are transposed.
fn join_words<const WORDS: usize>(rows: [&[u8]; 8], bytes: &mut [u8]) {
    let mut words = rows.map(|row| {
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(row.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    });
    for (distance, mask) in [
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        for upper in (0..8).filter(|row| row & distance == 0) {
            let lower = upper + distance;
            let (mut above, mut below) = (words[upper], words[lower]);
            for (a, b) in above.iter_mut().zip(&mut below) {
                let swapped = ((*a >> distance) ^ *b) & mask;
                *a ^= swapped << distance;
                *b ^= swapped;
            }
            (words[upper], words[lower]) = (above, below);
        }
    }
    let eights = bytes.as_chunks_mut::<8>().0.as_chunks_mut::<8>().0;
    for (place, eights) in eights.iter_mut().take(WORDS).enumerate() {
        let rows = words.map(|words| words[place].to_le_bytes());
        for (byte, eight) in eights.iter_mut().enumerate() {
            *eight = rows.map(|row| row[byte]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_bits_of_any_number_of_numbers_are_put_together() {
        for type_bytes in [1, 2, 3, 4, 8, 16] {
            for length in [0, 5, 64, 96, 1000, 8 * 4 * 64 + 8] {
                let length = length * type_bytes + 1;
                let bytes: Vec<u8> = (0..length)
                    .map(|place| (place * 7 + place / 11) as u8)
                    .collect();
                let count = length / type_bytes;
                let mut shuffled = bytes.clone();
                for (place, byte) in bytes[..count * type_bytes].iter().enumerate() {
                    shuffled[place % type_bytes * count + place / type_bytes] = *byte;
                }
                let mut found = vec![0; length];
                unshuffle(&shuffled, &mut found, type_bytes);
                assert_eq!(found, bytes, "{count} numbers of {type_bytes} bytes");
                let mut bits = shuffled.clone();
                if count.is_multiple_of(8) {
                    bits[..count * type_bytes].fill(0);
                    for (place, byte) in shuffled[..count * type_bytes].iter().enumerate() {
                        let (plane, number) = (place / count, place % count);
                        for bit in 0..8 {
                            let row = (8 * plane + bit) * (count / 8);
                            bits[row + number / 8] |= (byte >> bit & 1) << (number % 8);
                        }
                    }
                } else {
                    bits.copy_from_slice(&bytes);
                }
                unshuffle_bits(&bits, &mut found, type_bytes, &mut Vec::new());
                assert_eq!(found, bytes, "{count} numbers of {type_bytes} bytes, bits");
            }
        }
    }
}
