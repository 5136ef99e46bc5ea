//! What users would have seen, in numbers. The same plan gives the same report, byte for byte.

use super::measure::{Fate, Meter, Request, ServerMeter};
use super::plan::Plan;
use super::series::Series;
use super::targets::ECHOED;
use super::words::{assumed, differences, faults};
use crate::cx::US;
use serde::Serialize;
use std::collections::BTreeMap;
use tidegate_core::stats::Counters;

/// The version of [`Report`]'s form as JSON.
pub const FORMAT: u32 = 1;

/// The whole report. Times are in microseconds of virtual time since the start.
#[derive(Serialize, Clone, PartialEq, Debug)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The configuration file, as it was named.
    pub file: String,
    /// What was assumed, option by option.
    pub assumed: Vec<(String, String)>,
    /// Virtual time from the start to the last answer.
    pub ended_us: u64,
    /// What users wanted, and got.
    pub users: Users,
    /// The longest outage of any route, which is that of the whole: users of other routes may have
    /// been served all the while. None if no request failed.
    pub longest_outage: Option<RouteOutage>,
    /// The same for each route that was asked for.
    pub routes: Vec<RouteReport>,
    /// What each server had to do.
    pub servers: Vec<ServerReport>,
    /// What the proxy did.
    pub proxy: ProxyReport,
    /// The most that was live at a time.
    pub peaks: Peaks,
    /// Faults and changes that were named.
    pub faults: Vec<FaultReport>,
    /// How all that went on over time.
    pub series: Series,
    /// What was not asked for.
    pub notes: Vec<String>,
    /// In what production differs.
    pub differences: Vec<String>,
    /// What must never be: none, or there is a bug in the proxy, or in the simulator.
    pub defects: Vec<String>,
}

/// What some users wanted, and got.
#[derive(Serialize, Clone, PartialEq, Debug, Default)]
pub struct Users {
    /// Requests, and TCP sessions.
    pub requests: u64,
    /// Those that got what the configuration promises: a server's answer, or the redirect or
    /// answer of their route.
    pub succeeded: u64,
    /// Requests by what they got: a status, `echoed`, or why there was no answer.
    pub outcomes: BTreeMap<String, u64>,
    /// How long those took that succeeded, from the moment their user wanted them.
    pub latency: Latency,
    /// How long the others took to fail.
    pub failed_latency: Latency,
    /// The longest stretch in which none succeeded, if any failed. Of the users of several routes
    /// it says little: it ends as soon as one is served that needs no server.
    pub outage: Option<Outage>,
}

/// How long requests took.
#[derive(Serialize, Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Half took at most so long.
    pub p50_us: u64,
    /// 90 % did.
    pub p90_us: u64,
    /// 99 % did.
    pub p99_us: u64,
    /// 99.9 % did.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// A stretch in which no request succeeded.
#[derive(Serialize, Copy, Clone, PartialEq, Eq, Debug)]
pub struct Outage {
    /// When the first came that failed.
    pub from_us: u64,
    /// When the next came that succeeded, or the last that failed.
    pub to_us: u64,
    /// How many failed.
    pub requests: u64,
}

/// The longest outage of one route.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct RouteOutage {
    /// What the route matches, and where it leads.
    pub route: String,
    /// When it was.
    #[serde(flatten)]
    pub outage: Outage,
}

/// What one route's users got.
#[derive(Serialize, Clone, PartialEq, Debug)]
pub struct RouteReport {
    /// What it matches, and where it leads.
    pub route: String,
    /// What they got.
    pub users: Users,
}

/// What one server had to do.
#[derive(Serialize, Clone, PartialEq, Debug)]
pub struct ServerReport {
    /// Its id, or its address.
    pub server: String,
    /// The clusters that it is in.
    pub clusters: Vec<String>,
    /// Requests that reached it.
    pub requests: u64,
    /// Of a thousand requests that reached any server, so many.
    pub share_permille: u64,
    /// Requests in it at a time, at most.
    pub busy_peak: u64,
    /// Requests that were lost with it, or given up before it answered.
    pub lost: u64,
    /// Connections that were tried.
    pub connects: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those that were not established in time.
    pub timed_out: u64,
    /// Those that broke later, idle ones among them.
    pub broken: u64,
    /// Connections at a time, at most.
    pub connections_peak: u64,
    /// How long the proxy had it marked down.
    pub down_us: u64,
    /// From when to when.
    pub down: Vec<(u64, u64)>,
}

