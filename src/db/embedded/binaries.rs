//! Finds PostgreSQL's programs on this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{EmbeddedError, Options, PostgresSource, download};

/// The folder that holds `postgres` and `initdb`: from the setting, the `PATH`, `pg_config`, the folders where packages put
/// them (the newest version first), and else from a pinned download.
pub fn find(options: &Options) -> Result<PathBuf, EmbeddedError> {
    if let Some(folder) = &options.bin_dir {
        return if is_whole(folder) {
            Ok(folder.clone())
        } else {
            Err(EmbeddedError::Program {
                program: "PG_BIN_DIR",
                reason: format!("{} holds no postgres and initdb", folder.display()),
            })
        };
    }
    if options.source == PostgresSource::Auto
        && let Some(folder) = candidates().into_iter().find(|folder| is_whole(folder))
    {
        return Ok(folder);
    }
    download::fetch(&options.cache).map_err(|reason| EmbeddedError::NoServer {
        looked: LOOKED.to_owned(),
        reason,
        advice: advice(),
    })
}

const LOOKED: &str = "PG_BIN_DIR, PATH, pg_config --bindir, /usr/lib/postgresql, /usr/pgsql-*, Homebrew, Postgres.app";

fn is_whole(folder: &Path) -> bool {
    folder.join("postgres").is_file() && folder.join("initdb").is_file()
}

fn candidates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    // A link to `postgres` alone does not show where its libraries are; the folder that it points into does.
    let real: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| fs::canonicalize(folder.join("postgres")).ok()?.parent().map(Path::to_owned))
        .collect();
    folders.splice(0..0, real);
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    folders.extend(versions(Path::new("/usr/lib/postgresql"), "bin"));
    folders.extend(versions(Path::new("/usr"), "bin").into_iter().filter(|folder| folder.starts_with("/usr/pgsql-")));
    for prefix in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        folders.extend(
            versions(Path::new(prefix), "bin").into_iter().filter(|folder| folder.to_string_lossy().contains("postgresql")),
        );
    }
    folders.extend(versions(Path::new("/Applications/Postgres.app/Contents/Versions"), "bin"));
    folders
}

/// `parent/*/tail` for every folder in `parent`, those with the highest number in their name first.
fn versions(parent: &Path, tail: &str) -> Vec<PathBuf> {
    let number = |path: &Path| -> u32 {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
    };
    let mut folders: Vec<PathBuf> = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(number(folder)));
    folders.into_iter().map(|folder| folder.join(tail)).collect()
}

fn advice() -> &'static str {
    if cfg!(target_os = "macos") {
        return "Install it with `brew install postgresql@17`";
    }
    let has = |program: &str| {
        env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).exists()))
    };
    if has("apt-get") {
        "Install it with `apt-get install postgresql`"
    } else if has("dnf") {
        "Install it with `dnf install postgresql-server`"
    } else if has("pacman") {
        "Install it with `pacman -S postgresql`"
    } else if has("apk") {
        "Install it with `apk add postgresql`"
    } else {
        "Install PostgreSQL 15 or later"
    }
}
