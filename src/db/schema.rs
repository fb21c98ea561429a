// @generated automatically by Diesel CLI.

diesel::table! {
    account_days (tenant_id, partner_id, unit, kind, day) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        unit -> Text,
        kind -> Text,
        day -> Date,
        debits -> Numeric,
        credits -> Numeric,
        closing -> Numeric,
    }
}

diesel::table! {
    accounts (tenant_id, partner_id, unit, kind) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        unit -> Text,
        kind -> Text,
        balance -> Numeric,
        posted_at -> Timestamptz,
    }
}

diesel::table! {
    affiliate_people (tenant_id, user_id, day) {
        tenant_id -> Uuid,
        user_id -> Uuid,
        day -> Date,
        people -> Int8,
        paying -> Int8,
    }
}

diesel::table! {
    affiliate_periods (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        user_id -> Uuid,
        active_from -> Timestamptz,
        active_to -> Nullable<Timestamptz>,
        started_by -> Nullable<Text>,
        ended_by -> Nullable<Text>,
    }
}

diesel::table! {
    affiliate_rewards (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        user_id -> Uuid,
        referral_id -> Uuid,
        terms_id -> Uuid,
        invoice_id -> Text,
        currency -> Text,
        base -> Numeric,
        refunded -> Numeric,
        amount -> Numeric,
        is_held -> Bool,
        due_at -> Nullable<Timestamptz>,
        paid_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    affiliate_terms (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        number -> Int4,
        share -> Numeric,
        validity_days -> Nullable<Int4>,
        is_active -> Bool,
        valid_from -> Timestamptz,
        created_by -> Nullable<Uuid>,
        impersonator -> Nullable<Text>,
    }
}

diesel::table! {
    affiliate_totals (tenant_id, user_id, currency, day) {
        tenant_id -> Uuid,
        user_id -> Uuid,
        currency -> Text,
        day -> Date,
        sales -> Numeric,
        earned -> Numeric,
        taken_out -> Numeric,
        adjusted -> Numeric,
    }
}

diesel::table! {
    audit_changes (tenant_id, entry_id, number) {
        tenant_id -> Uuid,
        entry_id -> Uuid,
        number -> Int8,
        partner_id -> Nullable<Uuid>,
        change -> Text,
        subject -> Text,
        subject_id -> Nullable<Uuid>,
        row_count -> Int8,
        fields -> Jsonb,
    }
}

diesel::table! {
    audit_entries (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        at -> Timestamptz,
        action -> Text,
        actor_role -> Text,
        actor_id -> Nullable<Uuid>,
        impersonator -> Nullable<Text>,
        reason -> Nullable<Text>,
        request_id -> Nullable<Text>,
        operation_name -> Nullable<Text>,
    }
}

diesel::table! {
    commission_flags (tenant_id, commission_id, kind) {
        tenant_id -> Uuid,
        commission_id -> Uuid,
        kind -> Text,
        subject -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    commission_splits (tenant_id, commission_id) {
        tenant_id -> Uuid,
        commission_id -> Uuid,
        owners_id -> Uuid,
        share -> Numeric,
        whole -> Numeric,
    }
}

diesel::table! {
    commission_totals (tenant_id, partner_id, currency, grain, starts_on) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        currency -> Text,
        grain -> Text,
        tenant_grain -> Text,
        starts_on -> Date,
        base -> Numeric,
        earned -> Numeric,
        pending -> Numeric,
        commission_count -> Int8,
        paid_out -> Numeric,
    }
}

diesel::table! {
    credit_allocations (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        member_id -> Uuid,
        employee_email -> Text,
        credits -> Int4,
        used -> Int4,
        expired -> Int4,
        revoked -> Int4,
        available -> Int4,
        valid_days -> Int4,
        expires_at -> Timestamptz,
        idempotency_key -> Nullable<Text>,
        assigned_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    credit_extensions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        allocation_id -> Uuid,
        from_expires_at -> Timestamptz,
        to_expires_at -> Timestamptz,
        extended_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    credit_grants (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        credits -> Int4,
        reason -> Text,
        idempotency_key -> Nullable<Text>,
        granted_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        request -> Nullable<Jsonb>,
    }
}

diesel::table! {
    credit_redemptions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        employee_email -> Text,
        member_id -> Nullable<Uuid>,
        credits -> Int4,
        idempotency_key -> Text,
        redeemed_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        request -> Nullable<Jsonb>,
        reversed_at -> Nullable<Timestamptz>,
        reversed_by -> Nullable<Uuid>,
        reversal_reason -> Nullable<Text>,
        reversal_key -> Nullable<Text>,
        reversal_request -> Nullable<Jsonb>,
    }
}

diesel::table! {
    customers (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        external_id -> Text,
        name -> Text,
        email -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        search_text -> Text,
        name_sort -> Text,
        user_id -> Nullable<Uuid>,
        invite_code -> Nullable<Text>,
        invited_at -> Nullable<Timestamptz>,
        are_rewards_due -> Bool,
        erased_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    data_import_chunks (tenant_id, import_id, file, number) {
        tenant_id -> Uuid,
        import_id -> Uuid,
        file -> Int4,
        number -> Int4,
        content -> Bytea,
    }
}

diesel::table! {
    data_import_findings (tenant_id, id) {
        tenant_id -> Uuid,
        import_id -> Uuid,
        number -> Int8,
        id -> Uuid,
        kind -> Text,
        source_id -> Text,
        code -> Text,
        field -> Text,
        value -> Nullable<Text>,
        message -> Text,
        is_left -> Bool,
        file -> Text,
        line -> Int8,
    }
}

diesel::table! {
    data_imports (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        source -> Text,
        is_dry_run -> Bool,
        options -> Jsonb,
        files -> Jsonb,
        status -> Text,
        step -> Nullable<Text>,
        rows_done -> Int8,
        rows_total -> Int8,
        outcome -> Nullable<Jsonb>,
        failure -> Nullable<Text>,
        attempts -> Int4,
        lease -> Nullable<Uuid>,
        held_until -> Nullable<Timestamptz>,
        created_by -> Uuid,
        impersonator -> Nullable<Text>,
        created_at -> Timestamptz,
        started_at -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    directory_objects (tenant_id, object_id) {
        tenant_id -> Uuid,
        object_id -> Text,
        as_of -> Timestamptz,
        sent_at -> Timestamptz,
        is_deleted -> Bool,
        is_blocked -> Bool,
        subject -> Nullable<Text>,
        organization -> Nullable<Text>,
        role -> Nullable<Text>,
    }
}

diesel::table! {
    enrolment_changes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        enrolment_id -> Uuid,
        from_status -> Nullable<Text>,
        to_status -> Text,
        reason -> Nullable<Text>,
        changed_by -> Nullable<Uuid>,
        impersonator -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    enrolments (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        programme_id -> Uuid,
        status -> Text,
        reason -> Nullable<Text>,
        decided_by -> Nullable<Uuid>,
        decided_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    event_cursor_keys (is_only) {
        is_only -> Bool,
        key -> Bytea,
    }
}

diesel::table! {
    events (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Int8,
        partner_id -> Uuid,
        kind -> Text,
        subject_id -> Uuid,
        transaction -> Int8,
        place -> Nullable<Int8>,
        at -> Timestamptz,
    }
}

diesel::table! {
    idempotency_keys (tenant_id, scope_id, operation, key) {
        tenant_id -> Uuid,
        partner_id -> Nullable<Uuid>,
        scope_id -> Uuid,
        operation -> Text,
        key -> Text,
        request -> Jsonb,
        subject_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    import_files (tenant_id, source, file, kind) {
        tenant_id -> Uuid,
        source -> Text,
        file -> Text,
        kind -> Text,
        run -> Int4,
        lines -> Int8,
    }
}

diesel::table! {
    import_findings (tenant_id, source, kind, source_id, code, field) {
        tenant_id -> Uuid,
        source -> Text,
        kind -> Text,
        source_id -> Text,
        code -> Text,
        field -> Text,
        value -> Nullable<Text>,
        message -> Text,
        is_left -> Bool,
        run -> Int4,
    }
}

diesel::table! {
    import_rows (tenant_id, source, kind, source_id) {
        tenant_id -> Uuid,
        source -> Text,
        kind -> Text,
        source_id -> Text,
        position -> Int8,
        file -> Text,
        line -> Int8,
        run -> Int4,
        digest -> Text,
        state -> Text,
        target_id -> Nullable<Uuid>,
        facts -> Jsonb,
        raw -> Nullable<Jsonb>,
        decision -> Nullable<Jsonb>,
        email_key -> Nullable<Text>,
        user_ref -> Nullable<Text>,
        customer_ref -> Nullable<Text>,
        currency -> Nullable<Text>,
        status -> Nullable<Text>,
        amount -> Nullable<Numeric>,
        partner_id -> Nullable<Uuid>,
        link_id -> Nullable<Uuid>,
        customer_id -> Nullable<Uuid>,
        payout_key -> Nullable<Text>,
    }
}

diesel::table! {
    import_runs (tenant_id, source) {
        tenant_id -> Uuid,
        source -> Text,
        run -> Int4,
        request -> Bytea,
        started_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    invite_click_totals (tenant_id, user_id, day) {
        tenant_id -> Uuid,
        user_id -> Uuid,
        day -> Date,
        clicks -> Int8,
    }
}

diesel::table! {
    invite_clicks (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        user_id -> Uuid,
        at -> Timestamptz,
        visitor -> Uuid,
        is_bot -> Bool,
        is_prefetch -> Bool,
        is_repeat -> Bool,
    }
}

diesel::table! {
    invite_codes (tenant_id, code_key) {
        tenant_id -> Uuid,
        code_key -> Text,
        code -> Text,
        user_id -> Uuid,
        is_current -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    invoices (tenant_id, external_id) {
        tenant_id -> Uuid,
        external_id -> Text,
        customer_id -> Nullable<Uuid>,
        currency -> Text,
        amount -> Nullable<Numeric>,
        paid_at -> Nullable<Timestamptz>,
        refunded -> Numeric,
        refunded_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

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
        impersonator -> Nullable<Text>,
    }
}

diesel::table! {
    link_click_news (tenant_id, partner_id) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        is_new -> Bool,
        announced_at -> Timestamptz,
    }
}

diesel::table! {
    link_click_parts (tenant_id, scope_id, dimension, day, value) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        scope_id -> Uuid,
        day -> Date,
        dimension -> Text,
        value -> Text,
        clicks -> Int8,
    }
}

diesel::table! {
    link_click_totals (tenant_id, scope_id, grain, starts_at) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        scope_id -> Uuid,
        grain -> Text,
        starts_at -> Timestamptz,
        clicks -> Int8,
        visitors -> Int8,
    }
}

diesel::table! {
    link_clicks (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        link_id -> Uuid,
        partner_id -> Uuid,
        programme_id -> Uuid,
        at -> Timestamptz,
        visitor -> Uuid,
        is_bot -> Bool,
        is_prefetch -> Bool,
        is_repeat -> Bool,
        device -> Nullable<Text>,
        browser -> Nullable<Text>,
        country -> Nullable<Text>,
        referrer -> Nullable<Text>,
    }
}

diesel::table! {
    link_hosts (tenant_id, host) {
        tenant_id -> Uuid,
        host -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    link_imported_days (tenant_id, link_id, day) {
        tenant_id -> Uuid,
        link_id -> Uuid,
        day -> Date,
        clicks -> Int8,
        sign_ups -> Int8,
    }
}

diesel::table! {
    link_sale_totals (tenant_id, scope_id, currency, grain, starts_at) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        scope_id -> Uuid,
        currency -> Text,
        grain -> Text,
        starts_at -> Timestamptz,
        sign_ups -> Int8,
        customers -> Int8,
        sales -> Int8,
        sale_amount -> Numeric,
        earned -> Numeric,
    }
}

diesel::table! {
    link_shares (tenant_id, link_id, partner_id) {
        tenant_id -> Uuid,
        link_id -> Uuid,
        partner_id -> Uuid,
        share -> Numeric,
    }
}

diesel::table! {
    link_sign_ups (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        programme_id -> Uuid,
        link_id -> Uuid,
        customer_id -> Uuid,
        name -> Text,
        means -> Text,
        click_id -> Nullable<Uuid>,
        clicked_at -> Nullable<Timestamptz>,
        at -> Timestamptz,
        is_counted -> Bool,
        metadata -> Nullable<Text>,
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    link_visitors (tenant_id, day, link_id, visitor) {
        tenant_id -> Uuid,
        day -> Date,
        link_id -> Uuid,
        visitor -> Uuid,
        last_at -> Timestamptz,
    }
}

diesel::table! {
    links (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        user_id -> Nullable<Uuid>,
        programme_id -> Uuid,
        host -> Nullable<Text>,
        key -> Text,
        url -> Text,
        url_hash -> Nullable<Bytea>,
        title -> Nullable<Text>,
        external_id -> Nullable<Text>,
        coupon_code -> Nullable<Text>,
        utm_source -> Nullable<Text>,
        utm_medium -> Nullable<Text>,
        utm_campaign -> Nullable<Text>,
        utm_term -> Nullable<Text>,
        utm_content -> Nullable<Text>,
        expires_at -> Nullable<Timestamptz>,
        expired_url -> Nullable<Text>,
        archived_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        search_text -> Text,
    }
}

diesel::table! {
    links_by_clicks (tenant_id, link_id) {
        tenant_id -> Uuid,
        link_id -> Uuid,
        partner_id -> Uuid,
        programme_id -> Uuid,
        clicks -> Int8,
    }
}

diesel::table! {
    links_by_sales (tenant_id, link_id) {
        tenant_id -> Uuid,
        link_id -> Uuid,
        partner_id -> Uuid,
        programme_id -> Uuid,
        sign_ups -> Int8,
        sales -> Int8,
        earned -> Numeric,
        earned_sort -> Int8,
    }
}

diesel::table! {
    member_accounts (tenant_id, member_id, kind) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        member_id -> Uuid,
        kind -> Text,
        balance -> Numeric,
    }
}

diesel::table! {
    member_counts (tenant_id, partner_id) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        invited -> Int4,
        active -> Int4,
        inactive -> Int4,
    }
}

diesel::table! {
    partner_accounts (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        customer_id -> Uuid,
        commission_rate -> Nullable<Numeric>,
        managed_from -> Timestamptz,
        managed_to -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        link_id -> Nullable<Uuid>,
        programme_id -> Nullable<Uuid>,
        means -> Nullable<Text>,
        click_id -> Nullable<Uuid>,
        clicked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    partner_applications (tenant_id, partner_id) {
        tenant_id -> Uuid,
        partner_id -> Uuid,
        sales_plan -> Text,
        submitted_by -> Uuid,
        submitted_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    partner_commission_events (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        event_type -> Text,
        status -> Text,
        lead_id -> Nullable<Uuid>,
        customer_id -> Nullable<Uuid>,
        invoice_id -> Nullable<Text>,
        reverses_id -> Nullable<Uuid>,
        payout_id -> Nullable<Uuid>,
        source -> Text,
        rule_id -> Nullable<Uuid>,
        base -> Nullable<Numeric>,
        rate -> Nullable<Numeric>,
        month_base -> Nullable<Numeric>,
        is_past_duration -> Bool,
        amount -> Numeric,
        amount_sort -> Int8,
        currency -> Text,
        event_date -> Timestamptz,
        due_at -> Nullable<Timestamptz>,
        notes -> Nullable<Text>,
        rejection_reason -> Nullable<Text>,
        idempotency_key -> Nullable<Text>,
        created_by -> Nullable<Uuid>,
        decided_by -> Nullable<Uuid>,
        decided_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        refunded_at -> Nullable<Timestamptz>,
        request -> Nullable<Jsonb>,
        link_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    partner_commission_tiers (tenant_id, rule_id, above) {
        tenant_id -> Uuid,
        rule_id -> Uuid,
        above -> Numeric,
        rate -> Numeric,
    }
}

diesel::table! {
    partner_commissions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Nullable<Uuid>,
        currency -> Nullable<Text>,
        scope_currency -> Text,
        version -> Int4,
        kind -> Text,
        rate -> Nullable<Numeric>,
        flat_amount -> Nullable<Numeric>,
        cap -> Nullable<Numeric>,
        duration_months -> Nullable<Int4>,
        valid_from -> Timestamptz,
        valid_to -> Nullable<Timestamptz>,
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        programme_id -> Nullable<Uuid>,
        enrolment_id -> Nullable<Uuid>,
        scope_id -> Uuid,
    }
}

diesel::table! {
    partner_credits (tenant_id, allocation_id, number) {
        tenant_id -> Uuid,
        allocation_id -> Uuid,
        number -> Int4,
        partner_id -> Uuid,
        member_id -> Uuid,
        employee_email -> Text,
        status -> Text,
        expires_at -> Timestamptz,
        redemption_id -> Nullable<Uuid>,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    partner_invitations (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        email -> Text,
        role -> Text,
        token_hash -> Bytea,
        created_by -> Uuid,
        created_at -> Timestamptz,
        sent_at -> Timestamptz,
        expires_at -> Timestamptz,
        accepted_at -> Nullable<Timestamptz>,
        accepted_by -> Nullable<Uuid>,
        revoked_at -> Nullable<Timestamptz>,
        revoked_by -> Nullable<Uuid>,
        erased_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    partner_leads (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        client_name -> Text,
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
        client_name_sort -> Text,
        search_text -> Text,
        erased_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    partner_members (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        email -> Text,
        email_key -> Text,
        first_name -> Text,
        last_name -> Nullable<Text>,
        status -> Text,
        user_id -> Nullable<Uuid>,
        credits_assigned -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        search_text -> Text,
        name_sort -> Text,
        erased_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    partner_moves (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        lead_id -> Nullable<Uuid>,
        commission_id -> Nullable<Uuid>,
        from_partner_id -> Uuid,
        to_partner_id -> Uuid,
        reason -> Text,
        moved_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        impersonator -> Nullable<Text>,
    }
}

diesel::table! {
    partner_payout_changes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        payout_id -> Uuid,
        from_status -> Nullable<Text>,
        to_status -> Text,
        changed_by -> Nullable<Uuid>,
        note -> Nullable<Text>,
        created_at -> Timestamptz,
        impersonator -> Nullable<Text>,
    }
}

diesel::table! {
    partner_payout_items (tenant_id, payout_id, event_id) {
        tenant_id -> Uuid,
        payout_id -> Uuid,
        event_id -> Uuid,
        partner_id -> Uuid,
        event_date -> Timestamptz,
        amount -> Numeric,
    }
}

diesel::table! {
    partner_payouts (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        partner_id -> Uuid,
        total_amount -> Numeric,
        total_sort -> Int8,
        currency -> Text,
        commission_count -> Int4,
        fingerprint -> Text,
        payment_method -> Text,
        payment_reference -> Nullable<Text>,
        status -> Text,
        attempt -> Int4,
        payout_date -> Timestamptz,
        completed_at -> Nullable<Timestamptz>,
        period_start -> Timestamptz,
        period_end -> Timestamptz,
        notes -> Nullable<Text>,
        failure_reason -> Nullable<Text>,
        idempotency_key -> Nullable<Text>,
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        request -> Nullable<Jsonb>,
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
        clerk_org_id -> Nullable<Text>,
        removed_at -> Nullable<Timestamptz>,
        removed_by -> Nullable<Uuid>,
    }
}

diesel::table! {
    partners (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        company_name -> Text,
        status -> Text,
        commission_rate -> Numeric,
        clerk_org_id -> Nullable<Text>,
        total_referrals -> Int4,
        converted_referrals -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        status_reason -> Nullable<Text>,
        company_name_sort -> Text,
        search_text -> Text,
    }
}

diesel::table! {
    processor_customers (tenant_id, customer_id) {
        tenant_id -> Uuid,
        customer_id -> Text,
        as_of -> Timestamptz,
        step -> Int4,
    }
}

diesel::table! {
    processor_invoices (tenant_id, invoice_id) {
        tenant_id -> Uuid,
        invoice_id -> Text,
        currency -> Text,
        gross -> Numeric,
        net -> Numeric,
    }
}

diesel::table! {
    processor_payments (tenant_id, payment_id, invoice_id) {
        tenant_id -> Uuid,
        payment_id -> Text,
        invoice_id -> Text,
    }
}

diesel::table! {
    processor_reversals (tenant_id, object_id) {
        tenant_id -> Uuid,
        object_id -> Text,
        payment_id -> Text,
        kind -> Text,
        currency -> Text,
        amount -> Numeric,
        is_taken -> Bool,
        created_at -> Timestamptz,
        as_of -> Timestamptz,
        step -> Int4,
    }
}

diesel::table! {
    programme_rate_answers (tenant_id, rule_id) {
        tenant_id -> Uuid,
        rule_id -> Uuid,
        programme_id -> Uuid,
        answer -> Text,
        valid_until -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    programmes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        key -> Text,
        name -> Text,
        domain -> Text,
        status -> Text,
        rate_source -> Text,
        cookie_days -> Int4,
        attribution -> Text,
        enrolment_policy -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        name_sort -> Text,
        search_text -> Text,
        rate_asked_at -> Nullable<Timestamptz>,
        rate_until -> Nullable<Timestamptz>,
        includes_tax -> Bool,
    }
}

diesel::table! {
    referrals (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        user_id -> Uuid,
        referrer_id -> Uuid,
        means -> Text,
        code -> Nullable<Text>,
        reason -> Nullable<Text>,
        signed_up_at -> Timestamptz,
        valid_from -> Timestamptz,
        valid_to -> Nullable<Timestamptz>,
        first_paid_at -> Nullable<Timestamptz>,
        initials -> Nullable<Text>,
        decided_by -> Nullable<Uuid>,
        impersonator -> Nullable<Text>,
        end_reason -> Nullable<Text>,
        ended_by -> Nullable<Uuid>,
        end_impersonator -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    tenant_arrivals (tenant_id) {
        tenant_id -> Uuid,
        place -> Int8,
    }
}

diesel::table! {
    tenant_moves (tenant_id) {
        tenant_id -> Uuid,
        slug -> Text,
        issuer -> Text,
        direction -> Text,
        peer -> Text,
        tenant -> Nullable<Jsonb>,
        began_at -> Timestamptz,
    }
}

diesel::table! {
    tenant_totals (tenant_id, currency, grain, starts_on, shard) {
        tenant_id -> Uuid,
        currency -> Text,
        grain -> Text,
        starts_on -> Date,
        shard -> Int4,
        earned -> Numeric,
        pending -> Numeric,
        commission_count -> Int8,
        paid_out -> Numeric,
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
        commission_hold_days -> Int4,
        minimum_payout -> Numeric,
        time_zone -> Text,
        version -> Int8,
        sign_up_url -> Nullable<Text>,
    }
}

diesel::table! {
    transfers (tenant_id, entry) {
        tenant_id -> Uuid,
        entry -> Int8,
        partner_id -> Nullable<Uuid>,
        unit -> Text,
        from_kind -> Text,
        to_kind -> Text,
        amount -> Numeric,
        kind -> Text,
        event_id -> Nullable<Uuid>,
        payout_id -> Nullable<Uuid>,
        attempt -> Int4,
        from_balance -> Numeric,
        to_balance -> Numeric,
        posted_by -> Nullable<Uuid>,
        posted_at -> Timestamptz,
        member_id -> Nullable<Uuid>,
        grant_id -> Nullable<Uuid>,
        allocation_id -> Nullable<Uuid>,
        redemption_id -> Nullable<Uuid>,
        user_id -> Nullable<Uuid>,
        wallet_transaction_id -> Nullable<Uuid>,
        reward_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    user_accounts (tenant_id, user_id, unit, kind) {
        tenant_id -> Uuid,
        user_id -> Uuid,
        unit -> Text,
        kind -> Text,
        balance -> Numeric,
        posted_at -> Timestamptz,
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
        version -> Int8,
        erased_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    visitor_keys (day) {
        day -> Date,
        key -> Bytea,
    }
}

diesel::table! {
    wallet_transactions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        user_id -> Uuid,
        currency -> Text,
        number -> Int8,
        kind -> Text,
        amount -> Numeric,
        balance -> Numeric,
        sales -> Numeric,
        reward_id -> Nullable<Uuid>,
        commission_id -> Nullable<Uuid>,
        reason -> Nullable<Text>,
        at -> Timestamptz,
        idempotency_key -> Nullable<Text>,
        request -> Nullable<Jsonb>,
        created_by -> Nullable<Uuid>,
        impersonator -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    webhook_attempts (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        delivery_id -> Uuid,
        number -> Int4,
        at -> Timestamptz,
        milliseconds -> Int4,
        url -> Text,
        status -> Nullable<Int4>,
        response -> Nullable<Text>,
        fault -> Nullable<Text>,
    }
}

diesel::table! {
    webhook_deliveries (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        endpoint_id -> Uuid,
        event_id -> Uuid,
        status -> Text,
        event_type -> Text,
        tries -> Int4,
        attempts -> Int4,
        next_at -> Nullable<Timestamptz>,
        lease -> Nullable<Uuid>,
        held_until -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_endpoints (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        url -> Text,
        description -> Nullable<Text>,
        types -> Array<Nullable<Text>>,
        disabled_at -> Nullable<Timestamptz>,
        disabled_reason -> Nullable<Text>,
        failing_since -> Nullable<Timestamptz>,
        failures -> Int4,
        is_slow -> Bool,
        last_success_at -> Nullable<Timestamptz>,
        paused_until -> Nullable<Timestamptz>,
        created_by -> Uuid,
        impersonator -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        removed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_events (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        event_type -> Text,
        at -> Timestamptz,
        facts -> Nullable<Jsonb>,
        body -> Nullable<Text>,
        endpoint_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    webhook_receipts (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        source_id -> Uuid,
        event_id -> Text,
        event_type -> Text,
        body -> Nullable<Text>,
        status -> Text,
        attempts -> Int4,
        reason -> Nullable<Text>,
        waits_for -> Nullable<Text>,
        received_at -> Timestamptz,
        tried_since -> Timestamptz,
        next_at -> Nullable<Timestamptz>,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_secrets (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        endpoint_id -> Uuid,
        sealed -> Bytea,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_source_secrets (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        source_id -> Uuid,
        sealed -> Bytea,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhook_sources (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        description -> Nullable<Text>,
        created_by -> Uuid,
        impersonator -> Nullable<Text>,
        created_at -> Timestamptz,
        removed_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(customers -> tenants (tenant_id));
diesel::joinable!(idempotency_keys -> tenants (tenant_id));
diesel::joinable!(invoices -> tenants (tenant_id));
diesel::joinable!(link_hosts -> tenants (tenant_id));
diesel::joinable!(partner_commissions -> tenants (tenant_id));
diesel::joinable!(partners -> tenants (tenant_id));
diesel::joinable!(programmes -> tenants (tenant_id));
diesel::joinable!(tenant_totals -> tenants (tenant_id));
diesel::joinable!(users -> tenants (tenant_id));
diesel::joinable!(webhook_endpoints -> tenants (tenant_id));
diesel::joinable!(webhook_events -> tenants (tenant_id));

diesel::allow_tables_to_appear_in_same_query!(
    account_days,
    accounts,
    affiliate_people,
    affiliate_periods,
    affiliate_rewards,
    affiliate_terms,
    affiliate_totals,
    audit_changes,
    audit_entries,
    commission_flags,
    commission_splits,
    commission_totals,
    credit_allocations,
    credit_extensions,
    credit_grants,
    credit_redemptions,
    customers,
    data_import_chunks,
    data_import_findings,
    data_imports,
    directory_objects,
    enrolment_changes,
    enrolments,
    event_cursor_keys,
    events,
    idempotency_keys,
    import_files,
    import_findings,
    import_rows,
    import_runs,
    invite_click_totals,
    invite_clicks,
    invite_codes,
    invoices,
    lead_status_changes,
    link_click_news,
    link_click_parts,
    link_click_totals,
    link_clicks,
    link_hosts,
    link_imported_days,
    link_sale_totals,
    link_shares,
    link_sign_ups,
    link_visitors,
    links,
    links_by_clicks,
    links_by_sales,
    member_accounts,
    member_counts,
    partner_accounts,
    partner_applications,
    partner_commission_events,
    partner_commission_tiers,
    partner_commissions,
    partner_credits,
    partner_invitations,
    partner_leads,
    partner_members,
    partner_moves,
    partner_payout_changes,
    partner_payout_items,
    partner_payouts,
    partner_profiles,
    partner_users,
    partners,
    processor_customers,
    processor_invoices,
    processor_payments,
    processor_reversals,
    programme_rate_answers,
    programmes,
    referrals,
    tenant_arrivals,
    tenant_moves,
    tenant_totals,
    tenants,
    transfers,
    user_accounts,
    users,
    visitor_keys,
    wallet_transactions,
    webhook_attempts,
    webhook_deliveries,
    webhook_endpoints,
    webhook_events,
    webhook_receipts,
    webhook_secrets,
    webhook_source_secrets,
    webhook_sources,
);
