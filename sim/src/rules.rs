//! What each rule that a checker can name says, in a sentence or two.

/// The rules, by number.
pub const RULES: &[(&str, &str)] = &[
    (
        "LOOP-2",
        "Every socket, buffer, timer and count of a session is released exactly once, when \
        the session ends.",
    ),
    (
        "LOOP-5",
        "Work ends when nothing more can be done or the turn's budget is used up. No step \
        repeats without consuming bytes, time or an event, and nothing that could go on is left \
        lying.",
    ),
    ("ACC-3", "Of the sockets that wait for a session, the newest gets one first."),
    ("ACC-4", "A socket that has waited for a session longer than the limit is closed."),
    (
        "ACC-5",
        "There are never more sessions than `max_connections`; until one ends, sockets wait \
        in the queue, and none is lost for which the queue has room.",
    ),
    ("ACC-6", "When the queue is full, accepting goes on and each newcomer is closed at once."),
    ("ACC-7", "When a session ends, the queue is served in the same turn."),
    (
        "ACC-8",
        "An error of one connection costs that connection alone; when resources run out, \
        listeners pause and come back by themselves.",
    ),
    (
        "ACC-9",
        "No address has more sessions than the limit for one address; whoever is over it is \
        told 429, or closed.",
    ),
    (
        "ACC-10",
        "Where idle connections are closed to make room, the one that has been idle for longest goes \
         first, and nobody who is being served.",
    ),
    (
        "SES-3",
        "A timer fires in the first turn at or past its deadline, never early, and has one \
        outcome. An idle timer runs only while the proxy waits for that very peer.",
    ),
    (
        "SES-4",
        "No session is left without a timer or work: the zombie checker finds nothing, and \
        whatever is healthy again is served again.",
    ),
    (
        "SES-5",
        "An idle connection holds no buffer, and sessions that wait for one are served in \
        turn.",
    ),
    (
        "REQ-1",
        "However bytes are split into reads, the same request is seen, and the same answer \
        given.",
    ),
    (
        "REQ-2",
        "What two servers could read in two ways is refused, and no byte of it reaches a \
        backend.",
    ),
    (
        "REQ-3",
        "A head, a target, the fields, a body, a chunk's line and the trailers have limits: what is \
         larger is refused, what is exactly as large passes.",
    ),
    ("REQ-4", "The authority of an absolute target replaces Host; CONNECT is not served."),
    (
        "REQ-5",
        "Hop-by-hop fields, and those that Connection names, never cross the proxy; all \
        others keep their order and value.",
    ),
    ("REQ-6", "Forwarding fields are added, and what a client claims in them is not believed."),
    (
        "REQ-7",
        "Expect and interim responses pass through, to those who can read them; 101 only to \
        those who asked for it.",
    ),
    (
        "REQ-8",
        "Pipelined requests are answered in order, and no request's bytes run into \
        another's.",
    ),
    ("REQ-9", "A body streams in bounded memory, and whoever is slow slows its source."),
    ("REQ-10", "A connection is kept where HTTP says so, and only there."),
    (
        "ROUTE-1",
        "A route leads to a cluster, redirects elsewhere or answers by itself, as it is written.",
    ),
    (
        "ROUTE-2",
        "The most specific route wins, whatever the order of the file, and an operator who asks \
        is told of that one.",
    ),
    ("ROUTE-5", "A host that the served certificate does not cover is told 421."),
    (
        "RES-1",
        "What a backend sends is framed as strictly as a request; a bad head becomes a 502. \
        HEAD, 1xx, 204 and 304 have no body.",
    ),
    (
        "RES-2",
        "A response that was cut short is never passed off as complete, and nothing is \
        invented.",
    ),
    (
        "RES-3",
        "A response goes whole and in order to the client whose request it answers, and to \
        nobody else.",
    ),
    (
        "RES-4",
        "A body that ends with its connection reaches HTTP/1.1 clients in chunks, and \
        HTTP/1.0 clients without.",
    ),
    ("RES-5", "After a complete response the session waits for the next request, or ends."),
    (
        "RES-7",
        "The proxy answers by itself only where it has cause to, with the status of the state \
        it was in, and never in the middle of a response.",
    ),
    (
        "RES-8",
        "After an answer to a request that was not wholly read, the proxy finishes writing, \
        reads on for a while and closes, so that no reset destroys the answer.",
    ),
    ("BACK-1", "Only usable backends are chosen, each as often as the balancing says."),
    (
        "BACK-2",
        "A request has three attempts to connect, each at another backend where there is \
        one; then it is told 503.",
    ),
    (
        "BACK-3",
        "A request is sent again only where that is safe: never a non-idempotent one of \
        which a byte was given away, and never after a byte of a response.",
    ),
    (
        "BACK-4",
        "A backend that failed often enough is left alone for a while, and that while \
        ends.",
    ),
    (
        "BACK-6",
        "A connection is lent on only within its cluster, backend and identity, and only \
        while it is open and silent.",
    ),
    (
        "BACK-7",
        "A connection is used again only after an exchange that was complete both ways, \
        with nothing behind it.",
    ),
    (
        "BACK-8",
        "A cookie leads to the backend that it names, in its own cluster and no other, and \
        never reaches a backend.",
    ),
    ("BACK-9", "No backend has more connections than its limit; requests wait in a bounded line."),
    ("RUN-1", "A request sees one version of the configuration, and a change applies whole."),
    ("RUN-2", "A graceful stop answers what was begun, and ends by the drain deadline."),
    (
        "RUN-5",
        "The proxy does not panic, keeps its own books straight, and leaves one record for \
        each request.",
    ),
    ("TUN-1", "A tunnel forwards bytes unchanged both ways, in bounded memory."),
    (
        "TUN-2",
        "The end of one way follows its last byte, and the other way stays open; no byte \
        that was read is lost.",
    ),
    (
        "TUN-3",
        "A session becomes a tunnel after the backend's 101, and bytes sent right behind the \
        request or the 101 are kept.",
    ),
    (
        "PP-1",
        "PROXY headers are read where expected, from those who may send them, and sent and \
        relayed exactly once, with no byte behind them lost.",
    ),
    (
        "TLS-1",
        "TLS is terminated with the certificate for the name that was asked for, by the \
        configured versions, and resumed where it can be.",
    ),
    (
        "TLS-2",
        "A handshake that fails ends in the right alert and is counted; plain text on a TLS \
        port is answered in plain text.",
    ),
    (
        "TLS-3",
        "The end of a TLS stream is said, and a peer that does not say its own is taken for \
        cut off wherever the end of a body depends on it.",
    ),
    ("TLS-4", "TLS to backends is verified: nothing is said to one that cannot show who it is."),
    (
        "TLS-5",
        "A TCP listener leads by the name in a ClientHello, which it passes on undecrypted, and \
        closes what is none.",
    ),
    (
        "BOTH-CIPHERS",
        "With the stand-in cipher and the real one a seed is the same run, but for the bytes of \
        the ciphertext.",
    ),
    (
        "RECORDED",
        "A recorder changes nothing of a run, and every session that it holds and that can be \
        played back comes out as it was.",
    ),
    ("SAME-SEED", "The same seed is the same run, event by event, in any process."),
];

/// What `rule` says, if it is known.
pub fn text(rule: &str) -> Option<&'static str> {
    RULES.iter().find(|(number, _)| *number == rule).map(|(_, text)| *text)
}
