//! The reference of all keys, as Markdown.

use super::keys::{Fallback, keys};
use std::fmt::Write;

const INTRODUCTION: &str = "# Configuration

<!-- Made from runtime/src/config/keys/ by TIDEGATE_BLESS=1 cargo test -p tidegate -->

Tidegate reads one TOML file, `./tidegate.toml` unless `-c FILE` names another. `tidegate check`
shows every mistake in it at once, and `tidegate check --print` shows it with every default.

- An unknown key is an error.
- Spans of time are strings with a unit: `\"500ms\"`, `\"10s\"`, `\"1m\"`, `\"1h\"`, `\"7d\"`.
- Sizes are strings with a unit: `\"512B\"`, `\"16KiB\"`, `\"10MB\"`.
- Relative paths start at the file's directory.
- SIGHUP reads the file again and applies it whole, or not at all. `workers`, `max_connections`,
  `zombie_check_interval`, `max_session_age`, `accept_queue`, `buffers` and `[log]` hold until a
  restart: a file that changes them is not applied.
";

/// The page `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut section = None;
    for key in keys() {
        // What has a table of its own in the reference is found there.
        if key.section != section.unwrap_or("-") {
            section = Some(key.section);
            let _ = write!(page, "\n## {}\n\n", title(key.section));
            page.push_str("| key | default | example | |\n|---|---|---|---|\n");
        }
        let fallback = match key.fallback {
            Fallback::Is(value) => format!("`{value}`"),
            Fallback::Means(words) => words.to_owned(),
            Fallback::Required => "required".to_owned(),
        };
        let name = key.name;
        let _ = writeln!(page, "| `{name}` | {fallback} | `{}` | {} |", key.example, key.doc);
    }
    page
}

fn title(section: &str) -> String {
    match section {
        "" => "The top of the file".to_owned(),
        "listener" | "cluster" => format!("`[{section}]`"),
        "route[]" => "`[[route]]`".to_owned(),
        "route[].redirect" => "`redirect` of a `[[route]]`".to_owned(),
        "route[].answer" => "`answer` of a `[[route]]`".to_owned(),
        "cluster.NAME.servers[]" => "A table in `servers` of `[cluster.NAME]`".to_owned(),
        section => format!("`[{section}]`"),
    }
}
