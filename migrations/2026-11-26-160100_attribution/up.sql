-- Sign-ups by links, which link a customer came by, and totals of what came of links.
SET LOCAL lock_timeout = '60s';

-- How somebody came by a link.
CREATE DOMAIN link_means AS text CONSTRAINT link_means_known CHECK (VALUE IN ('click', 'link_key', 'coupon_code'));

ALTER TABLE partner_accounts
    ADD COLUMN means link_means,
    ADD COLUMN click_id uuid,
    ADD COLUMN clicked_at timestamptz,
    ADD CONSTRAINT partner_accounts_means_whole CHECK ((means IS NULL) = (link_id IS NULL)
        AND (click_id IS NULL) = (clicked_at IS NULL) AND (click_id IS NULL) = (means IS DISTINCT FROM 'click'));
COMMENT ON COLUMN partner_accounts.means IS 'How the customer came by the link';
COMMENT ON COLUMN partner_accounts.click_id IS 'The click that it came by; clicks are forgotten sooner than this';

-- Where a partner turns out never to have managed a customer, its period is empty: it does not see that customer.
ALTER POLICY customers_partner ON customers
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM partner_accounts a WHERE a.tenant_id = customers.tenant_id AND a.customer_id = customers.id
            AND (a.managed_to IS NULL OR a.managed_to > a.managed_from)));
ALTER POLICY invoices_partner ON invoices
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid)
        AND EXISTS (SELECT FROM partner_accounts a WHERE a.tenant_id = invoices.tenant_id AND a.customer_id = invoices.customer_id
            AND (a.managed_to IS NULL OR a.managed_to > a.managed_from)));

CREATE TABLE link_sign_ups (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    partner_id uuid NOT NULL,
    programme_id uuid NOT NULL,
    link_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    name text NOT NULL,
    means link_means NOT NULL,
    click_id uuid,
    clicked_at timestamptz,
    at timestamptz NOT NULL,
    is_counted boolean NOT NULL,
    metadata text,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT link_sign_ups_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT link_sign_ups_link_fkey FOREIGN KEY (tenant_id, link_id, partner_id, programme_id)
        REFERENCES links (tenant_id, id, partner_id, programme_id) ON DELETE RESTRICT,
    CONSTRAINT link_sign_ups_customer_id_fkey FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT link_sign_ups_created_by_fkey FOREIGN KEY (tenant_id, created_by) REFERENCES users (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT link_sign_ups_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT link_sign_ups_click_whole CHECK ((click_id IS NULL) = (clicked_at IS NULL) AND (click_id IS NULL) = (means <> 'click')),
    CONSTRAINT link_sign_ups_metadata_length CHECK (char_length(metadata) BETWEEN 1 AND 10000)
);
-- One of each name for a customer, and one of them counts.
CREATE UNIQUE INDEX link_sign_ups_name_key ON link_sign_ups (tenant_id, customer_id, lower(name));
CREATE UNIQUE INDEX link_sign_ups_counted_key ON link_sign_ups (tenant_id, customer_id) WHERE is_counted;
CREATE INDEX link_sign_ups_link_idx ON link_sign_ups (tenant_id, link_id, at, id);
CREATE INDEX link_sign_ups_partner_idx ON link_sign_ups (tenant_id, partner_id, at, id);
CREATE INDEX link_sign_ups_at_idx ON link_sign_ups (tenant_id, at, id);
CREATE INDEX link_sign_ups_created_by_idx ON link_sign_ups (tenant_id, created_by);
COMMENT ON TABLE link_sign_ups IS 'Who signed up by which link, as the shop reported it; once for each customer and kind of sign-up';
COMMENT ON COLUMN link_sign_ups.name IS 'What they signed up for, compared without case';
COMMENT ON COLUMN link_sign_ups.is_counted IS 'By this one the customer is the partner''s; others are repeats, or came once another partner had the customer';
COMMENT ON COLUMN link_sign_ups.metadata IS 'What the shop said besides';

CREATE TABLE link_sale_totals (
    tenant_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    scope_id uuid NOT NULL,
    currency text NOT NULL,
    grain text NOT NULL,
    starts_at timestamptz NOT NULL,
    sign_ups bigint NOT NULL,
    customers bigint NOT NULL,
    sales bigint NOT NULL,
    sale_amount numeric(24, 4) NOT NULL,
    earned numeric(24, 4) NOT NULL,
    CONSTRAINT link_sale_totals_pkey PRIMARY KEY (tenant_id, scope_id, currency, grain, starts_at),
    CONSTRAINT link_sale_totals_partner_id_fkey FOREIGN KEY (tenant_id, partner_id) REFERENCES partners (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT link_sale_totals_grain_known CHECK (grain IN ('all', 'day', 'quarter_hour')),
    CONSTRAINT link_sale_totals_currency_form CHECK (currency ~ '^([A-Z]{3})?$')
);
COMMENT ON TABLE link_sale_totals IS 'Sign-ups, customers, sales and earnings of each link, each enrolment and each partner, from the beginning, by day (UTC) and by quarter of an hour';
COMMENT ON COLUMN link_sale_totals.scope_id IS 'The link, the enrolment or the partner';
COMMENT ON COLUMN link_sale_totals.currency IS 'That of the amounts; empty for sign-ups and customers, which have none';
COMMENT ON COLUMN link_sale_totals.customers IS 'Customers by when they bought first';
COMMENT ON COLUMN link_sale_totals.sale_amount IS 'What was paid, less what was refunded of it, by when it was paid';
COMMENT ON COLUMN link_sale_totals.earned IS 'What the link''s partner has earned by it, what was taken back included, rejected commissions left out';

ALTER TABLE link_sign_ups ENABLE ROW LEVEL SECURITY;
ALTER TABLE link_sale_totals ENABLE ROW LEVEL SECURITY;
CREATE POLICY link_sign_ups_partner ON link_sign_ups FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY link_sign_ups_staff ON link_sign_ups TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
CREATE POLICY link_sale_totals_partner ON link_sale_totals FOR SELECT TO portal_partner
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid) AND partner_id = (SELECT current_setting('app.partner_id')::uuid));
CREATE POLICY link_sale_totals_staff ON link_sale_totals FOR SELECT TO portal_operator, portal_service
    USING (tenant_id = (SELECT current_setting('app.tenant_id')::uuid));
