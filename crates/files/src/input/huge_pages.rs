//! Memory for the samples of a stretch.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Samples in memory of huge pages, where the system has them: getting pages of 4 KB costs more than filling them, and making a
/// trace of samples in frames touches a page for each frame. With huge pages there are 5,000 instead of 159,000 page faults for
/// 320 MB.
///
/// The pages of a long buffer are made present by a thread of its own, while the first are filled. Dropping the buffer stops
/// that thread and waits for it.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Declared before the values, and so dropped before them: the thread knows only their address.
    _populating: Option<Populating>,
    values: Vec<f32>,
}

/// A thread that makes the pages of a buffer present.
#[derive(Debug)]
struct Populating {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Populating {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic, and if it did, the values would not be touched.
            let _ = thread.join();
        }
    }
}

impl Buffer {
    /// Zeros.
    pub(super) fn zeros(samples: usize) -> Self {
        let mut values = vec![0.0_f32; samples];
        Self {
            _populating: advise(&mut values),
            values,
        }
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        Self {
            _populating: None,
            values,
        }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::from(self.values.clone())
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

/// Asks for huge pages for zeros that were just allocated, and has many of them made present by a thread.
#[cfg(target_os = "linux")]
fn advise(zeros: &mut [f32]) -> Option<Populating> {
    const HUGE: usize = 2 << 20;
    const MANY: usize = 16 * HUGE;
    // Other threads that want memory, and the end of the buffer, wait no longer than for these.
    const AT_A_TIME: usize = 8 * HUGE;
    let start = zeros.as_mut_ptr().cast::<u8>();
    let skipped = start.align_offset(HUGE);
    let length = size_of_val(zeros).saturating_sub(skipped) / HUGE * HUGE;
    let address = start.addr() + skipped;
    let advise = |address: usize, length, advice| {
        // SAFETY: the pages belong to the buffer, which outlives the calls: `Populating` is dropped before the values, and waits
        // for its thread. Neither advice changes what memory holds, so it may be given while the values are written. Systems
        // older than Linux 5.14 do nothing.
        unsafe { libc::madvise(address as *mut libc::c_void, length, advice) }
    };
    if length > 0 {
        advise(address, length, libc::MADV_HUGEPAGE);
    }
    if length < MANY {
        return None;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let populate = move || {
        for taken in (0..length).step_by(AT_A_TIME) {
            let next = AT_A_TIME.min(length - taken);
            if stopped.load(Ordering::Relaxed)
                || advise(address + taken, next, libc::MADV_POPULATE_WRITE) != 0
            {
                return;
            }
        }
    };
    // Where there is no thread to be had, pages come one by one.
    let thread = std::thread::Builder::new().spawn(populate).ok();
    Some(Populating { stop, thread })
}

/// Only Linux takes such advice.
#[cfg(not(target_os = "linux"))]
fn advise(_zeros: &mut [f32]) -> Option<Populating> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 24 << 20;

    #[test]
    fn a_long_buffer_keeps_what_is_written_while_its_pages_are_made_present() {
        let mut buffer = Buffer::zeros(LONG);
        let numbers = buffer.iter_mut().zip(0_u32..);
        numbers.for_each(|(value, number)| *value = number as f32);
        assert!(
            buffer
                .iter()
                .zip(0_u32..)
                .all(|(value, number)| *value == number as f32)
        );
    }

    #[test]
    fn a_buffer_that_goes_early_ends_its_thread() {
        let buffer = Buffer::zeros(LONG);
        let thread = buffer._populating.as_ref();
        let stop = thread.map(|thread| thread.stop.clone());
        drop(buffer);
        // The thread's own reference is gone with it.
        assert!(stop.is_none_or(|stop| Arc::strong_count(&stop) == 1));
    }
}
