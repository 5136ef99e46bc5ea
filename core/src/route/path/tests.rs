use super::*;

fn norm(path: &str) -> String {
    let mut scratch = b"left over".to_vec();
    String::from_utf8(normalise(path.as_bytes(), &mut scratch).to_vec()).unwrap()
}

// ROUTE-3: dot segments (RFC 3986 5.2.4) and percent-encoded unreserved characters, nothing else.
#[test]
fn paths_are_normalised() {
    let cases = [
        ("/", "/"),
        ("", "/"),
        ("*", "*"),
        ("/a/b.c/..d/e../.f", "/a/b.c/..d/e../.f"),
        ("/...", "/..."),
        ("/.", "/"),
        ("/..", "/"),
        ("/./", "/"),
        ("/../../a", "/a"),
        ("/a/b/c/./../../g", "/a/g"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a//../b", "/a/b"),
        ("//..", "/"),
        ("//./b", "//b"),
        ("/a//b/", "/a//b/"),
        ("/%61%7Eb%2d%5f%2E", "/a~b-_."),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e", "/"),
        ("/%2e", "/"),
        ("/a%2Fb/%2f..", "/a%2Fb/%2f.."),
        ("/a/%2e%2e%2fb", "/a/..%2fb"),
        ("/%2561", "/%2561"),
        ("/%", "/%"),
        ("/%6", "/%6"),
        ("/%zz%6g/.", "/%zz%6g/"),
        ("/%+1/.", "/%+1/"),
        ("/%e9", "/%e9"),
    ];
    for (path, expected) in cases {
        assert_eq!(norm(path), expected, "{path}");
        assert_eq!(norm(expected), expected, "twice: {path}");
    }
}

// The fast path that only looks, and the slow path that rewrites, agree on every short path.
#[test]
fn looking_and_rewriting_agree() {
    let alphabet = ["/", ".", "a", "%2e", "%2f", "%"];
    let mut paths = vec![String::from("/")];
    for _ in 0..6 {
        let longer = paths.iter().flat_map(|path| alphabet.map(|next| format!("{path}{next}")));
        paths = longer.chain([String::from("/")]).collect();
        for path in &paths {
            let mut written = Vec::new();
            rewrite(path.as_bytes(), &mut written);
            assert_eq!(needs_work(path.as_bytes()), written != path.as_bytes(), "{path}");
            assert!(!needs_work(&written), "{path}");
        }
    }
}

// ROUTE-1: prefixes end on segment bounds, and a configured trailing slash is ignored.
#[test]
fn prefixes_end_on_segment_bounds() {
    for prefix in ["/api", "/api/", "/x/../api/", "/%61pi"] {
        let key = prefix_key(prefix);
        assert_eq!(&*key, b"/api");
        for below in ["/api", "/api/", "/api/x", "/api//"] {
            assert!(is_below(below.as_bytes(), &key), "{below}");
        }
        for other in ["/apix", "/ap", "/", "*", "/x/api", "/API"] {
            assert!(!is_below(other.as_bytes(), &key), "{other}");
        }
    }
    for path in ["/", "/x", "*"] {
        assert!(is_below(path.as_bytes(), &prefix_key("/")), "{path}");
    }
}
