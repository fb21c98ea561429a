//! Mutations of a partner's people.

use serde_json::{Value, json};

use super::Twice;

pub async fn people(twice: &mut Twice<'_>, person: &str, b: &str) {
    let of_person = json!({"userId": person});
    let owner = json!({"userId": person, "role": "OWNER"});
    twice.send("owner_a", "changePartnerUserRole", owner, "partner { users { role } }").await;
    twice.send("owner_a", "removePartnerUser", of_person.clone(), "partner { users(includeRemoved: true) { removedAt } }").await;
    twice.send("owner_a", "restorePartnerUser", of_person, "partner { users { role } }").await;
    twice.send("both", "setDefaultPartner", json!({"partnerId": b}), "user { id }").await;

    let id = |value: &Value| json!({"id": value["invitation"]["id"]});
    let ann = json!({"email": "ann@example.com", "role": "MEMBER"});
    let shown = "invitation { id status sentAt }";
    let invited = id(&twice.send("owner_a", "inviteUser", ann, shown).await);
    twice.send("owner_a", "resendInvitation", invited.clone(), shown).await;
    twice.send("owner_a", "revokeInvitation", invited, shown).await;
    twice.send("operator", "inviteUser", json!({"partnerId": b, "email": "ann@example.com", "role": "OWNER"}), shown).await;
    twice.world.sql("UPDATE partner_invitations SET token_hash = sha256('secret') WHERE revoked_at IS NULL").await;
    twice.send("person", "acceptInvitation", json!({"token": "secret"}), "partnerId").await;

    let client = json!({"partnerId": b, "clientName": "Cy", "clientEmail": "cy@example.com", "service": "S"});
    let lead = twice.send("operator", "createLead", client, "lead { id }").await["lead"]["id"].clone();
    let erased = "pseudonym erased { kind recordId erasedAt } sameAddress { kind }";
    twice.send("operator", "erasePerson", json!({"id": lead, "reason": "R"}), erased).await;
}
