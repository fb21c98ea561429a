//! Whose commissions are, as far as their source says it: by their own partner, else by what else they refer to.

use std::collections::HashMap;

use diesel::QueryResult;
use uuid::Uuid;

use super::{
    facts::{Facts, ImportKind},
    finding::{Finding, FindingCode},
    refs::Known,
    run::ImportRun,
    staged::{Settled, WaitingRow},
};
use crate::models::members::member::email_key;

/// What the commissions of a batch refer to.
struct CommissionRefs {
    partners: HashMap<String, Known>,
    by_address: HashMap<String, (String, Option<Uuid>)>,
    links: HashMap<String, Known>,
    payouts: HashMap<String, Known>,
    customers: HashMap<String, Known>,
}

impl ImportRun<'_> {
    /// Finds whose some commissions are, and what pays them; gives how many. They are written by [`ImportRun::write_commissions`].
    pub async fn resolve_commissions(&self) -> QueryResult<usize> {
        let kind = ImportKind::Commission;
        let rows = self.waiting(kind).await?;
        let refs = CommissionRefs {
            partners: self.known(ImportKind::Partner, rows.iter().map(|row| row.facts.partner.as_ref())).await?,
            by_address: self
                .first_of_addresses(ImportKind::Partner, rows.iter().map(|row| row.facts.partner_email.as_ref()))
                .await?,
            links: self.known(ImportKind::Link, rows.iter().map(|row| row.facts.link.as_ref())).await?,
            payouts: self.known(ImportKind::Payout, rows.iter().map(|row| row.facts.payout.as_ref())).await?,
            customers: self.known(ImportKind::Customer, rows.iter().map(|row| row.facts.customer.as_ref())).await?,
        };
        let named =
            rows.iter().filter_map(|row| Some((row.facts.customer.clone()?, Facts { at: row.facts.at, ..Facts::default() })));
        let customers = self.customers_named(named.collect()).await?;
        let (mut settled, mut findings) = (Vec::new(), Vec::new());
        for row in &rows {
            let customer = row.facts.customer.as_ref().and_then(|id| customers.get(id)).copied();
            let found = refs.resolve(row, &mut findings);
            settled.push(found.map_or_else(|| Settled::left(&row.source_id), |found| Settled { customer, ..found }));
        }
        self.settle(kind, &settled).await?;
        self.report(&findings).await?;
        Ok(rows.len())
    }
}

impl CommissionRefs {
    fn resolve(&self, row: &WaitingRow, findings: &mut Vec<Finding>) -> Option<Settled> {
        let facts = &row.facts;
        let of = |code, message: String| Finding::of(ImportKind::Commission, &row.source_id, code, message);
        let named = facts.partner.as_ref().and_then(|id| self.partners.get(id)).and_then(Known::inside);
        let by_address = || facts.partner_email.as_ref().and_then(|email| self.by_address.get(&email_key(email))?.1);
        let own = named.or_else(by_address);
        if own.is_none() {
            findings.push(match (&facts.partner, &facts.blank_partner) {
                (Some(id), _) => of(FindingCode::DanglingPartner, format!("There is no partner {id:?}.")).at("partner", Some(id)),
                (None, Some(blank)) => {
                    of(FindingCode::EmptyPartner, format!("The partner's id is {blank:?}.")).at("partner", Some(blank))
                }
                (None, None) => of(FindingCode::MissingPartner, "There is no partner's id.".to_owned()),
            });
        }
        let link = facts.link.as_ref().and_then(|id| self.links.get(id)).filter(|link| link.inside().is_some());
        if let (Some(id), None) = (&facts.link, link) {
            findings.push(
                of(FindingCode::LinkGone, format!("There is no link {id:?} among those that came in.")).at("link", Some(id)),
            );
        }
        let payout = facts.payout.as_ref().and_then(|id| self.payouts.get(id));
        let by_link = || link.and_then(|link| link.partner);
        let by_customer = || facts.customer.as_ref().and_then(|id| self.customers.get(id)).and_then(|customer| customer.partner);
        let found = own.or_else(by_link).or_else(|| payout.and_then(|payout| payout.partner)).or_else(by_customer);
        let Some(partner) = found else {
            findings.push(of(
                FindingCode::CommissionUnresolved,
                "No partner is known by anything that the commission refers to.".to_owned(),
            ));
            return None;
        };
        if let Some(owner) = link.and_then(|link| link.partner).filter(|owner| *owner != partner) {
            let owner = crate::ids::PartnerId::from(owner);
            findings.push(of(
                FindingCode::PartnerDiffersFromLink,
                format!("The link is of {owner}; the commission keeps its own partner."),
            ));
        }
        let payout_key = match payout_of(facts, payout, partner) {
            Ok((key, is_gone)) => {
                if is_gone {
                    let message =
                        format!("There is no payout {:?} among those that came in.", facts.payout.as_deref().unwrap_or_default());
                    findings.push(of(FindingCode::PayoutGone, message).at("payout", facts.payout.as_deref()));
                }
                key
            }
            Err((code, message)) => {
                findings.push(of(code, message).at("payout", facts.payout.as_deref()));
                return None;
            }
        };
        let link = link.and_then(Known::inside);
        Some(Settled {
            source_id: row.source_id.clone(),
            state: "ready",
            partner: Some(partner),
            link,
            payout_key,
            ..Settled::default()
        })
    }
}

