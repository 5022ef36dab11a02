#![allow(unsafe_code)]
//! The C library's allocator.

/// Lets the allocator keep large blocks that are freed, for the next one of about that size. glibc otherwise gives them back
/// to the system at once, which then fills every page of the next one with zeros: in training several percent of the
/// time. Does nothing with other C libraries. To be called before threads are started.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only changes settings of the allocator; values that it does not take are ignored.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}
