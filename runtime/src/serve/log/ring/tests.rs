use super::*;

fn small(bytes: usize) -> (RingWriter, Arc<Ring>) {
    ring(bytes, Arc::default())
}

fn taken(ring: &Ring) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ring.shared.lock().expect("unpoisoned").capacity());
    ring.take(&mut bytes);
    bytes
}

#[test]
fn what_is_handed_over_arrives_in_order() {
    let (mut writer, ring) = small(16);
    assert!(writer.flush());
    writer.record(|line| line.put(b"one\n"));
    assert!(writer.flush());
    // The log thread has not looked yet: the second part goes behind the first.
    writer.record(|line| line.put(b"two\n"));
    assert!(writer.flush());
    assert_eq!(taken(&ring), b"one\ntwo\n");
    assert_eq!(taken(&ring), b"");
    assert_eq!(ring.lost(), 0);
}

// RUN-8: records are lost, whole, and counted; nothing grows, nothing blocks.
#[test]
fn a_full_ring_loses_and_counts_whole_records() {
    let (mut writer, ring) = small(8);
    let capacity = writer.front.capacity();
    writer.record(|line| line.put(b"first\n"));
    assert!(writer.flush());
    writer.record(|line| line.put(b"second\n"));
    // No room behind the first, which is still there: it stays here.
    assert!(!writer.flush());
    writer.record(|line| {
        line.put(b"t");
        line.put(b"hird\n");
    });
    assert_eq!(ring.lost(), 1);
    assert!(!writer.flush());
    assert_eq!(taken(&ring), b"first\n");
    assert!(writer.flush());
    assert_eq!(taken(&ring), b"second\n");
    writer.record(|line| line.put(b"fourth\n"));
    assert!(writer.flush());
    assert_eq!(taken(&ring), b"fourth\n");
    assert_eq!((ring.lost(), writer.front.capacity()), (1, capacity));
    // One that never fits is lost, too.
    writer.record(|line| line.put(&[b'x'; 100]));
    assert_eq!((ring.lost(), writer.front.len()), (2, 0));
}

#[test]
fn a_worker_does_not_wait_for_the_log_thread() {
    let (mut writer, ring) = small(8);
    writer.record(|line| line.put(b"x\n"));
    let held = ring.shared.lock().expect("unpoisoned");
    assert!(!writer.flush());
    drop(held);
    assert!(writer.flush());
    writer.record(|line| line.put(b"y\n"));
    writer.finish();
    assert_eq!(taken(&ring), b"x\ny\n");
}

#[test]
fn under_load_each_record_arrives_once_or_is_counted() {
    const RECORDS: u64 = 200_000;
    let (mut writer, ring) = small(4096);
    let worker = std::thread::Builder::new().spawn(move || {
        for n in 0..RECORDS {
            writer.record(|line| {
                line.decimal(n);
                line.put(b"\n");
            });
            if n % 7 == 0 {
                writer.flush();
            }
        }
        writer.finish();
    });
    let worker = worker.expect("a thread");
    let (mut text, mut buffer) = (Vec::new(), Vec::with_capacity(4096));
    loop {
        let ended = worker.is_finished();
        ring.take(&mut buffer);
        text.append(&mut buffer);
        if ended {
            break;
        }
        std::thread::yield_now();
    }
    let text = String::from_utf8(text).expect("digits");
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().expect("whole")).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    assert_eq!(numbers.len() as u64 + ring.lost(), RECORDS);
    assert!(!numbers.is_empty());
}
