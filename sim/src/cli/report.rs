//! Totals over many seeds, and how they are printed.

use crate::choice::mix;
use crate::world::Outcome;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

/// Sums over the seeds of one command.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) seeds: u64,
    pub(crate) events: u64,
    pub(crate) virtual_nanos: u128,
    pub(crate) requests: u64,
    pub(crate) completed: u64,
    pub(crate) healed_seeds: u64,
    pub(crate) twice: u64,
    /// Seeds run with the real cipher, and again with the stand-in.
    pub(crate) both: u64,
    /// Every seed's hash, in a sum that does not depend on their order.
    pub(crate) hash: u64,
    pub(crate) completed_by_seed: Vec<u32>,
    pub(crate) marks: BTreeMap<&'static str, (u64, u64)>,
}

impl Totals {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.hash = self.hash.wrapping_add(mix(outcome.hash ^ mix(outcome.seed)));
        self.virtual_nanos += u128::from(outcome.virtual_nanos);
        self.requests += outcome.requests;
        self.completed += outcome.completed;
        self.healed_seeds += u64::from(outcome.healed > 0);
        self.completed_by_seed.push(outcome.completed as u32);
        outcome.marks.merge_into(&mut self.marks);
    }

    fn median_completed(&self) -> u32 {
        let mut all = self.completed_by_seed.clone();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or(0)
    }

    /// The table at the end of a run.
    pub(crate) fn print(&self, out: &mut impl Write, took: Duration) -> std::io::Result<()> {
        let seconds = took.as_secs_f64().max(0.001);
        let per = |n: u64| n as f64 / seconds;
        let virtual_seconds = self.virtual_nanos as f64 / 1e9;
        writeln!(out, "seeds            {:>12}   {:>10.0} /s", self.seeds, per(self.seeds))?;
        writeln!(out, "events           {:>12}   {:>10.0} /s", self.events, per(self.events))?;
        let completed = per(self.completed);
        writeln!(out, "requests begun   {:>12}", self.requests)?;
        writeln!(out, "       completed {:>12}   {completed:>10.0} /s", self.completed)?;
        writeln!(out, "       median    {:>12}   a seed", self.median_completed())?;
        let healed = self.healed_seeds * 100 / self.seeds.max(1);
        writeln!(out, "served healed    {:>12}   {healed:>10} % of seeds", self.healed_seeds)?;
        writeln!(out, "run twice        {:>12}", self.twice)?;
        writeln!(out, "both ciphers     {:>12}", self.both)?;
        writeln!(out, "hash of all      {:>16x}", self.hash)?;
        let ratio = virtual_seconds / seconds;
        let density = self.events as f64 / virtual_seconds.max(1e-9);
        writeln!(out, "virtual time     {virtual_seconds:>11.0}s   {ratio:>10.0} : 1")?;
        writeln!(out, "events           {density:>12.1}   a virtual second")?;
        writeln!(out, "\nmark                                              seeds       visits")?;
        for (name, (seeds, visits)) in &self.marks {
            writeln!(out, "{name:<46} {seeds:>8} {visits:>12}")?;
        }
        Ok(())
    }

    /// The same for machines.
    pub(crate) fn json(&self, took: Duration, failures: &[u64]) -> serde_json::Value {
        let marks: BTreeMap<_, _> = self
            .marks
            .iter()
            .map(|(name, (seeds, visits))| (*name, json!({"seeds": seeds, "visits": visits})))
            .collect();
        json!({
            "seeds": self.seeds,
            "events": self.events,
            "requests": self.requests,
            "completed": self.completed,
            "completed_median": self.median_completed(),
            "healed_seeds": self.healed_seeds,
            "run_twice": self.twice,
            "both_ciphers": self.both,
            "hash": format!("{:016x}", self.hash),
            "seconds": took.as_secs_f64(),
            "virtual_seconds": self.virtual_nanos as f64 / 1e9,
            "failures": failures,
            "marks": marks,
        })
    }
}
