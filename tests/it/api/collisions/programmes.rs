//! Calls about programmes and links.

use serde_json::{Value, json};

use super::{As, Few, id, of, text, with};

impl Few {
    pub(super) fn call_about_programmes(&self, name: &str, random: &mut fastrand::Rng) -> Option<(As, Value)> {
        use As::{Operator, Partner};
        let partner = self.partners[random.usize(..2)].clone();
        let product = |random: &mut fastrand::Rng| format!("https://shop{}.example.com/{}", random.u8(..2), text(random));
        Some(match name {
            "createLink" => (
                Operator,
                json!({"partnerId": partner, "url": product(random), "idempotencyKey": (["1", "2", "3"][random.usize(..3)])}),
            ),
            "createLinks" => {
                (Partner, json!({"links": [{"url": product(random)}, {"url": product(random), "key": text(random)}]}))
            }
            "updateLink" => (
                Operator,
                with(
                    id(&self.links, random)?,
                    json!({"url": product(random), "couponCode": text(random), "title": text(random)}),
                ),
            ),
            "archiveLink" | "restoreLink" => (Partner, id(&self.links, random)?),
            "updateProgramme" => (
                Operator,
                with(
                    id(&self.programmes, random)?,
                    json!({"name": text(random), "enrolmentPolicy": (["AUTOMATIC", "BY_APPROVAL"][random.usize(..2)])}),
                ),
            ),
            "enrolPartner" => (Operator, json!({"partnerId": partner, "programmeId": of(random, &self.programmes)?})),
            "decideEnrolment" => (
                Operator,
                with(
                    id(&self.enrolments, random)?,
                    json!({"status": (["APPROVED", "REJECTED", "SUSPENDED"][random.usize(..3)]), "reason": "R"}),
                ),
            ),
            "recordSignUp" => (
                As::Service,
                json!({"customerExternalId": format!("cus_{}", random.u8(..4)), "linkKey": of(random, &self.keys)?, "name": text(random)}),
            ),
            other => return self.call_about_affiliates(other, random),
        })
    }
}
