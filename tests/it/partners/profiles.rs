//! Profiles: who may read and write them, and what becomes of account numbers.

use base64::{Engine, engine::general_purpose::STANDARD};
use diesel_async::RunQueryDsl;
use partner_portal::{
    keyring::{Keyring, SealedField},
    models::sealed::seal_anew,
};
use serde_json::{Value, json};

use crate::support::{KEYS, World};

const UPDATE: &str = "mutation ($input: UpdatePartnerProfileInput!) { updatePartnerProfile(input: $input) {
    partner { profile { paymentEmail paymentMethod taxIdMasked bankAccountMasked contactName website
        address { line1 city country } notifications { enabled email monthlyReports } } }
    userErrors { code field message } } }";

async fn update(world: &World, input: Value) -> Value {
    world.owner_a(UPDATE, json!({"input": input})).await.data()["updatePartnerProfile"].clone()
}

/// What is given is stored, what is left out stays, what is null is cleared; account numbers come back by their end alone.
#[tokio::test(flavor = "multi_thread")]
async fn changing_a_profile() {
    let world = World::new().await;
    let first = update(
        &world,
        json!({
            "paymentEmail": "pay@example.com", "paymentMethod": "BANK_TRANSFER", "taxId": "DE 123-456-789", "bankAccount": "DE89 3704 0044 0532 0130 00",
            "contactName": "Ada", "website": "https://example.com", "address": {"line1": "1 Main St", "country": "de"},
            "notifications": {"monthlyReports": false},
        }),
    )
    .await;
    let expected = json!({
        "paymentEmail": "pay@example.com", "paymentMethod": "BANK_TRANSFER", "taxIdMasked": "•••• 6789", "bankAccountMasked": "•••• 3000",
        "contactName": "Ada", "website": "https://example.com/", "address": {"line1": "1 Main St", "city": null, "country": "DE"},
        "notifications": {"enabled": true, "email": true, "monthlyReports": false},
    });
    assert_eq!((&first["partner"]["profile"], &first["userErrors"]), (&expected, &json!([])));

    let second = update(&world, json!({"taxId": null, "contactName": null, "address": {"city": "Berlin"}})).await;
    let profile = &second["partner"]["profile"];
    assert_eq!(
        (&profile["taxIdMasked"], &profile["contactName"], &profile["bankAccountMasked"]),
        (&json!(null), &json!(null), &json!("•••• 3000"))
    );
    assert_eq!(profile["address"], json!({"line1": "1 Main St", "city": "Berlin", "country": "DE"}));
    let third = update(&world, json!({"address": null})).await;
    assert_eq!(third["partner"]["profile"]["address"], json!(null));
}

/// A country by a code that banks use, a phone number with an extension, and numbers with the spaces that people paste are taken; an IBAN
/// with a slip of the pen is refused without being repeated.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_paste() {
    let world = World::new().await;
    let query = "mutation ($input: UpdatePartnerProfileInput!) { updatePartnerProfile(input: $input) {
        partner { profile { bankAccountMasked contactPhone address { country } } } userErrors { code field message } } }";
    let update = async |input: Value| world.owner_a(query, json!({"input": input})).await.data()["updatePartnerProfile"].clone();
    let pasted = update(json!({
        "bankAccount": "XK05\u{A0}1212\u{A0}0123\u{A0}4567\u{A0}8906", "contactPhone": "\u{202A}+383\u{A0}38\u{2011}200200 ext. 12\u{202C}",
        "address": {"country": "xk"},
    }))
    .await;
    let expected =
        json!({"bankAccountMasked": "•••• 8906", "contactPhone": "+383 38-200200 ext. 12", "address": {"country": "XK"}});
    assert_eq!((&pasted["partner"]["profile"], &pasted["userErrors"]), (&expected, &json!([])));
    let slip = update(json!({"bankAccount": "XK05 1212 0123 4567 8916"})).await;
    assert_eq!((&slip["partner"], &slip["userErrors"][0]["field"]), (&json!(null), &json!(["input", "bankAccount"])));
    assert!(!slip.to_string().contains("4567"));
}

/// Every fault at once with its path, also inside the address, and account numbers are not repeated in them.
#[tokio::test(flavor = "multi_thread")]
async fn faults_are_named() {
    let world = World::new().await;
    let refused = update(
        &world,
        json!({"paymentEmail": "x", "taxId": "12#secret", "bankAccount": "12345", "contactPhone": "1", "website": "javascript:alert(1)",
               "address": {"country": "XX", "postalCode": "1".repeat(21)}}),
    )
    .await;
    let paths: Vec<String> = refused["userErrors"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|fault| fault["field"].as_array().expect("a path").iter().filter_map(Value::as_str).collect::<Vec<_>>().join("."))
        .collect();
    assert_eq!(
        paths,
        [
            "input.taxId",
            "input.bankAccount",
            "input.paymentEmail",
            "input.contactPhone",
            "input.website",
            "input.address.postalCode",
            "input.address.country"
        ]
    );
    assert!(!refused.to_string().contains("secret"));
    let changed = "SELECT count(*) FROM partner_profiles WHERE payment_email IS NOT NULL OR website IS NOT NULL OR tax_id_sealed IS NOT NULL";
    assert_eq!(world.number(changed).await, 0);
}

