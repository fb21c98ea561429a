//! The session guard: which tokens are believed, and what the others learn.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use partner_portal::auth::{
    bearer,
    development::ISSUER,
    keys::KeySource,
    verifier::{AzpPolicy, TokenFault, TokenVerifier, TrustedIssuer},
};
use serde_json::{Value, json};

use crate::support::{
    World,
    log::lines_of,
    sign, token,
    tokens::{good_claims, issuer, now},
    world::ACME,
};

fn verifier(azp: AzpPolicy, parties: &[&str]) -> TokenVerifier {
    TokenVerifier::new(
        vec![TrustedIssuer { name: ISSUER.to_owned(), keys: KeySource::Known(issuer().keys()) }],
        parties.iter().map(|&party| party.to_owned()).collect(),
        azp,
        partner_portal::clock::Clock::default(),
    )
}

/// A token of good claims with one of them set, or removed where the value is null.
fn with(claim: &str, value: Value) -> String {
    let mut claims = good_claims("owner_a", ACME);
    if value.is_null() {
        claims.as_object_mut().expect("claims").remove(claim);
    } else {
        claims[claim] = value;
    }
    sign(&claims)
}

/// A token of good claims whose header is replaced; its signature then does not fit, if it is looked at.
fn with_header(header: &Value) -> String {
    let good = token("owner_a", ACME);
    let (_, rest) = good.split_once('.').expect("three parts");
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

fn key_id() -> String {
    issuer().jwks()["keys"][0]["kid"].as_str().expect("an id").to_owned()
}

/// A token signed with a secret: the classic trick of taking the public key for one.
fn signed_with_secret() -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(issuer().jwks().to_string().as_bytes());
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    header.kid = Some(key_id());
    jsonwebtoken::encode(&header, &good_claims("owner_a", ACME), &key).expect("a token")
}

/// Every faulty token, and the fault that it has.
fn faulty_tokens() -> Vec<(&'static str, String, TokenFault)> {
    let good = token("owner_a", ACME);
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let (head, _) = message.split_once('.').expect("three parts");
    let flipped = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let forged = URL_SAFE_NO_PAD.encode(good_claims("owner_b", ACME).to_string());
    let stranger_folder = tempfile::tempdir().expect("a folder");
    let stranger = partner_portal::auth::development::DevelopmentIssuer::open(stranger_folder.path()).expect("a key");
    vec![
        ("empty", String::new(), TokenFault::Malformed),
        ("one part", "abc".into(), TokenFault::Malformed),
        ("two parts", message.into(), TokenFault::Malformed),
        ("four parts", format!("{good}.x"), TokenFault::Malformed),
        ("not base64", format!("!!!.{forged}.{signature}"), TokenFault::Malformed),
        ("a header that is no JSON", format!("{}.{forged}.{signature}", URL_SAFE_NO_PAD.encode("{")), TokenFault::Malformed),
        ("an endless text", "a".repeat(20_000), TokenFault::Malformed),
        ("no signature", format!("{message}."), TokenFault::Malformed),
        ("algorithm none", with_header(&json!({"alg": "none", "kid": key_id()})), TokenFault::Algorithm),
        ("algorithm HS256", signed_with_secret(), TokenFault::Algorithm),
        ("algorithm ES256", with_header(&json!({"alg": "ES256", "kid": key_id()})), TokenFault::Algorithm),
        ("algorithm PS256", with_header(&json!({"alg": "PS256", "kid": key_id()})), TokenFault::Algorithm),
        ("another type", with_header(&json!({"alg": "RS256", "typ": "at+jwt", "kid": key_id()})), TokenFault::Type),
        ("a critical extension", with_header(&json!({"alg": "RS256", "kid": key_id(), "crit": ["exp"]})), TokenFault::Critical),
        ("no key id", with_header(&json!({"alg": "RS256"})), TokenFault::UnknownKey),
        ("an unknown key id", with_header(&json!({"alg": "RS256", "kid": "other"})), TokenFault::UnknownKey),
        ("another algorithm than the key's", with_header(&json!({"alg": "RS512", "kid": key_id()})), TokenFault::UnknownKey),
        ("another's key", stranger.sign(&good_claims("owner_a", ACME)).expect("a token"), TokenFault::UnknownKey),
        ("a changed signature", format!("{message}.{flipped}"), TokenFault::Signature),
        ("a changed payload", format!("{head}.{forged}.{signature}"), TokenFault::Signature),
        ("no issuer", with("iss", Value::Null), TokenFault::Claims),
        ("another issuer", with("iss", json!("https://other.example")), TokenFault::Issuer),
        ("the issuer with a slash", with("iss", json!(format!("{ISSUER}/"))), TokenFault::Issuer),
        ("no subject", with("sub", Value::Null), TokenFault::Claims),
        ("a subject that is a number", with("sub", json!(7)), TokenFault::Claims),
        ("an empty subject", with("sub", json!("")), TokenFault::Claims),
        ("no expiry", with("exp", Value::Null), TokenFault::Claims),
        ("an expiry that is a text", with("exp", json!("tomorrow")), TokenFault::Claims),
        ("expired", with("exp", json!(now() - 6)), TokenFault::Expired),
        ("not valid yet", with("nbf", json!(now() + 60)), TokenFault::NotYet),
        ("issued in the future", with("iat", json!(now() + 60)), TokenFault::IssuedLater),
        ("nbf of the wrong type", with("nbf", json!("x")), TokenFault::Claims),
        ("a wrong party", with("azp", json!("https://evil.example")), TokenFault::Party),
        ("a pending session", with("sts", json!("pending")), TokenFault::Pending),
    ]
}

