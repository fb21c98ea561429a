//! Several servers on one database, databases that follow another, and versions that follow another.

mod backup;
mod clusters;
mod drill;
mod drill_moving;
mod image;
mod lost;
mod moving;
mod publishing;
mod reading;
mod rollout;
mod standbys;
mod versions;
