import { useNavigate, useSearch } from "@tanstack/react-router";
import { detail, usePage, useRows } from "../../api/page";
import type { CommissionStatus, EarningsGroup } from "../../api/schema.generated";
import { money, sizes } from "../../format/money";
import { PERIODS, periodOf } from "../../format/period";
import { dayOf } from "../../format/time";
import { Badge, Card, Empty } from "../../parts/card";
import { Failed, Loading } from "../../parts/failed";
import { Choice } from "../../parts/field";
import { isMinor } from "../../parts/search";
import { type Column, Table } from "../../parts/table";
import { PageTitle } from "../../shell/title";
import { texts } from "../../texts";
import { CommissionSheet } from "./commission";
import { type CommissionRowFragment, EarningsDocument, type EarningsQuery } from "./earnings.generated";
import { GROUPS, STATUS_TONES, STATUSES } from "./status";

const COLUMNS: Column<CommissionRowFragment>[] = [
  { name: texts.earnings.kind, cell: ({ eventType }) => texts.earnings.types[eventType] },
  { name: texts.earnings.customer, cell: ({ customer, lead }) => customer?.name ?? lead?.clientName, isExtra: true },
  { name: texts.earnings.date, cell: ({ eventDate }) => dayOf(eventDate), isExtra: true },
  { name: texts.earnings.status, cell: ({ status }) => <Badge tone={STATUS_TONES[status]}>{texts.earnings.statuses[status]}</Badge> },
  { name: texts.earnings.amount, cell: ({ amount }) => money(amount), isNumber: true },
];

export function EarningsPage() {
  const search = useSearch({ from: "/earnings" });
  const navigate = useNavigate({ from: "/earnings" });
  const set = (changed: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...changed }), replace: isMinor(changed) });
  const { period = "year", by = "LINK" } = search;
  const { span, interval } = periodOf(period);
  const rows = useRows([period, search.status]);
  const { data, error, isLoading, isReading, reload } = usePage(
    EarningsDocument,
    {
      period: span,
      group: by,
      interval,
      filter: { earned: span, status: search.status && [search.status] },
      first: rows.first,
      commission: search.commission ?? "",
      withCommission: search.commission !== undefined,
    },
    ["COMMISSION"],
  );
  const commissions = data?.commissions;
  return (
    <>
      <PageTitle
        action={
          <Choice
            label={texts.filter.period}
            value={period}
            of={PERIODS.map((period) => [period, texts.periods[period]])}
            onChange={(period) => set({ period })}
          />
        }
      >
        {texts.earnings.title}
      </PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : data && commissions ? (
        <div className="flex flex-col gap-6">
          <Card
            title={texts.earnings.title}
            action={
              <Choice
                label={texts.earnings.by}
                value={by}
                of={GROUPS.map((group) => [group, texts.earnings.groups[group]])}
                onChange={(by) => set({ by })}
              />
            }
          >
            <Series series={data.earningsBy ?? []} group={by} />
          </Card>
          <Card
            title={texts.earnings.commissions}
            action={
              <Choice
                label={texts.earnings.status}
                value={search.status ?? ""}
                of={[
                  ["", texts.filter.all],
                  ...STATUSES.map((status): [CommissionStatus, string] => [status, texts.earnings.statuses[status]]),
                ]}
                onChange={(status) => set({ status: status || undefined })}
              />
            }
          >
            {commissions.nodes.length === 0 ? (
              <Empty>{texts.earnings.empty}</Empty>
            ) : (
              <>
                <Table
                  label={texts.earnings.commissions}
                  rows={commissions.nodes}
                  columns={COLUMNS}
                  total={commissions.totalCount}
                  onOpen={(commission) => set({ commission: commission.id })}
                  onMore={rows.more(commissions.pageInfo.hasNextPage)}
                />
                <p className="border-t border-line px-4 py-3 text-right text-sm">
                  {texts.earnings.total}:{" "}
                  <span className="font-semibold tabular-nums">{commissions.totals?.map(({ amount }) => money(amount)).join(" · ")}</span>
                </p>
              </>
            )}
          </Card>
        </div>
      ) : null}
      {search.commission && data && (
        <CommissionSheet
          commission={detail(isReading, search.commission, data.commission)}
          onClose={() => set({ commission: undefined })}
        />
      )}
    </>
  );
}

type Series = NonNullable<EarningsQuery["earningsBy"]>[number];

function nameOf(series: Series, group: EarningsGroup): string {
  if (series.isRest) return texts.earnings.rest;
  switch (group) {
    case "LINK":
      return series.link?.title ?? series.link?.key ?? texts.earnings.withoutLink;
    case "PROGRAMME":
      return series.programme?.name ?? texts.earnings.withoutProgramme;
    case "CUSTOMER":
      return series.customer?.name ?? texts.earnings.withoutCustomer;
    case "EVENT_TYPE":
      return series.eventType ? texts.earnings.types[series.eventType] : "";
  }
}

/** What each link, programme, customer or kind has earned, and how they compare. */
function Series({ series, group }: { series: Series[]; group: EarningsGroup }) {
  if (series.length === 0) return <Empty>{texts.earnings.empty}</Empty>;
  const widths = sizes(series.map(({ earnings }) => earnings.amount));
  return (
    <ul className="flex flex-col gap-3 p-4">
      {series.map((one, index) => (
        <li key={one.link?.id ?? one.programme?.id ?? one.customer?.id ?? one.eventType ?? String(one.isRest)}>
          <p className="flex justify-between gap-4 text-sm">
            <span className="min-w-0 truncate">{nameOf(one, group)}</span>
            <span className="font-medium tabular-nums">{money(one.earnings)}</span>
          </p>
          <div className="mt-1 h-2 rounded-full bg-hover" aria-hidden="true">
            <div className="h-2 rounded-full bg-accent" style={{ width: `${(widths[index] ?? 0) / 10}%` }} />
          </div>
        </li>
      ))}
    </ul>
  );
}
