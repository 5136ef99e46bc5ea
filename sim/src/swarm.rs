//! The swarm: every fault and every operation that a world can have, in one place.
//!
//! Each seed switches each of them on or off by a coin. How its coins are weighted is drawn first,
//! so that some seeds have a fault or two and others nearly all of them; one seed in twenty has no
//! fault at all. Rates are log-uniform. All of that comes from a stream of its own: what a seed
//! draws elsewhere does not depend on it.
//!
//! Whoever lets a fault strike, or carries out an operation, says so by [`Cx::strikes`],
//! [`Cx::fired`], [`Cx::does`] or [`Cx::applied`]: a family that never fires shows in the table of
//! marks.

use crate::choice::{Change, Choices, Rate, Site, What};
use crate::cx::Cx;
use crate::marks::Group;
use crate::site;
use tidegate_core::buggify::Point;

/// How a fault is drawn.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// At every occasion, at the seed's rate: up to so many percent.
    Rate(u32),
    /// As episodes with a start and an end.
    Episode,
    /// A property of the whole world.
    World,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:expr;)*) => {
        /// One family of faults.
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Fault { $($(#[$doc])* $variant,)* }

        impl Fault {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Fault] = &[$(Fault::$variant,)*];

            /// As the command line and the marks spell it.
            pub const fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name,)* }
            }

            /// How it is drawn.
            pub const fn kind(self) -> Kind {
                match self { $(Fault::$variant => $kind,)* }
            }

            const fn site(self) -> Site {
                match self { $(Fault::$variant => const { Site::new(concat!("fault/", $name)) },)* }
            }
        }
    };
}

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $who:ident;)*) => {
        /// One thing that clients, servers or the controller may do.
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Operation { $($(#[$doc])* $variant,)* }

        impl Operation {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Operation] = &[$(Operation::$variant,)*];

            /// As the command line and the marks spell it.
            pub const fn name(self) -> &'static str {
                match self { $(Operation::$variant => $name,)* }
            }

            /// Who does it.
            pub const fn actor(self) -> Actor {
                match self { $(Operation::$variant => Actor::$who,)* }
            }

            const fn site(self) -> Site {
                match self {
                    $(Operation::$variant => const { Site::new(concat!("operation/", $name)) },)*
                }
            }
        }
    };
}

/// Who does an operation.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Actor {
    /// Clients, request by request.
    Client,
    /// Servers, response by response.
    Server,
    /// The controller, while traffic flows.
    Controller,
}

