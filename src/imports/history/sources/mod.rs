//! The systems that can be imported from.

mod dub;
mod firstpromoter;
mod legacy;
mod partnerstack;
mod rewardful;
mod tapfiliate;
mod tolt;

use super::source::SourceFacts;

/// Every system.
pub const SOURCES: [&SourceFacts; 7] = [
    &legacy::LEGACY,
    &dub::DUB,
    &rewardful::REWARDFUL,
    &tolt::TOLT,
    &partnerstack::PARTNERSTACK,
    &firstpromoter::FIRSTPROMOTER,
    &tapfiliate::TAPFILIATE,
];

/// The system of a name.
pub fn named(name: &str) -> Option<&'static SourceFacts> {
    SOURCES.into_iter().find(|source| source.name == name)
}