type PayoutOf = Result<(Option<String>, bool), (FindingCode, String)>;

/// The payout that pays a commission, and whether the one that the source names has not come. Paid ones of which none is known are paid by one for their
/// partner, currency and month.
fn payout_of(facts: &Facts, payout: Option<&Known>, partner: Uuid) -> PayoutOf {
    let is_paid = facts.status.as_deref() == Some("paid");
    let made = || {
        let month = facts.paid_at.or(facts.at).map(|at| at.format("%Y-%m").to_string()).unwrap_or_default();
        format!("paid:{partner}:{}:{month}", facts.currency.as_deref().unwrap_or_default())
    };
    let Some(id) = &facts.payout else { return Ok((is_paid.then(made), false)) };
    let Some(payout) = payout.filter(|payout| payout.state != "left") else {
        let has_failed = payout.is_some_and(|payout| matches!(payout.facts.status.as_deref(), Some("failed" | "cancelled")));
        return match (has_failed, is_paid) {
            (true, true) => Err((
                FindingCode::PayoutStatusDiffers,
                format!("The commission is paid, and its payout {id:?} failed or was cancelled."),
            )),
            (true, false) => Ok((None, false)),
            (false, _) => Ok((is_paid.then(made), true)),
        };
    };
    if payout.partner.is_some_and(|owner| owner != partner) {
        return Err((FindingCode::PayoutOfAnotherPartner, format!("The payout {id:?} is another partner's.")));
    }
    if payout.facts.currency.is_some() && payout.facts.currency != facts.currency {
        let (its, own) = (payout.facts.currency.as_deref().unwrap_or_default(), facts.currency.as_deref().unwrap_or_default());
        return Err((
            FindingCode::PayoutInAnotherCurrency,
            format!("The payout {id:?} is in {its}, and the commission in {own}."),
        ));
    }
    let is_completed = payout.facts.status.as_deref().unwrap_or("completed") == "completed";
    match (is_completed, facts.status.as_deref()) {
        (true, Some("paid")) | (false, Some("approved")) => Ok((Some(id.clone()), false)),
        (_, status) => {
            let its = payout.facts.source_status.as_deref().or(payout.facts.status.as_deref()).unwrap_or("completed");
            let own = facts.source_status.as_deref().or(status).unwrap_or_default();
            Err((FindingCode::PayoutStatusDiffers, format!("The commission is {own:?}, and its payout {id:?} is {its:?}.")))
        }
    }
}
