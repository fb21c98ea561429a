import { useNavigate, useSearch } from "@tanstack/react-router";
import { usePage, useRows } from "../../../api/page";
import type { AuditActor } from "../../../api/schema.generated";
import { moment } from "../../../format/time";
import { Card, Empty, Facts } from "../../../parts/card";
import { Failed, Loading } from "../../../parts/failed";
import { Choice } from "../../../parts/field";
import { Search } from "../../../parts/search";
import { Sheet } from "../../../parts/sheet";
import { type Column, Table } from "../../../parts/table";
import { PageTitle } from "../../../shell/title";
import { texts } from "../../../texts";
import { ACTORS } from "./actors";
import { AuditDocument, type AuditQuery } from "./audit.generated";

type Entry = NonNullable<AuditQuery["auditLog"]>["nodes"][number];

function whoOf({ actor, actorKind, impersonator }: Entry): string {
  const who = actor?.name ?? actor?.email ?? texts.audit.actors[actorKind];
  return impersonator ? `${who} (${texts.audit.impersonated(impersonator)})` : who;
}

function subjectsOf({ changes }: Entry): string {
  return [...new Set(changes?.map(({ subject, partner }) => (partner ? `${subject} (${partner.companyName})` : subject)))].join(", ");
}

const COLUMNS: Column<Entry>[] = [
  { name: texts.audit.what, cell: ({ action }) => action },
  { name: texts.audit.who, cell: whoOf },
  { name: texts.audit.changes, cell: subjectsOf, isExtra: true },
  { name: texts.audit.at, cell: ({ at }) => moment(at), isNumber: true },
];

export function AuditPage() {
  const search = useSearch({ from: "/operator/audit" });
  const navigate = useNavigate({ from: "/operator/audit" });
  const set = (changed: Partial<typeof search>) => {
    void navigate({ search: (before) => ({ ...before, ...changed }) });
  };
  const rows = useRows([search.action, search.actor]);
  const { data, error, isLoading, reload } = usePage(AuditDocument, {
    filter: { action: search.action ? [search.action] : null, actorKind: search.actor ? [search.actor] : null },
    first: rows.first,
  });
  const log = data?.auditLog;
  const shown = log?.nodes.find(({ id }) => id === search.entry);
  return (
    <>
      <PageTitle>{texts.audit.title}</PageTitle>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <Search value={search.action ?? ""} label={texts.audit.action} onChange={(action) => set({ action: action || undefined })} />
        <Choice
          label={texts.audit.who}
          value={search.actor ?? ""}
          of={[["", texts.filter.all], ...ACTORS.map((actor): [AuditActor, string] => [actor, texts.audit.actors[actor]])]}
          onChange={(actor) => set({ actor: actor || undefined })}
        />
      </div>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : log ? (
        <Card title={texts.audit.title}>
          {log.nodes.length === 0 ? (
            <Empty>{texts.audit.empty}</Empty>
          ) : (
            <Table
              label={texts.audit.title}
              rows={log.nodes}
              columns={COLUMNS}
              onOpen={({ id }) => void navigate({ search: (before) => ({ ...before, entry: id }) })}
              onMore={rows.more(log.pageInfo.hasNextPage)}
            />
          )}
        </Card>
      ) : null}
      {shown && (
        <Sheet title={shown.action} onClose={() => void navigate({ search: (before) => ({ ...before, entry: undefined }) })}>
          <Changes entry={shown} />
        </Sheet>
      )}
    </>
  );
}

/** What one action has changed, before and after. */
function Changes({ entry }: { entry: Entry }) {
  const value = (value: string | null, isSecret: boolean) => (isSecret ? texts.audit.secret : (value ?? texts.audit.nothing));
  return (
    <>
      <Facts
        of={[
          [texts.audit.at, moment(entry.at)],
          [texts.audit.who, whoOf(entry)],
          [texts.audit.reason, entry.reason],
          [texts.audit.request, entry.requestId],
        ]}
      />
      {entry.changes?.map((change, index) => (
        <section
          key={`${change.kind} ${change.subject} ${change.subjectId}`}
          aria-label={`${index + 1}. ${change.subject}`}
          className="rounded-xl border border-line"
        >
          <h3 className="border-b border-line px-4 py-2 font-semibold">
            {change.subject} {change.partner && <span className="font-normal text-muted">({change.partner.companyName})</span>}
          </h3>
          <table className="w-full table-fixed text-sm">
            <thead>
              <tr className="text-left text-muted">
                {[texts.audit.field, texts.audit.before, texts.audit.after].map((name) => (
                  <th key={name} scope="col" className="px-4 py-2 font-medium">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {change.fields.map(({ name, before, after, isSecret }) => (
                <tr key={name} className="border-t border-line align-top break-words">
                  <th scope="row" className="px-4 py-2 text-left font-normal">
                    {name}
                  </th>
                  <td className="px-4 py-2 text-muted">{value(before, isSecret)}</td>
                  <td className="px-4 py-2">{value(after, isSecret)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ))}
    </>
  );
}
