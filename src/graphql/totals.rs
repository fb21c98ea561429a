//! What a whole list comes to, under its filter: by currency, and within it by status.

use std::sync::Arc;

use async_graphql::{Context, Object};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    lists::Summable,
    loaders::BatchKey,
    pagination::{Beside, TotalCount},
    scalars::{CurrencyCode, Money, currency},
};
use crate::{
    error::{Error, Result},
    models::{
        commission::CommissionStatus,
        lead_status::LeadStatus,
        list::{MAX_SUMMED, Sum},
        payout_status::PayoutStatus,
    },
};

/// What the rows of one currency come to; of one status, where it is one.
struct Total<Status> {
    currency: Currency,
    by_status: Vec<Sum<Status>>,
}

impl<Status: Copy + Eq> Total<Status> {
    fn count(&self) -> i64 {
        self.by_status.iter().map(|sum| sum.count).sum()
    }

    fn amount(&self, index: usize) -> Money {
        let amount: Decimal = self.by_status.iter().filter_map(|sum| sum.amounts.get(index)).sum();
        Money::of(amount, self.currency)
    }

    /// Of each status in turn, also of those that no row has.
    fn of_each(&self, statuses: &[Status]) -> Vec<(Status, Self)> {
        let of = |status: Status| self.by_status.iter().filter(|sum| sum.status == status).cloned().collect();
        statuses.iter().map(|&status| (status, Self { currency: self.currency, by_status: of(status) })).collect()
    }
}

/// A list's totals, one of each currency that its rows have.
async fn totals<Status: Copy + Eq>(ctx: &Context<'_>, list: &dyn Summable<Status>) -> Result<Vec<Total<Status>>> {
    let Some(sums) = list.sums(ctx).await? else {
        return Err(Error::BadUserInput(format!(
            "totals: there are more rows than are added up, {MAX_SUMMED} at once for all lists side by side. Narrow the filter down; `stats`, \
             `balances` and `revenueMetrics` have the sums of everything."
        )));
    };
    sums.chunk_by(|one, other| one.currency == other.currency)
        .map(|of_one| Ok(Total { currency: currency(&of_one[0].currency)?, by_status: of_one.to_vec() }))
        .collect()
}

/// Defines what connections of one kind of row have beside these: their number, and what they come to.
macro_rules! beside {
    ($beside:ident, $total:ident, $of_status:ident, $status:ty, $rows:literal; $($(#[$doc:meta])* $amount:ident = $index:literal),+) => {
        #[doc = concat!("What connections of ", $rows, " have beside their rows.")]
        pub struct $beside {
            count: TotalCount,
            list: Arc<dyn Summable<$status>>,
        }

        impl<L: BatchKey<Value = i64> + Summable<$status>> Beside<L> for $beside {
            fn of(list: L) -> Self {
                Self { count: TotalCount::of(list.clone()), list: Arc::new(list) }
            }
        }

        #[Object]
        impl $beside {
            /// How many there are in the whole list, on all pages. Counted only when it is selected.
            async fn total_count(&self, ctx: &Context<'_>) -> Result<i64> {
                self.count.total_count(ctx).await
            }

            /// What the whole list comes to, on all pages: one total for each currency in it. Refused where it has more than 100,000 rows, which lists below several parents
            /// share.
            async fn totals(&self, ctx: &Context<'_>) -> Result<Option<Vec<$total>>> {
                Ok(Some(totals(ctx, &*self.list).await?.into_iter().map($total).collect()))
            }
        }

        #[doc = concat!("What ", $rows, " of one currency come to.")]
        pub struct $total(Total<$status>);

        #[doc = concat!("What the ", $rows, " of a list come to that are in one currency.")]
        #[Object]
        impl $total {
            /// The currency of all amounts.
            async fn currency(&self) -> CurrencyCode {
                CurrencyCode(self.0.currency)
            }

            /// How many they are.
            async fn count(&self) -> i64 {
                self.0.count()
            }

            $($(#[$doc])*
            async fn $amount(&self) -> Money {
                self.0.amount($index)
            })+

            /// The same for each status, also those that none of them has.
            async fn by_status(&self) -> Vec<$of_status> {
                self.0.of_each(<$status>::ALL).into_iter().map(|(status, total)| $of_status(status, total)).collect()
            }
        }

        #[doc = concat!("What ", $rows, " of one currency and status come to.")]
        pub struct $of_status($status, Total<$status>);

        #[doc = concat!("What the ", $rows, " of a list come to that are in one currency and have one status.")]
        #[Object]
        impl $of_status {
            /// The status.
            async fn status(&self) -> $status {
                self.0
            }

            /// How many they are.
            async fn count(&self) -> i64 {
                self.1.count()
            }

            $($(#[$doc])*
            async fn $amount(&self) -> Money {
                self.1.amount($index)
            })+
        }
    };
}

beside!(
    LeadsBeside, LeadTotal, LeadStatusTotal, LeadStatus, "leads";
    /// What their deals are worth; unknown counts as nothing.
    deal_value = 0,
    /// What they earn, or would earn, as the leads say.
    commission = 1
);
beside!(
    CommissionsBeside, CommissionTotal, CommissionStatusTotal, CommissionStatus, "commissions";
    /// Their sum: what takes money away counts below zero.
    amount = 0
);
beside!(
    PayoutsBeside, PayoutTotal, PayoutStatusTotal, PayoutStatus, "payouts";
    /// Their sum.
    amount = 0
);