faults! {
    /// Heads that come a few bytes at a time.
    SlowHead = "slow-head", Kind::Rate(30);
    /// Requests that must be refused.
    Flawed = "flawed-request", Kind::Rate(30);
    /// Clients that finish writing after their last request.
    HalfClose = "half-close", Kind::Rate(50);
    /// Clients that end in the middle.
    Abort = "client-abort", Kind::Rate(30);
    /// Clients that read slowly.
    SlowRead = "slow-read", Kind::Rate(30);
    /// Clients that stay when they are done.
    Hoard = "hoard", Kind::Rate(50);
    /// Clients that send nothing.
    Silent = "silent-client", Kind::Rate(20);
    /// Requests whose body stops for a while.
    SlowBody = "slow-body", Kind::Rate(30);
    /// PROXY headers that are none.
    BadHeader = "bad-proxy-header", Kind::Rate(30);
    /// PROXY headers that stop in the middle.
    StalledHeader = "stalled-proxy-header", Kind::Rate(20);
    /// TLS of clients that goes wrong.
    ClientTls = "client-tls", Kind::Rate(40);
    /// TLS of servers that goes wrong.
    ServerTls = "server-tls", Kind::Rate(40);
    /// Responses that come before the request is whole.
    Early = "early-response", Kind::Rate(30);
    /// Responses that end before their body is complete.
    Truncate = "truncated-response", Kind::Rate(30);
    /// Responses cut by a reset.
    Reset = "reset-response", Kind::Rate(30);
    /// No response at all.
    Vanish = "no-response", Kind::Rate(30);
    /// Responses that stop and do not go on.
    Stall = "stalled-response", Kind::Rate(15);
    /// Heads of responses that are not HTTP.
    BadHead = "bad-head", Kind::Rate(20);
    /// Last chunks that are none.
    BadChunk = "bad-chunk", Kind::Rate(20);
    /// Too many interim responses.
    Storm = "interim-storm", Kind::Rate(20);
    /// Bytes behind the response.
    Garbage = "garbage", Kind::Rate(30);
    /// Connections that a server closes while they idle.
    CloseIdle = "close-idle", Kind::Rate(50);
    /// Responses that take long.
    SlowResponse = "slow-response", Kind::Rate(30);
    /// Servers that accept late.
    LateAccept = "late-accept", Kind::Rate(20);
    /// Peers of tunnels that close while bytes may still come.
    TunnelClose = "tunnel-close", Kind::Rate(40);
    /// Peers of tunnels that stay when they are done.
    TunnelStall = "tunnel-stall", Kind::Rate(30);
    /// Peers of tunnels that reset when they are done.
    TunnelReset = "tunnel-reset", Kind::Rate(40);
    /// Peers of tunnels that write or read slowly.
    TunnelSlow = "tunnel-slow", Kind::Rate(30);
    /// Readiness that says what is not so.
    Spurious = "spurious-readiness", Kind::Rate(30);
    /// Batches of readiness in another order.
    Reorder = "reordered-readiness", Kind::Rate(80);
    /// Turns that come late.
    SlowLoop = "slow-loop", Kind::Rate(10);
    /// A link that stops, and goes on.
    Clog = "clog", Kind::Episode;
    /// Links that stop one by one, and go on in another order.
    Swizzle = "swizzle-clog", Kind::Episode;
    /// Latency that grows.
    Latency = "latency", Kind::Episode;
    /// SYNs that vanish.
    BlackHole = "black-hole", Kind::Episode;
    /// Addresses that cannot be reached.
    Unreachable = "unreachable", Kind::Episode;
    /// Servers that go down and come up.
    Flap = "flap", Kind::Episode;
    /// Descriptors that run out.
    Descriptors = "descriptors", Kind::Episode;
    /// Accepts that lose their connection.
    AcceptAborts = "accept-abort", Kind::Episode;
    /// Accepts that a signal interrupts.
    AcceptInterrupts = "accept-interrupt", Kind::Episode;
    /// Writes that take less than there is room for.
    ShortWrites = "short-write", Kind::Episode;
    /// Resets that overtake data.
    Overtake = "overtaking-reset", Kind::Episode;
    /// Wall clocks that jump, ahead or back.
    ClockJump = "clock-jump", Kind::Episode;
    /// Servers that are down for good once everything else is healed.
    Gone = "gone-for-good", Kind::World;
    /// Few sessions and a short accept queue.
    Tight = "tight-limits", Kind::World;
    /// Few buffers.
    FewBuffers = "few-buffers", Kind::World;
    /// Timeouts of a fraction of a second.
    ShortTimeouts = "short-timeouts", Kind::World;
    /// A listen backlog of three.
    ShortBacklog = "short-backlog", Kind::World;
    /// Socket buffers of a few bytes.
    TinyWires = "tiny-wires", Kind::World;
    /// Clients that share few addresses, of which each may have few connections.
    PerAddress = "per-address-limit", Kind::World;
    /// Listeners that believe PROXY headers of some clients alone.
    Strangers = "strangers", Kind::World;
}

