import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { faultOf, useChange } from "../../../api/change";
import { detail, usePage, useRows } from "../../../api/page";
import type { EnrolmentStatus, PartnerStatus } from "../../../api/schema.generated";
import { count, money, percent } from "../../../format/money";
import { dayOf } from "../../../format/time";
import { Button } from "../../../parts/button";
import { Badge, Card, Empty, Facts, type Tone } from "../../../parts/card";
import { Detail, Failed, Loading } from "../../../parts/failed";
import { Choice } from "../../../parts/field";
import { notify } from "../../../parts/notice";
import { Reason } from "../../../parts/reason";
import { isMinor, Search } from "../../../parts/search";
import { Sheet } from "../../../parts/sheet";
import { type Column, Table } from "../../../parts/table";
import { PageTitle } from "../../../shell/title";
import { texts } from "../../../texts";
import {
  DecideEnrolmentDocument,
  type PartnerRowFragment,
  PartnersDocument,
  type PartnersQuery,
  SetPartnerStatusDocument,
} from "./partners.generated";
import { STATUSES } from "./status";

const TONES: Record<PartnerStatus, Tone> = { ACTIVE: "good", PENDING: "warn", SUSPENDED: "bad", CLOSED: "neutral" };
const ENROLMENT_TONES: Record<EnrolmentStatus, Tone> = { APPROVED: "good", PENDING: "warn", REJECTED: "bad", SUSPENDED: "bad" };

/** Where a partner may go from each status. */
const NEXT: Record<PartnerStatus, PartnerStatus[]> = {
  PENDING: ["ACTIVE", "CLOSED"],
  ACTIVE: ["SUSPENDED", "CLOSED"],
  SUSPENDED: ["ACTIVE", "CLOSED"],
  CLOSED: [],
};

const COLUMNS: Column<PartnerRowFragment>[] = [
  { name: texts.partners.company, cell: ({ companyName }) => companyName },
  { name: texts.partners.status, cell: ({ status }) => <Badge tone={TONES[status]}>{texts.partners.statuses[status]}</Badge> },
  { name: texts.partners.rate, cell: ({ commissionRate }) => percent(commissionRate), isNumber: true, isExtra: true },
  { name: texts.partners.leads, cell: ({ stats }) => count(stats.totalLeads), isNumber: true, isExtra: true },
  { name: texts.partners.earned, cell: ({ stats }) => stats.totalEarnings && money(stats.totalEarnings), isNumber: true },
];

export function PartnersPage() {
  const search = useSearch({ from: "/operator/partners" });
  const navigate = useNavigate({ from: "/operator/partners" });
  const set = (changed: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...changed }), replace: isMinor(changed) });
  const rows = useRows([search.q, search.status]);
  const { data, error, isLoading, isReading, reload } = usePage(
    PartnersDocument,
    {
      filter: { search: search.q, status: search.status && [search.status] },
      first: rows.first,
      partner: search.partner ?? "",
      withPartner: search.partner !== undefined,
    },
    ["COMMISSION", "LEAD"],
  );
  const partners = data?.partners;
  return (
    <>
      <PageTitle>{texts.partners.title}</PageTitle>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <Search value={search.q ?? ""} onChange={(q) => set({ q: q || undefined })} />
        <Choice
          label={texts.partners.status}
          value={search.status ?? ""}
          of={[["", texts.filter.all], ...STATUSES.map((status): [PartnerStatus, string] => [status, texts.partners.statuses[status]])]}
          onChange={(status) => set({ status: status || undefined })}
        />
      </div>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : partners ? (
        <Card title={texts.partners.title}>
          {partners.nodes.length === 0 ? (
            <Empty>{search.q || search.status ? texts.partners.emptyFiltered : texts.partners.empty}</Empty>
          ) : (
            <Table
              label={texts.partners.title}
              rows={partners.nodes}
              columns={COLUMNS}
              total={partners.totalCount}
              onOpen={(partner) => set({ partner: partner.id })}
              onMore={rows.more(partners.pageInfo.hasNextPage)}
            />
          )}
        </Card>
      ) : null}
      {search.partner && data && (
        <PartnerSheet
          partner={detail(isReading, search.partner, data.partner)}
          onClose={() => set({ partner: undefined })}
          onDone={reload}
        />
      )}
    </>
  );
}

