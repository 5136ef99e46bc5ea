//! How bytes flow: edges of data, full pipes, closed windows and their opening.

use super::script::Side::*;
use super::script::Step::*;
use super::script::{Scenario, pair, pipe};

pub(crate) const SCENARIOS: &[Scenario] = &[
    pair(
        "bytes come in one edge, readable and writable, and are read in parts",
        &[
            (Send(A, 10), "10 b:rw"),
            (Recv(B, 4), "4"),
            (Recv(B, 4), "4"),
            (Recv(B, 4), "2"),
            (Recv(B, 4), "would block"),
        ],
    ),
    pair(
        "a new segment is an edge even though the first was never read",
        &[(Send(A, 10), "10 b:rw"), (Send(A, 10), "10 b:rw"), (Recv(B, 99), "20")],
    ),
    pair(
        "a new segment raises writability again, though nothing was blocked",
        &[
            (Send(B, 1), "1 a:rw"),
            (Send(B, 1), "1 a:rw"),
            (Recv(A, 9), "2"),
            (Send(B, 1), "1 a:rw"),
        ],
    ),
    pair(
        "writes of one moment come as one edge",
        &[(Together(&[Send(A, 3), Send(A, 3), Send(A, 3)]), "3, 3, 3 b:rw"), (Recv(B, 99), "9")],
    ),
    pair(
        "both directions are apart",
        &[
            (Send(A, 3), "3 b:rw"),
            (Send(B, 4), "4 a:rw"),
            (Recv(A, 9), "4"),
            (Recv(B, 9), "3"),
            (Recv(A, 9), "would block"),
            (Recv(B, 9), "would block"),
        ],
    ),
    pair(
        "reading nothing would block, and raises no edge",
        &[(Recv(A, 1), "would block"), (Recv(B, 1), "would block"), (Recv(A, 1), "would block")],
    ),
    pair(
        "reading is no edge to anybody",
        &[(Send(A, 1000), "1000 b:rw"), (Recv(B, 500), "500"), (Recv(B, 500), "500")],
    ),
    pair(
        "a read of no bytes",
        &[
            (Recv(B, 0), "would block"),
            (Send(A, 3), "3 b:rw"),
            (Recv(B, 0), "0"),
            (Recv(B, 3), "3"),
        ],
    ),
    pipe(
        "a full pipe blocks, and all of it arrives",
        &[
            (Fill(A), "would block b:rw"),
            (Send(A, 1), "would block"),
            (Drain(B), "all, would block a:w"),
            (Send(A, 1), "1 b:rw"),
        ],
    ),
    pipe(
        "the writable edge waits until about a sixth of a full pipe has drained",
        &[(Fill(A), "would block b:rw"), (Trickle(B), "about a sixth a:w")],
    ),
    pipe(
        "a hundredth of a full pipe is not enough for an edge",
        &[(Fill(A), "would block b:rw"), (Gulp(B, 1), "all")],
    ),
    pipe(
        "three quarters of a full pipe are enough",
        &[(Fill(A), "would block b:rw"), (Gulp(B, 30), "all a:w b:rw"), (Gulp(B, 30), "all")],
    ),
    pipe(
        "a closed window holds bytes and end back until it opens",
        &[
            (Fill(A), "would block b:rw"),
            (Shutdown(A), "ok a:w"),
            (Recv(B, 100), "100"),
            (Drain(B), "all, the end a:w"),
        ],
    ),
    pipe(
        "closing behind a full pipe loses nothing",
        &[(Fill(A), "would block b:rw"), (Close(A), "ok"), (Drain(B), "all, the end")],
    ),
    pipe(
        "a reset behind a full pipe loses what the window held back",
        &[
            (Fill(A), "would block b:rw"),
            (Reset(A), "ok b:rwce"),
            (Drain(B), "not all, reset"),
            (Recv(B, 1), "0"),
        ],
    ),
    pipe(
        "a full pipe one way lets the other way flow",
        &[
            (Fill(A), "would block b:rw"),
            (Send(B, 10), "10 a:r"),
            (Recv(A, 20), "10"),
            (Send(B, 10), "10 a:r"),
            (Shutdown(B), "ok a:rc b:rw"),
            (Recv(A, 20), "10"),
            (Recv(A, 20), "0"),
        ],
    ),
    pipe(
        "both ways full, then both drained",
        &[
            (Fill(A), "would block b:rw"),
            (Fill(B), "would block a:r"),
            (Drain(A), "all, would block b:rw"),
            (Drain(B), "all, would block a:w"),
        ],
    ),
    pipe(
        "a reader that dies with a full pipe resets the writer",
        &[
            (Fill(A), "would block b:rw"),
            (Close(B), "ok a:rwce"),
            (Send(A, 1), "reset"),
            (Send(A, 1), "reset"),
            (Recv(A, 1), "0"),
        ],
    ),
    pipe(
        "a reader that resets with a full pipe",
        &[
            (Fill(A), "would block b:rw"),
            (Reset(B), "ok a:rwce"),
            (Recv(A, 1), "reset"),
            (Recv(A, 1), "0"),
            (Send(A, 1), "reset"),
        ],
    ),
    pipe(
        "a reader that has only finished writing leaves a full pipe full",
        &[
            (Fill(A), "would block b:rw"),
            (Shutdown(B), "ok a:rc b:rw"),
            (Send(A, 1), "would block"),
            (Recv(A, 1), "0"),
            (Drain(B), "all, would block a:rwc"),
        ],
    ),
    pipe(
        "a shutdown of a full pipe: writable at once, for every write fails",
        &[
            (Fill(A), "would block b:rw"),
            (Shutdown(A), "ok a:w"),
            (Send(A, 1), "reset"),
            (Probe(A), "reset"),
        ],
    ),
    pipe(
        "a full pipe drained and filled again",
        &[
            (Fill(A), "would block b:rw"),
            (Drain(B), "all, would block a:w"),
            (Fill(A), "would block b:rw"),
            (Drain(B), "all, would block a:w"),
        ],
    ),
    pipe(
        "a probe of a full pipe is well: the connection stands",
        &[(Fill(A), "would block b:rw"), (Probe(A), "ok"), (Drain(B), "all, would block a:w")],
    ),
    pipe(
        "whoever was told of a pipe too full to write is owed the edge, though no write failed",
        &[
            (Fill(A), "would block b:rw"),
            (Connect(C), "ok c:w listener:r"),
            (Accept(D), "ok d:w"),
            (Pour(C, 96), "all d:rw"),
            (Send(D, 1), "1 c:r"),
            (Drain(D), "all, would block c:rw"),
        ],
    ),
    pipe(
        "a write that fits does not settle the edge that is owed",
        &[
            (Fill(A), "would block b:rw"),
            (Connect(C), "ok c:w listener:r"),
            (Accept(D), "ok d:w"),
            (Pour(C, 96), "all d:rw"),
            (Send(D, 1), "1 c:r"),
            (Send(C, 1), "1"),
            (Drain(D), "all, would block c:rw"),
        ],
    ),
    pipe(
        "a send buffer that is half full can be written",
        &[
            (Fill(A), "would block b:rw"),
            (Connect(C), "ok c:w listener:r"),
            (Accept(D), "ok d:w"),
            (Pour(C, 90), "all d:rw"),
            (Send(D, 1), "1 c:rw"),
        ],
    ),
    pipe(
        "an end that waits for the window is an edge again when it has arrived",
        &[
            (Fill(A), "would block b:rw"),
            (Connect(C), "ok c:w listener:r"),
            (Accept(D), "ok d:w"),
            (Pour(C, 96), "all d:rw"),
            (Shutdown(C), "ok c:w"),
            (Gulp(D, 1), "all"),
            (Drain(D), "all, the end c:w"),
        ],
    ),
    pipe(
        "whoever was neither told nor refused is owed no edge",
        &[
            (Fill(A), "would block b:rw"),
            (Connect(C), "ok c:w listener:r"),
            (Accept(D), "ok d:w"),
            (Pour(C, 96), "all d:rw"),
            (Drain(D), "all, would block"),
            (Send(D, 1), "1 c:rw"),
        ],
    ),
    pipe(
        "what the peer says shows whether a pipe can be written",
        &[
            (Fill(A), "would block b:rw"),
            (Send(B, 1), "1 a:r"),
            (Gulp(B, 1), "all"),
            (Send(B, 1), "1 a:r"),
            (Gulp(B, 70), "all a:rw b:rw"),
            (Send(B, 1), "1 a:rw"),
        ],
    ),
    pipe(
        "both ways full, and one side closes: what was not sent is lost",
        &[
            (Fill(A), "would block b:rw"),
            (Fill(B), "would block a:r"),
            (Close(A), "ok b:rwce"),
            (Drain(B), "not all, reset"),
            (Send(B, 1), "reset"),
        ],
    ),
    pipe(
        "a word to a closed socket that still has bytes to send loses them",
        &[
            (Fill(A), "would block b:rw"),
            (Close(A), "ok"),
            (Send(B, 1), "1 b:rwce"),
            (Drain(B), "not all, reset"),
            (Probe(B), "reset"),
        ],
    ),
    pipe(
        "closing behind a full pipe, and the answer after the end",
        &[
            (Fill(A), "would block b:rw"),
            (Close(A), "ok"),
            (Drain(B), "all, the end"),
            (Send(B, 1), "1 b:rwce"),
            (Recv(B, 1), "0"),
        ],
    ),
    pipe(
        "a reader that closes though an end waits behind a full pipe",
        &[
            (Fill(A), "would block b:rw"),
            (Shutdown(A), "ok a:w"),
            (Close(B), "ok a:rwce"),
            (Send(A, 1), "reset"),
            (Recv(A, 1), "0"),
        ],
    ),
    pipe(
        "a reset takes an end back that waits behind a full pipe",
        &[
            (Fill(A), "would block b:rw"),
            (Shutdown(A), "ok a:w"),
            (Reset(A), "ok b:rwce"),
            (Drain(B), "not all, reset"),
            (Probe(B), "reset"),
        ],
    ),
    pipe(
        "a reset drops what waits to be sent, and no write is owed any more",
        &[
            (Fill(A), "would block b:rw"),
            (Reset(B), "ok a:rwce"),
            (Probe(A), "reset"),
            (Shutdown(A), "ok a:rwc"),
            (Recv(A, 1), "0"),
        ],
    ),
];
