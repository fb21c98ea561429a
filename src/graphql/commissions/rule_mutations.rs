//! Mutations of commission rules. A version is never edited: setting one makes the next version, ending one gives it an end.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::{rule::CommissionRule, rule_input::CommissionRuleInput};
use crate::{
    auth::Permission,
    clock::shown,
    error::Result,
    graphql::{
        engine::{
            context::ContextExt,
            scalars::DateTime,
            user_errors::{MAX_KEY, Outcome, Refusal, UserError, outcome, settle},
        },
        ledger::books::BooksExt,
    },
    ids::RuleId,
    models::{commissions::rule_version::RuleFault, idempotency::Key},
    validation::{FaultCode, Faults, line},
};

/// A rule to be set.
#[derive(InputObject, Clone)]
struct SetCommissionRuleInput {
    #[graphql(flatten)]
    rule: CommissionRuleInput,
    /// The idempotency key, at most 200 characters: sent again, it answers with the first version and sets none.
    idempotency_key: String,
}

/// What became of `setCommissionRule`.
#[derive(SimpleObject)]
struct SetCommissionRulePayload {
    /// The new version. Null where there are user errors.
    rule: Option<CommissionRule>,
    /// Whether the key was used before, and no version was set this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the rule is set.
    user_errors: Vec<UserError>,
}

/// A rule that is to hold no longer.
#[derive(InputObject, Clone)]
struct EndCommissionRuleInput {
    /// The version.
    id: RuleId,
    /// From when on; from now on where it is left out. One that has not begun by then never holds.
    at: Option<DateTime>,
}

/// What became of `endCommissionRule`.
#[derive(SimpleObject)]
struct EndCommissionRulePayload {
    /// The version as it is now. Null where there are user errors.
    rule: Option<CommissionRule>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input. Empty when the rule has an end.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CommissionRuleMutations;

#[Object]
impl CommissionRuleMutations {
    /// Sets the rule of a partner, of a programme, of a partner in a programme, or of all, for a currency or for every one. The version that held before ends where this
    /// one begins, and does not come back when this one has an end; commissions that it made keep it. Needs `COMMISSIONS_MANAGE`.
    async fn set_commission_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule.")] input: SetCommissionRuleInput,
    ) -> Result<Option<SetCommissionRulePayload>> {
        ctx.require(Permission::CommissionsManage)?;
        let ((rule, replayed), user_errors) = settle(ctx, || set(ctx, input.clone())).await?;
        Ok(Some(SetCommissionRulePayload { rule, replayed, user_errors }))
    }

    /// Ends a rule. From then on the next one decides, in this order: the partner's rule in the programme, the partner's, the programme's,
    /// that of all partners, the partner's default rate. Needs `COMMISSIONS_MANAGE`.
    async fn end_commission_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rule.")] input: EndCommissionRuleInput,
    ) -> Result<Option<EndCommissionRulePayload>> {
        ctx.require(Permission::CommissionsManage)?;
        let ((rule, replayed), user_errors) = settle(ctx, || end(ctx, input.clone())).await?;
        Ok(Some(EndCommissionRulePayload { rule, replayed, user_errors }))
    }
}

async fn set(ctx: &Context<'_>, input: SetCommissionRuleInput) -> Result<Outcome<CommissionRule>, Refusal> {
    let mut faults = Faults::default();
    let key = faults.check("input.idempotencyKey", line(&input.idempotency_key, MAX_KEY));
    let request = input.rule.request();
    let new = input.rule.checked("input", ctx.now());
    let (new, key) = match (new, key) {
        (Ok(new), Some(key)) => (new, Key::new(key, request)),
        (Ok(_), None) => return Err(faults.into()),
        (Err(others), _) => {
            faults.extend(others);
            return Err(faults.into());
        }
    };
    let writing = ctx.write().await?;
    let set = ctx.books(&writing).set_rule(ctx.viewer().scope(), &key, &new).await?;
    let (id, is_new) = set.map_err(|fault| match fault {
        RuleFault::SetAtOnce => set_at_once("input", "Another rule for the same"),
        fault => refusal(fault),
    })?;
    Ok(outcome(writing, is_new, CommissionRule::by_id(ctx, id)).await?)
}

async fn end(ctx: &Context<'_>, input: EndCommissionRuleInput) -> Result<Outcome<CommissionRule>, Refusal> {
    let writing = ctx.write().await?;
    let ended = ctx.books(&writing).end_rule(ctx.viewer().scope(), input.id, input.at.map(|at| at.0)).await?;
    let has_changed = ended.map_err(refusal)?;
    Ok(outcome(writing, has_changed, CommissionRule::by_id(ctx, input.id)).await?)
}

fn refusal(fault: RuleFault) -> Refusal {
    match fault {
        RuleFault::NotFound => Refusal::not_found("input.id", "commission rule"),
        RuleFault::UnknownPartner => Refusal::not_found("input.partnerId", "partner"),
        RuleFault::UnknownProgramme => Refusal::not_found("input.programmeId", "programme"),
        RuleFault::NotEnrolled => Refusal::fault(
            "input.programmeId",
            FaultCode::NotEnrolled,
            "The partner does not take part in this programme. Enrol it first, with `enrolPartner`.",
        ),
        RuleFault::LaterVersion(from) => {
            let from = shown(from);
            let message = format!("A version begins at {from}. Choose a later instant, or end that version first.");
            Refusal::fault("input.validFrom", FaultCode::OutOfRange, message)
        }
        RuleFault::SetAtOnce => set_at_once("input.id", "Another version"),
        RuleFault::Ended(end) => {
            let end = shown(end);
            Refusal::fault("input.at", FaultCode::InvalidTransition, format!("The rule ended at {end} already."))
        }
        RuleFault::KeyReused { first, difference } => Refusal::key_reused(first, &difference),
    }
}

fn set_at_once(path: &'static str, what: &str) -> Refusal {
    let message = format!("{what} was set at this very moment. Look at it, and try again.");
    Refusal::fault(path, FaultCode::Taken, message)
}
