//! The servers of all versions of the configuration, and the names by which an operator may call
//! them.

use super::plan::{Fault, Kind, Version, decimal, span};
use std::collections::BTreeMap;
use tidegate_core::input::Address;

/// One server: an address, whatever clusters it is in.
pub(super) struct Place {
    pub(super) address: Address,
    /// What the report calls it.
    pub(super) label: String,
    /// The clusters it is in, in file order.
    pub(super) clusters: Vec<String>,
    /// Everything that it may be called.
    names: Vec<String>,
}

/// All servers, in file order.
pub struct Roster {
    pub(super) places: Vec<Place>,
}

impl Roster {
    /// The servers of `versions`.
    pub fn new<'a>(versions: impl Iterator<Item = &'a Version>) -> Roster {
        let mut places: Vec<Place> = Vec::new();
        let mut labels: BTreeMap<String, usize> = BTreeMap::new();
        for version in versions {
            for cluster in &version.config.clusters {
                for server in &cluster.servers {
                    let at = places.iter().position(|place| place.address == server.addr);
                    let at = at.unwrap_or_else(|| {
                        places.push(Place::new(server.addr.clone()));
                        places.len() - 1
                    });
                    let written = match &server.addr {
                        Address::Ip(addr) => version.names.get(addr).cloned(),
                        Address::Unix(_) => None,
                    };
                    let id = server.id.as_deref().map(str::to_owned);
                    places[at].call(&cluster.name, id, written);
                }
            }
        }
        for place in &mut places {
            let used = labels.entry(place.label.clone()).or_default();
            *used += 1;
            // Two servers of one id, in two clusters.
            if *used > 1 {
                place.label = format!("{}/{}", place.clusters[0], place.label);
            }
        }
        Roster { places }
    }

    /// Labels of all servers, in file order.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| &*place.label)
    }

    /// The servers that `name` stands for: one, or with `CLUSTER/*` all of a cluster.
    ///
    /// # Errors
    /// That it stands for none, or for several, with those that there are.
    pub fn find(&self, name: &str) -> Result<Vec<usize>, String> {
        if let Some(cluster) = name.strip_suffix("/*") {
            let is_in = |place: &Place| place.clusters.iter().any(|of| of == cluster);
            let found: Vec<usize> = self.indices(is_in);
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let found = self.indices(|place| place.names.iter().any(|known| known == name));
        match found.len() {
            1 => Ok(found),
            0 => Err(format!("no server is called \"{name}\"; there are {}", self.list())),
            _ => {
                let longer = found.iter().map(|&at| self.places[at].names.last().cloned());
                let longer: Vec<String> = longer.flatten().collect();
                Err(format!("\"{name}\" may be any of {}", longer.join(", ")))
            }
        }
    }

    fn indices(&self, is_it: impl Fn(&Place) -> bool) -> Vec<usize> {
        (0..self.places.len()).filter(|&at| is_it(&self.places[at])).collect()
    }

    fn list(&self) -> String {
        let of = |place: &Place| format!("{} ({})", place.label, place.clusters.join(", "));
        let mut all: Vec<String> = self.places.iter().take(20).map(of).collect();
        if self.places.len() > 20 {
            all.push(format!("{} more", self.places.len() - 20));
        }
        all.join(", ")
    }

    /// The faults that `text` names: `SERVER:FROM..TO`, for outages and freezes.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn spell(&self, kind: Kind, text: &str) -> Result<Vec<Fault>, String> {
        let wrong = || format!("\"{text}\" is not like b2:10s..40s");
        let (name, times) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (from, to) = period(times)?.ok_or_else(wrong)?;
        let servers = self.find(name)?;
        Ok(servers.into_iter().map(|server| Fault { kind, server, from, to }).collect())
    }

    /// The faults that `text` names: `SERVER:FACTORx`, or `SERVER:FACTORx@FROM..TO`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn slowness(&self, text: &str) -> Result<Vec<Fault>, String> {
        let wrong = || format!("\"{text}\" is not like b1:5x or b1:5x@10s..20s");
        let (name, how) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (factor, times) = how.split_once('@').unwrap_or((how, ".."));
        let factor = factor.strip_suffix('x').and_then(decimal).ok_or_else(wrong)?;
        if !(1..=1_000_000).contains(&factor) {
            return Err(format!("\"{text}\": a factor is at least 0.001x and at most 1000x"));
        }
        let (from, to) = period(times)?.ok_or_else(wrong)?;
        let kind = Kind::Slow(factor as u32);
        let servers = self.find(name)?;
        Ok(servers.into_iter().map(|server| Fault { kind, server, from, to }).collect())
    }
}