/// Each fault is found, and found for what it is: the checks are made in their order.
#[tokio::test]
async fn every_fault_is_found() {
    let verifier = verifier(AzpPolicy::WhenPresent, &["https://portal.example"]);
    for (name, token, fault) in faulty_tokens() {
        assert_eq!(verifier.verify(&token).await.expect_err(name), fault, "{name}");
    }
    assert!(verifier.verify(&token("owner_a", ACME)).await.is_ok());
}

/// What the bearer can mend of a token is reported, in the header and in words; of all else the same words. The log says why. For a bad token no
/// connection is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_nothing() {
    let world = World::new().await;
    let mut bodies = Vec::new();
    for (name, token, fault) in faulty_tokens() {
        if fault == TokenFault::Party {
            continue; // This server has no list of parties.
        }
        let answer = world.run(&token, "{ me { role } }", json!({})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "{name}");
        // With nothing after the word, it is the header that is wrong.
        let fault = if token.is_empty() { TokenFault::NotBearer } else { fault };
        let advice = match fault {
            TokenFault::NotBearer => Some("the word Bearer"),
            TokenFault::Malformed => Some("no JWT"),
            TokenFault::Expired => Some("expired"),
            TokenFault::NotYet | TokenFault::IssuedLater => Some("not valid yet"),
            TokenFault::Pending => Some("pending"),
            _ => None,
        };
        let challenge = answer.headers[header::WWW_AUTHENTICATE].to_str().expect("text").to_owned();
        let begin = "Bearer error=\"invalid_token\"";
        match advice {
            Some(words) => {
                let described = challenge.starts_with(&format!("{begin}, error_description=\"")) && challenge.contains(words);
                assert!(described && answer.message().contains(words), "{name}: {challenge} {}", answer.body);
            }
            None => assert_eq!(challenge, begin, "{name}"),
        }
        let log = lines_of(&answer);
        let line = log.iter().find(|line| line["message"] == "token refused").expect(name);
        assert_eq!((&line["level"], &line["reason"]), (&json!("INFO"), &json!(fault.to_string())), "{name}");
        if advice.is_none() {
            bodies.push(answer.body);
        }
    }
    assert_eq!(world.app.pool.status().size, 0);
    let unknown_tenant = world.run(&token("owner_a", "nobody"), "{ me { role } }", json!({})).await;
    bodies.push(unknown_tenant.body);
    let without_token =
        Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).expect("a request");
    let without_token = world.send(without_token).await;
    assert_eq!(without_token.headers[header::WWW_AUTHENTICATE], "Bearer");
    bodies.push(without_token.body);
    bodies.dedup();
    assert_eq!(
        bodies,
        [json!({"errors": [{"message": "A valid session token is needed.", "extensions": {"code": "UNAUTHENTICATED"}}]})]
    );
}

