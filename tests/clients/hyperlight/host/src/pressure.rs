// SPDX-License-Identifier: GPL-2.0-only
//! What Linux does to memory of processes, done to this one: its pages go to swap, or to the other node.
use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

static OFF: AtomicBool = AtomicBool::new(false);

/// From now on none of it is done.
pub fn off() {
    OFF.store(true, Ordering::Relaxed);
}

fn is_off() -> bool {
    OFF.load(Ordering::Relaxed)
}

/// Pages that the whole machine swapped out, swapped in and migrated.
#[derive(Clone, Copy)]
pub struct Counts {
    out: u64,
    back: u64,
    migrated: u64,
}

impl Counts {
    fn now() -> Counts {
        let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
        let of = |name: &str| -> u64 {
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
        };
        Counts { out: of("pswpout "), back: of("pswpin "), migrated: of("pgmigrate_success ") }
    }

    /// Whether there was any pressure worth the name. Of what goes out little comes back, least on a slow
    /// machine: a restored guest does not want what it had.
    pub fn enough(&self) -> Result<(), String> {
        if is_off() {
            println!("# calm: nothing was taken");
            return Ok(());
        }
        if self.out < 3000 || self.back < 30 || self.migrated < 3000 {
            return Err("too little was taken for that to say anything".into());
        }
        Ok(())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} pages swapped out, {} in, {} migrated", self.out, self.back, self.migrated)
    }
}

/// Asks Linux to take all pages of this process that it can.
pub fn page_out() {
    if is_off() {
        return;
    }
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for line in maps.lines().filter(|line| !line.contains("[v")) {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let bound = |text| usize::from_str_radix(text, 16).unwrap_or(0);
        if let Some((start, end)) = range.map(|(start, end)| (bound(start), bound(end))) {
            // SAFETY: what was unmapped meanwhile, or cannot be paged out, is refused.
            unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_PAGEOUT) };
        }
    }
}

/// Moves all pages of this process to the node.
fn migrate(node: u32) {
    let (old, new): (u64, u64) = (3 & !(1 << node), 1 << node);
    // SAFETY: two masks of that many bits, and one more as the call wants it.
    unsafe { libc::syscall(libc::SYS_migrate_pages, 0, 65, &old, &new) };
}

pub struct Pressure {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    before: Counts,
}

pub fn start() -> Pressure {
    let stop = Arc::new(AtomicBool::new(false));
    let before = Counts::now();
    let thread = thread::spawn({
        let stop = stop.clone();
        move || {
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                if !is_off() {
                    migrate(round % 2);
                }
                page_out();
                thread::sleep(std::time::Duration::from_millis(50));
            }
        }
    });
    Pressure { stop, thread, before }
}

impl Pressure {
    pub fn end(self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok();
        let (now, before) = (Counts::now(), self.before);
        Counts {
            out: now.out - before.out,
            back: now.back - before.back,
            migrated: now.migrated - before.migrated,
        }
    }
}
