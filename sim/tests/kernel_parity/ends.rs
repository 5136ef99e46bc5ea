//! How streams end: FIN before, with and after data, from one side, the other, or both.

use super::script::Side::*;
use super::script::Step::*;
use super::script::{Scenario, pair};

pub(crate) const SCENARIOS: &[Scenario] = &[
    pair(
        "bytes and their end come in one edge",
        &[(Together(&[Send(A, 5), Close(A)]), "5, ok b:rwc"), (Recv(B, 9), "5"), (Recv(B, 9), "0")],
    ),
    pair(
        "bytes and half a close come in one edge",
        &[
            (Together(&[Send(A, 5), Shutdown(A)]), "5, ok a:w b:rwc"),
            (Recv(B, 9), "5"),
            (Recv(B, 9), "0"),
        ],
    ),
    pair(
        "the end comes after the bytes were read",
        &[
            (Send(A, 5), "5 b:rw"),
            (Recv(B, 9), "5"),
            (Shutdown(A), "ok a:w b:rwc"),
            (Recv(B, 9), "0"),
        ],
    ),
    pair(
        "the end comes with bytes unread before it",
        &[
            (Send(A, 5), "5 b:rw"),
            (Shutdown(A), "ok a:w b:rwc"),
            (Recv(B, 2), "2"),
            (Recv(B, 9), "3"),
            (Recv(B, 9), "0"),
        ],
    ),
    pair(
        "the end comes before any byte",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Recv(B, 9), "0"),
            (Send(B, 3), "3 a:rw"),
            (Recv(A, 9), "3"),
        ],
    ),
    pair(
        "the end is read as often as one asks",
        &[(Close(A), "ok b:rwc"), (Recv(B, 9), "0"), (Recv(B, 9), "0"), (Recv(B, 9), "0")],
    ),
    pair(
        "one's own shutdown is an edge to oneself",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Shutdown(A), "ok a:w"),
            (Send(A, 1), "reset"),
            (Probe(A), "reset"),
            (Recv(A, 1), "would block"),
        ],
    ),
    pair(
        "half-close by the client: the server goes on, then ends",
        &[
            (Send(A, 7), "7 b:rw"),
            (Shutdown(A), "ok a:w b:rwc"),
            (Recv(B, 9), "7"),
            (Recv(B, 9), "0"),
            (Send(B, 11), "11 a:rw"),
            (Recv(A, 20), "11"),
            (Shutdown(B), "ok a:rwc b:rwc"),
            (Recv(A, 20), "0"),
            (Send(B, 1), "reset"),
            (Recv(B, 1), "0"),
        ],
    ),
    pair(
        "half-close by the server: the client goes on, then ends",
        &[
            (Shutdown(B), "ok a:rwc b:w"),
            (Send(A, 7), "7 b:rw"),
            (Recv(B, 9), "7"),
            (Recv(A, 9), "0"),
            (Shutdown(A), "ok a:rwc b:rwc"),
            (Recv(B, 9), "0"),
            (Probe(A), "reset"),
            (Probe(B), "reset"),
        ],
    ),
    pair(
        "half-close, then a full close by the same side",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Close(A), "ok"),
            (Recv(B, 1), "0"),
            (Send(B, 3), "3 b:rwce"),
            (Send(B, 3), "reset"),
        ],
    ),
    pair(
        "half-close, then a full close by the other side",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Close(B), "ok a:rwc"),
            (Recv(A, 1), "0"),
            (Send(A, 1), "reset"),
            (Close(A), "ok"),
        ],
    ),
    pair(
        "both finish at the same time",
        &[
            (Together(&[Shutdown(A), Shutdown(B)]), "ok, ok a:rwc b:rwc"),
            (Recv(A, 1), "0"),
            (Recv(B, 1), "0"),
            (Send(A, 1), "reset"),
        ],
    ),
    pair(
        "both write and finish at the same time",
        &[
            (
                Together(&[Send(A, 3), Send(B, 4), Shutdown(A), Shutdown(B)]),
                "3, 4, ok, ok a:rwc b:rwc",
            ),
            (Recv(A, 9), "4"),
            (Recv(B, 9), "3"),
            (Recv(A, 9), "0"),
            (Recv(B, 9), "0"),
        ],
    ),
    pair(
        "after a shutdown the peer's bytes can still be read",
        &[
            (Send(B, 5), "5 a:rw"),
            (Shutdown(A), "ok a:rw b:rwc"),
            (Recv(A, 9), "5"),
            (Send(B, 5), "5 a:rw"),
            (Recv(A, 2), "2"),
            (Recv(A, 9), "3"),
        ],
    ),
    pair(
        "a closed peer takes the first write and answers it by a reset",
        &[
            (Close(A), "ok b:rwc"),
            (Send(B, 3), "3 b:rwce"),
            (Send(B, 3), "reset"),
            (Send(B, 3), "reset"),
            (Recv(B, 1), "0"),
        ],
    ),
    pair(
        "a write to a closed peer, then recv: the end stays a clean one",
        &[
            (Close(A), "ok b:rwc"),
            (Send(B, 3), "3 b:rwce"),
            (Recv(B, 1), "0"),
            (Recv(B, 1), "0"),
            (Send(B, 3), "reset"),
            (Send(B, 3), "reset"),
        ],
    ),
    pair(
        "a write to a closed peer: what it said before can still be read",
        &[
            (Together(&[Send(A, 6), Close(A)]), "6, ok b:rwc"),
            (Send(B, 3), "3 b:rwce"),
            (Recv(B, 4), "4"),
            (Recv(B, 4), "2"),
            (Recv(B, 4), "0"),
            (Probe(B), "reset"),
        ],
    ),
    pair(
        "a write to a closed peer whose end was read already",
        &[
            (Close(A), "ok b:rwc"),
            (Recv(B, 1), "0"),
            (Send(B, 3), "3 b:rwce"),
            (Recv(B, 1), "0"),
            (Probe(B), "reset"),
            (Probe(B), "reset"),
        ],
    ),
    pair(
        "a send of nothing to a closed peer is well",
        &[(Close(A), "ok b:rwc"), (Probe(B), "ok"), (Recv(B, 1), "0"), (Probe(B), "ok")],
    ),
    pair(
        "closing after the peer closed is quiet",
        &[(Close(A), "ok b:rwc"), (Recv(B, 1), "0"), (Close(B), "ok")],
    ),
    pair(
        "a shutdown after the peer closed",
        &[
            (Close(A), "ok b:rwc"),
            (Shutdown(B), "ok b:rwc"),
            (Recv(B, 1), "0"),
            (Send(B, 1), "reset"),
        ],
    ),
    pair(
        "a connection that ended both ways is beyond the reach of a reset",
        &[
            (Send(B, 5), "5 a:rw"),
            (Shutdown(A), "ok a:rw b:rwc"),
            (Shutdown(B), "ok a:rwc b:rwc"),
            (Close(A), "ok"),
            (Probe(B), "reset"),
            (Recv(B, 1), "0"),
        ],
    ),
    pair(
        "the same with the passive end's bytes unread",
        &[
            (Send(A, 5), "5 b:rw"),
            (Shutdown(A), "ok a:w b:rwc"),
            (Shutdown(B), "ok a:rwc b:rwc"),
            (Close(B), "ok"),
            (Probe(A), "reset"),
            (Recv(A, 1), "0"),
        ],
    ),
    pair(
        "SO_LINGER 0 after both ways ended",
        &[
            (Shutdown(A), "ok a:w b:rwc"),
            (Shutdown(B), "ok a:rwc b:rwc"),
            (Reset(A), "ok"),
            (Recv(B, 1), "0"),
            (Send(B, 1), "reset"),
        ],
    ),
    pair(
        "unread bytes behind half a close reset on close",
        &[
            (Shutdown(B), "ok a:rwc b:w"),
            (Send(A, 5), "5 b:rw"),
            (Close(B), "ok a:rwce"),
            (Recv(A, 1), "0"),
            (Recv(A, 1), "0"),
            (Send(A, 1), "reset"),
            (Send(A, 1), "reset"),
        ],
    ),
    pair(
        "bytes that were unread when both ways ended can still be read",
        &[
            (Send(A, 5), "5 b:rw"),
            (Shutdown(A), "ok a:w b:rwc"),
            (Shutdown(B), "ok a:rwc b:rwc"),
            (Recv(B, 9), "5"),
            (Recv(B, 9), "0"),
            (Shutdown(B), "ok b:rwc"),
            (Shutdown(A), "ok a:rwc"),
        ],
    ),
    pair(
        "closed by one, finished and reset by the other: quiet",
        &[(Close(A), "ok b:rwc"), (Shutdown(B), "ok b:rwc"), (Reset(B), "ok")],
    ),
    pair(
        "two writes to a closed peer in one go",
        &[
            (Close(A), "ok b:rwc"),
            (Together(&[Send(B, 3), Send(B, 3)]), "3, reset b:rwc | 3, 3 b:rwce"),
            (Send(B, 3), "reset"),
            (Recv(B, 1), "0"),
        ],
    )
    .in_two_ways("the reset that the first write earns is back before the second, or is not"),
    pair(
        "a write that meets a close on its way",
        &[
            (Together(&[Send(A, 5), Close(B)]), "5, ok a:rwce"),
            (Recv(A, 1), "reset | 0"),
            (Recv(A, 1), "0"),
        ],
    )
    .in_two_ways(
        "the bytes arrive before the close, which then resets, or after its FIN, and are reset",
    ),
    pair(
        "a close that meets a write on its way",
        &[
            (Together(&[Close(B), Send(A, 5)]), "ok, 5 a:rwce"),
            (Recv(A, 1), "0"),
            (Probe(A), "reset"),
            (Probe(A), "reset"),
        ],
    ),
    pair(
        "a finished stream and a write that meet on their way",
        &[
            (Together(&[Shutdown(A), Send(B, 5), Shutdown(B)]), "ok, 5, ok a:rwc b:rwc"),
            (Recv(A, 9), "5"),
            (Recv(A, 9), "0"),
            (Recv(B, 1), "0"),
        ],
    ),
];
