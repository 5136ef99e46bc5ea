//! `tidegate-sim run --config FILE`: a rehearsal.

use super::{BROKEN, CLEAN, RunArgs, USAGE, files, usage};
use crate::rehearsal::plan::{self, BODY_BYTES_MAX, CLIENTS_MAX, Kind, Load, Version};
use crate::rehearsal::{Filter, Plan, Report, Roster, rehearse as hold};
use crate::tls::{Which, certs};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tidegate::config::{Loaded, Rehearsed, StandIns, load_to_rehearse};
use tidegate::diagnostic::{Code, refusal, render};

/// Options of a rehearsal. The conflicts are those of each of them: an option whose own requirement
/// conflicts with what is there would be let through, and ignored.
#[derive(clap::Args)]
#[command(next_help_heading = "Rehearsal")]
#[group(id = "rehearsal", multiple = true, conflicts_with_all = ["seeds", "budget", "from",
    "jobs", "junit", "shard", "marks", "only", "failures", "cases", "hung_after"])]
pub(crate) struct RehearseArgs {
    /// Rehearses this configuration instead of running seeds
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Takes a server down, such as b2:10s..40s; by id, address, CLUSTER/ID or CLUSTER/*
    #[arg(long, value_name = "SERVER:FROM..TO", requires = "config")]
    outage: Vec<String>,
    /// Lets a server stand still, such as b2:10s..40s: nothing reaches it, nothing leaves it
    #[arg(long, value_name = "SERVER:FROM..TO", requires = "config")]
    freeze: Vec<String>,
    /// Slows a server down, such as b1:5x or b1:5x@10s..20s
    #[arg(long, value_name = "SERVER:FACTORx[@FROM..TO]", requires = "config")]
    slow: Vec<String>,
    /// Replaces the configuration while traffic flows, such as next.toml@30s
    #[arg(long, value_name = "FILE@TIME", requires = "config")]
    reload: Vec<String>,
    /// Requests a second, a minute or an hour [default: 100/s]
    #[arg(long, value_name = "N/s", value_parser = plan::rate, requires = "config")]
    rate: Option<u64>,
    /// How long requests come [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = positive, requires = "config")]
    duration: Option<u64>,
    /// What all chance follows from [default: 0]
    #[arg(long, value_name = "N", requires = "config")]
    seed: Option<u64>,
    /// Users, each with an address, cookies and connections [default: 200]
    #[arg(long, value_name = "N", requires = "config",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(CLIENTS_MAX)))]
    clients: Option<u32>,
    /// A new connection for each request
    #[arg(long, requires = "config")]
    new_connections: bool,
    /// How long a user waits for an answer [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = positive, requires = "config")]
    patience: Option<u64>,
    /// How long a server works on a request: the median, 1 % take 3 times as long [default: 20ms]
    #[arg(long, value_name = "TIME", value_parser = plan::span, requires = "config")]
    service: Option<u64>,
    /// Requests that a server works on at a time; more wait in it [default: any number]
    #[arg(long, value_name = "N", requires = "config",
        value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,
    /// Round trip between clients and proxy [default: 20ms]
    #[arg(long, value_name = "TIME", value_parser = plan::span, requires = "config")]
    client_rtt: Option<u64>,
    /// Round trip between proxy and servers [default: 400us]
    #[arg(long, value_name = "TIME", value_parser = plan::span, requires = "config")]
    server_rtt: Option<u64>,
    /// Of a hundred requests so many are POSTs, where a route takes both [default: 0]
    #[arg(long, value_name = "PERCENT", requires = "config",
        value_parser = clap::value_parser!(u8).range(0..=100))]
    post: Option<u8>,
    /// Bytes of a POST's body [default: 2048]
    #[arg(long, value_name = "BYTES", value_parser = body, requires = "config")]
    post_bytes: Option<usize>,
    /// Bytes of an answer's body [default: 4096]
    #[arg(long, value_name = "BYTES", value_parser = body, requires = "config")]
    body_bytes: Option<usize>,
    /// Asks for this host alone, instead of one for each route
    #[arg(long, value_name = "NAME", value_parser = host, requires = "config")]
    host: Option<String>,
    /// Asks for this path alone, instead of one for each route
    #[arg(long, value_name = "PATH", value_parser = path, requires = "config")]
    path: Option<String>,
    /// Asks this listener alone
    #[arg(long, value_name = "NAME", requires = "config")]
    listener: Option<String>,
    /// Writes the report with its plots to this file
    #[arg(long, value_name = "FILE", requires = "config")]
    html: Option<PathBuf>,
}

/// Why nothing was rehearsed, ready to be shown, and the exit code.
struct Refused(u8, String);

impl Refused {
    fn option(name: &str, why: &str) -> Refused {
        Refused(USAGE, format!("error: --{name}: {why}\nnext: tidegate-sim run --help\n"))
    }
}

/// Rehearses the configuration at `path`, and shows what came out; the exit code.
pub(crate) fn rehearse(path: &Path, args: &RunArgs) -> u8 {
    let of = &args.rehearsal;
    let mut inputs = vec![("--config", path)];
    let files = of.reload.iter().filter_map(|text| text.rsplit_once('@'));
    inputs.extend(files.map(|(file, _)| ("--reload", Path::new(file))));
    let written_to = [("--json", args.json.as_deref()), ("--html", of.html.as_deref())];
    if let Err(why) = files::distinct(&inputs, &written_to) {
        return usage(&why);
    }
    let planned = planned(path, of);
    let plan = match planned {
        Ok(plan) => plan,
        Err(Refused(code, text)) => {
            let _ = write!(std::io::stderr(), "{text}");
            return code;
        }
    };
    for warning in &plan.warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    #[expect(clippy::disallowed_methods, reason = "the command measures the real world")]
    let start = Instant::now();
    let report = hold(plan);
    let took = start.elapsed();
    let _ = write!(std::io::stdout(), "{}", report.table());
    let virtual_seconds = report.ended_us as f64 / 1e6;
    let _ = writeln!(
        std::io::stderr(),
        "\n{virtual_seconds:.1} virtual seconds took {:.2} s",
        took.as_secs_f64()
    );
    let written = written(&report, args.json.as_deref(), of.html.as_deref());
    if let Err(error) = written {
        return usage(&error);
    }
    if report.defects.is_empty() { CLEAN } else { BROKEN }
}

fn written(report: &Report, json: Option<&Path>, html: Option<&Path>) -> Result<(), String> {
    let write = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
        write(path, text + "\n")?;
    }
    if let Some(path) = html {
        write(path, report.html())?;
    }
    Ok(())
}

fn planned(path: &Path, args: &RehearseArgs) -> Result<Plan, Refused> {
    let (settings, first) = version(path)?;
    let mut versions = vec![(0, first)];
    for text in &args.reload {
        let wrong = || Refused::option("reload", &format!("\"{text}\" is not like next.toml@30s"));
        let (file, at) = text.rsplit_once('@').ok_or_else(wrong)?;
        let at = plan::span(at).map_err(|why| Refused::option("reload", &why))?;
        versions.push((at, version(Path::new(file))?.1));
    }
    let roster = Roster::new(versions.iter().map(|(_, version)| version));
    let mut faults = Vec::new();
    for (name, kind, all) in
        [("outage", Kind::Outage, &args.outage), ("freeze", Kind::Freeze, &args.freeze)]
    {
        for text in all {
            let found = roster.spell(kind, text);
            faults.extend(found.map_err(|why| Refused::option(name, &why))?);
        }
    }
    for text in &args.slow {
        faults.extend(roster.slowness(text).map_err(|why| Refused::option("slow", &why))?);
    }
    let filter = Filter {
        host: args.host.clone(),
        path: args.path.clone(),
        listener: args.listener.clone(),
    };
    Plan::new(settings, versions, roster, faults, load(args), &filter)
        .map_err(|why| Refused(USAGE, format!("error: {why}\nnext: tidegate-sim run --help\n")))
}

fn load(args: &RehearseArgs) -> Load {
    let usual = Load::default();
    Load {
        seed: args.seed.unwrap_or(usual.seed),
        gap: args.rate.unwrap_or(usual.gap),
        duration: args.duration.unwrap_or(usual.duration),
        clients: args.clients.unwrap_or(usual.clients),
        fresh_connections: args.new_connections,
        post_percent: args.post.unwrap_or(usual.post_percent),
        post_bytes: args.post_bytes.unwrap_or(usual.post_bytes),
        body_bytes: args.body_bytes.unwrap_or(usual.body_bytes),
        patience: args.patience.unwrap_or(usual.patience),
        client_rtt: args.client_rtt.unwrap_or(usual.client_rtt),
        server_rtt: args.server_rtt.unwrap_or(usual.server_rtt),
        service: args.service.unwrap_or(usual.service),
        concurrency: args.concurrency,
    }
}

/// Loads the file at `path` as the proxy would, and shows warnings.
fn version(path: &Path) -> Result<(tidegate_core::config::Settings, Version), Refused> {
    let stand_ins = StandIns {
        certificate: Which::A.certificate(),
        key: Which::A.private_key(),
        authority: certs::authority_of_servers(),
    };
    let colour = std::io::stderr().is_terminal();
    let loaded = load_to_rehearse(path, &stand_ins);
    let Rehearsed { loaded, names } =
        loaded.map_err(|found| match found.iter().find(|it| it.code == Code::FileUnreadable) {
            // What the proxy suggests then are options of its own.
            Some(it) => Refused(USAGE, format!("error: {}\n", it.message)),
            None => Refused(BROKEN, refusal(&found, colour)),
        })?;
    for warning in &loaded.warnings {
        let _ = writeln!(std::io::stderr(), "{}", render(warning, colour));
    }
    let Loaded { settings, config, origins, .. } = loaded;
    let tls = origins.listener_tls.iter();
    let those = |is_it: fn(&tidegate::config::ServerTlsOrigin) -> bool| {
        let found = tls.clone().filter(|(_, origin)| is_it(origin));
        found.map(|(name, _)| name.clone()).collect()
    };
    let version = Version {
        file: path.display().to_string(),
        from_13: those(|origin| origin.from_13),
        demanding: those(|origin| origin.client_ca.is_some()),
        route_lines: origins.route_lines,
        names,
        config,
    };
    Ok((settings, version))
}

fn positive(text: &str) -> Result<u64, String> {
    match plan::span(text)? {
        0 => Err("no time at all".into()),
        span => Ok(span),
    }
}

fn body(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes <= BODY_BYTES_MAX => Ok(bytes),
        Ok(_) => Err(format!("{BODY_BYTES_MAX} bytes at most")),
        Err(_) => Err(format!("\"{text}\" is no number of bytes")),
    }
}

fn host(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    match !text.is_empty() && text.len() < 254 && text.bytes().all(is_plain) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("\"{text}\" is no host name")),
    }
}

fn path(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'#');
    match text.starts_with('/') && is_plain && text.len() <= 120 {
        true => Ok(text.to_owned()),
        false => Err(format!("\"{text}\" is no path of at most 120 characters like /api")),
    }
}
