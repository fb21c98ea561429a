//! `partner-portal id`
#![expect(clippy::doc_markdown, reason = "--help shows these comments as they stand")]

use clap::Args;
use uuid::Uuid;

use super::{Failure, say};
use crate::ids;

#[derive(Args)]
pub struct Arguments {
    /// An id such as lead_01h455vb4pex5vsknk084sn02q, or a UUID
    value: String,
    /// For a UUID: what it is the id of
    #[arg(long = "as", value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(ids::PREFIXES))]
    kind: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let value = arguments.value.as_str();
    if let Some((_, uuid)) = ids::parse_any(value).filter(|(prefix, _)| !prefix.is_empty()) {
        say(&format!("{uuid}\n"));
        return Ok(());
    }
    let uuid = Uuid::try_parse(value).map_err(|_| Failure(format!("{value:?} is neither an id nor a UUID")))?;
    let kind = arguments
        .kind
        .as_deref()
        .ok_or_else(|| Failure(format!("say what {value} is the id of: --as {}", ids::PREFIXES.join("|"))))?;
    say(&format!("{}\n", ids::format_any(kind, uuid).ok_or_else(|| Failure(format!("{kind:?} is no kind of id")))?));
    Ok(())
}
