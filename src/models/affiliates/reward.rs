//! Rewards: what a user earns when a person whom they referred pays. One for each payment; refunds take back their share, and give it back where
//! they fail.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Nullable, Numeric, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    wallet::{Change, Wallet, WalletPosting},
    wallet_transaction::WalletTransactionKind,
};
use crate::{
    db::{
        schema::{affiliate_rewards, referrals},
        statement::{Bind, statement},
    },
    ids::{AffiliateTermsId, ReferralId, RewardId, TenantId, UserId},
    models::{
        billing::invoice::Invoice,
        commissions::calculation::{Calculation, Formula, Terms},
        ledger::{
            AccountKind, TransferKind,
            books::{Books, overtaken},
        },
        scope::Scope,
    },
    money::{Money, stored_currency},
};

/// The most rewards that maintenance sets free in one transaction.
const DUE_AT_ONCE: i64 = 500;

/// What a payment earns the user who referred its payer.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = affiliate_rewards)]
pub struct Reward {
    /// Its id.
    pub id: RewardId,
    /// Who earns it.
    pub user_id: UserId,
    /// By which referral.
    pub referral_id: ReferralId,
    /// By which version of the terms.
    pub terms_id: AffiliateTermsId,
    /// The invoice's id in the billing system.
    pub invoice_id: String,
    /// The currency (ISO 4217).
    pub currency: String,
    /// What was paid.
    pub base: Decimal,
    /// How much of that has been refunded in all.
    pub refunded: Decimal,
    /// The share of the rest.
    pub amount: Decimal,
    /// Whether it is held back.
    pub is_held: bool,
    /// Until when it is, or was.
    pub due_at: Option<DateTime<Utc>>,
    /// When the payment was.
    pub paid_at: DateTime<Utc>,
}

/// What a share of an amount is: rounded once, at the end, half to even.
pub fn share_of(share: Decimal, base: Money) -> Calculation {
    Formula { terms: Terms::Percentage(share), cap: None }.calculate(base, Decimal::ZERO)
}

/// A referral that held at a payment, its referrer, and by which terms it earns something: none where a switch is off, or the time has passed.
type InForce = (ReferralId, UserId, Option<(AffiliateTermsId, Decimal)>);

impl Reward {
    /// Those of `ids` that are in scope.
    pub async fn by_ids(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        ids: &[RewardId],
    ) -> QueryResult<HashMap<RewardId, Self>> {
        let query = Self::query().filter(affiliate_rewards::tenant_id.eq(scope.tenant)).filter(affiliate_rewards::id.eq_any(ids));
        let rows: Vec<Self> = query.load(&mut connection).await?;
        Ok(rows.into_iter().filter(|row| scope.includes_user(row.user_id)).map(|row| (row.id, row)).collect())
    }

    async fn by_invoice(mut connection: &AsyncPgConnection, tenant: TenantId, invoice: &str) -> QueryResult<Option<Self>> {
        let query =
            Self::query().filter(affiliate_rewards::tenant_id.eq(tenant)).filter(affiliate_rewards::invoice_id.eq(invoice));
        query.first(&mut connection).await.optional()
    }

    fn wallet(&self) -> QueryResult<Wallet> {
        Ok(Wallet { user: self.user_id, currency: stored_currency(&self.currency)? })
    }
}

