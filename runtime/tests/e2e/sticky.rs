//! Sticky sessions (BACK-8).

use crate::backend::Backend;
use crate::client::{Response, raw_once};
use crate::proxy::{Proxy, Setup};

fn names(field: &str) -> String {
    field.split(';').next().unwrap_or_default().trim().to_string()
}

fn ask(proxy: &Proxy, cookie: &str) -> Response {
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{cookie}Connection: close\r\n\r\n");
    raw_once(proxy.port, request).expect("an answer")
}

/// Answers with a name and the Cookie field that came.
fn server(name: &'static str) -> Backend {
    Backend::start(move |exchange| {
        let cookie = exchange.field("Cookie").unwrap_or("none").to_string();
        exchange.ok(&format!("{name} {cookie}"))
    })
}

fn check(rest: impl Fn(&[Backend]) -> String) {
    let mut servers = vec![server("a"), server("b")];
    let proxy = Setup::new(rest(&servers)).start();
    let first = ask(&proxy, "");
    let set = first.field("Set-Cookie").expect("a cookie").to_string();
    for part in ["tg_app=", "; Path=/", "; HttpOnly", "; SameSite=Lax"] {
        assert!(set.contains(part), "{part} is not in {set}");
    }
    assert!(!set.contains("Secure") && !set.contains("127.0.0.1"), "{set}");
    let (cookie, home) = (names(&set), first.text()[..1].to_string());
    for _ in 0..6 {
        let again = ask(&proxy, &format!("x=1; {cookie}; y=2"));
        assert_eq!(again.field("Set-Cookie"), None, "the value has not changed");
        // The backend sees the client's cookies and not the proxy's.
        assert_eq!(again.text(), format!("{home} x=1; y=2"));
    }
    servers[usize::from(home == "b")].kill();
    let moved = ask(&proxy, &cookie);
    assert_eq!(moved.status, 200);
    assert_ne!(moved.text()[..1], home[..]);
    let new = names(moved.field("Set-Cookie").expect("a new cookie"));
    assert_ne!(new, cookie);
    // A forged value is no server's.
    let forged = ask(&proxy, "tg_app=forged");
    assert_eq!((forged.status, forged.field("Set-Cookie").is_some()), (200, true));
}

#[test]
fn a_cookie_names_a_server_by_its_id() {
    check(|servers| {
        format!(
            "[cluster.app]\nsticky = true\nservers = [{{ addr = \"127.0.0.1:{}\", id = \"one\" }}, \
             {{ addr = \"127.0.0.1:{}\", id = \"two\" }}]\n[[route]]\nto = \"app\"\n",
            servers[0].port, servers[1].port
        )
    });
}

#[test]
fn workers_and_restarts_agree_on_a_secret_cookie() {
    let dir = crate::proxy::Dir::new();
    let secret = dir.path("secret");
    std::fs::write(&secret, "a secret of at least thirty-two bytes").expect("a file");
    let top = format!("sticky_secret = \"file:{}\"\n", secret.display());
    let servers = [server("a"), server("b")];
    let rest = format!(
        "[cluster.app]\nsticky = true\nservers = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\n\
         [[route]]\nto = \"app\"\n",
        servers[0].port, servers[1].port
    );
    let proxy = Setup::new(&rest).top(&top).start();
    let first = ask(&proxy, "");
    let cookie = names(first.field("Set-Cookie").expect("a cookie"));
    drop(proxy);
    let mut setup = Setup::new(&rest).top(&top);
    setup.workers = 2;
    let proxy = setup.start();
    for _ in 0..8 {
        let again = ask(&proxy, &cookie);
        assert_eq!(again.field("Set-Cookie"), None);
        assert_eq!(again.text()[..1], first.text()[..1]);
    }
}
