//! The tables of the documents, made of the code: settings, permissions, and which migration has the present body of each function.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use clap::{Args, Command};
use partner_portal::{
    auth::{Permission, Readable, Role},
    config::Settings,
    graphql,
};

use super::tree::{files, read, root};

/// Makes sure that a document has a table, between the marks of that name. Where it has not, the failure is what to put there.
fn assert_has(document: &str, name: &str, table: &str) {
    let text = read(document);
    let begin = format!("<!-- {name}: made of the code, compared by a test -->\n");
    let found = text.split_once(&begin).and_then(|(_, rest)| rest.split_once("<!-- end -->")).map(|(table, _)| table);
    assert!(found == Some(table), "{document}, between the marks of {name:?}, must be:\n{table}");
}

/// Every setting of the program is in `docs/settings.md` as `--help` says it, and no other.
#[test]
fn settings() {
    let command = Settings::augment_args(Command::new("partner-portal"));
    let mut table = "| variable | flag | default | what it is |\n| --- | --- | --- | --- |\n".to_owned();
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env() else { continue };
        let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        let default = if defaults.is_empty() { String::new() } else { format!("`{}`", defaults.join(",")) };
        let words = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
        let choices: Vec<_> = argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let choices = if choices.is_empty() || choices.len() == 2 && choices[0] == "`true`" {
            String::new()
        } else {
            format!(" One of {}.", choices.join(", "))
        };
        let flag = argument.get_long().unwrap_or_default();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let words = if words.ends_with('.') { words } else { words + "." };
        writeln!(table, "| `{}` | `--{flag}` | {default} | {words}{choices} |", variable.to_string_lossy()).expect("memory");
    }
    assert_has("docs/settings.md", "settings", &table);
}

/// Every metric of the program is in `docs/operations.md` as `/metrics` says it, with its labels, and no other.
#[test]
fn metrics() {
    let code = read("src/telemetry/metrics.rs");
    let code = code.split_once("#[cfg(test)]").map_or(code.as_str(), |(code, _)| code);
    let literal = |text: &str| text.split('"').nth(1).expect("a text").to_owned();
    let mut rows = BTreeSet::new();
    for (at, name) in code.match_indices("\"portal_") {
        let (name, rest) = (literal(&code[at..]), code[at + name.len()..].split_once('"').expect("its end").1);
        let (words, end) = (literal(rest), rest.find(")?").expect("the end of the call"));
        let is_histogram = code[..at].trim_end().ends_with("histograms(");
        let labels = match rest[..end].split_once("&[\"") {
            Some((_, labels)) => labels.split_once(']').expect("their end").0.replace('"', ""),
            None if is_histogram => "operation".to_owned(),
            None => String::new(),
        };
        rows.insert(format!(
            "| `{name}` | {} | {words} |\n",
            labels.split(", ").filter(|l| !l.is_empty()).map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ")
        ));
    }
    let table = rows.into_iter().collect::<String>();
    assert_has("docs/operations.md", "metrics", &format!("| metric | labels | what it is |\n| --- | --- | --- |\n{table}"));
}

/// What each role may do, and may read that not every role may, is in `docs/access.md`, with the mutations that need each permission.
#[test]
fn access() {
    let schema = graphql::sdl();
    let name = |permission: &Permission| async_graphql::resolver_utils::enum_value(*permission).to_string();
    let marks = |has: &dyn Fn(Role) -> bool| Role::ALL.map(|role| if has(role) { "yes" } else { "" }).join(" | ");
    let roles = Role::ALL.map(|role| format!("`{}`", async_graphql::resolver_utils::enum_value(role))).join(" | ");
    let mut table = format!("| permission | {roles} | for |\n| --- | --- | --- | --- | --- | --- |\n");
    let permissions: BTreeMap<String, Permission> =
        Role::ALL.iter().flat_map(|role| role.permissions()).map(|permission| (name(permission), *permission)).collect();
    for (name, permission) in &permissions {
        let needs: BTreeSet<String> = mutations_that_need(&schema, name);
        let needs = needs.into_iter().collect::<Vec<_>>().join(", ");
        let marks = marks(&|role| role.permissions().contains(permission));
        writeln!(table, "| `{name}` | {marks} | {needs} |").expect("memory");
    }
    for (what, readable) in [
        ("lists of partners, the leaderboard", Readable::AllPartners),
        ("partners' profiles", Readable::Profiles),
        ("partners' applications", Readable::Applications),
        ("ledgers, and balances after transfers", Readable::Ledgers),
    ] {
        let marks = marks(&|role| role.reads().contains(&readable));
        writeln!(table, "| reads | {marks} | {what} |").expect("memory");
    }
    assert_has("docs/access.md", "access", &table);
}

