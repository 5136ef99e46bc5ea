//! Timers: the heap of deadlines against a naive model, and each timer of the table through the
//! proxy, at any span, from any start, with any late driver (SES-3, RES-8, RUN-2, BACK-2).

mod support;
#[path = "timers/table.rs"]
mod table;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::time::Duration;
use support::run_of;
use table::{Armed, GET, Outcome, POST, RESPONSE, Row, TABLE, connecting, rig, sent, server};
use tidegate_core::config::RETRY_PAUSE;
use tidegate_core::deadline::{DeadlineId, Deadlines};
use tidegate_core::event::{Timer, Who};
use tidegate_core::id::SocketId;
use tidegate_core::time::{TICK, Time};
use tidegate_proptests::memory::Rig;
use tidegate_proptests::naive;

#[derive(Clone, Debug)]
enum Op {
    Insert,
    Remove(Index),
    Set(Index, u64),
    Postpone(Index, u64),
    Clear(Index),
    /// Everything up to this span from the last time is served.
    Serve(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let at = any::<Index>;
    prop_oneof![
        3 => Just(Op::Insert),
        1 => at().prop_map(Op::Remove),
        4 => (at(), 0..200_u64).prop_map(|(at, time)| Op::Set(at, time)),
        4 => (at(), 0..50_u64).prop_map(|(at, span)| Op::Postpone(at, span)),
        1 => at().prop_map(Op::Clear),
        2 => (0..40_u64).prop_map(Op::Serve),
    ]
}

/// One entry of the model: its id, its owner, its deadline.
type Entry = (DeadlineId, usize, Time);

fn pick(model: &mut [Entry], at: Index) -> Option<&mut Entry> {
    if model.is_empty() { None } else { Some(&mut model[at.index(model.len())]) }
}

proptest! {
    #![proptest_config(run_of(2000))]

    // SES-3: the earliest true deadline comes first, and each comes once.
    #[test]
    fn deadlines_agree_with_a_naive_model(ops in vec(op(), 1..200)) {
        let mut deadlines = Deadlines::with_capacity(0);
        let mut model: Vec<Entry> = Vec::new();
        let mut now = Time(0);
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Insert => model.push((deadlines.insert(number), number, Time::NEVER)),
                Op::Remove(at) if !model.is_empty() => {
                    deadlines.remove(model.remove(at.index(model.len())).0);
                }
                Op::Remove(_) => {}
                Op::Set(at, time) => {
                    if let Some(entry) = pick(&mut model, at) {
                        entry.2 = Time(now.0 + time);
                        deadlines.set(entry.0, entry.2);
                    }
                }
                Op::Postpone(at, span) => {
                    if let Some(entry) = pick(&mut model, at) {
                        entry.2 = entry.2.after(Duration::from_nanos(span));
                        deadlines.set(entry.0, entry.2);
                    }
                }
                Op::Clear(at) => {
                    if let Some(entry) = pick(&mut model, at) {
                        entry.2 = Time::NEVER;
                        deadlines.set(entry.0, Time::NEVER);
                    }
                }
                Op::Serve(span) => {
                    now = Time(now.0 + span);
                    while let Some((due, owner)) = deadlines.earliest().filter(|it| it.0 <= now) {
                        let least = model.iter().map(|entry| entry.2).min();
                        prop_assert_eq!(Some(due), least);
                        let entry = model.iter_mut().find(|entry| entry.1 == owner);
                        let entry = entry.expect("a live owner");
                        prop_assert_eq!(entry.2, due);
                        entry.2 = Time::NEVER;
                        deadlines.set(entry.0, Time::NEVER);
                    }
                    prop_assert!(model.iter().all(|entry| entry.2 > now));
                }
            }
            let least = model.iter().map(|entry| entry.2).filter(|&it| it < Time::NEVER).min();
            prop_assert_eq!(deadlines.earliest().map(|it| it.0), least);
            prop_assert_eq!(deadlines.len(), model.len());
            prop_assert!(model.iter().all(|entry| deadlines.get(entry.0) == entry.2));
        }
    }

    // SES-3: deadlines are rounded up to a tick, never down, and never by a whole one.
    #[test]
    fn deadlines_are_rounded_up_to_a_tick(start in any::<u64>(), span in any::<u64>()) {
        let due = Time(start).deadline(Duration::from_nanos(span));
        let exact = start.saturating_add(span);
        prop_assert!(due.0 >= exact);
        prop_assert!(due == Time::NEVER || due.0 - exact < TICK.as_nanos() as u64);
        prop_assert!(due == Time::NEVER || due.0.is_multiple_of(TICK.as_nanos() as u64));
    }
}

