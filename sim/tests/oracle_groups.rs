//! The oracle's table of groups is the truth: what checkers say, what it lists, what the heads of
//! their files state and what has been seen to fire are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tidegate_sim::oracle::Group;

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below `dir`, in order.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The text without line breaks and what rustfmt puts around them.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(")
}

/// The group that `GROUP` stands for in a file: its own constant, or that of the module from which
/// it is imported.
fn group_of(path: &Path, text: &str) -> Option<String> {
    if let Some((_, rest)) = text.split_once("const GROUP: Group = Group::") {
        return rest.split(';').next().map(str::to_string);
    }
    let import = flat(text);
    let uses = import.split("use super::").skip(1).find(|found| {
        found.split(';').next().is_some_and(|names| names.contains("::") && names.contains("GROUP"))
    })?;
    let module = uses.split("::").next()?;
    let sibling = path.with_file_name(format!("{module}.rs"));
    group_of(&sibling, &read(&sibling))
}

/// Every (group's variant, rule) that a checker can say is broken, with its file.
fn claims() -> BTreeMap<(String, String), BTreeSet<PathBuf>> {
    let mut found = Vec::new();
    files(&sources(), &mut found);
    found.retain(|path| !path.ends_with("oracle/groups.rs"));
    found.retain(|path| !path.ends_with("oracle/tests.rs"));
    found.retain(|path| !path.starts_with(sources().join("oracle/tests")));
    let mut claims: BTreeMap<_, BTreeSet<PathBuf>> = BTreeMap::new();
    for path in found {
        let text = read(&path);
        let flat = flat(&text);
        let calls = flat.split("breach(").skip(1).filter_map(|call| {
            let (group, rest) = call.split_once(", ")?;
            Some((group.to_string(), rest.to_string()))
        });
        let direct = flat.split("Breach { group: ").skip(1).filter_map(|call| {
            let (group, rest) = call.split_once(".name(), rule: ")?;
            Some((group.to_string(), rest.to_string()))
        });
        for (group, rest) in calls.chain(direct) {
            let variant = match group.as_str() {
                "GROUP" => group_of(&path, &text),
                other => other.rsplit("Group::").next().map(str::to_string),
            };
            let rule = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
            let (Some(variant), Some(rule)) = (variant, rule) else {
                // The function's own signature.
                assert!(
                    group.contains(": Group"),
                    "{}: breach({group}, {rest:.40}",
                    path.display()
                );
                continue;
            };
            claims.entry((variant, rule.to_string())).or_default().insert(path.clone());
        }
    }
    claims
}

#[test]
fn checkers_claim_what_the_table_lists_and_nothing_else() {
    let claims = claims();
    let listed: BTreeSet<(String, String)> = Group::all()
        .flat_map(|group| group.rules().iter().map(move |(rule, _)| (group, rule)))
        .map(|(group, rule)| (format!("{group:?}"), (*rule).to_string()))
        .collect();
    let claimed: BTreeSet<(String, String)> = claims.keys().cloned().collect();
    assert_eq!(claimed, listed);
    for ((group, rule), paths) in &claims {
        let group = Group::all().find(|known| format!("{known:?}") == *group).expect("a group");
        for path in paths {
            let is_its = group.files().iter().any(|file| path.ends_with(Path::new(file)));
            assert!(is_its, "{} speaks for {group:?} ({rule})", path.display());
        }
    }
}

/// The rules with a sentence each that the comment at the head of a file states.
fn stated(path: &Path) -> BTreeMap<String, String> {
    let text = read(path);
    let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let head = head.join("\n");
    let items = head.split("\n - ").skip(1).filter_map(|item| {
        flat(item)
            .split_once(": ")
            .map(|(rule, says)| (rule.to_string(), says.trim_end_matches('.').to_string()))
    });
    items.collect()
}

#[test]
fn the_head_of_a_checkers_file_states_its_rules_as_the_table_does() {
    let claims = claims();
    let files: BTreeSet<&str> = Group::all().flat_map(|group| group.files()).copied().collect();
    for file in files {
        let path = sources().join("oracle").join(file);
        let mut checked = BTreeMap::new();
        for ((variant, rule), _) in claims.iter().filter(|(_, paths)| paths.contains(&path)) {
            let group = Group::all().find(|known| format!("{known:?}") == *variant);
            let says = group.and_then(|group| group.says(rule)).unwrap_or_default();
            checked.insert(rule.clone(), says.to_string());
        }
        assert_eq!(stated(&path), checked, "{file}");
    }
}

