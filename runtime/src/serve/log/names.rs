//! What a record's indices are called, in the version of the configuration that they belong to.

use super::line::Line;
use std::collections::VecDeque;
use std::sync::Arc;
use tidegate_core::config::{Config, HostPattern, PathRule, Server};

/// Versions whose names are kept; requests that began before all of them are logged without.
const VERSIONS_MAX: usize = 16;
/// Bytes of one rendered name; a longer one is cut and marked.
const NAME_BYTES_MAX: usize = 256;

/// A name, ready to stand inside the quotes of a JSON string.
type Name = Box<str>;

/// The names of one version, rendered once and shared by all workers.
#[derive(Default)]
pub(crate) struct Names {
    listeners: Vec<Name>,
    routes: Vec<Name>,
    clusters: Vec<(Name, Vec<Name>)>,
}

impl Names {
    /// Renders the names of `config`.
    pub(crate) fn of(config: &Config) -> Names {
        let routes = config.routes.iter().map(|route| {
            let host = match &route.host {
                HostPattern::Any => "*".to_owned(),
                HostPattern::Exact(host) => host.to_string(),
                HostPattern::Wildcard(suffix) => format!("*.{suffix}"),
            };
            match &route.path {
                PathRule::Any => name(&host),
                PathRule::Exact(path) => name(&format!("{host} ={path}")),
                PathRule::Prefix(path) => name(&format!("{host} {path}")),
                PathRule::Regex(path) => name(&format!("{host} ~{path}")),
            }
        });
        let clusters = config
            .clusters
            .iter()
            .map(|cluster| (name(&cluster.name), cluster.servers.iter().map(server).collect()));
        Names {
            listeners: config.listeners.iter().map(|of| name(&of.name)).collect(),
            routes: routes.collect(),
            clusters: clusters.collect(),
        }
    }

    pub(super) fn listener(&self, index: u16) -> Option<&str> {
        self.listeners.get(usize::from(index)).map(|name| &**name)
    }

    pub(super) fn route(&self, index: u32) -> Option<&str> {
        self.routes.get(index as usize).map(|name| &**name)
    }

    pub(super) fn cluster(&self, index: u32) -> Option<&str> {
        self.clusters.get(index as usize).map(|(name, _)| &**name)
    }

    pub(super) fn server(&self, cluster: u32, index: u16) -> Option<&str> {
        let (_, servers) = self.clusters.get(cluster as usize)?;
        servers.get(usize::from(index)).map(|name| &**name)
    }
}

fn server(server: &Server) -> Name {
    match &server.id {
        Some(id) => name(id),
        None => name(&server.addr.to_string()),
    }
}

/// `text` escaped, and cut where it is longer than a name may be.
fn name(text: &str) -> Name {
    let kept = &text.as_bytes()[..text.len().min(NAME_BYTES_MAX)];
    // Six bytes is the longest escape, three the mark.
    let mut bytes = Vec::with_capacity(6 * kept.len() + 3);
    let mut line = Line::new(&mut bytes);
    line.escaped(kept);
    if kept.len() < text.len() {
        line.put("…".as_bytes());
    }
    String::from_utf8_lossy(&bytes).into()
}

/// The names of the last versions, newest last.
#[derive(Default)]
pub(crate) struct Versions {
    versions: VecDeque<(u64, Arc<Names>)>,
}

impl Versions {
    /// Adds the names of `version`, which is newer than all others.
    pub(crate) fn push(&mut self, version: u64, names: Arc<Names>) {
        if self.versions.len() == VERSIONS_MAX {
            self.versions.pop_front();
        }
        self.versions.push_back((version, names));
    }

    /// The names of `version`, if they are still kept.
    pub(crate) fn get(&self, version: u64) -> Option<&Names> {
        let found = self.versions.iter().rev().find(|(of, _)| *of == version)?;
        Some(&found.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::config::{Cluster, Listener, Route};
    use tidegate_core::input::Address;

    #[test]
    fn names_are_those_of_their_version() {
        let addr = || Address::Ip("10.0.0.1:80".parse().expect("an address"));
        let mut named = Server::new(addr());
        named.id = Some("b\"2".into());
        let mut route = Route::to_cluster("app");
        route.host = HostPattern::Wildcard("a.example".into());
        route.path = PathRule::Prefix("/x/".into());
        let config = Config {
            listeners: vec![Listener::new("web", vec![addr()])],
            clusters: vec![Cluster::new("app", vec![Server::new(addr()), named])],
            routes: vec![Route::to_cluster("app"), route],
            ..Config::default()
        };
        let mut versions = Versions::default();
        versions.push(1, Arc::new(Names::of(&config)));
        versions.push(2, Arc::new(Names::default()));
        let names = versions.get(1).expect("version 1");
        assert_eq!(names.listener(0), Some("web"));
        assert_eq!(names.listener(1), None);
        assert_eq!(names.route(0), Some("*"));
        assert_eq!(names.route(1), Some("*.a.example /x/"));
        assert_eq!(names.cluster(0), Some("app"));
        assert_eq!(names.server(0, 0), Some("10.0.0.1:80"));
        assert_eq!(names.server(0, 1), Some("b\\\"2"));
        assert_eq!(names.server(1, 0), None);
        assert_eq!(versions.get(2).expect("version 2").listener(0), None);
        for version in 3..3 + VERSIONS_MAX as u64 {
            versions.push(version, Arc::new(Names::default()));
        }
        assert!(versions.get(1).is_none() && versions.get(2).is_none());
        assert!(versions.get(3).is_some());
    }

    #[test]
    fn a_long_name_is_cut_and_marked() {
        let cut = name(&"é".repeat(NAME_BYTES_MAX));
        assert!(cut.ends_with("…") && cut.len() == 6 * NAME_BYTES_MAX + "…".len());
    }
}