operations! {
    /// Several requests on their way at once.
    Pipeline = "pipeline", Client;
    /// Requests of HTTP/1.0.
    OldRequest = "old-request", Client;
    /// Request bodies in chunks.
    ChunkedRequest = "chunked-request", Client;
    /// `Expect: 100-continue`.
    Expect = "expect", Client;
    /// Sticky cookies.
    Cookie = "cookie", Client;
    /// Hop-by-hop fields, and fields that Connection names.
    Hops = "hop-by-hop", Client;
    /// `Connection: close`.
    LastRequest = "last-request", Client;
    /// What only a trusted proxy may say: `X-Forwarded-For` and the like.
    Forwarded = "forwarded-fields", Client;
    /// Requests for WebSocket.
    Upgrade = "upgrade", Client;
    /// Responses that end with their connection.
    UntilClose = "until-close", Server;
    /// Responses in chunks.
    ChunkedResponse = "chunked-response", Server;
    /// Interim responses.
    Interim = "interim", Server;
    /// Responses of HTTP/1.0.
    OldResponse = "old-response", Server;
    /// Responses that are the last on their connection.
    LastResponse = "last-response", Server;
    /// A listener goes.
    RemoveListener = "remove-listener", Controller;
    /// A listener comes back.
    AddListener = "add-listener", Controller;
    /// A cluster goes, and the routes to it.
    RemoveCluster = "remove-cluster", Controller;
    /// A cluster comes back.
    AddCluster = "add-cluster", Controller;
    /// A server leaves its cluster.
    RemoveServer = "remove-server", Controller;
    /// A server joins a cluster.
    AddServer = "add-server", Controller;
    /// A server gets no new requests.
    DrainServer = "drain-server", Controller;
    /// A drained server gets requests again.
    FillServer = "fill-server", Controller;
    /// A server gets another weight.
    Reweigh = "reweigh-server", Controller;
    /// A server becomes a backup, or stops being one.
    Backup = "backup-server", Controller;
    /// Servers change places in the file.
    ReorderServers = "reorder-servers", Controller;
    /// Another way of balancing.
    Balance = "balance", Controller;
    /// Sessions begin to stick, or stop.
    Sticky = "sticky", Controller;
    /// Another rule of reuse.
    Reuse = "reuse", Controller;
    /// Another number of idle connections.
    IdlePool = "idle-pool", Controller;
    /// Another span of a timer.
    Timeout = "timeout", Controller;
    /// A host loses its route.
    RemoveRoute = "remove-route", Controller;
    /// A host gets a route, or another cluster.
    MoveRoute = "move-route", Controller;
    /// Routes change places in the file.
    ReorderRoutes = "reorder-routes", Controller;
    /// A route that redirects comes or goes.
    Redirect = "redirect-route", Controller;
    /// A route with a fixed answer comes or goes.
    Answer = "answer-route", Controller;
    /// A route of some paths to another cluster comes or goes.
    PathRoute = "path-route", Controller;
    /// Routes set and remove other fields.
    EditFields = "edit-fields", Controller;
    /// Other proxies are trusted.
    Trust = "trusted-proxies", Controller;
    /// A listener's certificates are swapped.
    Certificates = "certificates", Controller;
    /// Clusters speak TLS with other settings.
    ServerTls = "tls-to-servers", Controller;
    /// Another longest body, another rule for a client's FIN.
    BodyLimit = "body-limit", Controller;
    /// Servers may have another number of connections.
    ServerLimit = "server-limit", Controller;
    /// A longer or shorter line in front of servers.
    LineLength = "line-length", Controller;
    /// The same configuration once more.
    Reload = "reload", Controller;
    /// A configuration that must be refused.
    BadConfig = "bad-config", Controller;
}

/// What the controller may be asked to do.
pub fn of_controller() -> impl Iterator<Item = Operation> {
    Operation::ALL.iter().copied().filter(|it| it.actor() == Actor::Controller)
}

/// How often each fault strikes at an occasion; one that the seed leaves out draws nothing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Rates([Rate; Fault::ALL.len()]);

impl Rates {
    /// Nothing strikes.
    pub const NONE: Rates = Rates([Rate::NEVER; Fault::ALL.len()]);

    /// The rate of one fault.
    pub const fn of(&self, fault: Fault) -> Rate {
        self.0[fault as usize]
    }
}

/// What one seed uses.
#[derive(Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Nothing goes wrong.
    pub is_faultless: bool,
    faults: u64,
    operations: u64,
    /// How often faults strike while they may.
    pub rates: Rates,
    /// How often the core takes its rare ways, in 65,536ths, and what decides.
    pub buggify: (u64, [u32; Point::ALL.len()]),
}

/// Of a hundred coins so many fall on *on*; one of these for each seed.
const DENSITIES: [u32; 4] = [8, 30, 50, 80];

impl Swarm {
    /// Draws what a seed uses, from `choices` that nobody else draws from.
    pub fn draw(choices: &mut Choices, is_calm: bool) -> Swarm {
        let is_faultless = choices.chance(site!("swarm/faultless"), 0, Rate::percent(5)) || is_calm;
        let density = choices.pick(site!("swarm/density"), 0, &DENSITIES);
        let buggify = draw_buggify(choices);
        let mut swarm =
            Swarm { is_faultless, faults: 0, operations: 0, rates: Rates::NONE, buggify };
        for &fault in Fault::ALL {
            let percent = match fault.kind() {
                Kind::Rate(_) => density,
                // Of these a few are enough to starve a seed.
                Kind::Episode | Kind::World => density * 2 / 3,
            };
            let is_on = is_on(choices, fault.site(), u64::from(percent));
            if !is_on || is_faultless {
                continue;
            }
            swarm.faults |= 1 << fault as u64;
            if let Kind::Rate(most) = fault.kind() {
                let most = u64::from(Rate::percent(most).0);
                let rate = choices.log_between(fault.site(), 1, 256, most);
                swarm.rates.0[fault as usize] = Rate(rate as u32);
            }
        }
        let is_controlled = is_on(choices, site!("swarm/controlled"), 35);
        let density = u64::from(choices.pick(site!("swarm/operations"), 0, &DENSITIES));
        for &operation in Operation::ALL {
            let is_on = is_on(choices, operation.site(), density.max(30));
            let is_possible = match operation.actor() {
                Actor::Client | Actor::Server => true,
                Actor::Controller => is_controlled && !is_faultless,
            };
            if is_on && is_possible {
                swarm.operations |= 1 << operation as u64;
            }
        }
        swarm
    }

