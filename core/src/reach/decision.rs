//! The decisions that are counted.

use crate::names::names;

/// A fork in the core's road that its counters, events and records do not tell of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The server that the cookie names was chosen (BACK-8).
    StickyKept,
    /// It has no room: the request waits for it.
    StickyFull,
    /// It is drained, down, or has failed this request: another one was chosen.
    StickyLost,
    /// A server that is up and has not failed this request was chosen (BACK-1).
    PickPrimary,
    /// A backup server was chosen.
    PickBackup,
    /// A server that has failed this request, for want of another (BACK-2).
    PickAgain,
    /// A server that is down, for want of another: fail open (BACK-4).
    PickOpenElsewhere,
    /// A server that is down and has failed this request.
    PickOpen,
    /// Whoever could be used has all the connections it may have (BACK-9).
    PickFull,
    /// All servers are drained.
    PickNobody,
    /// An idle connection that this session used before (BACK-6).
    PoolOwn,
    /// An idle connection of another session.
    PoolOthers,
    /// No idle connection: a new one.
    PoolMiss,
    /// The server is spoken to in another way by now: its idle connections are not used.
    PoolOtherSpeech,
    /// An idle connection was readable, and closed (BACK-7).
    PoolDisturbed,
    /// The pool was full: its oldest connection left.
    PoolOverflow,
    /// A connection could have been kept, and was not.
    PoolNotKept,
    /// A limited server's idle connection was closed to make room for a new one.
    PoolRoomMade,
    /// An attempt failed by an error of the socket.
    FaultSocket,
    /// An attempt failed by the `connect` timer.
    FaultTimedOut,
    /// An attempt failed because the server closed.
    FaultClosed,
    /// An attempt failed in the handshake.
    FaultTls,
    /// Nothing had been given to the server: another attempt (BACK-3).
    RetryUnsent,
    /// Three attempts are enough.
    RetrySpent,
    /// The request may have been executed: it is not sent again.
    RetryForbidden,
    /// After the pause the same choice held.
    PauseKept,
    /// After the pause the choice was made anew.
    PauseAnew,
    /// A failed probe doubled a server's back-off (BACK-4).
    ProbeFailed,
    /// A probe ended without a verdict.
    ProbeAbandoned,
    /// One request blamed a server twice; it counts once.
    BlamedBefore,
    /// Whoever came later let those in line choose first (BACK-9).
    QueueFirst,
    /// Somebody in line got a server.
    QueueServed,
    /// Somebody in line lost the last server.
    QueueLost,
    /// A body was declared longer than the listener takes (REQ-3).
    BodyDeclaredTooLong,
    /// A body became longer than the listener takes.
    BodyBecameTooLong,
    /// A body turned out bad, and an answer could still say so.
    BodyBadAnswered,
    /// A body turned out bad in the middle of a response.
    BodyBadCut,
    /// A client that finished writing was taken for gone (RES-6).
    AbortOnClose,
    /// An interim response was not passed on to an HTTP/1.0 client (REQ-7).
    InterimSkipped,
    /// More interim responses than an exchange may have.
    InterimsTooMany,
    /// The response was complete before its request.
    ResponseEarly,
    /// The response ended with its connection.
    ResponseUntilClose,
    /// A response without known length was ended by closing, for an HTTP/1.0 client.
    ResponseClosesClient,
    /// A server spoke before it was asked.
    ServerSpokeUnasked,
    /// A write failed, and the server may still have answered.
    ServerReadOnAfterWriteFailed,
    /// A replacement answered in place of a default answer (RES-7).
    AnswerReplaced,
    /// A redirect was answered (ROUTE-1).
    AnswerRedirect,
    /// A route's fixed answer was given.
    AnswerFixed,
    /// JSON was asked for, and answered.
    AnswerJson,
    /// Answers without a body, to HEAD.
    AnswerHeadOnly,
    /// There was no room for the answer behind an interim response.
    AnswerLost,
    /// The connection is kept for the next request (RES-5).
    EndKept,
    /// The next request was here already.
    EndPipelined,
    /// What was not read is discarded for a while (RES-8).
    EndLingers,
    /// The connection closes behind the response.
    EndCloses,
    /// A response that was cut ends by a reset (RES-2).
    EndCutByReset,
    /// A response that was cut ends by closing.
    EndCutByClose,
    /// A lingering client sent more than is discarded.
    LingerSpent,
    /// A tunnel's client broke off: so does the server's side (TUN-2).
    TunnelClientBroke,
    /// A tunnel's server broke off.
    TunnelServerBroke,
    /// A tunnel that was ended had bytes that were not passed on.
    TunnelCut,
    /// A tunnel's server takes no more bytes.
    TunnelServerDeaf,
    /// The other direction of a tunnel went on behind an end.
    TunnelHalfClosed,
    /// TLS began with bytes that came with the PROXY header.
    HandshakeSurplus,
    /// The first request came with the PROXY header.
    RequestSurplus,
    /// HTTP in the clear was answered 400 where TLS is expected (TLS-2).
    PlaintextAnswered,
    /// TLS with a client that is being served failed.
    TlsBrokeLater,
    /// A TCP connection over its address's limit was closed (ACC-9).
    AddressTcpClosed,
    /// Who waited too long for a first byte was closed without a word.
    HeadNeverBegan,
    /// No buffers for a TCP session in time.
    TcpStarved,
    /// The client neither sent nor read: answered.
    ClientIdleAnswered,
    /// The client neither sent nor read: cut.
    ClientIdleCut,
    /// The server neither sent nor read: answered.
    BackendIdleAnswered,
    /// The server neither sent nor read: the response is cut.
    BackendIdleCut,
    /// A socket that waited when the stop's time was over (RUN-2).
    StopCutWaiting,
    /// A session that closes instead of waiting for a request.
    StopClosedIdle,
    /// A listener that could not be closed in time, closed all the same.
    StopLateListener,
    /// A listener that is gone from the configuration closes once its backlog is empty (RUN-1).
    ListenerRetired,
    /// Somebody came through a listener that is gone.
    ListenerGoneServed,
    /// A configuration was refused whole (RUN-1).
    ConfigRefused,
}

