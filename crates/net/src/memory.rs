//! Memory that the allocator keeps for later.

/// Gives the kernel back what is free. Worth its milliseconds after a large request, whose memory would stay with
/// the process for good.
pub fn return_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer and may be called at any time from any thread (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}
