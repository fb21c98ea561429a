import { useNavigate, useSearch } from "@tanstack/react-router";
import { detail, usePage, useRows } from "../../../api/page";
import type { PayoutStatus } from "../../../api/schema.generated";
import { money } from "../../../format/money";
import { monthsAgo, range } from "../../../format/time";
import { Button } from "../../../parts/button";
import { Badge, Card, Empty } from "../../../parts/card";
import { Failed, Loading } from "../../../parts/failed";
import { Choice } from "../../../parts/field";
import { isMinor } from "../../../parts/search";
import { type Column, Table } from "../../../parts/table";
import { PageTitle } from "../../../shell/title";
import { texts } from "../../../texts";
import { STATUS_TONES, STATUSES } from "../../payouts/status";
import { PrepareAll } from "./batch";
import { PayoutSheet } from "./payout";
import { type ManagedPayoutFragment, ManagePayoutsDocument } from "./payouts.generated";
import { PreparePayout } from "./prepare";

const COLUMNS: Column<ManagedPayoutFragment>[] = [
  { name: texts.payouts.partner, cell: ({ partner }) => partner.companyName },
  { name: texts.payouts.period, cell: ({ periodStart, periodEnd }) => range(periodStart, periodEnd), isExtra: true },
  { name: texts.payouts.count, cell: ({ commissionCount }) => commissionCount, isNumber: true, isExtra: true },
  { name: texts.payouts.status, cell: ({ status }) => <Badge tone={STATUS_TONES[status]}>{texts.payouts.statuses[status]}</Badge> },
  { name: texts.payouts.total, cell: ({ total }) => money(total), isNumber: true },
];

export function ManagePayoutsPage() {
  const search = useSearch({ from: "/operator/payouts" });
  const navigate = useNavigate({ from: "/operator/payouts" });
  const set = (changed: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...changed }), replace: isMinor(changed) });
  // Everything that is approved up to the end of this month.
  const period = { from: search.from ?? monthsAgo(12), before: search.before ?? monthsAgo(-1) };
  const rows = useRows(search.status);
  const { data, error, isLoading, isReading, reload } = usePage(
    ManagePayoutsDocument,
    {
      filter: { status: search.status && [search.status] },
      first: rows.first,
      payout: search.payout ?? "",
      withPayout: search.payout !== undefined,
      partner: search.partner ?? "",
      period,
      withPreview: search.partner !== undefined,
    },
    ["PAYOUT", "COMMISSION"],
  );
  const payouts = data?.payouts;
  return (
    <>
      <PageTitle
        action={
          <>
            <Button onClick={() => set({ all: true })}>{texts.payouts.prepareAll}</Button>
            <Button kind="main" onClick={() => set({ prepare: true })}>
              {texts.payouts.prepare}
            </Button>
          </>
        }
      >
        {texts.payouts.title}
      </PageTitle>
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
            <Empty>{texts.payouts.emptyManaged}</Empty>
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
      {search.all && <PrepareAll period={period} onClose={() => set({ all: undefined })} onDone={reload} />}
      {search.prepare && data && (
        <PreparePayout
          partners={data.partners?.nodes ?? []}
          partner={search.partner}
          period={period}
          preview={(search.partner && !isReading && data.previewPayout) || null}
          onChoose={(partner) => set({ partner: partner || undefined })}
          onPeriod={(changed) => set(changed)}
          onClose={() => set({ prepare: undefined, partner: undefined })}
          onRefused={reload}
          onMade={(payout) => {
            set({ prepare: undefined, partner: undefined, payout });
            reload();
          }}
        />
      )}
    </>
  );
}