names! {
    /// The name that marks of simulations use.
    Decision {
        StickyKept => "sticky: followed",
        StickyFull => "sticky: its server is full",
        StickyLost => "sticky: its server cannot be used",
        PickPrimary => "pick: a primary server",
        PickBackup => "pick: a backup server",
        PickAgain => "pick: one that failed this request",
        PickOpenElsewhere => "pick: one that is down",
        PickOpen => "pick: one that is down and failed this request",
        PickFull => "pick: all are full",
        PickNobody => "pick: all are drained",
        PoolOwn => "pool: the session's own connection",
        PoolOthers => "pool: another session's connection",
        PoolMiss => "pool: miss",
        PoolOtherSpeech => "pool: spoken to in another way",
        PoolDisturbed => "pool: readable while idle",
        PoolOverflow => "pool: overflow",
        PoolNotKept => "pool: not kept",
        PoolRoomMade => "pool: made room",
        FaultSocket => "attempt: socket error",
        FaultTimedOut => "attempt: timed out",
        FaultClosed => "attempt: closed",
        FaultTls => "attempt: TLS failed",
        RetryUnsent => "retry: nothing was given",
        RetrySpent => "retry: attempts spent",
        RetryForbidden => "retry: forbidden",
        PauseKept => "pause: the choice held",
        PauseAnew => "pause: chosen anew",
        ProbeFailed => "health: probe failed",
        ProbeAbandoned => "health: probe abandoned",
        BlamedBefore => "health: blamed before",
        QueueFirst => "queue: those in line first",
        QueueServed => "queue: served",
        QueueLost => "queue: the last server went",
        BodyDeclaredTooLong => "body: declared too long",
        BodyBecameTooLong => "body: became too long",
        BodyBadAnswered => "body: bad, answered",
        BodyBadCut => "body: bad inside a response",
        AbortOnClose => "client: finished writing, taken for gone",
        InterimSkipped => "interim: skipped for HTTP/1.0",
        InterimsTooMany => "interim: too many",
        ResponseEarly => "response: before its request was whole",
        ResponseUntilClose => "response: ended by its connection",
        ResponseClosesClient => "response: ends the client's connection",
        ServerSpokeUnasked => "server: spoke unasked",
        ServerReadOnAfterWriteFailed => "server: read on after a failed write",
        AnswerReplaced => "answer: replaced",
        AnswerRedirect => "answer: redirect",
        AnswerFixed => "answer: fixed",
        AnswerJson => "answer: JSON",
        AnswerHeadOnly => "answer: to HEAD",
        AnswerLost => "answer: no room",
        EndKept => "end: kept",
        EndPipelined => "end: pipelined",
        EndLingers => "end: lingers",
        EndCloses => "end: closes",
        EndCutByReset => "end: cut by reset",
        EndCutByClose => "end: cut by close",
        LingerSpent => "linger: too many bytes",
        TunnelClientBroke => "tunnel: client broke off",
        TunnelServerBroke => "tunnel: server broke off",
        TunnelCut => "tunnel: cut with bytes unsent",
        TunnelServerDeaf => "tunnel: server takes no more",
        TunnelHalfClosed => "tunnel: one way ended",
        HandshakeSurplus => "opening: TLS behind a PROXY header",
        RequestSurplus => "opening: request behind a PROXY header",
        PlaintextAnswered => "opening: plaintext answered",
        TlsBrokeLater => "tls: broke while served",
        AddressTcpClosed => "limits: TCP over its address's limit",
        HeadNeverBegan => "timeout: head never began",
        TcpStarved => "timeout: no buffers for TCP",
        ClientIdleAnswered => "timeout: idle client answered",
        ClientIdleCut => "timeout: idle client cut",
        BackendIdleAnswered => "timeout: idle server answered",
        BackendIdleCut => "timeout: idle server cut",
        StopCutWaiting => "stop: cut a waiting socket",
        StopClosedIdle => "stop: closed an idle session",
        StopLateListener => "stop: closed a late listener",
        ListenerRetired => "listener: retired",
        ListenerGoneServed => "listener: gone, and yet served",
        ConfigRefused => "config: refused",
    }
}
