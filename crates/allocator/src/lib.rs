//! How the programs get memory.

use std::ffi::c_long;

/// The allocator. Deciding and reading the log make many small things; this took about a quarter of the time off both.
pub use mimalloc::MiMalloc as Allocator;

/// How long memory that is free stays with the program before the system gets it back, in milliseconds. A fan-out and the
/// reading of a log free as much as they take, again and again; what went back to the system has to be cleared before it is
/// used anew, which took half of the time that a million targets took to decide.
const KEPT_FREE_MILLIS: c_long = 30_000;

/// `mi_option_purge_delay`, for which the bindings have no name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Has the allocator keep memory that is free for half a minute. To be called once, as the first thing that a program does;
/// what `MIMALLOC_PURGE_DELAY` in the environment says (milliseconds) counts instead.
pub fn keep_free_memory() {
    #[expect(
        unsafe_code,
        reason = "the allocator's options have no other interface; this sets a number, at any time"
    )]
    // SAFETY: the option is one that this version of the allocator has.
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, KEPT_FREE_MILLIS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator;

    fn delay() -> c_long {
        #[expect(unsafe_code, reason = "as above")]
        // SAFETY: as above.
        unsafe {
            libmimalloc_sys::mi_option_get(PURGE_DELAY)
        }
    }

    #[test]
    fn the_option_that_is_set_is_the_delay() {
        // Nothing in the environment says otherwise: what it is without us is known.
        assert_eq!(delay(), 1000);
        keep_free_memory();
        assert_eq!(delay(), KEPT_FREE_MILLIS);
    }
}
