import { useNavigate, useSearch } from "@tanstack/react-router";
import { detail, usePage, useRows } from "../../api/page";
import type { MemberStatus } from "../../api/schema.generated";
import { count } from "../../format/money";
import { Button } from "../../parts/button";
import { Badge, Card, Empty, Figure } from "../../parts/card";
import { Failed, Loading } from "../../parts/failed";
import { Choice } from "../../parts/field";
import { isMinor, Search } from "../../parts/search";
import { type Column, Table } from "../../parts/table";
import { PageTitle } from "../../shell/title";
import { useMay } from "../../shell/viewer";
import { texts } from "../../texts";
import { CreditsDocument, type MemberRowFragment } from "./credits.generated";
import { ImportMembers } from "./import";
import { MemberSheet, nameOf } from "./member";
import { NewMember } from "./new";
import { STATUS_TONES, STATUSES } from "./status";

const COLUMNS: Column<MemberRowFragment>[] = [
  { name: texts.credits.member, cell: nameOf },
  { name: texts.credits.email, cell: ({ email }) => email, isExtra: true },
  { name: texts.credits.status, cell: ({ status }) => <Badge tone={STATUS_TONES[status]}>{texts.credits.statuses[status]}</Badge> },
  { name: texts.credits.available, cell: ({ creditsAvailable }) => count(creditsAvailable), isNumber: true },
  { name: texts.credits.used, cell: ({ creditsUsed }) => count(creditsUsed), isNumber: true, isExtra: true },
];

export function CreditsPage() {
  const search = useSearch({ from: "/credits" });
  const navigate = useNavigate({ from: "/credits" });
  const set = (changed: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...changed }), replace: isMinor(changed) });
  const rows = useRows([search.q, search.status]);
  const { data, error, isLoading, isReading, reload } = usePage(
    CreditsDocument,
    {
      filter: { search: search.q, status: search.status && [search.status] },
      first: rows.first,
      member: search.member ?? "",
      withMember: search.member !== undefined,
    },
    ["CREDIT_BALANCE"],
  );
  const mayManage = useMay("MEMBERS_MANAGE");
  const members = data?.members;
  const partner = data?.me.partner;
  const isFiltered = search.q !== undefined || search.status !== undefined;
  return (
    <>
      <PageTitle
        action={
          mayManage && (
            <>
              <Button onClick={() => set({ import: true })}>{texts.credits.import}</Button>
              <Button kind="main" onClick={() => set({ new: true })}>
                {texts.credits.new}
              </Button>
            </>
          )
        }
      >
        {texts.credits.title}
      </PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : members && partner ? (
        <div className="flex flex-col gap-6">
          <dl className="grid grid-cols-2 gap-4 md:grid-cols-4">
            <Figure label={texts.credits.balance} value={count(partner.creditBalance)} note={texts.credits.balanceAbout} />
            <Figure label={texts.credits.assigned} value={count(partner.credits.assigned)} />
            <Figure label={texts.credits.used} value={count(partner.credits.used)} />
            <Figure label={texts.credits.members} value={count(partner.memberCounts.total)} />
          </dl>
          <Card
            title={texts.credits.members}
            action={
              <span className="flex flex-wrap items-center gap-3">
                <Search value={search.q ?? ""} onChange={(q) => set({ q: q || undefined })} />
                <Choice
                  label={texts.credits.status}
                  value={search.status ?? ""}
                  of={[
                    ["", texts.filter.all],
                    ...STATUSES.map((status): [MemberStatus, string] => [status, texts.credits.statuses[status]]),
                  ]}
                  onChange={(status) => set({ status: status || undefined })}
                />
              </span>
            }
          >
            {members.nodes.length === 0 ? (
              <Empty action={mayManage && !isFiltered && <Button onClick={() => set({ import: true })}>{texts.credits.import}</Button>}>
                {isFiltered ? texts.credits.emptyFiltered : texts.credits.empty}
              </Empty>
            ) : (
              <Table
                label={texts.credits.members}
                rows={members.nodes}
                columns={COLUMNS}
                total={members.totalCount}
                onOpen={(member) => set({ member: member.id })}
                onMore={rows.more(members.pageInfo.hasNextPage)}
              />
            )}
          </Card>
        </div>
      ) : null}
      {search.member && data && (
        <MemberSheet member={detail(isReading, search.member, data.member)} onClose={() => set({ member: undefined })} />
      )}
      {search.new && mayManage && <NewMember onClose={() => set({ new: undefined })} onDone={reload} />}
      {search.import && mayManage && <ImportMembers onClose={() => set({ import: undefined })} onDone={reload} />}
    </>
  );
}
