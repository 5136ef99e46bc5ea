//! The vocabulary of configuration errors: where and what.

use crate::config::Network;
use crate::input::Address;
use std::time::Duration;

/// Which part of a [`crate::config::Config`] or [`crate::config::Settings`] is at fault, so that
/// its author can be shown the line.
///
/// Keys are spelled as the configuration file spells them: a dot for a key inside a table
/// (`limits.head`), a timeout by its bare name, and empty for the entry as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A top-level key.
    Top(&'static str),
    /// A key of the listener at this index.
    Listener(usize, &'static str),
    /// A key of the cluster at this index.
    Cluster(usize, &'static str),
    /// A key of the server at (cluster, server).
    Server(usize, usize, &'static str),
    /// A key of the route at this index.
    Route(usize, &'static str),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A name or id is not 1 to 64 letters, digits, `_`, `.` and `-`.
    BadName {
        /// The name.
        name: Box<str>,
    },
    /// A listener or cluster has the name of an earlier one.
    DuplicateName {
        /// The name.
        name: Box<str>,
        /// Index of the first entry with it.
        first: usize,
    },
    /// There are more entries of this kind than the core can number.
    TooMany {
        /// As many as there may be.
        max: usize,
    },
    /// A number lies outside its range.
    OutOfRange {
        /// The number.
        value: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// A duration is zero.
    ZeroDuration,
    /// A timeout is overridden where it does not apply.
    TimeoutNotHere {
        /// Its name.
        timeout: &'static str,
        /// Those that can be set here.
        applicable: &'static [&'static str],
    },
    /// An address cannot be listened on or connected to.
    BadAddress {
        /// The address.
        address: Address,
        /// What it should be like.
        why: &'static str,
    },
    /// A listener binds no address.
    NoBind,
    /// An address is bound twice.
    DuplicateBind {
        /// The address.
        address: Address,
        /// Index of the first listener that binds it.
        first: usize,
    },
    /// A network's prefix is longer than its address, or it is an IPv4-mapped IPv6 network.
    BadNetwork {
        /// The network.
        network: Network,
    },
    /// `sticky_secret` is empty.
    EmptySecret,
    /// A server has the id of an earlier one in its cluster.
    DuplicateId {
        /// The id.
        id: Box<str>,
        /// Index of the first server with it.
        first: usize,
    },
    /// A server has the address of an earlier one in its cluster.
    DuplicateServer {
        /// The address.
        address: Address,
        /// Index of the first server with it.
        first: usize,
    },
    /// A sticky cookie's name is not a token (RFC 6265 4.1.1) of at most 64 bytes.
    BadCookieName {
        /// The name.
        name: Box<str>,
    },
    /// Two clusters use one cookie, so that each would overwrite the other's (BACK-8).
    DuplicateCookie {
        /// The cookie's name.
        name: Box<str>,
        /// Index of the first cluster that uses it.
        first: usize,
    },
    /// A sticky cluster has a server without an id, and there is no `sticky_secret` (BACK-8).
    NothingToStickBy {
        /// The first such server's address.
        address: Address,
        /// How many there are.
        servers: usize,
    },
    /// The longest back-off is shorter than the first.
    BackoffOrder {
        /// The first.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A route leads to a cluster that does not exist.
    UnknownCluster {
        /// The name that no cluster has.
        name: Box<str>,
    },
    /// A route is bound to a listener that does not exist.
    UnknownListener {
        /// The name that no listener has.
        name: Box<str>,
    },
    /// A TCP listener leads nowhere.
    NowhereToGo,
    /// A key that only HTTP listeners have stands on one for TCP, where it would do nothing.
    HttpOnly {
        /// The key.
        key: &'static str,
    },
    /// A TCP listener both terminates TLS and looks into ClientHellos to pass it through.
    TlsTwice,
    /// A name leads to two clusters on one listener.
    DuplicateSni {
        /// The pattern's name.
        name: Box<str>,
    },
    /// `proxy_protocol_from` without a PROXY header to believe.
    FromWithoutHeader,
    /// A route is bound to a TCP listener, which has no requests.
    RouteOnTcp {
        /// The listener's name.
        name: Box<str>,
    },
    /// A server of a cluster with TLS has no name that its certificate could be checked for.
    NoTlsName {
        /// The server's address.
        address: Address,
    },
    /// A host pattern can match no request, or a redirect's host is none.
    BadHost {
        /// The host, without `*.`.
        host: Box<str>,
        /// What it should be like.
        why: &'static str,
    },
    /// A path rule can match no request, or a redirect's path is none.
    BadPath {
        /// The path.
        path: Box<str>,
        /// What it should be like.
        why: &'static str,
    },
    /// A regular expression does not compile, or grows too large.
    BadRegex {
        /// What the compiler says; several lines.
        message: Box<str>,
    },
    /// A method is not a token (RFC 9110 9.1) of at most 64 bytes.
    BadMethod {
        /// The method.
        method: Box<str>,
    },
    /// A method is a standard one in the wrong case; methods are case-sensitive.
    MethodCase {
        /// The method.
        method: Box<str>,
        /// What was meant.
        standard: &'static str,
    },
    /// A status cannot be used here.
    BadStatus {
        /// The status.
        status: u16,
        /// Those that can.
        allowed: &'static [u16],
    },
    /// A redirect's scheme is neither `http` nor `https`.
    BadScheme {
        /// The scheme.
        scheme: Box<str>,
    },
    /// A redirect replaces nothing: it would lead back to itself.
    RedirectToItself,
    /// An answer's body is too long.
    BodyTooLong {
        /// Its bytes.
        bytes: usize,
        /// As many as it may have.
        max: usize,
    },
    /// A response of this status has no body (RFC 9110 6.4.1).
    BodyNotAllowed {
        /// The status.
        status: u16,
    },
    /// A content type is empty, longer than 256 bytes, or no field value.
    BadContentType {
        /// The value.
        value: Box<str>,
    },
    /// A field's name is not a token (RFC 9110 5.1) of at most 64 bytes.
    BadFieldName {
        /// The name.
        name: Box<str>,
    },
    /// A field's value holds control characters or white space at its ends (RFC 9110 5.5).
    BadFieldValue {
        /// The field's name.
        name: Box<str>,
    },
    /// A field is the proxy's own business: framing, hop-by-hop (REQ-5), or written by it (REQ-6).
    ReservedField {
        /// The field's name.
        name: Box<str>,
    },
    /// A field is named twice; names are compared case-insensitively.
    DuplicateField {
        /// The field's name.
        name: Box<str>,
    },
    /// The fields set on requests are too long together.
    FieldsTooLong {
        /// Their bytes, separators included.
        bytes: usize,
        /// As many as they may have.
        max: usize,
    },
    /// A route matches the very requests of an earlier one, and neither is more specific (ROUTE-2).
    TiedRoutes {
        /// Index of the earlier route.
        with: usize,
    },
}

/// One reason why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}
