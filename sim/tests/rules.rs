//! Every rule that is cited anywhere has a text, for `explain` and for readers, and every text is
//! of a rule that a test cites.

use std::collections::BTreeSet;
use std::path::Path;
use tidegate_sim::oracle::Group;
use tidegate_sim::rules::all;

/// What a rule's number begins with.
const SUBJECTS: [&str; 11] =
    ["LOOP", "ACC", "SES", "REQ", "ROUTE", "BACK", "RES", "TUN", "PP", "TLS", "RUN"];

/// Rules of the simulator itself: two runs of a seed are the same (`cli/twins.rs`).
const OF_TWINS: [&str; 3] = ["BOTH-CIPHERS", "RECORDED", "SAME-SEED"];

/// The numbers of rules in `text`.
fn cited(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| is_rule(word)).map(str::to_string)
}

fn is_rule(word: &str) -> bool {
    word.split_once('-').is_some_and(|(subject, number)| {
        SUBJECTS.contains(&subject)
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Adds what the sources below `dir` cite: `in_tests` what stands in tests, `anywhere` all of it.
fn sources(dir: &Path, anywhere: &mut BTreeSet<String>, in_tests: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, anywhere, in_tests);
        } else if name.ends_with(".rs") {
            let source = std::fs::read_to_string(&path).expect("a source");
            anywhere.extend(cited(&source));
            let tests = path.iter().any(|part| part == "tests") || name.ends_with("tests.rs");
            // Small modules keep their tests at their end.
            let from = if tests { Some(0) } else { source.find("#[cfg(test)]\nmod tests {") };
            in_tests.extend(from.into_iter().flat_map(|from| cited(&source[from..])));
        }
    }
}

#[test]
fn every_rule_that_is_cited_has_one_text_and_every_text_is_of_a_rule_that_a_test_cites() {
    let (mut anywhere, mut in_tests) = (BTreeSet::new(), BTreeSet::new());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    sources(workspace, &mut anywhere, &mut in_tests);
    assert!(anywhere.len() > 60, "{anywhere:?}");
    let mut texts = BTreeSet::new();
    for (rule, text) in all().into_iter().filter(|(rule, _)| !OF_TWINS.contains(rule)) {
        assert!(is_rule(rule), "{rule} is no number of a rule");
        assert!(text.ends_with('.') && !text.contains("  "), "{rule}: {text:?}");
        assert!(texts.insert(rule.to_string()), "{rule} has two texts");
    }
    let without: Vec<&String> = anywhere.difference(&texts).collect();
    assert!(without.is_empty(), "no text in docs/rules.md: {without:?}");
    let unproven: Vec<&String> = texts.difference(&in_tests).collect();
    assert!(unproven.is_empty(), "no test cites {unproven:?}");
}

// Whatever a run can find broken can be explained.
#[test]
fn every_rule_that_a_checker_claims_has_a_text() {
    let texts: BTreeSet<&str> = all().into_iter().map(|(rule, _)| rule).collect();
    let claimed = Group::all().flat_map(Group::rules).map(|(rule, _)| *rule).chain(OF_TWINS);
    let without: Vec<&str> = claimed.filter(|rule| !texts.contains(rule)).collect();
    assert!(without.is_empty(), "{without:?}");
}
