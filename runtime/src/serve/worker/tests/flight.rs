//! Recordings that a worker writes of its own accord, and when asked.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tidegate_core::flight::Case;

/// The only recording of the rig, read; it is waited for.
#[expect(clippy::disallowed_methods, reason = "a thread of the worker's writes it in its own time")]
fn recording(rig: &Rig) -> Case {
    let end = Instant::now() + PATIENCE;
    loop {
        let files = std::fs::read_dir(&rig.flights).into_iter().flatten();
        let paths: Vec<PathBuf> = files.map(|file| file.expect("a name").path()).collect();
        if let [path] = &paths[..]
            && path.extension().is_some_and(|it| it == "rec")
        {
            let mode = std::fs::metadata(path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "for its owner alone");
            return Case::read(&std::fs::read(path).expect("read")).expect("a whole recording");
        }
        assert!(paths.len() < 2 && Instant::now() < end, "{paths:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A worker whose turns do `wrong` instead, while the switch is on.
fn faulty(
    name: &str,
    wrong: impl Fn(&AtomicBool) -> bool + Send + 'static,
) -> (Rig, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let is_on = Arc::clone(&switch);
    let config = config("web", any_port(), &[1]);
    let rig = rig(name, &config, move |proxy: &mut Proxy, kernel: &mut MioKernel, now| {
        if is_on.load(Ordering::SeqCst) { wrong(&is_on) } else { drive::turn(proxy, kernel, now) }
    });
    (rig, switch)
}

/// A client that has been answered: its session is in the ring.
fn answered(rig: &Rig) -> TcpStream {
    let mut client = connect(rig.addr);
    write!(client, "GET / HTTP/1.1\r\n\r\n").expect("sent");
    let n = client.read(&mut [0; 256]).expect("an answer");
    assert_ne!(n, 0);
    client
}

// RUN-9: a panic leaves a recording with what was served before it, which is a file when the
// supervisor hears of the panic, and the worker goes on.
#[test]
fn a_panic_leaves_a_recording() {
    let (rig, switch) = faulty("panicked-flight", |switch| {
        switch.store(false, Ordering::SeqCst);
        panic!("planned")
    });
    let _client = answered(&rig);
    switch.store(true, Ordering::SeqCst);
    let _wakes = connect(rig.addr);
    assert!(matches!(rig.report(), Report::Panicked { .. }));
    let case = recording(&rig);
    assert!(case.about.contains("because of a panic"), "{}", case.about);
    assert!(case.chains.iter().any(|chain| chain.start.is_some()));
    drop((_client, _wakes));
    rig.end();
}

// LOOP-5: a loop that goes on without a word from the kernel leaves one recording, and serves when
// it is over.
#[test]
fn a_runaway_loop_leaves_a_recording() {
    let (rig, switch) = faulty("runaway-flight", |_| true);
    let _client = answered(&rig);
    switch.store(true, Ordering::SeqCst);
    let _wakes = connect(rig.addr);
    let case = recording(&rig);
    assert!(case.about.contains("because of a runaway loop"), "{}", case.about);
    switch.store(false, Ordering::SeqCst);
    drop((_client, _wakes));
    rig.end();
}

// RUN-2: a recording that was asked for right before the stop is a file when the worker has stopped,
// and asking four times is asking once or more, never a full channel.
#[test]
fn a_recording_asked_for_before_the_stop_is_not_lost() {
    let (rig, _) = faulty("asked-flight", |_| true);
    drop(answered(&rig));
    for _ in 0..8 {
        assert!(rig.handle.ask_recording());
    }
    assert!(rig.handle.tell(Control::Stop));
    assert_eq!(rig.report(), Report::Stopped { cut: 0 });
    let files = std::fs::read_dir(&rig.flights).expect("written").count();
    assert!(files >= 1);
    rig.thread.join().expect("no panic");
    rig.running.finish(PATIENCE);
    std::fs::remove_file(&rig.log).expect("removed");
    std::fs::remove_dir_all(&rig.flights).expect("removed");
}
