//! Every rule that a checker can name has a text for `explain`.

use std::path::Path;
use tidegate_sim::rules::text;

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
