//! Clerk's events: users, organisations, and who is a member of which.
//!
//! <https://clerk.com/docs/webhooks/overview>. They are delivered in any order, more than once or late: the `updated_at` of what they describe says
//! which is the latest, and what was deleted stays deleted. Nothing is taken from what a user can write (`unsafe_metadata`), and of addresses only the
//! primary one that Clerk has verified.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::fields::{Event, Object, Stop, ignored};
use crate::models::{
    people::{
        directory::{Directory, Joined, ObjectState, OrganizationMember},
        partner_user::PartnerUserRole,
    },
    webhooks::inbox::Disposition,
};

const LATE: &str = "A later state of it is known.";
const GONE: &str = "It was deleted.";

/// Does what an event says that was received at an instant.
pub async fn apply(directory: Directory<'_, '_>, event: Event<'_>, received_at: DateTime<Utc>) -> Result<Disposition, Stop> {
    let data = Object(Object(event.body).at("/data"));
    // An event that says nothing of when it was sent is as late as it came.
    let sent_at = Object(event.body).milliseconds("/timestamp").unwrap_or(received_at);
    match event.name {
        "user.created" | "user.updated" => user(directory, data, sent_at).await,
        "user.deleted" => user_deleted(directory, data, sent_at).await,
        "organization.deleted" => organization_deleted(directory, data, sent_at).await,
        "organizationMembership.created" | "organizationMembership.updated" => membership(directory, data, sent_at).await,
        "organizationMembership.deleted" => membership_deleted(directory, data, sent_at).await,
        _ => Ok(ignored("Nothing is kept of events of this type.")),
    }
}

/// The state of an object that is there, as of its `updated_at`.
fn present(data: Object<'_>, sent_at: DateTime<Utc>) -> ObjectState {
    ObjectState::present(data.milliseconds("/updated_at").unwrap_or(sent_at), sent_at)
}

async fn user(directory: Directory<'_, '_>, data: Object<'_>, sent_at: DateTime<Utc>) -> Result<Disposition, Stop> {
    let id = data.needed("/id")?;
    directory.lock(id).await?;
    let state = ObjectState { is_blocked: *data.at("/banned") == Value::Bool(true), ..present(data, sent_at) };
    if !directory.note(id, &state).await? {
        return Ok(ignored(if directory.is_deleted(id).await? { GONE } else { LATE }));
    }
    let is_known = directory.update_user(id, name(data).as_deref(), verified_email(data)).await?;
    Ok(if is_known || state.is_blocked { done() } else { ignored("The user has not signed in here.") })
}

async fn user_deleted(directory: Directory<'_, '_>, data: Object<'_>, sent_at: DateTime<Utc>) -> Result<Disposition, Stop> {
    let id = data.needed("/id")?;
    directory.lock(id).await?;
    if !directory.note(id, &ObjectState::deleted(sent_at)).await? {
        return Ok(ignored(GONE));
    }
    directory.leave(Some(id), None).await?;
    directory.raise_version(id).await?;
    Ok(done())
}

async fn organization_deleted(
    directory: Directory<'_, '_>,
    data: Object<'_>,
    sent_at: DateTime<Utc>,
) -> Result<Disposition, Stop> {
    let id = data.needed("/id")?;
    if !directory.note(id, &ObjectState::deleted(sent_at)).await? {
        return Ok(ignored(GONE));
    }
    // A member who is being added is one once the partner's row is free, and nobody is added afterwards.
    let was_partners = directory.drop_organization(id).await?;
    directory.leave(None, Some(id)).await?;
    Ok(if was_partners { done() } else { ignored("No partner has this organisation.") })
}

