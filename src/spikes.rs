//! Spike rates to spikes, reproducible neuron by neuron (rules 5.1 and 5.2).
//!
//! A frame has a spike when a uniform random number in [0, 1) is below its probability, the spike rate clipped to
//! [0, 1]; a frame without a rate (NaN) never has one. Every neuron has a random generator of its own and takes exactly
//! one number from it per frame, so that its random numbers depend on the seed, the subject and its place in the
//! recording, and on nothing else: not on its rates, the ranks, the threads or the work units.
//!
//! # The generator, to be replayed elsewhere
//!
//! 1. `digest` = SHA-256 of these bytes, one after the other:
//!    - the 23 bytes `spikegrid-mpi spikes 1\0` (ASCII, ended by a zero byte),
//!    - `--seed` as an unsigned 64-bit number, little endian,
//!    - the neuron's 0-based place in `CellResp`, likewise,
//!    - the name of the subject's folder, such as `subject_1`, in UTF-8, to the end.
//! 2. The state of a xoshiro256++ generator (Blackman and Vigna 2021, doi:10.1145/3460772) is `s[0]..s[3]`: bytes 0 to 7
//!    of `digest` as a little-endian number, then bytes 8 to 15, 16 to 23 and 24 to 31. One step, modulo 2^64:
//!    ```text
//!    result = rotl(s[0] + s[3], 23) + s[0];   t = s[1] << 17
//!    s[2] ^= s[0];  s[3] ^= s[1];  s[1] ^= s[2];  s[0] ^= s[3];  s[2] ^= t;  s[3] = rotl(s[3], 45)
//!    ```
//! 3. Frame `t` of the neuron uses step `t`, counted from 0: its uniform number is `(result >> 11) * 2^-53`, an exact f64.
//! 4. The rate (f32) is converted to f64 and compared: `uniform < rate`.
//!
//! `scripts/replay_spikes.py` does this in Python for the files of a run with `--save_traces`.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// Begins what is hashed into a generator's state. Its number changes whenever the same seed gives other spikes.
const DOMAIN: &[u8] = b"spikegrid-mpi spikes 1\0";

/// The random generator of one neuron: `neuron` is its 0-based place in `CellResp` of the `subject`.
pub fn generator(seed: u64, subject: &str, neuron: u64) -> Xoshiro256PlusPlus {
    let digest = Sha256::new()
        .chain_update(DOMAIN)
        .chain_update(seed.to_le_bytes())
        .chain_update(neuron.to_le_bytes())
        .chain_update(subject)
        .finalize();
    Xoshiro256PlusPlus::from_seed(digest.into())
}

/// Bytes of one neuron's bit-packed spikes over `frames` frames.
pub const fn row_bytes(frames: usize) -> usize {
    frames.div_ceil(8)
}

/// Draws one neuron's spikes from its spike `rate` per frame, (T,), and returns how many there are.
///
/// `packed` takes `row_bytes(T)` bytes: frame `t` is bit `t % 8`, counted from the least significant, of byte `t / 8`;
/// bits after the last frame are 0.
///
/// # Panics
/// When `packed` has another length.
pub fn sample(rate: &[f32], rng: &mut impl Rng, packed: &mut [u8]) -> u32 {
    assert_eq!(
        packed.len(),
        row_bytes(rate.len()),
        "bytes for the spikes of {} frames",
        rate.len()
    );
    let mut spikes = 0;
    for (byte, rate) in packed.iter_mut().zip(rate.chunks(8)) {
        *byte = 0;
        for (bit, &rate) in rate.iter().enumerate() {
            // Clipping is in the comparison: no uniform number is below 0, and all are below 1. NaN compares false.
            *byte |= u8::from(uniform(rng) < f64::from(rate)) << bit;
        }
        spikes += byte.count_ones();
    }
    spikes
}

/// Whether frame `frame` of bit-packed spikes has one; frames beyond the end have none.
pub fn is_set(packed: &[u8], frame: usize) -> bool {
    packed
        .get(frame / 8)
        .is_some_and(|byte| byte >> (frame % 8) & 1 == 1)
}

/// Writes 1 for each frame with a spike and 0 for each without into `spikes`, (T,).
pub fn unpack(packed: &[u8], spikes: &mut [u8]) {
    for (frame, spike) in spikes.iter_mut().enumerate() {
        *spike = u8::from(is_set(packed, frame));
    }
}

/// A number in [0, 1): the 53 high bits of one draw.
fn uniform(rng: &mut impl Rng) -> f64 {
    const STEP: f64 = 1.0 / (1u64 << 53) as f64;
    (rng.next_u64() >> 11) as f64 * STEP
}
