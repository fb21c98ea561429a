//! With whom a link's partner shares what is earned by it, as the API shows and takes it.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object};
use serde_json::{Value, json};

use crate::{
    error::Result,
    graphql::{
        engine::{context::ContextExt, loaders::batch_key, row::Row, scalars::Decimal},
        partners::partner::Partner,
    },
    ids::{LinkId, PartnerId},
    models::programmes::link_share::{self, MOST_SHARERS},
    validation::{FaultCode, Faults, rate},
};

const PATH: &str = "input.split";

/// A part of what is earned by a link.
pub struct LinkShare(link_share::LinkShare);

/// A part of what is earned by a link, which another partner has.
#[Object]
impl LinkShare {
    /// The id of the partner that has it.
    async fn partner_id(&self) -> PartnerId {
        self.0.partner_id
    }

    /// That partner. Null where it is not the viewer's to see.
    async fn partner(&self, ctx: &Context<'_>) -> Option<Result<Row<Partner>>> {
        Partner::by_id(ctx, self.0.partner_id).await.transpose()
    }

    /// The part, as a fraction.
    async fn share(&self) -> Decimal {
        Decimal(self.0.share)
    }
}

impl LinkShare {
    /// Those of a link, read together with its siblings'.
    pub async fn of(ctx: &Context<'_>, link: LinkId) -> Result<Vec<Self>> {
        let shares = ctx.load(SharesOf(link)).await?.unwrap_or_default();
        Ok(shares.iter().copied().map(Self).collect())
    }
}

/// A part of what is earned by a link, which another partner is to have.
#[derive(InputObject, Clone)]
pub struct LinkShareInput {
    /// The partner: another one than the link's.
    partner_id: PartnerId,
    /// Its part, as a fraction with at most four digits after the point: `0.3` is thirty per cent.
    share: Decimal,
}

/// All that is asked for, for an idempotency key.
pub fn asked(shares: Option<&[link_share::LinkShare]>) -> Value {
    json!(shares.map(|shares| {
        let one = |share: &link_share::LinkShare| [share.partner_id.to_string(), share.share.normalize().to_string()];
        shares.iter().map(one).collect::<Vec<_>>()
    }))
}

/// The parts, in the order of the partners' ids, or what is wrong with them.
pub fn checked(input: &[LinkShareInput], owner: Option<PartnerId>, faults: &mut Faults) -> Option<Vec<link_share::LinkShare>> {
    if input.len() > MOST_SHARERS {
        let message = format!("Must be at most {MOST_SHARERS} partners; there are {}.", input.len());
        faults.add(PATH, FaultCode::OutOfRange, message);
        return None;
    }
    let mut shares = Vec::with_capacity(input.len());
    for part in input {
        let share = faults.check(PATH, rate(part.share.0))?;
        if share.is_zero() {
            faults.add(PATH, FaultCode::OutOfRange, "A part must be above 0.");
            return None;
        }
        if owner == Some(part.partner_id) {
            faults.add(PATH, FaultCode::Invalid, "The link's own partner has the rest; leave it out.");
            return None;
        }
        shares.push(link_share::LinkShare { partner_id: part.partner_id, share });
    }
    shares.sort_by_key(|share| share.partner_id);
    if shares.windows(2).any(|pair| pair[0].partner_id == pair[1].partner_id) {
        faults.add(PATH, FaultCode::Invalid, "Each partner can have one part.");
        return None;
    }
    let sum: rust_decimal::Decimal = shares.iter().map(|share| share.share).sum();
    if sum >= rust_decimal::Decimal::ONE {
        let message = format!("The parts must be less than 1 together, because the link's partner has the rest; they are {sum}.");
        faults.add(PATH, FaultCode::OutOfRange, message);
        return None;
    }
    Some(shares)
}

batch_key!(SharesOf(LinkId) -> Arc<[link_share::LinkShare]>, link_share::LinkShare::by_links);
