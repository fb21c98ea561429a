import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import type {
  AuditActor,
  CommissionStatus,
  EarningsGroup,
  LeadStatus,
  LinkOrderField,
  MemberStatus,
  PartnerStatus,
  PayoutStatus,
} from "./api/schema.generated";
import { PERIODS, type PeriodName } from "./format/period";
import { STATUSES as MEMBER_STATUSES } from "./pages/credits/status";
import { STATUSES as COMMISSION_STATUSES, GROUPS } from "./pages/earnings/status";
import { STATUSES } from "./pages/leads/status";
import { ORDERS } from "./pages/links/orders";
import { ACTORS } from "./pages/operator/audit/actors";
import { STATUSES as PARTNER_STATUSES } from "./pages/operator/partners/status";
import { STATUSES as PAYOUT_STATUSES } from "./pages/payouts/status";
import { Broken, NotFound } from "./shell/not-found";
import { Shell } from "./shell/shell";

type Search = Record<string, unknown>;

// What stands in the address is what a page shows: it can be sent to somebody, and gone back to.
const text = (value: unknown) =>
  typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined;
const flag = (value: unknown) => (value === true ? true : undefined);
const one = <Value extends string>(values: readonly Value[], value: unknown) => values.find((known) => known === value);

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: (search: Search): { period?: PeriodName } => ({ period: one(PERIODS, search.period) }),
  component: lazyRouteComponent(() => import("./pages/home/home"), "HomePage"),
});

const leads = createRoute({
  getParentRoute: () => root,
  path: "/leads",
  validateSearch: (search: Search): { q?: string; status?: LeadStatus; view?: "board"; lead?: string; new?: true } => ({
    q: text(search.q),
    status: one(STATUSES, search.status),
    view: one(["board"], search.view),
    lead: text(search.lead),
    new: flag(search.new),
  }),
  component: lazyRouteComponent(() => import("./pages/leads/leads"), "LeadsPage"),
});

const links = createRoute({
  getParentRoute: () => root,
  path: "/links",
  validateSearch: (search: Search): { q?: string; order?: LinkOrderField; archived?: true; link?: string; new?: true } => ({
    q: text(search.q),
    order: one(ORDERS, search.order),
    archived: flag(search.archived),
    link: text(search.link),
    new: flag(search.new),
  }),
  component: lazyRouteComponent(() => import("./pages/links/links"), "LinksPage"),
});

const earnings = createRoute({
  getParentRoute: () => root,
  path: "/earnings",
  validateSearch: (search: Search): { period?: PeriodName; by?: EarningsGroup; status?: CommissionStatus; commission?: string } => ({
    period: one(PERIODS, search.period),
    by: one(GROUPS, search.by),
    status: one(COMMISSION_STATUSES, search.status),
    commission: text(search.commission),
  }),
  component: lazyRouteComponent(() => import("./pages/earnings/earnings"), "EarningsPage"),
});

const payouts = createRoute({
  getParentRoute: () => root,
  path: "/payouts",
  validateSearch: (search: Search): { status?: PayoutStatus; payout?: string } => ({
    status: one(PAYOUT_STATUSES, search.status),
    payout: text(search.payout),
  }),
  component: lazyRouteComponent(() => import("./pages/payouts/payouts"), "PayoutsPage"),
});

const credits = createRoute({
  getParentRoute: () => root,
  path: "/credits",
  validateSearch: (search: Search): { q?: string; status?: MemberStatus; member?: string; new?: true; import?: true } => ({
    q: text(search.q),
    status: one(MEMBER_STATUSES, search.status),
    member: text(search.member),
    new: flag(search.new),
    import: flag(search.import),
  }),
  component: lazyRouteComponent(() => import("./pages/credits/credits"), "CreditsPage"),
});

const affiliates = createRoute({
  getParentRoute: () => root,
  path: "/affiliates",
  component: lazyRouteComponent(() => import("./pages/affiliates/affiliates"), "AffiliatesPage"),
});

const profile = createRoute({
  getParentRoute: () => root,
  path: "/profile",
  component: lazyRouteComponent(() => import("./pages/profile/profile"), "ProfilePage"),
});

const team = createRoute({
  getParentRoute: () => root,
  path: "/team",
  component: lazyRouteComponent(() => import("./pages/team/team"), "TeamPage"),
});

const approvals = createRoute({
  getParentRoute: () => root,
  path: "/operator/approvals",
  validateSearch: (search: Search): { flagged?: true } => ({ flagged: flag(search.flagged) }),
  component: lazyRouteComponent(() => import("./pages/operator/approvals/approvals"), "ApprovalsPage"),
});

const managePayouts = createRoute({
  getParentRoute: () => root,
  path: "/operator/payouts",
  validateSearch: (
    search: Search,
  ): { status?: PayoutStatus; payout?: string; prepare?: true; all?: true; partner?: string; from?: string; before?: string } => ({
    status: one(PAYOUT_STATUSES, search.status),
    payout: text(search.payout),
    prepare: flag(search.prepare),
    all: flag(search.all),
    partner: text(search.partner),
    from: text(search.from),
    before: text(search.before),
  }),
  component: lazyRouteComponent(() => import("./pages/operator/payouts/payouts"), "ManagePayoutsPage"),
});

const partners = createRoute({
  getParentRoute: () => root,
  path: "/operator/partners",
  validateSearch: (search: Search): { q?: string; status?: PartnerStatus; partner?: string } => ({
    q: text(search.q),
    status: one(PARTNER_STATUSES, search.status),
    partner: text(search.partner),
  }),
  component: lazyRouteComponent(() => import("./pages/operator/partners/partners"), "PartnersPage"),
});

const programmes = createRoute({
  getParentRoute: () => root,
  path: "/operator/programmes",
  component: lazyRouteComponent(() => import("./pages/operator/programmes/programmes"), "ProgrammesPage"),
});

const webhooks = createRoute({
  getParentRoute: () => root,
  path: "/operator/webhooks",
  validateSearch: (search: Search): { endpoint?: string } => ({ endpoint: text(search.endpoint) }),
  component: lazyRouteComponent(() => import("./pages/operator/webhooks/webhooks"), "WebhooksPage"),
});

const imports = createRoute({
  getParentRoute: () => root,
  path: "/operator/imports",
  validateSearch: (search: Search): { import?: string } => ({ import: text(search.import) }),
  component: lazyRouteComponent(() => import("./pages/operator/imports/imports"), "ImportsPage"),
});

const audit = createRoute({
  getParentRoute: () => root,
  path: "/operator/audit",
  validateSearch: (search: Search): { action?: string; actor?: AuditActor; entry?: string } => ({
    action: text(search.action),
    actor: one(ACTORS, search.actor),
    entry: text(search.entry),
  }),
  component: lazyRouteComponent(() => import("./pages/operator/audit/audit"), "AuditPage"),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: "/operator/settings",
  component: lazyRouteComponent(() => import("./pages/operator/settings/settings"), "SettingsPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    leads,
    links,
    earnings,
    payouts,
    credits,
    affiliates,
    profile,
    team,
    approvals,
    managePayouts,
    partners,
    programmes,
    webhooks,
    imports,
    audit,
    settings,
  ]),
  defaultPreload: "intent",
  defaultErrorComponent: Broken,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
