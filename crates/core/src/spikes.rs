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
//!    - the neuron's 0-based place among the neurons of the recording, likewise,
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

/// The random generator of one neuron: `neuron` is its 0-based place among the neurons of the `subject`, after the selection of cells.
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

/// Samples one neuron's spikes from its spike `rate` per frame, (T,), and returns how many there are.
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

/// A number in [0, 1): the 53 high bits of one number of the generator.
fn uniform(rng: &mut impl Rng) -> f64 {
    const STEP: f64 = 1.0 / (1u64 << 53) as f64;
    (rng.next_u64() >> 11) as f64 * STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        seed: u64,
        subject: String,
        neuron: u64,
        rate: Vec<u32>,
        #[serde(rename = "first_draws")]
        first_numbers: Vec<u64>,
        spikes: Vec<u8>,
    }

    fn sampled(rate: &[f32], seed: u64, subject: &str, neuron: u64) -> (u32, Vec<u8>) {
        let mut packed = vec![0xff; row_bytes(rate.len())];
        let count = sample(rate, &mut generator(seed, subject, neuron), &mut packed);
        let mut spikes = vec![0xff; rate.len()];
        unpack(&packed, &mut spikes);
        (count, spikes)
    }

    #[test]
    fn rule_5_2_equals_the_documented_generator_written_in_python() {
        let golden: Vec<Golden> =
            serde_json::from_str(include_str!("../../../tests/fixtures/pure/spikes.json")).unwrap();
        for Golden {
            seed,
            subject,
            neuron,
            rate,
            first_numbers,
            spikes,
        } in golden
        {
            let mut rng = generator(seed, &subject, neuron);
            for expected in first_numbers {
                assert_eq!(
                    uniform(&mut rng),
                    f64::from_bits(expected),
                    "{subject} {neuron}"
                );
            }
            let rate: Vec<f32> = rate.into_iter().map(f32::from_bits).collect();
            let (count, found) = sampled(&rate, seed, &subject, neuron);
            assert_eq!(found, spikes, "{subject} {neuron}");
            assert_eq!(
                count,
                spikes.iter().map(|&spike| u32::from(spike)).sum::<u32>()
            );
        }
    }

    #[test]
    fn rule_5_1_nan_never_spikes_and_rates_are_clipped() {
        let frames = 10_000;
        for never in [f32::NAN, 0.0, -0.0, -1.0, f32::NEG_INFINITY] {
            assert_eq!(
                sampled(&vec![never; frames], 1, "s", 0).0,
                0,
                "rate {never}"
            );
        }
        for always in [1.0, 1.5, f32::INFINITY] {
            assert_eq!(
                sampled(&vec![always; frames], 1, "s", 0).0,
                frames as u32,
                "rate {always}"
            );
        }
    }

    #[test]
    fn rule_5_1_spikes_are_as_frequent_as_their_probability() {
        let frames = 1_000_000;
        for probability in [0.01f32, 0.3, 0.9] {
            let (count, _) = sampled(&vec![probability; frames], 7, "subject_1", 5);
            let expected = f64::from(probability) * frames as f64;
            let deviation = (expected * (1.0 - f64::from(probability))).sqrt();
            assert!(
                (f64::from(count) - expected).abs() < 5.0 * deviation,
                "{count} spikes at {probability}"
            );
        }
    }

    #[test]
    fn rule_5_2_one_number_per_frame_whatever_the_probability() {
        let rate = [0.5; 64];
        let mut holes = rate;
        for frame in (0..64).step_by(3) {
            holes[frame] = [f32::NAN, 0.0, 1.0][frame % 2];
        }
        let (_, whole) = sampled(&rate, 3, "s", 9);
        let (_, with_holes) = sampled(&holes, 3, "s", 9);
        for frame in (0..64).filter(|frame| frame % 3 != 0) {
            assert_eq!(whole[frame], with_holes[frame], "frame {frame}");
        }
    }

    #[test]
    fn rule_5_2_neurons_subjects_and_seeds_are_independent() {
        let rate = [0.5; 256];
        let given = sampled(&rate, 42, "subject_1", 0).1;
        assert_eq!(given, sampled(&rate, 42, "subject_1", 0).1);
        for (seed, subject, neuron) in [
            (43, "subject_1", 0),
            (42, "subject_2", 0),
            (42, "subject_1", 1),
        ] {
            let other = sampled(&rate, seed, subject, neuron).1;
            let equal = given.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!((80..176).contains(&equal), "{equal} of 256 frames equal");
        }
    }

    #[test]
    fn packed_spikes_are_lsb_first_and_end_in_zero_bits() {
        let mut packed = [0xff; 2];
        let rate = [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        assert_eq!(sample(&rate, &mut generator(0, "", 0), &mut packed), 4);
        assert_eq!(packed, [0b1000_0101, 0b10]);
        assert!(is_set(&packed, 9) && !is_set(&packed, 8) && !is_set(&packed, 1000));
        assert_eq!(
            (row_bytes(0), row_bytes(1), row_bytes(8), row_bytes(9)),
            (0, 1, 1, 2)
        );
    }
}
