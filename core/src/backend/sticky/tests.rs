use super::*;
use crate::input::Address;

fn server(addr: &str, id: Option<&str>) -> Server {
    Server { id: id.map(Into::into), ..Server::new(Address::Ip(addr.parse().unwrap())) }
}

// BACK-8: the configured id, whatever the secret.
#[test]
fn an_id_is_the_value() {
    let a = server("10.0.0.1:80", Some("a-1.b_2"));
    assert_eq!(cookie_value(&a, "app", None).as_deref(), Some("a-1.b_2"));
    assert_eq!(cookie_value(&a, "app", Some(b"key")).as_deref(), Some("a-1.b_2"));
    let odd = server("10.0.0.1:80", Some("a b;%é"));
    assert_eq!(cookie_value(&odd, "app", None).as_deref(), Some("a%20b%3B%25%C3%A9"));
}

// BACK-8: HMAC of cluster and address; the expected bytes were computed with another library:
// python3 -c 'import hmac; print(hmac.digest(b"key", b"app\0" b"10.0.0.1:80", "sha256").hex())'
#[test]
fn without_an_id_it_is_a_mac_of_cluster_and_address() {
    let a = server("10.0.0.1:80", None);
    let value = cookie_value(&a, "app", Some(b"key")).unwrap();
    assert_eq!(&*value, "9ece27553c6b2e16791ecaf1e606a7c7");
    assert_eq!(cookie_value(&a, "app", None), None);
    let different = [
        cookie_value(&a, "app", Some(b"other")),
        cookie_value(&a, "ap", Some(b"key")),
        cookie_value(&server("10.0.0.1:81", None), "app", Some(b"key")),
    ];
    assert!(different.iter().all(|other| other.as_deref() != Some(&*value)));
}

// BACK-8
#[test]
fn the_first_cookie_of_the_name_is_found() {
    let cases: [(&str, Option<&str>); 14] = [
        ("tg_app=a", Some("a")),
        ("x=1; tg_app=a; y=2", Some("a")),
        ("x=1;tg_app=a;y=2", Some("a")),
        ("tg_app=a; tg_app=b", Some("a")),
        ("tg_app=; tg_app=b", Some("")),
        (" \t tg_app \t= \ta\t ", Some("a")),
        ("tg_app=a=b", Some("a=b")),
        ("xtg_app=a", None),
        ("tg_app2=a", None),
        ("TG_APP=a", None),
        ("tg_app", None),
        ("x=tg_app=a", None),
        ("", None),
        (";;; ; =", None),
    ];
    for (field, value) in cases {
        assert_eq!(find(field.as_bytes(), b"tg_app"), value.map(str::as_bytes), "{field}");
    }
}

// BACK-8: the cookie is not forwarded to the backend.
#[test]
fn the_other_pairs_are_kept_in_order() {
    let rest = |field: &str| {
        let kept: Vec<_> = others(field.as_bytes(), b"tg_app").collect();
        String::from_utf8(kept.join(&b"; "[..])).unwrap()
    };
    assert_eq!(rest("x=1; tg_app=a; y=2;tg_app=b;z"), "x=1; y=2; z");
    assert_eq!(rest("tg_app=a"), "");
    assert_eq!(rest("x=\"a b\" ; tg_apple=1"), "x=\"a b\"; tg_apple=1");
}

// BACK-8
#[test]
fn set_cookie_has_the_attributes() {
    assert_eq!(set_cookie("tg_app", "a", false), "tg_app=a; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(set_cookie("c", "a", true), "c=a; Path=/; HttpOnly; SameSite=Lax; Secure");
}
