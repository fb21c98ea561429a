//! The files of an import that came over the API: which there may be, what is said beside them, and how they are read where they lie.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    time::Duration,
};

use aws_lc_rs::digest::{Context as Digest, SHA256};
use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{
    decisions::Decisions,
    folder::Folder,
    reading::{RateUnit, ReadingOptions},
    records::FileFormat,
    source::{MoneyForm, SourceFacts},
};
use crate::models::imports::{data_import::DataImportFile, run::Orphans};

/// The largest size of all files together, in bytes.
pub const MAX_BYTES: usize = 100 * 1024 * 1024;
/// The most files.
pub const MAX_FILES: usize = 100;
/// The longest name of a file, in bytes of UTF-8.
const MAX_NAME: usize = 200;
/// The largest file of decisions, in bytes: all of them are held in memory.
const MAX_DECISIONS: u64 = 5 * 1024 * 1024;
/// How much of a file is read at once, in bytes.
const PART: usize = 1024 * 1024;
/// What the names of folders begin with in which files lie while they are read.
const PREFIX: &str = "partner-portal-import-";
/// When such a folder is no running server's: one that was killed has left it.
const LEFT: Duration = Duration::from_hours(24);
/// The file that holds decisions about rows.
pub const DECISIONS: &str = "decisions.jsonl";

/// A folder for files, which ends with what is returned.
pub fn folder() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(PREFIX).tempdir()
}

/// Removes the folders that servers have left behind which were killed.
pub fn remove_left() {
    let folders = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for folder in folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(PREFIX)) {
        let is_left = folder.metadata().and_then(|data| data.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT));
        if is_left && let Err(error) = fs::remove_dir_all(folder.path()) {
            tracing::warn!(folder = %folder.path().display(), %error, "a folder of an import that was cut off cannot be removed");
        }
    }
}

/// What is said of files beside them, as it is kept until a server runs the import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadOptions {
    /// The currency of amounts that name none (ISO 4217).
    pub currency: Option<String>,
    /// The zone of times that name none (IANA).
    pub zone: Option<String>,
    /// What shares are written in.
    pub rate_unit: Option<RateUnit>,
    /// How amounts are written, where that is otherwise than the source does.
    pub money: Option<MoneyForm>,
    /// Where links lead that say no address, with `{key}` for their key.
    pub link_url: Option<String>,
    /// What becomes of links without owner.
    pub orphans: Orphans,
}

impl UploadOptions {
    /// As files are read by them. What is no currency or zone is as if it had not been said: both are checked when they come.
    pub fn reading(&self) -> ReadingOptions {
        ReadingOptions {
            currency: self.currency.as_deref().and_then(Currency::from_code),
            zone: self.zone.as_deref().and_then(|zone| zone.parse().ok()),
            rate_unit: self.rate_unit,
            money: self.money,
            link_url: self.link_url.clone(),
        }
    }
}

/// Whether a file may be called so: an error says what it may be called. A name is of one file in one folder, on whatever system.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ' | '(' | ')');
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with(['.', ' ']) || !name.chars().all(is_plain) {
        return Err(format!(
            "{:?} cannot be a file's name here: it has letters, digits, blanks, dots, hyphens, underscores and parentheses, {MAX_NAME} bytes at most.",
            name.chars().take(MAX_NAME).collect::<String>()
        ));
    }
    if FileFormat::of(Path::new(name)).is_none() {
        return Err(format!("{name:?} is no .csv, .tsv, .txt, .jsonl, .ndjson or .json."));
    }
    Ok(())
}

/// Opens the files in a folder. An error says everything that is missing, and what is none of the source's files: nothing of what somebody sends is left
/// aside in silence.
pub fn open(folder: &Path, source: &'static SourceFacts) -> Result<(Folder, Decisions), String> {
    // Where the files lie concerns nobody.
    let shown = folder.display().to_string();
    open_there(folder, source).map_err(|message| message.replace(&format!(" in {shown}"), "").replace(&format!("{shown}/"), ""))
}

