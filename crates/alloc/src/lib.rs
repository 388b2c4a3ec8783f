//! The allocator of the programs that link it, which are those with many small requests: mimalloc. Why, and why not of all:
//! `docs/adr/0007-mimalloc-where-requests-are-many.md`.

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3 (`mimalloc.h`), which the bindings do not name.
const PURGE_DELAY: mi_option_t = 15;

/// Gives freed memory back to the system after 10 ms and not after a second, in which bodies of some megabytes come to take
/// twice what they need. To be called once, before there are other threads.
pub fn give_back_soon() {
    #[expect(unsafe_code, reason = "an option of a C library")]
    // SAFETY: it stores a number in mimalloc's table of options, and no other thread does.
    unsafe {
        mi_option_set(PURGE_DELAY, 10);
    }
}
