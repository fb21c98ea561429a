//! Mutations of programmes and links.

use serde_json::json;

use super::Row;
use crate::support::World;

pub async fn rows(world: &World) -> Vec<Row> {
    let (a, b) = (world.a.to_string(), world.b.to_string());
    let made = world.link("https://example.com/").await;
    let (link, programme) = (made["id"].as_str().expect("an id"), made["programme"]["id"].as_str().expect("an id"));
    let enrolled = "{ enrolments { nodes { id } } }";
    let enrolment = world.operator(enrolled, json!({})).await.data()["enrolments"]["nodes"][0]["id"].clone();
    vec![
        (
            "createLink",
            format!(
                "createLink(input: {{ partnerId: \"{a}\", url: \"https://example.com/ROLE\" }}) {{ userErrors {{ message }} }}"
            ),
            [true, true, true, false],
        ),
        (
            "recordSignUp",
            format!(
                "recordSignUp(input: {{ customerExternalId: \"c_ROLE\", linkKey: {} }}) {{ userErrors {{ message }} }}",
                made["key"]
            ),
            [false, false, false, true],
        ),
        (
            "createLinks",
            format!(
                "createLinks(input: {{ links: [{{ partnerId: \"{a}\", url: \"https://example.com/x\" }}] }}) {{ userErrors {{ message }} }}"
            ),
            [true, true, true, false],
        ),
        (
            "updateLink",
            format!("updateLink(input: {{ id: \"{link}\", title: \"T\" }}) {{ userErrors {{ message }} }}"),
            [true, true, true, false],
        ),
        (
            "archiveLink",
            format!("archiveLink(input: {{ id: \"{link}\" }}) {{ userErrors {{ message }} }}"),
            [true, true, true, false],
        ),
        (
            "restoreLink",
            format!("restoreLink(input: {{ id: \"{link}\" }}) {{ userErrors {{ message }} }}"),
            [true, true, true, false],
        ),
        (
            "updateProgramme",
            format!("updateProgramme(input: {{ id: \"{programme}\", name: \"N\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "enrolPartner",
            format!("enrolPartner(input: {{ partnerId: \"{b}\", programmeId: \"{programme}\" }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
        (
            "decideEnrolment",
            format!("decideEnrolment(input: {{ id: {enrolment}, status: APPROVED }}) {{ userErrors {{ message }} }}"),
            [false, false, true, false],
        ),
    ]
}
