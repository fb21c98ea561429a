//! What is reported of rows.

use diesel::{QueryResult, sql_types::Text};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};

use super::{facts::ImportKind, run::ImportRun};
use crate::db::statement::{Bind, statement};

/// A row's name in reports: its kind, and its id there.
pub type RowName = (ImportKind, String);

macro_rules! codes {
    ($($variant:ident = $code:literal, $left:literal, $words:literal;)*) => {
        /// What there is to say of a row.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, async_graphql::Enum)]
        #[graphql(name = "ImportFindingCode")]
        pub enum FindingCode {
            $(#[doc = $words] $variant,)*
        }

        impl FindingCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As it stands in reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Whether the row is left because of it, and waits for a decision.
            pub const fn is_left(self) -> bool {
                match self { $(Self::$variant => $left,)* }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }
        }
    };
}

impl std::str::FromStr for FindingCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .find(|code| code.as_str() == text)
            .copied()
            .ok_or_else(|| format!("{text:?} is no code of an import's findings"))
    }
}

codes! {
    RowWithoutId = "ROW_WITHOUT_ID", true, "The row has no id, so nothing can refer to it and it could not be known again.";
    DuplicateId = "DUPLICATE_ID", true, "Another row of the file has this id and says something else; the first one counts.";
    RowRefused = "ROW_REFUSED", true, "A rule of this system refuses the row; the message says which.";
    CellsDiffer = "CELLS_DIFFER", true, "The row has more or fewer cells than its file has columns, or a quotation mark has taken other rows into a cell.";
    CharactersReplaced = "CHARACTERS_REPLACED", false, "The file is not in UTF-8: what is no character is written as U+FFFD.";
    SourceDiffers = "SOURCE_DIFFERS", true, "The source says another amount, currency or status now than when the row was brought in; what is here stays, and is changed here.";
    DecisionTooLate = "DECISION_TOO_LATE", false, "The row was in already when the decision came, which changes nothing; what is here is changed here.";
    RowChanged = "ROW_CHANGED", false, "The source says something else now than when the row was brought in; what is here stays.";
    MissingValue = "MISSING_VALUE", true, "A cell that is needed is empty.";
    ValueTooLong = "VALUE_TOO_LONG", true, "A cell has more characters than it can have here.";
    AmountInvalid = "AMOUNT_INVALID", true, "An amount is not of the form that the source writes amounts in, or is out of range.";
    CurrencyMissing = "CURRENCY_MISSING", true, "An amount has no currency; the import's option for the currency names the one that such rows are in.";
    CurrencyUnknown = "CURRENCY_UNKNOWN", true, "The currency is no code of ISO 4217.";
    TimeInvalid = "TIME_INVALID", true, "A time cannot be read.";
    TimeWithoutZone = "TIME_WITHOUT_ZONE", true, "A time says no zone; the import's option for the time zone names the one that such times are in.";
    TimeOutOfRange = "TIME_OUT_OF_RANGE", true, "A time is before the year 2000 or later than tomorrow.";
    NumberInvalid = "NUMBER_INVALID", true, "A count is no whole number from 0 to 1,000,000,000,000.";
    StatusUnknown = "STATUS_UNKNOWN", true, "The source is not known to have this status.";
    RateUnitUnknown = "RATE_UNIT_UNKNOWN", true, "It is not known whether 10 or 1000 is ten per cent; the import's option for the rate unit says so.";
    RateTooHigh = "RATE_TOO_HIGH", true, "A rate is above 100 per cent, or below nothing.";
    UnitUnsupported = "UNIT_UNSUPPORTED", true, "It is not money: points, free months, discounts.";
    TestRow = "TEST_ROW", true, "The source says that it is a test.";
    DecisionUnknown = "DECISION_UNKNOWN", true, "A decision names something that is not here.";
    LeftOut = "LEFT_OUT", true, "A decision leaves the row out.";
    UserWithoutPartner = "USER_WITHOUT_PARTNER", false, "The user belonged to no partner, and got one of their own.";
    UserWithoutName = "USER_WITHOUT_NAME", false, "The user has no name; their partner is named by what is known.";
    UserWithoutEmail = "USER_WITHOUT_EMAIL", false, "The user has no e-mail address, so nobody can sign in as them until a decision gives one.";
    UserGone = "USER_GONE", false, "The user is not among the users; what refers to them is a closed partner's, named by their id.";
    SeveralPartners = "SEVERAL_PARTNERS", false, "The user belongs to several partners; they act for the default one, else for the one that they joined first.";
    DefaultNotTheirs = "DEFAULT_NOT_THEIRS", false, "The user's default partner is not one that they belong to; they act for the one that they joined first.";
    DuplicateEmail = "DUPLICATE_EMAIL", false, "Another of this kind has the address, and was there before; this one has none here.";
    PartnerWithoutOwner = "PARTNER_WITHOUT_OWNER", false, "The partner had no owner; the person of its own address is one.";
    MembershipDangling = "MEMBERSHIP_DANGLING", true, "The user or the partner of the membership is not among those that came in.";
    EnrolmentDangling = "ENROLMENT_DANGLING", true, "The partner or the programme of the enrolment is not among those that came in.";
    ProgrammeWithoutDomain = "PROGRAMME_WITHOUT_DOMAIN", true, "The programme names no domain of the public internet.";
    RuleNotOfSales = "RULE_NOT_OF_SALES", true, "The reward is for something else than sales, such as clicks, or of a kind that is not known.";
    RuleDangling = "RULE_DANGLING", true, "The programme of the rule is not among those that came in.";
    UrlWithoutDomain = "URL_WITHOUT_DOMAIN", true, "The address that the link leads to has no domain of the public internet: no shop is known by it.";
    LinkWithoutOwner = "LINK_WITHOUT_OWNER", true, "Neither a partner nor a user of the link is known; the import's option for orphans gives such links to a partner of their own.";
    LinkHeld = "LINK_HELD", false, "Neither a partner nor a user of the link is known; it belongs to the partner of links without owner.";
    ProgrammeDiffers = "PROGRAMME_DIFFERS", false, "The link's programme is of another domain than its address; the programme stays.";
    KeyReplaced = "KEY_REPLACED", false, "The link's key is taken or cannot be one here, so it got another.";
    DayWithoutLink = "DAY_WITHOUT_LINK", true, "The link of the day is not among those that came in.";
    MissingPartner = "MISSING_PARTNER", false, "The partner's id is NULL; the partner is looked for by what else the row refers to.";
    EmptyPartner = "EMPTY_PARTNER", false, "The partner's id is an empty or blank text; the partner is looked for by what else the row refers to.";
    DanglingPartner = "DANGLING_PARTNER", false, "The partner's id is nobody's; the partner is looked for by what else the row refers to.";
    LinkGone = "LINK_GONE", false, "The link is not among those that came in.";
    CustomerOfSeveral = "CUSTOMER_OF_SEVERAL", false, "Several partners earned by the customer; who manages them now is to be decided.";
    CommissionUnresolved = "COMMISSION_UNRESOLVED", true, "No partner is known by anything that the commission refers to.";
    PartnerDiffersFromLink = "PARTNER_DIFFERS_FROM_LINK", false, "The commission's partner is not its link's; the commission keeps its own, who may have been paid.";
    PayoutOfAnotherPartner = "PAYOUT_OF_ANOTHER_PARTNER", true, "The payout of the commission is another partner's.";
    PayoutInAnotherCurrency = "PAYOUT_IN_ANOTHER_CURRENCY", true, "The payout of the commission is in another currency.";
    PayoutStatusDiffers = "PAYOUT_STATUS_DIFFERS", true, "The commission is paid and its payout is not, or the other way round.";
    PayoutNotPositive = "PAYOUT_NOT_POSITIVE", true, "What the payout paid sums up to nothing or less.";
    PayoutWithoutCommissions = "PAYOUT_WITHOUT_COMMISSIONS", true, "No commission that came in names the payout.";
    PayoutFailed = "PAYOUT_FAILED", true, "The payout failed or was cancelled, and paid nothing; its commissions are free.";
    PayoutGone = "PAYOUT_GONE", false, "The payout is not among those that came in; the commission is paid by one for its partner, currency and month.";
    PayoutDiffers = "PAYOUT_DIFFERS", false, "The payout's amount is not the sum of its commissions; the sum counts.";
}