/// What the proxy did.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct ProxyReport {
    /// Connections of clients, accepted.
    pub accepted: u64,
    /// Connections that clients made.
    pub client_connects: u64,
    /// Connections to servers that were tried.
    pub connects: u64,
    /// Those that failed.
    pub connect_failures: u64,
    /// Requests that went over a connection that was there.
    pub reuses: u64,
    /// Requests that needed more than one connection attempt.
    pub retried: u64,
    /// Requests sent again after a reused connection broke.
    pub resent_reused: u64,
    /// Requests sent again after a fresh connection broke.
    pub resent_fresh: u64,
    /// Requests that clients sent again, because the proxy closed an idle connection meanwhile.
    pub client_resent: u64,
    /// Connections closed because the accept queue was full.
    pub queue_overflow: u64,
    /// Connections closed because they waited in the accept queue for too long.
    pub queue_aged: u64,
    /// Idle connections closed to make room.
    pub evicted: u64,
    /// Requests that waited for a server with room.
    pub backend_queued: u64,
    /// Those that found the line full.
    pub backend_queue_full: u64,
    /// Connections over the limit of their address.
    pub over_address_limit: u64,
    /// TLS handshakes with clients.
    pub handshakes: u64,
    /// Those that resumed a session.
    pub handshakes_resumed: u64,
    /// Handshakes that came to nothing.
    pub handshakes_failed: u64,
    /// TCP sessions and the like that passed bytes.
    pub tunnels: u64,
    /// Times that a configuration was replaced.
    pub reloads: u64,
}

/// The most that was live at a time, as far as looking every 50 ms tells.
#[derive(Serialize, Clone, PartialEq, Eq, Debug, Default)]
pub struct Peaks {
    /// Connections that clients had.
    pub client_connections: u64,
    /// Sessions in the proxy.
    pub sessions: u64,
    /// Connections to servers, idle ones among them.
    pub server_connections: u64,
    /// Connections in the accept queue.
    pub accept_queue: u64,
    /// Requests in line for a server with room.
    pub waiting: u64,
}

/// A fault, or another thing that happened because it was asked for.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct FaultReport {
    /// In words.
    pub what: String,
    /// The server's index in [`Report::servers`], if it is one server's.
    pub server: Option<usize>,
    /// When it began.
    pub from_us: u64,
    /// When it ended.
    pub to_us: u64,
}

/// The `permille`th thousandth of sorted times in nanoseconds, in microseconds.
pub(super) fn quantile(sorted: &[u64], permille: u64) -> u64 {
    let rank = (sorted.len() as u64 * permille).div_ceil(1000).max(1) as usize;
    sorted.get(rank - 1).map_or(0, |nanos| nanos / US)
}

impl Latency {
    /// Of times in nanoseconds.
    fn of(mut times: Vec<u64>) -> Latency {
        times.sort_unstable();
        Latency {
            count: times.len() as u64,
            p50_us: quantile(&times, 500),
            p90_us: quantile(&times, 900),
            p99_us: quantile(&times, 990),
            p999_us: quantile(&times, 999),
            max_us: quantile(&times, 1000),
        }
    }
}

/// What became of a request, in a word.
pub(super) fn outcome(fate: Fate) -> String {
    match fate {
        Fate::Answered(ECHOED) => "echoed".into(),
        Fate::Answered(status) => status.to_string(),
        Fate::Cut => "cut".into(),
        Fate::Refused => "refused".into(),
        Fate::GivenUp | Fate::Waits => "given up".into(),
    }
}

impl Outage {
    /// How long it was, in microseconds.
    pub fn length_us(&self) -> u64 {
        self.to_us - self.from_us
    }
}

