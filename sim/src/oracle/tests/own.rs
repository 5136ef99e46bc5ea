//! Checkers of what own answers say, and of what access records tell.

use super::*;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::config::{AnswerBody, Listener};
use tidegate_core::event::{AccessRecord, Event};
use tidegate_core::time::Time;

/// The key of a request that accepts the first of all, JSON alone.
const JSON: u64 = 1;
/// The key of one that would rather read HTML.
const HTML: u64 = 2;

const HTML_TYPE: &str = "Content-Type: text/html; charset=utf-8\r\n";
const JSON_TYPE: &str = "Content-Type: application/json\r\n";
const TEXT_TYPE: &str = "Content-Type: text/plain\r\n";

fn answered(key: u64, fields: &str, body: &str, replaces: bool) -> Lab {
    let mut lab = Lab::new();
    let config = &mut lab.oracle.truth.versions[0].config;
    let mut listener = Listener::new("l0", Vec::new());
    let text = AnswerBody { content_type: "text/plain".into(), bytes: Arc::from(&b"gone"[..]) };
    if replaces {
        listener.answers.insert(404, text);
    }
    config.listeners.push(listener);
    let front = lab.front();
    lab.asked(front, Ask { key, host: 1, ..ask(0, Method::Get) });
    lab.emit_down(front, &own_text(404, fields, body));
    lab
}

// RES-7: an own answer is in the form that its client prefers, says status and id, and gives way to
// what is configured.
#[test]
fn answers_fires_on_own_answers_in_another_form() {
    let html = format!("<title>404 Not Found</title>{OWN_ID}");
    let json = format!("{{\"status\":404,\"error\":\"x\",\"request_id\":\"{OWN_ID}\"}}\n");
    let nameless = "<title>404 Not Found</title>";
    let another = html.replace("404", "403");
    for (key, fields, body, replaces, is_right) in [
        (0, HTML_TYPE, html.as_str(), false, true),
        (HTML, HTML_TYPE, &html, false, true),
        (JSON, JSON_TYPE, &json, false, true),
        (JSON, HTML_TYPE, &html, false, false),
        (HTML, JSON_TYPE, &json, false, false),
        (HTML, HTML_TYPE, &json, false, false),
        (JSON, JSON_TYPE, &html, false, false),
        (HTML, HTML_TYPE, nameless, false, false),
        (HTML, HTML_TYPE, &another, false, false),
        (HTML, "", &html, false, false),
        (HTML, TEXT_TYPE, "gone", true, true),
        (HTML, TEXT_TYPE, "going", true, false),
        (HTML, HTML_TYPE, &html, true, false),
        (HTML, TEXT_TYPE, "gone", false, false),
    ] {
        let lab = answered(key, fields, body, replaces);
        if is_right { lab.clean() } else { lab.fires("answers", "RES-7") }
    }
    for (wrong, with) in [("Not Found", "Not found"), ("X-Request-Id", "X-Request")] {
        let mut lab = Lab::new();
        let front = lab.front();
        lab.asked(front, Ask { host: 1, ..ask(0, Method::Get) });
        let text = String::from_utf8(own_answer(404, "")).unwrap().replacen(wrong, with, 1);
        lab.emit_down(front, text.as_bytes());
        lab.fires("answers", "RES-7");
    }
}

// RES-3, RES-5: bytes that begin no head are somebody's answer all the same.
#[test]
fn matching_fires_on_bytes_that_nobody_asked_for() {
    for (framing, rule) in
        [("Content-Length: 0", "RES-3"), ("Content-Length: 0\r\nConnection: close", "RES-5")]
    {
        let mut lab = Lab::new();
        let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        if rule == "RES-5" {
            lab.asked(front, ask(0, Method::Get));
        }
        lab.emit_down(front, Lab::response(id, 0, framing).as_bytes());
        lab.clean();
        lab.emit_down(front, b"<");
        lab.fires("matching", rule);
    }
}

// RUN-5: a record tells of its own request, and the parts of its time add up.
#[test]
fn accounting_fires_on_records_of_something_else() {
    let tells = |change: &dyn Fn(&mut AccessRecord)| {
        let mut lab = Lab::new();
        lab.oracle.truth.versions[0].config.listeners.push(Listener::new("l0", Vec::new()));
        let begun = lab.oracle.now;
        let front = lab.front();
        lab.later(1);
        let id = lab.asked(front, ask(0, Method::Get));
        let at = lab.oracle.now;
        let back = lab.back(0);
        let head = lab.head(id);
        lab.emit_up(back, &head);
        let row = &mut lab.oracle.rows[id as usize];
        row.plans.push(plan(0, BackFault::None));
        (row.attempts[0].plan, row.attempts[0].told_id) = (Some(0), Some(7));
        lab.later(7);
        let response = Lab::response(id, 0, "Content-Length: 0");
        lab.emit_down(front, response.as_bytes());
        lab.clean();
        let mut record = AccessRecord {
            start: Time(at),
            request_id: 7,
            listener: Some(0),
            route: Some(0),
            cluster: Some(0),
            server: Some(0),
            version: 1,
            attempts: 1,
            client: Some(lab.oracle.fronts[front as usize].address),
            minor: 1,
            status: 200,
            received: 100,
            sent: response.len() as u64,
            wait: Duration::from_millis(7),
            ..AccessRecord::default()
        };
        record.method.set(b"GET");
        record.host.set(b"a.example");
        record.path.set(format!("/r/{id}").as_bytes());
        record.ending.phase = tidegate_core::event::Phase::Complete;
        change(&mut record);
        assert!(begun < at);
        lab.oracle.event(&Event::Access(record));
        lab
    };
    tells(&|_| {}).clean();
    let wrong: [&dyn Fn(&mut AccessRecord); 18] = [
        &|it| it.method.set(b"PUT"),
        &|it| it.host.set(b"b.example"),
        &|it| it.minor = 0,
        &|it| it.request_id = 8,
        &|it| it.client = None,
        &|it| it.listener = None,
        &|it| it.route = Some(1),
        &|it| it.cluster = None,
        &|it| it.server = Some(2),
        &|it| it.reused = true,
        &|it| it.attempts = 0,
        &|it| it.start = Time(it.start.0 + 1),
        &|it| it.start = Time(it.start.0 - 1),
        &|it| it.wait = Duration::from_millis(6),
        &|it| it.head = Duration::from_millis(1),
        &|it| it.sent += 1,
        &|it| it.received += 1,
        &|it| it.received -= 1,
    ];
    for change in wrong {
        tells(change).fires("accounting", "RUN-5");
    }
}
