//! The command line: what it takes, and where each command leads.
//!
//! Exit codes: 0 good, 1 "no" (an invalid configuration, a request without route), 2 usage.
//! Every failure ends with the next command to type.

mod check;
mod explain;
mod output;
mod route;
mod serve;

use crate::config::DEFAULT_FILE;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use output::{err, next, out};
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit code of a usage error.
const USAGE: u8 = 2;

/// What one may want to know about `serve` that is no option.
const ABOUT_SERVING: &str = "\
Signals:
  TERM, INT  Stop gracefully: no new connections, begun requests are answered; twice: at once
  HUP        Read the configuration again; it is applied whole or not at all
  USR1       Open the access log's file again, after it was moved away
  QUIT       Write a flight recording of each worker, and go on

Exit codes:
  0   stopped gracefully
  1   it could not begin, or a second signal stopped it at once
  2   the command line is wrong
  70  a bug: workers panicked three times within a minute

Examples:
  tidegate serve --demo
  tidegate serve --from 127.0.0.1:8080 --to 127.0.0.1:9001 --to 127.0.0.1:9002
  tidegate serve -c /etc/tidegate.toml
";

const FIRST_STEPS: &str = "\
First steps:
  tidegate serve --demo                                   something to try, without a file
  tidegate check -c FILE                                  is this configuration good?
  tidegate route GET http://example.com/x -c FILE         where would this request go?
  tidegate serve -c FILE                                  serve it
";

const ABOUT_CHECKING: &str = "\
Exit codes:
  0  it can be served; warnings may be shown
  1  it has mistakes
  2  the command line is wrong
";

const ABOUT_ROUTING: &str = "\
Nothing is sent. Exit codes:
  0  a listener has a route for the request
  1  no listener has: clients get 404; or the configuration has mistakes
  2  the command line is wrong
";

/// A reverse proxy for HTTP/1.1
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
#[command(after_help = FIRST_STEPS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a configuration until a signal ends it
    #[command(after_help = ABOUT_SERVING)]
    Serve(ServeArgs),
    /// Check a configuration and show every mistake at once
    #[command(after_help = ABOUT_CHECKING)]
    Check(CheckArgs),
    /// Show which listener, route and cluster a request would take, and why the others lose
    #[command(after_help = ABOUT_ROUTING)]
    Route(RouteArgs),
    /// Explain a diagnostic of `check`: what it means and what to do
    Explain {
        /// The diagnostic's code, like TG003
        #[arg(value_name = "CODE")]
        code: String,
    },
    /// Print the manual page; read it with `tidegate man | man -l -`
    Man,
    /// Print a script that completes commands and options in your shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Serve a demo on 127.0.0.1:8080, before three built-in servers, without a file
    #[arg(long, conflicts_with_all = ["config", "from"])]
    demo: bool,
    /// Listen on this address, without a file; needs --to
    #[arg(long, value_name = "IP:PORT", requires = "to", conflicts_with = "config")]
    from: Option<String>,
    /// Pass all requests on to these servers, in turn
    #[arg(long, value_name = "HOST:PORT", requires = "from", num_args = 1..)]
    to: Vec<String>,
    /// Where flight recordings are written: on QUIT, after a panic, and when a fault of ours is
    /// found; the current directory by default
    #[arg(long, value_name = "DIR")]
    record_dir: Option<PathBuf>,
    /// How much each worker keeps in memory of what went through it, or `off`
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = ring)]
    record: Ring,
    /// Print the configuration that would be served, and end: a start for a file of your own
    #[arg(long, conflicts_with_all = ["record", "record_dir"])]
    print_config: bool,
}

/// Bytes of a worker's flight recorder; none when it is off.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Ring(Option<usize>);

/// `off`, or from 1 MiB to 1 GiB.
fn ring(text: &str) -> Result<Ring, String> {
    if text == "off" {
        return Ok(Ring(None));
    }
    match crate::config::value::size(text) {
        Some(bytes @ 0x10_0000..=0x4000_0000) => Ok(Ring(usize::try_from(bytes).ok())),
        _ => Err("it is `off`, or a size from 1MiB to 1GiB, such as 16MiB".into()),
    }
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// How mistakes and warnings are shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Print the configuration with every default filled in
    #[arg(long)]
    print: bool,
}

#[derive(Debug, clap::Args)]
struct RouteArgs {
    /// The request's method, like GET; upper and lower case differ
    #[arg(value_name = "METHOD")]
    method: String,
    /// The request's URL; its port selects the listener, http stands for 80 and https for 443
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the line, a caret and a hint
    Human,
    /// For programs: a JSON array on standard output
    Json,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(&args),
        Command::Route(args) => route::run(&args),
        Command::Explain { code } => explain::run(&code),
        Command::Man => man(),
        Command::Completions { shell } => completions(shell),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Help and version are asked for: they are printed here too, and are no failure.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    next("tidegate --help");
    ExitCode::from(USAGE)
}

fn man() -> ExitCode {
    let mut page = Vec::new();
    match write_man(&mut page) {
        Ok(()) => out(&String::from_utf8_lossy(&page)),
        Err(error) => {
            err(&format!("error: cannot make the manual page: {error}\n"));
            next("tidegate --help");
            ExitCode::FAILURE
        }
    }
}

/// One page for all commands: it does not point to pages that nobody installed.
fn write_man(page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut cli = Cli::command();
    cli.build();
    let whole = clap_mangen::Man::new(cli.clone());
    whole.render_title(page)?;
    whole.render_name_section(page)?;
    for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
        let title = format!(".SH \"TIDEGATE {}\"\n", command.get_name().to_uppercase());
        page.extend_from_slice(title.as_bytes());
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        page.extend_from_slice(format!("{about}.\n").as_bytes());
        let part = clap_mangen::Man::new(command.clone());
        let mut sections = Vec::new();
        part.render_synopsis_section(&mut sections)?;
        part.render_options_section(&mut sections)?;
        // What is a section of a page of its own is a part of a section here.
        let sections = String::from_utf8_lossy(&sections).replace(".SH ", ".SS ");
        page.extend_from_slice(sections.as_bytes());
        if let Some(more) = command.get_after_help() {
            page.extend_from_slice(format!(".PP\n.nf\n{more}.fi\n").as_bytes());
        }
    }
    Ok(())
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut script);
    out(&String::from_utf8_lossy(&script))
}
