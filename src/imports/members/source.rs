//! Where a file lies, and how it is read beside the work of the server: on a thread for what blocks.

use std::{
    fs::File,
    io::{Cursor, Seek, SeekFrom},
};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

use super::{
    MAX_BYTES,
    fault::FileFault,
    table::{FileLine, MemberRow, Table},
};
use crate::{
    error::{Error, Result},
    imports::text::Rewindable,
    models::{credits::assignment::MAX_CREDITS, members::member::email_key},
};

/// How many chunks are read ahead.
const AHEAD: usize = 2;

/// A file.
pub struct MemberFile(Box<dyn Rewindable>);

impl From<File> for MemberFile {
    fn from(file: File) -> Self {
        Self(Box::new(file))
    }
}

impl From<String> for MemberFile {
    fn from(text: String) -> Self {
        Self(Box::new(Cursor::new(text)))
    }
}

impl MemberFile {
    /// Reads it to its end, and gives it back for being read again.
    pub async fn scan(mut self) -> Result<Result<(Self, Scan), FileFault>> {
        let scanned = spawn_blocking(move || {
            let length = self.0.seek(SeekFrom::End(0)).map_err(FileFault::unreadable)?;
            if length > MAX_BYTES as u64 {
                return Err(FileFault::TooLarge);
            }
            let scan = scan(&mut *self.0)?;
            Ok((self, scan))
        });
        scanned.await.map_err(Error::internal)
    }
}

/// What is known of a file once it has been read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Rows, without the header.
    pub rows: u32,
    /// SHA-256 over what its rows say, in hexadecimal: the same for the same rows, however they are written.
    pub digest: String,
    /// The columns that mean nothing here.
    pub ignored_columns: Vec<String>,
}

/// Reads a file to its end.
pub fn scan(source: &mut dyn Rewindable) -> Result<Scan, FileFault> {
    let mut table = Table::open(source)?;
    let mut digest = Context::new(&SHA256);
    let mut rows = 0;
    while let Some(line) = table.read()? {
        rows += 1;
        if let FileLine::MemberRow(MemberRow { email, first_name, last_name, credits, .. }) = line {
            let text = [email_key(&email), first_name, last_name.unwrap_or_default(), credits.to_string()].join("\0");
            digest.update(text.as_bytes());
            digest.update(b"\n");
        }
    }
    let digest = hex::encode(digest.finish().as_ref());
    Ok(Scan { rows, digest, ignored_columns: table.header.ignored })
}

type Chunk = Result<Vec<FileLine>, FileFault>;

/// A file's rows, some at a time: so few that their credits, too, are no more than some of the largest assignments.
pub struct Chunks {
    received: mpsc::Receiver<Chunk>,
    reading: JoinHandle<()>,
}

impl Chunks {
    /// The rows of a file, so many at a time. Reading ends when nobody takes them any more.
    pub fn of(mut source: MemberFile, size: usize) -> Self {
        let (chunks, received) = mpsc::channel(AHEAD);
        let reading = spawn_blocking(move || {
            if let Err(fault) = read(&mut *source.0, size, &chunks) {
                // Nobody may take it any more.
                let _ = chunks.blocking_send(Err(fault));
            }
        });
        Self { received, reading }
    }

    /// The next of them; `None` at the end, and an error where reading broke off.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        let chunk = self.received.recv().await;
        if chunk.is_none() {
            (&mut self.reading).await.map_err(Error::internal)?;
        }
        Ok(chunk)
    }
}

fn read(source: &mut dyn Rewindable, size: usize, chunks: &mpsc::Sender<Chunk>) -> Result<(), FileFault> {
    let mut table = Table::open(source)?;
    loop {
        let (mut chunk, mut credits, mut is_last) = (Vec::with_capacity(size), 0, false);
        while chunk.len() < size && credits < MAX_CREDITS {
            let Some(line) = table.read()? else {
                is_last = true;
                break;
            };
            if let FileLine::MemberRow(row) = &line {
                credits += row.credits;
            }
            chunk.push(line);
        }
        if chunk.is_empty() || chunks.blocking_send(Ok(chunk)).is_err() || is_last {
            return Ok(());
        }
    }
}
