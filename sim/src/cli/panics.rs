//! Panics inside a run: silent, and with the place where they happened.

use crate::world::{self, Options, Outcome};
use std::cell::{Cell, RefCell};

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
    /// This thread is inside a run.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics of runs off the terminal from now on; their places are kept instead. All others
/// are told of as before.
pub(crate) fn silence() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        PLACE.with_borrow_mut(|kept| *kept = place);
        if !IS_QUIET.get() {
            others(info);
        }
    }));
}

/// Where this thread last panicked, if [`silence`] was called before.
pub(crate) fn last_place() -> String {
    PLACE.with_borrow(Clone::clone)
}

/// Does `what`, whose panics are caught by somebody who tells of them.
pub(crate) fn quietly<T>(what: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            IS_QUIET.set(self.0);
        }
    }
    let _before = Before(IS_QUIET.replace(true));
    what()
}

/// Makes the run of `seed`, whose panics are its own.
pub(crate) fn run(seed: u64, options: Options) -> Outcome {
    quietly(|| world::run(seed, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    // Silence ends with the run, be it by a panic.
    #[test]
    fn a_thread_is_quiet_inside_of_runs_alone() {
        quietly(|| {
            assert!(quietly(|| IS_QUIET.get()));
            assert!(IS_QUIET.get(), "still inside of the outer one");
        });
        let panicked = catch_unwind(AssertUnwindSafe(|| quietly(|| panic!("expected"))));
        assert!(panicked.is_err() && !IS_QUIET.get());
    }
}
