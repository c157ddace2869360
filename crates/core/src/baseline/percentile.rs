//! The percentile of a sliding window, exact and in time that hardly grows with the window.
//!
//! The trace is cut into blocks of frames. The samples that a block's windows can reach are sorted once, so that every
//! sample has a rank, and the window is a set of ranks held as bits. Moving on by one frame sets one bit and clears
//! another; the two order statistics that the percentile lies between then move by at most one place each, to the next
//! set bit on the left or right. With a low percentile most steps happen far above both and leave the baseline as it is.
//! Missing samples have the last ranks, and are never in the set.
//!
//! Costs per frame: a radix sort of slightly more than one sample, two bit flips, and for some frames a search for the
//! next set bit, which a second level of bits (one per 64) keeps short whatever the trace.

use super::Window;
use super::ranks::RankSet;

/// Fewest frames that share one sort, enough to make its fixed costs and the overlap of blocks small.
const BLOCK_FRAMES: usize = 2048;

/// A block is at least this many half-windows long. Longer ones overlap less but spread the window's bits thinner.
const BLOCK_HALVES: usize = 8;

/// Percentile of a sliding window, with the memory it works in: one per thread, kept from trace to trace.
#[derive(Debug, Default)]
pub struct SlidingPercentile {
    /// Baseline of the trace at hand, (T,).
    f0: Vec<f32>,
    samples: SortedSamples,
    window: RankSet,
}

impl SlidingPercentile {
    /// An empty working memory, which grows to what the longest trace needs.
    pub fn new() -> Self {
        Self::default()
    }

    /// The `percentile` (0 to 100; beyond is taken as the nearer end) of the `window` around each frame of `trace`, (T,).
    ///
    /// Linear interpolation between order statistics in f64, as `numpy.percentile` does by default, rounded to f32. NaN and
    /// infinite samples are missing: the percentile is that of the others, and NaN where fewer than half of the frames that the
    /// window has within the trace have one (rule 3.2).
    pub fn of(&mut self, trace: &[f32], window: Window, percentile: f64) -> &[f32] {
        let frames = trace.len();
        let half = window.half().min(frames);
        let quantile = percentile.clamp(0.0, 100.0) / 100.0;
        self.f0.resize(frames, 0.0);
        let block = BLOCK_FRAMES.max(BLOCK_HALVES * half);
        for begin in (0..frames).step_by(block) {
            let end = frames.min(begin + block);
            let reach_begin = begin.saturating_sub(half);
            let reach = &trace[reach_begin..frames.min(end + half)];
            self.samples.sort(reach);
            self.window.clear(reach.len());
            let block = Block {
                reach,
                samples: &self.samples,
                first: begin - reach_begin,
                half,
                quantile,
            };
            let f0 = &mut self.f0[begin..end];
            // Most traces miss nothing, and pay nothing for those that do.
            match self.samples.there() == reach.len() {
                true => block.slide::<false>(&mut self.window, f0),
                false => block.slide::<true>(&mut self.window, f0),
            }
        }
        &self.f0
    }
}

/// Frames whose windows slide over samples that were sorted together.
struct Block<'a> {
    /// The samples in reach of the windows.
    reach: &'a [f32],
    /// The same, sorted.
    samples: &'a SortedSamples,
    /// First frame of the block, within `reach`.
    first: usize,
    /// Frames of a window on each side.
    half: usize,
    /// From 0 to 1.
    quantile: f64,
}

impl Block<'_> {
    /// Baseline of the frames `first..first + f0.len()`. `MISSING` says whether samples are missing.
    fn slide<const MISSING: bool>(&self, window: &mut RankSet, f0: &mut [f32]) {
        let Self {
            reach,
            samples,
            first,
            half,
            quantile,
        } = *self;
        let there_in_reach = samples.there();
        let is_there = |rank: u32| !MISSING || (rank as usize) < there_in_reach;
        let mut entered = reach.len().min(first + half + 1);
        let mut left = 0;
        let mut there = 0;
        for &rank in samples.rank[..entered]
            .iter()
            .filter(|&&rank| is_there(rank))
        {
            window.insert(rank as usize);
            there += 1;
        }
        let mut cursor = Cursor::new(window, Place::of(quantile, there));
        let value = |rank: usize| f64::from(reach[samples.place(rank)]);
        let mut baseline = cursor.settle(value);
        for (t, f0) in (first..).zip(f0) {
            let before = there;
            if t > first && entered < reach.len() {
                let rank = samples.rank[entered];
                if is_there(rank) {
                    cursor.insert(rank as usize);
                    there += 1;
                }
                entered += 1;
            }
            if t > left + half {
                let rank = samples.rank[left];
                if is_there(rank) {
                    cursor.remove(rank as usize);
                    there -= 1;
                }
                left += 1;
            }
            if there != before {
                cursor.aim(Place::of(quantile, there));
            }
            if cursor.moved() {
                baseline = cursor.settle(value);
            }
            let enough = !MISSING || 2 * there >= entered - left;
            *f0 = if enough { baseline } else { f32::NAN };
        }
    }
}

/// Where a quantile lies among the order statistics of a number of samples.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The lower of the two order statistics, counted from 0.
    lower: usize,
    /// Weight of the one above it, from 0 up to but not including 1.
    weight: f64,
}

