//! How messages are sent: again where they failed, once where they did not, and only where they may go.

use std::time::Duration;

use chrono::TimeDelta;

use super::{receiver::Reply, *};
use crate::support::world::Setup;

async fn due(world: &World, id: &str) {
    world
        .sql(&format!(
            "UPDATE webhook_deliveries SET next_at = now() - interval '1 hour' WHERE status = 'waiting' AND '{id}' <> ''"
        ))
        .await;
}

/// What fails is sent again by the schedule, with the same id and bytes, until it is taken; each attempt can be read.
#[tokio::test(flavor = "multi_thread")]
async fn until_it_is_taken() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (id, secret) = endpoint(&world, &receiver, &["LEAD_CREATED"]).await;
    receiver.then(Reply::Status(500));
    receiver.then(Reply::Status(302));
    lead(&world, "Ada").await;
    assert_eq!(send(&world).await, 1);
    let first = &deliveries(&world, &id).await[0];
    assert_eq!((&first["status"], &first["attemptCount"]), (&json!("WAITING"), &json!(1)));
    assert!(seen(&world, &id).await["failingSince"].is_string());
    assert_eq!(send(&world).await, 0, "not before its time");
    for (seconds, status) in [(6, "WAITING"), (340, "DELIVERED")] {
        assert_eq!(
            (send_after(&world, TimeDelta::seconds(seconds)).await, &deliveries(&world, &id).await[0]["status"]),
            (1, &json!(status))
        );
    }
    let messages = receiver.received();
    let (ids, texts): (Vec<_>, Vec<_>) = messages.iter().map(|message| (&message.id, &message.text)).unzip();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]) && texts.windows(2).all(|pair| pair[0] == pair[1]) && ids.len() == 3);
    assert!(messages.iter().all(|message| message.is_signed_by(&secret)));
    assert!(messages.windows(2).all(|pair| pair[0].timestamp < pair[1].timestamp), "the time is each attempt's own");
    let delivery = &deliveries(&world, &id).await[0];
    assert_eq!(delivery["body"].as_str().expect("a text").as_bytes(), texts[0].as_slice());
    let statuses: Vec<_> = delivery["attempts"]["nodes"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|attempt| (&attempt["number"], &attempt["status"]))
        .collect();
    assert_eq!(statuses, [(&json!(3), &json!(204)), (&json!(2), &json!(302)), (&json!(1), &json!(500))]);
    let endpoint = seen(&world, &id).await;
    assert!(endpoint["failingSince"].is_null() && endpoint["lastSuccessAt"].is_string());
}

/// After ten attempts a delivery has failed, and a person can send it again.
#[tokio::test(flavor = "multi_thread")]
async fn until_it_is_given_up() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&world, &receiver, &["LEAD_CREATED"]).await;
    receiver.always(Reply::Status(503));
    lead(&world, "Ada").await;
    for attempt in 1..=10 {
        assert_eq!(send(&world).await, 1, "{attempt}");
        due(&world, &id).await;
    }
    let delivery = deliveries(&world, &id).await[0].clone();
    assert_eq!(
        (&delivery["status"], &delivery["attemptCount"], &delivery["nextAttemptAt"]),
        (&json!("FAILED"), &json!(10), &json!(null))
    );
    assert_eq!(send(&world).await, 0);
    receiver.always(Reply::Status(200));
    let again = done(&world, "redeliverWebhook", json!({"id": delivery["id"]}), "delivery { status }").await;
    assert_eq!((&again["delivery"]["status"], &again["replayed"]), (&json!("WAITING"), &json!(false)));
    assert_eq!(
        done(&world, "redeliverWebhook", json!({"id": delivery["id"]}), "delivery { status }").await["replayed"],
        json!(true)
    );
    assert_eq!(send(&world).await, 1);
    assert_eq!(deliveries(&world, &id).await[0]["attemptCount"], json!(11));
}

