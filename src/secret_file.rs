//! Small files that hold a secret and are made once: the development issuer's key, the embedded database's encryption key.

use std::{fs, io, path::Path};

use tempfile::NamedTempFile;

/// What the file holds. On the first call `make` says what that is; of several first calls at once one makes it and the others
/// read that. The file appears whole or not at all, and only its owner can read it.
pub fn read_or_make(path: &Path, make: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, &make()?)?;
    match file.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
        _ => fs::read(path),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// However many make it at once, all read the same, and only the owner can.
    #[test]
    fn made_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/secret");
        let read = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8_u8)
                .map(|n| {
                    scope.spawn({
                        let path = &path;
                        move || read_or_make(path, || Ok(vec![n; 9]))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread").expect("the secret")).collect::<Vec<_>>()
        });
        assert!(read.iter().all(|secret| *secret == read[0] && secret.len() == 9));
        assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    }
}
