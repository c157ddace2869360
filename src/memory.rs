//! How this process keeps memory.

/// Lets the C library keep the blocks that are freed: planes, slabs, units and pieces take and free some all the time. The library
/// gives those back to the system each time unless told otherwise, and taking them again costs page faults. Larger blocks go back
/// at once.
pub fn keep_freed_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` only sets two parameters of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Pieces, blocks and units are smaller; what a rank holds of a stretch is larger, and goes back when it is computed.
const LARGE: i32 = 20 << 20;
const KEPT: i32 = 32 << 20;