/// An endpoint that answers 410, or fails for five days, is disabled, which the others hear; switched on again it can have what it has missed.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_are_gone() {
    let world = World::new().await;
    let (gone, failing, other) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let (gone_id, _) = endpoint(&world, &gone, &["LEAD_CREATED"]).await;
    let (failing_id, _) = endpoint(&world, &failing, &["LEAD_CREATED"]).await;
    let (other_id, _) = endpoint(&world, &other, &["ENDPOINT_DISABLED"]).await;
    gone.always(Reply::Status(410));
    failing.always(Reply::Status(500));
    lead(&world, "Ada").await;
    send(&world).await;
    let endpoint = seen(&world, &gone_id).await;
    assert_eq!((&endpoint["isEnabled"], &endpoint["disabledReason"]), (&json!(false), &json!("It has answered 410 Gone.")));
    assert_eq!(endpoint["deliveries"]["nodes"][0]["status"], json!("FAILED"));
    due(&world, &failing_id).await;
    send_after(&world, TimeDelta::days(5)).await;
    assert_eq!(seen(&world, &failing_id).await["isEnabled"], json!(true), "two failures are few");
    world.sql("UPDATE webhook_endpoints SET failures = 9 WHERE failing_since IS NOT NULL").await;
    due(&world, &failing_id).await;
    send_after(&world, TimeDelta::days(5)).await;
    assert_eq!(seen(&world, &failing_id).await["disabledReason"], json!("Every attempt has failed for five days."));
    send_after(&world, TimeDelta::days(5)).await;
    let heard: Vec<_> = other.received().iter().map(|message| message.body["data"]["id"].clone()).collect();
    assert_eq!((heard.len(), heard.contains(&json!(gone_id)), heard.contains(&json!(failing_id))), (2, true, true));
    assert_eq!(seen(&world, &other_id).await["isEnabled"], json!(true));
    // What happens meanwhile waits for the day that somebody switches it on.
    gone.received();
    lead(&world, "Bea").await;
    assert_eq!((send(&world).await, gone.received().len()), (0, 0));
    gone.always(Reply::Status(200));
    done(&world, "updateWebhookEndpoint", json!({"id": gone_id, "enabled": true}), ENDPOINT).await;
    assert_eq!(send(&world).await, 0);
    let since = json!({"endpointId": gone_id, "since": "2026-01-01T00:00:00Z"});
    assert_eq!(done(&world, "recoverWebhooks", since.clone(), "recovered").await["recovered"], json!(2));
    send(&world).await;
    assert_eq!(gone.received().len(), 2);
    let again = done(&world, "recoverWebhooks", since, "recovered").await;
    assert_eq!((&again["recovered"], &again["replayed"]), (&json!(0), &json!(true)));
}

/// An endpoint that asks to be left alone is, with everything.
#[tokio::test(flavor = "multi_thread")]
async fn later() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&world, &receiver, &["LEAD_CREATED"]).await;
    receiver.then(Reply::RetryAfter(429, "3600"));
    lead(&world, "Ada").await;
    send(&world).await;
    lead(&world, "Bea").await;
    assert_eq!(send_after(&world, TimeDelta::minutes(50)).await, 0);
    assert_eq!(send_after(&world, TimeDelta::minutes(61)).await, 2);
    assert!(deliveries(&world, &id).await.iter().all(|delivery| delivery["status"] == json!("DELIVERED")));
}

