// SPDX-License-Identifier: GPL-2.0-only
//! What compiled code calls of a C library, and of a runtime that unwinds (this one aborts).
//! String instructions and volatile reads, so that no compiler makes calls of these functions' own loops.
use core::arch::asm;
use core::ffi::c_int;

#[no_mangle]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    asm!("rep movsb", inout("rcx") bytes => _, inout("rdi") to => _, inout("rsi") from => _,
        options(nostack, preserves_flags));
    to
}

#[no_mangle]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= bytes {
        return memcpy(to, from, bytes);
    }
    // Not a string instruction that goes downwards: what serves a page fault would run with that flag.
    for i in (0..bytes).rev() {
        to.add(i).write_volatile(from.add(i).read_volatile());
    }
    to
}

#[no_mangle]
unsafe extern "C" fn memset(to: *mut u8, byte: c_int, bytes: usize) -> *mut u8 {
    asm!("rep stosb", inout("rcx") bytes => _, inout("rdi") to => _, in("al") byte as u8,
        options(nostack, preserves_flags));
    to
}

#[no_mangle]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, bytes: usize) -> c_int {
    for i in 0..bytes {
        let (x, y) = (a.add(i).read_volatile(), b.add(i).read_volatile());
        if x != y {
            return c_int::from(x) - c_int::from(y);
        }
    }
    0
}

#[no_mangle]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, bytes: usize) -> c_int {
    memcmp(a, b, bytes)
}

#[no_mangle]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut bytes = 0;
    while text.add(bytes).read_volatile() != 0 {
        bytes += 1;
    }
    bytes
}

#[no_mangle]
extern "C" fn rust_eh_personality() {}

#[no_mangle]
extern "C" fn _Unwind_Resume() -> ! {
    panic!("nothing unwinds here")
}