    /// Whether the seed uses `fault`.
    pub fn has(&self, fault: Fault) -> bool {
        self.faults >> fault as u64 & 1 == 1
    }

    /// Whether the seed uses `operation`.
    pub fn uses(&self, operation: Operation) -> bool {
        self.operations >> operation as u64 & 1 == 1
    }

    /// What the controller does in this seed.
    pub fn controls(&self) -> Vec<Operation> {
        of_controller().filter(|&it| self.uses(it)).collect()
    }
}

impl std::fmt::Debug for Swarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults = Fault::ALL.iter().filter(|it| self.has(**it)).map(|it| it.name());
        let uses = Operation::ALL.iter().filter(|it| self.uses(**it)).map(|it| it.name());
        f.debug_struct("Swarm")
            .field("is_faultless", &self.is_faultless)
            .field("faults", &faults.collect::<Vec<_>>().join(" "))
            .field("operations", &uses.collect::<Vec<_>>().join(" "))
            .field("buggify", &self.buggify.1)
            .finish()
    }
}

/// Most seeds leave the core alone; the others take some of its rare ways, each at a rate of its
/// own. None of them is a fault.
/// A coin that falls on *on* so many times in a hundred; the highest draws are on.
fn is_on(choices: &mut Choices, site: Site, percent: u64) -> bool {
    choices.choose(site, 0, 100) + percent >= 100
}

fn draw_buggify(choices: &mut Choices) -> (u64, [u32; Point::ALL.len()]) {
    let seed = choices.choose(site!("swarm/buggify seed"), 0, u64::MAX);
    let is_on = choices.chance(site!("swarm/buggify"), 0, Rate::percent(25));
    let mut rates = [0; Point::ALL.len()];
    for (n, rate) in (0..).zip(&mut rates) {
        if is_on && choices.coin(site!("swarm/buggify point"), n) {
            *rate = choices.log_between(site!("swarm/buggify rate"), n, 64, 32_768) as u32;
        }
    }
    (seed, rates)
}

/// The draws that leave of the swarm what `names` lists, and have that in every seed: they take
/// precedence over the seed's own. An unknown name is an error, with the names that there are.
pub fn only(names: &[&str]) -> Result<Vec<Change>, String> {
    let all =
        || Fault::ALL.iter().map(|it| it.name()).chain(Operation::ALL.iter().map(|it| it.name()));
    for &name in names {
        if !all().any(|known| known == name) {
            return Err(unknown(name, all()));
        }
    }
    let is_named = |name: &str| names.contains(&name);
    let has_control = of_controller().any(|it| is_named(it.name()));
    // Coins are drawn among a hundred: the lowest is off, the highest on.
    let coin = |site: Site, is_on: bool| {
        Change::new(site.name, What::One(0, 0), if is_on { 99 } else { 0 })
    };
    let mut draws =
        vec![coin(site!("swarm/faultless"), false), coin(site!("swarm/controlled"), has_control)];
    draws.extend(Fault::ALL.iter().map(|it| coin(it.site(), is_named(it.name()))));
    // Who names faults alone keeps what clients and servers do.
    let keeps = !Operation::ALL.iter().any(|it| is_named(it.name()));
    draws.extend(
        Operation::ALL
            .iter()
            .filter(|it| !keeps || it.actor() == Actor::Controller)
            .map(|it| coin(it.site(), is_named(it.name()))),
    );
    Ok(draws)
}

fn unknown<'a>(name: &str, all: impl Iterator<Item = &'a str> + Clone) -> String {
    let nearest = all.clone().min_by_key(|known| distance(name, known));
    let hint = match nearest.filter(|known| distance(name, known) <= 3) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("there are: {}", all.collect::<Vec<_>>().join(", ")),
    };
    format!("`{name}` is no fault and no operation; {hint}")
}

/// How many letters have to be put in, taken out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, &b) in other.iter().enumerate() {
            let replaced = corner + usize::from(a != b);
            corner = std::mem::replace(&mut row[j + 1], 0);
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