/// Messages go to public addresses alone, are not sent on by redirects, and an answer without end is left after its beginning.
#[tokio::test(flavor = "multi_thread")]
async fn where_they_may_go() {
    let world = World::new().await;
    let (receiver, inside) = (Receiver::start().await, Receiver::start().await);
    let (id, _) = endpoint(&world, &receiver, &["LEAD_CREATED"]).await;
    receiver.then(Reply::SendsTo(inside.url.clone()));
    receiver.then(Reply::Endless);
    lead(&world, "Ada").await;
    send(&world).await;
    assert_eq!(inside.received().len(), 0);
    due(&world, &id).await;
    send(&world).await;
    let delivery = deliveries(&world, &id).await[0].clone();
    assert_eq!(delivery["status"], json!("DELIVERED"));
    assert_eq!(delivery["attempts"]["nodes"][0]["response"].as_str().map(str::len), Some(2_048));
    // One that does not answer in time has not taken it.
    receiver.takes(Duration::from_secs(3));
    lead(&world, "Cy").await;
    let impatient = Sender { patience: Duration::from_secs(1), ..sender(&world) };
    assert_eq!(impatient.run_once().await.expect("it sends"), 1);
    let attempt = deliveries(&world, &id).await[0]["attempts"]["nodes"][0].clone();
    assert_eq!((&attempt["status"], &attempt["fault"]), (&json!(null), &json!("No answer within 1 seconds.")));
    world.sql("UPDATE webhook_deliveries SET status = 'failed', next_at = NULL, ended_at = now() WHERE status = 'waiting'").await;
    receiver.takes(Duration::ZERO);
    // What was allowed when the endpoint was made, and is not any more; by address and by a name that leads there.
    for url in [
        receiver.url.clone(),
        receiver.url.replace("127.0.0.1", "localhost"),
        receiver.url.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
    ] {
        world.sql(&format!("UPDATE webhook_endpoints SET url = '{url}'")).await;
        receiver.received();
        lead(&world, "Bea").await;
        assert_eq!(public_sender(&world).run_once().await.expect("it sends"), 1);
        assert_eq!(receiver.received().len(), 0, "{url}");
        let attempt = deliveries(&world, &id).await[0]["attempts"]["nodes"][0].clone();
        assert!(attempt["status"].is_null() && attempt["fault"].is_string(), "{attempt}");
    }
}

/// A server that is killed before the answer, or between the answer and the commit, has sent it, and another sends it again, under the same id.
#[tokio::test(flavor = "multi_thread")]
async fn killed_in_between() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&world, &receiver, &["LEAD_CREATED"]).await;
    lead(&world, "Ada").await;
    receiver.takes(Duration::from_secs(8));
    let cut_off = sender(&world);
    tokio::time::timeout(Duration::from_secs(4), cut_off.run_once()).await.expect_err("it is cut off");
    receiver.takes(Duration::ZERO);
    assert_eq!(send(&world).await, 0, "it is another server's");
    let ends = "UPDATE webhook_deliveries SET held_until = now() - interval '1 second'";
    world.sql(ends).await;
    // What came of it cannot be kept while somebody has locked the attempts.
    let mut owner = world.owner().await;
    let locked = "BEGIN; LOCK TABLE webhook_attempts IN EXCLUSIVE MODE";
    diesel_async::SimpleAsyncConnection::batch_execute(&mut owner, locked).await.expect("locked");
    let cut_off = sender(&world);
    tokio::time::timeout(Duration::from_secs(4), cut_off.run_once()).await.expect_err("it is cut off");
    let answered: Vec<_> = receiver.received().into_iter().map(|message| message.id).collect();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%end_webhook_attempts%'; ROLLBACK";
    diesel_async::SimpleAsyncConnection::batch_execute(&mut owner, end).await.expect("ended");
    assert_eq!(answered.len(), 2);
    world.sql(ends).await;
    assert_eq!(send(&world).await, 1);
    let again: Vec<_> = receiver.received().into_iter().map(|message| message.id).collect();
    assert!(again.len() == 1 && answered.iter().all(|id| *id == again[0]), "{answered:?} {again:?}");
    assert_eq!(deliveries(&world, &id).await[0]["attemptCount"], json!(1));
}

