//! The families, each with its name.

use crate::choice::Site;

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

            /// Where its coin, its rate and its times are drawn.
            pub const fn site(self) -> Site {
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

            /// Where its coin and its times are drawn.
            pub const fn site(self) -> Site {
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
    SlowRead = "slow-read", Kind::Rate(50);
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
