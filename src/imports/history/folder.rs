//! A folder of files: which of them are what, and whether they have what they must have. Found out before anything is imported.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;

use super::{
    records::{FileFormat, Records, find},
    source::{FileFacts, SourceFacts, plain},
};

/// A file that is imported.
#[derive(Debug)]
pub struct InputFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// How it is written.
    pub format: FileFormat,
    /// What its rows are.
    pub facts: Vec<&'static FileFacts>,
    /// About how many rows it has: its lines.
    pub lines: u64,
}

/// The files of a folder that a system is imported from.
#[derive(Debug)]
pub struct Folder {
    /// The files, those first whose rows others refer to.
    pub files: Vec<InputFile>,
    /// Files that are none of the system's.
    pub ignored: Vec<String>,
    /// SHA-256 of all of them with their names.
    pub digest: Vec<u8>,
}

impl Folder {
    /// Looks at a folder. An error says everything that is missing.
    pub fn open(folder: &Path, source: &'static SourceFacts) -> Result<Self, String> {
        let shown = folder.display();
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(|error| format!("{shown}: {error}"))?;
        paths.sort();
        let (mut files, mut ignored, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths.into_iter().filter(|path| path.is_file()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let facts: Vec<&'static FileFacts> = source.files.iter().filter(|facts| facts.is_called(&stem)).collect();
            match FileFormat::of(&path) {
                Some(format) if !facts.is_empty() => files.push(InputFile { path, name, format, facts, lines: 0 }),
                _ => ignored.push(name),
            }
        }
        for facts in source.files.iter().filter(|facts| facts.is_required) {
            if !files.iter().any(|file| file.facts.iter().any(|known| std::ptr::eq(*known, facts))) {
                let name = facts.names.first().copied().unwrap_or_default();
                faults.push(format!("there is no file {name}.csv, {name}.jsonl or {name}.json in {shown}"));
            }
        }
        let mut digest = Context::new(&SHA256);
        for file in &mut files {
            faults.extend(file.lacks());
            digest.update(file.name.as_bytes());
            match file.count(&mut digest) {
                Ok(lines) => file.lines = lines,
                Err(error) => faults.push(format!("{}: {error}", file.name)),
            }
        }
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let order =
            |file: &InputFile| source.files.iter().position(|facts| file.facts.iter().any(|known| std::ptr::eq(*known, facts)));
        files.sort_by_key(|file| (order(file), file.name.clone()));
        Ok(Self { files, ignored, digest: digest.finish().as_ref().to_vec() })
    }
}

impl InputFile {
    /// Its records, from the beginning.
    pub fn records(&self) -> Result<Records, String> {
        let known = |names: &[String]| {
            let mut needed = self.facts.iter().flat_map(|facts| facts.columns).filter(|column| column.is_required);
            needed.all(|column| column.names.iter().any(|name| names.contains(&plain(name))))
        };
        Records::open(&self.path, self.format, known).map_err(|error| format!("{}: {error}", self.name))
    }

    /// What it must have and has not, as sentences.
    fn lacks(&self) -> Vec<String> {
        let mut records = match self.records() {
            Ok(records) => records,
            Err(error) => return vec![error],
        };
        let header = match &records {
            Records::Csv { names, .. } => Some(names.clone()),
            _ => None,
        };
        let first = match header.is_none().then(|| records.read()).transpose() {
            Ok(first) => first.flatten(),
            Err(error) => return vec![format!("{}: {error}", self.name)],
        };
        let mut lacking = Vec::new();
        for facts in &self.facts {
            for column in facts.columns.iter().filter(|column| column.is_required) {
                let has = |name: &str| match (&header, &first) {
                    (Some(header), _) => header.contains(&plain(name.trim_start_matches("^."))),
                    (None, Some(record)) => has_path(&record.cells, facts, name),
                    (None, None) => true,
                };
                if !column.names.iter().any(|name| has(name)) {
                    let names: Vec<&str> = column.names.iter().map(|name| name.trim_start_matches("^.")).collect();
                    lacking.push(format!("{} has no {} ({})", self.name, names.join(" or "), column.field.name()));
                }
            }
        }
        lacking
    }

    /// Adds its bytes to a digest, and counts its lines.
    #[expect(clippy::naive_bytecount, reason = "reading the file takes longer")]
    fn count(&self, digest: &mut Context) -> std::io::Result<u64> {
        let mut file = File::open(&self.path)?;
        let (mut buffer, mut lines) = (vec![0; 1 << 16], 0);
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(lines);
            }
            digest.update(&buffer[..read]);
            lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
        }
    }
}

/// Whether a record, or the first of its entries that are rows, has what a path names.
fn has_path(cells: &Value, facts: &FileFacts, name: &str) -> bool {
    match (name.strip_prefix("^."), facts.each) {
        (Some(outer), _) => find(cells, outer).is_some(),
        (None, None) => find(cells, name).is_some(),
        // A record may have no entries.
        (None, Some(list)) => match find(cells, list).and_then(|list| list.get(0)) {
            Some(entry) => find(entry, name).is_some(),
            None => true,
        },
    }
}

impl FileFacts {
    /// Whether a file of this name, without its extension, is one.
    fn is_called(&self, stem: &str) -> bool {
        let stem = plain(stem);
        let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        self.names.iter().any(|name| plain(name) == stem)
    }
}