async fn membership(directory: Directory<'_, '_>, data: Object<'_>, sent_at: DateTime<Utc>) -> Result<Disposition, Stop> {
    let id = data.needed("/id")?;
    let member = member(data).ok_or_else(|| Stop::failed("It does not say who is a member of what."))?;
    directory.lock(&member.subject).await?;
    let role = Some(PartnerUserRole::in_organization(data.text("/role").unwrap_or_default()));
    let state = ObjectState { membership: Some(member.clone()), role, ..present(data, sent_at) };
    if directory.note(id, &state).await? {
        return follow(directory, &member).await;
    }
    // That it was deleted may have been reported by its id alone: then it is known only now whose it was.
    if directory.complete(id, &member).await? {
        follow(directory, &member).await?;
    }
    Ok(ignored(if directory.is_deleted(id).await? { GONE } else { LATE }))
}

async fn membership_deleted(directory: Directory<'_, '_>, data: Object<'_>, sent_at: DateTime<Utc>) -> Result<Disposition, Stop> {
    let id = data.needed("/id")?;
    // It may say no more than its id: then what was reported before says whose it was.
    let said = member(data);
    let known = match &said {
        Some(member) => Some(member.clone()),
        None => directory.membership(id).await?,
    };
    if let Some(member) = &known {
        directory.lock(&member.subject).await?;
    }
    if !directory.note(id, &ObjectState { membership: said, ..ObjectState::deleted(sent_at) }).await? {
        return Ok(ignored(GONE));
    }
    match directory.membership(id).await? {
        Some(member) => follow(directory, &member).await,
        None => Ok(ignored("It is not known here whose membership it was.")),
    }
}

/// Lets a user's membership of a partner follow those of its organisation: they may have had several, and reports of one may come after those of the next.
async fn follow(directory: Directory<'_, '_>, member: &OrganizationMember) -> Result<Disposition, Stop> {
    if directory.is_deleted(&member.subject).await? || directory.is_deleted(&member.organization).await? {
        return Ok(ignored("The user or the organisation was deleted."));
    }
    let Some(role) = directory.role_in(member).await? else {
        directory.leave(Some(&member.subject), Some(&member.organization)).await?;
        directory.raise_version(&member.subject).await?;
        return Ok(done());
    };
    Ok(match directory.join(member, role).await? {
        Joined::Yes => done(),
        Joined::NoPartner => ignored("No partner has this organisation. Its members join when they sign in."),
        Joined::NoUser => ignored("The user has not signed in here, and joins when they do."),
    })
}

fn member(data: Object<'_>) -> Option<OrganizationMember> {
    let subject = data.text("/public_user_data/user_id")?.to_owned();
    Some(OrganizationMember { subject, organization: data.text("/organization/id")?.to_owned() })
}

fn name(data: Object<'_>) -> Option<String> {
    let parts: Vec<String> = ["/first_name", "/last_name"].into_iter().filter_map(|path| data.name(path)).collect();
    let name: String = parts.join(" ").chars().take(200).collect();
    (!name.is_empty()).then_some(name)
}

/// The primary address, if Clerk has verified it.
fn verified_email(data: Object<'_>) -> Option<&str> {
    let primary = data.text("/primary_email_address_id")?;
    let addresses = data.at("/email_addresses").as_array()?;
    let address = addresses.iter().map(Object).find(|address| address.text("/id") == Some(primary))?;
    let is_verified = address.text("/verification/status") == Some("verified");
    address.text("/email_address").filter(|email| is_verified && crate::validation::email(email).is_ok())
}

fn done() -> Disposition {
    Disposition::applied([])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Only the primary address counts, and only if Clerk has verified it.
    #[test]
    fn addresses() {
        let user = |primary: &str, status: &str| {
            json!({"primary_email_address_id": primary, "email_addresses": [
                {"id": "idn_1", "email_address": "one@example.com", "verification": {"status": status}},
                {"id": "idn_2", "email_address": "two@example.com", "verification": null},
            ]})
        };
        assert_eq!(verified_email(Object(&user("idn_1", "verified"))), Some("one@example.com"));
        for (primary, status) in [("idn_1", "unverified"), ("idn_2", "verified"), ("idn_3", "verified")] {
            assert_eq!(verified_email(Object(&user(primary, status))), None, "{primary} {status}");
        }
    }
}
