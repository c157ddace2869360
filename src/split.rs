//! Train and test blocks of frames (rule 6.1).
//!
//! Blocks of 330 frames are shuffled as NumPy's legacy generator shuffles them after `numpy.random.seed(seed)`, so that
//! models trained on the split of the Python pipeline stay comparable: MT19937 (Matsumoto and Nishimura 1998) seeded by
//! `init_genrand`, Fisher-Yates from the last place down, each place drawn by masking and rejection.

use rand_mt::Mt;

/// Frames per block.
pub const BLOCK_FRAMES: usize = 330;

/// Which of `frames` frames train, (T,); the others test.
///
/// `split_ratio`, from 0 to 1, is the share of blocks that train. At least one block tests if there is one; the frames
/// after the last whole block always train.
pub fn train_mask(frames: usize, split_ratio: f64, seed: u32) -> Vec<bool> {
    let mut blocks: Vec<usize> = (0..frames / BLOCK_FRAMES).collect();
    shuffle(&mut blocks, &mut Mt::new(seed));
    let test_blocks = (blocks.len() as f64 * (1.0 - split_ratio)) as usize;
    let mut train = vec![true; frames];
    for block in blocks.into_iter().take(test_blocks.max(1)) {
        train[block * BLOCK_FRAMES..][..BLOCK_FRAMES].fill(false);
    }
    train
}

/// `numpy.random.shuffle` of the legacy generator.
fn shuffle(items: &mut [usize], rng: &mut Mt) {
    for last in (1..items.len()).rev() {
        items.swap(last, at_most(last, rng));
    }
}

/// A number from 0 to `greatest`: draws cut to the bits that `greatest` has, until one is not above it.
fn at_most(greatest: usize, rng: &mut Mt) -> usize {
    let mask = u32::MAX >> (greatest as u32).leading_zeros();
    loop {
        let draw = (rng.next_u32() & mask) as usize;
        if draw <= greatest {
            return draw;
        }
    }
}
