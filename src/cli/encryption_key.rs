//! `partner-portal encryption-key`

use clap::Args;

use super::{Failure, say};
use crate::keyring::Keyring;

#[derive(Args)]
pub struct Arguments {
    /// The key's version: higher than those that are there, so that new values are sealed with it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    version: u32,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    say(&format!("{}\n", Keyring::fresh_key(arguments.version)?));
    Ok(())
}