type Partner = NonNullable<PartnersQuery["partner"]>;

/** One partner beside the list: what is known of it, and what may be done with it. */
function PartnerSheet({ partner, onClose, onDone }: { partner: Partner | null | undefined; onClose(): void; onDone(): void }) {
  const [asked, setAsked] = useState<PartnerStatus | null>(null);
  const { run, isRunning } = useChange(SetPartnerStatusDocument);
  const change = async (status: PartnerStatus, reason: string) => {
    if (!partner) return [];
    const outcome = await run({ input: { id: partner.id, status, reason: reason || null } });
    if (!outcome.done) return outcome.faults;
    setAsked(null);
    notify(texts.partners.changed(partner.companyName, texts.partners.statuses[status]));
    onDone();
    return [];
  };
  if (partner && asked) {
    const action = texts.partners.actions[asked];
    return (
      <Reason
        title={`${action}: ${partner.companyName}`}
        action={action}
        isRunning={isRunning}
        onDone={(reason) => change(asked, reason)}
        onClose={() => setAsked(null)}
      />
    );
  }
  return (
    <Sheet title={partner?.companyName ?? texts.shell.loading} onClose={onClose}>
      <Detail of={partner}>{(partner) => <Contents partner={partner} onAsk={setAsked} onDone={onDone} />}</Detail>
    </Sheet>
  );
}

function Contents({ partner, onAsk, onDone }: { partner: Partner; onAsk(status: PartnerStatus): void; onDone(): void }) {
  const decide = useChange(DecideEnrolmentDocument);
  const letIn = async (id: string) => {
    const outcome = await decide.run({ input: { id, status: "APPROVED" } });
    if (!outcome.done) notify(faultOf(outcome) ?? "");
    onDone();
  };
  return (
    <>
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Badge tone={TONES[partner.status]}>{texts.partners.statuses[partner.status]}</Badge>
        <span className="flex gap-2">
          {NEXT[partner.status].map((status) => (
            <Button key={status} kind={status === "ACTIVE" ? "main" : "bad"} onClick={() => onAsk(status)}>
              {texts.partners.actions[status]}
            </Button>
          ))}
        </span>
      </div>
      <Facts
        of={[
          [texts.partners.since, dayOf(partner.createdAt)],
          [texts.partners.reason, partner.statusReason],
          [texts.partners.rate, percent(partner.commissionRate)],
          [texts.partners.earned, partner.stats.totalEarnings && money(partner.stats.totalEarnings)],
          [texts.partners.payable, partner.wallet?.map(({ available }) => money(available)).join(" · ")],
          [texts.partners.contact, partner.profile?.contactEmail],
          [texts.partners.website, partner.profile?.website],
          [texts.partners.payment, partner.profile && texts.payouts.methods[partner.profile.paymentMethod]],
          [texts.partners.account, partner.profile?.bankAccountMasked],
          [texts.partners.plan, partner.application?.salesPlan],
        ]}
      />
      <section aria-label={texts.partners.people}>
        <h3 className="mb-2 font-semibold">{texts.partners.people}</h3>
        <Facts of={partner.users.map(({ role, user }) => [user.name ?? user.email ?? user.id, texts.team.roles[role]])} />
      </section>
      {partner.enrolments && partner.enrolments.nodes.length > 0 && (
        <section aria-label={texts.partners.programmes}>
          <h3 className="mb-2 font-semibold">{texts.partners.programmes}</h3>
          <ul className="flex flex-col gap-2 text-sm">
            {partner.enrolments.nodes.map(({ id, status, programme }) => (
              <li key={id} className="flex items-center justify-between gap-3">
                {programme.name}
                <span className="flex items-center gap-2">
                  <Badge tone={ENROLMENT_TONES[status]}>{texts.partners.enrolments[status]}</Badge>
                  {status !== "APPROVED" && (
                    <Button isBusy={decide.isRunning} onClick={() => void letIn(id)}>
                      {texts.partners.approve}
                    </Button>
                  )}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
