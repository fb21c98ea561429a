//! What is said of the source is so: its layers, and the tables of its documents.

mod documents;
mod layers;
mod tree;
