//! Changes to what a seed draws, and how they are written in a case.

use super::{Draw, key_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which draws a change is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum What {
    /// One draw: its entity, and how many that entity had made before at the site.
    One(u64, u32),
    /// All draws of one entity.
    Entity(u64),
    /// All draws of the site.
    All,
    /// No draw: number so and so of what the site names does not happen at all.
    Omit(u64),
}

/// One change.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Change {
    /// Name of the site.
    pub site: String,
    /// Which draws.
    pub what: What,
    /// What they give; cut to what can be drawn there. Of no meaning to an omission.
    pub value: u64,
}

impl Change {
    /// The change that makes `draw` what it was.
    pub fn keeping(draw: &Draw) -> Change {
        Change::new(draw.site, What::One(draw.entity, draw.count), draw.value)
    }

    /// A change of `what` at `site` to `value`.
    pub fn new(site: &str, what: What, value: u64) -> Change {
        Change { site: site.to_string(), what, value }
    }

    /// Number `entity` of what `site` names does not happen.
    pub fn omitting(site: &str, entity: u64) -> Change {
        Change::new(site, What::Omit(entity), 0)
    }

    /// Reads what [`Change`]'s `Display` writes, such as `draw client/depth 3 0 = 1` or
    /// `omit client 3`.
    pub fn parse(line: &str) -> Result<Change, String> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
        if let Some(rest) = line.strip_prefix("omit ") {
            let (site, entity) = rest.rsplit_once(' ').ok_or("an omission is a name, a number")?;
            return Ok(Change::omitting(site, number(entity)?));
        }
        let rest = line.strip_prefix("draw ").ok_or("neither `draw` nor `omit`")?;
        let (left, value) = rest.split_once(" = ").ok_or("a draw without ` = ` and its value")?;
        let mut words = left.rsplitn(3, ' ');
        let (count, entity) = (words.next().unwrap_or(""), words.next());
        let (Some(entity), Some(site)) = (entity, words.next()) else {
            return Err("a draw is a site, an entity and a counter".into());
        };
        let what = match (entity, count) {
            ("*", "*") => What::All,
            (entity, "*") => What::Entity(number(entity)?),
            (entity, count) => {
                let count = u32::try_from(number(count)?).map_err(|error| error.to_string())?;
                What::One(number(entity)?, count)
            }
        };
        Ok(Change::new(site, what, number(value)?))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { site, what, value } = self;
        match what {
            What::One(entity, count) => write!(f, "draw {site} {entity} {count} = {value}"),
            What::Entity(entity) => write!(f, "draw {site} {entity} * = {value}"),
            What::All => write!(f, "draw {site} * * = {value}"),
            What::Omit(entity) => write!(f, "omit {site} {entity}"),
        }
    }
}

/// A set of changes, found by key. Of two about one draw the narrower counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    ones: BTreeMap<(u64, u64, u32), u64>,
    entities: BTreeMap<(u64, u64), u64>,
    sites: BTreeMap<u64, u64>,
    omitted: BTreeSet<(u64, u64)>,
}

impl Changes {
    /// What to draw for `entity` at the site `key`, if that is changed.
    pub(super) fn find(&self, key: u64, entity: u64, count: u32) -> Option<u64> {
        let one = self.ones.get(&(key, entity, count));
        one.or_else(|| self.entities.get(&(key, entity))).or_else(|| self.sites.get(&key)).copied()
    }

    pub(super) fn omits(&self, key: u64, entity: u64) -> bool {
        self.omitted.contains(&(key, entity))
    }
}

impl<'a> FromIterator<&'a Change> for Changes {
    fn from_iter<T: IntoIterator<Item = &'a Change>>(all: T) -> Changes {
        let mut changes = Changes::default();
        for Change { site, what, value } in all {
            let key = key_of(site);
            match *what {
                What::One(entity, count) => {
                    changes.ones.insert((key, entity, count), *value);
                }
                What::Entity(entity) => {
                    changes.entities.insert((key, entity), *value);
                }
                What::All => {
                    changes.sites.insert(key, *value);
                }
                What::Omit(entity) => {
                    changes.omitted.insert((key, entity));
                }
            }
        }
        changes
    }
}
