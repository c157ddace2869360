//! Made-up recordings for the benches, the same in every run.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use spikegrid_core::grid::{Layout, PlaneRule};

/// ΔF/F of `neurons` neurons, (N, T): noise of CASCADE's levels 2 to 19 in turn, and a transient now and then.
pub(crate) fn dff(neurons: usize, frames: usize, rate_hz: f64) -> Vec<f32> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut dff = Vec::with_capacity(neurons * frames);
    for neuron in 0..neurons {
        let level = 2 + neuron * 7 % 18;
        // rule 4.3 solved for the standard deviation of white noise, whose median step is 0.954 of it
        let noise = level as f64 / 100.0 * rate_hz.sqrt() / 0.954;
        let mut calcium = 0.0;
        for _ in 0..frames {
            calcium *= 0.6;
            if uniform(&mut random) < 0.02 {
                calcium += 0.5;
            }
            dff.push((calcium + noise * normal(&mut random)) as f32);
        }
    }
    dff
}

/// Fluorescence of `neurons` neurons, (N, T), around 100.
pub(crate) fn fluorescence(neurons: usize, frames: usize) -> Vec<f32> {
    let mut trace = dff(neurons, frames, 2.0);
    trace
        .iter_mut()
        .for_each(|value| *value = 100.0 * (1.0 + *value));
    trace
}

/// Bytes of which each bit is 1 with `probability`.
pub(crate) fn bits(bytes: usize, probability: f64) -> Vec<u8> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut bits = vec![0; bytes];
    // Distances between ones are geometric.
    let scale = (1.0 - probability).ln();
    let mut place = 0.0;
    loop {
        place += (1.0 - uniform(&mut random)).ln() / scale;
        let Some(byte) = bits.get_mut(place as usize / 8) else {
            return bits;
        };
        *byte |= 1 << (place as usize % 8);
        place = place.floor() + 1.0;
    }
}

/// `neurons` cells on `planes` z-planes.
pub(crate) fn layout(neurons: usize, planes: usize) -> Layout {
    Layout::new(&positions(neurons, planes), PlaneRule::Levels).expect("levels")
}

/// Positions of `neurons` cells on `planes` z-planes, (N, 3).
fn positions(neurons: usize, planes: usize) -> Vec<[f64; 3]> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    (0..neurons)
        .map(|neuron| {
            let [x, y] = [1000.0, 500.0].map(|extent| extent * uniform(&mut random));
            [x, y, (neuron % planes) as f64]
        })
        .collect()
}

fn uniform(random: &mut impl Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Nearly normal: the sum of twelve uniform numbers less its mean.
fn normal(random: &mut impl Rng) -> f64 {
    (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0
}
