//! Checkers of tunnels where TLS lies in between: inside of it, and passed through.

use super::*;
use crate::layer::{Damage, Facts};
use crate::oracle::passage::{Hello, Passage, linked};
use std::cell::RefCell;
use std::rc::Rc;

// TUN-2, TLS-3: with TLS it is close_notify that ends a way; a FIN without one is a break, and part
// of a damaged record is not one yet.
#[test]
fn tunnels_fires_on_a_truncation_that_looks_whole() {
    let inside = |facts: Facts| {
        let mut tube = Tube::new();
        let front = &mut tube.lab.oracle.fronts[tube.front as usize];
        front.tls = Some(Rc::new(RefCell::new(facts)));
        tube
    };
    let mut tube = inside(Facts { said_at: Some(20), ..Facts::new() });
    breaks(tube.lab.oracle.tunnels_rest(&tube.lab.net), "tunnels", "TUN-2");
    assert_eq!(tube.passes_end(tube.server ^ 1), Ok(()));

    let mut tube = inside(Facts::new());
    tube.finishes(tube.client);
    tube.reads(tube.client ^ 1, 10);
    breaks(tube.lab.oracle.tunnels_rest(&tube.lab.net), "tunnels", "TUN-2");
    breaks(tube.passes_end(tube.server ^ 1), "tunnels", "TUN-2");
    breaks(tube.closes(Close::Normal), "tunnels", "TUN-2");
    assert_eq!(tube.closes(Close::Reset), Ok(()));

    let mut tube = inside(Facts { damaged: Some((10, Damage::Sealed)), ..Facts::new() });
    assert_eq!(tube.lab.oracle.tunnels_rest(&tube.lab.net), Ok(()), "it may be all there is yet");
    assert_eq!(tube.closes(Close::Reset), Ok(()));
}

// TLS-5: the name leads, and what is no ClientHello leads nowhere.
#[test]
fn tunnels_fires_on_who_is_led_elsewhere() {
    let led = |hello: Hello, passage: Passage| {
        let mut tube = Tube::new();
        tube.lab.oracle.truth.passage = Some(passage);
        tube.lab.oracle.fronts[tube.front as usize].hello = Some(hello);
        linked(&tube.lab.oracle, 0, tube.back)
    };
    let passage = Passage { names: [Some(0), Some(1), None], other: Some(0) };
    let of = |name| Hello { len: 20, name, is_good: true };
    assert_eq!(led(of(Some(0)), passage), Ok(()));
    assert_eq!(led(of(Some(2)), passage), Ok(()));
    assert_eq!(led(of(None), passage), Ok(()));
    breaks(led(of(Some(1)), passage), "tunnels", "TLS-5");
    breaks(led(of(None), Passage { other: None, ..passage }), "tunnels", "TLS-5");
    breaks(led(Hello { is_good: false, ..of(Some(0)) }, passage), "tunnels", "TLS-5");
    breaks(led(Hello { len: 21, ..of(Some(0)) }, passage), "tunnels", "TLS-5");
}
