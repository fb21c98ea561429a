//! The small parts that every operation, or every booking, goes through: checking a token, a page's place, a commission's calculation.
//! `cargo bench --bench parts` prints the time of each; nothing here judges it.

use std::{hint::black_box, time::Duration};

use chrono::DateTime;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use iso_currency::Currency;
use partner_portal::{
    auth::{
        development::{Bearer, DevelopmentIssuer, ISSUER},
        keys::KeySource,
        verifier::{AzpPolicy, TokenVerifier, TrustedIssuer},
    },
    clock::Clock,
    models::{
        commissions::calculation::{Formula, Terms, Tier},
        leads::list::BY_CREATED,
        page::{Cursor, Key, Page, PageArguments},
    },
    money::Money,
};
use rust_decimal::Decimal;
use tokio::runtime::Runtime;
use uuid::Uuid;

fn guard(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = DevelopmentIssuer::open(folder.path()).expect("a key");
    let bearer = Bearer { subject: "user_1".to_owned(), ..Bearer::default() };
    let token = issuer.mint(&bearer, 86_400, &Clock::default()).expect("a token");
    let verifier = || {
        let issuers = vec![TrustedIssuer { name: ISSUER.to_owned(), keys: KeySource::Known(issuer.keys()) }];
        TokenVerifier::new(issuers, Vec::new(), AzpPolicy::default(), Clock::default())
    };
    let mut group = criterion.benchmark_group("guard");
    group.bench_function("a token seen for the first time", |bencher| {
        bencher.iter_batched(
            verifier,
            |verifier| runtime.block_on(verifier.verify(black_box(&token))).expect("claims"),
            BatchSize::SmallInput,
        );
    });
    let known = verifier();
    group.bench_function("a token seen before", |bencher| {
        bencher.iter(|| runtime.block_on(known.verify(black_box(&token))).expect("claims"));
    });
    group.finish();
}

fn paginator(criterion: &mut Criterion) {
    let time = DateTime::from_timestamp_micros(1_790_000_000_000_000).expect("an instant");
    let cursor = Cursor { order: BY_CREATED.name.to_owned(), key: Key::Time(time), id: Uuid::from_u128(7) };
    let after = cursor.encode();
    let mut group = criterion.benchmark_group("paginator");
    group.bench_function("encode a place", |bencher| bencher.iter(|| black_box(&cursor).encode()));
    group.bench_function("read a page's arguments", |bencher| {
        bencher.iter(|| {
            let arguments = PageArguments { first: Some(50), after: Some(after.clone()), ..PageArguments::default() };
            Page::new(BY_CREATED, true, black_box(arguments)).expect("a page")
        });
    });
    group.finish();
}

fn calculation(criterion: &mut Criterion) {
    let tier = |above: i64, percent: i64| Tier { above: Decimal::from(above), rate: Decimal::new(percent, 2) };
    let base = Money::rounded(Decimal::new(123_456, 2), Currency::USD);
    let formulas = [
        ("a percentage", Formula::percentage(Decimal::new(125, 3))),
        ("tiers", Formula { terms: Terms::Tiered(vec![tier(0, 10), tier(1_000, 15), tier(5_000, 20)]), cap: None }),
    ];
    let mut group = criterion.benchmark_group("calculation");
    for (name, formula) in formulas {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(&formula).calculate(black_box(base), Decimal::from(900)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = guard, paginator, calculation
}
criterion_main!(benches);