/// A source without its comments, in which nothing fires.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The (group, rule) pairs that stand last among the arguments of calls of `fires`, `breaks` and
/// `holds`, which judges the rows of a table: one of them must be a wrong one, and say `false`.
fn fired(code: &str) -> BTreeSet<(String, String)> {
    let has_wrong_rows = |before: &str| {
        let function = before.rfind("fn ").map_or(before, |start| &before[start..]);
        function.contains("false")
    };
    let calls = ["fires(", "breaks(", "holds("].into_iter().flat_map(|call| {
        let places = code.match_indices(call).map(|(at, _)| (at, at + call.len()));
        places.filter(move |&(at, _)| call != "holds(" || has_wrong_rows(&code[..at]))
    });
    calls.filter_map(|(_, rest)| last_two(arguments(&code[rest..]))).collect()
}

/// What stands before the parenthesis that closes a call. No literal of the tests has one that is
/// not closed in itself.
fn arguments(rest: &str) -> &str {
    let mut depth = 1;
    let end = rest.find(|letter| {
        depth += match letter {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    end.map_or("", |end| &rest[..end])
}

/// The last two arguments of a call, where both are literals.
fn last_two(arguments: &str) -> Option<(String, String)> {
    let literal = |text: &str| Some(text.trim().strip_prefix('"')?.strip_suffix('"')?.to_string());
    let mut backwards = arguments.trim_end().trim_end_matches(',').rsplitn(3, ',');
    let (rule, group) = (backwards.next()?, backwards.next()?);
    Some((literal(group)?, literal(rule)?))
}

// Calls alone count: a comment that names a rule, or a literal somewhere else, shows nothing.
#[test]
fn what_fires_is_read_from_calls() {
    let text = r#"
        // lab.fires("bytes", "RES-2");
        let about = ("bytes", "RES-3");
        lab.fires("bytes", "REQ-8");
        breaks(
            judge(a, (b, c)),
            "metamorphic",
            "REQ-1",
        );
        fires(&view(all));
        fn one() { for is_right in [true] { holds(it, is_right, "accept", "ACC-9"); } }
        fn two() { for is_right in [true, false] { holds(it, is_right, "accept", "ACC-10"); } }"#;
    let pair = |group: &str, rule: &str| (group.to_string(), rule.to_string());
    let found = BTreeSet::from([
        pair("bytes", "REQ-8"),
        pair("metamorphic", "REQ-1"),
        pair("accept", "ACC-10"),
    ]);
    assert_eq!(fired(&code(text)), found);
}

#[test]
fn every_rule_of_every_group_was_seen_to_fire() {
    let mut found = vec![sources().join("oracle/tests.rs")];
    files(&sources().join("oracle/tests"), &mut found);
    let all: BTreeSet<_> = found.iter().flat_map(|path| fired(&code(&read(path)))).collect();
    let mut silent = Vec::new();
    for group in Group::all() {
        for (rule, _) in group.rules() {
            if !all.contains(&(group.name().to_string(), (*rule).to_string())) {
                silent.push(format!("{} {rule}", group.name()));
            }
        }
    }
    assert!(silent.is_empty(), "no doctored ledger makes these fire: {silent:?}");
    for (name, rule) in &all {
        let group = Group::named(name);
        assert!(group.is_some_and(|it| it.says(rule).is_some()), "{name} claims no {rule}");
    }
}

/// A rule that the product's own sources and tests never cite is none.
#[test]
fn the_rules_exist() {
    let mut found = Vec::new();
    for member in ["core", "runtime", "proptests"] {
        files(&sources().join("../..").join(member), &mut found);
    }
    let text: String = found.iter().map(|path| read(path)).collect();
    let words: BTreeSet<&str> =
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
    for group in Group::all() {
        for (rule, says) in group.rules() {
            assert!(words.contains(rule), "{group:?} names {rule}, which nothing else does");
            assert!(!says.ends_with('.') && says.len() > 10, "{group:?} {rule}: {says:?}");
        }
    }
}
