//! Leads, members and customers.

use super::{amount, name, or_empty, partners, time};
use crate::{
    auth::Viewer,
    db,
    http::export::{
        Export,
        parameters::{self, Customers, Leads},
    },
    ids::CustomerId,
    models::{
        billing::{
            account::CustomerAccount,
            customer::{self, Customer},
        },
        leads::{self, lead::Lead},
        list::List,
        members::{self, list::MemberFilter, member::Member},
        page::{Cursor, Page, Slice, SortKey},
    },
};

impl Export for Leads {
    type Row = Lead;

    const NAME: &'static str = "leads.csv";
    const ORDER: SortKey = leads::list::BY_CREATED;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "partner_id",
        "partner",
        "client_name",
        "client_email",
        "client_phone",
        "service",
        "status",
        "deal_value",
        "commission",
        "currency",
        "created_at",
        "converted_at",
        "updated_at",
        "notes",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::leads(parameters)
    }

    fn cursor(row: &Lead, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Lead>> {
        self.filter.page(connection, viewer.scope().narrowed(self.partner), page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Lead]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                row.client_name.clone(),
                row.client_email.clone(),
                or_empty(row.client_phone.as_ref()),
                row.service.clone(),
                row.status.shown(),
                or_empty(row.deal_value.map(|value| amount(value, &row.currency))),
                amount(row.commission, &row.currency),
                row.currency.clone(),
                time(row.created_at),
                or_empty(row.converted_at.map(time)),
                time(row.updated_at),
                or_empty(row.notes.as_ref()),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for MemberFilter {
    type Row = Member;

    const NAME: &'static str = "members.csv";
    const ORDER: SortKey = members::list::BY_CREATED;
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "partner_id",
        "partner",
        "email",
        "first_name",
        "last_name",
        "status",
        "credits_assigned",
        "created_at",
        "updated_at",
    ];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::members(parameters)
    }

    fn cursor(row: &Member, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Member>> {
        self.page(connection, viewer.scope(), page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Member]) -> db::QueryResult<Vec<Vec<String>>> {
        let partners = partners(connection, viewer, rows.iter().map(|row| row.partner_id)).await?;
        let cells = rows.iter().map(|row| {
            vec![
                row.id.to_string(),
                row.partner_id.to_string(),
                name(&partners, row.partner_id),
                row.email.clone(),
                row.first_name.clone(),
                or_empty(row.last_name.as_ref()),
                row.status.shown(),
                row.credits_assigned.to_string(),
                time(row.created_at),
                time(row.updated_at),
            ]
        });
        Ok(cells.collect())
    }
}

impl Export for Customers {
    type Row = Customer;

    const NAME: &'static str = "customers.csv";
    const ORDER: SortKey = customer::BY_CREATED;
    const COLUMNS: &'static [&'static str] =
        &["id", "external_id", "name", "email", "partner_id", "partner", "managed_from", "created_at", "updated_at"];

    fn parse(parameters: &[(String, String)]) -> Result<Self, String> {
        parameters::customers(parameters)
    }

    fn cursor(row: &Customer, page: &Page) -> Cursor {
        row.cursor(page)
    }

    async fn read(&self, connection: &db::Connection, viewer: &Viewer, page: &Page) -> db::QueryResult<Slice<Customer>> {
        self.page(connection, viewer.scope(), page).await
    }

    async fn cells(connection: &db::Connection, viewer: &Viewer, rows: &[Customer]) -> db::QueryResult<Vec<Vec<String>>> {
        let customers: Vec<CustomerId> = rows.iter().map(|row| row.id).collect();
        let accounts = CustomerAccount::by_customers(connection, viewer.scope(), &customers).await?;
        // Who manages it now, or is to.
        let managing =
            |id: CustomerId| accounts.get(&id).and_then(|periods| periods.iter().find(|period| period.managed_to.is_none()));
        let partners = partners(connection, viewer, rows.iter().filter_map(|row| Some(managing(row.id)?.partner_id))).await?;
        let cells = rows.iter().map(|row| {
            let account = managing(row.id);
            vec![
                row.id.to_string(),
                row.external_id.clone(),
                row.name.clone(),
                or_empty(row.email.as_ref()),
                or_empty(account.map(|account| account.partner_id)),
                account.map_or_else(String::new, |account| name(&partners, account.partner_id)),
                or_empty(account.map(|account| time(account.managed_from))),
                time(row.created_at),
                time(row.updated_at),
            ]
        });
        Ok(cells.collect())
    }
}
