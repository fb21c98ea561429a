DROP FUNCTION find_commission_flags(uuid, uuid, uuid, uuid);
DROP INDEX partner_leads_client_email_idx;
DROP TABLE commission_flags;
DROP DOMAIN commission_flag_kind;