GRANT SELECT ON link_sign_ups, link_sale_totals TO portal_partner, portal_operator, portal_service;
GRANT INSERT ON link_sign_ups TO portal_operator, portal_service;
GRANT UPDATE (is_counted) ON link_sign_ups TO portal_operator, portal_service;

-- Adds to all totals of a link. Every caller holds the advisory lock of the link's partner, so two transactions cannot deadlock on these rows.
CREATE FUNCTION add_to_link_totals(of_tenant uuid, of_link uuid, of_currency text, at timestamptz, more_sign_ups bigint, more_customers bigint,
    more_sales bigint, more_sale_amount numeric, more_earned numeric) RETURNS void
    LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO link_sale_totals AS t (tenant_id, partner_id, scope_id, currency, grain, starts_at, sign_ups, customers, sales, sale_amount, earned)
        SELECT l.tenant_id, l.partner_id, s.scope_id, of_currency, g.grain, g.starts_at, more_sign_ups, more_customers, more_sales,
            more_sale_amount, more_earned
        FROM links l
        JOIN enrolments e ON e.tenant_id = l.tenant_id AND e.partner_id = l.partner_id AND e.programme_id = l.programme_id
        CROSS JOIN LATERAL (VALUES (l.id), (e.id), (l.partner_id)) AS s (scope_id)
        CROSS JOIN LATERAL (VALUES ('all', 'epoch'::timestamptz), ('day', date_trunc('day', at, 'UTC')),
            ('quarter_hour', date_bin('15 minutes', at, 'epoch'::timestamptz))) AS g (grain, starts_at)
        WHERE l.tenant_id = of_tenant AND l.id = of_link
        ORDER BY s.scope_id, g.grain
        ON CONFLICT (tenant_id, scope_id, currency, grain, starts_at) DO UPDATE SET sign_ups = t.sign_ups + excluded.sign_ups,
            customers = t.customers + excluded.customers, sales = t.sales + excluded.sales,
            sale_amount = t.sale_amount + excluded.sale_amount, earned = t.earned + excluded.earned;
END $$;
COMMENT ON FUNCTION add_to_link_totals(uuid, uuid, text, timestamptz, bigint, bigint, bigint, numeric, numeric)
    IS 'Adds to the totals of a link, its enrolment and its partner';

CREATE FUNCTION link_totals_of_sign_ups() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM add_to_link_totals(NEW.tenant_id, NEW.link_id, '', NEW.at, CASE WHEN NEW.is_counted THEN 1 ELSE -1 END, 0, 0, 0, 0);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION link_totals_of_sign_ups() IS 'Keeps link_sale_totals in step with the sign-ups that count; runs as its owner because callers may not write it';
CREATE TRIGGER link_sign_ups_total_insert AFTER INSERT ON link_sign_ups FOR EACH ROW
    WHEN (NEW.is_counted) EXECUTE FUNCTION link_totals_of_sign_ups();
