//! `tidegate route`.

use super::output::{counted, err, next, out, refuse, show};
use super::{RouteArgs, USAGE};
use crate::config::{Loaded, load};
use crate::tls::Memory;
use std::fmt::Write;
use std::net::Ipv6Addr;
use std::process::ExitCode;
use tidegate_core::config::{
    Config, Forward, HostPattern, Listener, PathRule, Protocol, Route, Target,
};
use tidegate_core::input::Address;
use tidegate_core::route::{Outcome, Rank, explain};

/// Shows which listener, route and cluster a request takes, and why the other routes lost.
pub(super) fn run(args: &RouteArgs) -> ExitCode {
    let url = match Url::parse(&args.url) {
        Ok(url) => url,
        Err(why) => {
            err(&format!("error: \"{}\" is not a URL to route: {why}\n", args.url));
            next("tidegate route GET http://example.com/");
            return ExitCode::from(USAGE);
        }
    };
    let path = &args.file.config;
    let loaded = match load(path, &Memory::default()) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return refuse(&diagnostics),
    };
    show(&loaded.warnings);
    let (answer, found) = answer(&loaded, &args.method, &url);
    let written = out(&answer);
    if found {
        return written;
    }
    next(&format!("tidegate check --print -c {}", path.display()));
    ExitCode::FAILURE
}

/// What of a URL decides its route.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// Canonical: in lower case, without port and trailing dot.
    pub(super) host: String,
    pub(super) port: u16,
    /// Without query, as written.
    pub(super) path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Url, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it begins with http://")?;
        let default_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err("it begins with http:// or https://"),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err("it holds a user's name");
        }
        let path = match target.split('?').next().unwrap_or_default() {
            "" => "/",
            path => path,
        };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("percent-encode what is not visible ASCII in its path");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| "its port is no number from 1 to 65535")?)
            }
            _ => (authority, default_port),
        };
        Ok(Url { host: canonical(host)?, port, path: path.to_owned() })
    }
}

fn canonical(host: &str) -> Result<String, &'static str> {
    if let Some(inside) = host.strip_prefix('[') {
        let inside = inside.strip_suffix(']').and_then(|inside| inside.parse::<Ipv6Addr>().ok());
        return inside.map(|addr| format!("[{addr}]")).ok_or("its IPv6 address is none");
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match host.is_empty() || !host.bytes().all(good) {
        true => Err("its host is none"),
        false => Ok(host),
    }
}

/// The whole answer, and whether any listener has a route for the request.
fn answer(loaded: &Loaded, method: &str, url: &Url) -> (String, bool) {
    let config = &loaded.config;
    let mut text = String::new();
    let bound = |listener: &Listener| {
        let on_port = |bind: &Address| matches!(bind, Address::Ip(addr) if addr.port() == url.port);
        listener.binds.iter().any(on_port)
    };
    let all = config.listeners.iter().enumerate();
    let mut asked: Vec<(usize, &Listener)> =
        all.clone().filter(|(_, listener)| bound(listener)).collect();
    if asked.is_empty() {
        let _ = writeln!(text, "no listener is bound to port {}: asking all", url.port);
        asked = all.collect();
    }
    let mut found = false;
    for (index, listener) in asked {
        let binds: Vec<String> = listener.binds.iter().map(Address::to_string).collect();
        let _ = writeln!(text, "listener {} ({})", listener.name, binds.join(", "));
        found |= match &listener.protocol {
            Protocol::Http => of_listener(&mut text, loaded, index, method, url),
            Protocol::Tcp(forward) => of_tcp(&mut text, config, forward, &url.host),
        };
    }
    (text, found)
}

fn of_listener(
    text: &mut String,
    loaded: &Loaded,
    listener: usize,
    method: &str,
    url: &Url,
) -> bool {
    let number = u16::try_from(listener).unwrap_or(u16::MAX);
    let (host, path) = (url.host.as_bytes(), url.path.as_bytes());
    let verdicts = match explain(&loaded.config, number, host, path, method.as_bytes()) {
        Ok(verdicts) => verdicts,
        Err(error) => {
            let _ = writeln!(text, "  cannot tell: {:?}", error.problem);
            return false;
        }
    };
    let name = |route: usize| {
        let line = loaded.origins.route_lines.get(route);
        let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
        format!("route {}{line}, {}", route + 1, rule(&loaded.config.routes[route]))
    };
    let chosen = verdicts.iter().find(|verdict| verdict.outcome == Outcome::Chosen);
    match chosen {
        Some(verdict) => {
            let leads = target(&loaded.config, &loaded.config.routes[verdict.route].to);
            let _ = writeln!(text, "  takes {}\n    to {leads}", name(verdict.route));
        }
        None => text.push_str("  no route: 404\n"),
    }
    for verdict in verdicts.iter().filter(|verdict| verdict.outcome != Outcome::Chosen) {
        let _ = writeln!(text, "  not {}\n    {}", name(verdict.route), why(verdict.outcome));
    }
    chosen.is_some()
}

