//! Names in ClientHellos (TLS-5). Everything that needs a connection is in the property tests.

use super::hello::{Hello, read};

/// A ClientHello's body with these extensions.
fn body(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[2, 1, 1]);
    body.extend_from_slice(&[0, 2, 0x13, 0x01]);
    body.extend_from_slice(&[1, 0]);
    let mut all = Vec::new();
    for (kind, content) in extensions {
        all.extend_from_slice(&kind.to_be_bytes());
        all.extend_from_slice(&(content.len() as u16).to_be_bytes());
        all.extend_from_slice(content);
    }
    body.extend_from_slice(&(all.len() as u16).to_be_bytes());
    body.extend_from_slice(&all);
    body
}

fn message(body: &[u8]) -> Vec<u8> {
    let mut message = vec![1];
    message.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend_from_slice(body);
    message
}

/// `message` in records of `size` bytes at most.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for content in message.chunks(size) {
        all.extend_from_slice(&[22, 3, 1]);
        all.extend_from_slice(&(content.len() as u16).to_be_bytes());
        all.extend_from_slice(content);
    }
    all
}

fn named(name: &[u8]) -> Vec<u8> {
    let mut list = vec![0];
    list.extend_from_slice(&(name.len() as u16).to_be_bytes());
    list.extend_from_slice(name);
    let mut content = (list.len() as u16).to_be_bytes().to_vec();
    content.extend_from_slice(&list);
    content
}

fn hello(extensions: &[(u16, &[u8])], size: usize) -> Vec<u8> {
    records(&message(&body(extensions)), size)
}

// TLS-5: the name is found in any number of records and reads, before and behind other extensions.
#[test]
fn the_name_is_found_however_the_hello_is_cut() {
    let name = named(b"a.example");
    let scratch = &mut Vec::new();
    for size in [1, 3, 50, 1000] {
        let whole = hello(&[(10, b"x"), (0, &name), (43, b"yy")], size);
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut], scratch), Hello::More, "{cut} of {}", whole.len());
        }
        let mut more = whole.clone();
        more.extend_from_slice(b"anything");
        for bytes in [whole, more] {
            assert_eq!(read(&bytes, scratch), Hello::Name(b"a.example"));
        }
    }
}

// TLS-5: a hello without a name is one all the same.
#[test]
fn a_hello_may_have_no_name() {
    let scratch = &mut Vec::new();
    assert_eq!(read(&hello(&[(10, b"x")], 1000), scratch), Hello::Nameless);
    let mut bare = body(&[]);
    bare.truncate(bare.len() - 2);
    assert_eq!(read(&records(&message(&bare), 1000), scratch), Hello::Nameless);
}

// TLS-5: what can never become a ClientHello is told at once, and no length leads beyond its end.
#[test]
fn what_is_no_hello_is_told_at_once() {
    let scratch = &mut Vec::new();
    let name = named(b"a.example");
    let good = message(&body(&[(0, &name)]));
    let mut overlong = message(&body(&[]));
    overlong[1] = 1;
    let mut bad_list = name.clone();
    bad_list[1] += 1;
    let mut bad_kind = name.clone();
    bad_kind[2] = 1;
    let bad: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\n",
        &[22, 2],
        &[22, 3, 1, 0, 0],
        &[22, 3, 1, 0x40, 1],
        &records(&[2, 0, 0, 0], 10),
        &records(&overlong, 1000),
        &hello(&[(0, &bad_list)], 1000),
        &hello(&[(0, &bad_kind)], 1000),
        &hello(&[(0, &named(b""))], 1000),
    ];
    for bytes in bad {
        assert_eq!(read(bytes, scratch), Hello::NotTls, "{bytes:?}");
    }
    // Every byte of a good one, changed in every bit, is read to some end without a panic.
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut changed = good.clone();
            changed[at] ^= 1 << bit;
            read(&records(&changed, 1000), scratch);
        }
    }
}
