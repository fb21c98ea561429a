//! The file of further database clusters.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use tokio_postgres::Config;

use super::{
    Settings,
    parse::{database_url, standby_url},
};

/// What the cluster of `DATABASE_URL` is called.
pub const MAIN: &str = "main";
/// The longest name.
const MAX_NAME: usize = 63;

/// What the file is to have.
const EXPECTED: &str = "expected an object such as {\"eu-2\": {\"url\": \"postgres://\u{2026}\", \"owner_url\": \"postgres://\u{2026}\", \"read_url\": []}}";

/// The clusters besides that of `DATABASE_URL`.
#[derive(Debug, Clone)]
pub struct ClusterFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it names, by their names.
    pub clusters: Vec<ClusterSettings>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// What it is called.
    pub name: String,
    /// As the server.
    pub url: Config,
    /// As the owner of the tables.
    pub owner_url: Option<Config>,
    /// Its standbys that answer queries.
    pub read_url: Vec<Config>,
}

/// A cluster as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    url: String,
    owner_url: Option<String>,
    #[serde(default)]
    read_url: Vec<String>,
}

/// Reads the file: a JSON object of names and addresses.
pub fn cluster_file(path: &str) -> Result<ClusterFile, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    // Its own text would repeat values, among them passwords.
    let entries: BTreeMap<String, Entry> = serde_json::from_str(&text)
        .map_err(|error| format!("{EXPECTED}; look at line {}, column {}", error.line(), error.column()))?;
    let clusters = entries.into_iter().map(|(name, entry)| cluster(name, &entry)).collect::<Result<_, String>>()?;
    Ok(ClusterFile { path: path.into(), clusters })
}

fn cluster(name: String, entry: &Entry) -> Result<ClusterSettings, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_inner) {
        return Err(format!("{name:?} is no name of a cluster: lower-case letters, digits and dashes"));
    }
    if name == MAIN {
        return Err(format!("{MAIN:?} is the cluster of DATABASE_URL, and is not in the file"));
    }
    let named = |field: &str, error: String| format!("{name}: {field}: {error}");
    Ok(ClusterSettings {
        url: database_url(&entry.url).map_err(|error| named("url", error))?,
        owner_url: entry.owner_url.as_deref().map(database_url).transpose().map_err(|error| named("owner_url", error))?,
        read_url: entry
            .read_url
            .iter()
            .map(|url| standby_url(url))
            .collect::<Result<_, _>>()
            .map_err(|error| named("read_url", error))?,
        name,
    })
}

impl Settings {
    /// The settings with another cluster in place of that of `DATABASE_URL`.
    #[must_use]
    pub fn on(&self, cluster: &ClusterSettings) -> Self {
        let ClusterSettings { name, url, owner_url, read_url } = cluster.clone();
        Self {
            click_dir: Some(self.clicks().folder.join(&name)),
            database_url: Some(url),
            owner_url,
            read_url,
            cluster: Some(name),
            ..self.clone()
        }
    }

    /// Whether they are for the cluster of `DATABASE_URL`.
    pub fn is_main_cluster(&self) -> bool {
        self.cluster.as_deref().is_none_or(|name| name == MAIN)
    }

    /// The settings for each cluster, with its name; first for that of `DATABASE_URL`.
    pub fn all_clusters(&self) -> Vec<(String, Self)> {
        let main = std::iter::once((MAIN.to_owned(), self.clone()));
        let others = self.clusters.iter().flat_map(|file| &file.clusters).map(|cluster| (cluster.name.clone(), self.on(cluster)));
        main.chain(others).collect()
    }

    /// The same for those that a command is for: the one that is named, or all.
    pub fn for_clusters(&self) -> Result<Vec<(String, Self)>, String> {
        let all = self.all_clusters();
        let Some(named) = &self.cluster else { return Ok(all) };
        let known: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let unknown = format!("--cluster: there is no cluster {named:?}; there are {}", known.join(", "));
        all.into_iter().find(|(name, _)| name == named).map(|found| vec![found]).ok_or(unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str) -> Result<ClusterFile, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("it is written");
        cluster_file(&file.path().display().to_string())
    }

    /// A file names clusters and their addresses; what is wrong with it is said of the cluster and the field.
    #[test]
    fn files() {
        let ClusterFile { clusters, .. } = read(r#"{"eu-2": {"url": "postgres://portal@db2/portal", "read_url": ["postgres://portal@s2/portal"]}, "us": {"url": "host=/run user=portal"}}"#).expect("clusters");
        let names: Vec<&str> = clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!((names, clusters[0].read_url.len(), clusters[1].read_url.len()), (vec!["eu-2", "us"], 1, 0));
        for (text, said) in [
            ("[]", "expected an object"),
            (r#"{"main": {"url": "postgres://x/y"}}"#, "\"main\" is the cluster of DATABASE_URL"),
            (r#"{"EU": {"url": "postgres://x/y"}}"#, "\"EU\" is no name"),
            (r#"{"eu": {"url": "postgres://x:port/y"}}"#, "eu: url: "),
            (r#"{"eu": {"url": "postgres://x/y", "read_url": ["host=x"]}}"#, "eu: read_url: "),
            (r#"{"eu": {"url": "postgres://x/y", "reed_url": []}}"#, "look at line 1, column 43"),
            (r#"{"eu": "postgres://x:secret@y/z"}"#, "look at line 1"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
