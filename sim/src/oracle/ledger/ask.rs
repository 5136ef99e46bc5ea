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
}

impl Flaw {
    /// Whether the route for `/fixed` answers it, with a status that differs from seed to seed.
    pub fn is_fixed(&self) -> bool {
        self.name == Flaw::FIXED
    }

    /// The name of the one that asks for `/fixed`.
    pub const FIXED: &'static str = "a fixed answer";
}

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
