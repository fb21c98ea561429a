//! What the types of the schema are made with, and knows none of them: rows and lists, loaders, pages, scalars, ids, errors, and how answers are written.

pub mod act;
pub mod arguments;
pub mod context;
pub mod error_codes;
pub mod ids;
pub mod json;
pub mod lists;
pub mod loaders;
pub mod null_on_error;
pub mod pagination;
pub mod period;
pub mod quiet;
pub mod row;
pub mod scalars;
pub mod subscription_step;
pub mod totals;
pub mod user_errors;
