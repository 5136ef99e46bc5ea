//! Before a connection stands: connecting, refusal, giving up.

use super::script::Side::*;
use super::script::Step::*;
use super::script::{Scenario, bare};

pub(crate) const SCENARIOS: &[Scenario] = &[
    bare(
        "a connection is writable at once on both ends, and the listener readable",
        &[
            (Listen(4), "ok"),
            (Connect(A), "ok a:w listener:r"),
            (Accept(B), "ok b:w"),
            (Probe(A), "ok"),
            (Probe(B), "ok"),
        ],
    ),
    bare(
        "a refused connect is readable, writable, closed and in error at once; send takes it",
        &[
            (Listen(4), "ok"),
            (Unlisten, "ok"),
            (Connect(A), "ok a:rwce"),
            (Send(A, 1), "refused"),
            (Send(A, 1), "reset"),
            (Recv(A, 1), "0"),
            (Recv(A, 1), "0"),
        ],
    ),
    bare(
        "a refused connect: recv takes the error, then the stream ends",
        &[
            (Listen(4), "ok"),
            (Unlisten, "ok"),
            (Connect(A), "ok a:rwce"),
            (Recv(A, 1), "refused"),
            (Recv(A, 1), "0"),
            (Recv(A, 1), "0"),
            (Send(A, 1), "reset"),
        ],
    ),
    bare(
        "a refused connect: a send of nothing takes the error",
        &[
            (Listen(4), "ok"),
            (Unlisten, "ok"),
            (Connect(A), "ok a:rwce"),
            (Probe(A), "refused"),
            (Probe(A), "reset"),
            (Recv(A, 1), "0"),
        ],
    ),
    bare(
        "a refused connect: shutting it down raises another edge, closing is quiet",
        &[
            (Listen(4), "ok"),
            (Unlisten, "ok"),
            (Connect(A), "ok a:rwce"),
            (Shutdown(A), "ok a:rwce"),
            (Recv(A, 1), "refused"),
            (Close(A), "ok"),
        ],
    ),
    bare(
        "while connecting nothing is ready, and sends and reads would block",
        &[
            (Listen(0), "ok"),
            (Connect(A), "ok a:w listener:r"),
            (Connect(C), "ok"),
            (Probe(C), "would block"),
            (Send(C, 5), "would block"),
            (Recv(C, 5), "would block"),
            (Probe(C), "would block"),
        ],
    ),
    bare(
        "giving up while connecting is never heard of",
        &[
            (Listen(0), "ok"),
            (Connect(A), "ok a:w listener:r"),
            (Connect(C), "ok"),
            (Close(C), "ok"),
            (Accept(B), "ok b:w"),
            (Accept(D), "would block"),
        ],
    ),
    bare(
        "giving up with a reset while connecting is never heard of",
        &[
            (Listen(0), "ok"),
            (Connect(A), "ok a:w listener:r"),
            (Connect(C), "ok"),
            (Reset(C), "ok"),
            (Accept(B), "ok b:w"),
            (Accept(D), "would block"),
        ],
    ),
    bare(
        "shutting down while connecting aborts the attempt",
        &[
            (Listen(0), "ok"),
            (Connect(A), "ok a:w listener:r"),
            (Connect(C), "ok"),
            (Shutdown(C), "ok c:wce"),
            (Send(C, 1), "reset"),
            (Recv(C, 1), "reset"),
            (Recv(C, 1), "reset"),
        ],
    ),
    bare(
        "shutting down while connecting aborts the attempt: recv first",
        &[
            (Listen(0), "ok"),
            (Connect(A), "ok a:w listener:r"),
            (Connect(C), "ok"),
            (Shutdown(C), "ok c:wce"),
            (Recv(C, 1), "reset"),
            (Recv(C, 1), "reset"),
            (Probe(C), "reset"),
        ],
    ),
    bare(
        "a listener that opens again on its address answers",
        &[
            (Listen(4), "ok"),
            (Unlisten, "ok"),
            (Connect(A), "ok a:rwce"),
            (Close(A), "ok"),
            (Listen(4), "ok"),
            (Connect(C), "ok c:w listener:r"),
            (Accept(D), "ok d:w"),
            (Send(C, 3), "3 d:rw"),
            (Recv(D, 9), "3"),
        ],
    ),
    bare(
        "bytes may be sent before anybody accepts",
        &[
            (Listen(4), "ok"),
            (Connect(A), "ok a:w listener:r"),
            (Send(A, 5), "5"),
            (Send(A, 5), "5"),
            (Accept(B), "ok b:rw"),
            (Recv(B, 20), "10"),
            (Recv(B, 20), "would block"),
        ],
    ),
    bare(
        "a send of nothing is no news to the peer",
        &[
            (Listen(4), "ok"),
            (Connect(A), "ok a:w listener:r"),
            (Accept(B), "ok b:w"),
            (Probe(A), "ok"),
            (Recv(B, 1), "would block"),
            (Shutdown(A), "ok a:w b:rwc"),
            (Probe(A), "reset"),
            (Probe(B), "ok"),
            (Close(A), "ok"),
            (Probe(B), "ok"),
        ],
    ),
    bare(
        "whoever shut down while connecting is not heard of, and may shut down again",
        &[
            (Listen(0), "ok"),
            (Connect(A), "ok a:w listener:r"),
            (Connect(C), "ok"),
            (Shutdown(C), "ok c:wce"),
            (Shutdown(C), "ok c:wce"),
            (Probe(C), "reset"),
            (Shutdown(C), "ok c:wc"),
            (Recv(C, 1), "reset"),
            (Accept(B), "ok b:w"),
            (Close(C), "ok"),
            (Accept(D), "would block"),
        ],
    ),
    bare(
        "a refused connect whose error was taken is in error no more",
        &[
            (Listen(4), "ok"),
            (Unlisten, "ok"),
            (Connect(A), "ok a:rwce"),
            (Probe(A), "refused"),
            (Shutdown(A), "ok a:rwc"),
            (Reset(A), "ok"),
        ],
    ),
    bare(
        "asking at once whether a connection stands",
        &[
            (Listen(4), "ok"),
            (
                Together(&[Connect(A), Probe(A)]),
                "ok, ok a:w listener:r | ok, would block a:w listener:r",
            ),
            (Probe(A), "ok"),
        ],
    )
    .in_two_ways("a peer on this machine answers before connect(2) returns, one far away does not"),
    bare(
        "connecting and being refused: asking at once",
        &[
            (Listen(4), "ok"),
            (Unlisten, "ok"),
            (Together(&[Connect(A), Probe(A)]), "ok, refused a:rwc | ok, would block a:rwce"),
            (Recv(A, 1), "0 | refused"),
        ],
    )
    .in_two_ways("a peer on this machine refuses before connect(2) returns, one far away does not"),
];
