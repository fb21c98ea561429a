//! The contract as it is committed, and the generated table definitions.

use std::{collections::BTreeMap, fs, path::Path};

use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::support::World;

fn committed(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// `schema.graphql` is what the code says.
#[test]
fn the_schema_is_committed() {
    assert!(
        committed("schema.graphql") == partner_portal::graphql::sdl(),
        "schema.graphql is out of date: run `cargo run -- schema > schema.graphql` and look at the difference"
    );
}

/// Everything in the schema is described, for the people who read it in `GraphiQL`.
#[tokio::test(flavor = "multi_thread")]
async fn everything_is_described() {
    let world = World::new().await;
    let query = "{ __schema { types { name description kind
        fields { name description args { name description } } inputFields { name description } enumValues { name description } } } }";
    let answer = world.owner_a(query, json!({})).await;
    let mut bare = Vec::new();
    let described = |value: &Value| value["description"].as_str().is_some_and(|text| !text.trim().is_empty());
    for kind in answer.data()["__schema"]["types"].as_array().expect("types") {
        let name = kind["name"].as_str().expect("a name");
        if name.starts_with("__") || ["ID", "String", "Int", "Boolean", "Float"].contains(&name) {
            continue;
        }
        if !described(kind) {
            bare.push(name.to_owned());
        }
        for list in ["fields", "inputFields", "enumValues"] {
            for item in kind[list].as_array().into_iter().flatten() {
                let path = format!("{name}.{}", item["name"].as_str().expect("a name"));
                if !described(item) {
                    bare.push(path.clone());
                }
                for argument in item["args"].as_array().into_iter().flatten().filter(|argument| !described(argument)) {
                    bare.push(format!("{path}({})", argument["name"]));
                }
            }
        }
    }
    assert_eq!(bare, Vec::<String>::new());
}

/// Every row of a connection is a `Node`, and so is whatever has an id: a client's cache keeps one object for each.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_has_an_id_is_a_node() {
    let world = World::new().await;
    let query = "{ __schema { types { name kind interfaces { name } fields { name type { name ofType { name ofType { ofType { name } } } } } } } }";
    let answer = world.operator(query, json!({})).await;
    let types = answer.data()["__schema"]["types"].as_array().expect("types").clone();
    let is_node = |name: &str| {
        let kind = types.iter().find(|kind| kind["name"] == name).expect("a type");
        kind["interfaces"].as_array().is_some_and(|interfaces| interfaces.contains(&json!({"name": "Node"})))
    };
    let (mut rows, mut strangers) = (0, Vec::new());
    for kind in types.iter().filter(|kind| kind["kind"] == "OBJECT") {
        let name = kind["name"].as_str().expect("a name");
        for field in kind["fields"].as_array().into_iter().flatten() {
            let row = (name.ends_with("Connection") && field["name"] == "nodes")
                .then(|| &field["type"]["ofType"]["ofType"]["ofType"]["name"]);
            rows += usize::from(row.is_some());
            let id = (field["name"] == "id" && field["type"]["ofType"]["name"] == "ID").then_some(&kind["name"]);
            let owners = [row, id].into_iter().flatten().filter_map(Value::as_str);
            strangers.extend(owners.filter(|owner| !is_node(owner)).map(str::to_owned));
        }
    }
    // A decision has the id of a commission that may not be there, a step that of a lead.
    assert_eq!(strangers, ["CommissionDecision", "LeadStep"]);
    assert!(rows >= 9, "{rows}");
}

/// A field that can be refused may be null, so that its refusal takes nothing else with it: every mutation, and every field with an argument
/// that is more than a choice. (A subscription's root is alone in its operation.)
#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_refused_may_be_null() {
    let world = World::new().await;
    let query = "{ __schema { mutationType { name } subscriptionType { name } types { name fields { name type { kind }
        args { type { kind name ofType { kind name } } } } } } }";
    let answer = world.operator(query, json!({})).await;
    let schema = &answer.data()["__schema"];
    let is_choice = |argument: &Value| {
        let kind = &argument["type"];
        let named = if kind["kind"] == "NON_NULL" { &kind["ofType"] } else { kind };
        named["kind"] == "ENUM" || named["name"] == "Boolean"
    };
    let (mut firm, mut seen) = (Vec::new(), 0);
    for kind in schema["types"].as_array().expect("types") {
        let name = kind["name"].as_str().expect("a name");
        if name.starts_with("__") || name == schema["subscriptionType"]["name"] {
            continue;
        }
        for field in kind["fields"].as_array().into_iter().flatten() {
            let arguments = field["args"].as_array().expect("arguments");
            if name != schema["mutationType"]["name"] && arguments.iter().all(is_choice) {
                continue;
            }
            seen += 1;
            // No number of rows keeps the report of an import from being reported.
            if field["type"]["kind"] == "NON_NULL" && (name, &field["name"]) != ("MemberImport", &json!("rows")) {
                firm.push(format!("{name}.{}", field["name"]));
            }
        }
    }
    assert_eq!(firm, Vec::<String>::new());
    assert!(seen > 80, "{seen}");
}

#[derive(diesel::QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    in_table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

/// `src/db/schema.rs` names the tables and columns, in their order and with their types, that the migrations make.
#[tokio::test(flavor = "multi_thread")]
async fn table_definitions_follow_the_migrations() {
    let world = World::new().await;
    let columns: Vec<Column> = diesel::sql_query(
        "SELECT table_name::text AS in_table, column_name::text AS name, udt_name::text AS kind, is_nullable = 'YES' AS nullable
         FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
         WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations' AND table_type = 'BASE TABLE'
         ORDER BY in_table, ordinal_position",
    )
    .load(&mut world.owner().await)
    .await
    .expect("columns");
    let mut expected = BTreeMap::<String, Vec<String>>::new();
    for Column { in_table, name, kind, nullable } in columns {
        let rust = match kind.as_str() {
            "uuid" => "Uuid",
            "text" => "Text",
            "numeric" => "Numeric",
            "date" => "Date",
            "timestamptz" => "Timestamptz",
            "int4" => "Int4",
            "int8" => "Int8",
            "bool" => "Bool",
            "bytea" => "Bytea",
            "jsonb" => "Jsonb",
            "_text" => "Array<Nullable<Text>>",
            other => panic!("{in_table}.{name} has a type that this test does not know: {other}"),
        };
        let rust = if nullable { format!("Nullable<{rust}>") } else { rust.to_owned() };
        expected.entry(in_table).or_default().push(format!("{name} -> {rust},"));
    }
    let mut written = BTreeMap::<String, Vec<String>>::new();
    let text = committed("src/db/schema.rs");
    for block in text.split("diesel::table! {").skip(1) {
        let mut lines = block.lines().map(str::trim).filter(|line| !line.is_empty());
        let table = lines.next().and_then(|line| line.split_whitespace().next()).expect("a table").to_owned();
        written.insert(table, lines.take_while(|line| *line != "}").map(str::to_owned).collect());
    }
    assert_eq!(written, expected, "src/db/schema.rs is out of date: run `diesel print-schema` against a migrated database");
}
