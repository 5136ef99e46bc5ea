//! How the next connection of a client, or of a server, speaks TLS.

use super::World;
use super::client::Role;
use super::secure::{ClientTls, SERVER_NAME};
use crate::choice::Rate;
use crate::kernel::Ep;
use crate::layer::{Facts, Link, Trouble};
use crate::mark;
use crate::oracle::tls;
use crate::oracle::truth::ListenerTls;
use crate::site;
use crate::story::Who;
use crate::swarm::{Fault, Rates};
use crate::tell;
use crate::tls::{ClientAuth, ClientOptions, Entropy, Peer, Versions, Which};
use crate::wire;

/// How a client's connection speaks.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Dress {
    /// In the clear, where that is right.
    #[default]
    Plain,
    /// In the clear, where TLS is expected.
    Naked,
    /// By TLS.
    Tls,
}

impl World {
    /// Puts TLS between client `c` and its new connection `ep`, number `front`, if that is what is
    /// spoken there, behind what it announces. The second value is the only host that it asks for,
    /// if there is but one.
    pub(super) fn dress_client(&mut self, c: u32, ep: Ep, front: u32) -> (Dress, Option<u16>) {
        let at = &self.oracle.fronts[front as usize];
        let before = at.announced.as_ref().map_or(0, |known| known.len);
        let dressed = self.draw_dress(c, ep, at.listener, before);
        self.oracle.fronts[front as usize].tls = self.layers.link(ep).map(Link::shared_facts);
        dressed
    }

    fn draw_dress(&mut self, c: u32, ep: Ep, n: usize, before: u64) -> (Dress, Option<u16>) {
        let Some(now) = self.desired.tls.listeners[n] else { return (Dress::Plain, None) };
        let slot = u64::from(c);
        let role = self.clients[c as usize].role;
        let is_good = role == Role::Healed || self.scenario.is_faultless;
        let rates = if is_good { Rates::NONE } else { self.rates() };
        let rate = rates.of(Fault::ClientTls);
        if self.cx.chance(site!("tls/naked"), slot, Rate(rate.0 / 8)) {
            self.cx.fired(Fault::ClientTls);
            self.cx.mark(mark!("tls: client in the clear"));
            return (Dress::Naked, None);
        }
        let has_odd_alpn = self.cx.chance(site!("tls/odd alpn"), slot, Rate(rate.0 / 8));
        let trouble = match self.cx.strikes(Fault::ClientTls, &rates, slot) {
            true => self.draw_trouble(slot, 0),
            false => Trouble::None,
        };
        let made = self.client_tls(c, n, now, is_good, has_odd_alpn);
        let (sni, only) = self.draw_name(slot, now, is_good, role);
        let name = sni.map_or_else(|| "10.0.0.1".to_owned(), wire::host_name);
        let entropy = Entropy::new(self.secure.peers_seed(), ep.into());
        let earlier = made.store.given();
        let peer = Peer::client(made.config.clone(), &name, entropy);
        let after = made.store.given();
        let facts = Facts {
            trouble,
            versions: made.options.versions,
            certificate: made.options.certificate,
            sni,
            is_strict: made.is_strict,
            has_odd_alpn,
            offered: (after != earlier).then_some(after[1] != earlier[1]),
            ..Facts::new()
        };
        let piece = self.cx.choices.pick(site!("tls/piece"), slot, &[0, 0, 400, 20]);
        tell!(self.cx, Who::Client(c), "speaks TLS: {facts:?}");
        let link = Link::client(Some(peer), facts, Some(made.store), (piece, before));
        self.layers.insert(&mut self.net, ep, link);
        (Dress::Tls, only)
    }

    fn client_tls(
        &mut self,
        c: u32,
        n: usize,
        now: ListenerTls,
        is_good: bool,
        has_odd_alpn: bool,
    ) -> ClientTls {
        if let Some(made) = self.secure.clients.get(&(c, n, has_odd_alpn)) {
            return made.clone();
        }
        let slot = u64::from(c);
        let choices = &mut self.cx.choices;
        let versions = match choices.oddity(site!("tls/client versions"), slot, 6) {
            _ if is_good => Versions::Both,
            0 => Versions::Tls12,
            1 => Versions::Tls13,
            _ => Versions::Both,
        };
        let certificate = match (now.auth, choices.oddity(site!("tls/shows"), slot, 8)) {
            (ClientAuth::Required, _) if is_good => Some(Which::Client),
            (ClientAuth::None, _) => None,
            (_, 0) if !is_good => Some(Which::Stranger),
            (_, 1 | 2) => None,
            _ => Some(Which::Client),
        };
        let retries = choices.chance(site!("tls/retries"), slot, Rate::percent(15));
        let options = ClientOptions { versions, certificate, resumes: true, retries };
        let is_strict = is_good || choices.chance(site!("tls/strict"), slot, Rate::percent(40));
        let made = self.secure.client(options, is_strict, has_odd_alpn);
        self.secure.clients.insert((c, n, has_odd_alpn), made.clone());
        made
    }

