//! `tidegate-sim lift`, and the replay of what it wrote.

use super::{BROKEN, CLEAN, LiftArgs, ReplayArgs, files, panics, usage};
use crate::flight::{Contents, Results, contents, replay_all};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tidegate_core::flight::{Case, Chain, Damage, Difference, Player};
use tidegate_core::time::Time;

/// Bytes of a recording at most: twice the largest ring that `tidegate serve --record` takes.
const BYTES_MAX: u64 = 2 << 30;
/// Bytes that tell whether a file is a recording.
const HEAD_BYTES: u64 = 16;

/// Shows what a recording holds and writes the case; the exit code.
pub(crate) fn lift(args: &LiftArgs) -> u8 {
    let case = match read(&args.recording) {
        Ok(case) => case,
        Err(error) => return usage(&error),
    };
    // Whoever only looks wants no file.
    let is_written = args.output.is_some() || !(args.list || args.trace);
    let path = args.output.clone().unwrap_or_else(|| case_path(&args.recording, args.session));
    let written = [("-o", is_written.then_some(&*path))];
    if let Err(why) = files::distinct(&[("what is lifted", &args.recording)], &written) {
        return usage(&why);
    }
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{}", case.about);
    let _ = write!(out, "{}", table(&contents(&case)));
    if args.list {
        case.chains.iter().for_each(|chain| drop(writeln!(out, "{}", line(chain))));
    }
    let is_wanted = |chain: &Chain| {
        chain.flaw.is_none() && args.session.is_none_or(|session| serial(chain) == Some(session))
    };
    if let Some(session) = args.session {
        let Some(chain) = case.chains.iter().find(|chain| serial(chain) == Some(session)) else {
            return usage(&format!(
                "session {session} does not begin in this recording; see them all with --list"
            ));
        };
        if args.trace {
            chain.lines().for_each(|line| drop(writeln!(out, "{line}")));
        }
        if let Some(flaw) = chain.flaw {
            return usage(&format!("session {session} is not replayable: {}", flaw.name()));
        }
    }
    if !is_written {
        return CLEAN;
    }
    if !case.chains.iter().any(is_wanted) {
        let _ = writeln!(out, "nothing to replay");
        return CLEAN;
    }
    if let Err(error) = std::fs::write(&path, case.write(is_wanted)) {
        return usage(&format!("{}: {error}", path.display()));
    }
    let _ = writeln!(out, "replay with: tidegate-sim replay {}", path.display());
    CLEAN
}

/// Reads the recording at `path`, of [`BYTES_MAX`] at most; the inner error tells that it is none,
/// of which no more than [`HEAD_BYTES`] were read.
#[expect(clippy::disallowed_types, reason = "the command reads files")]
fn begun(path: &Path) -> Result<Result<Case, Damage>, String> {
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = std::fs::File::open(path).map_err(say)?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(HEAD_BYTES).read_to_end(&mut bytes).map_err(say)?;
    if matches!(Case::read(&bytes), Err(Damage::NotARecording)) {
        return Ok(Err(Damage::NotARecording));
    }
    let size = file.metadata().map_err(say)?.len();
    if size > BYTES_MAX {
        let path = path.display();
        return Err(format!("{path}: {size} bytes, and no recording has more than {BYTES_MAX}"));
    }
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(say)?;
    Ok(Case::read(&bytes))
}

/// Whether the file at `path` begins as recordings do.
pub(super) fn is_recording(path: &Path) -> bool {
    matches!(begun(path), Ok(result) if !matches!(result, Err(Damage::NotARecording)))
}

fn read(path: &Path) -> Result<Case, String> {
    begun(path)?.map_err(|damage| format!("{}: {damage}", path.display()))
}

fn case_path(recording: &Path, session: Option<u64>) -> PathBuf {
    match session {
        Some(session) => recording.with_extension(format!("{session}.case")),
        None => recording.with_extension("case"),
    }
}

fn serial(chain: &Chain) -> Option<u64> {
    chain.start.as_ref().map(|start| start.serial)
}

fn table(contents: &Contents) -> String {
    let Contents { sessions, whole, replayable, requests, flaws } = contents;
    let mut text = format!(
        "{sessions:>8} sessions\n{whole:>8} with their start\n{replayable:>8} replayable, with \
         {requests} requests\n"
    );
    for (flaw, count) in flaws {
        text.push_str(&format!("{count:>8} not replayable: {}\n", flaw.name()));
    }
    text
}

/// One session, for a list.
fn line(chain: &Chain) -> String {
    let name = serial(chain).map_or_else(|| "-".into(), |serial| serial.to_string());
    let peer = chain.start.as_ref().and_then(|start| start.peer);
    let peer = peer.map_or_else(|| "-".into(), |peer| peer.to_string());
    let state = match (chain.flaw, chain.is_ended) {
        (Some(flaw), _) => format!("not replayable: {}", flaw.name()),
        (None, true) => "replayable".into(),
        (None, false) => "replayable, was alive".into(),
    };
    format!("session {name:>8}  {peer:<24} {:>6} requests  {state}", chain.requests)
}

/// Replays what `args` name if it is a recording or a case of one; the exit code. `None`: it is
/// something else.
pub(crate) fn replay(args: &ReplayArgs) -> Option<u8> {
    let path = Path::new(&args.what);
    let case = match begun(path) {
        Err(error) => return Some(usage(&error)),
        Ok(Err(Damage::NotARecording)) => return None,
        Ok(Err(damage)) => return Some(usage(&format!("{}: {damage}", path.display()))),
        Ok(Ok(case)) => case,
    };
    if let Some(option) = option_of_worlds(args) {
        return Some(usage(&format!(
            "{option}: a recording has sessions, and no world around them; every entry of one is \
             shown by: tidegate-sim lift {} --session NUMBER --trace",
            path.display()
        )));
    }
    Some(match replay_all(&case, guarded) {
        Err(error) => usage(&error),
        Ok(results) => {
            print(&results);
            if results.different.is_empty() { CLEAN } else { BROKEN }
        }
    })
}

/// An option that only the replay of a world can follow, if one was given.
fn option_of_worlds(args: &ReplayArgs) -> Option<&'static str> {
    let ReplayArgs { what: _, until, variant, trace, html, pcap, record } = args;
    let given = [
        (until.is_some(), "--until"),
        (variant.is_some(), "--variant"),
        (*trace, "--trace"),
        (html.is_some(), "--html"),
        (pcap.is_some(), "--pcap"),
        (record.is_some(), "--record"),
    ];
    given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
}

/// A panic is a difference like any other.
pub(super) fn guarded(player: &Player<'_>, chain: &Chain) -> Result<usize, Difference> {
    let played = catch_unwind(AssertUnwindSafe(|| panics::quietly(|| player.play(chain))));
    match played {
        Ok(played) => Ok(played?.steps),
        Err(_) => {
            let what = format!("the replay panicked at {}", panics::last_place());
            Err(Difference { entry: 0, at: Time::ZERO, what })
        }
    }
}

/// Differences that are shown at most.
const SHOWN_MAX: usize = 20;

fn print(results: &Results) {
    let mut out = std::io::stdout().lock();
    for (serial, difference) in results.different.iter().take(SHOWN_MAX) {
        let _ = writeln!(out, "session {serial} differs: {difference}");
    }
    let Results { equal, requests, steps, different } = results;
    let all = equal + different.len();
    let _ = writeln!(
        out,
        "{all} sessions replayed: {equal} equal ({requests} requests, {steps} steps), {} different",
        different.len()
    );
}
