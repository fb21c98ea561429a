//! Rows that cannot come in, files that are not what they seem, and sources that change: each is said of the row, and keeps no other out.

use std::fs;

use super::*;

const AT: &str = "2025-02-01T00:00:00Z";

/// A small folder of a link-based system: two people with a link each.
fn folder(commissions: &str) -> binary::Folder {
    let folder = binary::Folder::new();
    fs::create_dir_all(&folder.0).expect("a folder");
    write(&folder, "users.csv", &format!("id,name,email,createdAt\nu1,Ann,ann@x.com,{AT}\nu2,Bob,bob@x.com,{AT}\n"));
    write(
        &folder,
        "links.csv",
        &format!("id,userId,url,key,createdAt\nl1,u1,https://shop.com/a,keya,{AT}\nl2,u2,https://shop.com/b,keyb,{AT}\n"),
    );
    write(&folder, "commissions.csv", commissions);
    folder
}

fn write(folder: &binary::Folder, name: &str, text: &str) {
    fs::write(folder.0.join(name), text).expect("a file");
}

/// Rows of commissions: id, link, earnings, status.
fn commissions(rows: &[(&str, &str, i64, &str)]) -> String {
    let rows = rows.iter().map(|(id, link, earnings, status)| format!("{id},{link},,{earnings},USD,{status},{AT}\n"));
    format!("id,linkId,partnerId,earnings,currency,status,createdAt\n{}", rows.collect::<String>())
}

async fn import(world: &World, folder: &binary::Folder) -> (Outcome, Vec<KeptFinding>) {
    Given::new("legacy", &folder.0).run(world, world.acme).await.expect("an import")
}

async fn refusal(world: &World, source: &'static str, folder: &binary::Folder) -> String {
    match Given::new(source, &folder.0).run(world, world.acme).await {
        Ok(_) => panic!("it was imported"),
        Err(message) => message,
    }
}

