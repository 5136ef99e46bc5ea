use super::*;
use std::fs;

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir();
    let path = path.join(format!("tidegate-sink-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn open_at(path: &Path) -> Sink {
    Sink::open(&config::Sink::File(path.to_owned())).expect("opened")
}

/// As if a second had passed since the last comparison.
fn a_second_later(sink: &mut Sink) {
    if let To::File { check, .. } = &mut sink.to {
        *check = Time::ZERO;
    }
}

fn content(path: &Path) -> String {
    fs::read_to_string(path).expect("readable")
}

// RUN-8
#[test]
fn a_rotated_file_is_followed() {
    let (path, old) = (scratch("log"), scratch("log.1"));
    fs::write(&path, "before\n").expect("written");
    let mut sink = open_at(&path);
    sink.write(b"one\n");
    fs::rename(&path, &old).expect("moved");
    sink.follow_rotation().expect("the first look");
    sink.write(b"two\n");
    assert_eq!((content(&path).as_str(), content(&old).as_str()), ("two\n", "before\none\n"));
    // Within the same second nobody looks again.
    fs::rename(&path, &old).expect("moved");
    sink.follow_rotation().expect("no look");
    sink.write(b"three\n");
    assert!(!path.exists());
    a_second_later(&mut sink);
    sink.follow_rotation().expect("the next look");
    sink.write(b"four\n");
    assert_eq!((content(&path).as_str(), content(&old).as_str()), ("four\n", "two\nthree\n"));
    a_second_later(&mut sink);
    sink.follow_rotation().expect("nothing moved");
    sink.write(b"five\n");
    assert_eq!(content(&path), "four\nfive\n");
    assert_eq!(sink.lost(), 0);
    fs::remove_file(&path).expect("removed");
    fs::remove_file(&old).expect("removed");
}

// RUN-8: USR1, and a directory that is gone.
#[test]
fn reopening_keeps_the_old_file_if_it_fails() {
    let directory = scratch("directory");
    fs::create_dir_all(&directory).expect("made");
    let (path, moved) = (directory.join("log"), scratch("moved"));
    let mut sink = open_at(&path);
    fs::rename(&path, &moved).expect("moved");
    fs::remove_dir(&directory).expect("removed");
    let why = sink.reopen().expect_err("no directory");
    assert!(why.to_string().contains("cannot be opened"), "{why}");
    assert!(why.next().starts_with("ls -ld $(dirname "), "{}", why.next());
    sink.write(b"kept\n");
    assert_eq!(content(&moved), "kept\n");
    fs::create_dir(&directory).expect("made");
    sink.reopen().expect("opened");
    sink.write(b"new\n");
    assert_eq!((content(&path).as_str(), content(&moved).as_str()), ("new\n", "kept\n"));
    fs::remove_dir_all(&directory).expect("removed");
    fs::remove_file(&moved).expect("removed");
}

// RUN-8: a full disk costs records, which are counted, and nothing else.
#[test]
fn a_full_disk_costs_counted_records() {
    let mut sink = open_at(Path::new("/dev/full"));
    sink.write(b"one\ntwo\n");
    sink.write(b"three\n");
    assert_eq!(sink.lost(), 3);
}

#[test]
fn a_torn_line_does_not_spoil_the_next_one() {
    // A pipe of one page that nobody reads takes a part and blocks; the other end then reads on.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).expect("set");
    let (path, clock) = (PathBuf::new(), Origin::now());
    let to = To::File { path, fd: OwnedFd::from(writer), check: Time::NEVER };
    let mut sink = Sink { to, clock, lost: 0, torn: false };
    let long = [&[b'x'; 200_000][..], b"\nlast\n"].concat();
    sink.write(&long);
    assert!(sink.torn);
    assert_eq!(sink.lost(), 2);
    let reading = std::thread::Builder::new().spawn(move || std::io::read_to_string(reader));
    let reading = reading.expect("a thread");
    sink.write(b"next\n");
    assert_eq!((sink.torn, sink.lost()), (false, 2));
    drop(sink);
    let seen = reading.join().expect("no panic").expect("UTF-8");
    let (torn, rest) = seen.split_once('\n').expect("two lines");
    assert!(torn.len() < 200_000 && torn.bytes().all(|byte| byte == b'x'));
    assert_eq!(rest, "next\n");
}

#[test]
fn off_writes_nothing_and_a_bad_path_refuses_to_start() {
    let mut sink = Sink::open(&config::Sink::Off).expect("nothing to open");
    sink.write(b"x\n");
    sink.reopen().expect("nothing to open");
    assert_eq!(sink.lost(), 0);
    let nowhere = config::Sink::File("/nonexistent/log".into());
    let why = Sink::open(&nowhere).map(|_| ()).expect_err("refused").to_string();
    assert!(why.contains("/nonexistent/log cannot be opened: No such file"), "{why}");
}
