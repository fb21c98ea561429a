//! The mutation by which a shop reports sign-ups.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::{came_by::CameByInput, sign_up::LinkSignUp};
use crate::{
    auth::Permission,
    error::Result,
    graphql::{
        billing::{customer::Customer, mutations::other_user},
        engine::{
            context::ContextExt,
            row::Row,
            scalars::{DateTime, EmailAddress},
            user_errors::{Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::UserId,
    models::{
        affiliates::past_reward::{Invited, InvitedFault},
        billing::{customer::CustomerReport, past_payment},
        programmes::{
            attribution::{AttributionOutcome, CameBy},
            sign_up::{SignUpFault, SignUpReport},
        },
    },
    validation::{FaultCode, Faults, MAX_INVITE_CODE, MAX_NAME, email, line, paragraphs, past},
};

/// The most characters of metadata.
const MAX_METADATA: usize = 10_000;

/// Somebody has signed up at the shop.
#[derive(InputObject, Clone)]
struct RecordSignUpInput {
    /// The customer's id in the billing system, at most 200 characters. A customer who is not known yet is added.
    customer_external_id: String,
    /// The click by which they came: the value of the parameter that the link added to the shop's address (`click_id`, where nothing else is set).
    /// One of `clickId`, `linkKey`, `couponCode` and `inviteCode` is needed.
    click_id: Option<ID>,
    /// Further clicks of the same visitor, where the shop keeps them all, in any order; at most 20 in all. The programme says which one counts.
    other_click_ids: Option<Vec<ID>>,
    /// The key of the link by which they came, where there was no click.
    link_key: Option<String>,
    /// The coupon code that they gave.
    coupon_code: Option<String>,
    /// The code of the affiliate who invited them, where they came by an invitation. No click, link or coupon code is needed then.
    invite_code: Option<String>,
    /// The user that the customer is, where that is known. What an invitation earns its affiliate is booked once it is.
    user_id: Option<UserId>,
    /// What they signed up for, at most 200 characters, compared without regard to case. Each is recorded once for a customer.
    #[graphql(default_with = "\"Sign-up\".to_owned()")]
    name: String,
    /// The name of a customer who is added; the e-mail address, or else the id, where it is left out.
    customer_name: Option<String>,
    /// The e-mail address of a customer who is added.
    email: Option<EmailAddress>,
    /// When they signed up; now where it is left out.
    occurred_at: Option<DateTime>,
    /// What else the shop wants to keep with it, at most 10,000 characters.
    metadata: Option<String>,
}

/// What became of `recordSignUp`.
#[derive(SimpleObject)]
struct RecordSignUpPayload {
    /// The sign-up. Null where no link counts for it, and where there are user errors.
    sign_up: Option<LinkSignUp>,
    /// The customer. Null where there are user errors.
    customer: Option<Row<Customer>>,
    /// What it has led to. Null where neither click, link nor coupon code is named, and where there are user errors.
    outcome: Option<AttributionOutcome>,
    /// Whether it had been recorded before, so that this is the first result.
    replayed: bool,
    /// What is wrong with the input. Empty when it is recorded.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct SignUpMutations;

#[Object]
impl SignUpMutations {
    /// Records that somebody has signed up who came by a link. Where nobody manages the customer, it is the link's partner's from then on, who
    /// earns by what it pays; payments since then that were reported before are booked. Reports may repeat and come in any order: of several
    /// sign-ups the earliest counts. One that becomes known after a later one has earned something, for another partner or in another
    /// programme, counts until that one began. Needs `EVENTS_INGEST`.
    async fn record_sign_up(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sign-up.")] input: RecordSignUpInput,
    ) -> Result<Option<RecordSignUpPayload>> {
        ctx.require(Permission::EventsIngest)?;
        let (recorded, user_errors) = settle(ctx, || record(ctx, input.clone())).await?;
        let Recorded { sign_up, customer, outcome, replayed } = recorded;
        Ok(Some(RecordSignUpPayload { sign_up, customer, outcome, replayed, user_errors }))
    }
}

#[derive(Default)]
struct Recorded {
    sign_up: Option<LinkSignUp>,
    customer: Option<Row<Customer>>,
    outcome: Option<AttributionOutcome>,
    replayed: bool,
}

async fn record(ctx: &Context<'_>, input: RecordSignUpInput) -> Result<Recorded, Refusal> {
    let mut faults = Faults::default();
    let external_id = faults.check("input.customerExternalId", line(&input.customer_external_id, MAX_NAME));
    let name = faults.check("input.name", line(&input.name, MAX_NAME));
    let given = faults.check_option("input.customerName", input.customer_name.as_deref(), |text| line(text, MAX_NAME));
    let email = faults.check_option("input.email", input.email.as_ref().map(|email| email.0.as_str()), email);
    let at = input.occurred_at.and_then(|at| faults.check("input.occurredAt", past(at.0, ctx.now())));
    let metadata = faults.check_option("input.metadata", input.metadata.as_deref(), |text| paragraphs(text, MAX_METADATA));
    let came = CameByInput {
        click_id: input.click_id,
        other_click_ids: input.other_click_ids,
        link_key: input.link_key,
        coupon_code: input.coupon_code,
    };
    let came = came.checked(&mut faults);
    let code = faults.check_option("input.inviteCode", input.invite_code.as_deref(), |text| line(text, MAX_INVITE_CODE));
    if came.is_none() && code.is_none() && faults.is_empty() {
        faults.add("input.clickId", FaultCode::Required, "Say by which click, link, coupon code or invite code they came.");
    }
    let (Some(external_id), Some(name), true) = (external_id, name, faults.is_empty()) else { return Err(faults.into()) };
    let customer_name = given.or_else(|| email.clone()).unwrap_or_else(|| external_id.clone());
    let customer = CustomerReport { external_id, name: customer_name.chars().take(MAX_NAME).collect(), email };
    let invited = Invited { user: input.user_id, code, at };
    let mut is_noted = false;
    if invited.code.is_some() || invited.user.is_some() {
        // By itself: what is wrong with the rest keeps it from nothing.
        let writing = ctx.write().await?;
        let (id, noted) = ctx.books(&writing).note_invited(&customer, &invited).await?.map_err(uninvited)?;
        is_noted = noted;
        let customer = outcome(writing, noted, Customer::by_id(ctx, id)).await?.0;
        if came.is_none() {
            return Ok(Recorded { customer, replayed: !noted, ..Recorded::default() });
        }
    }
    let Some(came) = came else { return Err(faults.into()) };
    let report = SignUpReport { customer, came, name, at, metadata };
    let writing = ctx.write().await?;
    let recorded = ctx.books(&writing).record_sign_up(&report).await?.map_err(|fault| refusal(&fault, &report))?;
    let read = async {
        let sign_up = match recorded.sign_up {
            Some(id) => LinkSignUp::by_id(ctx, id).await?,
            None => None,
        };
        Ok((sign_up, Customer::by_id(ctx, recorded.customer).await?))
    };
    let (sign_up, customer) = writing.commit_and(read).await?;
    Ok(Recorded { sign_up, customer, outcome: Some(recorded.outcome), replayed: recorded.is_replay && !is_noted })
}

fn uninvited(fault: InvitedFault) -> Refusal {
    match fault {
        InvitedFault::UnknownCode => Refusal::fault("input.inviteCode", FaultCode::NotFound, "Nobody has this invite code."),
        InvitedFault::User(fault) => other_user(fault),
        InvitedFault::OtherTime(first) => {
            let message = format!("The customer's invitation was recorded before as of “{first}”, and what is recorded stays.");
            Refusal::fault("input.occurredAt", FaultCode::KeyReused, message)
        }
        InvitedFault::OtherCode(first) => {
            let message = format!("The customer was recorded with the invite code “{first}” before, and what is recorded stays.");
            Refusal::fault("input.inviteCode", FaultCode::KeyReused, message)
        }
    }
}

fn refusal(fault: &SignUpFault, report: &SignUpReport) -> Refusal {
    let (path, code, message) = match fault {
        SignUpFault::Unknown => {
            let (path, message) = match &report.came {
                CameBy::Clicks(ids) if ids.is_empty() => ("input.clickId", "This is no click's id: one begins with \"click_\"."),
                CameBy::Clicks(_) => (
                    "input.clickId",
                    "No click of this id is known. One that has just happened is known a moment later: send it again.",
                ),
                CameBy::LinkKey(_) => ("input.linkKey", "There is no link of this key."),
                CameBy::CouponCode(_) => ("input.couponCode", "No link has this coupon code."),
            };
            (path, FaultCode::NotFound, message.to_owned())
        }
        SignUpFault::OtherLink => {
            let message = "The customer's sign-up of this name was recorded by another link, and what is recorded stays. Use another name for something else.";
            ("input.name", FaultCode::KeyReused, message.to_owned())
        }
        SignUpFault::OtherTime(first) => {
            let message = format!(
                "The customer's sign-up of this name was recorded before as of “{first}”, and what is recorded stays. Use another name for something else."
            );
            ("input.occurredAt", FaultCode::KeyReused, message)
        }
        SignUpFault::TooManyPayments => ("input.occurredAt", FaultCode::OutOfRange, too_many_payments()),
    };
    Refusal::fault(path, code, message)
}

/// What is said where a customer has paid too often before it turned out whose it is.
pub fn too_many_payments() -> String {
    format!(
        "The customer has made more than {} payments since then that earned nothing, and no more are booked at once: assign it by `assignCustomer`.",
        past_payment::MOST
    )
}
