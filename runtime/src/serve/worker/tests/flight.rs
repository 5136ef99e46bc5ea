//! Recordings that a worker writes of its own accord, and when asked.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tidegate_core::flight::Case;

/// The only recording in `flights`, read; it is waited for.
#[expect(clippy::disallowed_methods, reason = "a thread of the worker's writes it in its own time")]
fn recording(flights: &Path) -> Case {
    let end = Instant::now() + PATIENCE;
    loop {
        let files = std::fs::read_dir(flights).into_iter().flatten();
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
    let case = recording(&rig.flights);
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
    let case = recording(&rig.flights);
    assert!(case.about.contains("because of a runaway loop"), "{}", case.about);
    switch.store(false, Ordering::SeqCst);
    drop((_client, _wakes));
    rig.end();
}

// SES-4, RUN-5: a session that the zombie checker found, or whose accounting is broken, leaves a
// recording, and the second one within ten minutes leaves none. The core makes such sessions of bugs
// alone, so what it tells of them is handed to the worker here; that it tells it, and that they are
// in the ring, `a_zombie_is_in_the_recording` of the core shows.
#[test]
fn a_zombie_leaves_a_recording() {
    let zombie = Event::Zombie { session: 1, state: "relay" };
    let broken = Event::Broken { session: 1, what: "relay" };
    for (name, fault) in [("zombie-flight", zombie), ("broken-flight", broken)] {
        let (start, running, log, _) = start(name, &config("web", any_port(), &[1]));
        let (sender, _reports) = channel();
        let turn = |proxy: &mut Proxy, kernel: &mut MioKernel, now| drive::turn(proxy, kernel, now);
        let (mut worker, _handle) = Worker::new(start, sender, turn).expect("a worker");
        let proxy = worker.new_proxy().ok().expect("a proxy");
        for _ in 0..3 {
            worker.heed(&proxy, &fault);
        }
        let case = recording(&log.with_extension("flights"));
        assert!(case.about.contains("because of a zombie"), "{}", case.about);
        drop(worker);
        running.finish(PATIENCE);
        std::fs::remove_file(&log).expect("removed");
        std::fs::remove_dir_all(log.with_extension("flights")).expect("removed");
    }
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
