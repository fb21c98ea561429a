"""What is asked, of both servers in their own words, and what shows that they answer the same."""

import datetime
import json
import random
import re
import uuid
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from .servers import BENCH

# How many different requests of a kind are sent in turn, where there are as many.
VARIANTS = 2_000
MONTHS = 12


@dataclass
class Query:
    """One operation: what it is, how many round trips it makes with which statements, and whether PostGraphile answers it too."""

    name: str
    title: str
    # How many statements go in each round trip, the one that begins the transaction included, and the one that ends it left out: that goes
    # with the next request. For reads `limit.py` checks it against what PostgreSQL saw.
    round_trips: list
    peers: tuple = ("portal", "postgraphile")
    writes: bool = False
    text: dict = field(default_factory=dict)

    def __post_init__(self):
        self.text = {peer: (BENCH / "queries" / f"{self.name}.{peer}.graphql").read_text() for peer in self.peers}


def queries():
    """All of them, by name."""
    found = [
        Query(
            "Q1",
            "dashboard: a partner, 10 leads, 20 commissions with lead and payout, 5 payouts, 5 allocations with member",
            [3, 4, 3],
        ),
        Query("Q2", "50 partners with 5 leads and 5 commissions with payout each", [3, 2, 1]),
        Query("Q3", "one lead", [3]),
        Query("Q4", "50 leads after a cursor", [3]),
        Query("Q5", "a year's revenue metrics and monthly earnings", [4]),
        Query("M1", "a lead's status", [], writes=True),
        Query("M2", "assignCredits of 5", [], peers=("portal",), writes=True),
        Query("M3", "recordInvoicePayment", [], peers=("portal",), writes=True),
    ]
    return {query.name: query for query in found}


class World:
    """The rows of a filled database that requests are about, and tokens of the people who ask."""

    def __init__(self, database, name, tenant, keys):
        self.database, self.name, self.keys = database, name, keys
        self.random = random.Random(1)
        self.tenant = self.sql(f"SELECT id FROM tenants WHERE slug = '{tenant}'")[0][0]
        self.operator = keys.token(
            "user_bench_operator",
            {"metadata": {"role": "operator"}},
            {"role": "portal_operator", "tenant": self.tenant, "partner": str(uuid.UUID(int=0)), "user": str(uuid.UUID(int=0))},
        )
        self.service = keys.token("user_bench_service", {"metadata": {"role": "service"}})
        rows = self.sql(
            f"""SELECT u.clerk_user_id, u.id, p.id FROM partners p
                JOIN partner_users m ON m.tenant_id = p.tenant_id AND m.partner_id = p.id AND m.role = 'owner'
                JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id AND u.default_partner_id = p.id
                WHERE p.tenant_id = '{self.tenant}' AND p.status = 'active' AND p.total_referrals >= 10
                    AND (SELECT count(*) FROM partner_commission_events c WHERE c.tenant_id = p.tenant_id AND c.partner_id = p.id) >= 20
                    AND (SELECT count(*) FROM partner_payouts c WHERE c.tenant_id = p.tenant_id AND c.partner_id = p.id) >= 5
                    AND (SELECT count(*) FROM credit_allocations c WHERE c.tenant_id = p.tenant_id AND c.partner_id = p.id) >= 5
                ORDER BY md5(p.id::text) LIMIT 100"""
        )
        self.partners = [
            (partner, keys.token(subject, None, {"role": "portal_partner", "tenant": self.tenant, "partner": partner, "user": user}))
            for subject, user, partner in rows
        ]
        if not self.partners:
            raise SystemExit("no partner has enough rows")

    def sql(self, text):
        """Rows, asked as the owner."""
        return self.database.sql(self.name, text)

    def lead_of(self, variables, server):
        """The UUID of the lead that a request is about."""
        return uuid_of(variables["id"]) if server.name == "portal" else variables["id"]

    def requests(self, query, server, count=VARIANTS):
        """Requests to send in turn: pairs of a token and variables."""
        made = getattr(self, "_" + query.name.lower())(server, count)
        return [(token, variables.get(server.name, {})) for token, variables in made]

    def _q1(self, server, count):
        for partner, token in self.partners:
            yield token, {"postgraphile": {"tenant": self.tenant, "partner": partner}}

    def _pages(self, server, query, list_name, pages):
        """The cursors of a list's pages, as the server gives them."""
        after = None
        for _ in range(pages):
            yield self.operator, {server.name: {"after": after}}
            page = server.ask(self.operator, query.text[server.name], {"after": after})[list_name]["pageInfo"]
            if not page["hasNextPage"]:
                break
            after = page["endCursor"]

    def _q2(self, server, count):
        return self._pages(server, queries()["Q2"], "partners", 19)

    def _leads(self, count, partner, condition="true"):
        return self.sql(
            f"""SELECT id FROM partner_leads WHERE tenant_id = '{self.tenant}' AND partner_id = '{partner}' AND {condition}
                ORDER BY md5(id::text) LIMIT {count}"""
        )

    def _q3(self, server, count):
        each = count // len(self.partners) + 1
        for partner, token in self.partners:
            for (lead,) in self._leads(each, partner):
                yield token, {"portal": {"id": type_id("lead", lead)}, "postgraphile": {"tenant": self.tenant, "id": lead}}

    def _q4(self, server, count):
        return self._pages(server, queries()["Q4"], "leads", 100)

    def _q5(self, server, count):
        today = datetime.date.today().replace(day=1)
        for back in range(12):
            end = (today - datetime.timedelta(days=31 * back)).replace(day=1)
            begin = end.replace(year=end.year - 1)
            begin, end = begin.isoformat(), end.isoformat()
            yield self.operator, {"portal": {"from": begin, "before": end}, "postgraphile": {"from": begin, "to": end}}

    def _m1(self, server, count):
        """Every lead goes back and forth between two statuses, and each server has leads of its own: no request changes nothing."""
        half = "<" if server.name == "portal" else ">="
        condition = f"status IN ('pending', 'lost') AND md5(id::text) {half} '8'"
        self.sql(f"UPDATE partner_leads SET status = 'pending' WHERE tenant_id = '{self.tenant}' AND status = 'lost' AND {condition}")
        leads = [(token, lead) for partner, token in self.partners for (lead,) in self._leads(count, partner, condition)]
        self.random.shuffle(leads)
        for status in ("LOST", "PENDING"):
            for token, lead in leads:
                ours = {"id": type_id("lead", lead), "status": status}
                yield token, {"portal": ours, "postgraphile": {"id": lead, "status": status.lower()}}

    def _m2(self, server, count):
        """Each partner has credits for all that it is asked to assign."""
        grant = """mutation Grant($partner: ID!, $key: String!) {
            grantCredits(input: { partnerId: $partner, credits: 1000000, reason: "For the bench", idempotencyKey: $key }) { userErrors { message } } }"""
        members = []
        for partner, token in self.partners:
            granted = server.ask(self.service, grant, {"partner": type_id("partner", partner), "key": str(uuid.uuid4())})["grantCredits"]["userErrors"]
            if granted:
                raise SystemExit(f"credits were not granted: {granted}")
            found = self.sql(
                f"""SELECT id FROM partner_members WHERE tenant_id = '{self.tenant}' AND partner_id = '{partner}' AND status <> 'inactive'
                    LIMIT 20"""
            )
            members += [(token, member) for (member,) in found]
        self.random.shuffle(members)
        run = uuid.uuid4().hex[:8]
        for number in range(count):
            token, member = members[number % len(members)]
            yield token, {"portal": {"member": type_id("member", member), "key": f"{run}-{number}"}}

    def _m3(self, server, count):
        customers = self.sql(
            f"""SELECT c.external_id FROM customers c JOIN partner_accounts a ON a.tenant_id = c.tenant_id AND a.customer_id = c.id
                WHERE c.tenant_id = '{self.tenant}' AND a.managed_to IS NULL AND a.managed_from < now() - interval '1 day'
                ORDER BY md5(c.id::text) LIMIT 500"""
        )
        at = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0).isoformat().replace("+00:00", "Z")
        run = uuid.uuid4().hex[:8]
        for number in range(count * 50):
            customer = customers[number % len(customers)][0]
            yield self.service, {"portal": {"invoice": f"bench-{run}-{number}", "customer": customer, "at": at}}


ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TYPE_ID = re.compile(r"^[a-z_]+_([0-7][0-9a-hjkmnp-tv-z]{25})$")


