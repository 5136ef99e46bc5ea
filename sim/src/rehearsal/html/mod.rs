//! The report as one HTML file that needs no network: text, tables and SVG, readable in light and
//! dark, and without scripts; with them, pointing at a plot tells its numbers.

mod chart;
mod facts;
mod plots;

use super::plan::human;
use super::report::{Report, RouteOutage, Users};
use super::table::when;
use crate::cx::US;
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Microseconds as people read them.
fn time(micros: u64) -> String {
    human(micros * US)
}

/// `text` as HTML shows it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A number with its thousands apart.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

impl Report {
    /// The report as one HTML file.
    pub fn html(&self) -> String {
        let mut out = String::with_capacity(256 * 1024);
        let file = escape(&self.file);
        let _ = write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
            <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
            <meta name=\"color-scheme\" content=\"light dark\">\n\
            <title>Rehearsal of {file}</title>\n<style>\n{STYLE}</style></head><body><main>\n\
            <header><p class=\"kind\">Tidegate rehearsal</p><h1>{file}</h1>\n<p class=\"lead\">{}</p>\
            </header>\n",
            escape(&self.lead())
        );
        for defect in &self.defects {
            let defect = escape(defect);
            let _ = writeln!(out, "<p class=\"defect\"><strong>Defect:</strong> {defect}</p>");
        }
        self.tiles(&mut out);
        self.plots(&mut out);
        self.facts(&mut out);
        let _ = write!(out, "</main>\n<script>\n{SCRIPT}</script>\n</body></html>\n");
        out
    }

    /// What was rehearsed, in a sentence.
    fn lead(&self) -> String {
        let of = |name: &str| {
            let found = self.assumed.iter().find(|(known, _)| known == name);
            found.map_or("", |(_, value)| value.split(',').next().unwrap_or_default())
        };
        let mut named: Vec<&str> = self.faults.iter().map(|fault| &*fault.what).take(4).collect();
        match self.faults.len() {
            0 => named.push("no faults"),
            1..=4 => {}
            _ => named.push("and more"),
        }
        let faults = named.join(", ");
        let (rate, duration, seed) = (of("rate"), of("duration"), of("seed"));
        format!("{rate} for {duration} of virtual time, seed {seed}: {faults}.")
    }

    fn tiles(&self, out: &mut String) {
        let users = &self.users;
        let failed = users.requests - users.succeeded;
        let longest = self.longest_outage.as_ref();
        let (length, stretch) = longest.map_or_else(
            || ("none".to_owned(), "no request failed".to_owned()),
            |RouteOutage { route, outage }| {
                let (when, requests) = (when(outage), grouped(outage.requests));
                (time(outage.length_us()), format!("{when}, {requests} failed of {route}"))
            },
        );
        let _ = writeln!(out, "<section class=\"tiles\">");
        let mut tile = |class: &str, name: &str, value: &str, more: &str| {
            let (value, more) = (escape(value), escape(more));
            let _ = writeln!(
                out,
                "<div class=\"tile {class}\"><h2>{name}</h2><p class=\"value\">{value}</p>\
                <p class=\"more\">{more}</p></div>"
            );
        };
        let all = format!("{} of {}", grouped(users.succeeded), grouped(users.requests));
        let mood = if failed == 0 { "good" } else { "bad" };
        tile(mood, "Succeeded", &users.percent(), &all);
        tile(mood, "Failed", &grouped(failed), &failures(users));
        tile(if longest.is_none() { "good" } else { "bad" }, "Longest outage", &length, &stretch);
        let latency = &users.latency;
        let tail = format!("p99 {}, longest {}", time(latency.p99_us), time(latency.max_us));
        tile("", "Latency, p50", &time(latency.p50_us), &tail);
        let again = self.proxy.resent_reused + self.proxy.resent_fresh;
        let more = format!("{} sent again on another connection", grouped(again));
        tile("", "Retried", &grouped(self.proxy.retried), &more);
        let _ = writeln!(out, "</section>");
    }
}

/// Why requests failed, the commonest reasons first.
fn failures(users: &Users) -> String {
    let is_failure =
        |name: &str| !name.starts_with('2') && !name.starts_with('3') && name != "echoed";
    let mut all: Vec<(&String, &u64)> =
        users.outcomes.iter().filter(|(name, _)| is_failure(name)).collect();
    all.sort_by_key(|&(name, count)| (std::cmp::Reverse(*count), name));
    let all: Vec<String> =
        all.iter().take(3).map(|(name, count)| format!("{name}: {}", grouped(**count))).collect();
    match users.requests == users.succeeded {
        true => "nobody".into(),
        false => all.join(", "),
    }
}
