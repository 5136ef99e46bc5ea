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

/// A reverse proxy for HTTP/1.1
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until a signal ends it: TERM and INT stop gracefully, HUP reads the file again
    Serve(ServeArgs),
    /// Show every mistake in a configuration at once
    Check(CheckArgs),
    /// Show which listener, route and cluster a request takes, and why the others lost
    Route(RouteArgs),
    /// Show the long text of a diagnostic
    Explain {
        /// Its code, like TG003
        code: String,
    },
    /// Print the manual page, in roff
    Man,
    /// Print a shell's completions
    Completions {
        /// The shell
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
    /// Serve a demo on 127.0.0.1:8080, before three built-in servers
    #[arg(long, conflicts_with_all = ["config", "from"])]
    demo: bool,
    /// Listen on this address, without a file
    #[arg(long, value_name = "ADDR", requires = "to", conflicts_with = "config")]
    from: Option<String>,
    /// Pass requests on to these servers
    #[arg(long, value_name = "HOST:PORT", requires = "from", num_args = 1..)]
    to: Vec<String>,
    /// Print the configuration instead of serving it
    #[arg(long)]
    print_config: bool,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// How diagnostics are shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Print the effective configuration, every default included
    #[arg(long)]
    print: bool,
}

#[derive(Debug, clap::Args)]
struct RouteArgs {
    /// The request's method, case included
    #[arg(value_name = "METHOD")]
    method: String,
    /// The request's URL; the port selects the listener
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines, carets and hints
    Human,
    /// A JSON array
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
    match clap_mangen::Man::new(Cli::command()).render(&mut page) {
        Ok(()) => out(&String::from_utf8_lossy(&page)),
        Err(error) => {
            err(&format!("error: cannot make the manual page: {error}\n"));
            next("tidegate --help");
            ExitCode::FAILURE
        }
    }
}

fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut script);
    out(&String::from_utf8_lossy(&script))
}