def type_id(prefix, text):
    """A UUID as the portal shows it (TypeID 0.3: a prefix and 26 letters of Crockford's base 32)."""
    number = uuid.UUID(text).int
    return prefix + "_" + "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def uuid_of(text):
    """And back."""
    number = 0
    for letter in text.rsplit("_", 1)[1]:
        number = number << 5 | ALPHABET.index(letter)
    return str(uuid.UUID(int=number))


def leaves(answer):
    """What an answer says, in its order, without regard to how either server writes ids, amounts, instants and names of statuses."""
    if isinstance(answer, dict):
        # Cursors are each server's own; a mutation's instant is that of its request.
        return [leaf for key, value in answer.items() if key != "endCursor" for leaf in leaves(value)]
    if isinstance(answer, list):
        return [leaf for value in answer for leaf in leaves(value)]
    return [_plain(answer)]


def _plain(value):
    if not isinstance(value, str):
        return str(value)
    if TYPE_ID.match(value):
        return uuid_of(value)
    if re.match(r"^\d{4}-\d\d-\d\dT", value):
        return datetime.datetime.fromisoformat(_microseconds(value)).astimezone(datetime.timezone.utc).isoformat()
    try:
        return format(Decimal(value).normalize(), "f")
    except InvalidOperation:
        return value.lower()


def _microseconds(text):
    """ISO 8601 as Python before 3.11 reads it."""
    match = re.match(r"^(.*?T\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)$", text)
    zone = match[3].replace("Z", "+00:00")
    zone = zone if ":" in zone else zone[:3] + ":" + zone[3:]
    return f"{match[1]}.{(match[2] or '0'):0<6}{zone}"


def body(query, server, variables):
    """A request's body."""
    return json.dumps({"query": query.text[server.name], "variables": variables}, separators=(",", ":"))

