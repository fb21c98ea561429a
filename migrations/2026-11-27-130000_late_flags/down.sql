REVOKE UPDATE (due_at) ON partner_commission_events FROM portal_operator, portal_service;
