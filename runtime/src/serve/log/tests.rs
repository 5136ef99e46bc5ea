use super::*;
use crate::config::Sink;
use std::fs;

// RUN-8: through the thread: every worker's records, rotation by USR1, and the end.
#[test]
fn records_of_all_workers_reach_the_file() {
    let name = format!("tidegate-log-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = fs::remove_file(&path);
    let options = LogConfig { access: Sink::File(path.clone()), ..LogConfig::default() };
    let (log, running, mut writers) = Log::start(options, 2).expect("started");
    assert_eq!(log.format(), LogFormat::Json);
    let moved = path.with_extension("1");
    for (n, writer) in writers.iter_mut().enumerate() {
        writer.record(|line| {
            line.decimal(n as u64);
            line.put(b"\n");
        });
        assert!(writer.flush());
    }
    let written = |path: &std::path::Path, bytes| {
        for _ in 0..1000 {
            if fs::read(path).is_ok_and(|of| of.len() == bytes) {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        false
    };
    assert!(written(&path, 4));
    fs::rename(&path, &moved).expect("moved");
    log.reopen();
    assert!(written(&path, 0));
    let last = writers.remove(1);
    let mut first = writers.remove(0);
    first.record(|line| line.put(b"late\n"));
    first.finish();
    last.finish();
    running.finish(Duration::from_secs(5));
    assert_eq!(fs::read_to_string(&path).expect("the new file"), "late\n");
    let old = fs::read_to_string(&moved).expect("the old file");
    assert!(old == "0\n1\n" || old == "1\n0\n", "{old}");
    fs::remove_file(&path).expect("removed");
    fs::remove_file(&moved).expect("removed");
}
