//! The checksum of HDF5's metadata: lookup3 by Bob Jenkins, which is in the public domain.

/// The checksum of some bytes.
pub(super) fn lookup3(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let mut state = [start; 3];
    // The last 1 to 12 bytes are mixed in another way than those before.
    let last = bytes.len().saturating_sub(1) / 12 * 12;
    let (before, rest) = bytes.split_at(last);
    for block in before.chunks_exact(12) {
        add(&mut state, block);
        mix(&mut state);
    }
    if rest.is_empty() {
        return state[2];
    }
    let mut block = [0; 12];
    block[..rest.len()].copy_from_slice(rest);
    add(&mut state, &block);
    mix_last(&mut state);
    state[2]
}

/// Adds twelve bytes to the state, as three numbers of four.
fn add(state: &mut [u32; 3], block: &[u8]) {
    for (number, bytes) in state.iter_mut().zip(block.chunks_exact(4)) {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        *number = number.wrapping_add(u32::from_le_bytes(bytes));
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    let step = |x: &mut u32, y: &mut u32, z: u32, bits: u32| {
        *x = x.wrapping_sub(*y) ^ y.rotate_left(bits);
        *y = y.wrapping_add(z);
    };
    step(a, c, *b, 4);
    step(b, a, *c, 6);
    step(c, b, *a, 8);
    step(a, c, *b, 16);
    step(b, a, *c, 19);
    step(c, b, *a, 4);
}

fn mix_last([a, b, c]: &mut [u32; 3]) {
    let step = |x: &mut u32, y: u32, bits: u32| {
        *x = (*x ^ y).wrapping_sub(y.rotate_left(bits));
    };
    step(c, *b, 14);
    step(a, *c, 11);
    step(b, *a, 25);
    step(c, *b, 16);
    step(a, *c, 4);
    step(b, *a, 14);
    step(c, *b, 24);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_checksums_come_out() {
        // From the self-test of lookup3.c.
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}
