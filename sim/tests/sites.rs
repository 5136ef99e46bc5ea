//! The list of all sites, by which a case with a name that does not exist is refused.

use std::collections::BTreeSet;
use std::path::Path;
use tidegate_sim::choice::{OMITTED, sites};
use tidegate_sim::swarm::{Fault, Operation};
use tidegate_sim::world::{Options, run};

/// Puts the names that `source` gives to places into `drawn`, or `omitted`.
fn named(source: &str, drawn: &mut BTreeSet<String>, omitted: &mut BTreeSet<String>) {
    // What is drawn in tests is drawn in no run.
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    for (at, word) in source.match_indices("site!(") {
        let rest = source[at + word.len()..].trim_start();
        let Some(name) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
            continue;
        };
        let is_omission = source[..at].trim_end().ends_with("omits(");
        let names = if is_omission { &mut *omitted } else { &mut *drawn };
        names.insert(name.to_string());
    }
}

fn sources(dir: &Path, with: &mut dyn FnMut(&str)) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "tests" || name == "tests.rs" {
            continue;
        }
        if path.is_dir() {
            sources(&path, with);
        } else if name.ends_with(".rs") {
            with(&std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn every_site_is_in_the_list_and_nothing_else_is() {
    let (mut drawn, mut omitted) = (BTreeSet::new(), BTreeSet::new());
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&dir, &mut |source| named(source, &mut drawn, &mut omitted));
    assert!(drawn.len() > 200, "{drawn:?}");
    drawn.extend(Fault::ALL.iter().map(|it| it.site().name.to_string()));
    drawn.extend(Operation::ALL.iter().map(|it| it.site().name.to_string()));
    let listed: BTreeSet<String> = sites().map(str::to_string).collect();
    let missing: Vec<_> = drawn.difference(&listed).collect();
    assert!(missing.is_empty(), "put into sim/src/choice/sites.txt: {missing:?}");
    let gone: Vec<_> = listed.difference(&drawn).collect();
    assert!(gone.is_empty(), "take out of sim/src/choice/sites.txt: {gone:?}");
    assert_eq!(omitted, OMITTED.map(str::to_string).into());
}

// Whatever a run draws can be changed by a case.
#[test]
fn every_draw_of_a_run_is_at_a_listed_site() {
    let listed: BTreeSet<&str> = sites().collect();
    for seed in 0..6 {
        let outcome = run(seed, Options { records: true, ..Options::default() });
        assert!(outcome.draws.len() > 100);
        let mut draws = outcome.draws.iter().map(|draw| draw.site);
        assert_eq!(draws.find(|site| !listed.contains(site)), None);
    }
}
