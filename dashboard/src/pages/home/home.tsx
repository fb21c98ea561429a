import { Link, Navigate, useNavigate, useSearch } from "@tanstack/react-router";
import { usePage } from "../../api/page";
import { usePortal } from "../../api/portal";
import type { LeadStatus } from "../../api/schema.generated";
import { change, count, money, percent, sizes } from "../../format/money";
import { periodOf } from "../../format/period";
import { ago, day, month } from "../../format/time";
import { ButtonLink } from "../../parts/button";
import { Badge, Card, Empty, Figure } from "../../parts/card";
import { BarChart } from "../../parts/chart";
import { Failed, Loading } from "../../parts/failed";
import { Choice } from "../../parts/field";
import { PageTitle } from "../../shell/title";
import { useMay, useViewer } from "../../shell/viewer";
import { texts } from "../../texts";
import { STATUS_TONES } from "../leads/status";
import { HomeDocument, type HomeQuery } from "./home.generated";

type Dashboard = NonNullable<HomeQuery["dashboard"]>;

/** The first page: a partner's figures; for staff, what waits for them. */
export function HomePage() {
  const { session } = usePortal();
  return session.isOperator ? <Navigate to="/operator/approvals" replace /> : <PartnerHome />;
}

function PartnerHome() {
  const { period = "quarter" } = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const { span, interval } = periodOf(period);
  const { data, error, isLoading, reload } = usePage(HomeDocument, { period: span, interval }, ["LEAD", "COMMISSION", "PAYOUT", "CLICKS"]);
  const [viewer] = useViewer();
  const partner = viewer?.partner;
  const choice = (
    <Choice
      label={texts.filter.period}
      value={period}
      of={[
        ["month", texts.periods.month],
        ["quarter", texts.periods.quarter],
        ["year", texts.periods.year],
      ]}
      onChange={(period) => void navigate({ search: { period } })}
    />
  );
  const dashboard = data?.dashboard;
  return (
    <>
      <PageTitle action={dashboard && choice}>{partner ? texts.home.title(partner.companyName) : texts.nav.home}</PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : dashboard ? (
        <Contents dashboard={dashboard} isPending={partner?.status === "PENDING"} byMonth={interval === "MONTH"} />
      ) : null}
    </>
  );
}

function Contents({ dashboard, isPending, byMonth }: { dashboard: Dashboard; isPending: boolean; byMonth: boolean }) {
  const { revenue, stats, partner } = dashboard;
  const points = dashboard.earningsOverTime ?? [];
  const heights = sizes(points.map(({ earned }) => earned.amount));
  const highest = points[heights.indexOf(Math.max(...heights))];
  return (
    <div className="flex flex-col gap-6">
      {isPending && <Pending hasApplied={partner.application !== null} />}
      <dl className="grid grid-cols-2 gap-4 md:grid-cols-3 xl:grid-cols-5">
        {revenue && (
          <>
            <Figure label={texts.home.earned} value={money(revenue.totalCommissions)} {...changed(revenue.change?.totalCommissions)} />
            <Figure label={texts.home.paidOut} value={money(revenue.totalPayouts)} {...changed(revenue.change?.totalPayouts)} />
            <Figure label={texts.home.pending} value={money(revenue.pendingAmount)} />
          </>
        )}
        <Figure label={texts.home.clicks} value={count(partner.linkFigures?.clicks ?? 0)} />
        <Figure
          label={texts.home.leads}
          value={count(stats.totalLeads)}
          note={`${texts.home.conversion}: ${percent(stats.conversionRate)}`}
        />
      </dl>
      <div className="grid items-start gap-6 lg:grid-cols-[2fr_1fr]">
        <Card
          title={texts.home.overTime}
          action={partner.rank && <span className="text-sm text-muted">{texts.home.rank(partner.rank)}</span>}
        >
          <BarChart
            title={texts.home.overTime}
            highest={highest ? money(highest.earned) : ""}
            bars={points.map(({ start, earned }, index) => ({
              label: byMonth ? month(start) : day(start),
              value: money(earned),
              size: heights[index] ?? 0,
            }))}
          />
        </Card>
        <Next dashboard={dashboard} />
      </div>
      <Card
        title={texts.home.recent}
        action={
          <ButtonLink kind="quiet" to="/leads">
            {texts.home.allLeads}
          </ButtonLink>
        }
      >
        <Recent leads={dashboard.recentLeads ?? []} />
      </Card>
    </div>
  );
}