/// What takes back more than there is to take it from is reported and left, wherever it stands; what takes back less comes in, also before what it is taken from.
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_something_back() {
    let world = World::new().await;
    let folder = folder(&commissions(&[
        ("back", "l1", -500, "pending"),
        ("first", "l1", 1_250, "pending"),
        ("more", "l2", -700, "pending"),
        ("paid", "l2", 900, "paid"),
    ]));
    let (outcome, found) = import(&world, &folder).await;
    assert_eq!((codes(&found, "more"), inside(&outcome, "commission")), (vec!["EMPTY_PARTNER", "ROW_REFUSED"], 3));
    let refused = found.iter().find(|finding| finding.code == "ROW_REFUSED").expect("a finding");
    assert!(refused.is_left && refused.message.starts_with("It takes back more than waits"), "{}", refused.message);
    assert_eq!((refused.file.as_str(), refused.line), ("commissions.csv", 4));
    assert_eq!(world.number("SELECT (sum(balance) * 100)::bigint FROM accounts WHERE kind = 'pending'").await, 750);
    assert_eq!(world.broken_rules().await, [""; 0]);
    // A decision about its status brings it in.
    let decisions = folder.0.join("decisions.jsonl");
    fs::write(&decisions, "\u{feff}{\"kind\": \"commission\", \"id\": \"more\", \"set\": {\"status\": \"processed\"}}\n")
        .expect("a file");
    let given = Given { decisions: Some(&decisions), ..Given::new("legacy", &folder.0) };
    let (outcome, _) = given.run(&world, world.acme).await.expect("an import");
    assert_eq!(inside(&outcome, "commission"), 4);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// One row that a rule of the database refuses keeps none of the others out, whichever kind it is of.
#[tokio::test(flavor = "multi_thread")]
async fn one_row_keeps_no_other_out() {
    let world = World::new().await;
    let folder = folder(&commissions(&[
        ("m1", "l1", 9_000_000_000_000_000, "paid"),
        ("m2", "l1", 9_000_000_000_000_000, "paid"),
        ("m3", "l2", 100, "paid"),
    ]));
    write(
        &folder,
        "users.csv",
        &format!(
            "id,name,email,createdAt,clerkUserId\nu1,Ann,ann@x.com,{AT},user_1\nu2,Bob,bob@x.com,{AT},user_1\nu3,Cy,cy@x.com,{AT},{}\nu4,Di,di@x.com,{AT},\n",
            "c".repeat(300)
        ),
    );
    write(&folder, "programs.csv", "id,domain\ng1,shop.com\n");
    write(
        &folder,
        "rewards.csv",
        "id,programId,type,amount,event,currency\nnegative,g1,flat,-5,sale,USD\nsale,g1,percentage,20,sale,\nclick,g1,flat,5,click,USD\nshare,g1,revshare,20,sale,\n",
    );
    write(&folder, "customers.csv", &format!("id,externalId,linkId,createdAt\nk1,cus_1,l1,{AT}\nk2,cus_1,l1,{AT}\n"));
    let (outcome, found) = import(&world, &folder).await;
    for id in ["u3", "m1", "m2", "negative"] {
        assert!(codes(&found, id).contains(&"ROW_REFUSED"), "{id}: {found:?}");
    }
    for id in ["click", "share"] {
        assert!(codes(&found, id).contains(&"RULE_NOT_OF_SALES"), "{id}: {found:?}");
    }
    // Two rows of one id at the sign-in service are one person.
    let people = "SELECT count(DISTINCT target_id) FROM import_rows WHERE kind = 'user' AND source_id IN ('u1', 'u2')";
    assert_eq!((inside(&outcome, "user"), world.number(people).await), (3, 1));
    assert_eq!(inside(&outcome, "rule"), 1);
    assert_eq!(inside(&outcome, "customer"), 2);
    assert_eq!(world.number("SELECT count(*) FROM partner_commissions WHERE programme_id IS NOT NULL").await, 1);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Two rows of one id in one record are two rows: the first counts, and the other is reported.
#[tokio::test(flavor = "multi_thread")]
async fn two_of_one_id_in_one_record() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    fs::create_dir_all(&folder.0).expect("a folder");
    let commission = |amount: &str| json!({"id": 1, "amount": amount, "approved": true, "kind": "regular", "currency": "USD"});
    let conversions = json!([{
        "id": 7, "external_id": "o1", "amount": 100, "created_at": AT, "affiliate": {"id": "a1"}, "click": null, "customer": null,
        "commissions": [commission("1.00"), commission("2.00")],
    }]);
    files::page(
        &folder.0,
        "affiliates",
        &json!([{"id": "a1", "firstname": "Ann", "lastname": "A", "email": "a@x.com", "created_at": AT}]),
    );
    files::page(&folder.0, "conversions", &conversions);
    let (outcome, found) = Given::new("tapfiliate", &folder.0).run(&world, world.acme).await.expect("an import");
    assert_eq!(inside(&outcome, "commission"), 1, "{found:?}");
    assert!(found.iter().any(|finding| finding.code == "DUPLICATE_ID"), "{found:?}");
}

/// A row of another number of cells, and a quotation mark that takes other rows into a cell, are reported and not cut: money is neither lost nor made smaller.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_another_shape() {
    let world = World::new().await;
    let header = "id,linkId,partnerId,currency,status,createdAt,earnings";
    let folder = folder(&format!(
        "{header}\ncomma,l1,,USD,processed,{AT},1,250\nshort,l1,,USD,processed,{AT}\nblank,l1,,USD,processed,{AT},300,,\n"
    ));
    let (outcome, found) = import(&world, &folder).await;
    for id in ["comma", "short"] {
        assert!(codes(&found, id).contains(&"CELLS_DIFFER"), "{id}: {found:?}");
    }
    assert_eq!(inside(&outcome, "commission"), 1);
    let rows = [("m1", "\"6 inch"), ("m2", "x"), ("m3", "7 inch\""), ("m4", "x")]
        .map(|(id, note)| format!("{id},l1,,USD,processed,{AT},100,{note}\n"))
        .concat();
    write(&folder, "commissions.csv", &format!("{header},note\n{rows}"));
    let (_, found) = import(&world, &folder).await;
    assert!(codes(&found, "m1").contains(&"CELLS_DIFFER"), "{found:?}");
    assert!(codes(&found, "m4").is_empty() || !codes(&found, "m4").contains(&"CELLS_DIFFER"));
    write(&folder, "commissions.csv", &format!("{header},Earnings\nm9,l1,,USD,processed,{AT},1250,7\n"));
    let message = refusal(&world, "legacy", &folder).await;
    assert!(message.contains("has two columns called \"earnings\""), "{message}");
}

/// What is written beside an amount is its currency's sign or code, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn amounts_with_signs() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    fs::create_dir_all(&folder.0).expect("a folder");
    write(&folder, "partners.csv", "id,name,email,status\np1,Ann,a@x.com,approved\n");
    let cells = ["€10.00", "¥500", "$1.2K", "1.250 €", "2 months free", "$1,250.00", "-$3.10", "4.20 USD"];
    let rows =
        cells.iter().enumerate().map(|(at, cell)| format!("c{at},p1,\"{cell}\",{AT},pending\n")).collect::<Vec<_>>().concat();
    write(&folder, "commissions.csv", &format!("id,partner id,earnings,created at,status\n{rows}"));
    let options = ReadingOptions { currency: Some(iso_currency::Currency::USD), ..ReadingOptions::default() };
    let given = Given { options, ..Given::new("dub", &folder.0) };
    let (outcome, found) = given.run(&world, world.acme).await.expect("an import");
    for (at, cell) in cells.iter().enumerate().take(5) {
        assert!(codes(&found, &format!("c{at}")).contains(&"AMOUNT_INVALID"), "{cell}: {found:?}");
    }
    assert_eq!(inside(&outcome, "commission"), 3, "{found:?}");
}

