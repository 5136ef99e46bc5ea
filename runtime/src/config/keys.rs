//! Every key there is: what the decoder accepts, and what the reference is made of.

mod cluster;
mod listener;
mod process;
mod route;

/// What holds when a key is absent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This value, written as in the file.
    Is(&'static str),
    /// What these words say; no value stands for it.
    Means(&'static str),
    /// The key must be given.
    Required,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The table that holds it: empty at the top; `NAME` stands for any name, `[]` for an entry
    /// of a list.
    pub section: &'static str,
    /// Its name; `NAME` where any name may stand.
    pub name: &'static str,
    /// What holds when it is absent.
    pub fallback: Fallback,
    /// A value that it takes.
    pub example: &'static str,
    /// What it is for.
    pub doc: &'static str,
}

const fn key(
    section: &'static str,
    name: &'static str,
    fallback: Fallback,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { section, name, fallback, example, doc }
}

/// Every key, section by section, in the order of the reference.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    let entries = listener::KEYS.iter().chain(cluster::KEYS).chain(route::KEYS);
    process::KEYS.iter().chain(entries)
}

/// Keys of a section, in the order of the reference.
pub(crate) fn of_section(section: &str) -> impl Iterator<Item = &'static Key> {
    keys().filter(move |key| key.section == section)
}

/// Keys that work in no version yet but are planned: (section, key).
pub(crate) const LATER: &[(&str, &str)] = &[("", "admin"), ("cluster.NAME", "health")];
