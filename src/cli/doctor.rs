//! `partner-portal doctor`

use std::process::ExitCode;

use super::{Failure, say};
use crate::{
    clock::Clock,
    config::Settings,
    doctor::{Finding, Weight, examine},
};

#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON lines, one for each finding
    #[arg(long)]
    json: bool,
}

/// Prints what was found; the exit status is 1 where anything is at fault.
pub async fn run(clusters: &[(String, Settings)], arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut findings = Vec::new();
    for (name, settings) in clusters {
        let found = examine(settings, &Clock::default()).await;
        let of = |about: String| if clusters.len() > 1 { format!("{name}: {about}") } else { about };
        findings.extend(found.into_iter().map(|finding| Finding { about: of(finding.about), ..finding }));
    }
    let count = |weight| findings.iter().filter(|finding| finding.weight == weight).count();
    for finding in &findings {
        if arguments.json {
            say(&format!("{}\n", serde_json::to_string(finding)?));
            continue;
        }
        let mark = match finding.weight {
            Weight::Sound => "ok   ",
            Weight::Note => "note ",
            Weight::Fault => "FAULT",
        };
        say(&format!("{mark}  {}: {}\n", finding.about, finding.text));
    }
    let (faults, notes) = (count(Weight::Fault), count(Weight::Note));
    if !arguments.json {
        match faults {
            0 => say(&format!("PASS: no fault, {notes} notes.\n")),
            _ => say(&format!("FAIL: {faults} at fault, {notes} notes.\n")),
        }
    }
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