/// The proof is of the files of the run: what the source says otherwise than before is said and decides the exit; what was decided here since is not the source's.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_of_other_files() {
    let world = World::new().await;
    let folder = folder(&commissions(&[("m1", "l1", 1_000, "pending"), ("m2", "l1", 1_000, "pending")]));
    import(&world, &folder).await;
    let id: String = world.text("SELECT target_id::text FROM import_rows WHERE source_id = 'm2'").await;
    let id = partner_portal::ids::CommissionId::from(id.parse::<uuid::Uuid>().expect("a UUID"));
    let query = "mutation ($ids: [ID!]!) { approveCommissions(input: { ids: $ids }) { userErrors { message } } }";
    let answer = world.operator(query, json!({"ids": [id.to_string()]})).await;
    assert_eq!(answer.data()["approveCommissions"]["userErrors"], json!([]));
    let (outcome, found) = import(&world, &folder).await;
    assert!(outcome.summary.is_proved() && found.iter().all(|finding| !finding.is_left), "{outcome:?}");
    write(&folder, "commissions.csv", &commissions(&[("m1", "l1", 99_000, "pending")]));
    let (outcome, found) = import(&world, &folder).await;
    assert_eq!(codes(&found, "m1"), ["EMPTY_PARTNER", "SOURCE_DIFFERS"]);
    assert!(outcome.summary.is_anything_left());
    let lines: Vec<_> = outcome.summary.proof.iter().map(|line| (line.there.count, line.here.count)).collect();
    assert_eq!(lines, [(1, 1)]);
    // A decision that comes when the row is in is said to be too late, and is not taken for the source's.
    let decisions = folder.0.join("decisions.jsonl");
    fs::write(&decisions, "{\"kind\": \"commission\", \"id\": \"m1\", \"leave\": true}\n").expect("a file");
    let given = Given { decisions: Some(&decisions), ..Given::new("legacy", &folder.0) };
    let (_, found) = given.run(&world, world.acme).await.expect("an import");
    assert!(codes(&found, "m1").contains(&"DECISION_TOO_LATE"), "{found:?}");
}

/// A decision about a row that is not there, or a column that is not read, or with two answers, is refused or reported; one about what stands around the row, or in
/// another spelling, holds.
#[tokio::test(flavor = "multi_thread")]
async fn decisions_that_decide_nothing() {
    let world = World::new().await;
    let folder = folder(&commissions(&[("m1", "gone", 1_000, "pending")]));
    let decisions = folder.0.join("decisions.jsonl");
    let decide = async |text: &str| {
        fs::write(&decisions, text).expect("a file");
        let given = Given { decisions: Some(&decisions), ..Given::new("legacy", &folder.0) };
        given.run(&world, world.acme).await
    };
    let message = decide("{\"kind\": \"commission\", \"id\": \"nope\", \"leave\": true}").await.expect_err("an unknown row");
    assert!(message.contains("the commission \"nope\", which is in none of the files"), "{message}");
    let message = decide("{\"kind\": \"commission\", \"id\": \"m1\", \"leave\": true, \"set\": {\"partnerId\": \"x\"}}").await;
    assert!(message.is_err_and(|message| message.contains("expected one of the two")));
    let (_, found) =
        decide("{\"kind\": \"commission\", \"id\": \"m1\", \"set\": {\"partnr\": \"u1\"}}").await.expect("an import");
    assert!(codes(&found, "m1").contains(&"DECISION_UNKNOWN"), "{found:?}");
    let (outcome, _) =
        decide("{\"kind\": \"commission\", \"id\": \"m1\", \"set\": {\"link_id\": \"l1\"}}").await.expect("an import");
    assert_eq!(inside(&outcome, "commission"), 1);
}

