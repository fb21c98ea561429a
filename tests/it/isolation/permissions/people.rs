//! Mutations of a partner's people.

use super::Row;
use crate::support::World;

pub async fn rows(world: &World) -> Vec<Row> {
    let a = world.a.to_string();
    let person = world.add_user(world.acme, world.a, "colleague", "member").await;
    let (kept, revoked) = (world.invited("ann@example.com").await, world.invited("bo@example.com").await);
    for role in ["member", "owner"] {
        world.invited(&format!("{role}@example.com")).await;
    }
    let lead = world.add_lead(world.acme, world.a).await;
    let tokens = "UPDATE partner_invitations SET token_hash = sha256(convert_to('for ' || split_part(email, '@', 1), 'UTF8'))";
    world.sql(tokens).await;
    vec![
        (
            "changePartnerUserRole",
            format!(
                "changePartnerUserRole(input: {{ partnerId: \"{a}\", userId: \"{person}\", role: MEMBER }}) {{ userErrors {{ message }} }}"
            ),
            [false, true, true, false],
        ),
        (
            "removePartnerUser",
            format!(
                "removePartnerUser(input: {{ partnerId: \"{a}\", userId: \"{person}\" }}) {{ userErrors {{ code }} }} z: restorePartnerUser(input: {{ partnerId: \"{a}\", userId: \"{person}\" }}) {{ userErrors {{ code }} }}"
            ),
            [false, true, true, false],
        ),
        (
            "restorePartnerUser",
            format!(
                "z: removePartnerUser(input: {{ partnerId: \"{a}\", userId: \"{person}\" }}) {{ userErrors {{ code }} }} restorePartnerUser(input: {{ partnerId: \"{a}\", userId: \"{person}\" }}) {{ userErrors {{ code }} }}"
            ),
            [false, true, true, false],
        ),
        (
            "setDefaultPartner",
            format!("setDefaultPartner(input: {{ partnerId: \"{a}\" }}) {{ userErrors {{ message }} }}"),
            [true, true, false, false],
        ),
        (
            "inviteUser",
            format!(
                "inviteUser(input: {{ partnerId: \"{a}\", email: \"cy@example.com\", role: MEMBER, idempotencyKey: \"FRESH_KEY\" }}) {{ userErrors {{ message }} }}"
            ),
            [false, true, true, false],
        ),
        (
            "resendInvitation",
            format!(
                "resendInvitation(input: {{ id: \"{kept}\", idempotencyKey: \"FRESH_KEY\" }}) {{ userErrors {{ message }} }}"
            ),
            [false, true, true, false],
        ),
        (
            "revokeInvitation",
            format!("revokeInvitation(input: {{ id: \"{revoked}\" }}) {{ userErrors {{ message }} }}"),
            [false, true, true, false],
        ),
        (
            "acceptInvitation",
            "acceptInvitation(input: { token: \"for ROLE\" }) { userErrors { message } }".to_owned(),
            [true, true, false, false],
        ),
        (
            "erasePerson",
            format!("erasePerson(input: {{ id: \"{lead}\", reason: \"R\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
    ]
}