function changed(share: string | null | undefined): { note: string; tone?: "good" | "bad" } {
  if (!share) return { note: texts.home.noChange };
  const tone = share.startsWith("-") ? "bad" : share === "0" ? undefined : "good";
  return { note: `${change(share)} ${texts.home.against}`, tone };
}

function Pending({ hasApplied }: { hasApplied: boolean }) {
  const { title, about } = hasApplied ? texts.home.pendingPartner : texts.home.apply;
  return (
    <section className="rounded-xl bg-warn-soft p-5 text-warn">
      <h2 className="font-semibold">{title}</h2>
      <p className="mt-1 mb-3">{about}</p>
      <ButtonLink to="/profile">{hasApplied ? texts.home.apply.again : texts.home.apply.button}</ButtonLink>
    </section>
  );
}

interface Step {
  title: string;
  about: string;
  to: "/leads" | "/links" | "/profile";
  search: { status?: LeadStatus; new?: true };
}

function Next({ dashboard: { partner } }: { dashboard: Dashboard }) {
  const mayWrite = useMay("LEADS_WRITE");
  const mayLink = useMay("LINKS_MANAGE");
  const mayProfile = useMay("PROFILE_WRITE");
  const waiting = partner.leads?.totalCount ?? 0;
  const steps: Step[] = [];
  if (waiting > 0) steps.push({ ...texts.home.todo.waiting(waiting), to: "/leads", search: { status: "PENDING" } });
  if (mayProfile && !partner.profile?.paymentEmail && !partner.profile?.bankAccountMasked) {
    steps.push({ ...texts.home.todo.profile, to: "/profile", search: {} });
  }
  if (mayWrite) steps.push({ ...texts.home.todo.sendLead, to: "/leads", search: { new: true } });
  if (mayLink) steps.push({ ...texts.home.todo.shareLink, to: "/links", search: partner.links?.totalCount === 0 ? { new: true } : {} });
  if (steps.length === 0) return null;
  return (
    <Card title={texts.home.next}>
      <ul className="flex flex-col p-2">
        {steps.map(({ title, about, to, search }) => (
          <li key={title}>
            <Link to={to} search={search} className="block rounded-lg p-3 hover:bg-hover">
              <span className="block font-medium text-accent">{title}</span>
              <span className="block text-sm text-muted">{about}</span>
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Recent({ leads }: { leads: NonNullable<Dashboard["recentLeads"]> }) {
  const mayWrite = useMay("LEADS_WRITE");
  if (leads.length === 0) {
    return (
      <Empty
        action={
          mayWrite && (
            <ButtonLink kind="main" to="/leads" search={{ new: true }}>
              {texts.leads.new}
            </ButtonLink>
          )
        }
      >
        {texts.home.noLeads}
      </Empty>
    );
  }
  return (
    <ul>
      {leads.map((lead) => (
        <li key={lead.id} className="border-b border-line last:border-0">
          <Link to="/leads" search={{ lead: lead.id }} className="flex items-center justify-between gap-4 px-4 py-3 hover:bg-hover">
            <span className="min-w-0">
              <span className="block truncate font-medium">{lead.clientName}</span>
              <span className="block truncate text-sm text-muted">
                {lead.service} · {ago(lead.createdAt)}
              </span>
            </span>
            <span className="flex items-center gap-4">
              {lead.dealValue && <span className="hidden text-sm tabular-nums sm:inline">{money(lead.dealValue)}</span>}
              <Badge tone={STATUS_TONES[lead.status]}>{texts.leads.statuses[lead.status]}</Badge>
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}