/// A commission that a failed payout and its repetition name is paid by the one that did not fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_was_repeated() {
    let world = World::new().await;
    let source = binary::Folder::new();
    fs::create_dir_all(&source.0).expect("a folder");
    files::page(&source.0, "promoters", &json!([{"id": 1, "email": "a@x.com", "created_at": AT, "promotions": []}]));
    let payout = |id: i64, status: &str| json!({"id": id, "status": status, "amount": 1000, "created_at": AT, "paid_at": AT, "promoter": {"id": 1}, "commissions": [{"id": 5}]});
    files::page(&source.0, "payouts", &json!([payout(90, "failed"), payout(91, "completed")]));
    files::page(
        &source.0,
        "commissions",
        &json!([{"id": 5, "status": "approved", "is_paid": true, "amount": 1000, "created_at": AT, "promoter": {"id": 1}}]),
    );
    let (outcome, found) = Given::new("firstpromoter", &source.0).run(&world, world.acme).await.expect("an import");
    assert_eq!((inside(&outcome, "commission"), inside(&outcome, "payout")), (1, 1), "{found:?}");
    assert_eq!(
        world
            .text("SELECT target_id::text FROM import_rows WHERE kind = 'payout' AND source_id = '91' AND state = 'in'")
            .await
            .len(),
        36
    );
}

/// What a part in a programme has become can be asked for by the row's id.
#[tokio::test(flavor = "multi_thread")]
async fn enrolments_are_found_again() {
    let world = World::new().await;
    let folder = folder(&commissions(&[]));
    write(&folder, "partners.csv", "id,name\np1,One\n");
    write(&folder, "programs.csv", "id,domain\ng1,shop.com\n");
    write(&folder, "enrollments.csv", "partnerId,programId,status\np1,g1,approved\n");
    import(&world, &folder).await;
    let query = "{ imported(source: LEGACY, kind: ENROLMENT, sourceId: \"p1/g1\") { __typename id ... on Enrolment { partner { companyName } } } }";
    let found = world.operator(query, json!({})).await.data()["imported"].clone();
    assert_eq!((&found["__typename"], &found["partner"]["companyName"]), (&json!("Enrolment"), &json!("One")));
}

/// A day is a day between 2000 and tomorrow, and what is no UTF-8 is said.
#[tokio::test(flavor = "multi_thread")]
async fn days_and_characters() {
    let world = World::new().await;
    let folder = folder(&commissions(&[]));
    let days = ["1970-01-01", "9999-12-31", "2099-01-01rubbish", "2025-02-30", "2025-02-01T10:00:00Z"];
    let rows = days.map(|day| format!("l1,{day},3,0\n")).concat();
    write(&folder, "link_days.csv", &format!("linkId,date,clicks,leads\n{rows}"));
    let mut users = fs::read(folder.0.join("users.csv")).expect("a file");
    users.extend_from_slice(b"u3,M\xfcller,m@x.com,2025-01-01T00:00:00Z\n");
    fs::write(folder.0.join("users.csv"), users).expect("a file");
    let (outcome, found) = import(&world, &folder).await;
    assert_eq!(inside(&outcome, "link_day"), 1, "{found:?}");
    assert!(codes(&found, "u3").contains(&"CHARACTERS_REPLACED"), "{found:?}");
}

/// A server claims one import, by whichever plan PostgreSQL has chosen for it while none was there.
#[tokio::test(flavor = "multi_thread")]
async fn one_import_is_claimed() {
    let world = World::new().await;
    let query = "mutation ($input: ImportDataInput!) { importData(input: $input) { import { id } } }";
    for _ in 0..3 {
        let input = crate::support::world::keyed(background::small());
        world.operator(query, json!({"input": input})).await.data();
    }
    world
        .sql(
            "CREATE TEMP TABLE kept AS SELECT * FROM data_imports; CREATE TEMP TABLE kept_parts AS SELECT * FROM data_import_chunks;
             DELETE FROM data_import_chunks; DELETE FROM data_imports; ANALYZE data_imports;
             SELECT count(*) FROM generate_series(1, 1), claim_data_import(gen_random_uuid(), 60, now());
             SELECT count(*) FROM claim_data_import(gen_random_uuid(), 60, now()); SELECT count(*) FROM claim_data_import(gen_random_uuid(), 60, now());
             SELECT count(*) FROM claim_data_import(gen_random_uuid(), 60, now()); SELECT count(*) FROM claim_data_import(gen_random_uuid(), 60, now());
             SELECT count(*) FROM claim_data_import(gen_random_uuid(), 60, now()); SELECT count(*) FROM claim_data_import(gen_random_uuid(), 60, now());
             INSERT INTO data_imports SELECT * FROM kept; INSERT INTO data_import_chunks SELECT * FROM kept_parts;
             SELECT count(*) FROM claim_data_import(gen_random_uuid(), 60, now())",
        )
        .await;
    assert_eq!(world.number("SELECT count(*) FROM data_imports WHERE status = 'running'").await, 1);
}
