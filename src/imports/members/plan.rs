//! What becomes of each row: decided from what is known of the partner and its members, without the database.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};

use super::{
    Import,
    column::Column,
    fault::RowFault,
    table::{FileLine, MemberRow},
};
use crate::{
    ids::MemberId,
    models::{
        credits::assignment::Assignment,
        members::{
            batch::{Changes, Known, KnownMember, Newcomer, Renamed, Wanted},
            member::{MemberStatus, email_key},
        },
    },
    validation::FaultCode,
};

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "MemberImportOutcome")]
pub enum RowOutcome {
    /// The member is new.
    Imported,
    /// The member was there, and was changed or given credits.
    Updated,
    /// There is nothing to do: the row is empty, or what it says is so already.
    Skipped,
    /// The row is at fault, and nothing of it was done.
    Failed,
}

/// What became of a row, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReport {
    /// Its number: the header is row 1, and blank lines are none.
    pub number: u32,
    /// What became of it.
    pub outcome: RowOutcome,
    /// The member; `None` where there is none, or would be a new one.
    pub member: Option<MemberId>,
    /// Credits that were assigned.
    pub credits: i32,
    /// What is wrong with it.
    pub fault: Option<Box<RowFault>>,
}

/// What is decided of some rows.
pub struct Decided {
    /// What is to be done.
    pub changes: Changes,
    /// What is said of each row.
    pub reports: Vec<RowReport>,
}

/// What has been decided so far that matters for what comes.
pub struct Plan<'i> {
    import: &'i Import,
    key: String,
    /// The row in which an address stood first, by the beginning of its digest.
    seen: HashMap<[u8; 16], u32>,
    /// What a dry run would have left of the partner's credits.
    left: Option<i64>,
}

impl<'i> Plan<'i> {
    /// Nothing is decided yet. The key says what credits are assigned once for.
    pub fn new(import: &'i Import, key: String) -> Self {
        Self { import, key, seen: HashMap::new(), left: None }
    }

    /// What must be known to decide these rows.
    pub fn wanted(&self, rows: &[FileLine]) -> Wanted {
        let mut wanted = Wanted::default();
        for read in rows {
            if let FileLine::MemberRow(row) = read {
                let address = email_key(&row.email);
                if row.credits > 0 {
                    wanted.keys.push(self.key_of(&address));
                }
                wanted.addresses.push(address);
            }
        }
        wanted
    }

    /// What credits for an address are assigned once for.
    fn key_of(&self, address: &str) -> String {
        format!("import:{}:{address}", self.key)
    }

    /// Decides rows, in their order. Deciding the same rows once more comes to the same.
    pub fn decide(&mut self, rows: &[FileLine], known: Known) -> Decided {
        let mut decided = Decided { changes: Changes::default(), reports: Vec::with_capacity(rows.len()) };
        let mut balance = if self.import.is_dry_run { self.left.unwrap_or(known.balance) } else { known.balance };
        for read in rows {
            let report = match read {
                FileLine::Empty(number) => RowReport::of(*number, RowOutcome::Skipped),
                FileLine::Faulty(number, fault) => RowReport::failed(*number, fault.clone()),
                FileLine::MemberRow(row) => match self.row(row, &known, &mut balance, &mut decided.changes) {
                    Ok(report) => report,
                    Err(fault) => RowReport::failed(row.number, Box::new(fault)),
                },
            };
            decided.reports.push(report);
        }
        self.left = Some(balance);
        decided
    }

    fn row(&mut self, row: &MemberRow, known: &Known, balance: &mut i64, changes: &mut Changes) -> Result<RowReport, RowFault> {
        let address = email_key(&row.email);
        let email = |code, message: String| RowFault::of_cell(Column::Email, &row.email, code, message);
        let mut mark = [0; 16];
        mark.copy_from_slice(&digest(&SHA256, address.as_bytes()).as_ref()[..16]);
        let first = *self.seen.entry(mark).or_insert(row.number);
        if first != row.number {
            return Err(email(FaultCode::Taken, format!("Row {first} has this address already.")));
        }
        let member = known.members.get(&address);
        if member.is_some_and(|member| member.status == MemberStatus::Inactive) {
            return Err(email(
                FaultCode::MemberInactive,
                "The member is INACTIVE. Take it in again first, with `reactivateMember`.".to_owned(),
            ));
        }
        let credits = self.credits(row, &address, member, known, *balance)?;
        *balance -= i64::from(credits);
        let id = member.map_or_else(MemberId::new, |member| member.id);
        if credits > 0 {
            let key = Some(self.key_of(&address));
            changes.assignments.push(Assignment { member: id, credits, valid_days: self.import.valid_days, key });
        }
        let (first_name, last_name) = (row.first_name.clone(), row.last_name.clone());
        let outcome = match member {
            None => {
                changes.newcomers.push(Newcomer { id, email: row.email.clone(), first_name, last_name });
                RowOutcome::Imported
            }
            Some(member) if member.is_called(row) => {
                if credits > 0 {
                    RowOutcome::Updated
                } else {
                    RowOutcome::Skipped
                }
            }
            Some(_) => {
                changes.renamed.push(Renamed { id, first_name, last_name });
                RowOutcome::Updated
            }
        };
        let member = Some(id).filter(|_| member.is_some() || !self.import.is_dry_run);
        Ok(RowReport { member, credits, ..RowReport::of(row.number, outcome) })
    }

    /// How many credits the row assigns: none where they were assigned for the same key before.
    fn credits(
        &self,
        row: &MemberRow,
        address: &str,
        member: Option<&KnownMember>,
        known: &Known,
        balance: i64,
    ) -> Result<i32, RowFault> {
        let refused = |code, message: String| RowFault::of_cell(Column::Credits, &row.credits.to_string(), code, message);
        if row.credits == 0 {
            return Ok(0);
        }
        if !self.import.may_assign {
            let message = "Only the partner itself assigns credits. Leave the cell empty.".to_owned();
            return Err(refused(FaultCode::Invalid, message));
        }
        if let Some(first) = known.assigned.get(&self.key_of(address)) {
            let is_same = member.map(|member| member.id) == Some(first.member)
                && (first.credits, first.valid_days) == (row.credits, self.import.valid_days);
            if is_same {
                return Ok(0);
            }
            let message = format!(
                "{} credits for {} days were assigned to this address by an import with the same key. Use another key for more.",
                first.credits, first.valid_days
            );
            return Err(refused(FaultCode::KeyReused, message));
        }
        if !known.is_active {
            return Err(refused(FaultCode::PartnerInactive, "The partner is not ACTIVE, and assigns no credits.".to_owned()));
        }
        if i64::from(row.credits) > balance {
            let message = format!("The partner has {balance} credits left to assign.");
            return Err(refused(FaultCode::InsufficientCredits, message));
        }
        Ok(row.credits)
    }
}

impl KnownMember {
    /// Whether the row says nothing else; a last name that it leaves out stays.
    fn is_called(&self, row: &MemberRow) -> bool {
        self.first_name == row.first_name && (row.last_name.is_none() || self.last_name == row.last_name)
    }
}

impl RowReport {
    fn of(number: u32, outcome: RowOutcome) -> Self {
        Self { number, outcome, member: None, credits: 0, fault: None }
    }

    fn failed(number: u32, fault: Box<RowFault>) -> Self {
        Self { fault: Some(fault), ..Self::of(number, RowOutcome::Failed) }
    }
}
