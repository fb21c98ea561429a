//! The journal: clicks in files, from the moment they are answered until they are in the database.
//!
//! A click is one record, appended with one `write` before its visitor is answered, so the kernel has it when the process is killed. Each
//! process has a file of its own, locked; the file of one that has ended is taken up by another. A record that was not written whole ends
//! its file, because its visitor was not answered.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::models::programmes::click::{Click, Device};

/// How the files' names end.
const EXTENSION: &str = "clicks";
/// How long a file may become before the next one is begun, in bytes.
const LONG: u64 = 8 * 1024 * 1024;
/// How much is read at once, in bytes.
const READ: u64 = 256 * 1024;
/// The beginning of a record: its length and its checksum.
const HEAD: usize = 8;
/// What a record has before its texts.
const FIXED: usize = 66;

/// The journal of one process.
pub struct Journal {
    folder: PathBuf,
    /// The files, the oldest first. The last one is written to.
    segments: Mutex<VecDeque<Segment>>,
    /// Wakes the writer.
    pub added: Notify,
}

/// A file, which is locked while it is open.
struct Segment {
    file: Arc<File>,
    path: PathBuf,
    length: u64,
    read: u64,
}

/// Clicks that were read, from which file, and up to where.
pub struct Batch {
    /// The clicks.
    pub clicks: Vec<Click>,
    path: PathBuf,
    end: u64,
}

impl Journal {
    /// Opens the journal in a folder, with what other processes have left there.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let journal = Self { folder: folder.to_owned(), segments: Mutex::default(), added: Notify::new() };
        let own = Segment::create(folder)?;
        journal.segments().push_back(own);
        journal.adopt()?;
        Ok(journal)
    }

    /// Takes up the files of processes that have ended. Where somebody has removed the file that is written to, another one is begun.
    pub fn adopt(&self) -> io::Result<()> {
        let mut segments = self.segments();
        if let Some(last) = segments.back().filter(|last| !last.path.exists()) {
            tracing::error!(file = %last.path.display(), "a file of clicks was removed; a process that ends now loses those in it");
            segments.push_back(Segment::create(&self.folder)?);
        }
        drop(segments);
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let is_known = || self.segments().iter().any(|segment| segment.path == path);
            if path.extension().is_none_or(|extension| extension != EXTENSION) || is_known() {
                continue;
            }
            // Another process may be writing to it, or have just finished with it.
            let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { continue };
            if file.try_lock().is_err() || !path.exists() {
                continue;
            }
            match file.metadata()?.len() {
                0 => fs::remove_file(&path)?,
                length => self.segments().push_front(Segment { file: Arc::new(file), path, length, read: 0 }),
            }
        }
        Ok(())
    }

    /// Keeps a click.
    pub fn append(&self, click: &Click) -> io::Result<()> {
        let record = encoded(click);
        let mut segments = self.segments();
        if segments.back().is_none_or(|last| last.length >= LONG) {
            segments.push_back(Segment::create(&self.folder)?);
        }
        if let Some(last) = segments.back_mut() {
            last.append(&record)?;
        }
        drop(segments);
        self.added.notify_one();
        Ok(())
    }

    /// The next clicks that are not in the database yet, if there are any.
    pub fn next(&self) -> io::Result<Option<Batch>> {
        let unread = self.segments().iter().find(|segment| segment.read < segment.length).map(|segment| {
            let length = (segment.length - segment.read).min(READ);
            (Arc::clone(&segment.file), segment.path.clone(), segment.read, segment.length, length)
        });
        let Some((file, path, start, whole, length)) = unread else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut bytes, start)?;
        let (clicks, length) = decoded(&bytes);
        let end = if length == 0 {
            // What was cut off when its process or its machine ended, or is damaged: nothing after it can be read.
            tracing::warn!(file = %path.display(), bytes = whole - start, "the end of a file of clicks cannot be read");
            whole
        } else {
            start + length
        };
        Ok(Some(Batch { clicks, path, end }))
    }

    /// Forgets what was read, because it is in the database.
    pub fn finish(&self, batch: &Batch) -> io::Result<()> {
        let mut segments = self.segments();
        let last = segments.len().saturating_sub(1);
        let Some(index) = segments.iter().position(|segment| segment.path == batch.path) else { return Ok(()) };
        let segment = &mut segments[index];
        segment.read = batch.end;
        if segment.read < segment.length {
            return Ok(());
        }
        // What is in the database is not kept here any longer.
        if index == last {
            segment.file.set_len(0)?;
            (segment.length, segment.read) = (0, 0);
        } else {
            // It may have been removed by somebody else.
            let removed = fs::remove_file(&segment.path);
            segments.remove(index);
            return removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) });
        }
        Ok(())
    }

    /// Lets the disk have everything, so that it is still there if the machine ends while the database is away.
    pub fn sync(&self) -> io::Result<()> {
        let file = self.segments().back().map(|last| Arc::clone(&last.file));
        file.map_or(Ok(()), |file| file.sync_data())
    }

    /// How many bytes are not in the database yet.
    pub fn backlog(&self) -> u64 {
        self.segments().iter().map(|segment| segment.length - segment.read).sum()
    }

    fn segments(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Journal {
    /// Leaves no empty file behind.
    fn drop(&mut self) {
        for segment in self.segments().iter().filter(|segment| segment.read == segment.length) {
            let _ = fs::remove_file(&segment.path);
        }
    }
}

impl Segment {
    fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!("{}.{EXTENSION}", Uuid::now_v7()));
        // Named so that others find it only once it is locked.
        let unlocked = path.with_extension("new");
        let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&unlocked)?;
        file.try_lock()?;
        fs::rename(&unlocked, &path)?;
        Ok(Self { file: Arc::new(file), path, length: 0, read: 0 })
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let written = (&*self.file).write_all(record);
        match written {
            Ok(()) => self.length += u64::try_from(record.len()).unwrap_or_default(),
            // A part of it would end the file for those that come after.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }
}