/// The query of the referral of a payer that holds at an instant, and of the terms by which it earns something then. Billing systems report whole seconds:
/// for such an instant it holds from the second in which it began, and so do the terms and the switch. Its parameters: the instant, the tenant, the payer.
pub(super) fn in_force(at: &str, tenant: &str, payer: &str) -> String {
    let begun = |column| {
        format!(
            "CASE WHEN paid.at = date_trunc('second', paid.at) THEN date_trunc('second', {column}) ELSE {column} END <= paid.at"
        )
    };
    let [referral, terms, period] = ["r.valid_from", "l.valid_from", "p.active_from"].map(begun);
    format!(
        "SELECT r.id AS referral_id, r.referrer_id, t.id AS terms_id, t.share
         FROM (SELECT {at} AS at) AS paid
         JOIN referrals r ON r.tenant_id = {tenant} AND r.user_id = {payer} AND {referral}
             AND (r.valid_to IS NULL OR r.valid_to > paid.at)
         LEFT JOIN LATERAL (
             SELECT l.id, l.share, l.validity_days, l.is_active FROM affiliate_terms l
             WHERE l.tenant_id = r.tenant_id AND {terms} ORDER BY l.valid_from DESC LIMIT 1) AS t
             ON t.is_active AND (t.validity_days IS NULL OR paid.at < r.signed_up_at + make_interval(hours => 24 * t.validity_days))
             AND EXISTS (SELECT FROM affiliate_periods p WHERE p.tenant_id = r.tenant_id AND p.user_id = r.referrer_id
                 AND {period} AND (p.active_to IS NULL OR p.active_to > paid.at))
         ORDER BY r.valid_from DESC LIMIT 1"
    )
}

/// What each referral has brought so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferralSum {
    /// The currency (ISO 4217).
    pub currency: String,
    /// What the person paid by what earned something, less refunds.
    pub sales: Decimal,
    /// What their referrer has earned.
    pub earned: Decimal,
}

