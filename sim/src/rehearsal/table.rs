//! The report for a terminal.

use super::plan::human;
use super::report::{Latency, Outage, Report, RouteOutage, Users};
use crate::cx::US;
use std::fmt::Write as _;

/// Routes that are shown.
const ROUTES_MAX: usize = 40;
/// Columns of wrapped text.
const WIDTH: usize = 96;

fn time(micros: u64) -> String {
    human(micros * US)
}

fn outage(of: Option<&RouteOutage>) -> String {
    let Some(RouteOutage { route, outage }) = of else { return "none".into() };
    let (length, requests) = (time(outage.length_us()), outage.requests);
    format!("{length}, {} ({requests} failed) of {route}", when(outage))
}

/// From when to when an outage was.
pub(super) fn when(it: &Outage) -> String {
    match (time(it.from_us), time(it.to_us)) {
        (from, to) if from == to => format!("at {from}"),
        (from, to) => format!("{from} to {to}"),
    }
}

fn outcomes(users: &Users) -> String {
    let parts = users.outcomes.iter().map(|(name, count)| format!("{name}: {count}"));
    parts.collect::<Vec<_>>().join("   ")
}

fn latency_row(out: &mut String, name: &str, latency: &Latency) {
    let Latency { count, p50_us, p90_us, p99_us, p999_us, max_us } = *latency;
    let times = [p50_us, p90_us, p99_us, p999_us, max_us].map(time);
    let [p50, p90, p99, p999, max] = match count {
        0 => std::array::from_fn(|_| "-".to_owned()),
        _ => times,
    };
    let _ = writeln!(out, "{name:<14}{count:>9}{p50:>9}{p90:>9}{p99:>9}{p999:>9}{max:>9}");
}

/// Appends `text` in lines of [`WIDTH`], the first behind a dash.
fn item(out: &mut String, text: &str) {
    let mut line = String::from("-");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

impl Report {
    /// The report in lines, for a terminal that is 100 columns wide.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "rehearsal of {}", self.file);
        for (name, value) in &self.assumed {
            let _ = writeln!(out, "  {name:<18}{value}");
        }
        for fault in &self.faults {
            let (from, to) = (time(fault.from_us), time(fault.to_us));
            let when = if from == to { format!("at {from}") } else { format!("{from} to {to}") };
            let _ = writeln!(out, "  {when:<18}{}", fault.what);
        }
        let users = &self.users;
        let (all, good) = (users.requests, users.succeeded);
        let _ = writeln!(out, "\nusers");
        let _ = writeln!(out, "  succeeded         {} ({good} of {all})", users.percent());
        let _ = writeln!(out, "  got               {}", outcomes(users));
        let _ = writeln!(out, "  longest outage    {}", outage(self.longest_outage.as_ref()));
        let _ = writeln!(
            out,
            "\n{:<14}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "latency", "requests", "p50", "p90", "p99", "p99.9", "max"
        );
        latency_row(&mut out, "succeeded", &users.latency);
        latency_row(&mut out, "failed", &users.failed_latency);
        self.routes_table(&mut out);
        self.servers_table(&mut out);
        self.proxy_lines(&mut out);
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        let _ = writeln!(out, "\nhow this differs from production");
        for difference in &self.differences {
            item(&mut out, difference);
        }
        for defect in &self.defects {
            let _ = writeln!(out, "\nDEFECT: {defect}");
        }
        out
    }

    fn routes_table(&self, out: &mut String) {
        if self.routes.len() < 2 && self.users.succeeded == self.users.requests {
            return;
        }
        let _ = writeln!(
            out,
            "\n{:<40}{:>9}{:>11}{:>9}{:>9}   longest outage",
            "route", "requests", "succeeded", "p50", "p99"
        );
        let (routes, left_out) = self.worst_routes(ROUTES_MAX);
        for route in routes {
            let users = &route.users;
            let longest = users.outage.as_ref();
            let longest = longest.map_or("none".into(), |it| time(it.length_us()));
            let (p50, p99) = (time(users.latency.p50_us), time(users.latency.p99_us));
            let _ = writeln!(
                out,
                "{:<40}{:>9}{:>11}{p50:>9}{p99:>9}   {longest}",
                route.route,
                users.requests,
                users.percent()
            );
            let failed = users.requests - users.succeeded;
            if failed > 0 {
                let _ = writeln!(out, "  {}", outcomes(users));
            }
        }
        if left_out > 0 {
            let _ = writeln!(out, "{left_out} more that fared better, in the report of --json");
        }
    }

    fn servers_table(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\n{:<24}{:>9}{:>7}{:>6}{:>6}{:>7}{:>9}{:>9}{:>8}{:>9}",
            "server",
            "requests",
            "share",
            "peak",
            "lost",
            "conns",
            "refused",
            "timeout",
            "broken",
            "down"
        );
        for server in &self.servers {
            let name = format!("{} ({})", server.server, server.clusters.join(", "));
            let share = format!("{}.{}%", server.share_permille / 10, server.share_permille % 10);
            let _ = writeln!(
                out,
                "{name:<24}{:>9}{share:>7}{:>6}{:>6}{:>7}{:>9}{:>9}{:>8}{:>9}",
                server.requests,
                server.busy_peak,
                server.lost,
                server.connects,
                server.refused,
                server.timed_out,
                server.broken,
                time(server.down_us)
            );
        }
    }

    fn proxy_lines(&self, out: &mut String) {
        let (proxy, peaks) = (&self.proxy, &self.peaks);
        let _ = writeln!(out, "\nproxy");
        let mut line = |name: &str, text: String| {
            let _ = writeln!(out, "  {name:<18}{text}");
        };
        line(
            "clients",
            format!(
                "{} connections, at most {} at a time; {} requests asked again by their clients",
                proxy.client_connects, peaks.client_connections, proxy.client_resent
            ),
        );
        line(
            "servers",
            format!(
                "{} connections tried, {} failed; at most {} at a time; reused for {} requests",
                proxy.connects, proxy.connect_failures, peaks.server_connections, proxy.reuses
            ),
        );
        line(
            "retries",
            format!(
                "{} requests took more than one connection; sent again: {} after a reused \
                 connection broke, {} after a fresh one",
                proxy.retried, proxy.resent_reused, proxy.resent_fresh
            ),
        );
        line(
            "queues",
            format!(
                "accepting: at most {}, {} overflowed, {} too old; for a server: at most {}, {} \
                 waited, {} found it full",
                peaks.accept_queue,
                proxy.queue_overflow,
                proxy.queue_aged,
                peaks.waiting,
                proxy.backend_queued,
                proxy.backend_queue_full
            ),
        );
        line(
            "limits",
            format!(
                "{} over max_connections_per_ip, {} idle ones closed to make room",
                proxy.over_address_limit, proxy.evicted
            ),
        );
        if proxy.handshakes + proxy.handshakes_failed > 0 {
            line(
                "TLS",
                format!(
                    "{} handshakes, {} of them resumed; {} failed",
                    proxy.handshakes, proxy.handshakes_resumed, proxy.handshakes_failed
                ),
            );
        }
        if proxy.tunnels > 0 {
            line("TCP", format!("{} sessions", proxy.tunnels));
        }
        if proxy.reloads > 0 {
            line("configuration", format!("replaced {} times", proxy.reloads));
        }
    }
}
