// SPDX-License-Identifier: GPL-2.0-only
//! Hyperlight as released, on /dev/mshv: guests are made, called, snapshotted, restored, interrupted and
//! ended, while Linux swaps and migrates the memory that they are in. Reports in KTAP.
//!
//! Nothing of the VMM is changed or replaced, so whatever it asks has to be answered; what it does itself
//! (a page that its guest writes for the first time is copied by the guest) is not tested here.

#[path = "../../../ktap.rs"]
mod ktap;
mod pressure;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyperlight_host::sandbox::snapshot::{OciTag, Snapshot};
use hyperlight_host::{HyperlightError, Sandbox, SandboxBuilder};
use ktap::{Outcome, Step};

static GUEST: &[u8] = include_bytes!(env!("GUEST"));
const MIB: u64 = 1 << 20;
/// What a guest stamps: more than the caches and windows of anything below it.
const WORDS: u64 = 12 * MIB / 8;
const FILE_GPA: u64 = 0xc000_0000;

fn words(error: HyperlightError) -> String {
    format!("{error:?}")
}

macro_rules! same {
    ($got:expr, $wanted:expr) => {
        let (got, wanted) = ($got, $wanted);
        if got != wanted {
            return Err(format!("{} is {:x?}, not {:x?}", stringify!($got), got, wanted));
        }
    };
}

/// A guest that is initialized already, to be used by several steps, and how it was then.
struct Guest {
    sandbox: Sandbox,
    fresh: Arc<Snapshot>,
}

fn builder() -> SandboxBuilder {
    with_add(SandboxBuilder::from_bytes(GUEST)).heap_size(32 * MIB).scratch_size(80 << 20)
}

fn with_add(builder: SandboxBuilder) -> SandboxBuilder {
    builder.host_function("Add", |a: u64, b: u64| Ok(a.wrapping_add(b)))
}

fn open() -> Result<Guest, String> {
    let mut sandbox = builder().build().map_err(words)?;
    let fresh = sandbox.snapshot().map_err(words)?;
    Ok(Guest { sandbox, fresh })
}

impl Guest {
    fn call(&mut self, name: &str, argument: u64) -> Result<u64, String> {
        self.sandbox.call(name, argument).map_err(words)
    }

    fn stamp(&mut self, seed: u64) -> Outcome {
        same!(self.sandbox.call::<u64>("Stamp", (WORDS, seed)).map_err(words)?, WORDS);
        Ok(())
    }

    fn restore(&mut self, to: &Arc<Snapshot>) -> Outcome {
        self.sandbox.restore(to.clone()).map_err(words)
    }

    /// After a call that failed: nothing runs until it is restored, and then all does.
    fn heals(&mut self) -> Outcome {
        if !self.sandbox.status().is_poisoned() {
            return Err("a guest that was ended in the middle of a call can be called".into());
        }
        self.restore(&self.fresh.clone())?;
        same!(self.call("SumByHost", 10)?, 55);
        Ok(())
    }
}

fn answers(g: &mut Guest) -> Outcome {
    let text = "a guest of a VMM that was not written for this driver";
    same!(g.sandbox.call::<String>("Echo", text.to_string()).map_err(words)?, text);
    Ok(())
}

fn calls_out(g: &mut Guest) -> Outcome {
    same!(g.call("SumByHost", 1000)?, 500_500);
    Ok(())
}

fn snapshots(g: &mut Guest) -> Outcome {
    g.stamp(1)?;
    let one = g.sandbox.snapshot().map_err(words)?;
    g.stamp(2)?;
    let two = g.sandbox.snapshot().map_err(words)?;
    for _ in 0..10 {
        g.restore(&one)?;
        same!(g.call("Wrong", 1)?, 0);
        g.stamp(3)?;
        g.restore(&two)?;
        same!(g.call("Wrong", 2)?, 0);
        same!(g.call("Wrong", 1)?, WORDS);
    }
    g.restore(&g.fresh.clone())
}

/// A snapshot on disk, and a second guest from it: its memory is the file's.
fn snapshot_files(g: &mut Guest) -> Outcome {
    let folder = std::env::temp_dir().join("client-hyperlight");
    let tag = OciTag::new("stamped").map_err(words)?;
    g.stamp(4)?;
    g.sandbox.snapshot().map_err(words)?.save(&folder, &tag).map_err(words)?;
    for _ in 0..2 {
        let read = Arc::new(Snapshot::load(&folder, tag.clone()).map_err(words)?);
        let mut other = with_add(SandboxBuilder::from_snapshot(read)).build().map_err(words)?;
        same!(other.call::<u64>("Wrong", 4u64).map_err(words)?, 0);
        same!(other.call::<u64>("Stamp", (WORDS, 5u64)).map_err(words)?, WORDS);
        same!(other.call::<u64>("Wrong", 5u64).map_err(words)?, 0);
    }
    same!(g.call("Wrong", 4)?, 0);
    fs::remove_dir_all(&folder).map_err(|e| e.to_string())
}

