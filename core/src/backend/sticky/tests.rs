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
fn set_cookie_has_the_attributes() {
    assert_eq!(set_cookie("tg_app", "a", false), "tg_app=a; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(set_cookie("c", "a", true), "c=a; Path=/; HttpOnly; SameSite=Lax; Secure");
}
