//! What came of a year's clicks: some of those who followed a link signed up, and some of them bought. Recorded by the code that the API uses, in
//! the order of time.

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use fastrand::Rng;
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    Progress,
    names::{COMPANY_HEADS, COMPANY_TAILS},
};
use crate::{
    db::QueryError,
    error::{Error, Result},
    ids::TenantId,
    models::{
        billing::customer::CustomerReport,
        commissions::{booking::InvoicePayment, refund::InvoiceRefund},
        ledger::books::Books,
        programmes::{attribution::CameBy, click::Click, sign_up::SignUpReport},
    },
    money::{Money, minor_units},
};

/// One of so many people signs up.
const SIGN_UP: u32 = 30;

/// One thing that happens.
enum Happening {
    SignUp(SignUpReport),
    Payment(InvoicePayment),
    Refund(InvoiceRefund),
}

/// What was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sold {
    /// Sign-ups.
    pub sign_ups: usize,
    /// Commissions.
    pub commissions: usize,
}

/// Whose sales, in which currency, until when, and what is drawn by lot.
pub struct LinkSales {
    pub tenant: TenantId,
    pub currency: Currency,
    pub seed: u64,
    pub now: DateTime<Utc>,
}

impl LinkSales {
    /// Records what came of clicks that are written.
    pub async fn book(&self, connection: &mut AsyncPgConnection, clicks: &[Click], progress: impl Fn(Progress)) -> Result<Sold> {
        let mut random = Rng::with_seed(self.seed ^ 0x0073_616c_6573);
        let mut happenings = Vec::new();
        for click in clicks.iter().filter(|click| !click.is_bot && !click.is_prefetch) {
            if random.u32(..SIGN_UP) == 0 {
                self.follow(&mut random, click, &mut happenings);
            }
        }
        happenings.retain(|(at, _)| *at < self.now);
        happenings.sort_by_key(|(at, _)| *at);
        progress(Progress::Planned(happenings.len()));
        let mut sold = Sold::default();
        for (at, happening) in &happenings {
            let booked = connection.transaction(async |connection| {
                let books = Books { connection, tenant: self.tenant, by: None, at: *at, writing: None, clock: None };
                Result::<_, QueryError>::Ok(match happening {
                    Happening::SignUp(report) => {
                        books.record_sign_up(report).await?.map(|_| None).map_err(|fault| format!("{fault:?}"))
                    }
                    Happening::Payment(report) => {
                        books.record_payment(report).await?.map(Some).map_err(|fault| format!("{fault:?}"))
                    }
                    Happening::Refund(report) => {
                        books.record_refund(report).await?.map(Some).map_err(|fault| format!("{fault:?}"))
                    }
                })
            });
            let booked = booked.await?;
            match booked.map_err(|fault| Error::internal(format!("what came of a link could not be recorded: {fault}")))? {
                None => sold.sign_ups += 1,
                Some(booked) => sold.commissions += usize::from(booked.commission.is_some()),
            }
            progress(Progress::Done(1));
        }
        Ok(sold)
    }

    /// What somebody does after a click: they sign up within a few days, and half of them pay for some months.
    fn follow(&self, random: &mut Rng, click: &Click, happenings: &mut Vec<(DateTime<Utc>, Happening)>) {
        let number = random.u32(..);
        let pick = |random: &mut Rng, list: &[&str]| list[random.usize(..list.len())].to_owned();
        let (head, tail) = (pick(random, &COMPANY_HEADS), pick(random, &COMPANY_TAILS));
        let external_id = format!("web-{number:08x}");
        let customer = CustomerReport {
            external_id: external_id.clone(),
            name: format!("{head} {tail}"),
            email: Some(format!("{number:x}@{}.example", head.to_lowercase())),
        };
        let signed_up = click.at() + TimeDelta::seconds(random.i64(60..6 * 86_400));
        let report = SignUpReport {
            customer,
            came: CameBy::Clicks(vec![click.id]),
            name: "Sign-up".to_owned(),
            at: Some(signed_up),
            metadata: None,
        };
        happenings.push((signed_up, Happening::SignUp(report)));
        if random.bool() {
            return;
        }
        let scale = Decimal::from(if minor_units(self.currency) == 0 { 100 } else { 1 });
        let amount = Money::rounded(Decimal::from(random.u32(2..30) * 10 - 1) * scale, self.currency);
        let first = signed_up + TimeDelta::seconds(random.i64(600..10 * 86_400));
        for month in 0..random.i64(1..=4) {
            let (invoice, paid_at) = (format!("web-{number:08x}-{month}"), first + TimeDelta::days(30 * month));
            let refunded_at = paid_at + TimeDelta::seconds(random.i64(3_600..10 * 86_400));
            if random.u8(..12) == 0 {
                let report = InvoiceRefund { invoice: invoice.clone(), refunded: amount, refunded_at };
                happenings.push((refunded_at, Happening::Refund(report)));
            }
            let report = InvoicePayment { invoice, customer: external_id.clone(), amount, paid_at, came: None };
            happenings.push((paid_at, Happening::Payment(report)));
        }
    }
}