    /// The name to ask for, and the only host, for those who must succeed.
    fn draw_name(
        &mut self,
        slot: u64,
        now: ListenerTls,
        is_good: bool,
        role: Role,
    ) -> (Option<u16>, Option<u16>) {
        let hosts = self.hosts_for(role);
        if is_good {
            // Every configuration that may be in force must cover it.
            let all = self.oracle.truth.versions.iter().flat_map(|v| &v.tls.listeners).flatten();
            let all: Vec<ListenerTls> = all.copied().chain([now]).collect();
            let is_covered =
                |&host: &u16| all.iter().all(|tls| tls::covers(tls.certificates, Some(host), host));
            let hosts: Vec<u16> = (0..hosts as u16).filter(is_covered).collect();
            if hosts.is_empty() {
                return (None, None);
            }
            let host = self.cx.choices.pick(site!("tls/host"), slot, &hosts);
            return (Some(host), Some(host));
        }
        let choices = &mut self.cx.choices;
        let sni = match choices.oddity(site!("tls/sni"), slot, 12) {
            0 => None,
            1 => Some(wire::UNKNOWN_HOST),
            2 | 3 => Some(choices.choose(site!("tls/other host"), slot, 3) as u16),
            _ => Some(choices.choose(site!("tls/host"), slot, hosts) as u16),
        };
        (sni, None)
    }

    fn draw_trouble(&mut self, slot: u64, kind: u64) -> Trouble {
        let choices = &mut self.cx.choices;
        let flight = choices.between(site!("tls/flight"), slot, 1, 2) as u8 - 1;
        let part = choices.choose(site!("tls/part"), slot, 100) as u8;
        match choices.choose(site!("tls/trouble"), slot << 1 | kind, 8) {
            0 => Trouble::Garbage(choices.log_between(site!("tls/garbage"), slot, 1, 600) as u16),
            1 => Trouble::Cuts(flight, part),
            2 => Trouble::Stalls(flight, part),
            3 | 4 => {
                let record = choices.choose(site!("tls/flip"), slot, 12) as u16;
                let in_header = choices.chance(site!("tls/flip what"), slot, Rate::percent(15));
                Trouble::Flips(record, in_header)
            }
            5 | 6 => Trouble::Mute,
            _ => Trouble::More,
        }
    }

    /// A server has accepted the connection `ep` of the proxy: its TLS begins, if it has any.
    pub(super) fn dress_server(&mut self, server: u32, ep: Ep) {
        if self.layers.link(ep).is_none() {
            return;
        }
        let slot = u64::from(server);
        let rates = self.rates();
        let (mut trouble, mut which) = (Trouble::None, Which::Backend);
        if self.cx.strikes(Fault::ServerTls, &rates, slot) {
            match self.cx.choose(site!("tls/lies"), slot, 8) {
                0 => which = Which::Expired,
                1 => which = Which::Stranger,
                2 => which = Which::A,
                _ => trouble = self.draw_trouble(slot, 1),
            }
        }
        let versions = match self.cx.choices.oddity(site!("tls/server versions"), slot, 8) {
            0 | 1 => Versions::Tls12,
            2 => Versions::Tls13,
            _ => Versions::Both,
        };
        let config = self.secure.server(which, versions);
        let entropy = Entropy::new(self.secure.peers_seed(), ep.into());
        let peer = Peer::server(config, entropy);
        let facts = Facts { trouble, versions, certificate: Some(which), ..Facts::new() };
        let piece = self.cx.choices.pick(site!("tls/server piece"), slot, &[0, 0, 0, 700, 20]);
        tell!(self.cx, Who::Server(server), "speaks TLS as {SERVER_NAME}: {facts:?}");
        self.layers.begin(&mut self.net, ep, Some(peer), facts, piece);
        self.layers.pump(&mut self.cx, &mut self.net, ep);
    }
}
