//! Several servers on one database, databases that follow another, and versions that follow another.

mod image;
mod publishing;
mod reading;
mod rollout;
mod standbys;
