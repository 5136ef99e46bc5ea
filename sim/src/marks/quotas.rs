//! What share of the seeds must reach each mark.
//!
//! `quotas.txt` holds one line for each mark: how many of 100,000 seeds must reach it, a third of
//! what was seen when it was measured (`tidegate-sim quotas`), or `never` and why. A third leaves
//! room for what is drawn otherwise by the next change of the world; a mark whose code is gone is
//! reached by none.

use super::{COUNT, Mark};
use std::collections::BTreeMap;

/// Quotas are shares of so many seeds.
pub const OF: u64 = 100_000;
/// A run of fewer seeds is not judged.
pub const SEEDS_MIN: u64 = 10_000;
/// What was measured is so many times the quota.
pub const MARGIN: u64 = 3;

const TEXT: &str = include_str!("quotas.txt");

/// What is asked of one mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Quota {
    /// So many of [`OF`] seeds must reach it.
    Share(u64),
    /// It cannot be reached, for this reason.
    Never(String),
}

/// How a mark stands against its quota.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// Too few seeds reached it.
    Missed,
    /// It was reached, though it is said that it cannot be.
    Surprise,
    /// There were too few seeds to say.
    TooRare,
    /// Enough seeds reached it.
    Met,
    /// It cannot be reached, and was not.
    Never,
}

impl Quota {
    /// How many of `seeds` seeds must reach it; none where luck alone could keep them away.
    ///
    /// Seeds are independent, so the number that reach a mark scatters by the root of what is
    /// expected. Five such roots below it lies less than one run in a million.
    pub fn needed(&self, seeds: u64) -> u64 {
        let Quota::Share(share) = self else { return 0 };
        let quota = share.saturating_mul(seeds) / OF;
        let expected = share.saturating_mul(seeds).saturating_mul(MARGIN) / OF;
        let scatter = 5 * expected.isqrt() + 5;
        match quota.min(expected.saturating_sub(scatter)) {
            0 if expected >= 15 => 1,
            needed => needed,
        }
    }

    /// How a mark stands that `reached` of `seeds` seeds reached.
    pub fn standing(&self, reached: u64, seeds: u64) -> Standing {
        match (self, self.needed(seeds)) {
            (Quota::Never(_), _) if reached > 0 => Standing::Surprise,
            (Quota::Never(_), _) => Standing::Never,
            (_, needed) if reached < needed => Standing::Missed,
            (_, 0) if reached == 0 => Standing::TooRare,
            _ => Standing::Met,
        }
    }
}

/// The quota of each mark, in the order of the catalogue.
///
/// # Errors
/// A line that is none, a mark without quota, a quota without mark.
pub fn all() -> Result<Vec<Quota>, String> {
    let mut known = read(TEXT)?;
    let mut quotas = Vec::with_capacity(COUNT);
    for mark in Mark::all() {
        let name = mark.name();
        let quota = known.remove(&*name);
        quotas.push(quota.ok_or_else(|| format!("quotas.txt: nothing for the mark {name:?}"))?);
    }
    match known.into_keys().next() {
        Some(name) => Err(format!("quotas.txt: there is no mark {name:?}")),
        None => Ok(quotas),
    }
}

fn read(text: &str) -> Result<BTreeMap<&str, Quota>, String> {
    let mut quotas = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let wrong = || format!("quotas.txt: {line:?}");
        let mut parts = line.split('\t');
        let (share, name) = (parts.next(), parts.next().ok_or_else(wrong)?);
        let quota = match (share, parts.next()) {
            (Some("never"), Some(why)) if !why.is_empty() => Quota::Never(why.into()),
            (Some(share), None) => match share.parse() {
                Ok(share) if share > 0 => Quota::Share(share),
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        if quotas.insert(name, quota).is_some() {
            return Err(format!("quotas.txt: {name:?} twice"));
        }
    }
    Ok(quotas)
}

/// The text of `quotas.txt` as `reached`, in the order of the catalogue, of `seeds` seeds would
/// have it; reasons are kept. A mark that was not reached and has no reason gets 0, which the next
/// build refuses: the world must learn to reach it, or the reason be told.
pub fn renewed(reached: &[u64], seeds: u64) -> Result<String, String> {
    let known = read(TEXT)?;
    let mut lines: Vec<String> = Vec::new();
    for (mark, &reached) in Mark::all().zip(reached) {
        let name = mark.name();
        let share = reached * OF / (seeds.max(1) * MARGIN);
        lines.push(match known.get(&*name) {
            Some(Quota::Never(why)) if reached == 0 => format!("never\t{name}\t{why}\n"),
            _ if reached > 0 => format!("{}\t{name}\n", share.max(1)),
            _ => format!("0\t{name}\n"),
        });
    }
    Ok(format!("{HEADING}{}", lines.concat()))
}

const HEADING: &str = "\
# How many of 100,000 seeds must reach each mark, or `never` and why. Written by
#     tidegate-sim run --seeds 0..100000 --marks show --json run.json
#     tidegate-sim quotas run.json
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_has_a_quota_or_a_reason() {
        let quotas = all().expect("quotas.txt");
        let shares = quotas.iter().filter(|quota| matches!(quota, Quota::Share(_))).count();
        assert!(shares >= 150, "{shares}");
    }

    #[test]
    fn wrong_lines_are_refused() {
        for text in ["5", "x\tname", "0\tname", "never\tname", "never\tname\t", "1\ta\n2\ta"] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert_eq!(read("# note\n\n7\ta: b").expect("a line")["a: b"], Quota::Share(7));
    }

    #[test]
    fn luck_does_not_fail_a_run_and_loss_does() {
        let often = Quota::Share(30_000);
        assert_eq!(often.needed(20_000), 6_000);
        assert_eq!(often.standing(5_999, 20_000), Standing::Missed);
        assert_eq!(often.standing(6_000, 20_000), Standing::Met);
        let rare = Quota::Share(30);
        assert_eq!(rare.needed(20_000), 1, "18 are expected");
        assert_eq!(rare.standing(0, 20_000), Standing::Missed);
        assert_eq!(rare.standing(1, 20_000), Standing::Met);
        let rarer = Quota::Share(10);
        assert_eq!(rarer.standing(0, 20_000), Standing::TooRare, "6 are expected");
        assert_eq!(rarer.standing(0, 1_000_000), Standing::Missed);
        let never = Quota::Never("because".into());
        assert_eq!(never.standing(0, 1_000_000), Standing::Never);
        assert_eq!(never.standing(1, 10), Standing::Surprise);
    }
}