/// `FROM..TO`, either of which may be absent; `None`: no such thing.
fn period(text: &str) -> Result<Option<(u64, u64)>, String> {
    let Some((from, to)) = text.split_once("..") else { return Ok(None) };
    let from = if from.is_empty() { 0 } else { span(from)? };
    let to = if to.is_empty() { u64::MAX } else { span(to)? };
    if from >= to {
        return Err(format!("\"{text}\" ends before it begins"));
    }
    Ok(Some((from, to)))
}

impl Place {
    fn new(address: Address) -> Place {
        let label = address.to_string();
        Place { names: vec![label.clone()], label, address, clusters: Vec::new() }
    }

    /// It is called so in a version.
    fn call(&mut self, cluster: &str, id: Option<String>, written: Option<String>) {
        if !self.clusters.iter().any(|known| known == cluster) {
            self.clusters.push(cluster.to_owned());
        }
        if let Some(label) = id.clone().or_else(|| written.clone())
            && self.label == self.names[0]
        {
            self.label = label;
        }
        let address = self.names[0].clone();
        for name in [Some(address), written, id].into_iter().flatten() {
            for name in [name.clone(), format!("{cluster}/{name}")] {
                if !self.names.contains(&name) {
                    self.names.push(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cx::SEC;
    use tidegate_core::config::{Cluster, Config, Server};

    fn roster() -> Roster {
        let at = |port: u16, id: Option<&str>| Server {
            id: id.map(Into::into),
            ..Server::new(Address::Ip(([127, 0, 0, 1], port).into()))
        };
        let clusters = vec![
            Cluster::new("app", vec![at(1, Some("b1")), at(2, Some("b2")), at(3, None)]),
            Cluster::new("api", vec![at(4, Some("b1"))]),
        ];
        let version = Version {
            file: "x.toml".into(),
            config: Config { clusters, ..Config::default() },
            route_lines: Vec::new(),
            names: [(([127, 0, 0, 1], 3).into(), "db.internal:3".to_owned())].into(),
            from_13: Vec::new(),
            demanding: Vec::new(),
        };
        Roster::new(std::iter::once(&version))
    }

    #[test]
    fn servers_go_by_id_address_name_and_cluster() {
        let roster = roster();
        for (name, at) in [
            ("b2", 1),
            ("127.0.0.1:2", 1),
            ("app/b2", 1),
            ("app/127.0.0.1:2", 1),
            ("db.internal:3", 2),
            ("app/b1", 0),
            ("api/b1", 3),
        ] {
            assert_eq!(roster.find(name), Ok(vec![at]), "{name}");
        }
        assert_eq!(roster.find("app/*"), Ok(vec![0, 1, 2]));
        let labels: Vec<&str> = roster.labels().collect();
        assert_eq!(labels, ["b1", "b2", "db.internal:3", "api/b1"]);
        let unknown = roster.find("b9").unwrap_err();
        assert!(unknown.contains("\"b9\"") && unknown.contains("b2 (app)"), "{unknown}");
        let many = roster.find("b1").unwrap_err();
        assert_eq!(many, "\"b1\" may be any of app/b1, api/b1");
    }

    #[test]
    fn faults_are_spelled_or_refused() {
        let roster = roster();
        let fault = |kind, from, to| Ok(vec![Fault { kind, server: 1, from, to }]);
        let outage = |text| roster.spell(Kind::Outage, text);
        assert_eq!(outage("b2:10s..40s"), fault(Kind::Outage, 10 * SEC, 40 * SEC));
        assert_eq!(outage("127.0.0.1:2:..5s"), fault(Kind::Outage, 0, 5 * SEC));
        assert_eq!(outage("b2:10s.."), fault(Kind::Outage, 10 * SEC, u64::MAX));
        assert_eq!(roster.slowness("b2:5x"), fault(Kind::Slow(5000), 0, u64::MAX));
        assert_eq!(roster.slowness("app/b2:2.5x@1s..2s"), fault(Kind::Slow(2500), SEC, 2 * SEC));
        for bad in ["b2", "b2:10s", "b2:40s..10s", "b2:x..y", "b9:1s..2s"] {
            assert!(outage(bad).is_err(), "{bad}");
        }
        for bad in ["b2", "b2:5", "b2:0x", "b2:5x@", "b2:5x@2s..1s", "b9:5x"] {
            assert!(roster.slowness(bad).is_err(), "{bad}");
        }
    }
}
