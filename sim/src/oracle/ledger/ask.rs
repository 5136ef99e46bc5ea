//! What a client asks for.

/// Methods that clients use.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`, the one that must not be repeated.
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

impl Method {
    /// As it stands in a request.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }

    /// RFC 9110, 9.2.2.
    pub fn is_idempotent(self) -> bool {
        self != Method::Post
    }
}

/// What must become of a request that is not well-formed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Flaw {
    /// For messages.
    pub name: &'static str,
    /// Statuses that may answer it.
    pub statuses: &'static [u16],
    /// Whether the head is sound, so that a backend may see the request (cut short).
    pub in_body: bool,
    /// Where it is sent, if a redirect answers it: `{scheme}` stands for the client's, `{id}` for
    /// the request's own, and `{port}` for the port that it named, if that is kept.
    pub location: Option<&'static str>,
    /// Bytes of the empty lines that stand before its method.
    pub lead: u64,
}

impl Flaw {
    /// Whether the route for `/fixed` answers it, with a status that differs from seed to seed.
    pub fn is_fixed(&self) -> bool {
        self.name == Flaw::FIXED
    }

    /// Whether it is nothing but too large (REQ-3).
    pub fn is_limit(&self) -> bool {
        self.name.ends_with("too long") || self.name.ends_with("too many")
    }

    /// The name of the one that asks for `/fixed`.
    pub const FIXED: &'static str = "a fixed answer";
}

/// What of a sound request, or of a sound response, is as large as the proxy lets pass.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Edge {
    /// The target.
    Target,
    /// The head.
    Head,
    /// The number of fields.
    Fields,
}

/// What some clients accept, and whether that prefers JSON to HTML (RFC 9110 12.5.1): by weight,
/// then by how specific the range is.
const ACCEPTS: &[(&str, bool)] = &[
    ("application/json", true),
    ("text/html, application/json;q=0.9", false),
    ("application/problem+json", true),
    ("*/*", false),
    ("text/*;q=0.5, application/json;q=0.5", true),
    ("application/json;q=0, text/html;q=0.001", false),
    ("text/html;q=0.25, application/json;q=0.3", true),
    ("text/html;q=0.8, application/json; Q=1.0", true),
    ("application/json, text/html", false),
    ("text/*;q=0.4, application/json;q=0.3, */*", false),
];

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its number, which its path carries.
    pub id: u32,
    /// Keys its draws: its client and how many requests that made before.
    pub key: u64,
    /// Its method.
    pub method: Method,
    /// HTTP minor version.
    pub minor: u8,
    /// The number of the listener that it goes to.
    pub listener: u16,
    /// Which host it names.
    pub host: u16,
    /// Bytes of its body.
    pub body: u64,
    /// Whether the body goes in chunks.
    pub is_chunked: bool,
    /// Whether it waits for 100.
    pub expects: bool,
    /// Whether the client asks to keep the connection.
    pub keeps: bool,
    /// Whether hop-by-hop fields stand in its head.
    pub has_hops: bool,
    /// The sticky cookie it carries: the cluster and the server that it names.
    pub cookie: Option<(u16, u16)>,
    /// Whether it says what only a trusted proxy may say.
    pub forwards: bool,
    /// Whether it says so in other fields besides.
    pub forwards_besides: bool,
    /// Whether it asks for WebSocket.
    pub upgrade: bool,
    /// Why it must be refused, if it must.
    pub flaw: Option<Flaw>,
}

impl Ask {
    /// What it says that it accepts, if anything, and whether that prefers JSON.
    pub fn accept(&self) -> Option<(&'static str, bool)> {
        let place = (self.key % 23).checked_sub(1).filter(|_| self.flaw.is_none())?;
        ACCEPTS.get(place as usize).copied()
    }

    /// The minor version that it says: 1.2 to 1.9 count as 1.1 (REQ-1).
    pub fn said_minor(&self) -> u8 {
        let is_later = self.minor == 1 && self.flaw.is_none() && self.key % 31 == 17;
        if is_later { 2 + (self.key / 31 % 8) as u8 } else { self.minor }
    }

    /// What of it is as large as may be, if anything.
    pub fn edge(&self) -> Option<Edge> {
        let is_plain = self.flaw.is_none() && !self.upgrade;
        match self.key % 41 {
            10 if !matches!(self.key % 7, 3 | 5 | 6) => Some(Edge::Target),
            20 => Some(Edge::Head),
            30 => Some(Edge::Fields),
            _ => None,
        }
        .filter(|_| is_plain)
    }
}
