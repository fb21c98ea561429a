//! Pinned packages from npm: fetched by the `npm` client (so its registry, proxy and trust settings hold), checked, unpacked.
//!
//! Two things come this way, both for development only: PostgreSQL where the machine has none, and `GraphiQL`'s assets.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use aws_lc_rs::digest::{Context, SHA512};
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::bufread::GzDecoder;

/// One version of a package, and what its tarball must hash to.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// The package's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The tarball's SHA-512 in base64, as `npm view NAME@VERSION dist.integrity` prints it after `sha512-`.
    pub sha512: &'static str,
}

/// Why a package is not there.
#[derive(Debug, thiserror::Error)]
pub enum NpmError {
    /// There is no `npm` on the `PATH`, or it cannot be started.
    #[error("the npm client cannot be run ({0})")]
    Client(io::Error),
    /// `npm pack` failed; its own words.
    #[error("npm pack {package} failed: {reason}")]
    Fetch {
        /// Name and version.
        package: String,
        /// The last lines of what it printed.
        reason: String,
    },
    /// What came is not what was pinned.
    #[error("the tarball of {0} does not have the pinned checksum; it was not used")]
    Checksum(String),
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> NpmError + '_ {
    move |error| NpmError::File { path: path.to_owned(), error }
}

impl Package {
    /// Unpacks the package to `target` (its `package/` folder stripped). Does nothing when `target` is there already:
    /// it appears only once it is whole.
    pub fn unpack_to(self, target: &Path) -> Result<(), NpmError> {
        if target.exists() {
            return Ok(());
        }
        let parent = target.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(at(parent))?;
        let work = tempfile::Builder::new().prefix(".npm-").tempdir_in(parent).map_err(at(parent))?;
        let tarball = self.fetch(work.path())?;
        self.check(&tarball)?;
        let whole = work.path().join("whole");
        let archive = BufReader::new(File::open(&tarball).map_err(at(&tarball))?);
        tar::Archive::new(GzDecoder::new(archive)).unpack(&whole).map_err(at(&whole))?;
        match fs::rename(whole.join("package"), target) {
            // Another process was faster, with the same content.
            Err(_) if target.exists() => Ok(()),
            other => other.map_err(at(target)),
        }
    }

    fn fetch(self, into: &Path) -> Result<PathBuf, NpmError> {
        let package = format!("{}@{}", self.name, self.version);
        // The tarball goes to `into`; nothing of the package is run.
        let output = Command::new("npm")
            .args(["pack", &package, "--loglevel=error", "--ignore-scripts", "--pack-destination"])
            .arg(into)
            .current_dir(into)
            .stdin(Stdio::null())
            .output()
            .map_err(NpmError::Client)?;
        let tarball = fs::read_dir(into)
            .map_err(at(into))?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|e| e == "tgz"));
        match tarball {
            Some(path) if output.status.success() => Ok(path),
            _ => {
                let said = String::from_utf8_lossy(&output.stderr);
                let reason = said.lines().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(" ");
                Err(NpmError::Fetch { package, reason })
            }
        }
    }

    fn check(self, tarball: &Path) -> Result<(), NpmError> {
        let mut file = File::open(tarball).map_err(at(tarball))?;
        let mut context = Context::new(&SHA512);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer).map_err(at(tarball))? {
                0 => break,
                read => context.update(&buffer[..read]),
            }
        }
        if STANDARD.encode(context.finish()) == self.sha512 {
            return Ok(());
        }
        Err(NpmError::Checksum(format!("{}@{}", self.name, self.version)))
    }
}
