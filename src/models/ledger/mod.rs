//! The ledger: the one module that posts transfers, and what is read from accounts of money. What is read of its transfers
//! is in [`self::transfer`], and of credits in [`super::credits::ledger`].
//!
//! A transfer moves an amount from one of a partner's accounts to another, so the books balance by construction. A trigger keeps
//! the balances; no caller's role may change or delete a transfer.

pub mod books;
pub mod revenue;
pub mod transfer;

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::{
    prelude::*,
    sql_types::{BigInt, Numeric, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use iso_currency::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

use self::books::Books;
use super::scope::Scope;
use crate::{
    db::{
        schema::accounts,
        statement::{Bind, statement},
    },
    ids::{CommissionId, PartnerId, PayoutId, UserId},
};

/// The unit in which credits are counted. All others are currencies (ISO 4217).
pub const CREDIT_UNIT: &str = "CREDIT";

crate::pg_enum! {
    /// What an account holds of a partner's or a user's money.
    pub enum AccountKind {
        /// What the tenant has spent on the partner, below zero: where every amount comes from.
        Expense = "expense",
        /// Commissions that wait for approval.
        Pending = "pending",
        /// Approved commissions that no payout has taken yet. Below zero when what was paid is refunded.
        Payable = "payable",
        /// What payouts hold that are not completed yet.
        InPayout = "in_payout",
        /// What has been paid.
        Paid = "paid",
        /// What a user can take out of their wallet. Below zero when what was taken out is refunded.
        Wallet = "wallet",
        /// What a user has taken out of their wallet.
        TakenOut = "taken_out",
    }
}

crate::pg_enum! {
    /// Why an amount of money moves.
    pub enum TransferKind {
        /// A commission is earned, or what was earned is refunded.
        Earn = "earn",
        /// A pending commission is approved.
        Approve = "approve",
        /// A commission is rejected.
        Reject = "reject",
        /// A commission is moved to another partner.
        MoveOut = "move_out",
        /// A commission comes from another partner.
        MoveIn = "move_in",
        /// A payout takes what is payable.
        Hold = "hold",
        /// A payout that failed, or was cancelled, gives back what it took.
        Release = "release",
        /// A payout is completed.
        Pay = "pay",
        /// A completed payout came back.
        Return = "return",
        /// A user takes money out of their wallet.
        TakeOut = "take_out",
        /// What was taken out of a wallet comes back.
        GiveBack = "give_back",
        /// An operator corrects a wallet.
        Adjust = "adjust",
    }
}

/// What a transfer is about: its source. Each source has one transfer of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A commission.
    Commission(CommissionId),
    /// A move of a commission to another partner, counted from 1.
    Move(CommissionId, i32),
    /// An attempt at a payout.
    Payout(PayoutId, i32),
}

/// A transfer to be posted.
#[derive(Debug, Clone, Copy)]
pub struct Posting {
    /// Whose accounts.
    pub partner: PartnerId,
    /// In which currency.
    pub currency: Currency,
    /// From where.
    pub from: AccountKind,
    /// To where.
    pub to: AccountKind,
    /// How much; below zero goes the other way.
    pub amount: Decimal,
    /// Why.
    pub kind: TransferKind,
    /// Because of what.
    pub source: Source,
}

/// An account's balance.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = accounts)]
pub struct Account {
    /// Whose.
    pub partner_id: PartnerId,
    /// The currency (ISO 4217).
    pub unit: String,
    /// What it holds.
    pub kind: AccountKind,
    /// How much.
    pub balance: Decimal,
}

/// What a partner has earned in one currency, from its accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balances {
    /// Everything earned and not rejected or refunded.
    pub earned: Decimal,
    /// What waits for approval.
    pub pending: Decimal,
    /// What the next payout may take.
    pub payable: Decimal,
    /// What payouts hold.
    pub in_payout: Decimal,
    /// What has been paid.
    pub paid: Decimal,
}

impl Balances {
    /// Earned, and not yet paid.
    pub fn unpaid(&self) -> Decimal {
        self.pending + self.payable + self.in_payout
    }