impl Cx {
    /// Whether `fault` strikes now, at the rate that `rates` gives it; marked if so.
    #[inline]
    pub fn strikes(&mut self, fault: Fault, rates: &Rates, entity: u64) -> bool {
        let rate = rates.of(fault);
        if rate == Rate::NEVER || !self.choices.chance(fault.site(), entity.wrapping_add(2), rate) {
            return false;
        }
        self.fired(fault);
        true
    }

    /// `fault` has struck.
    #[inline]
    pub fn fired(&mut self, fault: Fault) {
        self.mark(Group::Fault.at(fault as usize));
    }

    /// Whether `operation`, which the seed may use, is done now: so many percent of the time.
    #[inline]
    pub fn does(&mut self, operation: Operation, swarm: &Swarm, entity: u64, percent: u32) -> bool {
        if !swarm.uses(operation)
            || !self.choices.chance(
                operation.site(),
                entity.wrapping_add(2),
                Rate::percent(percent),
            )
        {
            return false;
        }
        self.applied(operation);
        true
    }

    /// `operation` was done.
    #[inline]
    pub fn applied(&mut self, operation: Operation) {
        self.mark(Group::Operation.at(operation as usize));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Source;

    fn draw(seed: u64) -> Swarm {
        Swarm::draw(&mut Choices::from_seed(seed), false)
    }

    fn changed(seed: u64, changes: &[Change]) -> Swarm {
        let source = Source::Changed(changes.iter().collect());
        Swarm::draw(&mut Choices::new(seed, source), false)
    }

    #[test]
    fn there_are_enough_of_both_and_each_has_a_name_of_its_own() {
        const { assert!(Fault::ALL.len() >= 24 && Fault::ALL.len() <= 64) };
        const { assert!(Operation::ALL.len() >= 20 && Operation::ALL.len() <= 64) };
        let faults = Fault::ALL.iter().map(|it| it.name());
        let mut names: Vec<_> = faults.chain(Operation::ALL.iter().map(|it| it.name())).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn coins_fall_on_both_sides_and_one_seed_in_twenty_has_no_fault() {
        let all: Vec<Swarm> = (0..4000).map(draw).collect();
        let faultless = all.iter().filter(|swarm| swarm.is_faultless).count();
        assert!((140..260).contains(&faultless), "{faultless}");
        let is_pure = |swarm: &&Swarm| swarm.faults == 0 && swarm.rates == Rates::NONE;
        assert!(all.iter().filter(|swarm| swarm.is_faultless).all(|swarm| is_pure(&swarm)));
        for &fault in Fault::ALL {
            let count = all.iter().filter(|swarm| swarm.has(fault)).count();
            assert!((600..2200).contains(&count), "{}: {count}", fault.name());
        }
        for &operation in Operation::ALL {
            let count = all.iter().filter(|swarm| swarm.uses(operation)).count();
            assert!((400..2600).contains(&count), "{}: {count}", operation.name());
        }
        // Log-uniform: half of them lie below the geometric mean.
        let rates = all.iter().map(|swarm| swarm.rates.of(Fault::Reset).0).filter(|&rate| rate > 0);
        let rates: Vec<u32> = rates.collect();
        let low = rates.iter().filter(|&&rate| rate < 2243).count() * 100 / rates.len();
        assert!((40..60).contains(&low), "{low} %");
    }

    #[test]
    fn only_what_is_named_is_on_and_always() {
        let draws = only(&["clog", "slow-head", "reload"]).expect("known names");
        for seed in 0..200 {
            let swarm = changed(seed, &draws);
            assert_eq!(swarm.faults, 1 << Fault::Clog as u64 | 1 << Fault::SlowHead as u64);
            assert_eq!(swarm.operations, 1 << Operation::Reload as u64);
            assert!(swarm.rates.of(Fault::SlowHead) != Rate::NEVER && !swarm.is_faultless);
        }
        let faults_alone = only(&["clog"]).expect("a known name");
        let all = (0..200).map(|seed| changed(seed, &faults_alone));
        let uses = all.filter(|swarm| swarm.uses(Operation::Pipeline)).count();
        assert!((20..180).contains(&uses), "clients go on as they do: {uses}");
    }

    #[test]
    fn unknown_names_are_errors_that_help() {
        let error = only(&["clogs"]).expect_err("no such name");
        assert!(error.contains("did you mean `clog`"), "{error}");
        let error = only(&["weather"]).expect_err("no such name");
        assert!(error.contains("swizzle-clog") && error.contains("reload"), "{error}");
        assert_eq!((distance("", "abc"), distance("kitten", "sitting")), (3, 3));
    }
}
