//! The copy of the tree that bugs are planted in: one place, one target directory, one bug at a
//! time, so that only what a patch touches, and what depends on it, is built again.

use super::super::hunt::Bag;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How the copy is built: `sim` with its assertions, but optimised less. A build takes a third of
/// the time then, and a seed half as long again: cheaper in all up to some 5,000 seeds.
const CHEAPER: [&str; 4] = [
    "profile.sim.opt-level=1",
    "profile.sim.codegen-units=256",
    "profile.sim.debug=0",
    "profile.sim.incremental=true",
];
/// How often a child is looked after.
const POLL: Duration = Duration::from_millis(20);

/// The root of the tree that the current directory lies in.
pub(crate) fn root() -> Result<PathBuf, String> {
    let here = std::path::absolute(".").map_err(|error| error.to_string())?;
    let is_root = |dir: &&Path| dir.join("sim/Cargo.toml").is_file() && dir.join("core").is_dir();
    let found = here.ancestors().find(is_root).map(Path::to_path_buf);
    found.ok_or_else(|| format!("{} lies in no tree of Tidegate's sources", here.display()))
}

/// `git`, in `dir`, blind to any repository around it.
fn git(dir: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(dir).env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap_or(dir));
    git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
    git
}

/// `git apply` that asks for one line of context and no right line numbers: other edits nearby
/// must not get in the way.
fn apply(dir: &Path, options: &[&str], patch: &Path) -> Result<(), String> {
    let try_with = |more: &[&str]| {
        let mut git = git(dir);
        git.args(["apply", "-C1", "--whitespace=nowarn"]).args(more).args(options).arg(patch);
        succeed("git apply", &mut git).map(drop)
    };
    // A hunk that was edited by hand may count its lines wrong.
    try_with(&[]).or_else(|error| try_with(&["--recount"]).map_err(|_| error))
}

/// Whether `patch` would apply to the tree in `root`.
#[cfg(test)]
pub(crate) fn check(root: &Path, patch: &Path) -> Result<(), String> {
    apply(root, &["--check"], patch)
}

/// Runs `command` to its end; its output, or what it complained of last.
fn succeed(name: &str, command: &mut Command) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let all = String::from_utf8_lossy(&output.stderr);
    let is_error = |line: &&str| line.starts_with("error");
    let line = all.lines().find(is_error).or(all.lines().last()).unwrap_or_default();
    Err(format!("{name}: {line}"))
}

/// A copy of the tree; removed with it.
pub(crate) struct Copy {
    dir: PathBuf,
    target: PathBuf,
    lock: PathBuf,
}

impl Copy {
    /// Copies the files of `root` that git knows, or would, to `place`, where builds go, too.
    ///
    /// # Errors
    /// Another command is at work there, or a file cannot be copied.
    pub(crate) fn of(root: &Path, place: &Path) -> Result<Copy, String> {
        let (dir, lock) = (place.join("tree"), place.join("pid"));
        let say = |error: std::io::Error| format!("{}: {error}", place.display());
        std::fs::create_dir_all(place).map_err(say)?;
        if let Ok(pid) = std::fs::read_to_string(&lock)
            && is_ours(pid.trim())
        {
            return Err(format!("process {} plants bugs there already", pid.trim()));
        }
        std::fs::write(&lock, std::process::id().to_string()).map_err(say)?;
        let copy = Copy { dir, target: place.join("target"), lock };
        // Whoever was killed here left its copy behind.
        let _was_there = std::fs::remove_dir_all(&copy.dir);
        let mut ls = Command::new("git");
        ls.current_dir(root).args(["ls-files", "-z", "-co", "--exclude-standard"]);
        let listed = succeed("git ls-files", &mut ls)?;
        for name in String::from_utf8_lossy(&listed.stdout).split('\0') {
            let from = root.join(name);
            // What was deleted and is still known is not there to be copied.
            if !name.is_empty() && from.is_file() {
                copy_file(&from, &copy.dir.join(name)).map_err(|e| format!("{name}: {e}"))?;
            }
        }
        // What was built last had a bug in it, which these two, and all that is compiled with them,
        // may be too old to show.
        copy.age()?;
        Ok(copy)
    }

