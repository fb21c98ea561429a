//! Addresses, names and searches as people write them: one mailbox is one member, and a name is found and ordered as people do it.

use partner_portal::models::members::member::{email_key, shared_mailboxes};
use serde_json::{Value, json};

use crate::support::{World, sign, tokens::good_claims, world::ACME};

/// Ways to write one address.
const SAME: &[&[&str]] = &[
    &["jörg@example.com", "JÖRG@example.com", "jo\u{308}rg@EXAMPLE.com", "JO\u{308}RG@example.com"],
    &["a@münchen.de", "A@MÜNCHEN.de", "a@xn--mnchen-3ya.de", "a@XN--MNCHEN-3YA.de", "a@mu\u{308}nchen.de"],
    &["straße@example.com", "STRASSE@example.com", "Strasse@example.com"],
    &["σίσυφος@example.gr", "ΣΊΣΥΦΟΣ@example.gr", "σίσυφοσ@example.gr"],
    &["Ann@Example.com", "ann@example.com"],
];

/// What is written differently and leads to one mailbox is one member, by whatever way it comes: by hand, in a file, at a sign-in, for a
/// redemption, by other programs. It is shown as it was typed.
#[tokio::test(flavor = "multi_thread")]
async fn one_mailbox_is_one_member() {
    let world = World::new().await;
    world.grant(world.a, 1_000, None).await;
    let add = "mutation ($email: EmailAddress!) { addMember(input: { email: $email, firstName: \"F\" }) { member { id email } userErrors { code } } }";
    for (number, ways) in SAME.iter().enumerate() {
        let added = world.owner_a(add, json!({"email": ways[0]})).await;
        let member = added.data()["addMember"]["member"].clone();
        assert_eq!(member["email"], ways[0]);
        world.assign(member["id"].as_str().expect("an id"), 20, 30, None).await;
        for (turn, way) in ways.iter().enumerate() {
            let again = world.owner_a(add, json!({"email": way})).await;
            // As it was sent it is the same request once more.
            let expected = if turn == 0 { json!([]) } else { json!([{"code": "TAKEN"}]) };
            assert_eq!(again.data()["addMember"]["userErrors"], expected, "{way}");
            let redeem = "mutation ($email: EmailAddress!, $key: String!) { redeemCredit(input: { email: $email, idempotencyKey: $key }) { redemption { credits } userErrors { code } } }";
            let redeemed = world.service(redeem, json!({"email": way, "key": format!("{number}{turn}")})).await;
            assert_eq!(redeemed.data()["redeemCredit"], json!({"redemption": {"credits": 1}, "userErrors": []}), "{way}");
            let import = "mutation ($csv: String!) { importMembers(input: { csv: $csv }) { import { rows { outcome } } userErrors { message } } }";
            let imported = world.owner_a(import, json!({"csv": format!("email,first name\n{way},F\n")})).await;
            assert_eq!(
                imported.data()["importMembers"]["import"]["rows"],
                json!([{"outcome": "SKIPPED"}]),
                "{way}: {}",
                imported.body
            );
            world.sql(&format!("SELECT allocate_partner_credit('{}', '{way}', 'F', 1, 30)", world.a.uuid())).await;
        }
        assert_eq!(world.number("SELECT count(*) FROM partner_members").await, i64::try_from(number).expect("few") + 1);
        let mut claims = good_claims(&format!("person{number}"), ACME);
        claims["email"] = json!(ways[ways.len() - 1]);
        claims["email_verified"] = json!(true);
        world.run(&sign(&claims), "{ me { role } }", json!({})).await.data();
        assert_eq!(
            world.number("SELECT count(*) FROM partner_members WHERE user_id IS NOT NULL").await,
            i64::try_from(number).expect("few") + 1,
            "{ways:?}"
        );
    }
    // Twice in one file is once.
    let import = "mutation { importMembers(input: { csv: \"email,first name\\nzoë@example.com,Z\\nZOË@example.com,Z\\n\" }) { import { rows { outcome } } } }";
    let rows = world.owner_a(import, json!({})).await.data()["importMembers"]["import"]["rows"].clone();
    assert_ne!(rows[0]["outcome"], rows[1]["outcome"], "{rows}");
    assert_eq!(world.number("SELECT count(*) FROM partner_members WHERE email ILIKE 'zo_@example.com'").await, 1);
    // What the DNS cannot have is no address.
    for bad in ["a@xn--zzzzzzzz-.de", "a@b\u{ad}.\u{ad}", "a@xn--a.com"] {
        let refused = world.owner_a(add, json!({"email": bad})).await;
        assert_eq!(refused.data()["addMember"]["userErrors"], json!([{"code": "INVALID"}]), "{bad}");
    }
}

