//! The plots: what users got, how long it took, what each server did, connections and queues.

use super::chart::{Band, Chart, LEFT, Scale, WIDTH, ceiling};
use super::{escape, grouped, time};
use crate::rehearsal::report::Report;
use std::fmt::Write as _;

/// Servers that get a plot of their own; the rest stand in the table.
const SERVERS_MAX: usize = 24;

/// One curve or layer: its class, its name, its points, as the pointer tells them.
struct Row<'a> {
    class: String,
    name: &'a str,
    shown: Vec<String>,
}

/// Thousandths of a number for a second, from counts of a bucket.
fn per_second(counts: &[u64], bucket_us: u64) -> Vec<u64> {
    let rate = |&n: &u64| (u128::from(n) * 1_000_000_000 / u128::from(bucket_us)) as u64;
    counts.iter().map(rate).collect()
}

/// Thousandths, with as much behind the point as matters.
fn milli(n: u64) -> String {
    match n {
        0 => "0".into(),
        ..10_000 if !n.is_multiple_of(1000) => format!("{}.{}", n / 1000, n % 1000 / 100),
        _ => grouped((n + 500) / 1000),
    }
}

impl Report {
    fn span_us(&self) -> u64 {
        let points = self.series.client_connections.len() as u64;
        points * self.series.bucket_us
    }

    pub(super) fn plots(&self, out: &mut String) {
        self.timeline(out);
        self.plot_outcomes(out);
        self.plot_latency(out);
        self.plot_servers(out);
        self.plot_connections(out);
    }

    /// What was named, as bands: of one server, or of all.
    fn bands(&self, of: Option<usize>) -> Vec<Band> {
        let all = self
            .faults
            .iter()
            .filter(|fault| of.is_none() || fault.server.is_none() || fault.server == of);
        let band = |fault: &crate::rehearsal::report::FaultReport| Band {
            class: if fault.server.is_some() { "fault" } else { "reload" },
            name: fault.what.clone(),
            from: fault.from_us,
            to: fault.to_us,
        };
        all.map(band).collect()
    }