/// The longest outage of `routes`; of equal ones, that of the first.
fn longest_of(routes: &[RouteReport]) -> Option<RouteOutage> {
    let all = routes.iter().filter_map(|route| {
        let outage = route.users.outage?;
        Some(RouteOutage { route: route.route.clone(), outage })
    });
    all.reduce(|best, other| match other.outage.length_us() > best.outage.length_us() {
        true => other,
        false => best,
    })
}

impl Report {
    /// The routes that deserve a look first: those where most failed, then the slowest. At most
    /// `most` of them, and how many are left out.
    pub(super) fn worst_routes(&self, most: usize) -> (Vec<&RouteReport>, usize) {
        let mut all: Vec<&RouteReport> = self.routes.iter().collect();
        let left_out = all.len().saturating_sub(most);
        if left_out > 0 {
            all.sort_by_key(|route| {
                let users = &route.users;
                std::cmp::Reverse((users.requests - users.succeeded, users.latency.p99_us))
            });
            all.truncate(most);
        }
        (all, left_out)
    }
}

impl Users {
    fn of<'a>(requests: impl Iterator<Item = &'a Request>) -> Users {
        let mut users = Users::default();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let mut stretch: Option<Outage> = None;
        for request in requests {
            users.requests += 1;
            *users.outcomes.entry(outcome(request.fate)).or_default() += 1;
            let took = request.end - request.at;
            let at = request.at / US;
            if request.succeeded() {
                users.succeeded += 1;
                good.push(took);
                if let Some(mut ended) = stretch.take() {
                    ended.to_us = at;
                    users.longest(ended);
                }
            } else {
                bad.push(took);
                let now = stretch.get_or_insert(Outage { from_us: at, to_us: at, requests: 0 });
                now.to_us = at;
                now.requests += 1;
            }
        }
        if let Some(open) = stretch {
            users.longest(open);
        }
        users.latency = Latency::of(good);
        users.failed_latency = Latency::of(bad);
        users
    }

    fn longest(&mut self, other: Outage) {
        if self.outage.is_none_or(|best| best.length_us() < other.length_us()) {
            self.outage = Some(other);
        }
    }

    /// Success in percent, with as many decimals as tell it from 100 %.
    pub fn percent(&self) -> String {
        match (self.requests, self.succeeded) {
            (0, _) => "none".into(),
            (all, good) if all == good => "100 %".into(),
            (all, good) => {
                // Rounded down: 99.999 % is not all.
                let part = u128::from(good) * 100_000 / u128::from(all);
                format!("{}.{:03} %", part / 1000, part % 1000)
            }
        }
    }
}

impl Report {
    pub(super) fn of(
        plan: &Plan,
        meter: &Meter,
        counters: &Counters,
        end: u64,
        events: u64,
    ) -> Report {
        let requests = &meter.requests;
        let mut of_routes: Vec<Vec<&Request>> = vec![Vec::new(); plan.routes.len()];
        requests.iter().for_each(|request| of_routes[request.expect.route].push(request));
        let routes = plan.routes.iter().zip(of_routes).map(|(route, requests)| RouteReport {
            route: route.clone(),
            users: Users::of(requests.into_iter()),
        });
        let routes: Vec<_> = routes.filter(|route| route.users.requests > 0).collect();
        let reached: u64 = meter.servers.iter().map(|server| server.began.len() as u64).sum();
        let places = plan.roster.places.iter().zip(&meter.servers);
        let servers = places.map(|(place, server)| {
            let (name, clusters) = (place.label.clone(), place.clusters.clone());
            server_report(name, clusters, server, reached)
        });
        Report {
            format: FORMAT,
            file: plan.stages[0].file.clone(),
            assumed: assumed(plan, events),
            ended_us: end / US,
            users: Users::of(requests.iter()),
            longest_outage: longest_of(&routes),
            routes,
            servers: servers.collect(),
            proxy: proxy_report(meter, counters),
            peaks: peaks(meter),
            faults: faults(plan, end),
            series: Series::of(plan, meter, end),
            notes: plan.notes.clone(),
            differences: differences(plan),
            defects: meter.defects.clone(),
        }
    }
}

