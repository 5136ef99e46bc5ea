//! What is rehearsed: configurations, load, faults.

use super::roster::Roster;
use super::targets::{Filter, Labels, Targets};
use crate::cx::{MS, SEC, US};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_core::config::{Compiled, Config, Settings};

/// Requests of one rehearsal at most: each is kept until the report is made, and each connection
/// that it took.
pub const REQUESTS_MAX: u64 = 1_000_000;
/// Clients at most: each has an address of its own.
pub const CLIENTS_MAX: u32 = 50_000;
/// Bytes of one body at most.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// The longest span of virtual time that an option takes, and the longest rehearsal.
pub const SPAN_MAX: u64 = 24 * 3600 * SEC;

/// One version of the operator's configuration.
pub struct Version {
    /// The file, as the operator named it.
    pub file: String,
    /// What it says. Its TLS settings may be of any provider: they are replaced.
    pub config: Config,
    /// Lines of the routes' headers, from 1.
    pub route_lines: Vec<usize>,
    /// What the file says in the place of these addresses of servers.
    pub names: BTreeMap<SocketAddr, String>,
    /// Listeners, by name, that speak TLS 1.3 alone.
    pub from_13: Vec<String>,
    /// Listeners, by name, that demand certificates of clients.
    pub demanding: Vec<String>,
}

/// How users behave, and what is assumed of network and servers. Times are in nanoseconds.
#[derive(Clone, Debug)]
pub struct Load {
    /// What all chance follows from.
    pub seed: u64,
    /// Mean pause between two requests, which come whatever becomes of earlier ones.
    pub gap: u64,
    /// How long requests come.
    pub duration: u64,
    /// Users, each with an address, cookies, and connections.
    pub clients: u32,
    /// Each request has a connection of its own.
    pub fresh_connections: bool,
    /// Of a hundred requests, so many are POSTs, where a route takes both.
    pub post_percent: u8,
    /// Bytes of the body of a POST.
    pub post_bytes: usize,
    /// Bytes of the body of a server's response.
    pub body_bytes: usize,
    /// How long a user waits.
    pub patience: u64,
    /// Round trip between clients and proxy.
    pub client_rtt: u64,
    /// Round trip between proxy and servers.
    pub server_rtt: u64,
    /// Median of the time that a server works on a request.
    pub service: u64,
    /// Requests that a server works on at a time, if that is limited; others wait in it.
    pub concurrency: Option<u32>,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            seed: 0,
            gap: SEC / 100,
            duration: 60 * SEC,
            clients: 200,
            fresh_connections: false,
            post_percent: 0,
            post_bytes: 2048,
            body_bytes: 4096,
            patience: 30 * SEC,
            client_rtt: 20 * MS,
            server_rtt: 400 * US,
            service: 20 * MS,
            concurrency: None,
        }
    }
}

/// What happens to a server.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It is down: its connections are reset, new ones are refused.
    Outage,
    /// It stands still: nothing reaches it and nothing comes from it.
    Freeze,
    /// It takes so many thousandths of its usual time.
    Slow(u32),
}

/// A fault of one server, from when to when in nanoseconds since the start.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What happens.
    pub kind: Kind,
    /// The server's index in the [`Roster`].
    pub server: usize,
    /// When it begins.
    pub from: u64,
    /// When it ends; [`u64::MAX`]: never.
    pub to: u64,
}

/// A rehearsal, ready to be held.
pub struct Plan {
    pub(super) settings: Settings,
    pub(super) load: Load,
    pub(super) faults: Vec<Fault>,
    pub(super) stages: Vec<Stage>,
    pub(super) roster: Roster,
    pub(super) routes: Vec<String>,
    pub(super) notes: Vec<String>,
    /// What its operator should know before it is held.
    pub warnings: Vec<String>,
}

/// A configuration, and when it comes into force.
pub(super) struct Stage {
    pub(super) at: u64,
    pub(super) file: String,
    pub(super) compiled: Compiled,
    pub(super) targets: Targets,
}

