//! A set of ranks as bits, with the search for the next one in either direction.

/// A set of whole numbers below a bound.
///
/// Bit `r % 64` of word `r / 64` says whether `r` is in; bit `w % 64` of summary `w / 64` whether word `w` has any bit.
#[derive(Debug, Default)]
pub(super) struct RankSet {
    words: Vec<u64>,
    summary: Vec<u64>,
}

impl RankSet {
    /// Empties the set and makes room for ranks below `bound`.
    pub(super) fn clear(&mut self, bound: usize) {
        self.words.clear();
        self.words.resize(bound.div_ceil(64), 0);
        self.summary.clear();
        self.summary.resize(self.words.len().div_ceil(64), 0);
    }

    pub(super) fn insert(&mut self, rank: usize) {
        self.words[rank / 64] |= 1 << (rank % 64);
        self.summary[rank / 4096] |= 1 << (rank / 64 % 64);
    }

    pub(super) fn remove(&mut self, rank: usize) {
        let word = &mut self.words[rank / 64];
        *word &= !(1 << (rank % 64));
        self.summary[rank / 4096] &= !(u64::from(*word == 0) << (rank / 64 % 64));
    }

    /// The smallest member from `rank` upwards; `rank` itself if there is none.
    pub(super) fn at_or_after(&self, rank: usize) -> usize {
        let word = rank / 64;
        let Some(bits) = self.words.get(word) else {
            return rank;
        };
        let bits = bits >> (rank % 64);
        if bits != 0 {
            return rank + bits.trailing_zeros() as usize;
        }
        next_bit(&self.summary, word + 1).map_or(rank, |word| {
            word * 64 + self.words[word].trailing_zeros() as usize
        })
    }

    /// The greatest member below `rank`; `rank` itself if there is none.
    pub(super) fn before(&self, rank: usize) -> usize {
        let word = rank / 64;
        let bits = self
            .words
            .get(word)
            .map_or(0, |bits| bits & !(u64::MAX << (rank % 64)));
        if bits != 0 {
            return word * 64 + bits.ilog2() as usize;
        }
        previous_bit(&self.summary, word)
            .map_or(rank, |word| word * 64 + self.words[word].ilog2() as usize)
    }
}

/// Index of the first set bit from bit `from` upwards.
fn next_bit(words: &[u64], from: usize) -> Option<usize> {
    let mut mask = u64::MAX << (from % 64);
    for (index, word) in words.iter().enumerate().skip(from / 64) {
        if word & mask != 0 {
            return Some(index * 64 + (word & mask).trailing_zeros() as usize);
        }
        mask = u64::MAX;
    }
    None
}

/// Index of the last set bit below bit `until`.
fn previous_bit(words: &[u64], until: usize) -> Option<usize> {
    let mut mask = !(u64::MAX << (until % 64));
    for (index, word) in words.iter().enumerate().take(until / 64 + 1).rev() {
        let bits = if index == until / 64 {
            word & mask
        } else {
            *word
        };
        if bits != 0 {
            return Some(index * 64 + bits.ilog2() as usize);
        }
        mask = u64::MAX;
    }
    None
}
