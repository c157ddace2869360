//! Train and test blocks of frames (rule 6.1).
//!
//! Blocks of 330 frames are shuffled as NumPy's legacy generator shuffles them after `numpy.random.seed(seed)`, so that
//! models trained on the split of the Python pipeline stay comparable: MT19937 (Matsumoto and Nishimura 1998) seeded by
//! `init_genrand`, Fisher-Yates from the last place down, each place chosen by masking and rejection.

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

/// A number from 0 to `greatest`: numbers of the generator, cut to the bits that `greatest` has, until one is not above it.
fn at_most(greatest: usize, rng: &mut Mt) -> usize {
    let mask = u32::MAX >> (greatest as u32).leading_zeros();
    loop {
        let number = (rng.next_u32() & mask) as usize;
        if number <= greatest {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        frames: usize,
        split_ratio: f64,
        seed: u32,
        test_blocks: Vec<usize>,
    }

    #[test]
    fn rule_6_1_equals_numpy_shuffle() {
        let golden: Vec<Golden> =
            serde_json::from_str(include_str!("../../../tests/fixtures/pure/splits.json")).unwrap();
        for Golden {
            frames,
            split_ratio,
            seed,
            test_blocks,
        } in golden
        {
            let train = train_mask(frames, split_ratio, seed);
            let expected: Vec<bool> = (0..frames)
                .map(|t| !test_blocks.contains(&(t / BLOCK_FRAMES)))
                .collect();
            assert!(
                train == expected,
                "{frames} frames, split ratio {split_ratio}, seed {seed}"
            );
        }
    }

    #[test]
    fn rule_6_1_one_block_tests_even_where_all_should_train() {
        let test_frames = |frames, ratio| {
            train_mask(frames, ratio, 42)
                .iter()
                .filter(|&&train| !train)
                .count()
        };
        assert_eq!(test_frames(3 * BLOCK_FRAMES, 1.0), BLOCK_FRAMES);
        assert_eq!(test_frames(BLOCK_FRAMES, 0.95), BLOCK_FRAMES);
    }

    #[test]
    fn rule_6_1_ratio_zero_tests_every_whole_block_and_trains_the_remainder() {
        let train = train_mask(3 * BLOCK_FRAMES + 7, 0.0, 42);
        assert!(train[..3 * BLOCK_FRAMES].iter().all(|&train| !train));
        assert!(train[3 * BLOCK_FRAMES..].iter().all(|&train| train));
    }

    #[test]
    fn rule_6_1_recording_shorter_than_a_block_trains_whole() {
        for frames in [0, 1, BLOCK_FRAMES - 1] {
            assert_eq!(train_mask(frames, 0.5, 42), vec![true; frames]);
        }
    }

    #[test]
    fn rule_6_1_whole_blocks_test_and_each_frame_is_covered_once() {
        for frames in (0..5000).step_by(77) {
            let train = train_mask(frames, 0.8, frames as u32);
            assert_eq!(train.len(), frames);
            for block in train.chunks(BLOCK_FRAMES) {
                assert!(
                    block.iter().all(|&train| train == block[0]),
                    "a block is cut"
                );
            }
        }
    }
}
