//! `case.sim`: one failing run, written down so that it can be replayed.

use crate::choice::Draw;
use crate::world::Outcome;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The version of the format.
const FORMAT: u32 = 1;

/// One failing run.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq)]
pub struct Case {
    /// Version of this format.
    pub format: u32,
    /// Commit of the build, if known.
    pub commit: String,
    /// The seed.
    pub seed: u64,
    /// The trace hash at the end, in hexadecimal.
    pub hash: String,
    /// The checker's group.
    pub group: String,
    /// The rule that was broken.
    pub rule: String,
    /// What was seen.
    pub message: String,
    /// The event at which it was seen.
    pub event: u64,
    /// Draws that take precedence over the seed: (key, counter, value).
    pub draws: Vec<(u64, u32, u64)>,
}

impl Case {
    /// The case of a run that broke a rule.
    pub fn of(outcome: &Outcome) -> Option<Case> {
        let violation = outcome.violation.as_ref()?;
        Some(Case {
            format: FORMAT,
            commit: commit(),
            seed: outcome.seed,
            hash: format!("{:016x}", outcome.hash),
            group: violation.breach.group.into(),
            rule: violation.breach.rule.into(),
            message: violation.breach.message.clone(),
            event: violation.event,
            draws: outcome.draws.iter().map(|draw| (draw.key, draw.count, draw.value)).collect(),
        })
    }

    /// The draws that the replay must follow.
    pub fn draws(&self) -> Vec<Draw> {
        self.draws.iter().map(|&(key, count, value)| Draw { key, count, value }).collect()
    }

    /// Writes the case into `dir`; the file's path.
    pub fn write(&self, dir: &Path) -> Result<PathBuf, String> {
        let path = dir.join(format!("{}.case.sim", self.seed));
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Reads the case in the file at `path`.
    pub fn read(path: &Path) -> Result<Case, String> {
        let say = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| say(error.to_string()))?;
        let case: Case = serde_json::from_str(&text).map_err(|error| say(error.to_string()))?;
        if case.format != FORMAT {
            return Err(say(format!("format {}, this build reads {FORMAT}", case.format)));
        }
        Ok(case)
    }
}

/// The commit of the tree that is worked in, or `unknown`.
pub(super) fn commit() -> String {
    let asked = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output();
    let known = asked.ok().filter(|output| output.status.success());
    known.map_or_else(|| "unknown".into(), |o| String::from_utf8_lossy(&o.stdout).trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{Breach, Violation};
    use crate::world::{Options, run};

    #[test]
    fn a_case_is_written_read_and_replayed() {
        let mut outcome = run(11, Options { records: true, ..Options::default() });
        assert_eq!(Case::of(&outcome), None, "nothing broke");
        let breach = Breach { group: "bytes", rule: "RES-2", message: "a \"test\"".into() };
        outcome.violation = Some(Violation { breach, event: 5, at: 7 });
        let case = Case::of(&outcome).expect("a case");
        let path = case.write(&std::env::temp_dir()).expect("a file");
        let read = Case::read(&path);
        std::fs::remove_file(&path).expect("the file is there");
        let read = read.expect("a case");
        assert_eq!(read, case);
        let again = run(read.seed, Options { draws: Some(read.draws()), ..Options::default() });
        assert_eq!(format!("{:016x}", again.hash), read.hash);
    }
}