/// A TCP listener knows neither paths nor methods: where connections lead that ask for `host`.
fn of_tcp(text: &mut String, config: &Config, forward: &Forward, host: &str) -> bool {
    let suffix = host.split_once('.').map(|(_, suffix)| suffix);
    let names = |exact: bool| {
        forward.sni.iter().find(|(pattern, _)| match pattern {
            HostPattern::Exact(name) => exact && **name == *host,
            HostPattern::Wildcard(name) => !exact && suffix == Some(name),
            HostPattern::Any => false,
        })
    };
    let named = names(true).or_else(|| names(false));
    let leads = match (named, &forward.to) {
        (Some((_, to)), _) => {
            format!("speaks tcp: TLS that asks for {host}\n    to {}", cluster(config, to))
        }
        (None, Some(to)) => format!("speaks tcp\n    to {}", cluster(config, to)),
        (None, None) => "speaks tcp: TLS that asks for another name is closed".to_owned(),
    };
    let _ = writeln!(text, "  {leads}");
    named.is_some() || forward.to.is_some()
}

fn why(outcome: Outcome) -> String {
    match outcome {
        Outcome::Chosen => "chosen".to_owned(),
        Outcome::OtherListener => "bound to another listener".to_owned(),
        Outcome::OtherHost => "for another host".to_owned(),
        Outcome::OtherPath => "for another path".to_owned(),
        Outcome::OtherMethod => "for other methods".to_owned(),
        Outcome::Outranked { by, rank } => {
            let better = match rank {
                Rank::Host => "a more specific host",
                Rank::Path => "a more specific path",
                Rank::Method => "methods of its own",
                Rank::Listener => "a listener of its own",
                Rank::Order => "a place before it",
            };
            format!("matches, but route {} has {better}", by + 1)
        }
    }
}

/// What a route matches, as the file says it.
fn rule(route: &Route) -> String {
    let mut parts = Vec::new();
    if let Some(listener) = &route.listener {
        parts.push(format!("listener {listener}"));
    }
    match &route.host {
        HostPattern::Any => {}
        HostPattern::Exact(host) => parts.push(format!("host {host}")),
        HostPattern::Wildcard(suffix) => parts.push(format!("host *.{suffix}")),
    }
    match &route.path {
        PathRule::Any => {}
        PathRule::Exact(path) => parts.push(format!("path_exact {path}")),
        PathRule::Prefix(path) => parts.push(format!("path {path}")),
        PathRule::Regex(path) => parts.push(format!("path_regex {path}")),
    }
    if !route.methods.is_empty() {
        parts.push(format!("methods {}", route.methods.join(" ")));
    }
    if parts.is_empty() { "everything".to_owned() } else { parts.join(", ") }
}

fn target(config: &Config, target: &Target) -> String {
    match target {
        Target::Cluster(name) => cluster(config, name),
        Target::Redirect(redirect) => {
            let part = |part: &Option<Box<str>>, own: &str| match part {
                Some(part) => part.to_string(),
                None => own.to_owned(),
            };
            format!(
                "redirect {}: {}://{}{}",
                redirect.status,
                part(&redirect.scheme, "SCHEME"),
                part(&redirect.host, "HOST"),
                part(&redirect.path, "/PATH")
            )
        }
        Target::Answer(answer) => format!("answer {}", answer.status),
    }
}

fn cluster(config: &Config, name: &str) -> String {
    let cluster = config.clusters.iter().find(|cluster| *cluster.name == *name);
    let servers = cluster.map_or(0, |cluster| cluster.servers.len());
    format!("cluster {name} with {}", counted(servers, "server"))
}

#[cfg(test)]
mod tests {
    use super::{Url, answer};
    use crate::config::from_str;
    use crate::tls::Memory;

    // TLS-5
    #[test]
    fn a_tcp_listener_leads_by_name_alone() {
        let loaded = from_str(
            "t",
            "[listener.tls]\nbind = \"127.0.0.1:443\"\nprotocol = \"tcp\"\n\
             sni = { \"a.example\" = \"a\", \"*.example\" = \"b\" }\n\
             [listener.db]\nbind = \"127.0.0.1:5432\"\nprotocol = \"tcp\"\nto = \"a\"\n\
             [cluster.a]\nservers = [\"127.0.0.1:1\"]\n[cluster.b]\nservers = []\n",
            &Memory::default(),
        )
        .expect("good");
        let led = |text: &str| answer(&loaded, "GET", &Url::parse(text).expect("a URL"));
        let (text, found) = led("https://a.example/x");
        assert!(found && text.ends_with("asks for a.example\n    to cluster a with 1 server\n"));
        assert!(led("https://c.example/").0.ends_with("to cluster b with 0 servers\n"));
        let (text, found) = led("https://a.b.example/");
        assert!(!found && text.ends_with("another name is closed\n"), "{text}");
        assert!(
            led("http://any:5432/").0.ends_with("speaks tcp\n    to cluster a with 1 server\n")
        );
    }

    #[test]
    fn urls_are_taken_apart() {
        let url = |text: &str| {
            Url::parse(text).map(|url| format!("{} {} {}", url.host, url.port, url.path))
        };
        let good = [
            ("http://a.example", "a.example 80 /"),
            ("https://A.Example./x?y=/z#f", "a.example 443 /x"),
            ("http://a.example:8080?q", "a.example 8080 /"),
            ("http://[::0:1]:81/a%20b", "[::1] 81 /a%20b"),
            ("HTTP://10.0.0.1/", "10.0.0.1 80 /"),
            ("http://[::1]", "[::1] 80 /"),
        ];
        for (text, parts) in good {
            assert_eq!(url(text).as_deref(), Ok(parts), "{text}");
        }
        for text in [
            "",
            "/x",
            "a.example/x",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://a:x/",
            "http://a:65536/",
            "http://u@a/",
            "http://[::x]/",
            "http://a b/",
            "http://a/\u{fc}",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
