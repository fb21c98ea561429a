//! Calls about affiliates.

use serde_json::{Value, json};

use super::{As, Few, key, of, text};
use crate::support::World;

/// Lets owner A have referred `x` and `y` since the beginning of the year, who are the two customers, by terms and a switch that are on since then. Gives
/// codes of others.
pub async fn referred_people(world: &World) -> Vec<String> {
    let since = "2026-01-01T00:00:00Z";
    world
        .sql(&format!(
            "INSERT INTO affiliate_terms (tenant_id, id, number, share, is_active, valid_from) SELECT id, gen_random_uuid(), 1, 0.1, true, '{since}' FROM tenants;
             INSERT INTO affiliate_periods (tenant_id, id, user_id, active_from)
                 SELECT tenant_id, gen_random_uuid(), id, '{since}' FROM users WHERE clerk_user_id = 'owner_a';
             INSERT INTO referrals (tenant_id, id, user_id, referrer_id, means, code, signed_up_at, valid_from)
                 SELECT u.tenant_id, gen_random_uuid(), u.id, o.id, 'claimed', 'C', '{since}', '{since}'
                 FROM users u JOIN users o ON o.tenant_id = u.tenant_id AND o.clerk_user_id = 'owner_a' WHERE u.clerk_user_id IN ('x', 'y');
             UPDATE customers c SET user_id = u.id FROM users u
                 WHERE u.tenant_id = c.tenant_id AND (u.clerk_user_id, c.external_id) IN (('x', 'cus_1'), ('y', 'cus_2'))"
        ))
        .await;
    let mut codes = Vec::new();
    for person in ["owner_b", "member_a"] {
        codes.push(world.invite_code(person).await.1);
    }
    codes
}

impl Few {
    pub(super) fn call_about_affiliates(&self, name: &str, random: &mut fastrand::Rng) -> Option<(As, Value)> {
        use As::{Both, Newcomer, Operator, Partner};
        let amount = |random: &mut fastrand::Rng| format!("{}.00", random.u8(1..9));
        Some(match name {
            "acceptInvite" => ([Newcomer, Both][random.usize(..2)], json!({"code": of(random, &self.codes)?})),
            "adjustWallet" => (
                Operator,
                json!({"userId": of(random, &self.people)?, "amount": amount(random), "reason": "R", "idempotencyKey": key(random)}),
            ),
            "chooseInviteCode" => (Partner, json!({"code": format!("code-{}", text(random))})),
            "correctReferrer" => {
                (Operator, json!({"userId": of(random, &self.people)?, "referrerId": of(random, &self.people), "reason": "R"}))
            }
            // Seldom off: nobody earns anything then.
            "setAffiliateActive" => (Partner, json!({"active": random.u8(..4) > 0})),
            "setAffiliateTerms" => (Operator, json!({"share": format!("0.{}", random.u8(1..9)), "isActive": random.u8(..4) > 0})),
            "takeOutOfWallet" => (Partner, json!({"amount": amount(random), "idempotencyKey": "FRESH_KEY"})),
            _ => return self.call_about_imports(name, random),
        })
    }
}
