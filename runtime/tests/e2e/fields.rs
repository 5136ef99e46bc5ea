//! What happens to header fields on the way (REQ-4 to REQ-6, RES-7).

use crate::backend::Backend;
use crate::client::{Client, Response, raw_once};
use crate::proxy::{Setup, app};

/// Answers with the request as it came: the request line's target and every field.
fn mirror() -> Backend {
    Backend::start(|exchange| {
        let mut said = format!("{} {}\n", exchange.method, exchange.target);
        for (name, value) in &exchange.fields {
            said.push_str(&format!("{}: {value}\n", name.to_ascii_lowercase()));
        }
        exchange.body(&mut |_| {}).expect("whole");
        exchange.ok(&said)
    })
}

fn values<'a>(mirrored: &'a str, name: &str) -> Vec<&'a str> {
    let prefix = format!("{name}: ");
    mirrored.lines().filter_map(|line| line.strip_prefix(prefix.as_str())).collect()
}

// REQ-5
#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let backend = mirror();
    let proxy = Setup::to(&[backend.port]).start();
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, X-Mine\r\n\
         Keep-Alive: timeout=5\r\nX-Mine: secret\r\nTE: trailers\r\nUpgrade: h2c\r\n\
         Proxy-Connection: keep-alive\r\nX-Other: stays\r\n\r\n";
    let said = raw_once(proxy.port, request).expect("an answer").text();
    for name in ["keep-alive", "x-mine", "te", "upgrade", "proxy-connection"] {
        assert_eq!(values(&said, name), Vec::<&str>::new(), "{name} crossed");
    }
    assert_eq!(values(&said, "x-other"), ["stays"]);
    assert_eq!(values(&said, "host"), ["a.example"]);
}

// REQ-5: the other way.
#[test]
fn a_backends_hop_by_hop_fields_stay_on_their_hop() {
    let backend = Backend::start(|exchange| {
        exchange.raw(
            "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Mine\r\nX-Mine: secret\r\n\
             Keep-Alive: timeout=5\r\nX-Other: stays\r\nContent-Length: 2\r\n\r\nok",
        )?;
        Ok(crate::backend::Next::Keep)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let response = raw_once(proxy.port, crate::client::get("/")).expect("an answer");
    assert_eq!(response.field("X-Mine"), None);
    assert_eq!(response.field("Keep-Alive"), None);
    assert_eq!(response.field("X-Other"), Some("stays"));
}

// REQ-5
#[test]
fn connection_must_not_name_what_matters() {
    let backend = mirror();
    let proxy = Setup::to(&[backend.port]).start();
    for name in ["Host", "content-length", "Transfer-Encoding", "Authorization", "cookie"] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, {name}\r\n\r\n");
        assert_eq!(raw_once(proxy.port, request).expect("an answer").status, 400, "{name}");
    }
    assert_eq!(backend.requests(), 0);
}

// REQ-6
#[test]
fn forwarding_fields_are_added_and_strangers_not_believed() {
    let backend = mirror();
    let proxy = Setup::to(&[backend.port]).start();
    let request = "GET / HTTP/1.1\r\nHost: a.example:81\r\nX-Forwarded-For: 6.6.6.6\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n\
         X-Request-Id: mine\r\nVia: 1.1 before\r\n\r\n";
    let mut ids = Vec::new();
    let mut client = Client::connect(proxy.port);
    for _ in 0..2 {
        client.send(request);
        let said = client.response().expect("an answer").text();
        assert_eq!(values(&said, "x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(values(&said, "x-forwarded-proto"), ["http"]);
        assert_eq!(values(&said, "x-forwarded-host"), ["a.example:81"]);
        assert_eq!(values(&said, "x-forwarded-port"), [proxy.port.to_string()]);
        let via = values(&said, "via").join(", ");
        assert!(via.starts_with("1.1 before, 1.1 "), "Via is appended: {via}");
        ids.push(values(&said, "x-request-id").join(","));
    }
    assert!(!ids.contains(&"mine".to_string()) && ids[0] != ids[1], "{ids:?}");
}

// REQ-6
#[test]
fn a_trusted_proxy_is_believed() {
    let backend = mirror();
    let proxy = Setup::to(&[backend.port]).top("trusted_proxies = [\"127.0.0.0/8\"]").start();
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 10.1.2.3\r\n\
         X-Forwarded-Proto: https\r\n\r\n";
    let said = raw_once(proxy.port, request).expect("an answer").text();
    let chain: Vec<String> = values(&said, "x-forwarded-for")
        .iter()
        .flat_map(|value| value.split(','))
        .map(|part| part.trim().to_string())
        .collect();
    assert_eq!(chain, ["10.1.2.3", "127.0.0.1"]);
    assert_eq!(values(&said, "x-forwarded-proto"), ["https"]);
}

// REQ-4
#[test]
fn absolute_form_replaces_host() {
    let backend = mirror();
    let rest = format!(
        "{}[[route]]\nhost = \"real.example\"\nto = \"app\"\n",
        crate::proxy::cluster("app", &[backend.port])
    );
    let proxy = Setup::new(rest).start();
    let request = "GET http://real.example/x?y=1 HTTP/1.1\r\nHost: other.example\r\n\r\n";
    let response = raw_once(proxy.port, request).expect("an answer");
    assert_eq!(response.status, 200);
    assert_eq!(values(&response.text(), "host"), ["real.example"]);
}

// REQ-4
#[test]
fn connect_is_not_implemented_and_options_star_is_routed() {
    let backend = mirror();
    let proxy = Setup::to(&[backend.port]).start();
    let connect = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n";
    assert_eq!(raw_once(proxy.port, connect).expect("an answer").status, 501);
    let options = "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let said = raw_once(proxy.port, options).expect("an answer").text();
    assert!(said.starts_with("OPTIONS *\n"), "{said}");
}

// ROUTE-1: edits of a route.
#[test]
fn a_route_edits_fields() {
    let backend = mirror();
    let rest = format!(
        "{}set_request_headers = {{ X-Env = \"prod\" }}\nremove_response_headers = [\"Server\"]\n",
        app(&[backend.port])
    );
    let proxy = Setup::new(rest).start();
    let said = raw_once(proxy.port, "GET / HTTP/1.1\r\nHost: a\r\nX-Env: test\r\n\r\n");
    let said = said.expect("an answer");
    assert_eq!(values(&said.text(), "x-env"), ["prod"]);
    assert_eq!(said.field("Server"), None);
}

// RES-7
#[test]
fn default_answers_come_in_the_form_the_client_prefers() {
    let backend = mirror();
    let rest = format!(
        "{}[[route]]\nhost = \"known.example\"\nto = \"app\"\n",
        crate::proxy::cluster("app", &[backend.port])
    );
    let proxy = Setup::new(rest).start();
    let ask = |accept: &str| -> Response {
        let request = format!("GET / HTTP/1.1\r\nHost: unknown.example\r\n{accept}\r\n");
        raw_once(proxy.port, request).expect("an answer")
    };
    let html = ask("");
    assert_eq!(html.status, 404);
    assert!(html.field("Content-Type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(html.text().contains("404"));
    let json = ask("Accept: application/json\r\n");
    assert!(json.field("Content-Type").is_some_and(|kind| kind.starts_with("application/json")));
    let value: serde_json::Value = serde_json::from_str(&json.text()).expect("JSON");
    let id = proxy.records(2)[1].text("request_id");
    assert!(value.to_string().contains(&id), "the request id {id} is not in {value}");
}
