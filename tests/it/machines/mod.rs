//! Several servers on one database, databases that follow another, and versions that follow another.

mod drill;
mod image;
mod lost;
mod publishing;
mod reading;
mod rollout;
mod standbys;
