//! Single values from a database.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// The number that a query gives.
pub async fn number(connection: &mut AsyncPgConnection, sql: &str) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Number {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    let query = diesel::sql_query(format!("SELECT ({sql})::bigint AS number"));
    query.get_result::<Number>(connection).await.unwrap_or_else(|error| panic!("{error}: {sql}")).number
}

/// The text that a query gives; empty for NULL.
pub async fn text(connection: &mut AsyncPgConnection, sql: &str) -> String {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<Text>)]
        text: Option<String>,
    }
    let query = diesel::sql_query(format!("SELECT ({sql})::text AS text"));
    query.get_result::<Row>(connection).await.unwrap_or_else(|error| panic!("{error}: {sql}")).text.unwrap_or_default()
}
