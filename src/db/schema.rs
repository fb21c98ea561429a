// @generated automatically by Diesel CLI.

diesel::table! {
    lead_status_changes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        lead_id -> Uuid,
        from_status -> Nullable<Text>,
        to_status -> Text,
        changed_by -> Nullable<Uuid>,
        note -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    partner_leads (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        client_name -> Text,
        client_name_sort -> Text,
        client_email -> Text,
        client_phone -> Nullable<Text>,
        service -> Text,
        status -> Text,
        deal_value -> Nullable<Numeric>,
        deal_value_sort -> Int8,
        commission_rate -> Numeric,
        commission -> Numeric,
        commission_fixed -> Bool,
        commission_paid -> Bool,
        currency -> Text,
        notes -> Nullable<Text>,
        created_at -> Timestamptz,
        converted_at -> Nullable<Timestamptz>,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    partner_profiles (tenant_id, partner_id) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        payment_email -> Nullable<Text>,
        payment_method -> Text,
        tax_id_sealed -> Nullable<Bytea>,
        tax_id_last4 -> Nullable<Text>,
        bank_account_sealed -> Nullable<Bytea>,
        bank_account_last4 -> Nullable<Text>,
        contact_name -> Nullable<Text>,
        contact_email -> Nullable<Text>,
        contact_phone -> Nullable<Text>,
        website -> Nullable<Text>,
        address_line1 -> Nullable<Text>,
        address_city -> Nullable<Text>,
        address_state -> Nullable<Text>,
        address_postal_code -> Nullable<Text>,
        address_country -> Nullable<Text>,
        notifications_enabled -> Bool,
        notify_by_email -> Bool,
        monthly_reports -> Bool,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    partner_users (tenant_id, partner_id, user_id) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        user_id -> Uuid,
        role -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    partners (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        company_name -> Text,
        company_name_sort -> Text,
        status -> Text,
        commission_rate -> Numeric,
        clerk_org_id -> Nullable<Text>,
        total_referrals -> Int4,
        converted_referrals -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    tenants (id) {
        id -> Uuid,
        slug -> Text,
        name -> Text,
        issuer -> Text,
        default_currency -> Text,
        default_commission_rate -> Numeric,
        partner_on_signup -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    users (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        clerk_user_id -> Text,
        email -> Nullable<Text>,
        name -> Nullable<Text>,
        default_partner_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(partners -> tenants (tenant_id));
diesel::joinable!(users -> tenants (tenant_id));

diesel::allow_tables_to_appear_in_same_query!(
    lead_status_changes,
    partner_leads,
    partner_profiles,
    partner_users,
    partners,
    tenants,
    users,
);
