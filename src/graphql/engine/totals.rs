//! What a whole list comes to, under its filter: by currency, and within it by status.

use async_graphql::Context;
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    lists::Summable,
    scalars::{Money, currency},
};
use crate::{
    error::{Error, Result},
    models::list::{MAX_SUMMED, Sum},
};

/// What the rows of one currency come to; of one status, where it is one.
pub struct Total<Status> {
    currency: Currency,
    by_status: Vec<Sum<Status>>,
}

impl<Status: Copy + Eq> Total<Status> {
    /// In which currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// How many they are.
    pub fn count(&self) -> i64 {
        self.by_status.iter().map(|sum| sum.count).sum()
    }

    /// The sum of one of the amounts, by its index.
    pub fn amount(&self, index: usize) -> Money {
        let amount: Decimal = self.by_status.iter().filter_map(|sum| sum.amounts.get(index)).sum();
        Money::of(amount, self.currency)
    }

    /// Of each status in turn, also of those that no row has.
    pub fn of_each(&self, statuses: &[Status]) -> Vec<(Status, Self)> {
        let of = |status: Status| self.by_status.iter().filter(|sum| sum.status == status).cloned().collect();
        statuses.iter().map(|&status| (status, Self { currency: self.currency, by_status: of(status) })).collect()
    }
}

/// A list's totals, one of each currency that its rows have.
pub async fn totals<Status: Copy + Eq>(ctx: &Context<'_>, list: &dyn Summable<Status>) -> Result<Vec<Total<Status>>> {
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
            count: $crate::graphql::engine::pagination::TotalCount,
            list: std::sync::Arc<dyn $crate::graphql::engine::lists::Summable<$status>>,
        }

        impl<L: $crate::graphql::engine::loaders::BatchKey<Value = i64> + $crate::graphql::engine::lists::Summable<$status>> $crate::graphql::engine::pagination::Beside<L> for $beside {
            fn of(list: L) -> Self {
                Self { count: <$crate::graphql::engine::pagination::TotalCount as $crate::graphql::engine::pagination::Beside<L>>::of(list.clone()), list: Arc::new(list) }
            }
        }

        #[async_graphql::Object]
        impl $beside {
            /// How many there are in the whole list, on all pages. Counted only when it is selected.
            async fn total_count(&self, ctx: &async_graphql::Context<'_>) -> $crate::error::Result<i64> {
                self.count.total_count(ctx).await
            }

            /// What the whole list comes to, on all pages: one total for each currency in it. Refused where it has more than 100,000 rows, which lists below several parents
            /// share.
            async fn totals(&self, ctx: &async_graphql::Context<'_>) -> $crate::error::Result<Option<Vec<$total>>> {
                Ok(Some($crate::graphql::engine::totals::totals(ctx, &*self.list).await?.into_iter().map($total).collect()))
            }
        }

        #[doc = concat!("What ", $rows, " of one currency come to.")]
        pub struct $total($crate::graphql::engine::totals::Total<$status>);

        #[doc = concat!("What the ", $rows, " of a list come to that are in one currency.")]
        #[async_graphql::Object]
        impl $total {
            /// The currency of all amounts.
            async fn currency(&self) -> $crate::graphql::engine::scalars::CurrencyCode {
                $crate::graphql::engine::scalars::CurrencyCode(self.0.currency())
            }

            /// How many they are.
            async fn count(&self) -> i64 {
                self.0.count()
            }

            $($(#[$doc])*
            async fn $amount(&self) -> $crate::graphql::engine::scalars::Money {
                self.0.amount($index)
            })+

            /// The same for each status, also those that none of them has.
            async fn by_status(&self) -> Vec<$of_status> {
                self.0.of_each(<$status>::ALL).into_iter().map(|(status, total)| $of_status(status, total)).collect()
            }
        }

        #[doc = concat!("What ", $rows, " of one currency and status come to.")]
        pub struct $of_status($status, $crate::graphql::engine::totals::Total<$status>);

        #[doc = concat!("What the ", $rows, " of a list come to that are in one currency and have one status.")]
        #[async_graphql::Object]
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
            async fn $amount(&self) -> $crate::graphql::engine::scalars::Money {
                self.1.amount($index)
            })+
        }
    };
}
pub(in crate::graphql) use beside;
