//! Where the keys come from: a published set and its cache, or a PEM.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::get};
use chrono::TimeDelta;
use jsonwebtoken::DecodingKey;
use partner_portal::{
    auth::{
        development::{DevelopmentIssuer, ISSUER},
        keys::{KeyCache, KeySource},
        verifier::{AzpPolicy, TokenFault, TokenVerifier, TrustedIssuer},
    },
    clock::Clock,
};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::support::{tokens::good_claims, world::ACME};

/// An issuer that publishes keys, counts how often it is asked, and can fail.
struct Publisher {
    fetches: Arc<AtomicUsize>,
    failing: Arc<AtomicBool>,
    keys: Arc<RwLock<Value>>,
    verifier: TokenVerifier,
    clock: Clock,
}

fn issuer() -> DevelopmentIssuer {
    DevelopmentIssuer::open(tempfile::tempdir().expect("a folder").path()).expect("a key")
}

fn token(issuer: &DevelopmentIssuer, clock: &Clock) -> String {
    let mut claims = good_claims("owner_a", ACME);
    claims["exp"] = json!(clock.now().timestamp() + 600);
    issuer.sign(&claims).expect("a token")
}

impl Publisher {
    async fn start(keys: &Value) -> Self {
        let (fetches, failing) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let keys = Arc::new(RwLock::new(keys.clone()));
        let (counter, fails, served) = (Arc::clone(&fetches), Arc::clone(&failing), Arc::clone(&keys));
        let answer = move || {
            let (counter, fails, served) = (Arc::clone(&counter), Arc::clone(&fails), Arc::clone(&served));
            async move {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                if fails.load(Ordering::SeqCst) {
                    return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                }
                Json(served.read().await.clone()).into_response()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().expect("an address"));
        let router = Router::new().route("/.well-known/jwks.json", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let clock = Clock::default();
        let cache = KeyCache::new(url.parse().expect("a URL"), clock.clone()).expect("a client");
        let issuers = vec![TrustedIssuer { name: ISSUER.to_owned(), keys: KeySource::Published(cache) }];
        let verifier = TokenVerifier::new(issuers, vec![], AzpPolicy::WhenPresent, clock.clone());
        Self { fetches, failing, keys, verifier, clock }
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

/// Requests that need the set at the same time share one fetch, and those after them need none.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_one_fetch() {
    let issuer = issuer();
    let publisher = Publisher::start(issuer.jwks()).await;
    let token = token(&issuer, &publisher.clock);
    let outcomes = futures_util::future::join_all((0..50).map(|_| publisher.verifier.verify(&token))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(publisher.fetches(), 1);
    assert!(publisher.verifier.verify(&token).await.is_ok());
    assert_eq!(publisher.fetches(), 1);
}

/// After five minutes the set is fetched again; when that fails the known keys go on serving, without a fetch at every request.
#[tokio::test(flavor = "multi_thread")]
async fn keys_outlive_a_failing_issuer() {
    let issuer = issuer();
    let publisher = Publisher::start(issuer.jwks()).await;
    assert!(publisher.verifier.verify(&token(&issuer, &publisher.clock)).await.is_ok());
    publisher.failing.store(true, Ordering::SeqCst);
    publisher.clock.advance(TimeDelta::seconds(301));
    for _ in 0..3 {
        assert!(publisher.verifier.verify(&token(&issuer, &publisher.clock)).await.is_ok());
    }
    // The set is asked for behind the first of them.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(publisher.verifier.verify(&token(&issuer, &publisher.clock)).await.is_ok());
    assert_eq!(publisher.fetches(), 2);
}

/// A key that is new at the issuer is found at once, but unknown ids cause one fetch in 30 seconds at most.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_are_asked_for_seldom() {
    let (old, new) = (issuer(), issuer());
    let publisher = Publisher::start(old.jwks()).await;
    assert!(publisher.verifier.verify(&token(&old, &publisher.clock)).await.is_ok());
    *publisher.keys.write().await = new.jwks().clone();

    let verify = async || publisher.verifier.verify(&token(&new, &publisher.clock)).await;
    assert_eq!(verify().await.expect_err("asked too soon"), TokenFault::UnknownKey);
    assert_eq!(publisher.fetches(), 1);
    publisher.clock.advance(TimeDelta::seconds(31));
    assert!(verify().await.is_ok());
    assert_eq!(publisher.fetches(), 2);
    // The old key is gone from the set, and so from the cache.
    assert_eq!(publisher.verifier.verify(&token(&old, &publisher.clock)).await.expect_err("withdrawn"), TokenFault::UnknownKey);
}

/// An answer without usable keys, such as a proxy's, is no answer: the known keys go on serving.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_set_is_no_answer() {
    let issuer = issuer();
    let publisher = Publisher::start(issuer.jwks()).await;
    assert!(publisher.verifier.verify(&token(&issuer, &publisher.clock)).await.is_ok());
    for answer in [json!({}), json!({"keys": []}), json!([1])] {
        *publisher.keys.write().await = answer;
        publisher.clock.advance(TimeDelta::seconds(700));
        assert!(publisher.verifier.verify(&token(&issuer, &publisher.clock)).await.is_ok());
    }
    assert_eq!(publisher.fetches(), 4);
}

/// Requests that leave while the set is being fetched do not undo the fetch, and cause no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_outlives_its_request() {
    let issuer = issuer();
    let publisher = Publisher::start(issuer.jwks()).await;
    let token = token(&issuer, &publisher.clock);
    for _ in 0..10 {
        let _ = tokio::time::timeout(std::time::Duration::from_millis(2), publisher.verifier.verify(&token)).await;
    }
    assert!(publisher.verifier.verify(&token).await.is_ok());
    assert_eq!(publisher.fetches(), 1);
}

/// Of several issuers one that does not answer keeps the tokens of the others from nothing.
#[tokio::test(flavor = "multi_thread")]
async fn issuers_do_not_wait_for_each_other() {
    let (slow, known) = (Publisher::start(&json!({})).await, issuer());
    slow.failing.store(true, Ordering::SeqCst);
    let mut verifier = slow.verifier;
    verifier.issuers.push(TrustedIssuer { name: ISSUER.to_owned(), keys: KeySource::Known(known.keys()) });
    assert!(verifier.verify(&token(&known, &slow.clock)).await.is_ok());
    assert_eq!(slow.fetches.load(Ordering::SeqCst), 0);
}

/// While the issuer has never answered no token is believed, and it is not asked at every request.
#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nothing_is_believed() {
    let issuer = issuer();
    let publisher = Publisher::start(issuer.jwks()).await;
    publisher.failing.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(
            publisher.verifier.verify(&token(&issuer, &publisher.clock)).await.expect_err("no keys"),
            TokenFault::UnknownKey
        );
    }
    assert_eq!(publisher.fetches(), 1);
}