/// What shows of a rig at one time.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Look {
    written: usize,
    open: bool,
    servers: usize,
    records: usize,
}

fn look(rig: &Rig, client: SocketId) -> Look {
    let open = rig.kernel.is_open(client);
    let servers = rig.kernel.connected.iter().filter(|(id, _)| rig.kernel.is_open(*id)).count();
    let records = rig.records().len();
    Look { written: rig.written(client).len(), open, servers, records }
}

fn check_outcome(rig: &Rig, row: &Row, armed: &Armed, before: &Look) -> Result<(), TestCaseError> {
    let (what, after) = (row.what, look(rig, armed.client));
    let record = rig.records().last().map(|record| record.ending);
    let named = after.records == before.records + 1
        && record.is_some_and(|it| it.who == Who::Timeout && it.timer == Some(row.timer));
    match row.outcome {
        Outcome::Answer(status) => {
            let bytes = rig.written(armed.client);
            let (mut at, mut last) = (0, None);
            // A HEAD that is answered by 408 gets no body (RES-7).
            let to_head = what.ends_with("HEAD");
            while let Some(message) = naive::response(&bytes[at..], to_head, true) {
                at += message.len;
                last = Some(message);
            }
            let last = last.expect("an answer");
            prop_assert_eq!((last.status(), last.is_whole, at), (status, true, bytes.len()));
            prop_assert!(named, "{}: {:?}", what, record);
        }
        Outcome::Cut => {
            prop_assert!(!after.open && named, "{}: {:?}", what, record);
            prop_assert_eq!(after.written, before.written, "{}", what);
        }
        Outcome::Silence => {
            let expected = Look { open: false, ..before.clone() };
            prop_assert_eq!(after, expected, "{}", what);
        }
        Outcome::ServerClosed => {
            let expected = Look { servers: before.servers - 1, ..before.clone() };
            prop_assert_eq!(after, expected, "{}", what);
        }
    }
    Ok(())
}

/// Starts at any nanosecond, spans of no round number, drivers that come late.
fn moment() -> impl Strategy<Value = (u64, Duration, u64)> {
    let span = prop_oneof![1..20_000_000_u64, 1..90_000_000_000_u64].prop_map(Duration::from_nanos);
    (0..100_000_000_u64, span, prop_oneof![Just(0_u64), 0..4_000_000_000_u64])
}

