//! Members from CSV files: each row whole or not at all, each reported, the same file once.

use partner_portal::{
    clock::Clock,
    db::session::{Caller, Session},
    ids::UserId,
    imports::members::{
        Import, MemberFile, Progress,
        plan::{RowOutcome, RowReport},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{World, binary};

pub const FILE: &str = "email,first name,last name,credits\nann@example.com,Ann,Lee,30\nbo@example.com,Bo,,\nANN@example.com,Anna,,5\n\
                    nobody,No,Body,\ncy@example.com,Cy,,80\ndi@example.com,Di,,60\n,,,\n";

/// The rows of a report: row, outcome, code.
pub fn rows(payload: &Value) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = payload["import"]["rows"].as_array().unwrap_or_else(|| panic!("{payload}"));
    rows.iter().map(|row| (row["row"].as_u64().expect("a number"), text(&row["outcome"]), text(&row["code"]))).collect()
}

pub fn expected(rows: &[(u64, &str, &str)]) -> Vec<(u64, String, String)> {
    rows.iter().map(|(row, outcome, code)| (*row, (*outcome).to_owned(), (*code).to_owned())).collect()
}

/// Each row is imported whole or reported with its fault; credits go in the order of the file for as long as they last; a dry run says the
/// same and writes nothing; the same file again changes nothing, however it is written.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_reported() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let outcomes = expected(&[
        (2, "IMPORTED", ""),
        (3, "IMPORTED", ""),
        (4, "FAILED", "TAKEN"),
        (5, "FAILED", "INVALID"),
        (6, "FAILED", "INSUFFICIENT_CREDITS"),
        (7, "IMPORTED", ""),
        (8, "SKIPPED", ""),
    ]);
    let dry = world.import(FILE, json!({"dryRun": true})).await;
    assert_eq!(rows(&dry), outcomes);
    assert_eq!(world.number("SELECT count(*) FROM partner_members").await, 0);
    assert_eq!(world.credits(world.a).await, [100, 0, 0, 0]);

    let done = world.import(FILE, json!({})).await;
    assert_eq!(rows(&done), outcomes);
    for field in ["rowCount", "imported", "updated", "skipped", "failed", "creditsAssigned", "ignoredColumns"] {
        assert_eq!(done["import"][field], dry["import"][field], "{field}");
    }
    for (row, dry_row) in
        done["import"]["rows"].as_array().expect("rows").iter().zip(dry["import"]["rows"].as_array().expect("rows"))
    {
        for field in ["code", "message", "cell", "creditsAssigned"] {
            assert_eq!(row[field], dry_row[field], "{field} of {row}");
        }
    }
    assert_eq!(
        done["import"]["rows"][2],
        json!({"row": 4, "outcome": "FAILED", "creditsAssigned": 0, "code": "TAKEN", "message": "Row 2 has this address already.",
               "cell": {"column": "EMAIL", "value": "ANN@example.com"}, "member": null})
    );
    assert_eq!(
        (&done["import"]["rows"][4]["message"], &done["import"]["rows"][4]["cell"]),
        (&json!("The partner has 70 credits left to assign."), &json!({"column": "CREDITS", "value": "80"}))
    );
    assert_eq!(done["import"]["rows"][0]["member"]["email"], "ann@example.com");
    // No row is half done: whose credits did not fit is no member.
    assert_eq!(world.number("SELECT count(*) FROM partner_members").await, 3);
    assert_eq!(world.credits(world.a).await, [10, 90, 0, 0]);

    let shuffled = "Credits;Surname;First_Name;E-MAIL\r\n30;Lee;Ann;ann@example.com\r\n;;Bo;bo@example.com\r\n5;;Anna;ANN@example.com\r\n\
                    ;Body;No;nobody\r\n80;;Cy;cy@example.com\r\n60;;Di;di@example.com\r\n;;;\r\n";
    let before = world.number("SELECT count(*) FROM transfers").await;
    for again in [FILE.to_owned(), format!("\u{feff}{shuffled}")] {
        let report = world.import(&again, json!({})).await;
        let skipped = outcomes.iter().map(|(row, outcome, code)| {
            (*row, if outcome == "IMPORTED" { "SKIPPED".to_owned() } else { outcome.clone() }, code.clone())
        });
        assert_eq!(rows(&report), skipped.collect::<Vec<_>>());
        assert_eq!(report["import"]["creditsAssigned"], 0);
    }
    assert_eq!(world.number("SELECT count(*) FROM transfers").await, before);
    // What failed for want of credits is done by the same file once there are some.
    world.grant(world.a, 100, None).await;
    let more = world.import(FILE, json!({})).await;
    assert_eq!((&more["import"]["imported"], &more["import"]["creditsAssigned"]), (&json!(1), &json!(80)));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// A file that is corrected and sent with the key of the first answer gives nobody the same credits twice.
