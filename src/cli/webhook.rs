//! `partner-portal webhook`: tries out the address of a source on a running server.

use std::time::Duration;

use clap::{Args, Subcommand};
use url::Url;

use super::{Failure, say};
use crate::{
    clock::Clock,
    models::webhooks::source::WebhookSourceKind,
    webhooks::receiving::{
        samples::{Feed, disordered},
        verify::sign,
    },
};

/// How long the server has to answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Subcommand)]
pub enum Command {
    /// Send signed samples of every kind of event to a source of a running server: in disorder, some twice, some late
    ListenTest(Arguments),
}

/// Where to and what.
#[derive(Args)]
pub struct Arguments {
    /// The source's address, as `webhookSources { url }` has it
    #[arg(value_name = "URL")]
    url: Url,
    /// Which service the samples are of: clerk or stripe
    #[arg(long, value_name = "SERVICE", value_parser = service)]
    kind: WebhookSourceKind,
    /// A secret of the source
    #[arg(long, env = "WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET")]
    secret: String,
    /// What the samples' ids have in them; the same name sends the same events again
    #[arg(long, value_name = "NAME", default_value = "sample")]
    name: String,
    /// The order: another number, another disorder; 0 sends each event once, in order
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// The id of a click on a link, by which the samples' buyers come
    #[arg(long, value_name = "ID")]
    click: Option<String>,
    /// The organisation that the samples' users are members of
    #[arg(long, value_name = "ID", default_value = "org_sample")]
    organization: String,
}

fn service(text: &str) -> Result<WebhookSourceKind, String> {
    text.parse().map_err(|_| "expected clerk or stripe".to_owned())
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let Command::ListenTest(arguments) = command;
    let Arguments { url, kind, secret, name, seed, click, organization } = arguments;
    let plain = |text: &str| !text.is_empty() && text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain(&name) {
        return Err(Failure(format!("--name: {name:?} cannot be used: expected 1 to 40 letters and digits")));
    }
    let clock = Clock::default();
    let events = Feed { name, ends_at: clock.now(), click, organization }.events(kind);
    let feed = if seed == 0 { events } else { disordered(&events, seed) };
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let (mut taken, mut first_refusal) = (0, None);
    for event in &feed {
        let signed = sign(kind, &secret, &event.id, event.body.as_bytes(), clock.now());
        let signed = signed.ok_or_else(|| Failure("--secret: expected whsec_ and base64".to_owned()))?;
        let mut request = client.post(url.clone()).header("content-type", "application/json").body(event.body.clone());
        for (header, value) in signed {
            request = request.header(header, value);
        }
        let answer = request.send().await.map_err(|error| Failure(format!("{url} does not answer: {}", error.without_url())))?;
        let status = answer.status();
        say(&format!("{status}  {}  {}\n", event.id, event.name));
        if status.is_success() {
            taken += 1;
        } else if first_refusal.is_none() {
            let text = answer.text().await.unwrap_or_default();
            first_refusal = Some(format!("{status}: {}", text.lines().next().unwrap_or_default()));
        }
    }
    match first_refusal {
        None => {
            say(&format!("All {taken} were taken. webhookSources {{ receipts }} shows what becomes of each.\n"));
            Ok(())
        }
        Some(refusal) => Err(Failure(format!("{taken} of {} were taken; the first that was not: {refusal}", feed.len()))),
    }
}
