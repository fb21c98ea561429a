//! Calls about credits.

use serde_json::{Value, json};

use super::{As, Few, id, of, text, with};

impl Few {
    pub(super) fn call_about_credits(&self, name: &str, random: &mut fastrand::Rng) -> Option<(As, Value)> {
        use As::{Operator, Partner, Service};
        let partner = self.partners[random.usize(..2)].clone();
        Some(match name {
            "addMember" => (Partner, json!({"email": format!("m{}@example.com", random.u16(..)), "firstName": "M"})),
            "assignCredits" => (
                Partner,
                json!({"memberId": self.members[random.usize(..2)], "credits": random.u8(1..5), "validDays": 30, "idempotencyKey": "FRESH_KEY"}),
            ),
            "deactivateMember" => (Partner, with(id(&self.members, random)?, json!({"revokeCredits": random.bool()}))),
            "reactivateMember" => (Partner, id(&self.members, random)?),
            "updateMember" => (
                Operator,
                with(
                    id(&self.members, random)?,
                    json!({"email": format!("{}{}@example.com", ["ann", "bob"][random.usize(..2)], ["", "1", "2"][random.usize(..3)])}),
                ),
            ),
            "importMembers" => (
                Partner,
                json!({"csv": format!("email,first name,credits\nann@example.com,A{},1\nbob@example.com,B,{}\nn{}@example.com,N,1\n", text(random), random.u8(1..4), random.u8(..))}),
            ),
            "extendCredits" => (
                Operator,
                json!({"allocationId": of(random, &self.allocations)?, "expiresAt": format!("203{}-01-01T00:00:00Z", random.u8(..5))}),
            ),
            "reverseRedemption" => (
                Service,
                json!({"redemptionId": of(random, &self.redemptions)?, "reason": "R", "idempotencyKey": random.u64(..).to_string()}),
            ),
            "grantCredits" => (
                Operator,
                json!({"partnerId": partner, "credits": random.u8(1..50), "reason": "R", "idempotencyKey": "FRESH_KEY"}),
            ),
            "revokeCredits" => (Operator, json!({"allocationId": of(random, &self.allocations)?})),
            "redeemCredit" => {
                let who = if random.bool() {
                    json!({"memberId": of(random, &self.members)?})
                } else {
                    json!({"email": "ann@example.com"})
                };
                (Service, with(who, json!({"count": random.u8(1..4), "idempotencyKey": random.u64(..).to_string()})))
            }
            other => return self.call_about_programmes(other, random),
        })
    }
}