/// A record: length and checksum, then ids, the visitor, two bytes of flags and device, and three texts.
fn encoded(click: &Click) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    for uuid in [click.id.uuid(), click.tenant.uuid(), click.link.uuid(), click.visitor] {
        bytes.extend_from_slice(uuid.as_bytes());
    }
    bytes.push(u8::from(click.is_bot) | u8::from(click.is_prefetch) << 1);
    bytes.push(click.device.map_or(0, |device| 1 + device as u8));
    for text in [&click.browser, &click.country, &click.referrer] {
        let text = text.as_deref().unwrap_or_default();
        let length = u8::try_from(text.len()).unwrap_or_default();
        bytes.push(length);
        bytes.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
    }
    let length = u32::try_from(bytes.len() - HEAD).unwrap_or_default();
    let checksum = crc32fast::hash(&bytes[HEAD..]);
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..HEAD].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The clicks of the whole records at the beginning, and how long these are.
fn decoded(bytes: &[u8]) -> (Vec<Click>, u64) {
    let (mut clicks, mut rest) = (Vec::new(), bytes);
    while let Some((click, after)) = one(rest) {
        clicks.push(click);
        rest = after;
    }
    (clicks, u64::try_from(bytes.len() - rest.len()).unwrap_or_default())
}

fn one(bytes: &[u8]) -> Option<(Click, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let number = |from: usize| u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]]);
    let (record, rest) = rest.split_at_checked(usize::try_from(number(0)).ok()?)?;
    if record.len() < FIXED || crc32fast::hash(record) != number(4) {
        return None;
    }
    let uuid = |index: usize| Uuid::from_slice(&record[16 * index..16 * (index + 1)]).ok();
    let mut texts = &record[FIXED..];
    let mut text = || {
        let (length, after) = texts.split_first()?;
        let (text, after) = after.split_at_checked(usize::from(*length))?;
        texts = after;
        Some(Some(String::from_utf8(text.to_vec()).ok()?).filter(|text| !text.is_empty()))
    };
    let click = Click {
        id: uuid(0)?.into(),
        tenant: uuid(1)?.into(),
        link: uuid(2)?.into(),
        visitor: uuid(3)?,
        is_bot: record[64] & 1 != 0,
        is_prefetch: record[64] & 2 != 0,
        device: usize::from(record[65]).checked_sub(1).and_then(|index| Device::ALL.get(index).copied()),
        browser: text()?,
        country: text()?,
        referrer: text()?,
    };
    Some((click, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn click(number: u128) -> Click {
        Click {
            id: Uuid::from_u128(number).into(),
            tenant: Uuid::from_u128(1).into(),
            link: Uuid::from_u128(2).into(),
            visitor: Uuid::from_u128(3),
            is_bot: number.is_multiple_of(2),
            is_prefetch: number.is_multiple_of(3),
            device: [None, Some(Device::Desktop), Some(Device::Other)][usize::try_from(number % 3).unwrap_or_default()],
            browser: Some("Firefox".to_owned()),
            country: None,
            referrer: Some("x".repeat(253)),
        }
    }

    fn all(journal: &Journal) -> Vec<Click> {
        let mut found = Vec::new();
        while let Some(batch) = journal.next().expect("read") {
            journal.finish(&batch).expect("finished");
            found.extend(batch.clicks);
        }
        found
    }

    /// What is appended is read again, in its order and once; what was read and not finished is read again.
    #[test]
    fn read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).expect("opened");
        let clicks: Vec<Click> = (0..5_000).map(click).collect();
        for click in &clicks {
            journal.append(click).expect("appended");
        }
        let first = journal.next().expect("read").expect("some").clicks;
        assert_eq!(first[..], clicks[..first.len()]);
        assert_eq!(all(&journal), clicks);
        assert_eq!((all(&journal), journal.backlog()), (vec![], 0));
        // Nothing is left of what is in the database.
        assert_eq!(fs::metadata(&journal.segments()[0].path).expect("a file").len(), 0);
        journal.append(&click(7)).expect("appended");
        assert_eq!(all(&journal), [click(7)]);
    }

    /// A file that has become long is followed by another, and is removed once it is read.
    #[test]
    fn long_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).expect("opened");
        let files = || fs::read_dir(folder.path()).expect("a folder").count();
        let count = 1 + LONG / u64::try_from(encoded(&click(0)).len()).expect("short");
        for number in 0..count {
            journal.append(&click(number.into())).expect("appended");
        }
        journal.append(&click(0)).expect("appended");
        assert_eq!(files(), 2);
        assert_eq!(all(&journal).len(), usize::try_from(count + 1).expect("few"));
        assert_eq!((files(), journal.backlog()), (1, 0));
    }

    /// What a process leaves behind is taken up by the next one, up to a record that was not written whole; and only once.
    #[test]
    fn taken_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).expect("opened");
        for number in 0..3 {
            journal.append(&click(number)).expect("appended");
        }
        // Another process at the same time has no business with it.
        let other = Journal::open(folder.path()).expect("opened");
        assert_eq!(all(&other), []);
        let path = journal.segments()[0].path.clone();
        drop(journal);
        let torn = encoded(&click(3));
        let mut file = OpenOptions::new().append(true).open(&path).expect("left behind");
        file.write_all(&torn[..torn.len() - 1]).expect("written");
        drop(file);
        other.adopt().expect("adopted");
        assert_eq!(all(&other), [click(0), click(1), click(2)]);
        assert!(!path.exists());
        drop(other);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    /// A record that was changed is not taken for a click, and ends its file.
    #[test]
    fn damaged() {
        let mut bytes = [encoded(&click(1)), encoded(&click(2)), encoded(&click(3))].concat();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        assert_eq!(decoded(&bytes), (vec![click(1)], u64::try_from(encoded(&click(1)).len()).expect("short")));
        assert_eq!(decoded(&[0; 100]), (vec![], 0));
    }
}