/// The mutations whose description says that they need a permission.
fn mutations_that_need(schema: &str, permission: &str) -> BTreeSet<String> {
    let mutations = schema.split("\ntype Mutation {\n").nth(1).and_then(|rest| rest.split("\n}\n").next()).expect("mutations");
    let (mut found, mut description) = (BTreeSet::new(), String::new());
    for line in mutations.lines() {
        let line = line.trim();
        let name =
            line.split_once('(').map(|(name, _)| name).filter(|name| !name.is_empty() && name.chars().all(char::is_alphanumeric));
        let Some(name) = name else {
            description = description + " " + line;
            continue;
        };
        let needs = description.split("Needs ").skip(1).filter_map(|rest| rest.split(". ").next());
        if needs.into_iter().any(|needs| needs.contains(&format!("`{permission}`"))) {
            found.insert(format!("`{name}`"));
        }
        description.clear();
    }
    found
}

/// Which migration has the present body of each function of the database is in `migrations/README.md`.
#[test]
fn functions() {
    let mut last: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files("migrations", "up.sql") {
        let migration = file.trim_start_matches("migrations/").trim_end_matches("/up.sql").to_owned();
        let text = read(&file);
        let mut words = text.split_whitespace().peekable();
        let mut before = "";
        while let Some(word) = words.next() {
            let name = |word: &str| word.split('(').next().unwrap_or_default().trim_end_matches(';').to_lowercase();
            let is_function = word.eq_ignore_ascii_case("FUNCTION");
            if is_function && (before.eq_ignore_ascii_case("CREATE") || before.eq_ignore_ascii_case("REPLACE")) {
                last.insert(name(words.peek().copied().unwrap_or_default()), vec![migration.clone()]);
            }
            if is_function && before.eq_ignore_ascii_case("DROP") {
                let mut rest = words.clone().skip_while(|word| matches!(word.to_uppercase().as_str(), "IF" | "EXISTS"));
                last.remove(&name(rest.next().unwrap_or_default()));
            }
            before = word;
        }
        // Changed in place.
        for changed in text.split("pg_get_functiondef('").skip(1).filter_map(|rest| rest.split('(').next()) {
            let migrations = last.get_mut(changed).unwrap_or_else(|| panic!("{file} changes {changed}, which is nowhere made"));
            migrations.push(migration.clone());
        }
    }
    let mut table = "| function | migration |\n| --- | --- |\n".to_owned();
    for (function, migrations) in last {
        let migrations: Vec<String> = migrations.iter().map(|migration| format!("`{migration}`")).collect();
        writeln!(table, "| `{function}` | {} |", migrations.join(", then ")).expect("memory");
    }
    assert_has("migrations/README.md", "functions", &table);
}

/// Every relative link of a document leads to a file that is there.
#[test]
fn links() {
    let mut documents = files("docs", ".md");
    documents.extend(files("migrations", "README.md"));
    documents.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "bench/README.md"].map(str::to_owned));
    for document in documents {
        for link in read(&document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let target = root().join(&document).parent().expect("a folder").join(path);
            assert!(target.exists(), "{document} links to {link}");
        }
    }
}

/// What imports say of rows, with the meaning of each code.
#[test]
fn import_codes() {
    use partner_portal::models::imports::finding::FindingCode;

    let mut table = "| code | | meaning |\n| --- | --- | --- |\n".to_owned();
    for code in FindingCode::ALL {
        let left = if code.is_left() { "left" } else { "noted" };
        writeln!(table, "| `{}` | {left} | {} |", code.as_str(), code.meaning()).expect("memory");
    }
    assert_has("docs/imports.md", "codes", &table);
}

/// The types of webhooks' events, with the fields of their data.
#[test]
fn webhook_types() {
    use partner_portal::models::webhooks::event::WebhookEventType;

    let mut table = "| type | of | fields of `data` |\n| --- | --- | --- |\n".to_owned();
    for event in WebhookEventType::ALL {
        let fields: Vec<String> = event.field_names().iter().map(|name| format!("`{name}`")).collect();
        let subject = event.subject().map(|subject| format!("`{subject}`")).unwrap_or_default();
        writeln!(table, "| `{}` | {subject} | {} |", event.as_str(), fields.join(" ")).expect("memory");
    }
    assert_has("docs/webhooks.md", "types", &table);
}