impl Place {
    fn of(quantile: f64, samples: usize) -> Self {
        let last = samples.saturating_sub(1);
        let place = last as f64 * quantile;
        let lower = (place as usize).min(last);
        Self {
            lower,
            weight: if lower == last {
                0.0
            } else {
                place - lower as f64
            },
        }
    }

    /// As NumPy interpolates: from the nearer end, so that the result is monotonic in the weight.
    fn interpolate(self, low: f64, high: f64) -> f32 {
        let step = high - low;
        let value = if self.weight < 0.5 {
            low + step * self.weight
        } else {
            high - step * (1.0 - self.weight)
        };
        value as f32 + 0.0 // one zero, whichever came first: -0.0 + 0.0 is 0.0
    }
}

/// The two order statistics that the percentile lies between, followed while the window's samples change.
struct Cursor<'a> {
    window: &'a mut RankSet,
    place: Place,
    /// Rank of the lower one, as of the last `settle`.
    low: usize,
    /// Rank of the upper one, or again of the lower one where the upper has no weight.
    high: usize,
    /// How many ranks below `low` are in the window now.
    below: usize,
    /// Whether something between `low` and `high` came or went.
    touched: bool,
}

impl<'a> Cursor<'a> {
    fn new(window: &'a mut RankSet, place: Place) -> Self {
        let low = window.at_or_after(0);
        Self {
            window,
            place,
            low,
            high: low,
            below: 0,
            touched: true,
        }
    }

    fn insert(&mut self, rank: usize) {
        self.window.insert(rank);
        self.below += usize::from(rank < self.low);
        self.touched |= self.spans(rank);
    }

    fn remove(&mut self, rank: usize) {
        self.window.remove(rank);
        self.below -= usize::from(rank < self.low);
        self.touched |= self.spans(rank);
    }

    /// Whether `low <= rank <= high`, in one comparison.
    fn spans(&self, rank: usize) -> bool {
        rank.wrapping_sub(self.low) <= self.high - self.low
    }

    /// Looks for another place from now on.
    fn aim(&mut self, place: Place) {
        self.place = place;
        self.touched = true;
    }

    fn moved(&self) -> bool {
        self.touched | (self.below != self.place.lower)
    }

    /// Finds both order statistics again and interpolates between their values.
    fn settle(&mut self, value: impl Fn(usize) -> f64) -> f32 {
        while self.below > self.place.lower {
            self.low = self.window.before(self.low);
            self.below -= 1;
        }
        self.low = self.window.at_or_after(self.low);
        while self.below < self.place.lower {
            self.low = self.window.at_or_after(self.low + 1);
            self.below += 1;
        }
        self.high = if self.place.weight > 0.0 {
            self.window.at_or_after(self.low + 1)
        } else {
            self.low
        };
        self.touched = false;
        self.place.interpolate(value(self.low), value(self.high))
    }
}

/// Samples in ascending order, and the rank of each.
#[derive(Debug, Default)]
struct SortedSamples {
    /// Sort key in the high half, place among the samples in the low half.
    sorted: Vec<u64>,
    /// The other side of each pass of the sort.
    unsorted: Vec<u64>,
    /// Index in `sorted` of each sample.
    rank: Vec<u32>,
}

impl SortedSamples {
    /// The number of samples that are not missing: they have the ranks below it.
    fn there(&self) -> usize {
        self.sorted
            .partition_point(|&sample| sample >> 32 < u64::from(MISSING_KEY))
    }

    /// Where among the samples the one of a `rank` is.
    fn place(&self, rank: usize) -> usize {
        self.sorted[rank] as u32 as usize
    }

    /// Sorts by radix, least digit first. Missing samples come last.
    fn sort(&mut self, samples: &[f32]) {
        const DIGITS: usize = 4;
        let mut counts = [[0u32; 256]; DIGITS];
        self.sorted.clear();
        self.sorted
            .extend((0u64..).zip(samples).map(|(place, &sample)| {
                let key = sort_key(sample);
                for (counts, digit) in counts.iter_mut().zip(key.to_le_bytes()) {
                    counts[usize::from(digit)] += 1;
                }
                u64::from(key) << 32 | place
            }));
        self.unsorted.resize(samples.len(), 0);
        for (shift, counts) in (32..).step_by(8).zip(&mut counts) {
            if counts.iter().any(|&count| count as usize == samples.len()) {
                continue; // one digit in all: already in order
            }
            let mut next = 0;
            for count in counts.iter_mut() {
                next += std::mem::replace(count, next);
            }
            std::mem::swap(&mut self.sorted, &mut self.unsorted);
            for &sample in &self.unsorted {
                let next = &mut counts[usize::from((sample >> shift) as u8)];
                self.sorted[*next as usize] = sample;
                *next += 1;
            }
        }
        self.rank.resize(samples.len(), 0);
        for (rank, &sample) in (0u32..).zip(&self.sorted) {
            self.rank[sample as u32 as usize] = rank;
        }
    }
}

/// Sort key of missing samples, above that of any other.
const MISSING_KEY: u32 = u32::MAX;

/// Orders as the samples do, -0.0 equal to 0.0 and everything that is not finite last.
fn sort_key(sample: f32) -> u32 {
    if !sample.is_finite() {
        return MISSING_KEY;
    }
    const SIGN: u32 = 1 << 31;
    let bits = (sample + 0.0).to_bits(); // -0.0 + 0.0 is 0.0
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}
