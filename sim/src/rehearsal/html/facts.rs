//! Tables and words below the plots.

use super::{escape, grouped, time};
use crate::rehearsal::report::Report;
use std::fmt::Write as _;

/// Routes that are shown.
const ROUTES_MAX: usize = 200;

fn table(out: &mut String, title: &str, head: &[&str], rows: &[Vec<String>]) {
    let _ = write!(out, "<section><h2>{title}</h2><div class=\"scroll\"><table><thead><tr>");
    for name in head {
        let _ = write!(out, "<th scope=\"col\">{name}</th>");
    }
    let _ = writeln!(out, "</tr></thead><tbody>");
    for row in rows {
        let mut cells = row.iter();
        let first = escape(cells.next().map_or("", |cell| cell));
        let _ = write!(out, "<tr><th scope=\"row\">{first}</th>");
        for cell in cells {
            let _ = write!(out, "<td>{}</td>", escape(cell));
        }
        let _ = writeln!(out, "</tr>");
    }
    let _ = writeln!(out, "</tbody></table></div></section>");
}

fn list(out: &mut String, title: &str, items: &[String]) {
    let _ = writeln!(out, "<section class=\"words\"><h2>{title}</h2><ul>");
    for item in items {
        let _ = writeln!(out, "<li>{}</li>", escape(item));
    }
    let _ = writeln!(out, "</ul></section>");
}

fn pairs(out: &mut String, title: &str, pairs: &[(String, String)]) {
    let _ = writeln!(out, "<section class=\"words\"><h2>{title}</h2><dl>");
    for (name, value) in pairs {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    let _ = writeln!(out, "</dl></section>");
}

impl Report {
    pub(super) fn facts(&self, out: &mut String) {
        self.routes_facts(out);
        self.servers_facts(out);
        let _ = writeln!(out, "<div class=\"columns\">");
        pairs(out, "What the proxy did", &self.proxy_facts());
        pairs(out, "What was assumed", &self.assumed);
        let _ = writeln!(out, "</div>");
        if !self.notes.is_empty() {
            list(out, "Not asked for", &self.notes);
        }
        let _ = write!(out, "<footer>");
        list(out, "How this differs from production", &self.differences);
        let _ = writeln!(out, "</footer>");
    }

    fn routes_facts(&self, out: &mut String) {
        let (routes, left_out) = self.worst_routes(ROUTES_MAX);
        let rows = routes.into_iter().map(|route| {
            let users = &route.users;
            let latency = &users.latency;
            let outcomes = users.outcomes.iter();
            let outcomes = outcomes.map(|(name, count)| format!("{name}: {}", grouped(*count)));
            let outage = users.outage.as_ref();
            vec![
                route.route.clone(),
                grouped(users.requests),
                users.percent(),
                outcomes.collect::<Vec<_>>().join(", "),
                time(latency.p50_us),
                time(latency.p90_us),
                time(latency.p99_us),
                time(latency.max_us),
                outage.map_or("none".into(), |it| time(it.length_us())),
            ]
        });
        let head = [
            "Route",
            "Requests",
            "Succeeded",
            "Got",
            "p50",
            "p90",
            "p99",
            "Longest",
            "Longest outage",
        ];
        let title = match left_out {
            0 => "Routes".to_owned(),
            n => format!("Routes, without {} that fared better", grouped(n as u64)),
        };
        table(out, &title, &head, &rows.collect::<Vec<_>>());
    }

    fn servers_facts(&self, out: &mut String) {
        let rows = self.servers.iter().map(|server| {
            vec![
                server.server.clone(),
                server.clusters.join(", "),
                grouped(server.requests),
                format!("{}.{} %", server.share_permille / 10, server.share_permille % 10),
                grouped(server.busy_peak),
                grouped(server.lost),
                grouped(server.connects),
                grouped(server.refused),
                grouped(server.timed_out),
                grouped(server.broken),
                grouped(server.connections_peak),
                time(server.down_us),
            ]
        });
        let head = [
            "Server",
            "Clusters",
            "Requests",
            "Share",
            "In it at most",
            "Lost",
            "Connections tried",
            "Refused",
            "Timed out",
            "Broke later",
            "Open at most",
            "Left alone",
        ];
        table(out, "Servers", &head, &rows.collect::<Vec<_>>());
    }

    fn proxy_facts(&self) -> Vec<(String, String)> {
        let (proxy, peaks) = (&self.proxy, &self.peaks);
        let all = [
            ("connections of clients", proxy.client_connects),
            ("at a time, at most", peaks.client_connections),
            ("asked again by clients", proxy.client_resent),
            ("connections to servers tried", proxy.connects),
            ("failed", proxy.connect_failures),
            ("requests on a connection that was there", proxy.reuses),
            ("requests with more than one attempt", proxy.retried),
            ("sent again after a reused connection", proxy.resent_reused),
            ("sent again after a fresh one", proxy.resent_fresh),
            ("accept queue at most", peaks.accept_queue),
            ("closed: accept queue full", proxy.queue_overflow),
            ("closed: waited too long there", proxy.queue_aged),
            ("idle connections closed to make room", proxy.evicted),
            ("in line for a server at most", peaks.waiting),
            ("waited for a server", proxy.backend_queued),
            ("found that line full", proxy.backend_queue_full),
            ("over max_connections_per_ip", proxy.over_address_limit),
            ("TLS handshakes", proxy.handshakes),
            ("resumed", proxy.handshakes_resumed),
            ("failed handshakes", proxy.handshakes_failed),
            ("tunnels", proxy.tunnels),
            ("configurations replaced", proxy.reloads),
        ];
        all.into_iter().map(|(name, n)| (name.to_owned(), grouped(n))).collect()
    }
}
