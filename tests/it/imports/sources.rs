//! Each system: what went in is what comes out, to the cent.

use super::{
    generator::{Business, TRAPS},
    *,
};

pub const SOURCES: [&str; 7] = ["legacy", "dub", "rewardful", "tolt", "partnerstack", "firstpromoter", "tapfiliate"];

/// What a system says of a status: Tapfiliate does not say of commissions that they are paid.
pub fn said(source: &str) -> impl Fn(&'static str) -> &'static str {
    let is_tapfiliate = source == "tapfiliate";
    move |status| if is_tapfiliate && status == "paid" { "approved" } else { status }
}

pub fn currencies(source: &str) -> &'static [&'static str] {
    if source == "firstpromoter" { &["USD"] } else { &["USD", "JPY"] }
}

/// Count and sum of commissions by currency and status are the source's, whatever it gave out; the books hold, and a second import changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_in_comes_out() {
    let world = World::new().await;
    let mut expected = 0;
    for (seed, source) in (1..).zip(SOURCES) {
        let folder = binary::Folder::new();
        let business = Business::new(seed, 5, 60, currencies(source), false);
        business.write(source, &folder.0);
        let given = Given::new(source, &folder.0);
        let (outcome, found) = given.run(&world, world.acme).await.expect(source);
        let left: Vec<_> = found.iter().filter(|finding| finding.is_left).collect();
        assert!(left.is_empty(), "{source}: {left:?}");
        assert_eq!(here(&outcome), business.sums(said(source)), "{source}");
        assert_eq!((inside(&outcome, "partner"), inside(&outcome, "link")), (5, 5), "{source}");
        assert!(outcome.summary.proof.iter().all(partner_portal::models::imports::proof::ProofLine::agrees), "{source}");
        expected += 60;
        let rows = "SELECT count(*) FROM (SELECT id FROM partner_commission_events UNION ALL SELECT id FROM partner_payouts UNION ALL SELECT id FROM links
            UNION ALL SELECT id FROM partners UNION ALL SELECT id FROM users UNION ALL SELECT id FROM customers UNION ALL SELECT tenant_id FROM transfers) AS all_rows";
        let before = world.number(rows).await;
        let (again, _) = given.run(&world, world.acme).await.expect(source);
        assert_eq!((again.run, here(&again), world.number(rows).await), (2, here(&outcome), before), "{source}");
    }
    assert_eq!(world.number("SELECT count(*) FROM partner_commission_events WHERE source = 'imported'").await, expected);
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// Businesses of every size: whatever a system gave out, what is here sums up to it.
#[tokio::test(flavor = "multi_thread")]
async fn of_every_size() {
    for source in SOURCES {
        let world = World::new().await;
        let mut random = fastrand::Rng::with_seed(100);
        for _ in 0..6 {
            let folder = binary::Folder::new();
            let (seed, partners, commissions) = (random.u64(..), random.usize(1..8), random.usize(1..60));
            let business = Business::new(seed, partners, commissions, currencies(source), false);
            business.write(source, &folder.0);
            // Each is another tenant's: its ids are those of the one before.
            let tenant = another_tenant(&world).await;
            let (outcome, found) = Given::new(source, &folder.0).run(&world, tenant).await.expect(source);
            let case = format!("{source}, seed {seed}, {partners} partners, {commissions} commissions");
            assert!(found.iter().all(|finding| !finding.is_left), "{case}: {found:?}");
            assert_eq!(here(&outcome), business.sums(said(source)), "{case}");
        }
        assert_eq!(world.broken_rules().await, [""; 0], "{source}");
    }
}

async fn another_tenant(world: &World) -> TenantId {
    let id = TenantId::new();
    let slug = id.uuid().simple();
    world
        .sql(&format!(
            "INSERT INTO tenants (id, slug, name, issuer, default_currency) VALUES ('{}', 't{slug}', 'T', 'https://t{slug}.example', 'USD')",
            id.uuid()
        ))
        .await;
    id
}

/// Rows that cannot be brought in are reported, each with its code, and all others are in.
#[tokio::test(flavor = "multi_thread")]
async fn traps_are_reported() {
    let world = World::new().await;
    for (seed, source) in (11..).zip(SOURCES) {
        let folder = binary::Folder::new();
        let business = Business::new(seed, 5, 40, currencies(source), true);
        business.write(source, &folder.0);
        let (outcome, found) = Given::new(source, &folder.0).run(&world, world.acme).await.expect(source);
        assert_eq!(here(&outcome), business.sums(said(source)), "{source}");
        for code in TRAPS {
            // FirstPromoter has no currencies; what is no money there is points.
            let code = if (source, code) == ("firstpromoter", "CURRENCY_UNKNOWN") { "UNIT_UNSUPPORTED" } else { code };
            assert!(found.iter().any(|finding| finding.code == code && finding.is_left), "{source} has no {code}: {found:?}");
        }
        assert!(found.iter().any(|finding| finding.code == "DUPLICATE_EMAIL"), "{source}");
        assert_eq!(
            outcome.summary.counts.iter().map(|count| count.all - count.inside).sum::<i64>(),
            5,
            "{source}: {:?}",
            outcome.summary.counts
        );
    }
    assert_eq!(world.broken_rules().await, [""; 0]);
}

/// What a file must have and has not is said before anything is read, all of it at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_first() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    std::fs::create_dir_all(&folder.0).expect("a folder");
    csv(&folder.0, "users", &[json!({"name": "Ann"})]);
    lines(&folder.0, "commissions", &[json!({"id": "1", "linkId": "l", "partnerId": "p"})]);
    let fault = Given::new("legacy", &folder.0).run(&world, world.acme).await.expect_err("a fault");
    for part in [
        "there is no file links.csv",
        "users.csv has no id",
        "commissions.jsonl has no earnings",
        "commissions.jsonl has no createdAt",
    ] {
        assert!(fault.contains(part), "{fault}");
    }
    assert_eq!(world.number("SELECT count(*) FROM import_runs").await, 0);
}

/// A dry run is the same import with the same report, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing() {
    let world = World::new().await;
    let folder = binary::Folder::new();
    Business::new(5, 4, 50, &["USD", "JPY"], true).write("legacy", &folder.0);
    let given = Given::new("legacy", &folder.0);
    let before = world.number("SELECT count(*) FROM partners").await;
    let (dry, said) =
        Given { is_dry_run: true, ..Given::new("legacy", &folder.0) }.run(&world, world.acme).await.expect("a dry run");
    assert_eq!(world.number("SELECT count(*) FROM import_rows").await, 0);
    assert_eq!(world.number("SELECT count(*) FROM partners").await, before);
    let (wet, found) = given.run(&world, world.acme).await.expect("an import");
    let words =
        |found: &[KeptFinding]| found.iter().map(|one| (one.kind, one.source_id.clone(), one.code.clone())).collect::<Vec<_>>();
    assert_eq!((here(&dry), words(&said)), (here(&wet), words(&found)));
    assert_eq!(dry.summary, wet.summary);
}