/// A token that was believed is believed for as long as it is good and its very key is published: not beyond its end, and not when another
/// key has taken the place of its own under the same id.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_remembered_no_longer_than_it_is_good() {
    let (old, new) = (issuer(), issuer());
    let publisher = Publisher::start(old.jwks()).await;
    let (short, long) = (token(&old, &publisher.clock), {
        let mut claims = good_claims("owner_a", ACME);
        claims["exp"] = json!(publisher.clock.now().timestamp() + 6_000);
        old.sign(&claims).expect("a token")
    });
    for _ in 0..2 {
        assert!(publisher.verifier.verify(&short).await.is_ok());
        assert!(publisher.verifier.verify(&long).await.is_ok());
    }
    publisher.clock.advance(TimeDelta::seconds(700));
    assert_eq!(publisher.verifier.verify(&short).await.expect_err("over"), TokenFault::Expired);
    let mut set = new.jwks().clone();
    set["keys"][0]["kid"] = old.jwks()["keys"][0]["kid"].clone();
    *publisher.keys.write().await = set;
    publisher.clock.advance(TimeDelta::seconds(301));
    // The set is asked for behind the first one.
    let _ = publisher.verifier.verify(&long).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(publisher.verifier.verify(&long).await.expect_err("another key"), TokenFault::Signature);
}

/// Keys of another type or use, or without an id, are passed over; the good one beside them serves.
#[tokio::test(flavor = "multi_thread")]
async fn strange_keys_are_passed_over() {
    let issuer = issuer();
    let mut set = issuer.jwks().clone();
    let good = set["keys"][0].clone();
    let mut for_encryption = good.clone();
    for_encryption["use"] = json!("enc");
    let strange = json!([{"kty": "EC", "kid": "x"}, {"kty": "RSA"}, 7, for_encryption]);
    let all: Vec<Value> = strange.as_array().expect("a list").iter().cloned().chain([good]).collect();
    set["keys"] = json!(all);
    let publisher = Publisher::start(&set).await;
    assert!(publisher.verifier.verify(&token(&issuer, &publisher.clock)).await.is_ok());
}

/// A PEM key serves without any network, whatever key id the token names.
#[tokio::test]
async fn a_pem_key_serves() {
    let pair = rsa_pair();
    let (private, public) = (pair.0.as_str(), pair.1.as_str());
    let keys = KeySource::Pem(Arc::new(DecodingKey::from_rsa_pem(public.as_bytes()).expect("a key")));
    let issuers = vec![TrustedIssuer { name: ISSUER.to_owned(), keys }];
    let verifier = TokenVerifier::new(issuers, vec![], AzpPolicy::WhenPresent, Clock::default());
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(private.as_bytes()).expect("a key");
    for algorithm in [jsonwebtoken::Algorithm::RS256, jsonwebtoken::Algorithm::RS384, jsonwebtoken::Algorithm::RS512] {
        let mut header = jsonwebtoken::Header::new(algorithm);
        header.kid = Some("whatever".to_owned());
        let token = jsonwebtoken::encode(&header, &good_claims("owner_a", ACME), &key).expect("a token");
        assert!(verifier.verify(&token).await.is_ok(), "{algorithm:?}");
    }
}

/// A fresh key pair: private and public, in PEM.
fn rsa_pair() -> (String, String) {
    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
        rsa::{KeyPair, KeySize},
        signature::KeyPair as _,
    };
    use base64::{Engine, engine::general_purpose::STANDARD};
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a pair");
    let pem = |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let private: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("DER");
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
}
