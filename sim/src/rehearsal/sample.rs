//! Requests that routes are made for.

use regex_syntax::hir::{Class, Hir, HirKind};
use tidegate_core::config::{HostPattern, PathRule};

/// Repetitions of what may come any number of times.
const REPEATS_MAX: u32 = 3;
/// The host of requests to routes for any host.
pub(super) const ANY_HOST: &str = "rehearsal.example";

/// Hosts that `pattern` may match, the likeliest first.
pub(super) fn hosts(pattern: &HostPattern) -> Vec<String> {
    match pattern {
        HostPattern::Any => vec![ANY_HOST.into(), "localhost".into()],
        HostPattern::Exact(host) => vec![host.to_string()],
        HostPattern::Wildcard(suffix) => {
            let suffix = suffix.trim_start_matches('.');
            vec![format!("www.{suffix}"), format!("rehearsal.{suffix}")]
        }
    }
}

/// Paths that `rule` may match, the likeliest first.
pub(super) fn paths(rule: &PathRule) -> Vec<String> {
    match rule {
        PathRule::Any => vec!["/".into(), "/rehearsal".into()],
        PathRule::Exact(path) => vec![path.to_string()],
        PathRule::Prefix(prefix) => {
            let slash = if prefix.ends_with('/') { "" } else { "/" };
            vec![format!("{prefix}{slash}rehearsal"), prefix.to_string()]
        }
        PathRule::Regex(pattern) => matching(pattern).into_iter().collect(),
    }
}

/// Something that `pattern` matches, if that is easily found.
fn matching(pattern: &str) -> Option<String> {
    let mut parser = regex_syntax::ParserBuilder::new();
    let parsed = parser.unicode(false).utf8(false).build().parse(pattern).ok()?;
    let mut found = Vec::new();
    write(&parsed, &mut found)?;
    let found = String::from_utf8(found).ok()?;
    found.bytes().all(|byte| (0x21..0x7f).contains(&byte)).then_some(found)
}

fn write(hir: &Hir, into: &mut Vec<u8>) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(()),
        HirKind::Literal(literal) => {
            into.extend_from_slice(&literal.0);
            Some(())
        }
        HirKind::Class(class) => {
            into.push(one_of(class)?);
            Some(())
        }
        HirKind::Repetition(repetition) => {
            let max = repetition.max.unwrap_or(REPEATS_MAX);
            let times = repetition.min.max(1).min(max);
            (0..times).try_for_each(|_| write(&repetition.sub, into))
        }
        HirKind::Capture(capture) => write(&capture.sub, into),
        HirKind::Concat(all) => all.iter().try_for_each(|sub| write(sub, into)),
        HirKind::Alternation(all) => all.first().and_then(|sub| write(sub, into)),
    }
}

/// A byte of the class that a path may hold: a letter or a digit if there is one.
fn one_of(class: &Class) -> Option<u8> {
    let has = |byte: &u8| match class {
        Class::Bytes(bytes) => bytes.iter().any(|r| (r.start()..=r.end()).contains(byte)),
        Class::Unicode(chars) => {
            chars.iter().any(|r| (r.start()..=r.end()).contains(&char::from(*byte)))
        }
    };
    let plain = b'a'..=b'z';
    let others = (b'0'..=b'9').chain(b'A'..=b'Z').chain(*b"-._~/");
    plain.chain(others).find(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_get_something_they_match() {
        for (pattern, path) in [
            ("/users/[0-9]+/avatar", Some("/users/0/avatar")),
            ("/(a|b)/x?.*", Some("/a/xa")),
            ("/[^/]{2}", Some("/aa")),
            ("/static/.+\\.(js|css)", Some("/static/a.js")),
            ("/\\s", None),
            ("(", None),
        ] {
            assert_eq!(matching(pattern).as_deref(), path, "{pattern}");
        }
    }

    #[test]
    fn hosts_and_paths_lie_in_their_patterns() {
        assert_eq!(hosts(&HostPattern::Wildcard("b.example".into()))[0], "www.b.example");
        assert_eq!(paths(&PathRule::Prefix("/api".into()))[0], "/api/rehearsal");
        assert_eq!(paths(&PathRule::Prefix("/api/".into()))[0], "/api/rehearsal");
    }
}