/// What each referral has brought, by currency.
pub async fn sums_by_referrals(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    referrals: &[ReferralId],
) -> QueryResult<HashMap<ReferralId, Vec<ReferralSum>>> {
    let user = scope.user.map_or("", |_| "AND user_id = ?");
    let mut binds =
        vec![Bind::Uuid(scope.tenant.uuid()), Bind::Uuids(referrals.iter().map(|referral| referral.uuid()).collect())];
    binds.extend(scope.user.map(|user| Bind::Uuid(user.uuid())));
    let rows: Vec<(ReferralId, String, Decimal, Decimal)> = statement::<(SqlUuid, diesel::sql_types::Text, Numeric, Numeric)>(
        format!(
            "SELECT referral_id, currency, sum(base - refunded), sum(amount) FROM affiliate_rewards
                 WHERE tenant_id = ? AND referral_id = ANY (?) {user} GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        binds,
    )
    .load(&mut connection)
    .await?;
    let mut found = HashMap::<ReferralId, Vec<ReferralSum>>::new();
    for (referral, currency, sales, earned) in rows {
        found.entry(referral).or_default().push(ReferralSum { currency, sales, earned });
    }
    Ok(found)
}

impl Books<'_> {
    /// Books what a user's payment earns the user who referred them, once, less what was refunded of it already. The invoice's row is locked, and so are
    /// the books of partners that the payment touches.
    pub(in crate::models) async fn reward(&self, payer: Option<UserId>, invoice: &Invoice) -> QueryResult<()> {
        let (Some(payer), Some(paid), Some(paid_at)) = (payer, invoice.amount, invoice.paid_at) else { return Ok(()) };
        // A clock that is ahead earns nobody anything, and costs nobody anything.
        let Some((_, referrer, _)) = self.referral_in_force(payer, paid_at.min(self.at)).await? else { return Ok(()) };
        self.lock_wallets(&[referrer]).await?;
        self.hold_terms().await?;
        // Read again: an operator or the affiliate may have changed it meanwhile.
        let books = self.after_locks();
        let Some((referral, known, terms)) = books.referral_in_force(payer, paid_at.min(books.at)).await? else { return Ok(()) };
        if known != referrer {
            return Err(overtaken("the referrer was corrected while the wallet was waited for"));
        }
        self.note_payment(referral, paid_at).await?;
        let Some((terms, share)) = terms else { return Ok(()) };
        let currency = stored_currency(&invoice.currency)?;
        let base = Money::rounded(paid, currency);
        let held_until = self.held_until(paid_at).await?;
        let reward = Reward {
            id: RewardId::new(),
            user_id: referrer,
            referral_id: referral,
            terms_id: terms,
            invoice_id: invoice.external_id.clone(),
            currency: invoice.currency.clone(),
            base: base.amount,
            refunded: Decimal::ZERO,
            amount: share_of(share, base).amount,
            is_held: held_until.is_some(),
            due_at: held_until,
            paid_at,
        };
        if books.add_reward(&reward).await? {
            let mut change = Change::now(&books, WalletTransactionKind::Reward, reward.amount);
            change.sales = reward.base;
            change.is_held = reward.is_held;
            change.reward = Some(reward.id);
            change.at = paid_at;
            books.change_wallet(reward.wallet()?, change).await?;
            books.settle_reward(&reward, share, invoice.refunded, invoice.refunded_at.unwrap_or(paid_at)).await?;
        }
        Ok(())
    }

    /// Lets the reward of a payment follow what has been refunded of it. Locked as by [`Books::reward`].
    pub(in crate::models) async fn refund_reward(&self, invoice: &str, refunded: Decimal, at: DateTime<Utc>) -> QueryResult<()> {
        let Some(known) = Reward::by_invoice(self.connection, self.tenant, invoice).await? else { return Ok(()) };
        self.lock_wallets(&[known.user_id]).await?;
        // Read again under the lock: it may have been set free meanwhile.
        let Some(reward) = Reward::by_invoice(self.connection, self.tenant, invoice).await? else { return Ok(()) };
        let terms = super::terms::AffiliateTerms::by_ids(self.connection, Scope::tenant(self.tenant), &[reward.terms_id]).await?;
        let share = terms.get(&reward.terms_id).map_or(Decimal::ZERO, |terms| terms.share);
        self.after_locks().settle_reward(&reward, share, refunded, at).await
    }

    /// Brings a reward, whose wallet is locked, to the share of what was not refunded: whatever came before, it ends the same.
    async fn settle_reward(&self, reward: &Reward, share: Decimal, refunded: Decimal, at: DateTime<Utc>) -> QueryResult<()> {
        let refunded = refunded.min(reward.base);
        if refunded == reward.refunded {
            return Ok(());
        }
        let wallet = reward.wallet()?;
        let amount = share_of(share, Money::rounded(reward.base - refunded, wallet.currency)).amount;
        diesel::update(affiliate_rewards::table)
            .filter(affiliate_rewards::tenant_id.eq(self.tenant))
            .filter(affiliate_rewards::id.eq(reward.id))
            .set((
                affiliate_rewards::refunded.eq(refunded),
                affiliate_rewards::amount.eq(amount),
                affiliate_rewards::updated_at.eq(self.at),
            ))
            .execute(&mut &*self.connection)
            .await?;
        let mut change = Change::now(self, WalletTransactionKind::Refund, amount - reward.amount);
        change.sales = reward.refunded - refunded;
        change.is_held = reward.is_held;
        change.reward = Some(reward.id);
        change.at = at.max(reward.paid_at);
        self.change_wallet(wallet, change).await.map(drop)
    }

    /// Sets free what has been held long enough, of one user at a time; gives how many rewards, or `None` when nothing is due.
    pub async fn release_rewards(&self) -> QueryResult<Option<usize>> {
        let due = || {
            affiliate_rewards::table
                .filter(affiliate_rewards::tenant_id.eq(self.tenant))
                .filter(affiliate_rewards::is_held)
                .filter(affiliate_rewards::due_at.le(self.at))
        };
        let query = due().order(affiliate_rewards::due_at).select(affiliate_rewards::user_id);
        let Some(user) = query.first::<UserId>(&mut &*self.connection).await.optional()? else { return Ok(None) };
        self.lock_wallets(&[user]).await?;
        let query = due().filter(affiliate_rewards::user_id.eq(user)).order((affiliate_rewards::due_at, affiliate_rewards::id));
        let rewards: Vec<Reward> = query.limit(DUE_AT_ONCE).select(Reward::as_select()).load(&mut &*self.connection).await?;
        let ids: Vec<RewardId> = rewards.iter().map(|reward| reward.id).collect();
        diesel::update(affiliate_rewards::table)
            .filter(affiliate_rewards::tenant_id.eq(self.tenant))
            .filter(affiliate_rewards::id.eq_any(ids))
            .set((affiliate_rewards::is_held.eq(false), affiliate_rewards::updated_at.eq(self.at)))
            .execute(&mut &*self.connection)
            .await?;
        let mut postings = HashMap::<Wallet, Vec<WalletPosting>>::new();
        for reward in &rewards {
            postings.entry(reward.wallet()?).or_default().push(WalletPosting {
                from: AccountKind::Pending,
                to: AccountKind::Wallet,
                amount: reward.amount,
                kind: TransferKind::Approve,
                transaction: None,
                reward: Some(reward.id),
            });
        }
        for (wallet, postings) in postings {
            self.post_in_wallet(wallet, &postings).await?;
        }
        Ok(Some(rewards.len()))
    }

    /// The referral that holds at a payment.
    async fn referral_in_force(&self, payer: UserId, paid_at: DateTime<Utc>) -> QueryResult<Option<InForce>> {
        let row: Option<(ReferralId, UserId, Option<Uuid>, Option<Decimal>)> =
            statement::<(SqlUuid, SqlUuid, Nullable<SqlUuid>, Nullable<Numeric>)>(
                format!(
                    "SELECT referral_id, referrer_id, terms_id, share FROM ({}) AS found",
                    in_force("?::timestamptz", "?", "?")
                ),
                vec![Bind::Time(paid_at), Bind::Uuid(self.tenant.uuid()), Bind::Uuid(payer.uuid())],
            )
            .get_result(&mut &*self.connection)
            .await
            .optional()?;
        Ok(row.map(|(referral, referrer, terms, share)| (referral, referrer, terms.map(AffiliateTermsId::from).zip(share))))
    }

    async fn note_payment(&self, referral: ReferralId, paid_at: DateTime<Utc>) -> QueryResult<()> {
        diesel::update(referrals::table.filter(referrals::tenant_id.eq(self.tenant)).filter(referrals::id.eq(referral)))
            .filter(referrals::first_paid_at.is_null().or(referrals::first_paid_at.gt(paid_at)))
            .set(referrals::first_paid_at.eq(paid_at))
            .execute(&mut &*self.connection)
            .await
            .map(drop)
    }

    /// Writes a reward; whether the payment had none yet.
    async fn add_reward(&self, reward: &Reward) -> QueryResult<bool> {
        let added = diesel::insert_into(affiliate_rewards::table)
            .values((
                affiliate_rewards::tenant_id.eq(self.tenant),
                affiliate_rewards::id.eq(reward.id),
                affiliate_rewards::user_id.eq(reward.user_id),
                affiliate_rewards::referral_id.eq(reward.referral_id),
                affiliate_rewards::terms_id.eq(reward.terms_id),
                affiliate_rewards::invoice_id.eq(&reward.invoice_id),
                affiliate_rewards::currency.eq(&reward.currency),
                affiliate_rewards::base.eq(reward.base),
                affiliate_rewards::amount.eq(reward.amount),
                affiliate_rewards::is_held.eq(reward.is_held),
                affiliate_rewards::due_at.eq(reward.due_at),
                affiliate_rewards::paid_at.eq(reward.paid_at),
                affiliate_rewards::created_at.eq(self.at),
                affiliate_rewards::updated_at.eq(self.at),
            ))
            .on_conflict_do_nothing()
            .execute(&mut &*self.connection)
            .await?;
        Ok(added > 0)
    }
}
