// SPDX-License-Identifier: GPL-2.0-only
//! What the host calls in its guests: functions that show whether memory is what it was, and ways to end badly.
//! Everything else in the guest is hyperlight's own library.
//!
//! Built for the host's target, so that no other standard library has to be there: a position-independent
//! static program without C library, whose few functions of one that compiled code wants are in libc.rs.
#![no_std]
#![no_main]

extern crate alloc;

mod libc;
mod timer;

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::UnsafeCell;

use hyperlight_common::vmem::{BasicMapping, MappingKind};
use hyperlight_guest::error::Result;
use hyperlight_guest_bin::{guest_function, host_function, paging};

/// Guests have one processor, and a call is over before the next one comes.
struct Memory(UnsafeCell<Vec<u64>>);
unsafe impl Sync for Memory {}
static MEMORY: Memory = Memory(UnsafeCell::new(Vec::new()));

fn memory() -> &'static mut Vec<u64> {
    unsafe { &mut *MEMORY.0.get() }
}

fn stamp(word: usize, seed: u64) -> u64 {
    (word as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[host_function("Add")]
fn add(a: u64, b: u64) -> Result<u64>;

#[guest_function("Echo")]
fn echo(text: String) -> String {
    text
}

/// The sum of 1 to `n`, each addition the host's.
#[guest_function("SumByHost")]
fn sum_by_host(n: u64) -> Result<u64> {
    (1..=n).try_fold(0, add)
}

/// Writes stamps to so many words, and keeps them.
#[guest_function("Stamp")]
fn stamp_all(words: u64, seed: u64) -> u64 {
    let memory = memory();
    memory.clear();
    memory.extend((0..words as usize).map(|word| stamp(word, seed)));
    memory.len() as u64
}

/// How many words of those that are kept are not what `Stamp` wrote with that seed.
#[guest_function("Wrong")]
fn wrong(seed: u64) -> u64 {
    memory().iter().enumerate().filter(|(word, value)| **value != stamp(*word, seed)).count() as u64
}

fn map(gpa: u64, bytes: u64) -> *const u8 {
    let kind = MappingKind::Basic(BasicMapping { readable: true, writable: false, executable: false });
    // SAFETY: the host chose an address that nothing else of the guest lies at.
    unsafe { paging::map_region(gpa, gpa as *mut u8, bytes, kind) };
    gpa as *const u8
}

/// The sum of the bytes that the host has mapped there.
#[guest_function("SumAt")]
fn sum_at(gpa: u64, bytes: u64) -> u64 {
    let start = map(gpa, bytes);
    // SAFETY: mapped right above.
    (0..bytes as usize).map(|i| u64::from(unsafe { start.add(i).read_volatile() })).sum()
}

#[guest_function("Ticks")]
fn ticks(wanted: u64, period_us: u32) -> u64 {
    timer::ticks(wanted, period_us)
}

#[guest_function("Forever")]
fn forever() -> u64 {
    loop {
        core::hint::spin_loop();
    }
}

#[guest_function("Panic")]
fn panics() -> u64 {
    panic!("as it was asked to");
}

#[guest_function("NoSuchAddress")]
fn no_such_address() -> u64 {
    // SAFETY: it is not, and that is what is asked for.
    unsafe { (0x7000_0000_0000 as *const u64).read_volatile() }
}
