//! A planted bug: a patch with a header that says what it breaks.
//!
//! ```text
//! Group: retry, matching
//! Rule: BACK-3
//! Story: what went wrong where, in our words;
//!   it may go on for several lines.
//!
//! --- a/core/src/...
//! ```

use crate::oracle::GROUPS;
use std::path::{Path, PathBuf};

/// One patch, and what its header says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Plant {
    /// The file's name without `.patch`.
    pub(crate) name: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// Groups one of whose checkers must fire; empty if there is no header: then any may.
    pub(crate) groups: Vec<String>,
    /// The rule that is broken, if the header says so.
    pub(crate) rule: String,
    /// Where such a bug has been, if the header says so.
    pub(crate) story: String,
}

impl Plant {
    /// The patches of `dir`, in the order of their names.
    ///
    /// # Errors
    /// The directory cannot be read or holds no patch, or a header is unsound.
    pub(crate) fn all(dir: &Path) -> Result<Vec<Plant>, String> {
        let say = |error: std::io::Error| format!("{}: {error}", dir.display());
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(say)? {
            let path = entry.map_err(say)?.path();
            let is_patch = path.extension().is_some_and(|end| end == "patch" || end == "diff");
            if is_patch && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        if paths.is_empty() {
            return Err(format!("{}: no *.patch or *.diff", dir.display()));
        }
        paths.iter().map(|path| Plant::read(path)).collect()
    }

    fn read(path: &Path) -> Result<Plant, String> {
        let say = |error: String| format!("{}: {error}", path.display());
        let bytes = std::fs::read(path).map_err(|error| say(error.to_string()))?;
        let path = std::path::absolute(path).map_err(|error| say(error.to_string()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&bytes);
        let plant = Plant { name, path: path.clone(), ..Plant::parse(&text).map_err(say)? };
        Ok(plant)
    }

    /// Reads the header in front of the first line of the diff.
    fn parse(text: &str) -> Result<Plant, String> {
        let mut plant = Plant::default();
        let is_diff = |line: &str| line.starts_with("diff ") || line.starts_with("--- ");
        let mut in_story = false;
        for line in text.lines().take_while(|line| !is_diff(line)) {
            if let Some(groups) = line.strip_prefix("Group: ") {
                plant.groups = groups.split(',').map(|group| group.trim().to_string()).collect();
            } else if let Some(rule) = line.strip_prefix("Rule: ") {
                plant.rule = rule.trim().into();
            } else if let Some(story) = line.strip_prefix("Story: ") {
                plant.story = story.trim().into();
                in_story = true;
                continue;
            } else if in_story && line.starts_with("  ") {
                plant.story.push(' ');
                plant.story.push_str(line.trim());
                continue;
            }
            in_story = false;
        }
        match plant.groups.iter().find(|group| !GROUPS.contains(&group.as_str())) {
            Some(group) => Err(format!("no group {group:?}; there are {}", GROUPS.join(", "))),
            None => Ok(plant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::plant::tree;
    use crate::oracle::Group;

    const TEXT: &str = "Group: retry, bytes\nRule: BACK-3\nStory: it was\n  long ago\n\n--- a/x\n";

    #[test]
    fn a_header_is_read_or_refused() {
        let plant = Plant::parse(TEXT).expect("a header");
        assert_eq!(plant.groups, ["retry", "bytes"]);
        assert_eq!((&*plant.rule, &*plant.story), ("BACK-3", "it was long ago"));
        assert_eq!(Plant::parse("--- a/x\nGroup: nonsense\n"), Ok(Plant::default()));
        assert!(Plant::parse("Group: nonsense\n--- a/x\n").is_err());
    }

    /// Whether a checker of one of the groups can report `rule`.
    fn is_claimed(groups: &[String], rule: &str) -> bool {
        groups.iter().any(|name| Group::named(name).and_then(|group| group.says(rule)).is_some())
    }

    #[test]
    fn a_rule_belongs_to_a_group() {
        let groups = ["bytes".to_string(), "framing".to_string()];
        assert!(is_claimed(&groups, "RES-2") && is_claimed(&groups, "RES-1"));
        assert!(!is_claimed(&groups, "TUN-1") && !is_claimed(&groups, "no rule"));
    }

    // Patches do not rot: each applies to this tree, and says what it breaks, and every group of
    // the oracle has one.
    #[test]
    fn planted_bugs_apply_to_this_tree_and_say_what_they_break() {
        let root = tree::root().expect("the tests run in the tree");
        let plants = Plant::all(&root.join(super::super::DIR)).expect("patches with headers");
        let mut complaints = Vec::new();
        for plant in &plants {
            let Plant { name, groups, rule, story, .. } = plant;
            if groups.is_empty() || rule.is_empty() || story.len() < 40 {
                complaints.push(format!("{name}: a header needs Group, Rule and Story"));
            }
            if !is_claimed(groups, rule) {
                complaints.push(format!("{name}: no checker of {groups:?} reports {rule}"));
            }
            if let Err(error) = tree::check(&root, &plant.path) {
                complaints.push(format!("{name}: {error}"));
            }
        }
        // Those that nobody finds yet are kept to be found.
        let unfound = Plant::all(&root.join("sim/unfound")).expect("patches with headers");
        for Plant { name, path, .. } in &unfound {
            if let Err(error) = tree::check(&root, path) {
                complaints.push(format!("{name}: {error}"));
            }
        }
        for group in GROUPS.iter().filter(|group| !super::super::UNPLANTED.contains(group)) {
            if !plants.iter().any(|plant| plant.groups.first().is_some_and(|it| it == group)) {
                complaints.push(format!("no patch breaks {group} in the first place"));
            }
        }
        assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
        assert!(plants.len() >= 32, "{} patches", plants.len());
    }
}
