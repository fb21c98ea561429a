COMMENT ON FUNCTION find_commission_flags(uuid, uuid, uuid, uuid) IS 'What a person should look at of a payment of a customer that came to a partner by a link';
COMMENT ON COLUMN commission_flags.subject IS 'What gave the reason: an address or a domain, another partner, a click';
DROP FUNCTION find_commission_flags(uuid, uuid, uuid, uuid, uuid);
DROP FUNCTION clicks_around(uuid, uuid);