/// Five seconds of difference between clocks are forgiven.
#[tokio::test]
async fn leeway() {
    let verifier = verifier(AzpPolicy::WhenPresent, &[]);
    for token in [with("exp", json!(now() - 2)), with("nbf", json!(now() + 3)), with("iat", json!(now() + 3))] {
        assert!(verifier.verify(&token).await.is_ok());
    }
}

/// A wrong party is refused under every policy but without a list; a missing one only where it is required.
#[tokio::test]
async fn authorized_parties() {
    let parties = ["https://portal.example", "https://admin.example"];
    let (right, wrong, missing) =
        (with("azp", json!(parties[1])), with("azp", json!("https://evil.example")), token("owner_a", ACME));
    for (policy, when_missing) in [(AzpPolicy::WhenPresent, true), (AzpPolicy::Required, false), (AzpPolicy::Off, true)] {
        let verifier = verifier(policy, &parties);
        assert!(verifier.verify(&right).await.is_ok());
        assert_eq!(verifier.verify(&wrong).await.expect_err("refused"), TokenFault::Party);
        assert_eq!(verifier.verify(&missing).await.is_ok(), when_missing, "{policy:?}");
    }
}

/// The header counts before the cookie, and a wrong header is not saved by a right cookie.
#[test]
fn where_the_token_is() {
    let headers = |pairs: &[(&'static str, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        bearer::token(&headers).map(|token| (token.text, token.is_cookie))
    };
    assert_eq!(headers(&[("authorization", "Bearer abc")]), Ok(("abc".to_owned(), false)));
    assert_eq!(headers(&[("authorization", "bearer abc"), ("cookie", "__session=def")]), Ok(("abc".to_owned(), false)));
    assert_eq!(headers(&[("cookie", "a=b; __session=def; c=d")]), Ok(("def".to_owned(), true)));
    assert_eq!(headers(&[("authorization", "Basic abc"), ("cookie", "__session=def")]), Err(TokenFault::NotBearer));
    assert_eq!(headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]), Err(TokenFault::NotBearer));
    assert_eq!(headers(&[("cookie", "session=def")]), Err(TokenFault::Missing));
    assert_eq!(headers(&[("cookie", "__session=")]), Err(TokenFault::Missing));
    assert_eq!(headers(&[]), Err(TokenFault::Missing));
}

/// A token in the cookie `__session` is as good as one in the header.
#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_serves() {
    let world = World::new().await;
    let request = Request::post("/graphql")
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::COOKIE, format!("__session={}", token("owner_a", ACME)))
        .body(Body::from(r#"{"query":"{ me { role } }"}"#))
        .expect("a request");
    assert_eq!(world.send(request).await.data(), &json!({"me": {"role": "PARTNER_OWNER"}}));
}

/// A form cannot send an operation across sites with the caller's cookie: everything but JSON is 415.
#[tokio::test(flavor = "multi_thread")]
async fn only_json_is_taken() {
    let world = World::new().await;
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", ""]
    {
        let request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, content_type)
            .header(header::COOKIE, format!("__session={}", token("owner_a", ACME)))
            .body(Body::from(r#"{"query":"{ me { role } }"}"#))
            .expect("a request");
        assert_eq!(world.send(request).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
}
