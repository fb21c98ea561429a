//! Programmes: what a tenant offers for one shop, the partners that are enrolled, and the links that they share.

pub mod address;
pub mod attribution;
pub mod click;
pub mod click_list;
pub mod enrolment;
pub mod figures;
pub mod figures_over_time;
pub mod host;
pub mod link;
pub mod link_change;
pub mod link_event;
pub mod link_list;
pub mod link_request;
pub mod link_share;
pub mod programme;
pub mod programme_rate;
pub mod quote;
pub mod sign_up;
pub mod sign_up_list;
