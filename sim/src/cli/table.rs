//! The table of reach: which marks how many seeds reached, and which too few.

use super::report::{Reached, Totals};
use crate::marks::Mark;
use crate::marks::quotas::{self, Quota, Standing};
use std::io::Write;

/// One mark's line.
struct Row {
    name: String,
    reached: Reached,
    quota: Quota,
    standing: Standing,
}

/// Every mark against its quota, those that were missed first.
pub(crate) struct Reach {
    seeds: u64,
    rows: Vec<Row>,
}

impl Reach {
    /// Holds the marks of `totals` against their quotas.
    ///
    /// # Errors
    /// `quotas.txt` does not fit the catalogue.
    pub(crate) fn new(totals: &Totals) -> Result<Reach, String> {
        let seeds = totals.seeds;
        let rows = Mark::all().zip(&totals.marks).zip(quotas::all()?);
        let mut rows: Vec<Row> = rows
            .map(|((mark, &reached), quota)| {
                let standing = quota.standing(reached.seeds, seeds);
                Row { name: mark.name(), reached, quota, standing }
            })
            .collect();
        rows.sort_by_key(|row| row.standing);
        Ok(Reach { seeds, rows })
    }

    /// The marks that too few seeds reached, with what was asked of them, and those that were
    /// reached though nobody can: something is there that nobody knows.
    pub(crate) fn missed(&self) -> Vec<String> {
        let told = |row: &Row| match (row.standing, &row.quota) {
            (Standing::Missed, quota) => {
                let needed = quota.needed(self.seeds);
                Some(format!("{}: {} seeds of {needed}", row.name, row.reached.seeds))
            }
            (Standing::Surprise, Quota::Never(why)) => {
                Some(format!("{}: {} seeds, though {why}", row.name, row.reached.seeds))
            }
            _ => None,
        };
        self.rows.iter().filter_map(told).collect()
    }

    fn count(&self, standing: Standing) -> usize {
        self.rows.iter().filter(|row| row.standing == standing).count()
    }

    /// Prints the table on `out`. `judges`: whether the quotas count in this run.
    ///
    /// # Errors
    /// When nobody reads it.
    pub(crate) fn print(&self, out: &mut impl Write, judges: bool) -> std::io::Result<()> {
        writeln!(
            out,
            "\n{:<58} {:>8} {:>11} {:>8} {:>8}",
            "mark", "seeds", "visits", "%", "quota %"
        )?;
        let never = |row: &&Row| row.standing != Standing::Never;
        for row in self.rows.iter().filter(never) {
            let share = row.reached.seeds as f64 * 100.0 / self.seeds.max(1) as f64;
            let quota = match row.quota {
                Quota::Share(share) => format!("{:.3}", share as f64 * 100.0 / quotas::OF as f64),
                Quota::Never(_) => "never".into(),
            };
            let word = match row.standing {
                Standing::Missed if judges => "MISSED",
                Standing::Missed => "below",
                Standing::Surprise if judges => "MISSED, since it was reached",
                Standing::Surprise => "not expected",
                Standing::TooRare => "too few seeds",
                Standing::Met | Standing::Never => "ok",
            };
            let Row { name, reached: Reached { seeds, visits }, .. } = row;
            writeln!(out, "{name:<58} {seeds:>8} {visits:>11} {share:>8.3} {quota:>8} {word}")?;
        }
        let (all, never) = (self.rows.len(), self.count(Standing::Never));
        let (missed, rare) = (self.missed().len(), self.count(Standing::TooRare));
        let met = self.count(Standing::Met);
        writeln!(
            out,
            "\nmarks            {:>12}   and {never} that cannot be reached",
            all - never
        )?;
        writeln!(out, "      met        {met:>12}")?;
        writeln!(out, "      too rare   {rare:>12}   for {} seeds", self.seeds)?;
        let word = if judges { "" } else { "   (not judged in this run)" };
        writeln!(out, "      missed     {missed:>12}{word}")?;
        for missed in self.missed().iter().filter(|_| judges) {
            writeln!(out, "MISSED {missed}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What nobody can reach and somebody did is missed like what too few reach.
    #[test]
    fn a_mark_that_cannot_be_reached_is_missed_when_it_is() {
        let mut totals = Totals { seeds: 1_000_000, ..Totals::default() };
        let name = "tunnel: other end";
        let is_told = |totals: &Totals| {
            let missed = Reach::new(totals).expect("quotas").missed();
            missed.iter().any(|it| it.starts_with(&format!("{name}: 1 seeds, though")))
        };
        assert!(!is_told(&totals));
        let place = Mark::all().position(|mark| mark.name() == name).expect("a mark");
        totals.marks[place] = Reached { seeds: 1, visits: 1 };
        assert!(is_told(&totals));
    }
}
