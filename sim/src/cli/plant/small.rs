//! `plant --shrink`: how small the case of a planted bug becomes, and whether a fresh process sees
//! it break the same rule.

use super::super::BROKEN;
use super::super::shrink::Measured;
use super::tree::output;
use serde::Serialize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Seconds that shrinking may take: nobody waits longer for the first look at a failure.
const BUDGET: u64 = 60;
/// What a process may take beyond that: the first run, the last, and a candidate at work.
const GRACE: Duration = Duration::from_secs(60);

/// A shrunk case.
#[derive(Serialize, Clone, Debug)]
pub(super) struct Small {
    #[serde(flatten)]
    pub(super) measured: Measured,
    /// A replay of the case's file, in a process of its own, breaks the same rule.
    pub(super) replays: bool,
}

impl Small {
    /// The line below the row of its bug.
    pub(super) fn line(&self) -> String {
        let Measured { before, actions, events, attempts, seconds, .. } = &self.measured;
        let end = if self.replays { "replays" } else { "DOES NOT REPLAY" };
        format!(
            "\n    shrunk: {before} -> {actions} actions, {events} events, {attempts} attempts in \
             {seconds:.1} s; {end}"
        )
    }
}

/// Lets `binary`, which has a bug, shrink `seed` and replay what is left; files go to `place`.
///
/// # Errors
/// Says in words which process failed, and how.
pub(super) fn shrink(binary: &Path, seed: u64, place: &Path) -> Result<Small, String> {
    let (case, json) = (place.join("small.case.sim"), place.join("small.json"));
    let mut command = Command::new(binary);
    command.args(["shrink", &seed.to_string(), &format!("--budget={BUDGET}s")]);
    command.arg("-o").arg(&case).arg("--json").arg(&json).stdout(Stdio::null());
    let shrunk = output(command, Duration::from_secs(BUDGET) + GRACE)?;
    if shrunk.status.code() != Some(BROKEN.into()) {
        return Err(format!("shrink {seed} ended with {}", shrunk.status));
    }
    let text = std::fs::read(&json).map_err(|error| format!("{}: {error}", json.display()))?;
    let measured: Measured = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let mut command = Command::new(binary);
    command.arg("replay").arg(&case).stdout(Stdio::piped());
    let replayed = output(command, GRACE)?;
    let said = String::from_utf8_lossy(&replayed.stdout);
    let broken = format!("{} {}:", measured.group, measured.rule);
    let replays = replayed.status.code() == Some(BROKEN.into())
        && said.lines().any(|line| line.starts_with(&broken));
    Ok(Small { measured, replays })
}

/// The line below the table.
pub(super) fn summary(all: &[&Small]) -> String {
    let mut actions: Vec<u64> = all.iter().map(|small| small.measured.actions).collect();
    actions.sort_unstable();
    let mut seconds: Vec<f64> = all.iter().map(|small| small.measured.seconds).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    let replay = all.iter().filter(|small| small.replays).count();
    let (Some(&most), Some(&longest)) = (actions.last(), seconds.last()) else {
        return String::new();
    };
    let (median, middle) = (actions[actions.len() / 2], seconds[seconds.len() / 2]);
    format!(
        "\n{} shrunk to {median} actions in the median, {most} at most, in {middle:.1} s in the \
         median, {longest:.1} s at most; {replay} replay in a fresh process",
        all.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(actions: u64, seconds: f64, replays: bool) -> Small {
        let measured = Measured {
            seed: 6,
            group: "bytes".into(),
            rule: "RES-2".into(),
            before: 200,
            actions,
            events: 30,
            attempts: 900,
            seconds,
        };
        Small { measured, replays }
    }

    #[test]
    fn the_summary_is_the_middle_and_the_worst() {
        let all = [small(9, 2.0, true), small(4, 9.0, true), small(30, 3.0, false)];
        let text = summary(&all.iter().collect::<Vec<_>>());
        assert!(text.contains("3 shrunk to 9 actions in the median, 30 at most"), "{text}");
        assert!(text.contains("3.0 s in the median, 9.0 s at most; 2 replay"), "{text}");
        assert!(all[2].line().contains("200 -> 30 actions") && all[2].line().contains("NOT"));
        assert_eq!(summary(&[]), "");
    }
}
