-- A commission that is flagged while it is held is no longer approved by time.
GRANT UPDATE (due_at) ON partner_commission_events TO portal_operator, portal_service;
