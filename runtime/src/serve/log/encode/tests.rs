use super::*;
use tidegate_core::config::{Cluster, Config, Listener, Route, Server};
use tidegate_core::event::{Ending, Timer};
use tidegate_core::input::Address;
use tidegate_core::time::Time;

fn text<const N: usize>(of: &[u8]) -> Text<N> {
    let mut text = Text::EMPTY;
    text.set(of);
    text
}

fn record() -> AccessRecord {
    AccessRecord {
        start: Time::ZERO,
        session: 7,
        request: 2,
        request_id: 0xfeed,
        listener: Some(0),
        route: Some(0),
        cluster: Some(0),
        server: Some(0),
        version: 1,
        attempts: 1,
        reused: true,
        client: Some("192.0.2.1:5000".parse().expect("an address")),
        method: text(b"GET"),
        host: text(b"a.example"),
        path: text(b"/x?y=\"z\""),
        minor: 1,
        status: 504,
        received: 120,
        sent: 1024,
        head: Duration::from_micros(1),
        queue: Duration::ZERO,
        connect: Duration::from_micros(1_234),
        wait: Duration::from_secs(30),
        transfer: Duration::from_nanos(999),
        ending: Ending {
            who: Who::Timeout,
            phase: Phase::ResponseHead,
            timer: Some(Timer::BackendResponse),
        },
        tls: Some(TlsFacts { version: TlsVersion::Tls13, resumed: true, sni: text(b"A.example") }),
        ..AccessRecord::default()
    }
}

fn names() -> Names {
    let addr = || Address::Ip("10.0.0.1:80".parse().expect("an address"));
    Names::of(&Config {
        listeners: vec![Listener::new("web", vec![addr()])],
        clusters: vec![Cluster::new("app", vec![Server::new(addr())])],
        routes: vec![Route::to_cluster("app")],
        ..Config::default()
    })
}

fn encoded(format: LogFormat, record: &AccessRecord, names: Option<&Names>) -> String {
    let mut bytes = Vec::with_capacity(4096);
    let mut line = Line::new(&mut bytes);
    Encoder::new(format).access(&mut line, record, names, 1_700_000_000_123);
    assert!(!line.is_full());
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_record_in_json_tells_every_field() {
    let json = encoded(LogFormat::Json, &record(), Some(&names()));
    let expected = concat!(
        r#"{"time":"2023-11-14T22:13:20.123Z","session":7,"request":2,"#,
        r#""request_id":"0000000000000000000000000000feed","listener":"web","route":"*","#,
        r#""cluster":"app","server":"10.0.0.1:80","attempts":1,"reused":true,"#,
        r#""client":"192.0.2.1:5000","protocol":"http","tls":"TLSv1.3","resumed":true,"#,
        r#""sni":"A.example","method":"GET","host":"a.example","#,
        r#""path":"/x?y=\"z\"","version":"1.1","status":504,"received_bytes":120,"#,
        r#""sent_bytes":1024,"head_ms":0.001,"queue_ms":0.000,"connect_ms":1.234,"#,
        r#""wait_ms":30000.000,"transfer_ms":0.000,"ended_by":"timeout","#,
        r#""phase":"response head","timer":"backend_response"}"#,
        "\n"
    );
    assert_eq!(json, expected);
    let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(parsed["path"], "/x?y=\"z\"");
}

#[test]
fn a_record_in_text_has_the_same_keys() {
    let json = encoded(LogFormat::Json, &record(), Some(&names()));
    let text = encoded(LogFormat::Text, &record(), Some(&names()));
    let start = "time=\"2023-11-14T22:13:20.123Z\" session=7 request=2 request_id=\"0000";
    assert!(text.starts_with(start), "{text}");
    assert!(text.ends_with("phase=\"response head\" timer=\"backend_response\"\n"), "{text}");
    let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    for key in parsed.as_object().expect("an object").keys() {
        assert!(text.contains(&format!("{key}=")), "{key}");
    }
}

#[test]
fn what_is_unknown_is_null() {
    let mut of = record();
    (of.client, of.server, of.ending.timer) = (None, None, None);
    let json = encoded(LogFormat::Json, &of, Some(&names()));
    for absent in ["\"server\":null", "\"timer\":null", "\"client\":\"unix\""] {
        assert!(json.contains(absent), "{json}");
    }
    let json = encoded(LogFormat::Json, &record(), None);
    assert!(json.contains(r#""listener":null,"route":null,"cluster":null,"server":null"#));
    assert!(encoded(LogFormat::Text, &of, None).contains(" listener=- route=- cluster=- "));
}

// TUN-1: a TCP session has a record, and no request.
#[test]
fn a_tcp_session_has_no_request() {
    let mut of = record();
    (of.tcp, of.tls, of.ending.phase) = (true, None, Phase::Tunnel);
    let json = encoded(LogFormat::Json, &of, Some(&names()));
    let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    for absent in ["request_id", "method", "path", "version", "status", "tls", "resumed", "sni"] {
        assert!(parsed[absent].is_null(), "{absent}: {json}");
    }
    assert_eq!(parsed["protocol"], "tcp");
    assert_eq!(parsed["phase"], "tunnel");
    assert_eq!(parsed["host"], "a.example");
    let text = encoded(LogFormat::Text, &of, None);
    assert!(text.contains(" protocol=\"tcp\" tls=- resumed=- sni=- method=- host="), "{text}");
    assert!(text.contains(" path=- version=- status=- received_bytes=120 "), "{text}");
}

// Peers are hostile: one record is one line of valid JSON, whatever they send.
#[test]
fn every_byte_a_peer_sends_stays_inside_its_field() {
    let all: Vec<u8> = (0..=255).collect();
    for bytes in all.chunks(64) {
        let mut of = record();
        of.path = text(bytes);
        of.host = text(bytes);
        of.method = text(bytes);
        let sni = text(bytes);
        of.tls = Some(TlsFacts { version: TlsVersion::Tls12, resumed: false, sni });
        let json = encoded(LogFormat::Json, &of, Some(&names()));
        assert_eq!(json.find('\n'), Some(json.len() - 1));
        let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let expected: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        assert_eq!(parsed["path"], expected.as_str());
        assert_eq!(parsed["sni"], expected.as_str());
        let cut: String = bytes[..16].iter().map(|&byte| char::from(byte)).chain(['…']).collect();
        assert_eq!(parsed["method"], cut.as_str());
        assert_eq!(encoded(LogFormat::Text, &of, None).matches('\n').count(), 1);
    }
}
