//! Limits divided over workers.

use super::super::{divide, workers_started};
use super::{codes, load};
use crate::diagnostic::Code;
use tidegate_core::config::Settings;

#[test]
fn shares_add_up_and_remainders_go_to_the_first() {
    // ACC-11
    let settings = Settings {
        max_connections: 10,
        accept_queue_capacity: 7,
        buffers_max: 9,
        ..Settings::default()
    };
    for workers in 1..=4 {
        let shares: Vec<Settings> =
            (0..workers).map(|which| divide(&settings, workers, which)).collect();
        let sum = |of: fn(&Settings) -> usize| shares.iter().map(of).sum::<usize>();
        assert_eq!(sum(|share| share.max_connections), 10);
        assert_eq!(sum(|share| share.accept_queue_capacity), 7);
        assert_eq!(sum(|share| share.buffers_max), 9);
        assert!(shares.is_sorted_by(|a, b| a.max_connections >= b.max_connections));
        assert!(shares.iter().all(|share| share.buffers_max >= 2));
    }
    assert_eq!(divide(&settings, 3, 2).worker, (2, 3));
    assert_eq!(divide(&settings, 3, 0).max_connections, 4);
    assert_eq!(divide(&settings, 3, 2).max_connections, 3);
    assert_eq!(divide(&settings, 3, 1).buffer_bytes, settings.buffer_bytes);
}

#[test]
fn no_more_workers_start_than_get_a_share() {
    // ACC-11
    let settings = |max_connections, accept_queue_capacity, buffers_max| Settings {
        max_connections,
        accept_queue_capacity,
        buffers_max,
        ..Settings::default()
    };
    assert_eq!(workers_started(&settings(1, 100, 100), 4), 1);
    assert_eq!(workers_started(&settings(100, 3, 100), 4), 3);
    assert_eq!(workers_started(&settings(100, 100, 5), 4), 2);
    assert_eq!(workers_started(&settings(100, 100, 100), 4), 4);
}

#[test]
fn fewer_workers_are_a_warning() {
    // ACC-11
    let loaded = load("workers = 4\nmax_connections = 2\n[listener.a]\nbind = \"127.0.0.1:1\"\n");
    assert_eq!(loaded.workers, 2);
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].code, Code::FewerWorkers);
    assert_eq!(loaded.warnings[0].position(), Some((2, 19)));
    // BACK-9: every worker needs a connection to every server.
    let loaded = load(
        "workers = 4\n[listener.a]\nbind = \"127.0.0.1:1\"\n[cluster.a]\nservers = [\n\
         { addr = \"127.0.0.1:2\", max_connections = 5 },\n\
         { addr = \"127.0.0.1:3\", max_connections = 3 }]\n",
    );
    assert_eq!((loaded.workers, loaded.workers_of_process), (3, 4));
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.warnings[0].code, Code::FewerWorkers);
    assert_eq!(loaded.warnings[0].position(), Some((7, 43)));
    // "auto" is one for each processor, of which the tests' machine has four.
    assert_eq!(load("[listener.a]\nbind = \"127.0.0.1:1\"").workers, 4);
    let text = "accept_queue.capacity = 3\n[listener.a]\nbind = \"127.0.0.1:1\"";
    assert_eq!(codes(text), [(Code::FewerWorkers, 1, 1)]);
}
