//! The commands: one file each. They put the other modules together and speak to the person at the terminal.

mod bar;
mod database;
mod doctor;
mod encryption_key;
mod first_start;
mod health;
mod id;
mod import;
mod import_members;
mod listeners;
mod maintain;
mod migrate;
mod rotate_keys;
mod seed;
mod serve;
mod tenant;
mod tenant_host;
mod tenant_move;
mod token;
mod verify;
mod webhook;
mod welcome;
mod work;

use std::{fmt, io::Write, process::ExitCode};

use clap::{
    CommandFactory, Parser, Subcommand,
    builder::PossibleValue,
    error::{ContextKind, ContextValue, ErrorKind},
};

use self::listeners::Listeners;
use crate::{config::Settings, telemetry::log};

/// The stack of a thread that answers requests. A build without optimisation keeps every step of a mutation on it, and comes near two MiB.
const STACK: usize = 8 * 1024 * 1024;

/// A GraphQL API server for partner portals. With nothing set it brings its own PostgreSQL, demo data and tokens.
#[derive(Parser)]
#[command(name = "partner-portal", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve,
    /// Apply the migrations that are missing, and end
    Migrate,
    /// Print the GraphQL schema (SDL)
    Schema,
    /// Print a session token for development
    Token(token::Arguments),
    /// Add, list or change tenants
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Fill a tenant with made-up partners and leads
    Seed(seed::Arguments),
    /// Bring in what another system gave out: partners, people, links, commissions, payouts
    Import(Box<import::Arguments>),
    /// Import a partner's members from a CSV file
    ImportMembers(import_members::Arguments),
    /// Do what is due by time, once: approve commissions that were held long enough, expire credits
    Maintain,
    /// Examine a set-up in production, and say what is wrong with it and what to do; changes nothing
    Doctor(doctor::Arguments),
    /// Ask the server on this machine whether it is ready; the exit status says so
    Health,
    /// Recompute every balance and total, and print PASS or FAIL for each rule
    Verify(verify::Arguments),
    /// Try out the addresses that webhooks come in at
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Decode an id to its UUID, or encode a UUID
    Id(id::Arguments),
    /// Print a fresh encryption key, for the setting of the keys that seal tax ids and bank accounts
    EncryptionKey(encryption_key::Arguments),
    /// Seal tax ids and bank accounts anew with the newest encryption key
    RotateKeys,
}

