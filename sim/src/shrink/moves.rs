//! Changes that may make a case smaller.

use crate::choice::{Change, Draw, What};
use std::collections::BTreeSet;

/// Sites that shape the world before anything happens in it.
const SHAPES: [&str; 8] =
    ["scenario/", "wires/", "protocols/", "config/", "tls/", "episode/", "server/", "control/"];

/// The change that makes a draw 0.
pub(super) fn zero(draw: &Draw) -> Change {
    Change::new(draw.site, What::One(draw.entity, draw.count), 0)
}

fn is_shape(draw: &Draw) -> bool {
    SHAPES.iter().any(|shape| draw.site.starts_with(shape))
}

fn nonzero(draws: &[Draw]) -> impl Iterator<Item = &Draw> {
    draws.iter().filter(|draw| draw.value > 0)
}

fn distinct(changes: impl Iterator<Item = Change>) -> Vec<Vec<Change>> {
    let all: BTreeSet<Change> = changes.collect();
    all.into_iter().map(|change| vec![change]).collect()
}

/// Each site that shapes the world at 0: families off, few servers, no TLS, nothing tight.
pub(super) fn whole(draws: &[Draw]) -> Vec<Vec<Change>> {
    let shapes = nonzero(draws).filter(|draw| is_shape(draw));
    distinct(shapes.map(|draw| Change::new(draw.site, What::All, 0)))
}

/// The same, one entity at a time.
pub(super) fn families(draws: &[Draw]) -> Vec<Vec<Change>> {
    let shapes = nonzero(draws).filter(|draw| is_shape(draw));
    distinct(shapes.map(|draw| Change::new(draw.site, What::Entity(draw.entity), 0)))
}

/// Each site at 0.
pub(super) fn sites(draws: &[Draw]) -> Vec<Vec<Change>> {
    distinct(nonzero(draws).map(|draw| Change::new(draw.site, What::All, 0)))
}

/// Each entity of a site at 0.
pub(super) fn entities(draws: &[Draw]) -> Vec<Vec<Change>> {
    distinct(nonzero(draws).map(|draw| Change::new(draw.site, What::Entity(draw.entity), 0)))
}

/// Each draw at 0.
pub(super) fn singles(draws: &[Draw]) -> Vec<Vec<Change>> {
    distinct(nonzero(draws).map(zero))
}

/// Each draw that is not 0 by so many bits less.
pub(super) fn smaller(draws: &[Draw], shift: u32) -> Vec<Vec<Change>> {
    let large = nonzero(draws).filter(|draw| draw.value >> shift > 0);
    distinct(large.map(|draw| {
        Change::new(draw.site, What::One(draw.entity, draw.count), draw.value >> shift)
    }))
}