/// A file in the guest's memory, which goes with the next restore.
fn files(g: &mut Guest) -> Outcome {
    let path = std::env::temp_dir().join("client-hyperlight.file");
    let content: Vec<u8> = (0..5 * MIB + 77).map(|i| (i % 251) as u8).collect();
    let sum: u64 = content.iter().map(|byte| u64::from(*byte)).sum();
    fs::write(&path, &content).map_err(|e| e.to_string())?;
    for _ in 0..3 {
        g.restore(&g.fresh.clone())?;
        g.sandbox.map_file_cow(&path, FILE_GPA).map_err(words)?;
        let sum_at = |g: &mut Guest| g.sandbox.call::<u64>("SumAt", (FILE_GPA, content.len() as u64)).map_err(words);
        same!(sum_at(g)?, sum);
        pressure::page_out();
        same!(sum_at(g)?, sum);
    }
    g.restore(&g.fresh.clone())?;
    // Its address is nobody's now.
    if g.sandbox.call::<u64>("SumAt", (FILE_GPA, 4096u64)).is_ok() {
        return Err("a guest reads a file that it does not have any more".into());
    }
    g.heals()?;
    fs::remove_file(&path).map_err(|e| e.to_string())
}

fn interrupted(g: &mut Guest) -> Outcome {
    for _ in 0..20 {
        let ended = Arc::new(AtomicBool::new(false));
        let killer = thread::spawn({
            let (handle, ended) = (g.sandbox.interrupt_handle(), ended.clone());
            move || {
                // One that comes before the guest runs may have no effect.
                while !ended.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                    handle.kill();
                }
            }
        });
        let result = g.sandbox.call::<u64>("Forever", ());
        ended.store(true, Ordering::Relaxed);
        killer.join().map_err(|_| "the killer panicked")?;
        if !matches!(result, Err(HyperlightError::ExecutionCanceledByHost())) {
            return Err(format!("the call ended with {result:?}"));
        }
        g.heals()?;
    }
    Ok(())
}

fn panics(g: &mut Guest) -> Outcome {
    match g.sandbox.call::<u64>("Panic", ()) {
        Err(HyperlightError::GuestAborted(_, text)) if text.contains("as it was asked to") => g.heals(),
        other => Err(format!("{other:?}")),
    }
}

fn exceptions(g: &mut Guest) -> Outcome {
    match g.sandbox.call::<u64>("NoSuchAddress", ()) {
        Err(HyperlightError::GuestAborted(_, text)) if text.contains("0x700000000000") => g.heals(),
        other => Err(format!("{other:?}")),
    }
}

/// A timer that a thread of the VMM is, while the guest stands in HLT.
fn timer(g: &mut Guest) -> Outcome {
    for _ in 0..5 {
        let came = g.sandbox.call::<u64>("Ticks", (100u64, 1000u32)).map_err(words)?;
        if came < 100 {
            return Err(format!("{came} of 100 interrupts"));
        }
        g.restore(&g.fresh.clone())?;
    }
    Ok(())
}

/// Guests in as many threads, memory of all of them taken and moved meanwhile.
fn together(_: &mut Guest) -> Outcome {
    let pressure = pressure::start();
    let guests: Vec<_> = (0..4u64)
        .map(|number| {
            thread::spawn(move || -> Outcome {
                let mut guest = open()?;
                for round in 0..2 {
                    let seed = number << 32 | round;
                    guest.stamp(seed)?;
                    for _ in 0..3 {
                        same!(guest.call("Wrong", seed)?, 0);
                    }
                    let stamped = guest.sandbox.snapshot().map_err(words)?;
                    guest.restore(&guest.fresh.clone())?;
                    same!(guest.call("SumByHost", 10)?, 55);
                    guest.restore(&stamped)?;
                    same!(guest.call("Wrong", seed)?, 0);
                }
                Ok(())
            })
        })
        .collect();
    for guest in guests {
        guest.join().map_err(|_| "a guest's thread panicked")??;
    }
    let counts = pressure.end();
    println!("# {counts}");
    counts.enough()
}

/// Twenty guests, one after the other: what each had is there again for the next.
fn many(_: &mut Guest) -> Outcome {
    for number in 0..20u64 {
        let mut guest = open()?;
        same!(guest.call("SumByHost", number)?, number * (number + 1) / 2);
    }
    Ok(())
}

const STEPS: &[Step<Guest>] = &[
    ("a call is answered", answers),
    ("a thousand calls of the host's functions", calls_out),
    ("snapshots bring back what was stamped", snapshots),
    ("a snapshot on disk is a guest's memory", snapshot_files),
    ("a file in the guest's memory, paged out and gone again", files),
    ("a guest that does not return is interrupted", interrupted),
    ("a guest that panics says why", panics),
    ("a guest's own exceptions", exceptions),
    ("four guests whose pages are swapped and migrated", together),
    ("twenty guests, one after the other", many),
];

/// What interrupts can make a difference to.
const STEPS_OF_INTERRUPTS: &[Step<Guest>] = &[
    ("a call is answered", answers),
    ("interrupts of a timer", timer),
    ("a guest that does not return is interrupted", interrupted),
    ("four guests whose pages are swapped and migrated", together),
];

/// With "calm" Linux leaves all memory where it is.
fn main() {
    match std::env::args().nth(1).as_deref() {
        None => (),
        Some("calm") => pressure::off(),
        Some(_) => {
            eprintln!("usage: client-hyperlight [calm]");
            std::process::exit(2);
        }
    }
    let steps = if cfg!(feature = "interrupts") { STEPS_OF_INTERRUPTS } else { STEPS };
    std::process::exit(ktap::run("a guest is made", open, steps));
}
