// SPDX-License-Identifier: GPL-2.0-only
//! Interrupts of the timer that the host has where it was built with hw-interrupts: it asks the hypervisor for
//! vector 0x20 again and again, and ends each in the guest's local APIC when the guest writes to port 0x20.
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering};

const VECTOR: usize = 0x20;
const TIMER_CONFIG: u16 = 107;

static TICKS: AtomicU64 = AtomicU64::new(0);

global_asm!(
    "hyperlight_tick:",
    "push rax",
    "inc qword ptr [rip + {ticks}]",
    "mov al, 0x20",
    "out 0x20, al",
    "pop rax",
    "iretq",
    ticks = sym TICKS,
);
unsafe extern "C" {
    fn hyperlight_tick();
}

#[repr(C, packed)]
struct Table {
    limit: u16,
    base: u64,
}

/// Returns how many came by the time that so many were wanted, in HLT all the time.
pub fn ticks(wanted: u64, period_us: u32) -> u64 {
    let mut table = Table { limit: 0, base: 0 };
    let handler = hyperlight_tick as *const () as u64;
    // An interrupt gate of the code segment (SDM volume 3, figure 7-8).
    let gate = [
        (handler & 0xffff) | 8 << 16 | 0x8e00 << 32 | (handler >> 16 & 0xffff) << 48,
        handler >> 32,
    ];

    // This is the write for which the guest copies the page: the handler is not to.
    TICKS.store(0, Ordering::SeqCst);
    // SAFETY: the table has 256 entries of 16 bytes; nothing but these lines has interrupts enabled, and they
    // keep what the compiler has below the stack pointer.
    unsafe {
        asm!("sidt [{}]", in(reg) &mut table, options(nostack, preserves_flags));
        let base = table.base as *mut [u64; 2];
        base.add(VECTOR).write_volatile(gate);
        asm!("out dx, eax", in("dx") TIMER_CONFIG, in("eax") period_us, options(nostack));
        asm!(
            "2:",
            "sti",
            "hlt",
            "cli",
            "cmp qword ptr [{ticks}], {wanted}",
            "jb 2b",
            ticks = in(reg) TICKS.as_ptr(),
            wanted = in(reg) wanted,
        );
        asm!("out dx, eax", in("dx") TIMER_CONFIG, in("eax") 0, options(nostack));
    }
    TICKS.load(Ordering::SeqCst)
}
