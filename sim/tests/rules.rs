//! Every rule that can be found broken has a text for `explain`, and every text is of one of them.

use std::collections::BTreeSet;
use std::path::Path;
use tidegate_sim::oracle::Group;
use tidegate_sim::rules::{RULES, text};

/// Numbers of rules that stand in the literals of a source.
fn cited(source: &str) -> Vec<String> {
    let is_rule = |text: &&str| {
        let Some((name, number)) = text.split_once('-') else { return false };
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_uppercase())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    source.split('"').skip(1).step_by(2).filter(is_rule).map(str::to_string).collect()
}

fn sources(dir: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.extend(cited(&std::fs::read_to_string(&path).expect("a source")));
        }
    }
}

// Whatever a checker can name can be explained.
#[test]
fn every_rule_that_a_checker_names_has_a_text() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    all.sort();
    all.dedup();
    assert!(all.len() > 40, "{all:?}");
    let without: Vec<&String> = all.iter().filter(|rule| text(rule).is_none()).collect();
    assert!(without.is_empty(), "{without:?}");
}

/// Rules of the simulator itself: two runs of a seed are the same (`cli/twins.rs`).
const OF_TWINS: [&str; 3] = ["BOTH-CIPHERS", "RECORDED", "SAME-SEED"];

// A rule has one text, and no text is of a rule that nothing can find broken.
#[test]
fn every_text_is_of_a_rule_that_a_checker_claims_and_there_is_one_of_each() {
    let claimed = Group::all().flat_map(Group::rules).map(|(rule, _)| *rule).chain(OF_TWINS);
    let claimed: BTreeSet<&str> = claimed.collect();
    let mut texts = BTreeSet::new();
    for (rule, _) in RULES {
        assert!(texts.insert(*rule), "{rule} has two texts");
    }
    assert_eq!(texts, claimed);
}