/// The server and PostgreSQL make the same key of every address.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_on_both_sides() {
    let world = World::new().await;
    let letters = (0x80..0x1_0000).chain(0x1_0400..0x1_04ff).chain(0x1_e900..0x1_e960).filter_map(char::from_u32);
    let mut addresses = Vec::new();
    // U+A7F1 is younger than what PostgreSQL knows of compatibility forms.
    for letter in letters.filter(|&letter| letter.is_alphabetic() && letter != '\u{a7f1}') {
        addresses.push(format!("X{letter}y{letter}@example.com"));
        let domain = format!("a{letter}b.example");
        if idna::domain_to_ascii(&domain).is_ok() {
            addresses.push(format!("a@{domain}"));
        }
    }
    assert!(addresses.len() > 90_000, "{}", addresses.len());
    let mut connection = world.owner().await;
    let mut differing = Vec::new();
    for some in addresses.chunks(20_000) {
        let asked = partner_portal::db::statement::statement::<diesel::sql_types::Text>(
            "SELECT email_key(address) FROM unnest(?) WITH ORDINALITY AS given (address, place) ORDER BY place",
            vec![partner_portal::db::statement::Bind::Texts(some.to_vec())],
        );
        let keys: Vec<String> = diesel_async::RunQueryDsl::load(asked, &mut connection).await.expect("keys");
        differing.extend(
            some.iter()
                .zip(keys)
                .filter(|(address, key)| email_key(address) != *key)
                .map(|(address, key)| (address.clone(), email_key(address), key)),
        );
    }
    assert!(differing.is_empty(), "{}: {:?}", differing.len(), &differing[..differing.len().min(20)]);
}

