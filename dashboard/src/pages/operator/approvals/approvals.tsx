import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { faultOf, useChange } from "../../../api/change";
import { usePage, useRows } from "../../../api/page";
import { money } from "../../../format/money";
import { ago, dayOf } from "../../../format/time";
import { Button } from "../../../parts/button";
import { Card, Empty } from "../../../parts/card";
import { Failed, Loading } from "../../../parts/failed";
import { Choice } from "../../../parts/field";
import { More } from "../../../parts/more";
import { notify } from "../../../parts/notice";
import { Reason } from "../../../parts/reason";
import { PageTitle } from "../../../shell/title";
import { texts } from "../../../texts";
import {
  ApprovalsDocument,
  type ApprovalsQuery,
  ApproveCommissionsDocument,
  ChangePartnerStatusDocument,
  RejectCommissionsDocument,
} from "./approvals.generated";

type Commission = NonNullable<ApprovalsQuery["commissions"]>["nodes"][number];
type Applicant = NonNullable<ApprovalsQuery["partners"]>["nodes"][number];

export function ApprovalsPage() {
  const search = useSearch({ from: "/operator/approvals" });
  const navigate = useNavigate({ from: "/operator/approvals" });
  const flagged = search.flagged ? (["NO_PERSON", "OTHER_PARTNER", "OWN_PURCHASE"] as const).slice() : null;
  const rows = useRows(search.flagged);
  const { data, error, isLoading, reload } = usePage(ApprovalsDocument, { status: ["PENDING"], flagged, first: rows.first }, [
    "COMMISSION",
  ]);
  const commissions = data?.commissions;
  const applicants = data?.partners?.nodes ?? [];
  return (
    <>
      <PageTitle>{texts.approvals.title}</PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : commissions ? (
        <div className="flex flex-col gap-6">
          <Card title={texts.approvals.applications(data.partners?.totalCount ?? 0)}>
            {applicants.length === 0 ? (
              <Empty>{texts.approvals.noApplications}</Empty>
            ) : (
              <Applicants applicants={applicants} onDone={reload} />
            )}
          </Card>
          <Card
            title={texts.approvals.commissions(commissions.totalCount)}
            action={
              <Choice
                label={texts.approvals.show}
                value={search.flagged ? "flagged" : "all"}
                of={[
                  ["all", texts.filter.all],
                  ["flagged", texts.approvals.flagged],
                ]}
                onChange={(shown) => {
                  void navigate({ search: { flagged: shown === "flagged" || undefined } });
                }}
              />
            }
          >
            {commissions.nodes.length === 0 ? (
              <Empty>{texts.approvals.noCommissions}</Empty>
            ) : (
              <Commissions commissions={commissions.nodes} onMore={rows.more(commissions.pageInfo.hasNextPage)} onDone={reload} />
            )}
          </Card>
        </div>
      ) : null}
    </>
  );
}

/** How many are decided at once at most. */
const AT_ONCE = 100;

function parts(ids: string[]): string[][] {
  return Array.from({ length: Math.ceil(ids.length / AT_ONCE) }, (_, index) => ids.slice(index * AT_ONCE, (index + 1) * AT_ONCE));
}