CREATE TRIGGER link_sign_ups_total_update AFTER UPDATE ON link_sign_ups FOR EACH ROW
    WHEN (NEW.is_counted <> OLD.is_counted) EXECUTE FUNCTION link_totals_of_sign_ups();

-- A sale is the commission of a payment by a link. A refund may have been reported before it.
CREATE FUNCTION link_totals_of_commissions() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    was record;
BEGIN
    IF NOT EXISTS (SELECT FROM added WHERE link_id IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    FOR was IN
        SELECT a.tenant_id, a.link_id, a.currency, a.event_date, count(*) FILTER (WHERE a.event_type = 'invoice_payment') AS sales,
            coalesce(sum(a.base - least(i.refunded, i.amount)) FILTER (WHERE a.event_type = 'invoice_payment'), 0) AS sale_amount,
            coalesce(sum(a.amount) FILTER (WHERE a.status <> 'rejected' AND a.partner_id = l.partner_id), 0) AS earned
        FROM added a
        JOIN links l ON l.tenant_id = a.tenant_id AND l.id = a.link_id
        LEFT JOIN invoices i ON i.tenant_id = a.tenant_id AND i.external_id = a.invoice_id
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    LOOP
        PERFORM add_to_link_totals(was.tenant_id, was.link_id, was.currency, was.event_date, 0, 0, was.sales, was.sale_amount, was.earned);
    END LOOP;
    -- Reports may come out of order: a sale from before a customer's first one is the first one now.
    FOR was IN
        SELECT n.tenant_id, n.link_id, n.first_at, min(e.event_date) AS earlier_at
        FROM (SELECT tenant_id, link_id, customer_id, min(event_date) AS first_at FROM added
              WHERE link_id IS NOT NULL AND event_type = 'invoice_payment' GROUP BY 1, 2, 3) n
        LEFT JOIN partner_commission_events e ON e.tenant_id = n.tenant_id AND e.customer_id = n.customer_id AND e.link_id = n.link_id
            AND e.event_type = 'invoice_payment' AND NOT EXISTS (SELECT FROM added a WHERE a.tenant_id = e.tenant_id AND a.id = e.id)
        GROUP BY n.tenant_id, n.link_id, n.customer_id, n.first_at ORDER BY 1, 2, 3
    LOOP
        CONTINUE WHEN was.earlier_at <= was.first_at;
        PERFORM add_to_link_totals(was.tenant_id, was.link_id, '', was.first_at, 0, 1, 0, 0, 0);
        IF was.earlier_at IS NOT NULL THEN
            PERFORM add_to_link_totals(was.tenant_id, was.link_id, '', was.earlier_at, 0, -1, 0, 0, 0);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION link_totals_of_commissions() IS 'Adds new commissions to link_sale_totals; runs as its owner because callers may not write it';
CREATE TRIGGER partner_commission_events_link_insert AFTER INSERT ON partner_commission_events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION link_totals_of_commissions();

CREATE FUNCTION link_totals_of_decisions() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    owner uuid := (SELECT partner_id FROM links WHERE tenant_id = NEW.tenant_id AND id = NEW.link_id);
    difference numeric := CASE WHEN NEW.status <> 'rejected' AND NEW.partner_id = owner THEN NEW.amount ELSE 0 END
        - CASE WHEN OLD.status <> 'rejected' AND OLD.partner_id = owner THEN OLD.amount ELSE 0 END;
BEGIN
    IF difference <> 0 THEN
        PERFORM add_to_link_totals(NEW.tenant_id, NEW.link_id, NEW.currency, NEW.event_date, 0, 0, 0, 0, difference);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION link_totals_of_decisions() IS 'Keeps link_sale_totals in step where a commission is rejected or moved to another partner; runs as its owner because callers may not write it';
CREATE TRIGGER partner_commission_events_link_update AFTER UPDATE ON partner_commission_events FOR EACH ROW
    WHEN (NEW.link_id IS NOT NULL AND ((NEW.status = 'rejected') <> (OLD.status = 'rejected') OR NEW.partner_id <> OLD.partner_id))
    EXECUTE FUNCTION link_totals_of_decisions();

CREATE FUNCTION link_totals_of_refunds() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM add_to_link_totals(e.tenant_id, e.link_id, e.currency, e.event_date, 0, 0, 0,
            least(OLD.refunded, OLD.amount) - least(NEW.refunded, NEW.amount), 0)
        FROM partner_commission_events e
        WHERE e.tenant_id = NEW.tenant_id AND e.invoice_id = NEW.external_id AND e.event_type = 'invoice_payment' AND e.link_id IS NOT NULL;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION link_totals_of_refunds() IS 'Takes refunds off link_sale_totals; runs as its owner because callers may not write it';
-- A refund that came before its payment is taken off with that.
CREATE TRIGGER invoices_link_refund AFTER UPDATE ON invoices FOR EACH ROW
    WHEN (NEW.refunded <> OLD.refunded AND OLD.amount IS NOT NULL) EXECUTE FUNCTION link_totals_of_refunds();

CREATE FUNCTION relink_commissions(of_tenant uuid, of_customer uuid, from_link uuid, to_link uuid, since timestamptz, until timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    chosen uuid[];
    moved record;
    firsts record;
BEGIN
    -- A caller of a tenant's asks for that tenant; the owner of the tables may for any.
    IF of_tenant <> nullif(current_setting('app.tenant_id', true), '')::uuid OR NOT EXISTS (SELECT FROM links a JOIN links b ON b.tenant_id = a.tenant_id
        AND b.partner_id = a.partner_id AND b.programme_id = a.programme_id
        WHERE a.tenant_id = of_tenant AND a.id = from_link AND b.id = to_link) THEN
        RAISE 'the links are not of one partner and programme of the tenant''s';
    END IF;
    -- Payments of the period, and what took them back, however late.
    SELECT coalesce(array_agg(e.id), '{}') INTO chosen FROM partner_commission_events e
        LEFT JOIN partner_commission_events o ON o.tenant_id = e.tenant_id AND o.id = e.reverses_id
        WHERE e.tenant_id = of_tenant AND e.customer_id = of_customer AND e.link_id = from_link
            AND coalesce(o.event_date, e.event_date) >= since AND coalesce(o.event_date, e.event_date) < until;
    SELECT min(event_date) FILTER (WHERE link_id = from_link) AS from_before,
            min(event_date) FILTER (WHERE link_id = from_link AND id <> ALL (chosen)) AS from_after,
            min(event_date) FILTER (WHERE link_id = to_link) AS to_before,
            min(event_date) FILTER (WHERE link_id = to_link OR id = ANY (chosen)) AS to_after
        INTO firsts FROM partner_commission_events
        WHERE tenant_id = of_tenant AND customer_id = of_customer AND link_id IN (from_link, to_link) AND event_type = 'invoice_payment';
    FOR moved IN
        SELECT e.currency, e.event_date, (e.event_type = 'invoice_payment')::integer AS sales,
            CASE WHEN e.event_type = 'invoice_payment' THEN e.base - least(i.refunded, i.amount) ELSE 0 END AS sale_amount,
            CASE WHEN e.status <> 'rejected' AND e.partner_id = l.partner_id THEN e.amount ELSE 0 END AS earned
        FROM partner_commission_events e
        JOIN links l ON l.tenant_id = e.tenant_id AND l.id = e.link_id
        LEFT JOIN invoices i ON i.tenant_id = e.tenant_id AND i.external_id = e.invoice_id
        WHERE e.tenant_id = of_tenant AND e.id = ANY (chosen)
    LOOP
        PERFORM add_to_link_totals(of_tenant, from_link, moved.currency, moved.event_date, 0, 0, -moved.sales, -moved.sale_amount, -moved.earned);
        PERFORM add_to_link_totals(of_tenant, to_link, moved.currency, moved.event_date, 0, 0, moved.sales, moved.sale_amount, moved.earned);
    END LOOP;
    FOR moved IN SELECT * FROM (VALUES (from_link, firsts.from_before, -1), (from_link, firsts.from_after, 1),
            (to_link, firsts.to_before, -1), (to_link, firsts.to_after, 1)) AS first_sales (link, at, change) WHERE at IS NOT NULL
    LOOP
        PERFORM add_to_link_totals(of_tenant, moved.link, '', moved.at, 0, moved.change, 0, 0, 0);
    END LOOP;
    UPDATE partner_commission_events SET link_id = to_link WHERE tenant_id = of_tenant AND id = ANY (chosen);
END $$;
COMMENT ON FUNCTION relink_commissions(uuid, uuid, uuid, uuid, timestamptz, timestamptz)
    IS 'Lets a customer''s commissions of a period by one link be by another of the same partner and programme; runs as its owner because callers may not change a commission''s link';

REVOKE ALL ON FUNCTION relink_commissions(uuid, uuid, uuid, uuid, timestamptz, timestamptz), add_to_link_totals(uuid, uuid, text, timestamptz, bigint, bigint, bigint, numeric, numeric), link_totals_of_sign_ups(),
    link_totals_of_commissions(), link_totals_of_decisions(), link_totals_of_refunds() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION relink_commissions(uuid, uuid, uuid, uuid, timestamptz, timestamptz) TO portal_operator, portal_service;