    fn set(&mut self, kind: AccountKind, balance: Decimal) {
        match kind {
            AccountKind::Expense => self.earned = -balance,
            AccountKind::Pending => self.pending = balance,
            AccountKind::Payable => self.payable = balance,
            AccountKind::InPayout => self.in_payout = balance,
            AccountKind::Paid => self.paid = balance,
            AccountKind::Wallet | AccountKind::TakenOut => {}
        }
    }
}

/// A partner's accounts in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Purse {
    /// Whose.
    pub partner: PartnerId,
    /// In which currency.
    pub currency: Currency,
}

/// A row of the table as it goes in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    pub partner: Uuid,
    pub unit: &'static str,
    pub from: &'static str,
    pub to: &'static str,
    pub amount: Decimal,
    pub kind: &'static str,
    pub event: Option<Uuid>,
    pub payout: Option<Uuid>,
    pub attempt: i32,
    pub member: Option<Uuid>,
    pub grant: Option<Uuid>,
    pub allocation: Option<Uuid>,
    pub redemption: Option<Uuid>,
}

impl Books<'_> {
    /// Posts transfers, in their order but those below zero first: what flows back makes room for what flows on. An amount of
    /// zero moves nothing and is not posted.
    pub async fn post(&self, postings: &[Posting]) -> QueryResult<()> {
        let (back, on): (Vec<&Posting>, Vec<&Posting>) =
            postings.iter().filter(|posting| !posting.amount.is_zero()).partition(|posting| posting.amount.is_sign_negative());
        let entries: Vec<Entry> = back.into_iter().chain(on).map(Posting::entry).collect();
        self.enter(&entries).await
    }

    /// Posts transfers, in their order, by the database's own function: one statement, however many.
    pub(super) async fn enter(&self, entries: &[Entry]) -> QueryResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let texts = |text: fn(&Entry) -> &'static str| Bind::Texts(entries.iter().map(|entry| text(entry).to_owned()).collect());
        let ids = |id: fn(&Entry) -> Option<Uuid>| Bind::OptionalUuids(entries.iter().map(id).collect());
        statement::<Text>(
            "SELECT post_transfers(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)::text",
            vec![
                Bind::Uuid(self.tenant.uuid()),
                Bind::OptionalUuid(self.by.map(UserId::uuid)),
                Bind::Time(self.at),
                Bind::Uuids(entries.iter().map(|entry| entry.partner).collect()),
                texts(|entry| entry.unit),
                texts(|entry| entry.from),
                texts(|entry| entry.to),
                Bind::Decimals(entries.iter().map(|entry| entry.amount).collect()),
                texts(|entry| entry.kind),
                ids(|entry| entry.event),
                ids(|entry| entry.payout),
                Bind::Integers(entries.iter().map(|entry| entry.attempt).collect()),
                ids(|entry| entry.member),
                ids(|entry| entry.grant),
                ids(|entry| entry.allocation),
                ids(|entry| entry.redemption),
            ],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}

impl Posting {
    /// As it goes into the table: above zero, from where it comes.
    fn entry(&self) -> Entry {
        let (from, to) = if self.amount.is_sign_negative() { (self.to, self.from) } else { (self.from, self.to) };
        let (event, payout, attempt) = match self.source {
            Source::Commission(id) => (Some(id.uuid()), None, 1),
            Source::Move(id, number) => (Some(id.uuid()), None, number),
            Source::Payout(id, attempt) => (None, Some(id.uuid()), attempt),
        };
        Entry {
            partner: self.partner.uuid(),
            unit: self.currency.code(),
            from: from.as_str(),
            to: to.as_str(),
            amount: self.amount.abs(),
            kind: self.kind.as_str(),
            event,
            payout,
            attempt,
            ..Entry::default()
        }
    }
}

