//! The bar that long commands show.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar over this many things of that name, with the time that the rest takes.
pub fn bar(length: u64, of: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(&format!("{{bar:40}} {{pos}} of {{len}} {of}, {{elapsed}} so far, about {{eta}} left"));
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