/** Commissions to be decided, several at once. Each says why it is this amount, and what was noticed. */
function Commissions({ commissions, onMore, onDone }: { commissions: Commission[]; onMore: (() => void) | undefined; onDone(): void }) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [isRejecting, setRejecting] = useState(false);
  const approve = useChange(ApproveCommissionsDocument);
  const reject = useChange(RejectCommissionsDocument);
  const ids = commissions.map(({ id }) => id).filter((id) => chosen.has(id));
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const [refused, setRefused] = useState<ReadonlyMap<string, string>>(new Map());
  // What was refused stays chosen, and says why.
  const settle = (results: { id: string; userError: { message: string } | null }[], said: (number: number) => string) => {
    const failed = results.flatMap(({ id, userError }): [string, string][] => (userError ? [[id, userError.message]] : []));
    setRefused(new Map(failed));
    setChosen(new Set(failed.map(([id]) => id)));
    notify([said(results.length - failed.length), ...(failed.length > 0 ? [texts.approvals.someRefused(failed.length)] : [])].join("; "));
    onDone();
  };
  const approveAll = async () => {
    const results = [];
    for (const part of parts(ids)) {
      const outcome = await approve.run({ ids: part });
      if (!outcome.done) return notify(faultOf(outcome) ?? "");
      results.push(...(outcome.data.approveCommissions?.results ?? []));
    }
    settle(results, texts.approvals.approved);
  };
  const rejectAll = async (reason: string) => {
    const results = [];
    for (const part of parts(ids)) {
      const outcome = await reject.run({ ids: part, reason });
      if (!outcome.done) return outcome.faults;
      results.push(...(outcome.data.rejectCommissions?.results ?? []));
    }
    setRejecting(false);
    settle(results, texts.approvals.rejected);
    return [];
  };
  return (
    <>
      <div className="flex flex-wrap items-center gap-3 border-b border-line px-4 py-2 text-sm">
        <label className="flex items-center gap-2">
          <input
            type="checkbox"
            className="size-4"
            checked={ids.length === commissions.length}
            onChange={(event) => setChosen(new Set(event.target.checked ? commissions.map(({ id }) => id) : []))}
          />
          {texts.approvals.chooseAll}
        </label>
        <span className="ml-auto text-muted" aria-live="polite">
          {texts.approvals.chosen(ids.length)}
        </span>
        <Button disabled={ids.length === 0} isBusy={reject.isRunning} onClick={() => setRejecting(true)}>
          {texts.approvals.reject}
        </Button>
        <Button kind="main" disabled={ids.length === 0} isBusy={approve.isRunning} onClick={() => void approveAll()}>
          {texts.approvals.approve}
        </Button>
      </div>
      <ul>
        {commissions.map((commission) => (
          <li key={commission.id} className="flex gap-3 border-b border-line px-4 py-3 text-sm last:border-0">
            <input
              type="checkbox"
              className="mt-1 size-4 shrink-0"
              aria-label={texts.approvals.choose(commission.partner.companyName, money(commission.amount))}
              checked={chosen.has(commission.id)}
              onChange={() => toggle(commission.id)}
            />
            <div className="min-w-0 flex-1">
              <p className="flex justify-between gap-4">
                <span className="font-medium">{commission.partner.companyName}</span>
                <span className="font-semibold tabular-nums">{money(commission.amount)}</span>
              </p>
              <p className="text-muted">
                {[
                  texts.earnings.types[commission.eventType],
                  commission.customer?.name ?? commission.lead?.clientName,
                  dayOf(commission.eventDate),
                ]
                  .filter(Boolean)
                  .join(" · ")}
              </p>
              <p className="mt-1">{commission.explanation.sentence}</p>
              {refused.has(commission.id) && (
                <p role="alert" className="mt-1 text-bad">
                  {refused.get(commission.id)}
                </p>
              )}
              {commission.flags.map(({ kind, reason }) => (
                <p key={kind} className="mt-1 rounded-lg bg-warn-soft px-3 py-1.5 text-warn">
                  {reason}
                </p>
              ))}
              {commission.dueAt && commission.flags.length === 0 && (
                <p className="mt-1 text-muted">{texts.earnings.due(dayOf(commission.dueAt))}</p>
              )}
            </div>
          </li>
        ))}
      </ul>
      {onMore && (
        <div className="border-t border-line p-3 text-center">
          <More key={commissions.length} onMore={onMore} />
        </div>
      )}
      {isRejecting && (
        <Reason
          title={texts.approvals.rejectTitle(ids.length)}
          action={texts.approvals.reject}
          isRunning={reject.isRunning}
          onDone={rejectAll}
          onClose={() => setRejecting(false)}
        />
      )}
    </>
  );
}

function Applicants({ applicants, onDone }: { applicants: Applicant[]; onDone(): void }) {
  const [refused, setRefused] = useState<Applicant | null>(null);
  const { run, isRunning } = useChange(ChangePartnerStatusDocument);
  const decide = async (id: string, status: "ACTIVE" | "CLOSED", name: string, reason?: string) => {
    const outcome = await run({ input: { id, status, reason: reason ?? null } });
    if (!outcome.done) return outcome.faults;
    notify(status === "ACTIVE" ? texts.approvals.accepted(name) : texts.approvals.refused(name));
    setRefused(null);
    onDone();
    return [];
  };
  return (
    <>
      <ul>
        {applicants.map((applicant) => (
          <li
            key={applicant.id}
            className="flex flex-wrap items-start justify-between gap-4 border-b border-line px-4 py-3 text-sm last:border-0"
          >
            <div className="min-w-0 flex-1 basis-72">
              <p className="font-medium">{applicant.companyName}</p>
              <p className="text-muted">
                {[applicant.users[0]?.user.email, applicant.profile?.website, applicant.profile?.address?.country, ago(applicant.createdAt)]
                  .filter(Boolean)
                  .join(" · ")}
              </p>
              <p className="mt-1">{applicant.application?.salesPlan ?? texts.approvals.noPlan}</p>
            </div>
            <span className="flex gap-2">
              <Button
                aria-label={`${texts.approvals.refuse}: ${applicant.companyName}`}
                isBusy={isRunning}
                onClick={() => setRefused(applicant)}
              >
                {texts.approvals.refuse}
              </Button>
              <Button
                kind="main"
                aria-label={`${texts.approvals.accept}: ${applicant.companyName}`}
                isBusy={isRunning}
                onClick={async () => {
                  const faults = await decide(applicant.id, "ACTIVE", applicant.companyName);
                  if (faults[0]) notify(faults[0].message);
                }}
              >
                {texts.approvals.accept}
              </Button>
            </span>
          </li>
        ))}
      </ul>
      {refused && (
        <Reason
          title={texts.approvals.refuseTitle(refused.companyName)}
          action={texts.approvals.refuse}
          isRunning={isRunning}
          onDone={(reason) => decide(refused.id, "CLOSED", refused.companyName, reason)}
          onClose={() => setRefused(null)}
        />
      )}
    </>
  );
}
