//! Affiliates for `verify`: one of everything of theirs, and faults in it.

use serde_json::json;

use crate::support::World;

/// Two who were referred, one of them corrected; rewards that are held, free and refunded; what was taken out, and came back; adjustments.
pub async fn affiliates(world: &World) {
    world.affiliate("owner_a").await;
    let first = world.referred("first_friend", "owner_a", "cus_f").await;
    world.pay_now("aff_0", "cus_f", "100.00").await;
    world.affiliate_terms("0.2", Some(365), true).await;
    world.referred("second_friend", "owner_a", "cus_g").await;
    let (a, _) = world.invite_code("owner_a").await;
    for (invoice, customer) in [("aff_1", "cus_f"), ("aff_2", "cus_g"), ("aff_3", "cus_f")] {
        world.pay_now(invoice, customer, "100.00").await;
    }
    world.refund_at("aff_2", "25.00", &world.now_in_seconds()).await;
    world.sql("UPDATE tenants SET commission_hold_days = 30").await;
    world.pay_now("aff_4", "cus_f", "100.00").await;
    world.pay_now("aff_5", "cus_f", "60.00").await;
    world.sql("UPDATE affiliate_rewards SET due_at = now() - interval '1 second' WHERE invoice_id = 'aff_5'").await;
    partner_portal::jobs::run(&world.app.pool, &world.app.clock).await.expect("maintenance");
    world.sql("UPDATE tenants SET commission_hold_days = 0").await;
    assert_eq!(world.take_out("owner_a", "12.00", "one").await["userErrors"], json!([]));
    let rejected = world.take_out("owner_a", "7.00", "two").await["transaction"]["commission"]["id"].clone();
    world.decide("rejectCommissions", &[&rejected], true).await;
    assert_eq!(world.adjust_wallet(&a, "-1.50").await["userErrors"], json!([]));
    let (b, _) = world.invite_code("owner_b").await;
    let correct = "mutation ($id: ID!, $to: ID!) { correctReferrer(input: { userId: $id, referrerId: $to, reason: \"R\" }) { userErrors { code } } }";
    assert_eq!(world.operator(correct, json!({"id": first, "to": b})).await.data()["correctReferrer"]["userErrors"], json!([]));
    for change in [
        "referrals SET impersonator = 'user_support', end_impersonator = 'user_support'",
        "affiliate_terms SET impersonator = 'user_support'",
        "wallet_transactions SET impersonator = 'user_support'",
        "affiliate_periods SET started_by = 'user_support', ended_by = 'user_support'",
    ] {
        world.sql(&format!("UPDATE {change}")).await;
    }
}

/// Faults, and the rules that they break.
pub fn faults() -> Vec<(&'static str, String)> {
    let faults = [
        ("wallets_equal_transactions", "UPDATE wallet_transactions SET balance = balance + 1 WHERE number = 2"),
        ("wallets_equal_transactions", "DELETE FROM wallet_transactions WHERE number = 2"),
        ("wallets_equal_transactions", "UPDATE user_accounts SET balance = balance + 1 WHERE kind = 'wallet'"),
        ("accounts_equal_transfers", "UPDATE user_accounts SET balance = balance + 1 WHERE kind = 'taken_out'"),
        ("running_balances", "UPDATE transfers SET to_balance = to_balance + 1 WHERE user_id IS NOT NULL AND kind = 'adjust'"),
        ("wallet_transfers_equal_transactions", "DELETE FROM transfers WHERE kind = 'take_out'"),
        ("wallet_transfers_equal_transactions", "UPDATE affiliate_rewards SET is_held = false WHERE is_held"),
        ("wallet_transfers_equal_transactions", "UPDATE affiliate_rewards SET is_held = true WHERE invoice_id = 'aff_5'"),
        ("rewards_equal_payments", "UPDATE affiliate_rewards SET refunded = 0 WHERE invoice_id = 'aff_2'"),
        ("rewards_equal_payments", "UPDATE referrals SET user_id = gen_random_uuid() WHERE id = (SELECT referral_id FROM affiliate_rewards LIMIT 1)"),
        ("rewards_equal_payments", "UPDATE wallet_transactions SET sales = sales + 1 WHERE kind = 'refund'"),
        ("rewards_equal_terms", "UPDATE affiliate_rewards SET amount = amount + 0.01 WHERE invoice_id = 'aff_1'"),
        ("rewards_equal_terms", "UPDATE affiliate_terms SET share = 0.3"),
        ("rewards_have_terms_in_force", "UPDATE affiliate_terms SET is_active = false"),
        ("rewards_have_terms_in_force", "DELETE FROM affiliate_periods"),
        ("rewards_have_terms_in_force", "UPDATE referrals SET signed_up_at = signed_up_at - interval '366 days'"),
        ("payments_are_rewarded", "DELETE FROM affiliate_rewards WHERE invoice_id = 'aff_1'; DELETE FROM referrals WHERE means = 'corrected';
            UPDATE referrals SET valid_to = NULL, end_reason = NULL, valid_from = valid_from - interval '1 day';
            UPDATE affiliate_terms SET valid_from = valid_from - interval '1 day'; UPDATE affiliate_periods SET active_from = active_from - interval '1 day'"),
        ("terms_are_versions", "UPDATE affiliate_terms SET number = number + 5"),
        ("take_outs_equal_commissions", "UPDATE partner_commission_events SET amount = 1 WHERE event_type = 'wallet'"),
        ("take_outs_equal_commissions", "DELETE FROM wallet_transactions WHERE kind = 'give_back'"),
        ("nobody_refers_themselves", "UPDATE referrals SET referrer_id = (SELECT f.user_id FROM referrals f WHERE f.means = 'corrected') WHERE user_id <> (SELECT f.user_id FROM referrals f WHERE f.means = 'corrected');
            UPDATE referrals SET referrer_id = (SELECT f.user_id FROM referrals f WHERE f.user_id <> referrals.user_id LIMIT 1) WHERE means = 'corrected'"),
        ("users_have_invite_codes", "UPDATE invite_codes SET is_current = false"),
        ("affiliate_totals_equal_transactions", "UPDATE affiliate_totals SET taken_out = 0"),
        ("affiliate_people_equal_referrals", "UPDATE affiliate_people SET paying = paying + 1"),
        ("sources_fit", "UPDATE partner_commission_events SET source = 'manual' WHERE event_type = 'wallet'"),
    ];
    faults.map(|(rule, fault)| (rule, fault.to_owned())).into()
}
