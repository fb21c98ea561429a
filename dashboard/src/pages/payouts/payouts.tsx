import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { detail, usePage, useRows } from "../../api/page";
import type { PayoutStatus } from "../../api/schema.generated";
import { count, money } from "../../format/money";
import { dayOf, moment, range } from "../../format/time";
import { Badge, Card, Empty, Facts } from "../../parts/card";
import { Detail, Failed, Loading } from "../../parts/failed";
import { Choice } from "../../parts/field";
import { isMinor } from "../../parts/search";
import { Sheet } from "../../parts/sheet";
import { type Column, Table } from "../../parts/table";
import { Timeline } from "../../parts/timeline";
import { PageTitle } from "../../shell/title";
import { texts } from "../../texts";
import { type PayoutRowFragment, PayoutsDocument, type PayoutsQuery } from "./payouts.generated";
import { STATUS_TONES, STATUSES } from "./status";

const COLUMNS: Column<PayoutRowFragment>[] = [
  { name: texts.payouts.date, cell: ({ payoutDate }) => dayOf(payoutDate) },
  { name: texts.payouts.period, cell: ({ periodStart, periodEnd }) => range(periodStart, periodEnd), isExtra: true },
  { name: texts.payouts.count, cell: ({ commissionCount }) => count(commissionCount), isNumber: true, isExtra: true },
  { name: texts.payouts.status, cell: ({ status }) => <Badge tone={STATUS_TONES[status]}>{texts.payouts.statuses[status]}</Badge> },
  { name: texts.payouts.total, cell: ({ total }) => money(total), isNumber: true },
];

export function PayoutsPage() {
  const search = useSearch({ from: "/payouts" });
  const navigate = useNavigate({ from: "/payouts" });
  const set = (changed: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...changed }), replace: isMinor(changed) });
  const rows = useRows(search.status);
  const { data, error, isLoading, isReading, reload } = usePage(
    PayoutsDocument,
    {
      filter: { status: search.status && [search.status] },
      first: rows.first,
      payout: search.payout ?? "",
      withPayout: search.payout !== undefined,
    },
    ["PAYOUT"],
  );
  const payouts = data?.payouts;
  return (
    <>
      <PageTitle>{texts.payouts.title}</PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : payouts ? (
        <Card
          title={texts.payouts.title}
          action={
            <Choice
              label={texts.payouts.status}
              value={search.status ?? ""}
              of={[["", texts.filter.all], ...STATUSES.map((status): [PayoutStatus, string] => [status, texts.payouts.statuses[status]])]}
              onChange={(status) => {
                set({ status: status || undefined });
              }}
            />
          }
        >
          {payouts.nodes.length === 0 ? (
            <Empty>{texts.payouts.empty}</Empty>
          ) : (
            <Table
              label={texts.payouts.title}
              rows={payouts.nodes}
              columns={COLUMNS}
              total={payouts.totalCount}
              onOpen={(payout) => set({ payout: payout.id })}
              onMore={rows.more(payouts.pageInfo.hasNextPage)}
            />
          )}
        </Card>
      ) : null}
      {search.payout && data && (
        <PayoutSheet payout={detail(isReading, search.payout, data.payout)} onClose={() => set({ payout: undefined })} />
      )}
    </>
  );
}

type Payout = NonNullable<PayoutsQuery["payout"]>;

/** One payout beside the list: what has happened to it, and what is in it. */
function PayoutSheet({ payout, onClose }: { payout: Payout | null | undefined; onClose(): void }) {
  return (
    <Sheet title={payout ? range(payout.periodStart, payout.periodEnd) : texts.shell.loading} onClose={onClose}>
      <Detail of={payout}>{(payout) => <Contents payout={payout} />}</Detail>
    </Sheet>
  );
}

function Contents({ payout }: { payout: Payout }) {
  return (
    <>
      <p className="flex items-center justify-between gap-4">
        <span className="text-2xl font-semibold tabular-nums">{money(payout.total)}</span>
        <Badge tone={STATUS_TONES[payout.status]}>{texts.payouts.statuses[payout.status]}</Badge>
      </p>
      <Facts
        of={[
          [texts.payouts.date, dayOf(payout.payoutDate)],
          [texts.payouts.method, texts.payouts.methods[payout.paymentMethod]],
          [texts.payouts.reference, payout.paymentReference],
          [texts.payouts.failure, payout.failureReason],
          [texts.payouts.statuses.COMPLETED, payout.completedAt && moment(payout.completedAt)],
        ]}
      />
      <Timeline
        title={texts.payouts.timeline}
        events={payout.history.map(({ id, to, note, at, changedBy }) => ({
          id,
          at,
          note,
          by: changedBy?.name,
          what: texts.payouts.statuses[to],
        }))}
      />
      <section aria-label={texts.payouts.contents}>
        <h3 className="mb-3 font-semibold">
          {texts.payouts.contents} <span className="font-normal text-muted">({count(payout.commissions?.totalCount ?? 0)})</span>
        </h3>
        <ul className="flex flex-col text-sm">
          {payout.commissions?.nodes.map(({ id, eventType, eventDate, amount, customer, lead }) => (
            <li key={id} className="flex justify-between gap-4 border-b border-line py-2 last:border-0">
              <Link to="/earnings" search={{ commission: id }} className="min-w-0 hover:underline">
                <span className="block">{texts.earnings.types[eventType]}</span>
                <span className="block truncate text-muted">
                  {dayOf(eventDate)} {(customer?.name ?? lead?.clientName) && `· ${customer?.name ?? lead?.clientName}`}
                </span>
              </Link>
              <span className="tabular-nums">{money(amount)}</span>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}