/// Why a command failed: one line for the person at the terminal.
pub struct Failure(String);

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes to standard output. A reader that has gone away is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    // First of all: it must be alone with the environment.
    let listeners = Listeners::passed();
    warn_of_unknown_variables();
    let outcome = Cli::try_parse().map_err(|error| unparsed(&error)).and_then(|cli| {
        let listeners = listeners?;
        let traces = log::start(&cli.settings).map_err(Failure)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build()?;
        let outcome = runtime.block_on(run(cli, listeners));
        // What still runs in the background (a download) is not waited for.
        runtime.shutdown_background();
        if let Some(traces) = traces {
            traces.finish();
        }
        outcome
    });
    match outcome {
        Ok(code) => code,
        Err(Failure(text)) if text.is_empty() => ExitCode::SUCCESS,
        Err(Failure(text)) => {
            eprintln!("partner-portal: {}", text.replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

async fn run(Cli { command, settings }: Cli, listeners: Listeners) -> Result<ExitCode, Failure> {
    settings_hold(&settings, command.as_ref())?;
    let clusters = settings.for_clusters().map_err(Failure)?;
    // Where none is named, that of DATABASE_URL.
    let [(_, one), ..] = clusters.as_slice() else { return Err(Failure::new("there is no cluster")) };
    let done = match command.unwrap_or(Command::Serve) {
        Command::Import(arguments) => return import::run(one, *arguments).await,
        Command::Doctor(arguments) => return doctor::run(&clusters, &arguments).await,
        Command::Serve if settings.cluster.is_some() => Err(Failure::new("--cluster: a server serves all clusters")),
        Command::Serve => serve::run(settings, listeners).await,
        Command::Health => health::run(&settings).await,
        Command::Migrate => each(&clusters, migrate::run).await,
        Command::Schema => {
            say(&crate::graphql::sdl());
            Ok(())
        }
        Command::Token(arguments) => token::run(&settings, arguments).await,
        Command::Tenant(command) => tenant::run(&settings, &clusters, command).await,
        Command::Seed(arguments) => seed::run(one, arguments).await,
        Command::Id(arguments) => id::run(&arguments),
        Command::ImportMembers(arguments) => import_members::run(one, arguments).await,
        Command::Maintain => each(&clusters, maintain::run).await,
        Command::Verify(arguments) => verify::run(&clusters, &arguments).await,
        Command::Webhook(command) => webhook::run(command).await,
        Command::EncryptionKey(arguments) => encryption_key::run(&arguments),
        Command::RotateKeys => each(&clusters, rotate_keys::run).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs a command on each cluster that it is for, and says on which.
async fn each(clusters: &[(String, Settings)], run: impl AsyncFn(&Settings) -> Result<(), Failure>) -> Result<(), Failure> {
    if let [(_, only)] = clusters {
        return run(only).await;
    }
    for (name, settings) in clusters {
        say(&format!("{name}:\n"));
        run(settings).await.map_err(|Failure(text)| Failure(format!("{name}: {text}")))?;
    }
    Ok(())
}

/// The server and what it seals need all settings right; other commands need just a database.
fn settings_hold(settings: &Settings, command: Option<&Command>) -> Result<(), Failure> {
    match command {
        None | Some(Command::Serve) => settings.check().map_err(Failure::new),
        _ => Ok(()),
    }
}

/// What clap says of arguments that are missing or unknown, in one line: which, and what was perhaps meant.
fn unparsed_arguments(error: &clap::Error) -> String {
    let rendered = error.to_string();
    let first = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let several = |kind| match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    };
    let mut said = first.trim_end_matches(':').to_owned();
    if error.kind() == ErrorKind::MissingRequiredArgument {
        said = format!("{said}: {}", several(ContextKind::InvalidArg).join(", "));
    }
    let meant: Vec<String> =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg].into_iter().flat_map(several).collect();
    if let Some(meant) = meant.first() {
        said = format!("{said}; did you mean {meant}?");
    }
    format!("{said}; see --help")
}

/// Warns of environment variables that begin with this program's prefix and are not settings: they are most likely mistyped.
fn warn_of_unknown_variables() {
    let program = Cli::command();
    let known: Vec<String> = program
        .get_arguments()
        .filter_map(|argument| argument.get_env().map(|name| name.to_string_lossy().into_owned()))
        .collect();
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("PORTAL_")) else { continue };
        if known.iter().any(|known| known == name) {
            continue;
        }
        let changes = |known: &String| strsim::osa_distance(known, name);
        let nearest = known.iter().min_by_key(|known| changes(known)).filter(|known| changes(known) <= 2);
        let meant = nearest.map_or(String::new(), |known| format!("; did you mean {known}?"));
        eprintln!("partner-portal: {name} is no setting of this program's{meant}");
    }
}

/// What clap says of wrong arguments, in one line that names the setting by its variable and its flag. Help and version are
/// printed here, and no failure.
fn unparsed(error: &clap::Error) -> Failure {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return Failure(String::new());
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let named = text(ContextKind::InvalidArg).and_then(|shown| {
        let flag = shown.split_whitespace().next()?.trim_start_matches('-').to_owned();
        let program = Cli::command();
        let commands = std::iter::once(&program)
            .chain(program.get_subcommands())
            .chain(program.get_subcommands().flat_map(clap::Command::get_subcommands));
        commands.flat_map(clap::Command::get_arguments).find(|argument| argument.get_long() == Some(flag.as_str())).cloned()
    });
    let (Some(argument), ErrorKind::ValueValidation | ErrorKind::InvalidValue) = (named, error.kind()) else {
        return Failure(unparsed_arguments(error));
    };
    let flag = argument.get_long().unwrap_or_default();
    let name = argument.get_env().map_or_else(|| format!("--{flag}"), |env| format!("{} (--{flag})", env.to_string_lossy()));
    // A secret is not repeated.
    let value = text(ContextKind::InvalidValue).filter(|_| !argument.is_hide_env_values_set()).map(|value| format!(" {value:?}"));
    let reason = std::error::Error::source(error).map_or_else(
        || {
            let possible = argument.get_possible_values();
            format!("expected one of {}", possible.iter().map(PossibleValue::get_name).collect::<Vec<_>>().join(", "))
        },
        ToString::to_string,
    );
    Failure(format!("{name}:{} cannot be used: {reason}", value.unwrap_or_default()))
}