    fn figure(&self, out: &mut String, title: &str, more: &str, rows: &[Row<'_>], svg: &str) {
        let points = self.series.client_connections.len();
        let times: Vec<String> =
            (0..points as u64).map(|n| time(n * self.series.bucket_us)).collect();
        let rows_json: Vec<(&str, &str, &[String])> =
            rows.iter().map(|row| (&*row.class, row.name, &row.shown[..])).collect();
        let data = serde_json::json!({
            "left": LEFT, "width": WIDTH, "times": times, "rows": rows_json,
        });
        let _ = writeln!(
            out,
            "<figure data-plot=\"{}\"><figcaption><h2>{}</h2><p class=\"more\">{}</p>",
            escape(&data.to_string()),
            escape(title),
            escape(more)
        );
        if rows.len() > 1 {
            let _ = write!(out, "<ul class=\"legend\">");
            for row in rows {
                let name = escape(row.name);
                let _ = write!(out, "<li><i class=\"key {}\"></i>{name}</li>", row.class);
            }
            let _ = writeln!(out, "</ul>");
        }
        let _ = writeln!(out, "</figcaption>\n{svg}</figure>");
    }

    /// What happened, and when servers were marked down: a line each.
    fn timeline(&self, out: &mut String) {
        let faults = self.faults.iter().map(|fault| {
            let class = if fault.server.is_some() { "fault" } else { "reload" };
            (class, fault.what.clone(), vec![(fault.from_us, fault.to_us)])
        });
        let marked = self.servers.iter().filter(|server| !server.down.is_empty());
        let marked = marked.map(|server| {
            ("down", format!("the proxy leaves {} alone", server.server), server.down.clone())
        });
        let lines: Vec<_> = faults.chain(marked).collect();
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(out, "<section class=\"timeline\"><h2>What happened</h2><ul>");
        let span = self.span_us().max(1);
        for (class, name, stretches) in lines.iter().take(40) {
            let name = escape(name);
            let _ = write!(out, "<li><span class=\"what\">{name}</span><span class=\"track\">");
            for &(from, to) in stretches {
                let place = |at: u64| at.min(span) * 10_000 / span;
                let (left, right) = (place(from), place(to));
                let _ = write!(
                    out,
                    "<i class=\"{class}\" style=\"left:{}.{:02}%;width:{}.{:02}%\" title=\"{} to \
                    {}\"></i>",
                    left / 100,
                    left % 100,
                    (right - left) / 100,
                    (right - left) % 100,
                    time(from),
                    time(to)
                );
            }
            let first = stretches.first().map_or(0, |&(from, _)| from);
            let total: u64 = stretches.iter().map(|(from, to)| to - from).sum();
            let when = match total {
                0 => format!("at {}", time(first)),
                total => format!("{} from {} on", time(total), time(first)),
            };
            let _ = writeln!(out, "</span><span class=\"when\">{when}</span></li>");
        }
        let _ = writeln!(out, "</ul></section>");
    }

    fn plot_outcomes(&self, out: &mut String) {
        let series = &self.series;
        let bucket = series.bucket_us;
        let used = series.classes.iter().enumerate();
        let used = used.filter(|(_, (_, counts))| counts.iter().any(|&n| n > 0));
        let layers: Vec<(usize, &str, Vec<u64>)> =
            used.map(|(n, (name, counts))| (n, &**name, per_second(counts, bucket))).collect();
        let points = series.client_connections.len();
        let sum = |at: usize| layers.iter().map(|(_, _, rates)| rates[at]).sum::<u64>();
        let most = ceiling((0..points).map(sum).max().unwrap_or(0).max(1000));
        let label = "Requests a second by what they came to";
        let mut chart = Chart::new(250, self.span_us(), Scale::Linear(most), label);
        chart.bands(&self.bands(None));
        chart.axes(milli);
        for at in 0..points {
            let mut low = 0;
            for (n, _, rates) in layers.iter().filter(|(_, _, rates)| rates[at] > 0) {
                let from = at as u64 * bucket;
                chart.bar(&format!("class{n}"), from, from + bucket, low, low + rates[at]);
                low += rates[at];
            }
        }
        let rows: Vec<Row<'_>> = layers
            .iter()
            .map(|(n, name, rates)| Row {
                class: format!("class{n}"),
                name,
                shown: rates.iter().map(|&rate| format!("{}/s", milli(rate))).collect(),
            })
            .collect();
        let more = "requests a second, by the moment at which they came and what they came to";
        self.figure(out, "What users got", more, &rows, &chart.finish());
    }

    fn plot_latency(&self, out: &mut String) {
        let series = &self.series;
        let curves = [
            ("q50", "half", &series.p50_us),
            ("q90", "90 %", &series.p90_us),
            ("q99", "99 %", &series.p99_us),
            ("q100", "longest", &series.max_us),
        ];
        let known = curves.iter().flat_map(|(_, _, values)| values.iter().copied());
        let known: Vec<u64> = known.filter(|&value| value > 0).collect();
        let (Some(&least), Some(&most)) = (known.iter().min(), known.iter().max()) else { return };
        let mut low = 1;
        while low * 10 <= least {
            low *= 10;
        }
        let mut high = low * 10;
        while high < most {
            high *= 10;
        }
        let label = "Latency of requests that succeeded, each step ten times as long";
        let mut chart = Chart::new(250, self.span_us(), Scale::Log(low, high), label);
        chart.bands(&self.bands(None));
        chart.axes(time);
        let some = |values: &[u64]| -> Vec<Option<u64>> {
            values.iter().map(|&value| (value > 0).then_some(value)).collect()
        };
        for (class, _, values) in curves.iter().rev() {
            chart.curve(class, series.bucket_us, &some(values));
        }
        let show = |&value: &u64| if value == 0 { "–".to_owned() } else { time(value) };
        let rows: Vec<Row<'_>> = curves
            .iter()
            .map(|(class, name, values)| Row {
                class: (*class).to_owned(),
                name,
                shown: values.iter().map(show).collect(),
            })
            .collect();
        let more = "of requests that succeeded, from the moment their user wanted them, whatever \
                    kept the client from sending; each line is ten times the one below";
        self.figure(out, "How long it took", more, &rows, &chart.finish());
    }

    fn plot_servers(&self, out: &mut String) {
        let series = &self.series;
        let rates: Vec<Vec<u64>> =
            series.servers.iter().map(|counts| per_second(counts, series.bucket_us)).collect();
        let most = rates.iter().flatten().max().copied().unwrap_or(0).max(1000);
        let scale = Scale::Linear(ceiling(most));
        let _ = writeln!(out, "<section class=\"servers\">");
        for (n, server) in self.servers.iter().enumerate().take(SERVERS_MAX) {
            let label = format!("Requests a second that reached {}", server.server);
            let mut chart = Chart::new(130, self.span_us(), scale, &label);
            let mut bands = self.bands(Some(n));
            bands.extend(server.down.iter().map(|&(from, to)| Band {
                class: "down",
                name: format!("the proxy leaves {} alone", server.server),
                from,
                to,
            }));
            chart.bands(&bands);
            chart.axes(milli);
            for (at, &rate) in (0_u64..).zip(&rates[n]).filter(|(_, rate)| **rate > 0) {
                let from = at * series.bucket_us;
                chart.bar("load", from, from + series.bucket_us, 0, rate);
            }
            let shown = |values: &[u64], unit: &str| -> Vec<String> {
                values.iter().map(|&value| format!("{}{unit}", milli(value))).collect()
            };
            let busy: Vec<u64> = series.busy[n].iter().map(|&busy| busy * 1000).collect();
            let rows = [
                Row { class: "load".into(), name: "requests", shown: shown(&rates[n], "/s") },
                Row { class: "none".into(), name: "in it at a time", shown: shown(&busy, "") },
            ];
            let share = format!("{}.{} %", server.share_permille / 10, server.share_permille % 10);
            let clusters = server.clusters.join(", ");
            let more = format!(
                "{clusters}: {} requests, {share}; at most {} at a time; {} lost with it; left \
                 alone for {}",
                grouped(server.requests),
                grouped(server.busy_peak),
                grouped(server.lost),
                time(server.down_us)
            );
            // One curve needs no legend.
            let title = format!("Server {}", server.server);
            let mut figure = String::new();
            self.figure(&mut figure, &title, &more, &rows, &chart.finish());
            let legend = figure.find("<ul class=\"legend\">").zip(figure.find("</ul>"));
            if let Some((from, to)) = legend {
                figure.replace_range(from..to + "</ul>\n".len(), "");
            }
            out.push_str(&figure);
        }
        let _ = writeln!(out, "</section>");
    }

    fn plot_connections(&self, out: &mut String) {
        let series = &self.series;
        let curves = [
            ("c0", "of clients", &series.client_connections),
            ("c1", "to servers", &series.server_connections),
            ("c2", "idle ones of those", &series.server_idle),
            ("c3", "in the accept queue", &series.accept_queue),
            ("c4", "in line for a server", &series.waiting),
        ];
        let used: Vec<_> =
            curves.iter().filter(|(_, _, values)| values.iter().any(|&n| n > 0)).collect();
        let most = used.iter().flat_map(|(_, _, values)| values.iter()).max().copied();
        let scale = Scale::Linear(ceiling(most.unwrap_or(0).max(4)));
        let label = "Connections and queues at most";
        let mut chart = Chart::new(220, self.span_us(), scale, label);
        chart.bands(&self.bands(None));
        chart.axes(grouped);
        for (class, _, values) in &used {
            let values: Vec<Option<u64>> = values.iter().map(|&value| Some(value)).collect();
            chart.curve(class, series.bucket_us, &values);
        }
        let rows: Vec<Row<'_>> = used
            .iter()
            .map(|(class, name, values)| Row {
                class: (*class).to_owned(),
                name,
                shown: values.iter().map(|&value| grouped(value)).collect(),
            })
            .collect();
        let more = "at most at a time, as seen every 50 ms";
        self.figure(out, "Connections and queues", more, &rows, &chart.finish());
    }
}
