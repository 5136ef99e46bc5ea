//! What a report says of its own making: what was named, what was assumed, what is different in
//! production.

use super::plan::{Fault, Kind, Plan, human};
use super::report::FaultReport;
use super::roster::Roster;
use crate::cx::{SEC, US};

/// What a fault is, in words.
fn fault(fault: &Fault, roster: &Roster) -> String {
    let server = &roster.places[fault.server].label;
    match fault.kind {
        Kind::Outage => format!("{server} is down"),
        Kind::Freeze => format!("{server} stands still"),
        Kind::Slow(factor) if factor % 1000 == 0 => {
            format!("{server} takes {} times as long", factor / 1000)
        }
        Kind::Slow(factor) => {
            let part = format!("{:03}", factor % 1000);
            let part = part.trim_end_matches('0');
            format!("{server} takes {}.{part} times as long", factor / 1000)
        }
    }
}

/// What a fault is and from when to when, in words.
pub(super) fn fault_and_time(of: &Fault, roster: &Roster) -> String {
    let to = if of.to == u64::MAX { "the end".into() } else { human(of.to) };
    format!("\"{}\" from {} to {to}", fault(of, roster), human(of.from))
}

/// What was named, in words.
pub(super) fn faults(plan: &Plan, end: u64) -> Vec<FaultReport> {
    let of_servers = plan.faults.iter().map(|of| {
        let (from_us, to_us) = (of.from.min(end) / US, of.to.min(end) / US);
        FaultReport { what: fault(of, &plan.roster), server: Some(of.server), from_us, to_us }
    });
    let changes = plan.stages.iter().skip(1).map(|stage| FaultReport {
        what: format!("{} takes over", stage.file),
        server: None,
        from_us: stage.at / US,
        to_us: stage.at / US,
    });
    of_servers.chain(changes).collect()
}

/// Each option, as it was taken.
pub(super) fn assumed(plan: &Plan, events: u64) -> Vec<(String, String)> {
    let load = &plan.load;
    let per_second = match (u128::from(SEC) * 1000) / u128::from(load.gap) {
        milli if milli.is_multiple_of(1000) => format!("{}", milli / 1000),
        milli => format!("{}.{:03}", milli / 1000, milli % 1000),
    };
    let connections = if load.fresh_connections { "one a request" } else { "kept alive" };
    let concurrency = load.concurrency.map_or_else(|| "any number".into(), |n| n.to_string());
    let all = [
        ("rate", format!("{per_second} requests/s, arriving at random whatever becomes of others")),
        ("duration", human(load.duration)),
        ("seed", load.seed.to_string()),
        ("clients", format!("{}, connections {connections}", load.clients)),
        ("patience", human(load.patience)),
        ("POSTs", format!("{} % of {} bytes", load.post_percent, load.post_bytes)),
        ("answers", format!("{} bytes", load.body_bytes)),
        ("service time", format!("{} in the middle, 3 times as long for 1 %", human(load.service))),
        ("a server works on", format!("{concurrency} at a time")),
        (
            "round trips",
            format!("clients {}, servers {}", human(load.client_rtt), human(load.server_rtt)),
        ),
        ("events", events.to_string()),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// In what production differs: printed below every report, so that nobody takes it for a capacity
/// test.
pub(super) fn differences(plan: &Plan) -> Vec<String> {
    let mut all = vec![
        "It rehearses behaviour, not throughput: processor time costs nothing here, so that \
         nothing of the proxy's own is ever too slow. It is no capacity test."
            .to_owned(),
        "One worker with the limits of the whole process; in production they are divided over \
         the workers, each of which learns for itself which servers are down."
            .to_owned(),
        "Network and servers are assumed: no loss, the round trips and service times above, \
         buffers of 128 KiB."
            .to_owned(),
        "A client that has no idle connection opens one, as many as it takes; browsers stop at \
         six."
            .to_owned(),
        "Users do not follow redirects, and ask again on their own only where a browser does: when \
         a kept-alive connection was closed under a request without a byte of an answer."
            .to_owned(),
    ];
    let configs = plan.stages.iter().map(|stage| stage.compiled.config());
    let has_tls = configs.clone().any(|config| {
        config.listeners.iter().any(|listener| listener.tls.is_some())
            || config.clusters.iter().any(|cluster| cluster.tls.is_some())
    });
    if has_tls {
        all.push(
            "TLS is spoken with certificates and keys of the simulator's under the names of \
             yours, and no certificate is judged."
                .to_owned(),
        );
    }
    all
}
