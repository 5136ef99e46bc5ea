//! Regular expressions of routes: how they are compiled, and that each is compiled once.

use super::Router;
use regex::bytes::{Regex, RegexBuilder};
use std::collections::BTreeMap;

/// Bytes that a compiled regular expression, and the cache of its automaton, take at most.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// What makes an expression one of the whole path.
const AROUND: [&str; 2] = [r"\A(?:", r")\z"];

/// Expressions by pattern. A configuration's check compiles them, its router takes them over, and
/// so does the next configuration of `Proxy::apply`: to compile one costs more than all else of a
/// route.
#[derive(Default)]
pub(crate) struct Expressions {
    made: BTreeMap<Box<str>, Regex>,
}

impl Expressions {
    /// Those of the routes that are in service.
    pub(crate) fn of(router: &Router) -> Expressions {
        let pattern = |regex: &Regex| {
            let [before, behind] = AROUND;
            Some(regex.as_str().strip_prefix(before)?.strip_suffix(behind)?.into())
        };
        let regexes = router.parts.regexes.iter();
        let made = regexes.filter_map(|regex| Some((pattern(regex)?, regex.clone()))).collect();
        Expressions { made }
    }

    /// The expression for `pattern`.
    ///
    /// # Errors
    /// Why it does not compile, with the place in the pattern.
    pub(crate) fn get(&mut self, pattern: &str) -> Result<Regex, Box<str>> {
        if let Some(regex) = self.made.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = regex(pattern)?;
        self.made.insert(pattern.into(), regex.clone());
        Ok(regex)
    }
}

/// Compiles a route's regular expression: bytes, ASCII classes, anchored at both ends.
///
/// # Errors
/// Why it does not compile, with the place in the pattern.
pub(super) fn regex(pattern: &str) -> Result<Regex, Box<str>> {
    // Read alone first: `a)|(b` must not become legal by what is put around it.
    let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
    parser.parse(pattern).map_err(|error| error.to_string().into_boxed_str())?;
    let [before, behind] = AROUND;
    RegexBuilder::new(&format!("{before}{pattern}{behind}"))
        .unicode(false)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| error.to_string().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    // ROUTE-2: an expression matches whole paths, whatever its pattern does to what is around it.
    #[test]
    fn an_expression_is_of_the_whole_path_and_no_more() {
        let mut expressions = Expressions::default();
        let either = expressions.get("/a|/b").expect("a good one");
        assert!(either.is_match(b"/a") && either.is_match(b"/b"));
        assert!(!either.is_match(b"/a/b") && !either.is_match(b"x/b"));
        for pattern in ["/a)|(/b", "(open", "[", "(?x) # no end", r"\pL"] {
            assert!(expressions.get(pattern).is_err(), "{pattern}");
        }
        assert!(expressions.get("(a{1000}){1000}").is_err(), "too large");
    }

    // Compiled once: what is in service is taken over, by its pattern.
    #[test]
    fn what_a_router_has_is_not_compiled_again() {
        let patterns = ["/a|/b", "/r/[0-9]*", r"\A(?:x)\z"];
        let mut router = Router::default();
        router.parts.regexes = patterns.map(|it| regex(it).expect("a good one")).into();
        let mut expressions = Expressions::of(&router);
        let names: Vec<&str> = expressions.made.keys().map(|pattern| &**pattern).collect();
        assert_eq!(names, ["/a|/b", "/r/[0-9]*", r"\A(?:x)\z"]);
        for pattern in patterns {
            let (again, anew) = (expressions.get(pattern), regex(pattern));
            assert_eq!(again.map(|it| it.to_string()), anew.map(|it| it.to_string()));
        }
        assert_eq!(expressions.made.len(), patterns.len());
    }
}