fn server_report(
    server: String,
    clusters: Vec<String>,
    meter: &ServerMeter,
    reached: u64,
) -> ServerReport {
    let requests = meter.began.len() as u64;
    ServerReport {
        server,
        clusters,
        requests,
        share_permille: (requests * 1000 + reached / 2).checked_div(reached).unwrap_or(0),
        busy_peak: meter.busy_peak,
        lost: meter.lost,
        connects: meter.connects,
        refused: meter.refused,
        timed_out: meter.timed_out,
        broken: meter.broken,
        connections_peak: meter.open_peak,
        down_us: meter.down.iter().map(|(from, to)| to - from).sum::<u64>() / US,
        down: meter.down.iter().map(|(from, to)| (from / US, to / US)).collect(),
    }
}

fn proxy_report(meter: &Meter, counters: &Counters) -> ProxyReport {
    let count = |is_it: fn(&Request) -> bool| {
        meter.requests.iter().filter(|request| is_it(request)).count() as u64
    };
    ProxyReport {
        accepted: counters.accepted,
        client_connects: meter.client_connects,
        connects: counters.connects,
        connect_failures: counters.connect_failures,
        reuses: counters.reuses,
        retried: count(|request| request.attempts > 1),
        resent_reused: counters.resent_reused,
        resent_fresh: counters.resent_fresh,
        client_resent: count(|request| request.resent),
        queue_overflow: counters.queue_overflow,
        queue_aged: counters.queue_aged,
        evicted: counters.evicted,
        backend_queued: counters.backend_queued,
        backend_queue_full: counters.backend_queue_full,
        over_address_limit: counters.over_address_limit,
        handshakes: counters.handshakes,
        handshakes_resumed: counters.handshakes_resumed,
        handshakes_failed: counters.tls_failures.iter().sum(),
        tunnels: counters.tunnels,
        reloads: counters.applied,
    }
}

fn peaks(meter: &Meter) -> Peaks {
    let most = |of: fn(&super::measure::Sample) -> u32| {
        meter.samples.iter().map(of).max().unwrap_or(0).into()
    };
    Peaks {
        client_connections: meter.client_open_peak,
        sessions: most(|sample| sample.sessions),
        server_connections: most(|sample| sample.to_servers),
        accept_queue: most(|sample| sample.accept_queue),
        waiting: most(|sample| sample.waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cx::SEC;
    use crate::rehearsal::targets::Expect;

    fn request(at: u64, end: u64, fate: Fate) -> Request {
        let expect = Expect { route: 0, status: 200 };
        let (client, target, method, attempts, resent) = (0, (0, 0, 0), "GET", 1, false);
        Request { at, client, target, method, expect, fate, end, attempts, resent }
    }

    #[test]
    fn the_longest_outage_lies_between_successes() {
        let (good, bad) = (Fate::Answered(200), Fate::Answered(503));
        let fates = [good, bad, good, bad, bad, Fate::Cut, good, bad];
        let requests: Vec<Request> =
            (0..).zip(fates).map(|(n, fate)| request(n * SEC, n * SEC + US, fate)).collect();
        let users = Users::of(requests.iter());
        let longest = Outage { from_us: 3_000_000, to_us: 6_000_000, requests: 3 };
        assert_eq!((users.succeeded, users.outage), (3, Some(longest)));
        assert_eq!(users.outcomes.get("503"), Some(&4));
        assert_eq!(users.percent(), "37.500 %");
        let none = Users::of(requests.iter().filter(|request| request.succeeded()));
        assert_eq!((none.outage, none.percent()), (None, "100 %".to_owned()));
    }

    #[test]
    fn latency_counts_from_the_moment_a_user_wanted_it() {
        let all = (1..=1000).map(|n| request(n, n + n * US, Fate::Answered(200)));
        let all: Vec<Request> = all.collect();
        let latency = Users::of(all.iter()).latency;
        let shown = (latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us);
        assert_eq!((shown, latency.max_us), ((500, 900, 990, 999), 1000));
    }
}
