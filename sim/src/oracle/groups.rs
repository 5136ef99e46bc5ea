//! The groups of rules, in one table: who checks what, and where.

/// What a checker watches. Printed by its [name](Group::name).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Group {
    /// Bytes: what arrives is what was sent, and nothing looks complete that is not.
    Bytes,
    /// Framing: whoever reads what was emitted reads the same, strictly or leniently.
    Framing,
    /// Matching: a response answers the head-of-line request of its own connection.
    Matching,
    /// Headers: end-to-end fields cross unchanged, hop-by-hop fields never.
    Headers,
    /// Retry: a request is repeated only where nobody can tell.
    Retry,
    /// Reuse: a backend connection is used again only when it is clean and its cluster allows it.
    Reuse,
    /// Routes: a request takes the most specific way; edits and answers are those of its route.
    Routes,
    /// Balance: only servers that may be chosen are, in fair shares, and cookies stick.
    Balance,
    /// Limits: limits of an address and of a server hold, and whoever waits is served in turn.
    Limits,
    /// Answers: the proxy's own answers have a cause, silence has one, and answers arrive.
    Answers,
    /// Timers: never early, a tick late at most, one outcome.
    Timers,
    /// Accept: whoever waits to be accepted gets what the queue promises.
    Accept,
    /// Accounting: what the core counts is the truth of the kernel, and returns to zero.
    Accounting,
    /// Progress: work is bounded, and none is forgotten.
    Progress,
    /// Tunnels: bytes pass both ways as they are, and so do ends.
    Tunnels,
    /// PROXY: a PROXY header is there where it is wanted, once and first, and believed where it may
    /// be.
    Proxy,
    /// TLS: TLS shows whom it should, tells why it ends, and lets nothing look complete that was
    /// cut.
    Tls,
    /// Reconfiguration: a request sees one version, and whatever is taken away goes in order.
    Reconfiguration,
    /// Liveness: once everything is healed everything works.
    Liveness,
    /// Metamorphic: what must not matter does not.
    Metamorphic,
    /// Panic: the core does not panic.
    Panic,
}

/// The names of all groups, in the order of the table.
pub const GROUPS: [&str; ALL.len()] = {
    let mut names = [""; ALL.len()];
    let mut at = 0;
    while at < ALL.len() {
        names[at] = ALL[at].name;
        at += 1;
    }
    names
};

/// One row of the table.
struct Entry {
    group: Group,
    name: &'static str,
    files: &'static [&'static str],
    rules: &'static [(&'static str, &'static str)],
}

impl Group {
    /// Every group, in the order of the table.
    pub fn all() -> impl Iterator<Item = Group> {
        ALL.iter().map(|entry| entry.group)
    }

    fn entry(self) -> &'static Entry {
        &ALL[self as usize]
    }

    /// As it is printed and written into cases.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The group of this name.
    pub fn named(name: &str) -> Option<Group> {
        Group::all().find(|group| group.name() == name)
    }

    /// Its checkers' files, in this directory.
    pub fn files(self) -> &'static [&'static str] {
        self.entry().files
    }

    /// The rules that it claims: the number, and what it demands of each in one sentence.
    pub fn rules(self) -> &'static [(&'static str, &'static str)] {
        self.entry().rules
    }

    /// What it demands by `rule`, if it claims that.
    pub fn says(self, rule: &str) -> Option<&'static str> {
        self.rules().iter().find(|(number, _)| *number == rule).map(|(_, says)| *says)
    }
}