/// The balances of each purse; one without transfers has none.
pub async fn balances(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    purses: &[Purse],
) -> QueryResult<HashMap<Purse, Balances>> {
    let partners: Vec<PartnerId> = purses.iter().map(|purse| purse.partner).collect();
    let units: Vec<&str> = purses.iter().map(|purse| purse.currency.code()).collect();
    let rows: Vec<Account> = Account::query()
        .filter(accounts::tenant_id.eq(scope.tenant))
        .filter(accounts::partner_id.eq_any(partners))
        .filter(accounts::unit.eq_any(units))
        .load(&mut connection)
        .await?;
    let mut found = HashMap::<Purse, Balances>::new();
    for row in rows.into_iter().filter(|row| scope.includes(row.partner_id)) {
        let Some(currency) = Currency::from_code(&row.unit) else { continue };
        found.entry(Purse { partner: row.partner_id, currency }).or_default().set(row.kind, row.balance);
    }
    Ok(found)
}

/// Each partner's balances in every currency in which something was ever posted, by currency.
pub async fn wallets(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    partners: &[PartnerId],
) -> QueryResult<HashMap<PartnerId, Vec<(Currency, Balances)>>> {
    let rows: Vec<Account> = Account::query()
        .filter(accounts::tenant_id.eq(scope.tenant))
        .filter(accounts::partner_id.eq_any(partners))
        .filter(accounts::unit.ne(CREDIT_UNIT))
        .order((accounts::partner_id, accounts::unit))
        .load(&mut connection)
        .await?;
    let mut wallets = HashMap::<PartnerId, Vec<(Currency, Balances)>>::new();
    for row in rows.into_iter().filter(|row| scope.includes(row.partner_id)) {
        let Some(currency) = Currency::from_code(&row.unit) else { continue };
        let wallet = wallets.entry(row.partner_id).or_default();
        if wallet.last().is_none_or(|(last, _)| *last != currency) {
            wallet.push((currency, Balances::default()));
        }
        if let Some((_, balances)) = wallet.last_mut() {
            balances.set(row.kind, row.balance);
        }
    }
    Ok(wallets)
}

/// All of a partner's accounts that hold something, expenses left out.
pub async fn open_balances(mut connection: &AsyncPgConnection, scope: Scope, partner: PartnerId) -> QueryResult<Vec<Account>> {
    Account::query()
        .filter(accounts::tenant_id.eq(scope.tenant))
        .filter(accounts::partner_id.eq(partner))
        .filter(accounts::kind.eq_any([AccountKind::Pending, AccountKind::Payable, AccountKind::InPayout]))
        .filter(accounts::balance.ne(Decimal::ZERO))
        .order((accounts::unit, accounts::kind))
        .load(&mut connection)
        .await
}

/// A purse's balances at the end of a day, as days end in the tenant's time zone.
pub async fn balances_on(
    mut connection: &AsyncPgConnection,
    scope: Scope,
    purse: Purse,
    day: NaiveDate,
) -> QueryResult<Balances> {
    // One probe of the index for each account, however long its history.
    let rows: Vec<(AccountKind, Decimal)> = statement::<(Text, Numeric)>(
        "SELECT k.kind, d.closing FROM unnest(?) AS k (kind) CROSS JOIN LATERAL (
             SELECT closing FROM account_days
             WHERE tenant_id = ? AND partner_id = ? AND unit = ? AND account_days.kind = k.kind AND day <= ?
             ORDER BY day DESC LIMIT 1) AS d",
        vec![
            Bind::Texts(AccountKind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect()),
            Bind::Uuid(scope.tenant.uuid()),
            Bind::Uuid(purse.partner.uuid()),
            Bind::text(purse.currency.code()),
            Bind::Date(day),
        ],
    )
    .load(&mut connection)
    .await?;
    let mut balances = Balances::default();
    for (kind, balance) in rows {
        balances.set(kind, balance);
    }
    Ok(balances)
}

/// How many transfers have been posted for all tenants since PostgreSQL began to count, some of them rolled back. It counts a moment
/// later than they are posted.
pub async fn postings(mut connection: &AsyncPgConnection) -> QueryResult<i64> {
    statement::<BigInt>("SELECT pg_stat_get_tuples_inserted('public.transfers'::regclass)", vec![])
        .get_result(&mut connection)
        .await
}
