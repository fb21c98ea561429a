//! The mutation that imports members from a CSV file.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::member::Member;
use crate::{
    auth::Permission,
    error::Result,
    graphql::engine::{
        context::ContextExt,
        row::Row,
        scalars::Upload,
        user_errors::{Refusal, UserError, own_partner, settled},
    },
    ids::PartnerId,
    imports::members::{
        Import, MAX_KEY, MemberFile, Progress, Summary,
        column::Column,
        fault::RowFault,
        plan::{RowOutcome, RowReport},
    },
    models::{credits::assignment::valid_days, partners::partner::Partner},
    validation::{FaultCode, Faults, line},
};

/// Members in a CSV file.
///
/// The first row names the columns, in any order and spelling of case and blanks: `email`, `first name`, `last name` (may be missing),
/// `credits` (how many to assign to the member; may be missing). Others are ignored. UTF-8, or UTF-16 with a byte-order mark; separated by commas, semicolons or tabs, at most
/// 50,000 rows and 10 MB.
#[derive(InputObject)]
struct ImportMembersInput {
    /// Whose members. Operators must name a partner; for others it is their own.
    partner_id: Option<PartnerId>,
    /// The file, in a multipart request (the GraphQL multipart request specification).
    file: Option<Upload>,
    /// The file's text, instead of `file`. The whole request may have 1 MB, and the time of any other operation.
    csv: Option<String>,
    /// Whether only to say what would happen, and to write nothing.
    #[graphql(default)]
    dry_run: bool,
    /// For how many days of 24 hours the credits can be used: 1 to 3,650.
    #[graphql(default = 90)]
    valid_days: i32,
    /// A name for this hand-out of credits, at most 64 characters: an address is given a row's credits once under it. Where it is left out,
    /// it is made of the file's rows, so that the same file again changes nothing more; for a corrected file give the `idempotencyKey` of
    /// the first answer.
    idempotency_key: Option<String>,
}

/// What became of `importMembers`.
#[derive(SimpleObject)]
struct ImportMembersPayload {
    /// What became of the rows. Null where there are user errors.
    import: Option<MemberImport>,
    /// Whether all was so before, and nothing was changed this time.
    replayed: bool,
    /// What is wrong with the input, or with the file as a whole. Empty when each row has its own report.
    user_errors: Vec<UserError>,
}

/// What became of a file.
struct MemberImport {
    is_dry_run: bool,
    summary: Summary,
    reports: Vec<RowReport>,
}

impl MemberImport {
    /// Whether each row was done before.
    fn changed_nothing(&self) -> bool {
        !self.is_dry_run && self.summary.rows > 0 && self.summary.skipped == self.summary.rows
    }
}

/// What became of a file of members, row by row. In a dry run: what would.
#[Object]
impl MemberImport {
    /// Whether nothing was written.
    async fn dry_run(&self) -> bool {
        self.is_dry_run
    }

    /// How many rows the file has, without the header and blank lines.
    async fn row_count(&self) -> u32 {
        self.summary.rows
    }

    /// How many members are new.
    async fn imported(&self) -> u32 {
        self.summary.imported
    }

    /// How many members were there, and were changed or given credits.
    async fn updated(&self) -> u32 {
        self.summary.updated
    }

    /// How many rows had nothing to do.
    async fn skipped(&self) -> u32 {
        self.summary.skipped
    }

    /// How many rows are at fault.
    async fn failed(&self) -> u32 {
        self.summary.failed
    }

    /// How many credits were assigned.
    async fn credits_assigned(&self) -> i64 {
        self.summary.credits_assigned
    }

    /// The name of this hand-out of credits. Give it with a corrected file, so that nobody is given the same credits twice.
    async fn idempotency_key(&self) -> &str {
        &self.summary.key
    }

    /// The columns that mean nothing here, and were left aside.
    async fn ignored_columns(&self) -> &[String] {
        &self.summary.ignored_columns
    }

    /// What became of each row, in the order of the file.
    async fn rows(
        &self,
        #[graphql(default = 100, desc = "The first so many, at most 50,000. More than there are, are all.")] first: i32,
        #[graphql(desc = "Only those of these outcomes.")] outcome: Option<Vec<RowOutcome>>,
    ) -> Vec<MemberImportRow> {
        let wanted = |report: &&RowReport| outcome.as_ref().is_none_or(|outcomes| outcomes.contains(&report.outcome));
        // What was imported is imported: no number is a reason for no report.
        let first = usize::try_from(first).unwrap_or(0);
        self.reports.iter().filter(wanted).take(first).cloned().map(MemberImportRow).collect()
    }
}

/// What became of a row.
struct MemberImportRow(RowReport);

