//! What the system's allocator does with freed memory.

/// Makes glibc's allocator keep the memory of freed tensors for the next ones. By default it hands large blocks back to the system, and the
/// next operation pays for fresh pages. For programs, before they allocate much; whether it was done. Other allocators are left alone.
pub fn keep_freed_memory() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    {
        const LARGEST_BLOCK: libc::c_int = 1 << 30;
        // SAFETY: `mallopt` takes two numbers and has no precondition.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_BLOCK) == 1
                && libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) == 1
        }
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
    false
}

/// Gives the memory that glibc's allocator holds and nobody uses back to the system, of every thread; whether there was any. Each thread
/// has an arena of its own, and what was freed in one serves no other: after work that many threads allocated for, such as the
/// decompositions at the start, up to a fifth of a program's memory lies there unused. Other allocators are left alone.
pub fn give_back_freed_memory() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `malloc_trim` takes a number and has no precondition; it touches free memory alone.
        unsafe { libc::malloc_trim(0) == 1 }
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
    false
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    fn glibc_takes_the_settings() {
        assert!(super::keep_freed_memory());
    }
}