/// Members who were there before keep their credits under the new key; of two who have one mailbox the older is found by it, the other stays,
/// and both are named.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_there_before() {
    let world = World::new().await;
    world.grant(world.a, 1_000, None).await;
    let (tenant, a) = (world.acme.uuid(), world.a.uuid());
    let up = include_str!("../../../migrations/2026-11-26-100000_text/up.sql");
    let bring_over = &up[up.find("CREATE TEMPORARY TABLE keys").expect("the statement")..];
    // As the version before wrote them.
    for (place, email) in ["JÖRG@example.com", "jörg@example.com", "Änne@example.com"].iter().enumerate() {
        world
            .sql(&format!(
                "SET session_replication_role = replica;
                 INSERT INTO partner_members (tenant_id, id, partner_id, email, email_key, first_name, created_at)
                 VALUES ('{tenant}', gen_random_uuid(), '{a}', '{email}', lower('{email}' COLLATE \"C\"), 'F', now() + interval '{place} seconds');
                 INSERT INTO member_counts (tenant_id, partner_id, invited, active, inactive) VALUES ('{tenant}', '{a}', 1, 0, 0)
                 ON CONFLICT (tenant_id, partner_id) DO UPDATE SET invited = member_counts.invited + 1"
            ))
            .await;
    }
    let member = world.text("SELECT id FROM partner_members WHERE email = 'Änne@example.com'").await;
    let member = partner_portal::ids::MemberId::from(member.parse::<uuid::Uuid>().expect("an id")).to_string();
    world.assign(&member, 5, 30, None).await;
    world.sql(bring_over).await;
    assert_eq!(
        world.text("SELECT string_agg(email || ' ' || split_part(email_key, ' ', 1) || CASE WHEN email_key LIKE '% %' THEN ' (kept apart)' ELSE '' END, ', ' ORDER BY created_at) FROM partner_members").await,
        "JÖRG@example.com jörg@example.com, jörg@example.com jörg@example.com (kept apart), Änne@example.com änne@example.com"
    );
    let shared = shared_mailboxes(&world.owner().await).await.expect("a list");
    assert_eq!(shared.len(), 1);
    assert_eq!((shared[0].email.as_str(), shared[0].other.as_str()), ("JÖRG@example.com", "jörg@example.com"));
    // Once the older has another address, the other can have the mailbox: its address is given to it anew.
    let other = world.text("SELECT id FROM partner_members WHERE email = 'jörg@example.com'").await;
    let other = partner_portal::ids::MemberId::from(other.parse::<uuid::Uuid>().expect("an id")).to_string();
    let update =
        "mutation ($id: ID!, $email: EmailAddress!) { updateMember(input: { id: $id, email: $email }) { userErrors { code } } }";
    let update = async || {
        world.owner_a(update, json!({"id": other, "email": "jörg@example.com"})).await.data()["updateMember"]["userErrors"]
            .clone()
    };
    assert_eq!(update().await, json!([{"code": "TAKEN"}]));
    world.sql("UPDATE partner_members SET email = 'georg@example.com' WHERE email = 'JÖRG@example.com'").await;
    assert_eq!(update().await, json!([]));
    assert!(shared_mailboxes(&world.owner().await).await.expect("a list").is_empty());
    let redeem = "mutation { redeemCredit(input: { email: \"ÄNNE@example.com\", idempotencyKey: \"k\" }) { redemption { credits } userErrors { code } } }";
    let redeemed = world.service(redeem, json!({})).await;
    assert_eq!(redeemed.data()["redeemCredit"], json!({"redemption": {"credits": 1}, "userErrors": []}));
    assert_eq!(world.broken_rules().await, [""; 0]);
}

async fn found(world: &World, list: &str, field: &str, search: &str) -> Vec<String> {
    let query =
        format!("query ($search: String!) {{ {list}(filter: {{ search: $search }}) {{ totalCount nodes {{ {field} }} }} }}");
    let answer = world.operator(&query, json!({"search": search})).await;
    let nodes = answer.data()[list]["nodes"].as_array().expect("rows");
    assert_eq!(answer.data()[list]["totalCount"], nodes.len(), "{search}");
    let mut names: Vec<String> = nodes.iter().map(|node| node[field].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

/// Words in any order are found without regard to case, accents and compatibility forms, in every list that can be searched.
#[tokio::test(flavor = "multi_thread")]
async fn searches() {
    let world = World::new().await;
    let send = "mutation ($name: String!, $phone: String, $service: String!) { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: $name, clientEmail: \"client@example.com\", clientPhone: $phone, service: $service }) { userErrors { message } } }";
    for (name, phone, service) in [
        ("Ada Lovelace", Some("+49 30 1234567"), "Premium Plan"),
        ("Jürgen Müller", None, "Basic"),
        ("Anna Großmann", Some("+1 555 010 9999"), "Crème brûlée 100%"),
        ("Łukasz Żółć", None, "a_b"),
        ("ﬁona Ｗｉｄｅ", None, "aXb"),
    ] {
        let created = world.owner_a(send, json!({"name": name, "phone": phone, "service": service})).await;
        assert_eq!(created.data()["createLead"]["userErrors"], json!([]));
    }
    for (search, names) in [
        ("lovelace ada", vec!["Ada Lovelace"]),
        ("  ADA   love ", vec!["Ada Lovelace"]),
        ("ada müller", vec![]),
        ("muller", vec!["Jürgen Müller"]),
        ("MÜLLER jurgen", vec!["Jürgen Müller"]),
        ("mu\u{308}ller", vec!["Jürgen Müller"]),
        ("grossmann", vec!["Anna Großmann"]),
        ("GROẞMANN", vec!["Anna Großmann"]),
        ("lukasz zolc", vec!["Łukasz Żółć"]),
        ("fiona wide", vec!["ﬁona Ｗｉｄｅ"]),
        ("premium", vec!["Ada Lovelace"]),
        ("creme brulee", vec!["Anna Großmann"]),
        ("100%", vec!["Anna Großmann"]),
        ("a_b", vec!["Łukasz Żółć"]),
        ("+49 30 1234567", vec!["Ada Lovelace"]),
        ("+49-30-1234567", vec!["Ada Lovelace"]),
        ("1234567", vec!["Ada Lovelace"]),
        ("4930123", vec!["Ada Lovelace"]),
        ("555-010-9999", vec!["Anna Großmann"]),
        ("(555) 010-9999", vec!["Anna Großmann"]),
        ("555/0109999 grossmann", vec!["Anna Großmann"]),
        ("\\", vec![]),
    ] {
        assert_eq!(found(&world, "leads", "clientName", search).await, names, "{search}");
    }
    assert_eq!(found(&world, "leads", "clientName", "client@EXAMPLE").await.len(), 5);
    let upsert = "mutation { upsertCustomer(input: { externalId: \"cus_Ångström\", name: \"Nóra Çelik\", email: \"billing@çelik.example\" }) { userErrors { message } } }";
    assert_eq!(world.service(upsert, json!({})).await.data()["upsertCustomer"]["userErrors"], json!([]));
    for search in ["celik nora", "angstrom", "BILLING@celik", "cus_ nóra"] {
        assert_eq!(found(&world, "customers", "name", search).await, ["Nóra Çelik"], "{search}");
    }
    let add = "mutation { addMember(input: { email: \"rené@example.com\", firstName: \"René\", lastName: \"D'Été\" }) { userErrors { message } } }";
    assert_eq!(world.owner_a(add, json!({})).await.data()["addMember"]["userErrors"], json!([]));
    for search in ["d'ete rene", "RENE@example.com"] {
        assert_eq!(found(&world, "members", "firstName", search).await, ["René"], "{search}");
    }
    world
        .operator(
            "mutation { createPartner(input: { idempotencyKey: \"FRESH_KEY\", companyName: \"Société Générale\" }) { userErrors { message } } }",
            json!({}),
        )
        .await
        .data();
    assert_eq!(found(&world, "partners", "companyName", "generale societe").await, ["Société Générale"]);
}

/// Names are ordered as people order them: an accent counts only between names that are the same without it, and pages go on where they
/// ended, whichever way they are read.
#[tokio::test(flavor = "multi_thread")]
async fn orders() {
    let world = World::new().await;
    let ordered = [
        "Adam", "adele", "Ähre", "Anna", "Ännä", "Ånnå", "Anne", "Émile", "emma", "Ørsted", "Otto", "Šárka", "Sarkany", "Zoë",
        "Zoey",
    ];
    let mut names = ordered.to_vec();
    names.rotate_left(7);
    names.reverse();
    for name in names {
        let send = "mutation ($name: String!) { createLead(input: { idempotencyKey: \"FRESH_KEY\", clientName: $name, clientEmail: \"c@example.com\", service: \"S\" }) { userErrors { message } } }";
        world.owner_a(send, json!({"name": name})).await.data();
    }
    for (direction, page) in [("ASC", 1), ("ASC", 4), ("DESC", 2)] {
        let mut read: Vec<String> = Vec::new();
        let mut after = Value::Null;
        loop {
            let query = format!(
                "query ($after: String) {{ leads(first: {page}, after: $after, orderBy: {{ field: CLIENT_NAME, direction: {direction} }}) {{ nodes {{ clientName }} pageInfo {{ hasNextPage endCursor }} }} }}"
            );
            let answer = world.owner_a(&query, json!({"after": after})).await;
            let leads = &answer.data()["leads"];
            read.extend(
                leads["nodes"]
                    .as_array()
                    .expect("rows")
                    .iter()
                    .map(|node| node["clientName"].as_str().expect("a name").to_owned()),
            );
            if leads["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = leads["pageInfo"]["endCursor"].clone();
        }
        let mut expected = ordered.to_vec();
        if direction == "DESC" {
            expected.reverse();
        }
        assert_eq!(read, expected, "{direction} by {page}");
    }
}