proptest! {
    #![proptest_config(run_of(500))]

    // SES-3, RES-8, RUN-2: never early, in the first turn at or past the deadline, with its outcome
    // of the table.
    #[test]
    fn each_timer_has_its_one_outcome(
        (start, span, late) in moment().prop_filter("room for the prelude", |it| {
            it.1 > Duration::from_millis(1)
        }),
    ) {
        for row in TABLE {
            let mut rig = rig(row.key, span, start);
            let armed = (row.arm)(&mut rig);
            let due = armed.since.deadline(span);
            prop_assert_eq!(rig.proxy.next_deadline(), (due, Some(row.timer)), "{}", row.what);
            let before = look(&rig, armed.client);
            rig.now = Time(due.0 - 1);
            rig.turn();
            prop_assert_eq!(&look(&rig, armed.client), &before, "{}: early", row.what);
            rig.now = Time(due.0 + late);
            rig.turn();
            check_outcome(&rig, row, &armed, &before)?;
            prop_assert_eq!(rig.proxy.check_invariants(), Ok(()));
            prop_assert_eq!(rig.proxy.counters().zombies, 0);
        }
    }

    // SES-3: trickled bytes do not extend the deadline of a head, on either side.
    #[test]
    fn drip_extends_no_head(
        start in 0..100_000_000_u64,
        gaps in vec(1..400_u64, 1..40),
        span in 1..5_000_u64,
    ) {
        let span = Duration::from_millis(span);
        for (key, status) in [("request_head", 408), ("backend_response", 504)] {
            let mut rig = rig(key, span, start);
            let (client, dripping) = match key {
                "request_head" => {
                    let client = rig.connect();
                    (client, client)
                }
                _ => (sent(&mut rig, GET), server(&rig)),
            };
            let due = rig.proxy.next_deadline().0;
            let drip: &[u8] = match key {
                "request_head" => b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
                _ => b"HTTP/1.1 200 OK\r\nX: ",
            };
            rig.feed(dripping, drip);
            for gap in &gaps {
                let next = rig.now.after(Duration::from_millis(*gap));
                if next >= due {
                    break;
                }
                rig.advance_to(next);
                rig.feed(dripping, b"x");
                prop_assert_eq!(rig.proxy.next_deadline().0, due);
                prop_assert!(rig.written(client).is_empty());
            }
            rig.advance_to(due);
            let answers = naive::responses(rig.written(client), &[], true);
            prop_assert_eq!(answers.iter().map(|it| it.status()).collect::<Vec<_>>(), [status]);
        }
    }

    // SES-3: each piece of a body re-arms an idle timer in full.
    #[test]
    fn progress_extends_idle_timers(
        start in 0..100_000_000_u64,
        gaps in vec(0..1_000_u64, 1..40),
        span in 1_000..5_000_u64,
    ) {
        let span = Duration::from_millis(span);
        for timer in [Timer::ClientIdle, Timer::BackendIdle] {
            let key = timer.name();
            let mut rig = rig(key, span, start);
            let client = sent(&mut rig, if timer == Timer::ClientIdle { POST } else { GET });
            let mut sender = client;
            if timer == Timer::BackendIdle {
                sender = server(&rig);
                rig.feed(sender, RESPONSE);
            }
            for gap in &gaps {
                rig.advance_to(rig.now.after(Duration::from_millis(*gap)));
                rig.feed(sender, b"x");
                let due = rig.now.deadline(span);
                prop_assert_eq!(rig.proxy.next_deadline(), (due, Some(timer)));
            }
            prop_assert!(rig.kernel.is_open(client) && rig.records().is_empty());
        }
    }

    // BACK-2, SES-3: three attempts at the only server, each within `connect`, 100 ms apart: 503.
    #[test]
    fn three_attempts_are_timed(start in 0..100_000_000_u64, span in 1..30_000_000_000_u64) {
        let span = Duration::from_nanos(span);
        let mut rig = rig("connect", span, start);
        let client = connecting(&mut rig).client;
        for attempt in 1..=3 {
            prop_assert_eq!(rig.kernel.connected.len(), attempt);
            let due = rig.now.deadline(span);
            prop_assert_eq!(rig.proxy.next_deadline(), (due, Some(Timer::Connect)));
            rig.advance_to(due);
            if attempt < 3 {
                prop_assert!(rig.written(client).is_empty());
                let due = rig.now.deadline(RETRY_PAUSE);
                prop_assert_eq!(rig.proxy.next_deadline(), (due, Some(Timer::RetryPause)));
                rig.advance_to(due);
            }
        }
        prop_assert_eq!(rig.kernel.connected.len(), 3);
        let answers = naive::responses(rig.written(client), &[], true);
        prop_assert_eq!(answers.iter().map(|it| it.status()).collect::<Vec<_>>(), [503]);
    }
}