fn open_there(folder: &Path, source: &'static SourceFacts) -> Result<(Folder, Decisions), String> {
    let path = folder.join(DECISIONS);
    let decisions = match fs::metadata(&path) {
        Ok(data) if data.len() > MAX_DECISIONS => return Err(format!("{DECISIONS} has more than 5 MB")),
        Ok(_) => Decisions::read(&path)?,
        Err(_) => Decisions::default(),
    };
    let opened = Folder::open(folder, source)?;
    if let Some(name) = opened.ignored.iter().find(|name| *name != DECISIONS) {
        let known: Vec<&str> = source.files.iter().filter_map(|file| file.names.first().copied()).collect();
        return Err(format!("{name:?} is none of the files of {}, which are {} and {DECISIONS}", source.name, known.join(", ")));
    }
    Ok((opened, decisions))
}

/// What a file has.
#[derive(Debug)]
pub enum Content {
    /// What was uploaded.
    Uploaded(File),
    /// A text.
    Text(String),
}

/// Files that came over the API, in a folder of their own that ends with them.
#[derive(Debug)]
pub struct Stored {
    /// The folder.
    pub folder: TempDir,
    /// The files.
    pub files: Vec<DataImportFile>,
    /// SHA-256 of all names and contents, in hexadecimal.
    pub digest: String,
}

impl Stored {
    /// Puts files into a folder; a sentence where they lack something. Names are checked before.
    pub fn of(files: Vec<(String, Content)>, source: &'static SourceFacts) -> io::Result<Result<Self, String>> {
        let folder = folder()?;
        let (mut stored, mut digest, mut total) = (Vec::with_capacity(files.len()), Digest::new(&SHA256), 0);
        for (name, content) in files {
            let path = folder.path().join(&name);
            let bytes = match content {
                Content::Uploaded(mut file) => io::copy(&mut file, &mut File::create(&path)?)?,
                Content::Text(text) => {
                    fs::write(&path, &text)?;
                    text.len() as u64
                }
            };
            total += bytes;
            if total > MAX_BYTES as u64 {
                let what_to_do = "Leave out what the import does not need, or use `partner-portal import`.";
                return Ok(Err(format!("The files have more than 100 MB together. {what_to_do}")));
            }
            digest.update(format!("{name}\0{bytes}\0").as_bytes());
            let mut parts = FileParts::open(&path)?;
            while let Some(part) = parts.read_next()? {
                digest.update(part);
            }
            stored.push(DataImportFile { name, bytes });
        }
        if let Err(message) = open(folder.path(), source) {
            return Ok(Err(message));
        }
        Ok(Ok(Self { folder, files: stored, digest: hex::encode(digest.finish().as_ref()) }))
    }
}

/// A file, part by part.
#[derive(Debug)]
pub struct FileParts {
    file: File,
    part: Vec<u8>,
}

impl FileParts {
    /// From its beginning.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, part: Vec::with_capacity(PART) })
    }

    /// The next part; `None` at the end.
    pub fn read_next(&mut self) -> io::Result<Option<&[u8]>> {
        self.part.clear();
        let length = (&mut self.file).take(PART as u64).read_to_end(&mut self.part)?;
        Ok((length > 0).then_some(self.part.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name leads out of no folder, and is of a kind of file that can be read.
    #[test]
    fn names() {
        for good in ["links.csv", "links-2.jsonl", "Links (1).JSON", "commissions 2025.tsv", "Umsätze.txt"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in
            ["", "../links.csv", "a/links.csv", "a\\links.csv", ".links.csv", "links", "links.exe", "a\0.csv", "c:links.csv"]
        {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert_eq!(check_name(&format!("{}.csv", "a".repeat(MAX_NAME - 4))), Ok(()));
        assert!(check_name(&format!("{}.csv", "a".repeat(MAX_NAME - 3))).is_err());
    }
}
