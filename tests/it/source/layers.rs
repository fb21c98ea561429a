//! The layers, over what each file imports: nothing imports from above, circles are those of the schema's types alone, and each layer leaves
//! to the others what is theirs.

use std::collections::BTreeSet;

use super::tree::{Source, files, read};

/// The modules of the crate, from the top down. A module imports from lines below its own only.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["http"],
    &["app"],
    &["edge", "graphql", "seed", "verify", "telemetry", "jobs", "doctor", "clusters", "dashboard"],
    &["webhooks"],
    &["live", "imports", "config"],
    &["auth", "clicks", "rates"],
    &["models"],
    &["db", "keyring", "validation", "secret_file"],
    &["clock", "error", "ids", "money", "npm", "outbound"],
];

/// What only the models know: areas have folders of these names there and in `graphql`.
const AREAS: &[&str] = &[
    "affiliates",
    "audit",
    "billing",
    "commissions",
    "credits",
    "imports",
    "leads",
    "ledger",
    "members",
    "partners",
    "payouts",
    "people",
    "programmes",
    "webhooks",
];

/// The longest file, in lines.
const LONGEST: usize = 400;

fn layer(file: &str) -> Option<usize> {
    let name = file.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default();
    if matches!(name, "lib" | "main") {
        return None;
    }
    let layer = LAYERS.iter().position(|names| names.contains(&name));
    Some(layer.unwrap_or_else(|| panic!("{file} belongs to no layer")))
}

fn part(file: &str) -> &str {
    file.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default()
}

/// Nothing imports from a layer above its own, nor from beside it.
#[test]
fn imports_go_down() {
    let mut wrong = Vec::new();
    for (file, imports) in Source::read().imports {
        for import in imports {
            let (Some(from), Some(to)) = (layer(&file), layer(&import)) else { continue };
            if part(&file) != part(&import) && to <= from {
                wrong.push(format!("{file} imports {import}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The types of a graph name each other; no other files import each other in a circle.
#[test]
fn circles_are_the_graphs() {
    let source = Source::read();
    let circles = source.circles();
    let types = |file: &&str| AREAS.iter().any(|area| file.starts_with(&format!("src/graphql/{area}/")));
    let others: Vec<&BTreeSet<&str>> = circles.iter().filter(|circle| !circle.iter().all(types)).collect();
    assert_eq!(others, Vec::<&BTreeSet<&str>>::new());
}

/// The engine of the schema knows no area, of the schema or of the models, and nothing of a request over HTTP.
#[test]
fn the_engine_knows_no_product() {
    let source = Source::read();
    for (file, imports) in source.imports.iter().filter(|(file, _)| file.starts_with("src/graphql/engine/")) {
        for import in imports {
            let is_area = AREAS.iter().any(|area| {
                import.starts_with(&format!("src/graphql/{area}/")) || import.starts_with(&format!("src/models/{area}/"))
            });
            assert!(!is_area, "{file} imports {import}");
        }
    }
}

/// SQL is the models' and the database's; the schema is GraphQL's: of async-graphql the models have the derive of enums alone.
#[test]
fn each_layer_has_its_library() {
    for file in files("src", ".rs") {
        let text = read(&file);
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let is_schema = file.starts_with("src/graphql/") || file.starts_with("src/http/");
        for line in lines {
            assert!(!(is_schema && line.contains("diesel")), "{file} names diesel: {line}");
            let names_engine = line.contains("async_graphql") && !line.contains("async_graphql::Enum");
            assert!(!(file.starts_with("src/models/") && names_engine), "{file} names async-graphql: {line}");
        }
    }
}

/// The commands and the API change rows by the same methods of the models: a mutation claims no key, and inserts and updates nothing by itself.
/// Only `createLead` begins its transaction again by itself where a rate is being changed, and `updateLead` reads the lead under lock, whose
/// currency its amounts are checked by.
#[test]
fn mutations_leave_rows_to_the_models() {
    for file in files("src/graphql", "mutations.rs") {
        for line in read(&file).lines() {
            for step in ["::insert(", "::lock(", "::lock_key(", ".update(&writing", "Operation::"] {
                assert!(!line.contains(step) || line.contains("Lead::insert(") || line.contains("Lead::lock("), "{file}: {line}");
            }
        }
    }
}

/// A file that no longer fits into a head is divided. What is generated is exempt.
#[test]
fn files_are_short() {
    for folder in ["src", "tests/it", "benches"] {
        for file in files(folder, ".rs").into_iter().filter(|file| file != "src/db/schema.rs") {
            let lines = read(&file).lines().count();
            assert!(lines <= LONGEST, "{file} has {lines} lines");
        }
    }
}
