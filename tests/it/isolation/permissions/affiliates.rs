//! Mutations of affiliates.

use super::Row;
use crate::support::World;

pub async fn rows(world: &World) -> Vec<Row> {
    let (_, code) = world.invite_code("owner_b").await;
    let person = world.add_user(world.acme, world.b, "invited", "member").await;
    for subject in ["member_a", "owner_a"] {
        let (user, _) = world.invite_code(subject).await;
        world.adjust_wallet(&user, "5.00").await;
    }
    vec![
        (
            "setAffiliateActive",
            "setAffiliateActive(input: { active: true }) { userErrors { message } }".to_owned(),
            [true, true, false, false],
        ),
        (
            "acceptInvite",
            format!("acceptInvite(input: {{ code: \"{code}\" }}) {{ userErrors {{ message }} }}"),
            [true, true, false, false],
        ),
        (
            "chooseInviteCode",
            "chooseInviteCode(input: { code: \"code-of-ROLE\" }) { userErrors { message } }".to_owned(),
            [true, true, false, false],
        ),
        (
            "takeOutOfWallet",
            "takeOutOfWallet(input: { amount: \"1\", idempotencyKey: \"FRESH_KEY\" }) { userErrors { message } }".to_owned(),
            [true, true, false, false],
        ),
        (
            "setAffiliateTerms",
            "setAffiliateTerms(input: { share: \"0.1\", isActive: true }) { userErrors { message } }".to_owned(),
            [false, false, true, false],
        ),
        (
            "correctReferrer",
            format!("correctReferrer(input: {{ userId: \"{person}\", reason: \"R\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "adjustWallet",
            format!(
                "adjustWallet(input: {{ userId: \"{person}\", amount: \"1\", reason: \"R\", idempotencyKey: \"FRESH_KEY\" }}) {{ userErrors {{ message }} }}"
            ),
            [false, false, true, false],
        ),
    ]
}
