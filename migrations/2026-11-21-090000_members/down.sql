DROP FUNCTION portal_bearer(text, text, text, text, text);
DROP TABLE member_counts, partner_members;
DROP FUNCTION member_counts_follow();
DROP DOMAIN member_status;