/// However much waits for an endpoint that is switched off, it is given up by what sends, and can be recovered once it is on again.
#[tokio::test(flavor = "multi_thread")]
async fn given_up() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&world, &receiver, &["LEAD_CREATED"]).await;
    lead(&world, "Ada").await;
    receiver.always(Reply::Status(500));
    send(&world).await;
    let copies = "INSERT INTO webhook_events (tenant_id, id, event_type, at, body) SELECT tenant_id, gen_random_uuid(), event_type, at, body FROM webhook_events, generate_series(1, 2500);
        INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, event_id, event_type, next_at, created_at)
        SELECT d.tenant_id, gen_random_uuid(), d.endpoint_id, e.id, e.event_type, now() + interval '1 day', now() FROM webhook_events e JOIN webhook_deliveries d ON d.event_id <> e.id";
    for sql in copies.split(';') {
        world.sql(sql).await;
    }
    let waiting = "SELECT count(*) FROM webhook_deliveries WHERE status = 'waiting'";
    assert_eq!(world.number(waiting).await, 2_501);
    done(&world, "updateWebhookEndpoint", json!({"id": id, "enabled": false}), "endpoint { id }").await;
    assert_eq!(send(&world).await, 0);
    assert_eq!(world.number(waiting).await, 0);
    assert_eq!(
        world.number("SELECT count(*) FROM webhook_deliveries WHERE status = 'failed' AND ended_at IS NOT NULL").await,
        2_501
    );
    done(&world, "updateWebhookEndpoint", json!({"id": id, "enabled": true}), "endpoint { id }").await;
    let since = json!({"endpointId": id, "since": (now() - TimeDelta::hours(1)).to_rfc3339()});
    assert_eq!(done(&world, "recoverWebhooks", since, "recovered").await["recovered"], json!(2_501));
}

/// Several servers send each message once, and no more to one endpoint at once than one may.
#[tokio::test(flavor = "multi_thread")]
async fn several_servers() {
    let world = World::new().await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    endpoint(&world, &slow, &["LEAD_CREATED"]).await;
    endpoint(&world, &quick, &["LEAD_CREATED"]).await;
    slow.takes(Duration::from_millis(100));
    world.add_leads(world.acme, world.a, 60).await;
    let (one, other) = (sender(&world), sender(&world));
    let (one, other) = tokio::join!(one.run_once(), other.run_once());
    one.and(other).expect("they send");
    send(&world).await;
    for receiver in [&slow, &quick] {
        let mut ids: Vec<_> = receiver.received().into_iter().map(|message| message.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 60);
        assert!(receiver.most_at_once() <= 8, "{}", receiver.most_at_once());
    }
    assert_eq!(world.number("SELECT count(*) FROM webhook_attempts").await, 120);
}

/// What an endpoint answered before it was removed, switched off or moved says nothing of what it is by then, and nothing waits for one that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn late_answers() {
    let world = World::new().await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    old.takes(Duration::from_secs(1));
    old.always(Reply::Status(410));
    let (id, _) = endpoint(&world, &old, &["LEAD_CREATED"]).await;
    lead(&world, "Ada").await;
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        done(&world, "updateWebhookEndpoint", json!({"id": id, "url": new.url}), ENDPOINT).await
    };
    let (sent, _) = tokio::join!(send(&world), change);
    assert_eq!((sent, &seen(&world, &id).await["isEnabled"]), (1, &json!(true)));
    old.always(Reply::Status(500));
    let (id, _) = endpoint(&world, &old, &["LEAD_CREATED"]).await;
    lead(&world, "Bea").await;
    let switch = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        done(&world, "updateWebhookEndpoint", json!({"id": id, "enabled": false}), ENDPOINT).await
    };
    tokio::join!(send(&world), switch);
    assert_eq!(deliveries(&world, &id).await[0]["status"], json!("FAILED"));
    // A schedule that was begun again meanwhile goes on.
    done(&world, "updateWebhookEndpoint", json!({"id": id, "enabled": true}), ENDPOINT).await;
    let delivery = json!({"id": deliveries(&world, &id).await[0]["id"]});
    done(&world, "redeliverWebhook", delivery.clone(), "delivery { id }").await;
    world.sql("UPDATE webhook_deliveries SET tries = 9 WHERE status = 'waiting'").await;
    let again = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        done(&world, "redeliverWebhook", delivery, "delivery { id }").await
    };
    tokio::join!(send(&world), again);
    assert_eq!(deliveries(&world, &id).await[0]["status"], json!("WAITING"));
}

