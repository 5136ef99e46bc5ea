//! Swarms of which only what somebody names is left.

use super::{Actor, Fault, Operation, of_controller};
use crate::choice::{Change, Site, What};
use crate::site;

/// The draws that leave of the swarm what `names` lists, and have that in every seed: they take
/// precedence over the seed's own. An unknown name is an error, with the names that there are.
pub fn only(names: &[&str]) -> Result<Vec<Change>, String> {
    let all =
        || Fault::ALL.iter().map(|it| it.name()).chain(Operation::ALL.iter().map(|it| it.name()));
    for &name in names {
        if !all().any(|known| known == name) {
            return Err(unknown(name, all()));
        }
    }
    let is_named = |name: &str| names.contains(&name);
    let has_control = of_controller().any(|it| is_named(it.name()));
    // Coins are drawn among a hundred: the lowest is off, the highest on.
    let coin = |site: Site, is_on: bool| {
        Change::new(site.name, What::One(0, 0), if is_on { 99 } else { 0 })
    };
    let mut draws =
        vec![coin(site!("swarm/faultless"), false), coin(site!("swarm/controlled"), has_control)];
    draws.extend(Fault::ALL.iter().map(|it| coin(it.site(), is_named(it.name()))));
    // Who names faults alone keeps what clients and servers do.
    let keeps = !Operation::ALL.iter().any(|it| is_named(it.name()));
    draws.extend(
        Operation::ALL
            .iter()
            .filter(|it| !keeps || it.actor() == Actor::Controller)
            .map(|it| coin(it.site(), is_named(it.name()))),
    );
    Ok(draws)
}

fn unknown<'a>(name: &str, all: impl Iterator<Item = &'a str> + Clone) -> String {
    let nearest = all.clone().min_by_key(|known| distance(name, known));
    let hint = match nearest.filter(|known| distance(name, known) <= 3) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("there are: {}", all.collect::<Vec<_>>().join(", ")),
    };
    format!("`{name}` is no fault and no operation; {hint}")
}

/// How many letters have to be put in, taken out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, &b) in other.iter().enumerate() {
            let replaced = corner + usize::from(a != b);
            corner = std::mem::replace(&mut row[j + 1], 0);
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::{Choices, Rate, Source};
    use crate::swarm::Swarm;

    fn changed(seed: u64, changes: &[Change]) -> Swarm {
        let source = Source::Changed(changes.iter().collect());
        Swarm::draw(&mut Choices::new(seed, source), false)
    }

    #[test]
    fn only_what_is_named_is_on_and_always() {
        let draws = only(&["clog", "slow-head", "reload"]).expect("known names");
        for seed in 0..200 {
            let swarm = changed(seed, &draws);
            assert_eq!(swarm.faults, 1 << Fault::Clog as u64 | 1 << Fault::SlowHead as u64);
            assert_eq!(swarm.operations, 1 << Operation::Reload as u64);
            assert!(swarm.rates.of(Fault::SlowHead) != Rate::NEVER && !swarm.is_faultless);
        }
        let faults_alone = only(&["clog"]).expect("a known name");
        let all = (0..200).map(|seed| changed(seed, &faults_alone));
        let uses = all.filter(|swarm| swarm.uses(Operation::Pipeline)).count();
        assert!((20..180).contains(&uses), "clients go on as they do: {uses}");
    }

    #[test]
    fn unknown_names_are_errors_that_help() {
        let error = only(&["clogs"]).expect_err("no such name");
        assert!(error.contains("did you mean `clog`"), "{error}");
        let error = only(&["weather"]).expect_err("no such name");
        assert!(error.contains("swizzle-clog") && error.contains("reload"), "{error}");
        assert_eq!((distance("", "abc"), distance("kitten", "sitting")), (3, 3));
    }
}
