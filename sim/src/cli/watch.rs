//! What each thread of a sweep runs, and for how long: a seed that hangs is named, and so is one
//! that takes the whole process with it.

use crate::oracle::metamorphic::Variant;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// A run hangs that takes longer than so many seconds. One that goes on from event to event makes
/// [`EVENTS_MAX`](crate::world::EVENTS_MAX) at most, which take a few seconds, and in a build with
/// counters or without optimisation some more.
pub(crate) const HUNG_AFTER: u64 = 120;
/// Time is counted in ticks of the thread that watches: those of a process that was stopped for a
/// while do not count.
pub(crate) const TICK: Duration = Duration::from_millis(250);
const TICKS_A_SECOND: u64 = 4;

/// One run of a seed.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Running {
    /// The seed.
    pub(crate) seed: u64,
    /// The pair of worlds that is run, if it is one.
    pub(crate) variant: Option<Variant>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// Runs that were begun.
    count: u64,
    is_over: bool,
}

/// What one thread runs. It stands in a file, too, for the case that the process dies.
pub(crate) struct Slot {
    state: Mutex<State>,
    path: PathBuf,
    #[expect(clippy::disallowed_types, reason = "the command writes files")]
    file: std::fs::File,
}

impl Slot {
    /// The slot of thread `n`, and its file in `dir`.
    ///
    /// # Errors
    /// Says in words which file cannot be made, and why.
    #[expect(clippy::disallowed_types, reason = "the command writes files")]
    pub(crate) fn new(dir: &Path, n: u16) -> Result<Slot, String> {
        // Other commands may have the same directory.
        let path = dir.join(format!("running-{}-{n}", std::process::id()));
        let file = std::fs::File::create(&path);
        let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Slot { state: Mutex::default(), path, file })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A run begins.
    pub(crate) fn begin(&self, seed: u64, variant: Option<Variant>) {
        let named = variant.map(|variant| format!(" --variant {variant}")).unwrap_or_default();
        let line = format!("{:<47}\n", format!("tidegate-sim replay {seed}{named}"));
        // Nothing but the name of a death is lost where the disk is full.
        let _ = self.file.write_all_at(line.as_bytes(), 0);
        let mut state = self.state();
        state.running = Some(Running { seed, variant });
        state.count += 1;
    }

    /// The thread ends.
    pub(crate) fn end(&self) {
        self.state().is_over = true;
    }

    /// Removes the file: nothing died.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.remove();
    }
}

#[derive(Copy, Clone, Default)]
struct Seen {
    count: u64,
    ticks: u64,
    is_hung: bool,
}

/// Watches over slots.
pub(crate) struct Watch<'a> {
    slots: &'a [Slot],
    seen: Vec<Seen>,
    limit: u64,
}

impl Watch<'_> {
    /// Watches over `slots`, none of which may run one seed for more than so many seconds.
    pub(crate) fn new(slots: &[Slot], seconds: u64) -> Watch<'_> {
        let limit = seconds.saturating_mul(TICKS_A_SECOND);
        Watch { slots, seen: vec![Seen::default(); slots.len()], limit }
    }

    /// A tick has passed; the runs that turn out to hang now.
    pub(crate) fn tick(&mut self) -> Vec<Running> {
        let mut hung = Vec::new();
        for (slot, seen) in self.slots.iter().zip(&mut self.seen) {
            let State { running, count, is_over } = *slot.state();
            let Some(running) = running.filter(|_| !is_over && !seen.is_hung) else { continue };
            if count != seen.count {
                *seen = Seen { count, ..Seen::default() };
            } else {
                seen.ticks += 1;
            }
            if seen.ticks >= self.limit {
                seen.is_hung = true;
                hung.push(running);
            }
        }
        hung
    }

    /// Whether a run hung.
    pub(crate) fn has_hung(&self) -> bool {
        self.seen.iter().any(|seen| seen.is_hung)
    }

    /// Whether nobody is left to wait for: every thread has ended, or hangs.
    pub(crate) fn is_over(&self) -> bool {
        self.slots.iter().zip(&self.seen).all(|(slot, seen)| seen.is_hung || slot.state().is_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A thread that stays with one run hangs, and is told of once; one that goes on never does.
    #[test]
    fn a_run_that_takes_too_long_hangs_and_others_do_not() {
        let dir = std::env::temp_dir();
        let slots = [Slot::new(&dir, 900), Slot::new(&dir, 901)].map(|slot| slot.expect("a file"));
        let mut watch = Watch::new(&slots, 2);
        assert_eq!(watch.tick(), vec![], "nothing runs");
        slots[0].begin(7, Some(Variant::Copy));
        for n in 0..2 * TICKS_A_SECOND {
            slots[1].begin(100 + n, None);
            assert_eq!(watch.tick(), vec![], "after {n} ticks");
        }
        let line = std::fs::read_to_string(&slots[0].path).expect("the file");
        assert_eq!(line.trim_end(), "tidegate-sim replay 7 --variant copy");
        slots[1].begin(200, None);
        let hung = Running { seed: 7, variant: Some(Variant::Copy) };
        assert_eq!(watch.tick(), vec![hung]);
        assert_eq!(watch.tick(), vec![], "it was told");
        assert!(watch.has_hung() && !watch.is_over(), "the other one goes on");
        slots[1].end();
        assert!(watch.is_over());
        let path = slots[0].path.clone();
        drop(slots);
        assert!(!path.exists());
    }
}
