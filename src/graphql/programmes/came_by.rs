//! How a customer came, as the shop says it in its reports.

use async_graphql::ID;

use crate::{
    graphql::engine::user_errors::MAX_KEY,
    ids::ClickId,
    models::programmes::attribution::CameBy,
    validation::{FaultCode, Faults, line},
};

/// The most clicks of one visitor that are looked at.
const MAX_CLICKS: usize = 20;

/// What a report says of how a customer came.
pub struct CameByInput {
    /// The click's id.
    pub click_id: Option<ID>,
    /// Others of the same visitor.
    pub other_click_ids: Option<Vec<ID>>,
    /// A link's key.
    pub link_key: Option<String>,
    /// A coupon code.
    pub coupon_code: Option<String>,
}

impl CameByInput {
    /// How they came; `None` where nothing is said. What looks like no click's id is one that is not known: it comes from an address that
    /// anybody can write. More than one way is a fault.
    pub fn checked(self, faults: &mut Faults) -> Option<CameBy> {
        let clicks = self.click_id.into_iter().chain(self.other_click_ids.into_iter().flatten());
        let clicks: Vec<ID> = clicks.filter(|id| !id.trim().is_empty()).collect();
        let is_said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
        let ways = [!clicks.is_empty(), is_said(&self.link_key), is_said(&self.coupon_code)];
        if ways.iter().filter(|way| **way).count() > 1 {
            let message = "Say one of clicks, link and coupon code: which of them should count is for the shop to decide.";
            faults.add("input.clickId", FaultCode::Invalid, message);
            return None;
        }
        if clicks.len() > MAX_CLICKS {
            let message = format!("At most {MAX_CLICKS} clicks of a visitor are looked at; there are {}.", clicks.len());
            faults.add("input.otherClickIds", FaultCode::OutOfRange, message);
            return None;
        }
        if ways[0] {
            return Some(CameBy::Clicks(
                clicks.iter().filter_map(|id| id.trim().to_ascii_lowercase().parse::<ClickId>().ok()).collect(),
            ));
        }
        if ways[1] {
            return faults.check("input.linkKey", line(&self.link_key?, MAX_KEY)).map(CameBy::LinkKey);
        }
        if ways[2] {
            return faults.check("input.couponCode", line(&self.coupon_code?, MAX_KEY)).map(CameBy::CouponCode);
        }
        None
    }
}
