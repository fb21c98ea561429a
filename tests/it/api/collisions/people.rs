//! Calls about a partner's people.

use serde_json::{Value, json};

use super::{As, Few, id, of, text, with};
use crate::support::World;
use partner_portal::ids::InvitationId;

impl Few {
    /// Takes up the invitations that there are, each with its UUID as its token.
    pub(super) async fn look_at_people(&mut self, world: &World, found: &Value) {
        let tokens = "UPDATE partner_invitations SET token_hash = sha256(convert_to(id::text, 'UTF8'))";
        world.sql(tokens).await;
        let partners = found["partners"]["nodes"].as_array().expect("partners");
        let nodes = partners.iter().flat_map(|partner| partner["invitations"]["nodes"].as_array().into_iter().flatten());
        self.invitations = nodes.filter_map(|node| node["id"].as_str().map(str::to_owned)).collect();
    }

    pub(super) fn call_about_people(&self, name: &str, random: &mut fastrand::Rng) -> Option<(As, Value)> {
        use As::Operator;
        let partner = self.partners[random.usize(..2)].clone();
        Some(match name {
            "changePartnerUserRole" => (
                Operator,
                json!({"partnerId": self.partners[0], "userId": of(random, &self.people)?, "role": (["OWNER", "MEMBER"][random.usize(..2)])}),
            ),
            "removePartnerUser" | "restorePartnerUser" => {
                (As::Partner, json!({"partnerId": self.partners[0], "userId": of(random, &self.people)?}))
            }
            "setDefaultPartner" => (As::Both, json!({"partnerId": partner})),
            "inviteUser" => (
                Operator,
                json!({"partnerId": partner, "email": format!("{}@example.com", text(random)), "role": "MEMBER", "idempotencyKey": "FRESH_KEY"}),
            ),
            "resendInvitation" => (Operator, with(id(&self.invitations, random)?, json!({"idempotencyKey": "FRESH_KEY"}))),
            "revokeInvitation" => (Operator, id(&self.invitations, random)?),
            "acceptInvitation" => {
                let invitation: InvitationId = of(random, &self.invitations)?.parse().expect("an id");
                (As::Both, json!({"token": invitation.uuid().to_string()}))
            }
            // Seldom: it is final. Only those of whom there are always others, or whose payments go on.
            "erasePerson" => {
                let who = if random.bool() { &self.leads } else { &self.customers };
                (Operator, with(id(who, random).filter(|_| random.u8(..4) == 0)?, json!({"reason": "R"})))
            }
            other => panic!("no call of {other}: every mutation is thrown at every other"),
        })
    }
}
