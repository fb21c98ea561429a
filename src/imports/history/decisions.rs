//! What people decided about rows that were reported: a file of lines of JSON.
//!
//! `{"kind": "commission", "id": "cm_1", "set": {"partnerId": "pn_2"}}` says what the source should have said, by its own columns;
//! `{"kind": "user", "id": "u_1", "is": "user_01…"}` that the row is something that is here already;
//! `{"kind": "link", "id": "l_1", "leave": true, "reason": "…"}` that it is left out for good.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::records::storable;
use crate::{
    ids,
    models::imports::{facts::ImportKind, finding::RowName},
};

/// A decision about a row.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What the source should have said, by its columns.
    pub set: Map<String, Value>,
    /// What it is here.
    pub existing: Option<Uuid>,
    /// Whether it is left out for good.
    pub leave: bool,
    /// The line as it stands in the file.
    pub line: Value,
}

/// All decisions.
#[derive(Debug, Default)]
pub struct Decisions {
    rows: HashMap<RowName, Decision>,
    /// SHA-256 of the file.
    pub digest: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kind: String,
    id: String,
    #[serde(default)]
    set: Map<String, Value>,
    #[serde(default)]
    is: Option<String>,
    #[serde(default)]
    leave: bool,
    #[serde(default)]
    #[expect(dead_code, reason = "kept with the row as the line that it stands in")]
    reason: Option<String>,
}

impl Decisions {
    /// Reads them. An error names the line.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let file = File::open(path).map_err(|error| format!("{shown}: {error}"))?;
        let (mut rows, mut whole) = (HashMap::new(), Vec::new());
        for (number, text) in (1..).zip(BufReader::new(file).lines()) {
            let text = storable(text.map_err(|error| format!("{shown}: {error}"))?);
            whole.extend_from_slice(text.as_bytes());
            whole.push(b'\n');
            let text = text.trim_start_matches('\u{feff}');
            if !text.trim().is_empty() {
                let (name, decision) = decision(text).map_err(|error| format!("{shown}, line {number}: {error}"))?;
                if rows.insert(name, decision).is_some() {
                    return Err(format!("{shown}, line {number}: the row has a decision already"));
                }
            }
        }
        Ok(Self { rows, digest: digest(&SHA256, &whole).as_ref().to_vec() })
    }

    /// The rows that decisions are about.
    pub fn names(&self) -> Vec<RowName> {
        self.rows.keys().cloned().collect()
    }

    /// The decision about a row.
    pub fn of(&self, kind: ImportKind, id: &str) -> Option<&Decision> {
        if self.rows.is_empty() { None } else { self.rows.get(&(kind, id.to_owned())) }
    }
}

fn decision(text: &str) -> Result<(RowName, Decision), String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let kind: ImportKind = line.kind.parse()?;
    let existing = match &line.is {
        None => None,
        Some(id) => {
            let known = [ImportKind::Partner, ImportKind::User, ImportKind::Programme, ImportKind::Customer].contains(&kind);
            let found = ids::parse_any(id).filter(|(prefix, _)| known && prefix == kind.as_str());
            Some(found.ok_or_else(|| format!("{id:?} is no id of a {}", kind.as_str()))?.1)
        }
    };
    if line.set.is_empty() && existing.is_none() && !line.leave {
        return Err("it decides nothing: expected set, is or leave".to_owned());
    }
    if line.leave && (existing.is_some() || !line.set.is_empty()) {
        return Err("it leaves the row out and says something of it: expected one of the two".to_owned());
    }
    let shown = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(((kind, line.id), Decision { set: line.set, existing, leave: line.leave, line: shown }))
}
