//! Kernel parity: the same scripts on real loopback sockets and on the simulated kernel, with the
//! same outcome, step by step. What the simulator says of the proxy is worth as much as this.

#[path = "kernel_parity/backlog.rs"]
mod backlog;
#[path = "kernel_parity/connecting.rs"]
mod connecting;
#[path = "kernel_parity/ends.rs"]
mod ends;
#[path = "kernel_parity/flow.rs"]
mod flow;
#[path = "kernel_parity/linux.rs"]
mod linux;
#[path = "kernel_parity/model.rs"]
mod model;
#[path = "kernel_parity/resets.rs"]
mod resets;
#[path = "kernel_parity/script.rs"]
mod script;

use script::Scenario;
use std::fmt::Write as _;

/// Seeds of the model: each latency with each kind of segments.
const SEEDS: u64 = 9;
/// Most of a scenario on real sockets is waiting.
const WORKERS: usize = 8;
/// A machine that is busy enough delivers a segment later than a script waits. What Linux really
/// does differently, it does each time.
const ATTEMPTS: u32 = 3;

fn scenarios() -> Vec<&'static Scenario> {
    let groups = [
        connecting::SCENARIOS,
        backlog::SCENARIOS,
        flow::SCENARIOS,
        ends::SCENARIOS,
        resets::SCENARIOS,
    ];
    groups.into_iter().flatten().collect()
}

/// What this machine's kernel shows of one scenario.
fn on_linux(index: usize, scenario: &Scenario) -> Vec<String> {
    let mut seen = Vec::new();
    for _ in 0..ATTEMPTS {
        seen = script::run(scenario, &mut linux::Linux::new(index));
        if scenario.allows(&seen) {
            break;
        }
    }
    seen
}

/// What the model shows: one way that is not allowed if there is any.
fn on_the_model(scenario: &Scenario) -> Vec<String> {
    let mut seen = Vec::new();
    for seed in 0..SEEDS {
        seen = script::run(scenario, &mut model::Model::new(seed));
        if !scenario.allows(&seen) {
            break;
        }
    }
    seen
}

fn all_on_linux(all: &[&'static Scenario]) -> Vec<Vec<String>> {
    let mut outcomes = vec![Vec::new(); all.len()];
    std::thread::scope(|scope| {
        let work = |worker: usize| {
            let mine = all.iter().enumerate().skip(worker).step_by(WORKERS);
            mine.map(|(index, scenario)| (index, on_linux(index, scenario))).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..WORKERS).map(|n| scope.spawn(move || work(n))).collect();
        for worker in workers {
            for (index, seen) in worker.join().expect("a worker's scenarios run") {
                outcomes[index] = seen;
            }
        }
    });
    outcomes
}

/// The lines of a scenario that failed: where the kernels stand, and where they part.
fn detail(table: &mut String, scenario: &Scenario, real: &[String], simulated: &[String]) {
    for (at, (step, expected)) in scenario.lines.iter().enumerate() {
        let (real, simulated) = (&real[at], &simulated[at]);
        let mark = if real == simulated && real == expected { ' ' } else { '>' };
        let step = format!("{step:?}");
        let _ = writeln!(table, "  {mark} {step:<24} {real:<26} {simulated:<26} {expected}");
    }
}

// The fidelity of the simulator: everything it proves, it proves of this kernel.
#[test]
#[expect(clippy::print_stdout, reason = "the count is this test's answer")]
fn the_model_shows_what_linux_shows() {
    let all = scenarios();
    let outcomes = all_on_linux(&all);
    let mut table = String::new();
    let mut equal = 0;
    for (scenario, real) in all.iter().zip(&outcomes) {
        let simulated = on_the_model(scenario);
        let verdicts = [scenario.allows(real), scenario.allows(&simulated)];
        let is_equal = verdicts == [true, true];
        equal += usize::from(is_equal);
        let [real_is, simulated_is] = verdicts.map(|ok| if ok { "as told" } else { "OTHERWISE" });
        let is = if is_equal { "equal" } else { "NOT EQUAL" };
        let _ = writeln!(table, "{real_is:<10} {simulated_is:<10} {is:<10} {}", scenario.name);
        if !is_equal {
            detail(&mut table, scenario, real, &simulated);
        }
    }
    let count = format!("kernel parity: {equal} of {}", all.len());
    println!("{count}");
    assert_eq!(equal, all.len(), "\nLinux      simulated\n{table}\n{count}\n");
}

#[test]
fn scenarios_are_many_and_say_why_they_go_two_ways() {
    let all = scenarios();
    assert!(all.len() >= 60);
    for (at, scenario) in all.iter().enumerate() {
        let ways = scenario.lines.iter().map(|(_, seen)| seen.split(" | ").count()).max();
        let most = if scenario.two_ways.is_some() { 2 } else { 1 };
        assert_eq!(ways, Some(most), "{}", scenario.name);
        let same = all[..at].iter().find(|other| other.name == scenario.name);
        assert!(same.is_none(), "two scenarios are called {}", scenario.name);
    }
}
