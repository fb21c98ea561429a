//! The examination of a set-up in production: settings, files, the database and its roles, the issuers. It changes nothing.

mod address;
mod contents;
mod database;
mod issuers;
mod settings;
mod standbys;

use crate::{clock::Clock, config::Settings};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// As it should be.
    Sound,
    /// It works, and is worth a thought.
    Note,
    /// It does not work, is not safe, or will not stay so.
    Fault,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// What was examined: a setting or a part of the set-up.
    pub about: String,
    /// What was found, and what to do about it.
    pub text: String,
}

/// What has been found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, weight: Weight, about: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { weight, about: about.into(), text: text.into() });
    }

    fn sound(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Sound, about, text);
    }

    fn note(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Note, about, text);
    }

    fn fault(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.add(Weight::Fault, about, text);
    }
}

/// Examines the set-up that the settings describe; for a further cluster its database alone. What depends on something that is not there is left out.
pub async fn examine(settings: &Settings, clock: &Clock) -> Vec<Finding> {
    let mut findings = Findings::default();
    // Further clusters share the rest.
    if !settings.is_main_cluster() {
        database::examine(settings, clock, &mut findings).await;
        return findings.0;
    }
    settings::examine(settings, &mut findings);
    database::examine(settings, clock, &mut findings).await;
    issuers::examine(settings, clock, &mut findings).await;
    findings.0
}