impl Plan {
    /// The rehearsal of `versions`: the first from the start, the others from when they are due,
    /// in nanoseconds since the start. `settings` are those of the first.
    ///
    /// # Errors
    /// Why there is nothing to rehearse, in words.
    pub fn new(
        mut settings: Settings,
        mut versions: Vec<(u64, Version)>,
        roster: Roster,
        faults: Vec<Fault>,
        load: Load,
        filter: &Filter,
    ) -> Result<Plan, String> {
        let expected = load.duration / load.gap.max(1);
        if expected > REQUESTS_MAX {
            return Err(format!("{expected} requests are too many: {REQUESTS_MAX} at most"));
        }
        settings.access_records = true;
        versions.sort_by_key(|&(at, _)| at);
        let changes = versions.iter().skip(1).map(|(at, version)| (*at, &*version.file));
        let warnings = super::timing::warnings(&faults, changes, &roster, load.duration)?;
        let mut secure = super::secure::Secure::new(load.seed);
        let (mut routes, mut notes, mut stages) = (Labels::default(), Vec::new(), Vec::new());
        for (at, version) in versions {
            let Version { file, .. } = &version;
            let file = file.clone();
            let (targets, config) =
                Targets::of(version, filter, &mut secure, &mut routes, &mut notes)?;
            let compiled = Compiled::new(config, &settings);
            let compiled = compiled.map_err(|errors| match errors.first() {
                Some(error) => format!("{file}: {error:?}"),
                None => file.clone(),
            })?;
            stages.push(Stage { at, file, compiled, targets });
        }
        let routes = routes.all;
        Ok(Plan { settings, load, faults, stages, roster, routes, notes, warnings })
    }
}

/// A span of time as options write it, such as `250ms` or `1m`, in nanoseconds.
///
/// # Errors
/// Why `text` is none.
pub fn span(text: &str) -> Result<u64, String> {
    match u64::try_from(spelled_span(text)?) {
        Ok(nanos) if nanos <= SPAN_MAX => Ok(nanos),
        _ => Err(format!("{text} is too long: 24h at most")),
    }
}

/// A span of time however long, in nanoseconds.
///
/// # Errors
/// Why `text` is none.
pub fn spelled_span(text: &str) -> Result<u128, String> {
    let wrong = || format!("\"{text}\" is no span of time like 250ms, 10s or 1m (us, ms, s, m, h)");
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "us" => US,
        "ms" => MS,
        "s" => SEC,
        "m" => 60 * SEC,
        "h" => 3600 * SEC,
        _ => return Err(wrong()),
    };
    let thousandths = decimal(number).ok_or_else(wrong)?;
    Ok(u128::from(thousandths) * u128::from(unit) / 1000)
}

/// A number of at most three decimals, in thousandths.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 3 || whole.len() > 12 {
        return None;
    }
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1000 + part)
}

/// The mean pause of a rate such as `500/s` or `30/m`, in nanoseconds.
///
/// # Errors
/// Why `text` is none.
pub fn rate(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is no rate like 500/s or 30/m");
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let unit = match unit {
        "s" => SEC,
        "m" => 60 * SEC,
        "h" => 3600 * SEC,
        _ => return Err(wrong()),
    };
    let thousandths = decimal(number).filter(|&n| n > 0).ok_or_else(wrong)?;
    match u128::from(unit) * 1000 / u128::from(thousandths) {
        0..1000 => Err(format!("{text} is too much: 1000000/s at most")),
        gap => Ok(gap as u64),
    }
}

/// Nanoseconds as people read them.
pub(super) fn human(nanos: u64) -> String {
    let with = |unit: u64, name: &str| {
        let tenths = (nanos * 10 + unit / 2) / unit;
        match (tenths / 10, tenths % 10) {
            (whole, 0) => format!("{whole}{name}"),
            (whole, _) if whole >= 100 => format!("{}{name}", (nanos + unit / 2) / unit),
            (whole, part) => format!("{whole}.{part}{name}"),
        }
    };
    match nanos {
        0 => "0s".into(),
        1..MS => with(US, "us"),
        MS..SEC => with(MS, "ms"),
        _ => with(SEC, "s"),
    }
}

/// A [`Duration`] in nanoseconds, for the fields of [`Load`].
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_rates_are_read_or_refused() {
        assert_eq!(span("250ms"), Ok(250 * MS));
        assert_eq!((span("1.5s"), span("2m")), (Ok(1_500 * MS), Ok(120 * SEC)));
        for bad in ["", "10", "s", "-1s", "1.2345s", "25h", "1d", "10 s"] {
            assert!(span(bad).is_err(), "{bad}");
        }
        assert_eq!((rate("500/s"), rate("30/m")), (Ok(2 * MS), Ok(2 * SEC)));
        for bad in ["500", "0/s", "x/s", "5/d", "9000000/s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_shown_short() {
        let shown = [0, 1_500, 20 * MS, 1_234 * MS, 250_700 * MS].map(human);
        assert_eq!(shown, ["0s", "1.5us", "20ms", "1.2s", "251s"]);
    }
}
