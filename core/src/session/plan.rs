//! What a complete request head asks for, decided in one pass over its bytes: where it goes, what
//! is sent on, what is remembered.

use super::{Facts, SessionId};
use crate::config::{Redirect, Target};
use crate::event::AccessRecord;
use crate::flight::{Flight, Verdict};
use crate::http1::{
    self, Forwarding, Framing, Refusal, Request, Scheme, field_space, is_idempotent,
};
use crate::time::Time;
use crate::tls::Tls;
use crate::version::Version;
use std::net::SocketAddr;

/// Where a request goes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Destination {
    /// Cluster number so-and-so; its rewritten head is in the output.
    Cluster(u32),
    /// The redirect of this route; its Location is in the output.
    Redirect,
    /// The fixed answer of this route.
    Fixed,
    /// The certificate that the client was shown is not valid for this host (ROUTE-5).
    Misdirected,
    /// No route (ROUTE-4).
    Nowhere,
}

/// What became of a request head.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) facts: Facts,
    pub(crate) framing: Framing,
    pub(crate) destination: Destination,
    /// Server that the sticky cookie names, as an index into the cluster.
    pub(crate) stuck_to: Option<u16>,
}

/// What a plan needs to know besides the head.
pub(crate) struct Context<'a> {
    pub(crate) version: &'a Version,
    /// Index of the session's listener in that version.
    pub(crate) listener: Option<usize>,
    pub(crate) port: u16,
    pub(crate) client: Option<SocketAddr>,
    /// The client's TLS, if there is any.
    pub(crate) tls: Option<&'a Tls>,
    /// The recorder, if there is one, and what it is told by: the time and the session.
    pub(crate) flight: Option<(&'a mut Flight, Time, SessionId)>,
    pub(crate) request_id: u128,
    /// Reused for a path that had to be normalised.
    pub(crate) path: &'a mut Vec<u8>,
}

/// Plans the request with the complete head `head`. Its rewritten head, or the Location of its
/// redirect, is written to `out`; what the log tells of it, to `record`.
pub(crate) fn plan(
    head: &[u8],
    context: &mut Context<'_>,
    out: &mut Vec<u8>,
    record: &mut AccessRecord,
) -> Result<Plan, Refusal> {
    let version = context.version;
    let mut fields = field_space();
    let request = http1::parse_request(head, &mut fields, &version.config.limits)?;
    let mut host = [0; 256];
    let host = http1::canonical_host(request.authority, &mut host);
    record.method.set(request.method);
    record.host.set(host);
    record.path.set(request.target);
    record.minor = request.minor;
    let facts = Facts {
        head_only: request.is_head(),
        idempotent: is_idempotent(request.method),
        minor: request.minor.min(1),
        persistent: request.persistent,
        upgrade: request.upgrade,
        expects_continue: request.expects_continue,
        accepts_json: request.accepts_json,
    };
    let mut plan =
        Plan { facts, framing: request.framing, destination: Destination::Nowhere, stuck_to: None };
    if !host.is_empty() && !context.is_covered(host) {
        plan.destination = Destination::Misdirected;
        return Ok(plan);
    }
    // A listener that is gone matches no route that is bound to one.
    let listener = context.listener.map_or(u16::MAX, |index| index as u16);
    let found = version.router.lookup(listener, host, request.path(), request.method, context.path);
    record.route = found.map(|index| index as u32);
    let Some(route) = found.map(|index| &version.config.routes[index]) else { return Ok(plan) };
    out.clear();
    match &route.to {
        Target::Cluster(_) => {
            let index = version.clusters_of_routes[found.expect("a route was found")];
            plan.destination = Destination::Cluster(index);
            plan.stuck_to = stuck_to(&request, version, index);
            let forwarding = forwarding(context, index, &route.set_request_headers);
            // The log shows the id that is sent on, where it has the form of one.
            if let Some(id) = http1::trusted_request_id(&request, forwarding.trusted)
                && let Some(id) = http1::parse_request_id(id)
            {
                record.request_id = id;
            }
            http1::write_request(out, &request, &forwarding);
        }
        Target::Redirect(redirect) => {
            write_location(out, redirect, &request, context.scheme());
            plan.destination = Destination::Redirect;
        }
        Target::Answer(_) => plan.destination = Destination::Fixed,
    }
    Ok(plan)
}

impl Context<'_> {
    /// Whether the certificate that the client was shown is good for `host`; there may be none.
    fn is_covered(&mut self, host: &[u8]) -> bool {
        let Some(tls) = self.tls else { return true };
        let live = tls.covers(host);
        let Some((flight, now, id)) = &mut self.flight else { return live };
        flight.settle_on(*now, *id, Verdict::Covers, u64::from(live)) != 0
    }

    fn scheme(&self) -> Scheme {
        if self.tls.is_some() { Scheme::Https } else { Scheme::Http }
    }
}

fn write_location(
    out: &mut Vec<u8>,
    redirect: &Redirect,
    request: &Request<'_, '_>,
    scheme: Scheme,
) {
    http1::write_location(out, redirect, scheme, request.authority, request.path_and_query);
}

/// The index of the server that the request's sticky cookie names, if there is one (BACK-8).
fn stuck_to(request: &Request<'_, '_>, version: &Version, cluster: u32) -> Option<u16> {
    let name = version.config.clusters[cluster as usize].sticky.as_deref()?;
    let value = request.cookie(name.as_bytes())?;
    let servers = &version.clusters[cluster as usize].sticky;
    let at = servers.iter().position(|server| server.value.as_bytes() == value)?;
    Some(at as u16)
}

fn forwarding<'a>(
    context: &Context<'a>,
    cluster: u32,
    set: &'a [(Box<str>, Box<str>)],
) -> Forwarding<'a> {
    let config = &context.version.config;
    let client = context.client.map(|addr| addr.ip());
    Forwarding {
        client,
        trusted: client
            .is_some_and(|ip| config.trusted_proxies.iter().any(|network| network.contains(ip))),
        scheme: context.scheme(),
        port: context.port,
        request_id: context.request_id,
        add_forwarded: config.forwarded,
        set,
        strip_cookie: config.clusters[cluster as usize].sticky.as_deref().map(str::as_bytes),
    }
}
