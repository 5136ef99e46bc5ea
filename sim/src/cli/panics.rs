//! Panics inside a run: silent, and with the place where they happened.

use std::cell::RefCell;

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics of runs off the terminal from now on; their places are kept instead.
pub(crate) fn silence() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        PLACE.with_borrow_mut(|kept| *kept = place);
    }));
}

/// Where this thread last panicked, if [`silence`] was called before.
pub(crate) fn last_place() -> String {
    PLACE.with_borrow(Clone::clone)
}
