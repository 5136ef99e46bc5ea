//! What a world is made of before anything happens in it.

use super::Options;
use super::backend::Server;
use super::desired::server_address;
use super::pairs::Part;
use super::scenario::{self, Scenario};
use crate::choice::{Choices, mix};
use crate::cx::{Cx, MS};
use crate::gate::SERVER_LINKS;
use crate::kernel::Net;
use crate::oracle::Oracle;
use crate::oracle::truth::{Nature, Truth, Version};
use crate::site;
use crate::story::START;
use crate::swarm::{Fault, Swarm};
use tidegate_core::Proxy;
use tidegate_core::buggify::Buggify;
use tidegate_core::config::Config;

/// The scenario of a run, and what all its parts share.
pub(super) fn begun(seed: u64, options: &mut Options, part: Part) -> (Scenario, Cx) {
    let mut choices = Choices::new(seed, std::mem::take(&mut options.source));
    if options.records {
        choices.record();
    }
    let swarm = Swarm::draw(&mut choices, part.is_calm);
    let mut scenario = scenario::draw(&mut choices, swarm);
    scenario.calm(part);
    let mut cx = Cx::new(seed, choices);
    if options.keeps_each {
        cx.trace.keep_each();
    }
    if let Some(bytes) = options.story {
        cx.trace.keep_story(bytes);
        cx.heap.keep_causes();
        cx.heap.pushing(START);
    }
    if let Some(sink) = options.sink.take() {
        cx.trace.set_sink(sink);
    }
    (scenario, cx)
}

/// An empty ledger that knows the first configuration.
pub(super) fn ledger(scenario: &Scenario, version: Version, natures: Vec<Nature>) -> Oracle {
    let truth = Truth {
        versions: vec![version],
        is_faultless: scenario.is_faultless,
        natures,
        passage: scenario.protocols.passage.map(|(passage, _)| passage),
        per_ip: scenario.protocols.per_ip,
        loop_delay_max: scenario.slow_turn_delay + 5 * MS,
        ..Truth::default()
    };
    Oracle::new(scenario.settings.clone(), truth)
}

/// The servers of all clusters, in order; some of them will be gone for good.
pub(super) fn servers(cx: &mut Cx, net: &mut Net, scenario: &Scenario) -> Vec<Server> {
    let mut servers = Vec::new();
    for (cluster, count) in scenario.all_clusters().into_iter().enumerate() {
        let may_break = count > 1 && scenario.swarm.has(Fault::Gone);
        let entity = servers.len() as u64;
        let breaks = may_break && cx.choices.coin(site!("server/gone"), entity);
        for n in 0..count {
            let number = servers.len();
            let at = server_address(number);
            let address = net.intern(&at, SERVER_LINKS + number as u32);
            let is_gone_for_good = breaks && n == 0;
            let nature = scenario.protocols.natures[cluster];
            servers.push(Server { at, address, listener: None, is_gone_for_good, nature });
        }
    }
    servers
}

/// The proxy with the first configuration, and what it is made to do at rare points.
pub(super) fn proxy(seed: u64, scenario: &Scenario, config: Config) -> Proxy {
    let mut proxy = match Proxy::new(scenario.settings.clone(), secret(seed), config) {
        Ok(proxy) => proxy,
        Err(errors) => panic!("the core refuses a good configuration: {errors:?}"),
    };
    let (seed, rates) = scenario.swarm.buggify;
    *proxy.buggify() = Buggify::new(seed, rates);
    proxy
}

/// What the proxy draws from.
fn secret(seed: u64) -> [u8; 32] {
    let mut secret = [0; 32];
    for (n, part) in (0_u64..).zip(secret.chunks_exact_mut(8)) {
        part.copy_from_slice(&mix(seed.wrapping_add(n << 56)).to_le_bytes());
    }
    secret
}
