DROP FUNCTION allocate_partner_credit(uuid, text, text, integer, integer);
DROP INDEX partners_id_idx;
DROP FUNCTION assign_partner_credits(uuid, uuid, uuid, integer, integer, uuid, text, uuid, timestamptz);
DROP FUNCTION lock_partner_credits(uuid, uuid);
