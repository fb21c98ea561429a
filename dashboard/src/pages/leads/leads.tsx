import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import { useChange } from "../../api/change";
import { usePage } from "../../api/page";
import type { LeadStatus } from "../../api/schema.generated";
import { money } from "../../format/money";
import { dayOf } from "../../format/time";
import { Button } from "../../parts/button";
import { Badge, Card, Empty } from "../../parts/card";
import { Failed, Loading } from "../../parts/failed";
import { Choice } from "../../parts/field";
import { notify } from "../../parts/notice";
import { Search } from "../../parts/search";
import { type Column, Table } from "../../parts/table";
import { PageTitle } from "../../shell/shell";
import { useMay } from "../../shell/viewer";
import { texts } from "../../texts";
import { Board } from "./board";
import { LeadSheet } from "./lead";
import { type LeadRowFragment, LeadsDocument, UpdateLeadStatusDocument } from "./leads.generated";
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
      notify(outcome.done ? texts.leads.moved(lead.clientName, texts.leads.statuses[status]) : (outcome.faults[0]?.message ?? ""));
      return outcome.done;
    },
    [run],
  );
}

export function LeadsPage() {
  const search = useSearch({ from: "/leads" });
  const navigate = useNavigate({ from: "/leads" });
  const set = (changed: Partial<typeof search>) => void navigate({ search: (before) => ({ ...before, ...changed }) });
  const filter = { status: search.status && [search.status], search: search.q };
  const [after, setAfter] = useState<string | null>(null);
  const { data, error, isLoading, reload } = usePage(
    LeadsDocument,
    { filter, after, lead: search.lead ?? "", withLead: search.lead !== undefined },
    ["LEAD"],
  );
  const mayWrite = useMay("LEADS_WRITE");
  const step = useStep();
  const leads = data?.leads;
  const isFiltered = search.status !== undefined || search.q !== undefined;
  const restart = (changed: Partial<typeof search>) => {
    setAfter(null);
    set(changed);
  };
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
        <Search value={search.q ?? ""} onChange={(q) => restart({ q: q || undefined })} />
        <Choice
          label={texts.leads.status}
          value={search.status ?? ""}
          of={[["", texts.filter.all], ...STATUSES.map((status): [LeadStatus, string] => [status, texts.leads.statuses[status]])]}
          onChange={(status) => restart({ status: status || undefined })}
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
      {isLoading ? (
        <Loading />
      ) : leads ? (
        search.view === "board" ? (
          <Board leads={leads.nodes} onOpen={(lead) => set({ lead: lead.id })} onStep={step} mayStep={mayWrite} />
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
                onMore={leads.pageInfo.hasNextPage ? () => setAfter(leads.pageInfo.endCursor) : undefined}
              />
            )}
          </Card>
        )
      ) : (
        error && <Failed error={error} onAgain={reload} />
      )}
      {search.lead && data && (
        <LeadSheet lead={data.lead?.id === search.lead ? data.lead : null} onClose={() => set({ lead: undefined })} onStep={step} />
      )}
      {search.new && <NewLead onClose={() => set({ new: undefined })} />}
    </>
  );
}
