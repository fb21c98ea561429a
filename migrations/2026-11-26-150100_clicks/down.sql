DROP TRIGGER partners_say_links ON partners;
DROP TABLE link_click_totals, visitor_keys, link_visitors, link_clicks;
DROP FUNCTION record_clicks(uuid[], uuid[], uuid[], timestamptz[], uuid[], boolean[], boolean[], text[], text[], text[], text[]),
    forget_clicks(date), click_months(), prepare_click_months(date[]), first_uuid(timestamptz), visitor_key(date), all_link_hosts(), find_link(text, text);
DROP TRIGGER link_hosts_say ON link_hosts;
DROP TRIGGER enrolments_say_links ON enrolments;
DROP TRIGGER links_say ON links;
DROP FUNCTION links_say_hosts(), links_say_partner(), links_say();