/// What became of one row of a file.
#[Object]
impl MemberImportRow {
    /// Its number: the header is row 1, and blank lines are none.
    async fn row(&self) -> u32 {
        self.0.number
    }

    /// What became of it.
    async fn outcome(&self) -> RowOutcome {
        self.0.outcome
    }

    /// The member. Null where the row is at fault or empty, and in a dry run where it would be a new one.
    async fn member(&self, ctx: &Context<'_>) -> Option<Result<Row<Member>>> {
        Member::by_id(ctx, self.0.member?).await.transpose()
    }

    /// How many credits were assigned.
    async fn credits_assigned(&self) -> i32 {
        self.0.credits
    }

    /// What kind of fault the row has. Null where it has none.
    async fn code(&self) -> Option<FaultCode> {
        Some(self.fault()?.code)
    }

    /// What is wrong with it, and what would be right. Null where nothing is.
    async fn message(&self) -> Option<&str> {
        Some(&self.fault()?.message)
    }

    /// The cell that is at fault. Null where none is, or the row is as a whole.
    async fn cell(&self) -> Option<MemberImportCell> {
        let fault = self.fault()?;
        Some(MemberImportCell { column: fault.column?, value: fault.value.clone() })
    }
}

impl MemberImportRow {
    fn fault(&self) -> Option<&RowFault> {
        self.0.fault.as_deref()
    }
}

/// A cell of a file.
#[derive(SimpleObject)]
struct MemberImportCell {
    /// The column.
    column: Column,
    /// What stands there, shortened. Null where nothing does.
    value: Option<String>,
}

#[derive(Default)]
pub struct MemberImportMutations;

#[Object]
impl MemberImportMutations {
    /// Adds the members of a CSV file to a partner, brings those that are there up to date, and assigns credits to them. Each row is done
    /// whole or not at all, and reported; those at fault do not keep the others from being done. Where the answer is an error, some rows may
    /// have been done: send the same file again, and it goes on from there. Needs `MEMBERS_MANAGE`, and for credits `CREDITS_ASSIGN`.
    async fn import_members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file.")] input: ImportMembersInput,
    ) -> Result<Option<ImportMembersPayload>> {
        ctx.require(Permission::MembersManage)?;
        let (import, user_errors) = settled(import(ctx, input).await)?;
        let replayed = import.as_ref().is_some_and(MemberImport::changed_nothing);
        Ok(Some(ImportMembersPayload { import, replayed, user_errors }))
    }
}

/// Keeps what is reported.
struct Kept(Vec<RowReport>);

impl Progress for Kept {
    fn begins(&mut self, rows: u32) {
        self.0.reserve_exact(rows as usize);
    }

    fn row(&mut self, report: RowReport) {
        self.0.push(report);
    }
}

async fn import(ctx: &Context<'_>, input: ImportMembersInput) -> Result<Option<MemberImport>, Refusal> {
    let mut faults = Faults::default();
    let partner = own_partner(ctx, input.partner_id, &mut faults);
    let source = match (input.file, input.csv) {
        (Some(upload), None) => {
            let file = upload.file(ctx);
            if file.is_none() {
                faults.add("input.file", FaultCode::Required, "The request has no such file, or has used it already.");
            }
            file.map(|file| ("input.file", MemberFile::from(file)))
        }
        (None, Some(text)) => Some(("input.csv", MemberFile::from(text))),
        _ => {
            faults.add("input.file", FaultCode::Required, "Give the file or its text, and not both.");
            None
        }
    };
    faults.check("input.validDays", valid_days(input.valid_days));
    let key = faults.check_option("input.idempotencyKey", input.idempotency_key.as_deref(), |key| line(key, MAX_KEY));
    let (Some(partner), Some((path, source)), true) = (partner, source, faults.is_empty()) else { return Err(faults.into()) };
    let viewer = ctx.viewer();
    if Partner::by_ids(&*ctx.read().await?, viewer.scope(), &[partner]).await?.is_empty() {
        return Err(Refusal::not_found("input.partnerId", "partner"));
    }
    let import = Import {
        tenant: viewer.tenant.id,
        partner,
        by: Some(viewer.user),
        may_assign: viewer.permissions().contains(&Permission::CreditsAssign),
        valid_days: input.valid_days,
        key,
        is_dry_run: input.dry_run,
    };
    let mut kept = Kept(Vec::new());
    ctx.perform();
    let request = ctx.request();
    let outcome = import.run(request.session(), &request.shared.clock, source, &mut kept).await;
    request.renew_loaders();
    match outcome? {
        Ok(summary) => Ok(Some(MemberImport { is_dry_run: input.dry_run, summary, reports: kept.0 })),
        Err(fault) => Err(Refusal::fault(path, FaultCode::Invalid, fault.to_string())),
    }
}