#[tokio::test(flavor = "multi_thread")]
async fn corrected_files() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let ask = "mutation ($input: ImportMembersInput!) { importMembers(input: $input) { import { idempotencyKey imported failed creditsAssigned rows(first: 2, outcome: [FAILED, SKIPPED]) { row outcome code } } } }";
    let import = async |input: Value| world.owner_a(ask, json!({"input": input})).await.data()["importMembers"]["import"].clone();
    let first = "email,first name,credits\nann@example.com,Ann,5\nbo@example,Bo,7\n\"a b\"@example.com,C,\n\"\"\"a b\"\"@example.com\",C,\n";
    let dry = import(json!({"csv": first, "dryRun": true})).await;
    let done = import(json!({"csv": first})).await;
    assert_eq!(
        (&done["idempotencyKey"], &done["creditsAssigned"], &done["failed"]),
        (&dry["idempotencyKey"], &json!(5), &json!(3))
    );
    assert_eq!(done["rows"].as_array().map(Vec::len), Some(2));
    let corrected = "email,first name,credits\nann@example.com,Ann,5\nbo@example.com,Bo,7\n";
    let again = import(json!({"csv": corrected, "idempotencyKey": done["idempotencyKey"]})).await;
    assert_eq!(
        (&again["idempotencyKey"], &again["imported"], &again["creditsAssigned"]),
        (&done["idempotencyKey"], &json!(1), &json!(7))
    );
    assert_eq!(again["rows"], json!([{"row": 2, "outcome": "SKIPPED", "code": null}]));
    assert_eq!(world.credits(world.a).await, [88, 12, 0, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Another file brings members up to date and gives them more; under the same key it gives none twice.
#[tokio::test(flavor = "multi_thread")]
async fn members_that_are_there() {
    let world = World::new().await;
    world.grant(world.a, 100, None).await;
    let gone = world.member("gone@example.com").await;
    world
        .owner_a("mutation ($id: ID!) { deactivateMember(input: { id: $id }) { userErrors { code } } }", json!({"id": gone}))
        .await
        .data();
    world
        .import(
            "email,first name,last name,credits\nann@example.com,Ann,Lee,5\nbo@example.com,Bo,Dee,\n",
            json!({"idempotencyKey": "may"}),
        )
        .await;
    let second = "email,first name,credits\nann@example.com,Ann,7\nbo@example.com,Bob,\ngone@example.com,Gone,\n";
    let report = world.import(second, json!({"idempotencyKey": "june"})).await;
    assert_eq!(rows(&report), expected(&[(2, "UPDATED", ""), (3, "UPDATED", ""), (4, "FAILED", "MEMBER_INACTIVE")]));
    assert_eq!(world.number("SELECT count(*) FROM partner_members WHERE first_name = 'Bob' AND last_name = 'Dee'").await, 1);
    assert_eq!(world.credits(world.a).await, [88, 12, 0, 0]);
    // A file that was corrected, under the key of the first: what was done under it stays done, and is not changed.
    let corrected = "email,first name,credits\nann@example.com,Ann,7\ncy@example.com,Cy,3\n";
    let report = world.import(corrected, json!({"idempotencyKey": "june"})).await;
    assert_eq!(rows(&report), expected(&[(2, "SKIPPED", ""), (3, "IMPORTED", "")]));
    let other = "email,first name,credits\nann@example.com,Ann,8\n";
    let report = world.import(other, json!({"idempotencyKey": "june"})).await;
    assert_eq!(rows(&report), expected(&[(2, "FAILED", "KEY_REUSED")]));
    assert_eq!(world.credits(world.a).await, [85, 15, 0, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What is wrong with a file as a whole, or with the input, is a user error; nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn files_at_fault() {
    let world = World::new().await;
    let too_many = format!("email,first name\n{}", "a@b.example,A\n".repeat(50_001));
    for (file, says) in [
        ("", "The file is empty."),
        ("name\nx\n", "There is no column \"email\"."),
        ("email,first name,e-mail\n", "There are two columns for \"email\": \"email\" and \"e-mail\"."),
        (
            "email,first name,note\na@example.com,A,\"x\nb@example.com,B,\n",
            "A quotation mark opens a cell in row 2 and is never closed.",
        ),
        (too_many.as_str(), "The file has more than 50000 rows."),
    ] {
        let payload = world.import(file, json!({})).await;
        let error = &payload["userErrors"][0];
        assert_eq!((&error["code"], &error["field"]), (&json!("INVALID"), &json!(["input", "csv"])), "{payload}");
        assert!(error["message"].as_str().expect("a sentence").starts_with(says), "{error}");
        assert_eq!(payload["import"], Value::Null);
    }
    let wrong = "mutation { importMembers(input: { validDays: 0, idempotencyKey: \"\" }) { import { rowCount } userErrors { code field } } }";
    assert_eq!(
        world.owner_a(wrong, json!({})).await.data()["importMembers"]["userErrors"],
        json!([{"code": "REQUIRED", "field": ["input", "file"]}, {"code": "OUT_OF_RANGE", "field": ["input", "validDays"]},
               {"code": "REQUIRED", "field": ["input", "idempotencyKey"]}])
    );
    // An operator imports members; their credits are the partner's to assign.
    let operator = "mutation ($id: ID!) { importMembers(input: { partnerId: $id, csv: \"email,first name,credits\\na@example.com,A,\\nb@example.com,B,1\" }) { import { rows { outcome code } } userErrors { code } } }";
    let report =
        world.operator(operator, json!({"id": world.a.to_string()})).await.data()["importMembers"]["import"]["rows"].clone();
    assert_eq!(report, json!([{"outcome": "IMPORTED", "code": null}, {"outcome": "FAILED", "code": "INVALID"}]));
    assert_eq!(world.number("SELECT count(*) FROM partner_members").await, 1);
}

/// Rows of very many credits are imported, few at a time.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_many_credits() {
    let world = World::new().await;
    world.grant(world.a, 500_000, None).await;
    let file = "email,first name,credits\n".to_owned()
        + &(0..6).map(|n| format!("m{n}@example.com,M,100000\n")).collect::<Vec<_>>().concat();
    let report = world.upload_members(file.as_bytes(), false).await["import"].clone();
    assert_eq!((&report["imported"], &report["creditsAssigned"], &report["failed"]), (&json!(5), &json!(500_000), &json!(1)));
    assert_eq!(world.credits(world.a).await, [0, 500_000, 0, 0]);
}

/// Two who import one file at once, and another who assigns meanwhile: every row is done once, and nothing waits for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_imports_at_once() {
    let world = std::sync::Arc::new(World::with_pool(6).await);
    world.grant(world.a, 2_000, None).await;
    let first = world.member("m1@example.com").await;
    let file: String = "email,first name,credits\n".to_owned()
        + &(0..600).map(|n| format!("m{n}@example.com,M{n},{}\n", n % 3)).collect::<Vec<_>>().concat();
    let importing = (0..3).map(|_| {
        let (world, file) = (std::sync::Arc::clone(&world), file.clone());
        tokio::spawn(async move { world.import(&file, json!({})).await["import"].clone() })
    });
    let assigning = {
        let (world, first) = (std::sync::Arc::clone(&world), first.clone());
        tokio::spawn(async move {
            for _ in 0..30 {
                assert_eq!(world.assign(&first, 1, 90, None).await["userErrors"], json!([]));
            }
        })
    };
    let reports: Vec<Value> =
        futures_util::future::join_all(importing).await.into_iter().map(|task| task.expect("a task")).collect();
    assigning.await.expect("a task");
    let sum = |field: &str| reports.iter().map(|report| report[field].as_i64().expect("a number")).sum::<i64>();
    assert_eq!((sum("imported"), sum("failed"), sum("creditsAssigned")), (599, 0, 600));
    assert_eq!(world.credits(world.a).await, [1_370, 630, 0, 0]);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

struct Kept(Vec<RowReport>);

impl Progress for Kept {
    fn begins(&mut self, _: u32) {}

    fn row(&mut self, report: RowReport) {
        self.0.push(report);
    }
}

/// Whatever the bytes of a file: each row is reported, a dry run says the same, and the books hold.
#[test]
fn hostile_files() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(async {
        let world = World::new().await;
        world.grant(world.a, 1_000, None).await;
        world
    });
    let import = async |bytes: &[u8], is_dry_run: bool| {
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, bytes).expect("written");
        let machine = Caller::Service { tenant: world.acme, user: UserId::from(uuid::Uuid::nil()) };
        let (session, ()) = Session::open(&world.app.pool, machine, async |_| Ok(())).await.expect("a session");
        let import =
            Import { tenant: world.acme, partner: world.a, by: None, may_assign: true, valid_days: 90, key: None, is_dry_run };
        let mut kept = Kept(Vec::new());
        let outcome = import.run(&session, &Clock::default(), MemberFile::from(file), &mut kept).await.expect("no fault of ours");
        (outcome, kept.0)
    };
    let line = "(\"\"\"a b\"\"@b.cd\"|[abé\u{0}\u{fffd}]{0,3})@?[ab]{0,2}\\.?[ab\"]{0,3}[,;]\"?[A-C\u{202e} ]{0,3}\"?[,;][0-9-]{0,3}[,;]?(\r\n|\n|\r)";
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let strategy = (prop::collection::vec(line, 0..12), prop::collection::vec(any::<u8>(), 0..24));
    let ran = runner.run(&strategy, |(lines, noise)| {
        let mut bytes = b"email,first name,credits\n".to_vec();
        bytes.extend(lines.concat().bytes());
        bytes.extend(noise);
        runtime.block_on(async {
            let (dry, dry_rows) = import(&bytes, true).await;
            let (real, rows) = import(&bytes, false).await;
            assert_eq!(dry, real);
            if real.is_err() {
                // At fault as a whole: a quotation mark that is never closed. Nothing is done.
                assert!(rows.is_empty());
            }
            let of = |rows: &[RowReport]| {
                rows.iter().map(|row| (row.number, row.outcome, row.credits, row.fault.clone())).collect::<Vec<_>>()
            };
            assert_eq!(of(&dry_rows), of(&rows));
            assert!(rows.iter().all(|row| (row.outcome == RowOutcome::Failed) == row.fault.is_some()));
        });
        Ok(())
    });
    ran.expect("every file");
    runtime.block_on(async { assert_eq!(world.broken_rules().await, [""; 0]) });
}

/// The command does the same from the shell: rows at fault are printed, and its exit status tells of them.
#[test]
fn the_command() {
    let folder = binary::Folder::new();
    let data = &folder.0;
    let seeded = binary::run(data, &["seed", "--partners", "0", "--leads", "0", "--invoices", "0"]);
    assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
    let file = data.join("members.csv");
    std::fs::write(&file, "email;first name;credits;team\nshell@example.com;Shell;;red\nnobody;No;;\n").expect("a file");
    let partner = "partner_01kb59xnm9f159s5p1tkqyswwc";
    let path = file.to_str().expect("a path");
    let run = |more: &[&str]| {
        let output = binary::run(data, &[&["import-members", path, "--partner", partner], more].concat());
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let fault =
        "row 3: FAILED INVALID email \"nobody\": Must be an e-mail address such as name@example.com; \"nobody\" is not.\n";
    let (success, dry, _) = run(&["--dry-run"]);
    assert!(!success);
    let tail = "2 rows: 1 imported, 0 updated, 0 skipped, 1 failed; 0 credits assigned.\n";
    assert_eq!(dry, format!("{fault}Left aside: the columns team.\nNothing was written. It would be: {tail}"));
    let (success, said, failure) = run(&[]);
    assert_eq!((success, said), (false, format!("{fault}Left aside: the columns team.\n{tail}")));
    assert_eq!(failure.lines().last(), Some("partner-portal: 1 of 2 rows are at fault, and were not imported"));
    std::fs::write(&file, "email,first name\nshell@example.com,Shell\n").expect("a file");
    let (success, said, _) = run(&["--all"]);
    assert!(success && said.starts_with("row 2: SKIPPED member_"), "{said}");
    // A corrected file with the key that the first one had: the command names it.
    std::fs::write(&file, "email,first name,credits\nshell@example.com,Shell,5\nnobody,No,1\n").expect("a file");
    let (success, said, _) = run(&["--valid-days", "30"]);
    let key = said.lines().last().and_then(|line| line.split("--key ").nth(1)?.split(',').next()).expect("the key").to_owned();
    assert!(!success && said.contains("0 imported, 1 updated, 0 skipped, 1 failed; 5 credits assigned."), "{said}");
    std::fs::write(&file, "email,first name,credits\nshell@example.com,Shell,5\nmore@example.com,More,1\n").expect("a file");
    let (success, said, _) = run(&["--valid-days", "30", "--key", &key]);
    assert!(success && said.contains("1 imported, 0 updated, 1 skipped, 0 failed; 1 credits assigned."), "{said}");
    std::fs::write(&file, "").expect("a file");
    let (success, _, failure) = run(&[]);
    assert!(!success && failure.contains("The file is empty."), "{failure}");
    let unknown = binary::run(data, &["import-members", path, "--partner", "partner_01h455vb4pex5vsknk084sn02q"]);
    assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("there is no partner"));
    let nowhere = binary::run(data, &["import-members", "/nowhere.csv", "--partner", partner]);
    assert!(!nowhere.status.success() && String::from_utf8_lossy(&nowhere.stderr).contains("/nowhere.csv: "));
}