const ALL: [Entry; 21] = [
    Entry {
        group: Group::Bytes,
        name: "bytes",
        files: &["bytes.rs"],
        rules: &[
            ("RES-2", "a message that was cut short is never shown as complete, to either side"),
            ("RES-3", "a response's body is byte for byte the backend's, and no longer than it"),
            ("REQ-8", "a request's body is byte for byte its client's, and no longer than it"),
        ],
    },
    Entry {
        group: Group::Framing,
        name: "framing",
        files: &["framing.rs"],
        rules: &[
            (
                "REQ-2",
                "what two servers could read in two ways never reaches one, and no emitted head has two readings or two framings",
            ),
            ("REQ-10", "requests go to backends as HTTP/1.1, and clients of it may ask again"),
            (
                "RES-1",
                "an emitted response is framed as the strict reader wants it, and 204 has no framing",
            ),
            (
                "RES-4",
                "a client of HTTP/1.0 gets no chunks, and no connection is kept behind a body whose end only closing tells",
            ),
        ],
    },
    Entry {
        group: Group::Matching,
        name: "matching",
        files: &["matching.rs"],
        rules: &[
            (
                "RES-3",
                "a response goes to the request that it answers, and to nobody who did not ask",
            ),
            ("RES-5", "behind a response that closes there is no other"),
            (
                "REQ-7",
                "interim responses are those that a backend sent, and none for a client of HTTP/1.0",
            ),
            (
                "REQ-8",
                "requests reach backends in their order, whole heads only, with their own method",
            ),
            ("BACK-3", "no request reaches a backend once its answer has begun"),
        ],
    },
    Entry {
        group: Group::Headers,
        name: "headers",
        files: &["headers.rs"],
        rules: &[
            ("REQ-4", "Host is the host that the request names, be it by its target"),
            (
                "REQ-5",
                "end-to-end fields keep order and value; hop-by-hop fields, and those that Connection names, never cross",
            ),
            (
                "REQ-6",
                "X-Forwarded-For is the client, X-Forwarded-Port the port that it reached, the other declared fields are there, what strangers say is not, and no request id comes twice",
            ),
            ("REQ-7", "Expect is forwarded exactly where it was sent"),
            ("RES-7", "the proxy's own answers have a Content-Length"),
            ("TUN-3", "an upgrade keeps the fields that ask for it, and that agree to it"),
        ],
    },
    Entry {
        group: Group::Retry,
        name: "retry",
        files: &["retry.rs", "dials.rs"],
        rules: &[
            (
                "BACK-2",
                "a request tries to connect three times at most, and its repetitions once each; not where it has failed while there is another server, and not at once where it has just failed",
            ),
            (
                "BACK-3",
                "what is not idempotent is given to one connection at most, other requests to no more than three, none after a response byte or without a failure, and who lost a used one gets a fresh one",
            ),
        ],
    },
    Entry {
        group: Group::Reuse,
        name: "reuse",
        files: &["reuse.rs"],
        rules: &[
            (
                "BACK-6",
                "the policy of the cluster, the owner and the method allow the reuse, and no more connections lie idle than may",
            ),
            (
                "BACK-7",
                "the last exchange was complete both ways, nothing came behind it, and no end or reset had been shown",
            ),
        ],
    },
    Entry {
        group: Group::Routes,
        name: "routes",
        files: &["routes.rs"],
        rules: &[
            ("ROUTE-1", "a redirect leads where its route says, and a fixed answer is its route's"),
            ("ROUTE-2", "a request goes to a cluster only if its most specific route leads there"),
            ("REQ-6", "a route's edits are made, and no others"),
        ],
    },
    Entry {
        group: Group::Balance,
        name: "balance",
        files: &["balance.rs", "sticky.rs", "dials.rs", "falls.rs", "busy.rs"],
        rules: &[
            (
                "BACK-1",
                "only members that are not drained get requests; round-robin and source keep their promise in a quiet run, least-connections in any",
            ),
            (
                "BACK-4",
                "a server that backs off is left alone while another can be used, for no longer than its doublings allow, and one request probes it then",
            ),
            (
                "BACK-8",
                "a cookie leads to its server while that can be used, is set only when it changes, and crosses no boundary",
            ),
        ],
    },
    Entry {
        group: Group::Limits,
        name: "limits",
        files: &["limits.rs"],
        rules: &[
            ("REQ-3", "nothing passes that is larger than it may be"),
            (
                "ACC-9",
                "no more connections of an address are served than may be, and whoever is refused is told when to come again",
            ),
            (
                "BACK-9",
                "a server has no more connections than it may, its line no more requests, nobody overtakes there, and nobody waits there while a server has room",
            ),
        ],
    },
    Entry {
        group: Group::Answers,
        name: "answers",
        files: &["answers.rs", "own.rs"],
        rules: &[
            (
                "REQ-9",
                "neither 502 nor another attempt takes the place of a whole answer that was there",
            ),
            ("RES-2", "a response is cut short only for a cause"),
            (
                "RES-7",
                "a status of the proxy follows from the state its request was in, who asked is answered, and in the form that is preferred",
            ),
            ("RES-8", "an answer reaches whoever still reads, be the request still on its way"),
        ],
    },
    Entry {
        group: Group::Timers,
        name: "timers",
        files: &["timers.rs"],
        rules: &[(
            "SES-3",
            "a timer fires in its time and names itself, trickled bytes do not extend a head, and no deadline lies behind",
        )],
    },
    Entry {
        group: Group::Accept,
        name: "accept",
        files: &["accept.rs"],
        rules: &[
            ("ACC-3", "the newest of the waiting is served first"),
            ("ACC-4", "nobody waits for longer than the age limit"),
            (
                "ACC-5",
                "sessions stay below their limit, and nobody is dismissed for whom there is room",
            ),
            ("ACC-6", "the queue stays below its capacity"),
            ("ACC-7", "nobody waits while a session is free"),
            ("ACC-8", "nobody is left in a backlog once a pause is over"),
            (
                "ACC-10",
                "whoever is closed to make room has been idle for longest, and nobody is idle while others wait for room",
            ),
        ],
    },
    Entry {
        group: Group::Accounting,
        name: "accounting",
        files: &["accounting.rs", "records.rs", "counters.rs"],
        rules: &[
            ("LOOP-2", "counted sockets are open sockets, and at rest nothing is left"),
            ("SES-5", "buffers lent and promised never exceed what there is"),
            ("RUN-2", "after the stop nothing is left at all"),
            (
                "RUN-5",
                "a request has one access record, which tells what was sent, counters tell what happened, and no session breaks",
            ),
        ],
    },
    Entry {
        group: Group::Progress,
        name: "progress",
        files: &["progress.rs"],
        rules: &[
            (
                "LOOP-5",
                "no turn goes on for ever, no socket is asked in vain again and again, and no wake-up is lost",
            ),
            ("REQ-9", "a body passes in bounded memory: whoever cannot pass it on stops reading"),
            ("SES-5", "of those who wait for buffers the first is served first"),
        ],
    },
    Entry {
        group: Group::Tunnels,
        name: "tunnels",
        files: &["tunnels.rs", "tunnel_ends.rs", "attempts.rs", "passage.rs"],
        rules: &[
            (
                "BACK-2",
                "a session tries three servers at most, others where there are some, and the same one after a pause",
            ),
            ("SES-3", "tunnel_idle fires in its time"),
            ("SES-4", "a tunnel through healthy peers is whole"),
            (
                "TUN-1",
                "every byte goes to the peer that it is for, few wait inside, and no client is turned away without cause",
            ),
            (
                "TUN-2",
                "an end follows the last byte, is passed on, and nothing looks whole that was cut",
            ),
            ("TUN-3", "a tunnel begins with a 101 that was asked for and sent, and not before it"),
            (
                "TLS-5",
                "connections are led by the name that their ClientHello asks for, undecrypted, and what is no ClientHello is closed",
            ),
            ("RUN-5", "a tunnel has one access record, which tells what passed"),
        ],
    },
    Entry {
        group: Group::Proxy,
        name: "PROXY",
        files: &["proxy.rs"],
        rules: &[
            (
                "PP-1",
                "headers are asked for, sent, relayed and refused as configured, and lose no byte behind them",
            ),
            ("SES-3", "proxy_header fires in its time"),
        ],
    },
    Entry {
        group: Group::Tls,
        name: "TLS",
        files: &["tls.rs", "handshakes.rs"],
        rules: &[
            ("BACK-6", "a connection is used again under the TLS settings that it was made with"),
            ("ROUTE-5", "421 is told exactly to those whose certificate does not cover the host"),
            ("TLS-1", "the certificate is that of the name, and sessions are resumed"),
            ("TLS-2", "a handshake fails for its reason, with the right alert"),
            (
                "TLS-3",
                "close_notify is sent at every orderly end, and missing where it is due it is a truncation",
            ),
            ("TLS-4", "no request goes to a server that is not who it should be"),
            ("RUN-5", "handshakes are counted and recorded as what became of them"),
        ],
    },
    Entry {
        group: Group::Reconfiguration,
        name: "reconfiguration",
        files: &["reconfiguration.rs"],
        rules: &[
            (
                "RUN-1",
                "everything that a request met belongs to one version, which was in force when it began, and the listeners that are open are those of the version in force",
            ),
            (
                "RUN-2",
                "a listener that closes has drained its backlog, nobody idles in a stop, and the stop ends in time",
            ),
            ("ROUTE-2", "a request takes the way that an operator who asks is told of"),
        ],
    },
    Entry {
        group: Group::Liveness,
        name: "liveness",
        files: &["liveness.rs"],
        rules: &[(
            "SES-4",
            "every request to a healthy cluster succeeds, and the zombie checker never has to act",
        )],
    },
    Entry {
        group: Group::Metamorphic,
        name: "metamorphic",
        files: &["metamorphic.rs"],
        rules: &[
            (
                "LOOP-5",
                "the order in which a batch of readiness is told changes nothing that a client \
                sees",
            ),
            ("REQ-1", "the segments in which bytes arrive change nothing that a client sees"),
            (
                "RUN-1",
                "a configuration that is applied again, unchanged, changes nothing that a client \
                sees",
            ),
            ("SES-3", "the wall clock changes nothing but dates, however it jumps"),
        ],
    },
    Entry {
        group: Group::Panic,
        name: "panic",
        files: &["panics.rs"],
        rules: &[("RUN-5", "whatever the peers do, no call of the core panics")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_stands_where_its_number_says() {
        for (place, group) in Group::all().enumerate() {
            assert_eq!(group as usize, place, "{group:?}");
            assert_eq!(Group::named(group.name()), Some(group));
            assert!(!group.rules().is_empty() && !group.files().is_empty(), "{group:?}");
            assert_eq!(group.says("no rule"), None);
        }
        assert_eq!(Group::named("TLS").and_then(|group| group.says("PP-1")), None);
    }
}