/// How often a code was reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeCount {
    /// The code.
    pub code: String,
    /// Whether rows are left because of it.
    pub is_left: bool,
    /// How often.
    pub count: i64,
}

/// Something to say of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What the row is.
    pub kind: ImportKind,
    /// Its id there.
    pub source_id: String,
    /// What there is to say.
    #[serde(serialize_with = "as_code")]
    pub code: FindingCode,
    /// The cell, where it is about one; empty where it is not.
    pub field: String,
    /// What is in it.
    pub value: Option<String>,
    /// All of it in one sentence.
    pub message: String,
    /// Whether the row waits for a decision.
    pub is_left: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn as_code<S: serde::Serializer>(code: &FindingCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

impl Finding {
    /// Of a whole row.
    pub fn of(kind: ImportKind, source_id: &str, code: FindingCode, message: impl Into<String>) -> Self {
        let (field, value) = (String::new(), None);
        let message = shortened(message.into());
        Self { kind, source_id: source_id.to_owned(), code, field, value, message, is_left: code.is_left() }
    }

    /// Of a cell of that name, and what is in it.
    #[must_use]
    pub fn at(mut self, field: &str, value: Option<&str>) -> Self {
        field.clone_into(&mut self.field);
        self.value = value.map(|value| value.chars().take(200).collect());
        self
    }
}

/// A message that quotes what stands in a cell, however long that is.
fn shortened(message: String) -> String {
    const LONGEST: usize = 1_000;
    if message.chars().count() <= LONGEST { message } else { message.chars().take(LONGEST).chain(['…']).collect() }
}

impl ImportRun<'_> {
    /// Keeps findings; one that is kept already stays as it is.
    pub async fn report(&self, findings: &[Finding]) -> QueryResult<()> {
        if findings.is_empty() {
            return Ok(());
        }
        statement::<Text>(
            "INSERT INTO import_findings (tenant_id, source, kind, source_id, code, field, value, message, is_left, run)
             SELECT ?, ?, f.kind, f.source_id, f.code, f.field, f.value, f.message, f.is_left, ?::integer
             FROM jsonb_to_recordset(?::jsonb) AS f (kind text, source_id text, code text, field text, value text, message text, is_left boolean)
             ON CONFLICT (tenant_id, source, kind, source_id, code, field) DO UPDATE SET run = EXCLUDED.run",
            vec![self.tenant_bind(), self.source_bind(), self.run_bind(), Bind::json(&findings)],
        )
        .execute(&mut &*self.connection)
        .await
        .map(drop)
    }
}
