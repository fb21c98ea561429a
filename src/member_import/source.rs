//! Where a file lies, and how it is read beside the work of the server: on a thread for what blocks.

use std::{
    fs::File,
    io::{Cursor, Seek, SeekFrom},
};

use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    MAX_BYTES,
    table::{self, FileFault, Read, Rewindable, Scan, Table},
};
use crate::error::{Error, Result};

/// How many chunks are read ahead.
const AHEAD: usize = 2;

/// A file.
pub struct Source(Box<dyn Rewindable>);

impl From<File> for Source {
    fn from(file: File) -> Self {
        Self(Box::new(file))
    }
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        Self(Box::new(Cursor::new(text)))
    }
}

impl Source {
    /// Reads it to its end, and gives it back for being read again.
    pub async fn scan(mut self) -> Result<Result<(Self, Scan), FileFault>> {
        let scanned = spawn_blocking(move || {
            let length = self.0.seek(SeekFrom::End(0)).map_err(|error| FileFault::Unreadable(error.to_string()))?;
            if length > MAX_BYTES as u64 {
                return Err(FileFault::TooLarge);
            }
            let scan = table::scan(&mut *self.0)?;
            Ok((self, scan))
        });
        scanned.await.map_err(Error::internal)
    }
}

/// A file's rows, some at a time.
pub struct Chunks(mpsc::Receiver<Result<Vec<Read>, FileFault>>);

impl Chunks {
    /// The rows of a file, so many at a time. Reading ends when nobody takes them any more.
    pub fn of(mut source: Source, size: usize) -> Self {
        let (chunks, received) = mpsc::channel(AHEAD);
        spawn_blocking(move || {
            let fault = read(&mut *source.0, size, &chunks).err();
            fault.map(|fault| chunks.blocking_send(Err(fault)))
        });
        Self(received)
    }

    /// The next of them; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Result<Vec<Read>, FileFault>>> {
        Ok(self.0.recv().await)
    }
}

fn read(source: &mut dyn Rewindable, size: usize, chunks: &mpsc::Sender<Result<Vec<Read>, FileFault>>) -> Result<(), FileFault> {
    let mut table = Table::open(source)?;
    loop {
        let mut chunk = Vec::with_capacity(size);
        while chunk.len() < size
            && let Some(row) = table.read()?
        {
            chunk.push(row);
        }
        let is_last = chunk.len() < size;
        if chunk.is_empty() || chunks.blocking_send(Ok(chunk)).is_err() || is_last {
            return Ok(());
        }
    }
}
