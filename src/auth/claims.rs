//! What a session token says, in both layouts that Clerk issues: version 1 with `org_*` claims, version 2 with `o` and `fea`.
//!
//! Only `sub` and the times are needed. Everything else is optional and read leniently: a claim of an unexpected type counts
//! as absent, because tokens carry whatever a tenant's own template puts there.

use serde::Deserialize;
use serde_json::Value;

/// The claims that are checked. A token where one of these has the wrong type is refused.
#[derive(Debug, Deserialize)]
pub(super) struct CoreClaims {
    pub iss: String,
    pub sub: String,
    pub exp: f64,
    pub nbf: Option<f64>,
    pub iat: Option<f64>,
    pub azp: Option<String>,
    pub sts: Option<String>,
    #[serde(flatten)]
    pub rest: Value,
}

/// What a verified token says of its bearer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// Who issued it (`iss`).
    pub issuer: String,
    /// The user at the issuer (`sub`).
    pub subject: String,
    /// When the token ends to be good (`exp`), in seconds since 1970.
    pub expires_at: i64,
    /// The session at the issuer (`sid`).
    pub session: Option<String>,
    /// The active organisation.
    pub organization: Option<Organization>,
    /// The tenant's slug, where the issuer serves several (`tenant`, a custom claim).
    pub tenant: Option<String>,
    /// `metadata.role`, a custom claim.
    pub metadata_role: Option<String>,
    /// `email`, a custom claim.
    pub email: Option<String>,
    /// `email_verified`, a custom claim: the issuer vouches that the address is the bearer's.
    pub is_email_verified: bool,
    /// `name`, a custom claim.
    pub name: Option<String>,
    /// `invite_code`, a custom claim: with whose code the bearer signed up.
    pub invite_code: Option<String>,
    /// Who acts in the bearer's name (`act.sub`): support staff impersonating a user.
    pub actor: Option<String>,
}

/// The organisation that the bearer has chosen to act for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id at the issuer.
    pub id: String,
    /// Its slug.
    pub slug: Option<String>,
    /// The bearer's role in it, with the prefix `org:`.
    pub role: Option<String>,
    /// What the bearer may do in it: `org:<feature>:<permission>`.
    pub permissions: Vec<String>,
}

impl From<&CoreClaims> for Claims {
    fn from(core: &CoreClaims) -> Self {
        let rest = &core.rest;
        Self {
            session: text(&rest["sid"]),
            organization: if rest["v"] == 2 { version_2(rest) } else { version_1(rest) },
            tenant: text(&rest["tenant"]),
            metadata_role: text(&rest["metadata"]["role"]),
            email: text(&rest["email"]),
            is_email_verified: rest["email_verified"] == true,
            name: text(&rest["name"]),
            invite_code: text(&rest["invite_code"]),
            actor: rest.get("act").map(|act| text(&act["sub"]).unwrap_or_else(|| "unknown".to_owned())),
            expires_at: whole_seconds(core.exp),
            issuer: core.iss.clone(),
            subject: core.sub.clone(),
        }
    }
}

/// A `NumericDate` may have a fraction (RFC 7519, section 2).
#[expect(clippy::cast_possible_truncation, reason = "what is beyond the range is cut to it, and is far enough")]
fn whole_seconds(seconds: f64) -> i64 {
    seconds.floor() as i64
}

/// A text; one that is empty or has control characters is none.
fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty() && !text.chars().any(char::is_control)).map(str::to_owned)
}

fn version_1(rest: &Value) -> Option<Organization> {
    Some(Organization {
        id: text(&rest["org_id"])?,
        slug: rest["org_slug"].as_str().map(str::to_owned),
        role: rest["org_role"].as_str().map(str::to_owned),
        permissions: rest["org_permissions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    })
}

fn version_2(rest: &Value) -> Option<Organization> {
    let organization = &rest["o"];
    Some(Organization {
        id: text(&organization["id"])?,
        slug: organization["slg"].as_str().map(str::to_owned),
        role: organization["rol"]
            .as_str()
            .map(|role| if role.starts_with("org:") { role.to_owned() } else { format!("org:{role}") }),
        permissions: unpack_permissions(rest["fea"].as_str(), organization["per"].as_str(), organization["fpm"].as_str()),
    })
}

/// Version 2 packs permissions: `fea` lists features with their scope (`o:` for the organisation's, `u:` for the user's), `per`
/// lists permissions, and `fpm` has a bit mask for each of the organisation's features; bit *i* stands for permission *i*.
fn unpack_permissions(features: Option<&str>, permissions: Option<&str>, masks: Option<&str>) -> Vec<String> {
    let list = |text: Option<&str>| -> Vec<String> {
        text.unwrap_or_default().split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    let features = list(features);
    let of_organization = features.iter().filter_map(|feature| {
        let (scope, name) = feature.split_once(':')?;
        scope.contains('o').then_some(name)
    });
    let permissions = list(permissions);
    of_organization
        .zip(list(masks))
        .flat_map(|(feature, mask)| {
            let mask: u64 = mask.parse().unwrap_or(0);
            permissions
                .iter()
                .take(64)
                .enumerate()
                .filter(move |(bit, _)| mask >> bit & 1 == 1)
                .map(move |(_, permission)| format!("org:{feature}:{permission}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(mut value: Value) -> Claims {
        value["iss"] = json!("https://issuer.example");
        value["sub"] = json!("user_1");
        value["exp"] = json!(1);
        Claims::from(&serde_json::from_value::<CoreClaims>(value).expect("core claims"))
    }

    /// The packed permissions of version 2 come out as names.
    #[test]
    fn version_2_permissions() {
        let claims = claims(json!({
            "v": 2, "fea": "o:dashboard,u:billing,o:teams",
            "o": {"id": "org_1", "slg": "acme", "rol": "admin", "per": "manage,read", "fpm": "3,2"},
        }));
        let organization = claims.organization.expect("an organisation");
        assert_eq!(organization.permissions, ["org:dashboard:manage", "org:dashboard:read", "org:teams:read"]);
        assert_eq!(organization.role.as_deref(), Some("org:admin"));
    }

    /// Version 1 has the same in plain claims.
    #[test]
    fn version_1_permissions() {
        let claims = claims(json!({
            "org_id": "org_1", "org_slug": "acme", "org_role": "org:admin", "org_permissions": ["org:teams:read"],
        }));
        let organization = claims.organization.expect("an organisation");
        assert_eq!((organization.id.as_str(), organization.role.as_deref()), ("org_1", Some("org:admin")));
        assert_eq!(organization.permissions, ["org:teams:read"]);
    }

    /// Optional claims of strange types count as absent; masks that are too long or no numbers grant nothing.
    #[test]
    fn lenient_where_it_may_be() {
        let strange = claims(json!({"sid": 5, "metadata": "x", "org_id": ["a"], "email": {}, "act": {"sub": 7}}));
        assert_eq!(strange.organization, None);
        assert_eq!((strange.session, strange.email, strange.metadata_role), (None, None, None));
        assert_eq!(strange.actor.as_deref(), Some("unknown"));
        assert!(unpack_permissions(Some("o:a,o:b"), Some("read"), Some("x,-1,1")).is_empty());
    }
}
