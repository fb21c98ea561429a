//! Several servers on one database, and databases that follow another.

mod publishing;
mod standbys;