/// A test is for the endpoint that it names, also where others are recovered; messages are sent in the order in which things happened.
#[tokio::test(flavor = "multi_thread")]
async fn whose_and_when() {
    let world = World::new().await;
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    let (id, _) = endpoint(&world, &one, &["LEAD_CREATED", "LEAD_UPDATED"]).await;
    let (tested, _) = endpoint(&world, &other, &["LEAD_CREATED"]).await;
    done(&world, "sendTestWebhook", keyed(json!({"id": tested})), "delivery { id }").await;
    send(&world).await;
    let since = json!({"endpointId": id, "since": "2026-01-01T00:00:00Z"});
    assert_eq!(done(&world, "recoverWebhooks", since, "recovered").await["recovered"], json!(0));
    for name in ["a", "b", "c", "d", "e"] {
        lead(&world, name).await;
    }
    world.sql("UPDATE webhook_endpoints SET is_slow = true").await;
    send(&world).await;
    let mut names: Vec<_> =
        one.received().iter().map(|message| message.body["data"]["clientName"].as_str().expect("a name").to_owned()).collect();
    // A slow one gets two at once: the first two of all.
    names[..2].sort_unstable();
    assert_eq!((&names[..2], names.len()), (&["a".to_owned(), "b".to_owned()][..], 5));
}

/// A new secret signs beside the former one, until that expires.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_take_turns() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (id, old) = endpoint(&world, &receiver, &["LEAD_CREATED"]).await;
    let rotated =
        done(&world, "rotateWebhookSecret", keyed(json!({"id": id, "expireOldAfterHours": 2})), &format!("secret {ENDPOINT}"))
            .await;
    let new = rotated["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(rotated["endpoint"]["secrets"].as_array().map(Vec::len), Some(2));
    let test = done(&world, "sendTestWebhook", keyed(json!({"id": id})), "delivery { id eventType }").await;
    assert_eq!(test["delivery"]["eventType"], json!("PING"));
    send(&world).await;
    let message = receiver.received().remove(0);
    assert!(message.is_signed_by(&old) && message.is_signed_by(&new) && message.signatures.len() == 2);
    assert_eq!((&message.body["type"], &message.body["data"]), (&json!("ping"), &json!({})));
    done(&world, "sendTestWebhook", keyed(json!({"id": id})), "delivery { id }").await;
    send_after(&world, TimeDelta::hours(3)).await;
    let message = receiver.received().remove(0);
    assert!(!message.is_signed_by(&old) && message.is_signed_by(&new) && message.signatures.len() == 1);
}

/// A server that runs sends what changes without being asked, and forgets it after thirty days.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_runs() {
    let world = World::with(Setup { is_live: true, ..Setup::default() }).await;
    let receiver = Receiver::start().await;
    let (id, _) = endpoint(&world, &receiver, &["LEAD_CREATED"]).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let hub = Arc::clone(&world.app.hub);
    let runner = sender(&world);
    let running = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        runner.run(&hub, stopped).await
    });
    lead(&world, "Ada").await;
    let arrived = async {
        while deliveries(&world, &id).await.first().is_none_or(|delivery| delivery["status"] != json!("DELIVERED")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived).await.expect("it arrives");
    drop(stop);
    running.await.expect("it ends").expect("well");
    let later = world.app.clock.now() + TimeDelta::days(31);
    assert_eq!(partner_portal::jobs::forget_webhooks(&world.app.pool, later).await.expect("it forgets"), 1);
    assert_eq!(deliveries(&world, &id).await, Vec::<Value>::new());
}
