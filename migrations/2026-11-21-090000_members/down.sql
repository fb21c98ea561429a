DROP FUNCTION portal_bearer(text, text, text, text, text);
ALTER POLICY users_partner ON users
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND (id = (SELECT current_setting('app.user_id')::uuid)
            OR id IN (SELECT user_id FROM partner_users)));
DROP TABLE member_counts, partner_members;
DROP FUNCTION member_counts_follow();
DROP DOMAIN member_status;
