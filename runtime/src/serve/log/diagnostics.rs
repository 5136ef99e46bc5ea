//! Diagnostics on their way to the log thread: bounded in number and in repeats.

use super::line::Line;
use crate::config::{Level, LogFormat};
use crate::serve::clock;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

/// Lines that wait for the log thread; more are counted and left out.
const QUEUE_MAX: usize = 1024;
/// Lines of one topic in [`WINDOW_MS`]; more are counted, and the next line tells their number.
const REPEATS_MAX: u32 = 50;
const WINDOW_MS: i64 = 10_000;
/// Bytes of one line; a longer message is cut.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// What a diagnostic is about; repeats are limited by topic.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    Start,
    Stop,
    Reload,
    ServerDown,
    ServerUp,
    AcceptPaused,
    Shed,
    Handshake,
    Zombie,
    Broken,
    Panic,
    Log,
    Flight,
}

const TOPICS: usize = Topic::Flight as usize + 1;

impl Topic {
    /// Whether repeats are left out: not what answers an operator's own signal.
    fn is_limited(self) -> bool {
        !matches!(self, Topic::Start | Topic::Stop | Topic::Reload)
    }

    fn name(self) -> &'static str {
        match self {
            Topic::Start => "start",
            Topic::Stop => "stop",
            Topic::Reload => "reload",
            Topic::ServerDown => "server_down",
            Topic::ServerUp => "server_up",
            Topic::AcceptPaused => "accept_paused",
            Topic::Shed => "shed",
            Topic::Handshake => "handshake_failed",
            Topic::Zombie => "zombie",
            Topic::Broken => "broken",
            Topic::Panic => "panic",
            Topic::Log => "log",
            Topic::Flight => "flight",
        }
    }
}

#[derive(Copy, Clone, Default)]
struct Repeats {
    window: i64,
    said: u32,
    left_out: u64,
}

#[derive(Default)]
struct Queue {
    lines: Vec<Vec<u8>>,
    left_out: u64,
    repeats: [Repeats; TOPICS],
}

pub(super) struct Diagnostics {
    level: Level,
    format: LogFormat,
    queue: Mutex<Queue>,
}

impl Diagnostics {
    pub(super) fn new(level: Level, format: LogFormat) -> Diagnostics {
        Diagnostics { level, format, queue: Mutex::default() }
    }

    /// Queues a line; whether there is one to write.
    pub(super) fn say(&self, level: Level, topic: Topic, what: impl Display) -> bool {
        level <= self.level && self.say_at(clock::unix_nanos() / 1_000_000, level, topic, what)
    }

    fn say_at(&self, now: i64, level: Level, topic: Topic, what: impl Display) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let repeats = &mut queue.repeats[topic as usize];
        // A wall clock that was set back opens a window too.
        if !(0..WINDOW_MS).contains(&(now - repeats.window)) {
            *repeats = Repeats { window: now, said: 0, left_out: repeats.left_out };
        }
        if repeats.said == REPEATS_MAX && topic.is_limited() {
            repeats.left_out += 1;
            return false;
        }
        repeats.said = repeats.said.saturating_add(1);
        let left_out = std::mem::take(&mut repeats.left_out);
        if queue.lines.len() == QUEUE_MAX {
            queue.left_out += 1;
            return false;
        }
        queue.lines.push(self.render(now, level, topic, what, left_out));
        true
    }

    fn render(
        &self,
        now: i64,
        level: Level,
        topic: Topic,
        what: impl Display,
        left_out: u64,
    ) -> Vec<u8> {
        let mut message = what.to_string();
        while message.len() > LINE_BYTES_MAX {
            message.pop();
        }
        let mut bytes = Vec::with_capacity(6 * message.len() + 256);
        let mut line = Line::new(&mut bytes);
        match self.format {
            LogFormat::Json => {
                line.put(b"{\"time\":\"");
                line.date(now);
                line.put(b"\",\"level\":\"");
                line.put(level_name(level).as_bytes());
                line.put(b"\",\"event\":\"");
                line.put(topic.name().as_bytes());
                line.put(b"\",\"message\":\"");
                escape(&mut line, &message);
                line.put(b"\"");
                if left_out > 0 {
                    line.put(b",\"left_out\":");
                    line.decimal(left_out);
                }
                line.put(b"}\n");
            }
            LogFormat::Text => {
                line.date(now);
                line.put(b" ");
                line.put(level_name(level).as_bytes());
                line.put(b": ");
                // Several lines stay several lines: a refused configuration is shown with carets.
                line.put(message.as_bytes());
                if left_out > 0 {
                    line.display(format_args!(" ({left_out} more of {} left out)", topic.name()));
                }
                line.put(b"\n");
            }
        }
        bytes
    }

    /// Takes every line that waits, and how many found no room.
    pub(super) fn take(&self) -> (Vec<Vec<u8>>, u64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut queue.lines), std::mem::take(&mut queue.left_out))
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

/// Our own messages are UTF-8, which JSON takes as it is.
fn escape(line: &mut Line<'_>, message: &str) {
    let mut utf8 = [0; 4];
    for char in message.chars() {
        let bytes = char.encode_utf8(&mut utf8).as_bytes();
        if char == '\n' {
            line.put(b"\\n");
        } else if char.is_ascii() {
            line.escaped(bytes);
        } else {
            line.put(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(of: &Diagnostics) -> Vec<String> {
        let (lines, _) = of.take();
        lines.into_iter().map(|line| String::from_utf8(line).expect("UTF-8")).collect()
    }

    #[test]
    fn a_line_tells_time_level_event_and_message() {
        let json = Diagnostics::new(Level::Info, LogFormat::Json);
        assert!(json.say_at(0, Level::Warn, Topic::ServerDown, "\"é\"\n\u{1b}"));
        let line = "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\",\
                    \"event\":\"server_down\",\"message\":\"\\\"é\\\"\\n\\u001b\"}\n";
        assert_eq!(said(&json), [line]);
        let text = Diagnostics::new(Level::Info, LogFormat::Text);
        assert!(text.say_at(0, Level::Error, Topic::Reload, "no"));
        assert_eq!(said(&text), ["1970-01-01T00:00:00.000Z error: no\n"]);
        assert!(!text.say(Level::Debug, Topic::Start, "detail"));
        assert!(text.say(Level::Info, Topic::Start, "shown"));
    }

    #[test]
    fn repeats_are_left_out_and_counted() {
        let of = Diagnostics::new(Level::Info, LogFormat::Text);
        let shown = (0..80).filter(|&at| of.say_at(at, Level::Warn, Topic::Broken, "x")).count();
        assert_eq!(shown, 50);
        assert!(of.say_at(80, Level::Warn, Topic::Zombie, "another topic"));
        assert!(of.say_at(WINDOW_MS, Level::Warn, Topic::Broken, "x"));
        let lines = said(&of);
        assert!(lines[51].ends_with("warn: x (30 more of broken left out)\n"), "{}", lines[51]);
        assert!(of.say_at(WINDOW_MS + 1, Level::Warn, Topic::Broken, "x"));
        assert!(said(&of)[0].ends_with("warn: x\n"));
    }

    #[test]
    fn the_queue_is_bounded() {
        let of = Diagnostics::new(Level::Info, LogFormat::Text);
        for at in 0..2 * QUEUE_MAX as i64 {
            of.say_at(at * WINDOW_MS, Level::Warn, Topic::Broken, "x");
        }
        let (lines, left_out) = of.take();
        assert_eq!((lines.len(), left_out), (QUEUE_MAX, QUEUE_MAX as u64));
    }
}
