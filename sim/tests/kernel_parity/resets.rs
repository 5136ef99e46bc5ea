//! Resets: before, with and after bytes and FIN, and who is told of them first.

use super::script::Side::*;
use super::script::Step::*;
use super::script::{Scenario, pair};

pub(crate) const SCENARIOS: &[Scenario] = &[
    pair(
        "a reset: recv takes the error, then the stream ends, then the pipe is broken",
        &[(Reset(A), "ok b:rwce"), (Recv(B, 1), "reset"), (Recv(B, 1), "0"), (Send(B, 1), "reset")],
    ),
    pair(
        "a send that runs first after a reset eats the error, and recv ends cleanly",
        &[
            (Reset(A), "ok b:rwce"),
            (Send(B, 1), "reset"),
            (Recv(B, 1), "0"),
            (Recv(B, 1), "0"),
            (Send(B, 1), "reset"),
        ],
    ),
    pair(
        "a send of nothing after a reset eats the error as well",
        &[(Reset(A), "ok b:rwce"), (Probe(B), "reset"), (Recv(B, 1), "0"), (Probe(B), "reset")],
    ),
    pair(
        "bytes before a reset can be read, then comes the error",
        &[
            (Together(&[Send(A, 5), Reset(A)]), "5, ok b:rwce"),
            (Recv(B, 3), "3"),
            (Recv(B, 3), "2"),
            (Recv(B, 3), "reset"),
            (Recv(B, 3), "0"),
        ],
    ),
    pair(
        "bytes before a reset can be read after a send took the error",
        &[
            (Send(A, 5), "5 b:rw"),
            (Reset(A), "ok b:rwce"),
            (Send(B, 1), "reset"),
            (Recv(B, 3), "3"),
            (Recv(B, 3), "2"),
            (Recv(B, 3), "0"),
        ],
    ),
    pair(
        "closing with unread bytes resets",
        &[
            (Send(A, 5), "5 b:rw"),
            (Close(B), "ok a:rwce"),
            (Recv(A, 1), "reset"),
            (Recv(A, 1), "0"),
        ],
    ),
    pair(
        "closing with some bytes read and others not resets",
        &[
            (Send(A, 5), "5 b:rw"),
            (Recv(B, 4), "4"),
            (Close(B), "ok a:rwce"),
            (Recv(A, 1), "reset"),
        ],
    ),
    pair(
        "closing with unread bytes after writing: the answer can be read, then the error",
        &[
            (Send(A, 5), "5 b:rw"),
            (Send(B, 4), "4 a:rw"),
            (Close(B), "ok a:rwce"),
            (Recv(A, 9), "4"),
            (Recv(A, 9), "reset"),
            (Recv(A, 9), "0"),
        ],
    ),
    pair(
        "closing with unread bytes and an unread end resets",
        &[
            (Together(&[Send(A, 5), Shutdown(A)]), "5, ok a:w b:rwc"),
            (Close(B), "ok a:rwce"),
            (Recv(A, 9), "reset"),
            (Recv(A, 9), "0"),
        ],
    ),
    pair(
        "closing with an unread end but no bytes does not reset",
        &[(Shutdown(A), "ok a:w b:rwc"), (Close(B), "ok a:rwc"), (Recv(A, 9), "0")],
    ),
    pair(
        "a reset after a FIN: the end stays clean, and the error is left for a send",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Reset(A), "ok b:rwce"),
            (Recv(B, 1), "0"),
            (Recv(B, 1), "0"),
            (Send(B, 1), "reset"),
            (Send(B, 1), "reset"),
        ],
    ),
    pair(
        "a reset after a FIN whose end was read",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Recv(B, 1), "0"),
            (Reset(A), "ok b:rwce"),
            (Recv(B, 1), "0"),
            (Probe(B), "reset"),
            (Probe(B), "reset"),
        ],
    ),
    pair(
        "a reset after bytes and a FIN, all unread",
        &[
            (Together(&[Send(A, 5), Shutdown(A)]), "5, ok a:w b:rwc"),
            (Reset(A), "ok b:rwce"),
            (Recv(B, 9), "5"),
            (Recv(B, 9), "0"),
            (Probe(B), "reset"),
            (Probe(B), "reset"),
        ],
    ),
    pair(
        "a reset of half a connection",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Reset(B), "ok a:rwce"),
            (Recv(A, 1), "reset"),
            (Recv(A, 1), "0"),
            (Send(A, 1), "reset"),
        ],
    ),
    pair(
        "a reset of half a connection: a send takes the error even so",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Reset(B), "ok a:rwce"),
            (Send(A, 1), "reset"),
            (Recv(A, 1), "0"),
        ],
    ),
    pair(
        "a shutdown after a reset is an edge, and takes no error",
        &[
            (Reset(A), "ok b:rwce"),
            (Shutdown(B), "ok b:rwce"),
            (Recv(B, 1), "reset"),
            (Recv(B, 1), "0"),
        ],
    ),
    pair("both reset at the same time", &[(Together(&[Reset(A), Reset(B)]), "ok, ok")]),
    pair(
        "a reset against a reset: closing a socket that was reset is quiet",
        &[(Reset(A), "ok b:rwce"), (Reset(B), "ok")],
    ),
    pair(
        "a reset is told once",
        &[(Reset(A), "ok b:rwce"), (Recv(B, 0), "reset"), (Recv(B, 1), "0"), (Probe(B), "reset")],
    ),
    pair(
        "a peer that died with bytes of ours unread: two writes, one error",
        &[
            (Send(A, 5), "5 b:rw"),
            (Send(A, 5), "5 b:rw"),
            (Close(B), "ok a:rwce"),
            (Send(A, 5), "reset"),
            (Send(A, 5), "reset"),
            (Recv(A, 5), "0"),
        ],
    ),
    pair(
        "an error that recv took is gone from the next edge",
        &[(Reset(A), "ok b:rwce"), (Recv(B, 1), "reset"), (Shutdown(B), "ok b:rwc")],
    ),
    pair(
        "an error that a FIN hid from recv is in the next edge still",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Reset(A), "ok b:rwce"),
            (Recv(B, 1), "0"),
            (Shutdown(B), "ok b:rwce"),
            (Probe(B), "reset"),
            (Shutdown(B), "ok b:rwc"),
        ],
    ),
    pair(
        "an error behind unread bytes is in the next edge still",
        &[
            (Send(A, 5), "5 b:rw"),
            (Reset(A), "ok b:rwce"),
            (Recv(B, 2), "2"),
            (Shutdown(B), "ok b:rwce"),
            (Recv(B, 9), "3"),
            (Recv(B, 9), "reset"),
            (Shutdown(B), "ok b:rwc"),
        ],
    ),
    pair(
        "a reset that meets a write on its way",
        &[
            (Together(&[Reset(A), Send(B, 3)]), "ok, reset b:rwc | ok, 3 b:rwce"),
            (Recv(B, 1), "0 | reset"),
            (Recv(B, 1), "0"),
            (Send(B, 1), "reset"),
        ],
    )
    .in_two_ways("the reset arrives before the write, which takes its error, or after it"),
    pair(
        "a write and a reset that follows it meet a write on their way",
        &[
            (Together(&[Send(A, 4), Reset(A), Send(B, 3)]), "4, ok, reset b:rwc | 4, ok, 3 b:rwce"),
            (Recv(B, 9), "4"),
            (Recv(B, 1), "0 | reset"),
            (Recv(B, 1), "0"),
            (Send(B, 1), "reset"),
        ],
    )
    .in_two_ways("the reset arrives before the write, which takes its error, or after it"),
];
