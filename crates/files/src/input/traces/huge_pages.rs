//! Memory for the samples of a stretch.

/// Zeros in memory of huge pages where the system has them: taking pages of 4 KB costs more than filling them, and a trace made of
/// samples in frames touches one for each. Many are taken on another thread, while the first are filled.
pub(super) fn on_huge_pages(samples: usize) -> Vec<f32> {
    let mut zeros = vec![0.0_f32; samples];
    #[cfg(target_os = "linux")]
    {
        const HUGE: usize = 2 << 20;
        const MANY: usize = 16 * HUGE;
        // Others who want memory wait no longer than for these.
        const AT_A_TIME: usize = 8 * HUGE;
        let start = zeros.as_mut_ptr().cast::<u8>();
        let skipped = start.align_offset(HUGE);
        let length = size_of_val(&zeros[..]).saturating_sub(skipped) / HUGE * HUGE;
        let advise = |address: usize, length, advice| {
            // SAFETY: no advice given here changes what memory holds. Should the pages be someone else's by now, that one has them a
            // little earlier; should they be nobody's, or the system older than Linux 5.14, nothing happens.
            unsafe { libc::madvise(address as *mut libc::c_void, length, advice) }
        };
        let address = start.addr() + skipped;
        if length > 0 {
            advise(address, length, libc::MADV_HUGEPAGE);
        }
        if length >= MANY {
            let take = move || {
                (0..length).step_by(AT_A_TIME).all(|taken| {
                    let next = AT_A_TIME.min(length - taken);
                    advise(address + taken, next, libc::MADV_POPULATE_WRITE) == 0
                })
            };
            // Where there is no thread to be had, pages come one by one.
            let _ = std::thread::Builder::new().spawn(take);
        }
    }
    zeros
}
