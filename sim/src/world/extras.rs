//! What a configuration has besides routes to clusters: redirects, fixed answers, answers that are
//! replaced, routes that nobody takes. Requests for them are in the corpus (`flaws.rs`).

use crate::choice::{Choices, Rate};
use crate::site;
use std::sync::Arc;
use tidegate_core::config::{
    AnswerBody, Config, FixedAnswer, HostPattern, PathRule, Protocol, Redirect, Route, Target,
};

/// Routes that nobody takes, where there are any: more than a host has without an index.
const DECOYS: usize = 12;

/// Statuses of a fixed answer; they have a body.
pub(super) const FIXED: &[u16] = &[
    200, 201, 202, 203, 206, 299, 300, 303, 401, 402, 403, 404, 405, 406, 407, 409, 411, 412, 415,
    416, 417, 421, 422, 425, 426, 428, 451, 500, 511, 599,
];

/// What a seed's configurations have.
#[derive(Clone)]
pub(super) struct Extras {
    has_decoys: bool,
    /// Regular expressions cost more to compile than a seed costs to run: few seeds have them.
    has_expressions: bool,
    forwards: bool,
    /// Of a fixed answer.
    status: u16,
    replaces: bool,
}

impl Extras {
    /// What a seed has.
    pub(super) fn draw(choices: &mut Choices) -> Extras {
        Extras {
            has_decoys: choices.coin(site!("extras/decoys"), 0),
            has_expressions: choices.chance(site!("extras/regex"), 0, Rate::percent(6)),
            forwards: choices.coin(site!("extras/forwards"), 0),
            status: choices.pick(site!("extras/status"), 0, FIXED),
            replaces: choices.coin(site!("extras/replaces"), 0),
        }
    }

    /// Adds routes and answers.
    pub(super) fn add_to(&self, config: &mut Config) {
        let own = [
            ("moved.sim", PathRule::Prefix("/moved".into()), to(301, Some("https"), None, None)),
            ("moved.sim", PathRule::Exact("/found".into()), to(302, None, Some("h0.sim"), None)),
            ("moved.sim", PathRule::Any, to(308, None, None, Some("/there?now"))),
            ("", PathRule::Exact("/fixed".into()), fixed(self.status, None)),
            ("", PathRule::Prefix("/tea".into()), fixed(418, Some("short and stout"))),
        ];
        for (host, path, target) in own {
            let host = if host.is_empty() { HostPattern::Any } else { exact(host) };
            config.routes.push(route(host, path, target));
        }
        let patterns = [
            (HostPattern::Wildcard("wild.sim".into()), "/re/[0-9]+", 307, vec!["GET", "HEAD"]),
            (HostPattern::Wildcard("deep.wild.sim".into()), "/re/.*", 308, vec![]),
        ];
        for (host, path, status, methods) in patterns.into_iter().filter(|_| self.has_expressions) {
            let target = to(status, None, None, Some("/"));
            let mut route = route(host, PathRule::Regex(path.into()), target);
            route.methods = methods.into_iter().map(Box::from).collect();
            config.routes.push(route);
        }
        if self.has_decoys {
            for n in 0..DECOYS {
                let path = match n % 3 {
                    0 => PathRule::Prefix(format!("/decoy/{n}").into()),
                    1 => PathRule::Exact(format!("/decoy/{n}").into()),
                    _ if self.has_expressions => {
                        PathRule::Regex(format!("/decoy/{n}/[a-z]*").into())
                    }
                    _ => PathRule::Prefix(format!("/decoy/{n}/abc").into()),
                };
                let mut decoy = route(HostPattern::Any, path, fixed(410, None));
                if n.is_multiple_of(4) {
                    decoy.methods = vec!["POST".into()];
                }
                if n.is_multiple_of(5) {
                    decoy.listener = config.listeners.first().map(|first| first.name.clone());
                }
                config.routes.push(decoy);
            }
        }
        config.forwarded = self.forwards;
        if self.replaces {
            for listener in
                config.listeners.iter_mut().filter(|listener| listener.protocol == Protocol::Http)
            {
                listener.answers.extend([(404, text("gone")), (400, text("no")), (502, text("?"))]);
            }
            for cluster in &mut config.clusters {
                cluster.answers.insert(503, text("later"));
            }
        }
    }
}

fn exact(host: &str) -> HostPattern {
    HostPattern::Exact(host.into())
}

fn route(host: HostPattern, path: PathRule, to: Target) -> Route {
    Route { host, path, to, ..Route::to_cluster("") }
}

fn to(status: u16, scheme: Option<&str>, host: Option<&str>, path: Option<&str>) -> Target {
    let part = |part: Option<&str>| part.map(Box::from);
    Target::Redirect(Redirect { status, scheme: part(scheme), host: part(host), path: part(path) })
}

fn fixed(status: u16, body: Option<&str>) -> Target {
    Target::Answer(FixedAnswer { status, body: body.map(text) })
}

fn text(text: &str) -> AnswerBody {
    AnswerBody { content_type: "text/plain".into(), bytes: Arc::from(text.as_bytes()) }
}
