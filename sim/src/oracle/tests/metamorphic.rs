//! The relations between two worlds: whatever a client could see is compared.

use super::breaks;
use crate::oracle::metamorphic::{Seen, Variant, View, judge, same_course, with};
use crate::oracle::{Breach, Group};

fn seen() -> Seen {
    let head = "content-length: 5; ".into();
    Seen { key: 7, status: 200, head, body: 5, tunnel: 0, is_whole: true }
}

fn view(all: Vec<Seen>) -> View {
    View(vec![Vec::new(), vec![all]])
}

// REQ-1, LOOP-5, SES-3, RUN-1: not one of the things that a client sees may differ.
#[test]
fn metamorphic_fires_on_every_difference() {
    let (one, two) = (seen(), Seen { key: 8, ..seen() });
    let base = view(vec![one.clone(), two.clone()]);
    for variant in Variant::ALL {
        assert_eq!(judge(variant, &base, &base), Ok(()));
        assert_eq!(Variant::named(variant.name()), Some(variant));
    }
    let fires = |other: &View| {
        breaks(judge(Variant::Segments, &base, other), "metamorphic", "REQ-1");
        breaks(judge(Variant::Batches, &base, other), "metamorphic", "LOOP-5");
        breaks(judge(Variant::Clock, &base, other), "metamorphic", "SES-3");
        breaks(judge(Variant::Copy, &base, other), "metamorphic", "RUN-1");
    };
    for changed in [
        Seen { status: 502, ..one.clone() },
        Seen { head: "content-length: 6; ".into(), ..one.clone() },
        Seen { body: 4, ..one.clone() },
        Seen { tunnel: 1, ..one.clone() },
        Seen { is_whole: false, ..one.clone() },
    ] {
        fires(&view(vec![changed, two.clone()]));
    }
    fires(&view(vec![two.clone(), one.clone()]));
    fires(&view(vec![one.clone()]));
    fires(&View(vec![Vec::new(), vec![vec![one.clone(), two.clone()], vec![one]]]));
    fires(&View::default());
}

// SES-3: dates are as long as they were, so the course of events is the same.
#[test]
fn metamorphic_fires_on_a_clock_that_moves_events() {
    assert_eq!(same_course(1, 1), Ok(()));
    breaks(same_course(1, 2), "metamorphic", "SES-3");
}

#[test]
fn what_breaks_in_another_world_says_so() {
    let found = Breach { group: Group::Bytes.name(), rule: "RES-2", message: "cut".into() };
    let told = with(Variant::Copy, found.clone());
    assert_eq!((told.group, told.rule), (found.group, found.rule));
    assert!(told.message.contains("copy"), "{}", told.message);
}
