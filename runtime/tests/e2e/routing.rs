//! Routes as requests see them.

use crate::backend::Backend;
use crate::client::{Response, raw_once};
use crate::proxy::{Proxy, Setup, cluster};

fn ask(proxy: &Proxy, method: &str, host: &str, target: &str) -> Response {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    raw_once(proxy.port, head).expect("an answer")
}

// ROUTE-4
#[test]
fn an_unknown_host_gives_404() {
    let backend = Backend::says("known");
    let rest = cluster("app", &[backend.port]) + "[[route]]\nhost = \"a.example\"\nto = \"app\"\n";
    let proxy = Setup::new(rest).start();
    assert_eq!(ask(&proxy, "GET", "a.example", "/").status, 200);
    assert_eq!(ask(&proxy, "GET", "b.example", "/").status, 404);
    let records = proxy.records(2);
    assert_eq!(records[1].status(), 404);
    assert_eq!(records[1].text("ended_by"), "proxy");
    assert_eq!(backend.requests(), 1);
}

// ROUTE-2, ROUTE-3: the most specific wins, whatever the order.
#[test]
fn the_most_specific_route_wins() {
    let names = ["any", "wild", "exact", "prefix", "deep", "path", "post"];
    let bodies: Vec<Backend> = names.iter().map(|name| Backend::says(name)).collect();
    let mut rest: String =
        names.iter().zip(&bodies).map(|(name, backend)| cluster(name, &[backend.port])).collect();
    for (key, to) in [
        ("", "any"),
        ("host = \"*.example.com\"", "wild"),
        ("host = \"www.example.com\"", "exact"),
        ("host = \"www.example.com\"\npath = \"/api\"", "prefix"),
        ("host = \"www.example.com\"\npath = \"/api/v2\"", "deep"),
        ("host = \"www.example.com\"\npath_exact = \"/api/v2/it\"", "path"),
        ("host = \"www.example.com\"\npath = \"/api\"\nmethods = [\"POST\"]", "post"),
    ] {
        rest.push_str(&format!("[[route]]\n{key}\nto = \"{to}\"\n"));
    }
    let proxy = Setup::new(rest).start();
    for (method, host, target, expected) in [
        ("GET", "other.org", "/", "any"),
        ("GET", "a.example.com", "/", "wild"),
        // One label only.
        ("GET", "a.b.example.com", "/", "any"),
        ("GET", "example.com", "/", "any"),
        ("GET", "www.example.com", "/", "exact"),
        ("GET", "WWW.Example.COM:8080", "/", "exact"),
        ("GET", "www.example.com.", "/", "exact"),
        ("GET", "www.example.com", "/api", "prefix"),
        ("GET", "www.example.com", "/api/v1?q=/api/v2", "prefix"),
        // Segment bounds.
        ("GET", "www.example.com", "/apis", "exact"),
        ("GET", "www.example.com", "/api/v2/x", "deep"),
        ("GET", "www.example.com", "/api/v2/it", "path"),
        // Normalised for matching.
        ("GET", "www.example.com", "/x/../%61pi/./v2/it", "path"),
        ("POST", "www.example.com", "/api", "post"),
    ] {
        let said = ask(&proxy, method, host, target).text();
        assert_eq!(said, expected, "{method} {host} {target}");
    }
}

// ROUTE-3: forwarded as it came.
#[test]
fn a_target_is_forwarded_as_it_came() {
    let backend = Backend::echo();
    let proxy = Setup::to(&[backend.port]).start();
    for target in ["/a/../b", "/%61?x=%2e%2E", "//double//", "/?"] {
        assert_eq!(ask(&proxy, "GET", "a", target).text(), target);
    }
}

// ROUTE-1
#[test]
fn redirects_and_fixed_answers() {
    let proxy = Setup::new(
        "[[route]]\nhost = \"old.example\"\nredirect = { status = 301, host = \"new.example\" }\n\
         [[route]]\nhost = \"tls.example\"\nredirect = { status = 308, scheme = \"https\" }\n\
         [[route]]\nhost = \"tea.example\"\nanswer = { status = 418 }\n",
    )
    .start();
    let moved = ask(&proxy, "GET", "old.example", "/p?q=1");
    assert_eq!((moved.status, moved.field("Location")), (301, Some("http://new.example/p?q=1")));
    let tls = ask(&proxy, "GET", "tls.example", "/p?q=1");
    assert_eq!((tls.status, tls.field("Location")), (308, Some("https://tls.example/p?q=1")));
    assert_eq!(ask(&proxy, "GET", "tea.example", "/").status, 418);
}

// ROUTE-1: bound to a listener.
#[test]
fn a_route_may_be_bound_to_a_listener() {
    let port = crate::proxy::free_port();
    let proxy = Setup::new(format!(
        "[listener.second]\nbind = \"127.0.0.1:{port}\"\n\
         [[route]]\nlistener = \"second\"\nanswer = {{ status = 202 }}\n\
         [[route]]\nanswer = {{ status = 200 }}\n"
    ))
    .start();
    let get = crate::client::get("/");
    assert_eq!(raw_once(port, &get).expect("an answer").status, 202);
    assert_eq!(raw_once(proxy.port, &get).expect("an answer").status, 200);
}
