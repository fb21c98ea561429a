//! The source as files and what each of them imports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the project.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder with this ending, as paths from the project's folder.
pub fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let path = path.strip_prefix(root()).expect("below the project's folder");
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// The source: each module's file, and the files that it imports from.
pub struct Source {
    modules: BTreeMap<Vec<String>, String>,
    /// By file.
    pub imports: BTreeMap<String, BTreeSet<String>>,
}

impl Source {
    /// Reads `src`.
    pub fn read() -> Self {
        let files = files("src", ".rs");
        let modules = files.iter().filter(|file| *file != "src/main.rs").map(|file| (module(file), file.clone())).collect();
        let mut source = Self { modules, imports: BTreeMap::new() };
        for file in &files {
            let imports = source.imports_of(file);
            source.imports.insert(file.clone(), imports);
        }
        source
    }

    fn imports_of(&self, file: &str) -> BTreeSet<String> {
        let text = read(file);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: String = code.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect();
        let mut paths = Vec::new();
        let mut rest = code.as_str();
        while let Some(at) = rest.find("use ") {
            let is_statement = rest[..at].ends_with(['\n', ' ']) || at == 0;
            let (tree, after) = rest[at + 4..].split_once(';').unwrap_or((&rest[at + 4..], ""));
            if is_statement && !tree.contains("\n\n") {
                flatten(&tokens(tree), &mut 0, &[], &mut paths);
            }
            rest = if is_statement { after } else { &rest[at + 4..] };
        }
        // Paths in the code itself.
        let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        paths.extend(words.filter(|word| word.starts_with("crate::") || word.starts_with("super::")).map(segments));
        let module = module(file);
        let found = paths.iter().filter_map(|path| self.resolve(&module, path));
        found.filter(|found| found != file).collect()
    }

    /// The file that a path leads into, from a module.
    fn resolve(&self, module: &[String], path: &[String]) -> Option<String> {
        let mut base = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => module.to_vec(),
            _ => return None,
        };
        for step in path.iter().take_while(|step| matches!(step.as_str(), "crate" | "self" | "super")) {
            if step == "super" {
                base.pop();
            }
        }
        base.extend(path.iter().filter(|step| !matches!(step.as_str(), "crate" | "self" | "super")).cloned());
        (0..=base.len()).rev().find_map(|length| self.modules.get(&base[..length]).cloned())
    }

    /// The files that import each other in a circle, in groups. That a file imports from the module that it is part of is no circle.
    pub fn circles(&self) -> Vec<BTreeSet<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            self.imports.keys().map(|file| (file.as_str(), self.reached(file))).collect();
        let mut circles: Vec<BTreeSet<&str>> = Vec::new();
        for (file, files) in &reached {
            let circle: BTreeSet<&str> = files.iter().copied().filter(|other| reached[other].contains(file)).collect();
            if circle.len() > 1 && !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }

    fn reached(&self, from: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            for import in &self.imports[file] {
                let is_own_module = import.strip_suffix("mod.rs").is_some_and(|folder| file.starts_with(folder));
                if import != "src/lib.rs" && !is_own_module && found.insert(import.as_str()) {
                    open.push(import);
                }
            }
        }
        found
    }
}

/// The module of a file: `src/a/b/mod.rs` is `a::b`.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

fn tokens(tree: &str) -> Vec<String> {
    let spaced = tree.replace("::", " :: ").replace('{', " { ").replace('}', " } ").replace(',', " , ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// The paths of a use tree.
fn flatten(tokens: &[String], at: &mut usize, prefix: &[String], out: &mut Vec<Vec<String>>) {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(*at) {
        match token.as_str() {
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token != "}") {
                    flatten(tokens, at, &path, out);
                    if tokens.get(*at).is_some_and(|token| token == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "}" | "," => break,
            "::" => *at += 1,
            "as" => *at += 2,
            _ => {
                path.push(token.clone());
                *at += 1;
            }
        }
    }
    out.push(path);
}