    /// Makes the next build compile everything of the tree's own.
    fn age(&self) -> Result<(), String> {
        for name in ["core/src/lib.rs", "sim/src/lib.rs"] {
            touch(&self.dir.join(name)).map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(())
    }

    /// The directory that the copy lies in, for other files of the command.
    pub(crate) fn place(&self) -> &Path {
        self.dir.parent().expect("the copy lies in a directory")
    }

    /// Builds the simulator without any bug. What a build that was killed left behind may be of no
    /// use: then once more, from the sources alone.
    ///
    /// # Errors
    /// The tree does not build by itself.
    pub(crate) fn build_sound(&self) -> Result<(), String> {
        if self.build().is_ok() {
            return Ok(());
        }
        let _removed_or_not = std::fs::remove_dir_all(self.target.join("sim/incremental"));
        self.age()?;
        self.build().map(drop)
    }

    /// Plants `patch`.
    ///
    /// # Errors
    /// It does not apply; nothing has changed then.
    pub(crate) fn plant(&self, patch: &Path) -> Result<(), String> {
        apply(&self.dir, &[], patch)
    }

    /// Undoes what [`Copy::plant`] did.
    ///
    /// # Errors
    /// It cannot: the copy is of no more use.
    pub(crate) fn uproot(&self, patch: &Path) -> Result<(), String> {
        apply(&self.dir, &["-R"], patch)
    }

    /// Builds the simulator, with whatever is planted; its binary.
    ///
    /// # Errors
    /// The first error of the compiler.
    pub(crate) fn build(&self) -> Result<PathBuf, String> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.dir).args(["build", "--quiet", "--profile", "sim"]);
        cargo.args(["-p", "tidegate-sim", "--bin", "tidegate-sim"]);
        for setting in CHEAPER {
            cargo.args(["--config", setting]);
        }
        cargo.env("CARGO_TARGET_DIR", &self.target).env("CARGO_TERM_COLOR", "never");
        cargo.env_remove("CARGO_INCREMENTAL");
        succeed("cargo build", &mut cargo)?;
        Ok(self.target.join("sim/tidegate-sim"))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _removed_or_not = std::fs::remove_dir_all(&self.dir);
        let _removed_or_not = std::fs::remove_file(&self.lock);
    }
}

/// Whether `pid` is a living process of this program.
fn is_ours(pid: &str) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    pid != std::process::id().to_string() && name.is_ok_and(|name| name.starts_with("tidegate-sim"))
}

/// Copies a file with its time of change, by which cargo knows what to build again.
fn copy_file(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(dir) = to.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::copy(from, to)?;
    let changed = std::fs::metadata(from)?.modified()?;
    std::fs::OpenOptions::new().append(true).open(to)?.set_modified(changed)
}

/// Makes a file look as if it had just been changed.
fn touch(path: &Path) -> std::io::Result<()> {
    let text = std::fs::read(path)?;
    std::fs::write(path, text)
}

/// What became of a hunt.
pub(crate) enum Hunted {
    /// It came to its end.
    Bag(Bag),
    /// It did not in the time it had: a run hangs in a turn that never ends.
    Hung,
}

/// Lets `binary` hunt with `args`, for `limit` at most.
///
/// # Errors
/// It cannot be started, or dies.
pub(crate) fn hunt(binary: &Path, args: &[String], limit: Duration) -> Result<Hunted, String> {
    let mut command = Command::new(binary);
    command.arg("hunt").arg("--leashed").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
    if !ends_within(&mut child, limit)? {
        return Ok(Hunted::Hung);
    }
    // One line fits into the pipe, so nobody had to read it before.
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let bag = serde_json::from_slice(&output.stdout);
    bag.map(Hunted::Bag).map_err(|error| format!("the hunt ended with {}: {error}", output.status))
}

/// Lets `command` run for `limit` at most; what it said, if its caller gave it a pipe, which must
/// hold all of it.
///
/// # Errors
/// It cannot be started, or does not end in time.
pub(crate) fn output(mut command: Command, limit: Duration) -> Result<Output, String> {
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    if !ends_within(&mut child, limit)? {
        return Err(format!("{command:?} does not end within {} s", limit.as_secs()));
    }
    child.wait_with_output().map_err(|error| error.to_string())
}

/// Whether `child` ends in time; it is killed if not.
fn ends_within(child: &mut Child, limit: Duration) -> Result<bool, String> {
    #[expect(clippy::disallowed_methods, reason = "a child lives in the real world")]
    let start = Instant::now();
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if start.elapsed() > limit {
            let _killed = child.kill();
            let _reaped = child.wait();
            return Ok(false);
        }
        #[expect(clippy::disallowed_methods, reason = "the command waits for a child")]
        std::thread::sleep(POLL);
    }
    Ok(true)
}

/// Says something on the terminal; whether it is there to hear it does not matter.
pub(crate) fn say(text: &str) {
    let _heard_or_not = writeln!(std::io::stdout(), "{text}");
}
