//! Invite codes: made for every user by the database, or chosen; old ones stay their user's.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_types::{Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::{
        schema::invite_codes,
        statement::{Bind, condition, statement},
    },
    ids::{TenantId, UserId},
    models::{ledger::books::Books, page::group, scope::Scope},
};

/// The most codes of one user: each is taken from all others for good.
pub const MOST: usize = 20;
/// Codes that nobody can choose: they would pass for the company's own.
const RESERVED: [&str; 12] =
    ["admin", "api", "app", "help", "invite", "login", "official", "portal", "security", "signup", "sign-up", "support"];

/// An invite code.
#[derive(Debug, Clone, PartialEq, Eq, HasQuery)]
#[diesel(table_name = invite_codes)]
pub struct InviteCode {
    /// Whose.
    pub user_id: UserId,
    /// As it is shown.
    pub code: String,
    /// Whether it is the one that its user gives out now.
    pub is_current: bool,
    /// When it was made or chosen.
    pub created_at: DateTime<Utc>,
}

/// Why no code was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeFault {
    /// It is another user's, or looks like one.
    Taken,
    /// It would pass for the company's own.
    Reserved,
    /// The user has [`MOST`] codes.
    TooMany,
}

/// A code without spaces, and without dashes of whichever length.
fn plain(code: &str) -> String {
    code.chars()
        .filter(|letter| !letter.is_whitespace() && !matches!(letter, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}'))
        .collect()
}

/// A code as it is compared: as by the database's own `invite_code_key`.
fn key(code: &str) -> String {
    let compared = |letter: char| match letter.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    code.chars().filter(|letter| *letter != '-').map(compared).collect()
}

impl InviteCode {
    /// Each user's codes, the current one first, then the latest first.
    pub async fn by_users(
        mut connection: &AsyncPgConnection,
        scope: Scope,
        users: &[UserId],
    ) -> QueryResult<HashMap<UserId, Vec<Self>>> {
        let rows: Vec<Self> = Self::query()
            .filter(invite_codes::tenant_id.eq(scope.tenant))
            .filter(invite_codes::user_id.eq_any(users))
            .order((invite_codes::user_id, invite_codes::is_current.desc(), invite_codes::created_at.desc()))
            .load(&mut connection)
            .await?;
        Ok(group(rows.into_iter().filter(|row| scope.includes_user(row.user_id)).map(|row| (row.user_id, row)).collect()))
    }

    /// Whose a code is, compared as Crockford's base 32 is read; `None` where it is nobody's. It takes the same time either way.
    pub async fn owner(mut connection: &AsyncPgConnection, tenant: TenantId, code: &str) -> QueryResult<Option<UserId>> {
        statement::<Nullable<SqlUuid>>(
            "SELECT user_of_invite_code(?, ?)",
            vec![Bind::Uuid(tenant.uuid()), Bind::text(plain(code))],
        )
        .get_result(&mut connection)
        .await
    }
}

impl Books<'_> {
    /// A user's codes; nobody else changes them until the transaction ends.
    async fn lock_codes(&self, user: UserId) -> QueryResult<Vec<InviteCode>> {
        self.lock_wallets(&[user]).await?;
        Ok(InviteCode::by_users(self.connection, Scope::tenant(self.tenant), &[user]).await?.remove(&user).unwrap_or_default())
    }

    /// Gives a user a code of their choice, or one of their old ones again; whether it was not the current one already.
    pub async fn choose_invite_code(&self, user: UserId, code: &str) -> QueryResult<Result<bool, CodeFault>> {
        if RESERVED.iter().any(|reserved| key(reserved) == key(code)) {
            return Ok(Err(CodeFault::Reserved));
        }
        let own = self.lock_codes(user).await?;
        if own.iter().any(|known| known.is_current && key(&known.code) == key(code)) {
            return Ok(Ok(false));
        }
        if InviteCode::owner(self.connection, self.tenant, code).await? != Some(user) {
            if own.len() >= MOST {
                return Ok(Err(CodeFault::TooMany));
            }
            let added = diesel::insert_into(invite_codes::table)
                .values((
                    invite_codes::tenant_id.eq(self.tenant),
                    invite_codes::code.eq(code),
                    invite_codes::user_id.eq(user),
                    invite_codes::is_current.eq(false),
                ))
                .on_conflict_do_nothing()
                .execute(&mut &*self.connection)
                .await?;
            if added == 0 {
                return Ok(Err(CodeFault::Taken));
            }
        }
        let of_user =
            || invite_codes::table.filter(invite_codes::tenant_id.eq(self.tenant)).filter(invite_codes::user_id.eq(user));
        // Only one is the current one at any time.
        diesel::update(of_user().filter(invite_codes::is_current))
            .set(invite_codes::is_current.eq(false))
            .execute(&mut &*self.connection)
            .await?;
        diesel::update(of_user().filter(condition("invite_codes.code_key = invite_code_key(?)", vec![Bind::text(code)])))
            .set(invite_codes::is_current.eq(true))
            .execute(&mut &*self.connection)
            .await?;
        Ok(Ok(true))
    }

    /// Makes a user a new code in place of the one that they give out, where that still is `replacing`; whether it was.
    pub async fn renew_invite_code(&self, user: UserId, replacing: &str) -> QueryResult<Result<bool, CodeFault>> {
        let own = self.lock_codes(user).await?;
        if !own.iter().any(|known| known.is_current && known.code == replacing) {
            return Ok(Ok(false));
        }
        if own.len() >= MOST {
            return Ok(Err(CodeFault::TooMany));
        }
        let binds = vec![Bind::Uuid(self.tenant.uuid()), Bind::Uuid(user.uuid())];
        statement::<Text>("SELECT give_invite_code(?, ?)", binds).execute(&mut &*self.connection).await?;
        Ok(Ok(true))
    }
}