/// Owners and operators read profiles; to members and machines they are null.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_profiles() {
    let world = World::new().await;
    let query = "query ($id: ID!) { partner(id: $id) { companyName profile { paymentMethod } } }";
    let id = json!({"id": world.a.to_string()});
    let shown = json!({"paymentMethod": "MANUAL"});
    assert_eq!(world.owner_a(query, id.clone()).await.data()["partner"]["profile"], shown);
    assert_eq!(world.operator(query, id.clone()).await.data()["partner"]["profile"], shown);
    assert_eq!(world.acme("member_a", query, id.clone()).await.data()["partner"]["profile"], json!(null));
    assert_eq!(world.service(query, id).await.data()["partner"]["profile"], json!(null));
}

#[derive(diesel::QueryableByName)]
struct Sealed {
    #[diesel(sql_type = diesel::sql_types::Bytea)]
    tax_id_sealed: Vec<u8>,
}

async fn sealed(world: &World) -> Vec<u8> {
    let query = diesel::sql_query("SELECT tax_id_sealed FROM partner_profiles WHERE tax_id_sealed IS NOT NULL");
    query.get_result::<Sealed>(&mut world.owner().await).await.expect("a sealed value").tax_id_sealed
}

/// In the database a tax id is sealed: the text is in no column, and opens with the key, for its own partner only.
#[tokio::test(flavor = "multi_thread")]
async fn account_numbers_are_sealed() {
    let world = World::new().await;
    update(&world, json!({"taxId": "SECRET-123456789"})).await;
    assert_eq!(world.number("SELECT count(*) FROM partner_profiles p WHERE p::text LIKE '%SECRET%' OR p::text LIKE '%' || encode('SECRET', 'hex') || '%'").await, 0);
    let value = sealed(&world).await;
    let open = |partner| world.app.keyring.open(&value, SealedField::TaxId, world.acme, partner);
    assert_eq!(open(world.a).as_deref(), Ok("SECRET-123456789"));
    assert!(open(world.b).is_err());
}

/// What any table holds sealed is sealed anew once, with the active key, by the rotation of keys; what opens with it already is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate() {
    let world = World::new().await;
    update(&world, json!({"taxId": "DE123456789", "bankAccount": "DE89370400440532013000"})).await;
    for made in [
        "createWebhookEndpoint(input: { url: \"https://hooks.example.com/\", eventTypes: [LEAD_CREATED], idempotencyKey: \"FRESH_KEY\" })",
        "createWebhookSource(input: { kind: STRIPE, secret: \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\", idempotencyKey: \"FRESH_KEY\" })",
    ] {
        let answer = world.operator(&format!("mutation {{ made: {made} {{ userErrors {{ message }} }} }}"), json!({})).await;
        assert_eq!(answer.data()["made"]["userErrors"], json!([]));
    }
    let later: Keyring = format!("2:{}", STANDARD.encode([2; 32])).parse().expect("a keyring");
    let both: Keyring = format!("{},2:{}", KEYS, STANDARD.encode([2; 32])).parse().expect("a keyring");
    let owner = world.owner().await;
    assert_eq!(seal_anew(&owner, &both).await.expect("rotated"), 4);
    assert_eq!(later.open(&sealed(&world).await, SealedField::TaxId, world.acme, world.a).as_deref(), Ok("DE123456789"));
    assert_eq!(seal_anew(&owner, &both).await.expect("nothing to do"), 0);
    // No column that holds sealed values is forgotten.
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND column_name LIKE '%sealed'";
    assert_eq!(world.number(columns).await, 4);
}

/// A number that no key opens any longer does not keep its partner from giving another, or the same once more.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_can_be_replaced() {
    let world = World::new().await;
    let query = "mutation ($number: String) { updatePartnerProfile(input: { taxId: $number }) { replayed userErrors { code } partner { profile { taxIdMasked } } } }";
    let set = async |number: &str| world.owner_a(query, json!({"number": number})).await.data()["updatePartnerProfile"].clone();
    assert_eq!(set("DE123456789").await["replayed"], false);
    assert_eq!(set("DE123456789").await["replayed"], true);
    for number in ["DE123456789", "DE987654321"] {
        world.sql("UPDATE partner_profiles SET tax_id_sealed = tax_id_sealed || '\\x00'").await;
        let replaced = set(number).await;
        assert_eq!((&replaced["replayed"], &replaced["userErrors"]), (&json!(false), &json!([])), "{number}");
        assert_eq!(set(number).await["replayed"], true, "{number}");
    }
}
