//! The operating-system account that PostgreSQL runs as: ours, or, since it refuses root, `postgres` or `nobody`.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use aws_lc_rs::digest::{SHA256, digest};
use nix::unistd::{User, geteuid};

use super::{EmbeddedError, at};

/// Who runs PostgreSQL.
#[derive(Debug, Clone)]
pub enum Account {
    /// The one that runs this program.
    Ours,
    /// Another, because this program runs as root.
    Other {
        /// Its user id.
        uid: u32,
        /// Its group id.
        gid: u32,
    },
}

/// Eight hexadecimal digits that stand for a path.
pub fn short_hash(path: &Path) -> String {
    let digest = digest(&SHA256, path.as_os_str().as_encoded_bytes());
    format!("{:08x}", digest.as_ref().first_chunk().map_or(0, |first| u32::from_be_bytes(*first)))
}

impl Account {
    pub fn find() -> Result<Self, EmbeddedError> {
        if !geteuid().is_root() {
            return Ok(Self::Ours);
        }
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
            .ok_or(EmbeddedError::NoAccount)
    }

    /// Makes `command` run as this account.
    pub fn assume(&self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(*uid).gid(*gid);
        }
        // It must be able to stand in its working directory.
        command.current_dir("/");
    }

    /// Gives a folder to this account.
    pub fn own(&self, folder: &Path) -> Result<(), EmbeddedError> {
        match self {
            Self::Ours => Ok(()),
            Self::Other { uid, gid } => chown(folder, Some(*uid), Some(*gid)).map_err(at(folder)),
        }
    }

    /// `folder` as an absolute path that this account can walk to. A checkout below root's home is closed to others: the data
    /// then lies under `/var/lib/partner-portal`, in a folder named after where it should have been.
    pub fn reachable(&self, folder: &Path) -> Result<PathBuf, EmbeddedError> {
        let folder = std::path::absolute(folder).map_err(at(folder))?;
        let Self::Other { uid, .. } = self else { return Ok(folder) };
        let open = folder.ancestors().skip(1).filter_map(|parent| fs::metadata(parent).ok()).all(|parent| {
            let mode = parent.permissions().mode();
            mode & 0o001 != 0 || (parent.uid() == *uid && mode & 0o100 != 0)
        });
        if open { Ok(folder) } else { Ok(Path::new("/var/lib/partner-portal").join(short_hash(&folder))) }
    }
}
