import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";
import { faultOf, useChange } from "../../api/change";
import { detail, usePage, useRows } from "../../api/page";
import type { LeadStatus } from "../../api/schema.generated";
import { money } from "../../format/money";
import { dayOf } from "../../format/time";
import { Button } from "../../parts/button";
import { Badge, Card, Empty } from "../../parts/card";
import { Failed, Loading } from "../../parts/failed";
import { Choice } from "../../parts/field";
import { notify } from "../../parts/notice";
import { isMinor, Search } from "../../parts/search";
import { type Column, Table } from "../../parts/table";
import { PageTitle } from "../../shell/title";
import { useMay } from "../../shell/viewer";
import { texts } from "../../texts";
import { Board } from "./board";
import { LeadSheet } from "./lead";
import { type LeadRowFragment, LeadsDocument, type LeadsQuery, UpdateLeadStatusDocument } from "./leads.generated";
import { NewLead } from "./new";
import { STATUS_TONES, STATUSES } from "./status";

const COLUMNS: Column<LeadRowFragment>[] = [
  { name: texts.leads.client, cell: ({ clientName }) => clientName },
  { name: texts.leads.service, cell: ({ service }) => service, isExtra: true },
  { name: texts.leads.status, cell: ({ status }) => <Badge tone={STATUS_TONES[status]}>{texts.leads.statuses[status]}</Badge> },
  { name: texts.leads.value, cell: ({ dealValue }) => dealValue && money(dealValue), isNumber: true },
  { name: texts.leads.commission, cell: ({ commission }) => money(commission), isNumber: true, isExtra: true },
  { name: texts.leads.sent, cell: ({ createdAt }) => dayOf(createdAt), isNumber: true, isExtra: true },
];

/** Takes a lead a step further: seen at once, and taken back where the server refuses it. */
export function useStep() {
  const { run } = useChange(UpdateLeadStatusDocument);
  return useCallback(
    async (lead: { id: string; clientName: string }, status: LeadStatus, note?: string) => {
      const outcome = await run({ input: { id: lead.id, status, note: note || null } });
      notify(outcome.done ? texts.leads.moved(lead.clientName, texts.leads.statuses[status]) : (faultOf(outcome) ?? ""));
      return outcome.done;
    },
    [run],
  );
}

/** How many leads there are of each status, in all currencies together. */
function countsOf(totals: NonNullable<LeadsQuery["leads"]>["totals"]): Map<LeadStatus, number> {
  const counts = new Map<LeadStatus, number>();
  for (const { status, count } of totals?.flatMap(({ byStatus }) => byStatus) ?? []) counts.set(status, (counts.get(status) ?? 0) + count);
  return counts;
}

export function LeadsPage() {
  const search = useSearch({ from: "/leads" });
  const navigate = useNavigate({ from: "/leads" });
  const set = (changed: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...changed }), replace: isMinor(changed) });
  const filter = { status: search.status && [search.status], search: search.q };
  const rows = useRows([search.q, search.status]);
  const { data, error, isLoading, isReading, reload } = usePage(
    LeadsDocument,
    { filter, first: rows.first, lead: search.lead ?? "", withLead: search.lead !== undefined },
    ["LEAD"],
  );
  const mayWrite = useMay("LEADS_WRITE");
  const step = useStep();
  const leads = data?.leads;
  const isFiltered = search.status !== undefined || search.q !== undefined;
  return (
    <>
      <PageTitle
        action={
          mayWrite && (
            <Button kind="main" onClick={() => set({ new: true })}>
              {texts.leads.new}
            </Button>
          )
        }
      >
        {texts.leads.title}
      </PageTitle>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <Search value={search.q ?? ""} onChange={(q) => set({ q: q || undefined })} />
        <Choice
          label={texts.leads.status}
          value={search.status ?? ""}
          of={[["", texts.filter.all], ...STATUSES.map((status): [LeadStatus, string] => [status, texts.leads.statuses[status]])]}
          onChange={(status) => set({ status: status || undefined })}
        />
        <Choice
          label={texts.leads.view}
          value={search.view ?? "table"}
          of={[
            ["table", texts.leads.table],
            ["board", texts.leads.board],
          ]}
          onChange={(view) => set({ view: view === "board" ? "board" : undefined })}
        />
      </div>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : leads ? (
        search.view === "board" ? (
          <Board
            leads={leads.nodes}
            counts={countsOf(leads.totals)}
            onOpen={(lead) => set({ lead: lead.id })}
            onStep={step}
            mayStep={mayWrite}
            onMore={rows.more(leads.pageInfo.hasNextPage)}
          />
        ) : (
          <Card title={texts.leads.count(leads.totalCount)}>
            {leads.nodes.length === 0 ? (
              <Empty
                action={
                  mayWrite &&
                  !isFiltered && (
                    <Button kind="main" onClick={() => set({ new: true })}>
                      {texts.leads.new}
                    </Button>
                  )
                }
              >
                {isFiltered ? texts.leads.emptyFiltered : texts.leads.empty}
              </Empty>
            ) : (
              <Table
                label={texts.leads.title}
                rows={leads.nodes}
                columns={COLUMNS}
                onOpen={(lead) => set({ lead: lead.id })}
                onMore={rows.more(leads.pageInfo.hasNextPage)}
              />
            )}
          </Card>
        )
      ) : null}
      {search.lead && data && (
        <LeadSheet lead={detail(isReading, search.lead, data.lead)} onClose={() => set({ lead: undefined })} onStep={step} />
      )}
      {search.new && mayWrite && <NewLead onClose={() => set({ new: undefined })} />}
    </>
  );
}
