//! The few distributions that demo data and training need, from xoshiro256++.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    generator: Xoshiro256PlusPlus,
    /// Normal numbers come in pairs; this is the second one.
    spare: Option<f32>,
}

/// The seed of a subject, from which those of its streams follow.
pub(crate) fn subject_seed(seed: u64, subject: u64) -> u64 {
    let mut mixed = Xoshiro256PlusPlus::seed_from_u64(seed);
    mixed
        .next_u64()
        .wrapping_add(subject.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

impl Random {
    /// Stream `number` of a subject.
    pub fn stream(subject_seed: u64, number: u64) -> Random {
        Random {
            generator: Xoshiro256PlusPlus::seed_from_u64(subject_seed.wrapping_add(number)),
            spare: None,
        }
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f32 {
        (self.generator.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in [0, 1), in double precision.
    pub fn uniform_f64(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below `end`, each as likely as the others to within `end / 2^53`; 0 below 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.uniform_f64() * end as f64) as usize).min(end.saturating_sub(1))
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Standard normal (Box and Muller 1958).
    pub fn normal(&mut self) -> f32 {
        if let Some(second) = self.spare.take() {
            return second;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Log-normal with the given median; `spread` is the standard deviation of the logarithm.
    pub fn log_normal(&mut self, median: f32, spread: f32) -> f32 {
        median * (spread * self.normal()).exp()
    }

    /// Poisson with mean `lambda`, from one uniform number, at most 255.
    pub fn poisson(&mut self, lambda: f32) -> u8 {
        let mut left = self.uniform();
        let mut probability = (-lambda).exp();
        let mut count = 0u8;
        while left >= probability && count < u8::MAX && probability > 0.0 {
            left -= probability;
            count += 1;
            probability *= lambda / f32::from(count);
        }
        count
    }
}
