//! How a rehearsal went on over time: everything by the moment at which requests came.

use super::measure::{Fate, Meter, Sample};
use super::plan::Plan;
use super::report::quantile;
use super::targets::ECHOED;
use crate::cx::{MS, SEC, US};
use serde::Serialize;

/// Points of a curve at most.
const POINTS_MAX: u64 = 120;
/// Widths that a bucket may have.
const WIDTHS: [u64; 12] = [
    100 * MS,
    200 * MS,
    500 * MS,
    SEC,
    2 * SEC,
    5 * SEC,
    10 * SEC,
    30 * SEC,
    60 * SEC,
    300 * SEC,
    600 * SEC,
    1800 * SEC,
];

/// What requests can come to, in the order in which they are drawn.
pub const CLASSES: [&str; 8] = ["2xx", "3xx", "tcp", "4xx", "5xx", "cut", "refused", "given up"];

/// Curves, point by point.
#[derive(Serialize, Clone, PartialEq, Debug)]
pub struct Series {
    /// Time from one point to the next.
    pub bucket_us: u64,
    /// For each of [`CLASSES`]: requests that came in each bucket and came to that.
    pub classes: Vec<(String, Vec<u64>)>,
    /// Of those that came in each bucket and succeeded: how long they took.
    pub p50_us: Vec<u64>,
    /// The same for 90 % of them.
    pub p90_us: Vec<u64>,
    /// The same for 99 % of them.
    pub p99_us: Vec<u64>,
    /// The longest.
    pub max_us: Vec<u64>,
    /// For each server: requests that reached it in each bucket.
    pub servers: Vec<Vec<u64>>,
    /// For each server: requests in it at a time, at most.
    pub busy: Vec<Vec<u64>>,
    /// Connections of clients at most.
    pub client_connections: Vec<u64>,
    /// Connections to servers at most.
    pub server_connections: Vec<u64>,
    /// Those that were idle, at most.
    pub server_idle: Vec<u64>,
    /// Connections in the accept queue, at most.
    pub accept_queue: Vec<u64>,
    /// Requests in line for a server with room, at most.
    pub waiting: Vec<u64>,
}

fn class_of(fate: Fate) -> usize {
    match fate {
        Fate::Answered(ECHOED) => 2,
        Fate::Answered(status) => match status / 100 {
            2 => 0,
            3 => 1,
            4 => 3,
            _ => 4,
        },
        Fate::Cut => 5,
        Fate::Refused => 6,
        Fate::GivenUp | Fate::Waits => 7,
    }
}

impl Series {
    pub(super) fn of(plan: &Plan, meter: &Meter, end: u64) -> Series {
        let end = end.max(plan.load.duration);
        let fits = |width: &&u64| end.div_ceil(**width) <= POINTS_MAX;
        let width = WIDTHS.iter().find(fits).copied().unwrap_or(end.div_ceil(POINTS_MAX));
        // The last answers come a little after the last request.
        let end = if end < plan.load.duration + width { plan.load.duration } else { end };
        let points = end.div_ceil(width).max(1) as usize;
        let bucket = |at: u64| ((at / width) as usize).min(points - 1);
        let mut classes = vec![vec![0; points]; CLASSES.len()];
        let mut times: Vec<Vec<u64>> = vec![Vec::new(); points];
        for request in &meter.requests {
            classes[class_of(request.fate)][bucket(request.at)] += 1;
            if request.succeeded() {
                times[bucket(request.at)].push(request.end - request.at);
            }
        }
        times.iter_mut().for_each(|times| times.sort_unstable());
        let quantiles = |permille: u64| times.iter().map(|t| quantile(t, permille)).collect();
        let servers = meter.servers.iter().map(|server| {
            let mut counts = vec![0; points];
            server.began.iter().for_each(|&at| counts[bucket(at)] += 1);
            counts
        });
        let peak = |of: &dyn Fn(&Sample) -> u32| {
            let mut most = vec![0_u64; points];
            for sample in &meter.samples {
                let at = bucket(sample.at);
                most[at] = most[at].max(of(sample).into());
            }
            most
        };
        let busy = (0..meter.servers.len()).map(|n| peak(&|sample| sample.busy[n]));
        Series {
            bucket_us: width / US,
            classes: CLASSES.iter().map(|&name| name.to_owned()).zip(classes).collect(),
            p50_us: quantiles(500),
            p90_us: quantiles(900),
            p99_us: quantiles(990),
            max_us: quantiles(1000),
            servers: servers.collect(),
            busy: busy.collect(),
            client_connections: peak(&|sample| sample.clients),
            server_connections: peak(&|sample| sample.to_servers),
            server_idle: peak(&|sample| sample.idle),
            accept_queue: peak(&|sample| sample.accept_queue),
            waiting: peak(&|sample| sample.waiting),
        }
    }
}
