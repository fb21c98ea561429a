//! Mutations of commission rules. A version is never edited: setting one makes the next version, ending one gives it an end.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::{rule::CommissionRule, rule_input::CommissionRuleInput};
use crate::{
    auth::Permission,
    clock::shown,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        refusal::{MAX_KEY, Outcome, Refusal, UserError, outcome, settle},
        scalars::DateTime,
    },
    ids::RuleId,
    models::{
        commissions::rule::{Rule, RuleFault, is_set_at_once},
        idempotency::{Claim, Key, Operation},
        partners::partner::Partner,
    },
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
    /// Sets the rule of a partner, or of the whole programme, for a currency or for all. The version that held before ends where this
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

    /// Ends a rule. From then on the next one decides: the programme's, or the partner's default rate. Needs `COMMISSIONS_MANAGE`.
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
    let viewer = ctx.viewer();
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
    let id = RuleId::new();
    let writing = ctx.write().await?;
    match key.claim(&writing, Operation::SetCommissionRule, viewer.tenant.id, None, id.uuid()).await? {
        Claim::First => {}
        Claim::Replay(first) => return Ok(outcome(writing, false, CommissionRule::by_id(ctx, first.into())).await?),
        Claim::Reused { first, difference } => return Err(Refusal::key_reused(RuleId::from(first), &difference)),
    }
    if let Some(partner) = new.partner_id
        && Partner::by_ids(&writing, viewer.scope(), &[partner]).await?.is_empty()
    {
        return Err(Refusal::not_found("input.partnerId", "partner"));
    }
    let set = match Rule::set(&writing, viewer.tenant.id, id, &new, viewer.user).await {
        Err(error) if is_set_at_once(&error) => {
            let message = "Another rule for the same was set at this very moment. Look at it, and try again.";
            return Err(Refusal::fault("input", FaultCode::Taken, message));
        }
        other => other?,
    };
    set.map_err(|RuleFault::LaterVersion(from)| {
        let from = shown(from);
        let message = format!("A version begins at {from}. Choose a later instant, or end that version first.");
        Refusal::fault("input.validFrom", FaultCode::OutOfRange, message)
    })?;
    Ok(outcome(writing, true, CommissionRule::by_id(ctx, id)).await?)
}

async fn end(ctx: &Context<'_>, input: EndCommissionRuleInput) -> Result<Outcome<CommissionRule>, Refusal> {
    let viewer = ctx.viewer();
    let at = input.at.map_or_else(|| ctx.now(), |at| at.0);
    let writing = ctx.write().await?;
    let found = Rule::by_ids(&writing, viewer.scope(), &[input.id]).await?;
    let rule = found.get(&input.id).ok_or_else(|| Refusal::not_found("input.id", "commission rule"))?;
    if let Some(end) = rule.valid_to.filter(|end| *end <= at.max(rule.valid_from)) {
        // It holds no longer, as is asked for; only another end that is named would be another one.
        if input.at.is_none() || end == at.max(rule.valid_from) {
            return Ok(outcome(writing, false, CommissionRule::by_id(ctx, input.id)).await?);
        }
        let end = shown(end);
        return Err(Refusal::fault("input.at", FaultCode::InvalidTransition, format!("The rule ended at {end} already.")));
    }
    match rule.end(&writing, viewer.tenant.id, at).await {
        Err(error) if is_set_at_once(&error) => {
            let message = "Another version was set at this very moment. Look at it, and try again.";
            return Err(Refusal::fault("input.id", FaultCode::Taken, message));
        }
        ended => ended?,
    }
    Ok(outcome(writing, true, CommissionRule::by_id(ctx, input.id)).await?)
}
