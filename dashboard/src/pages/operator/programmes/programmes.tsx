import { useState } from "react";
import { faultOf, useChange } from "../../../api/change";
import { usePage } from "../../../api/page";
import type { CommissionRuleInput } from "../../../api/schema.generated";
import { count } from "../../../format/money";
import { periodOf } from "../../../format/period";
import { dayOf } from "../../../format/time";
import { Button } from "../../../parts/button";
import { Badge, Card, Empty } from "../../../parts/card";
import { Failed, Loading } from "../../../parts/failed";
import { notify } from "../../../parts/notice";
import { type Column, Table } from "../../../parts/table";
import { PageTitle } from "../../../shell/title";
import { texts } from "../../../texts";
import { ProgrammesDocument, type ProgrammesQuery, UpdateProgrammeDocument } from "./programmes.generated";
import { TryRule } from "./rule";

type Programme = NonNullable<ProgrammesQuery["programmes"]>["nodes"][number];

/** What stands where no rule is tried out; it is not sent. */
const NONE: CommissionRuleInput = { kind: "PERCENTAGE" };

const COLUMNS: Column<Programme>[] = [
  {
    name: texts.programmes.name,
    cell: ({ name, domain }) => (
      <>
        <span className="block font-medium">{name}</span>
        <span className="block text-muted">{domain}</span>
      </>
    ),
  },
  { name: texts.programmes.reward, cell: ({ reward }) => reward?.description, isExtra: true },
  { name: texts.programmes.window, cell: ({ cookieDays }) => texts.programmes.cookie(cookieDays), isNumber: true, isExtra: true },
  { name: texts.programmes.partners, cell: ({ enrolments }) => count(enrolments?.totalCount ?? 0), isNumber: true, isExtra: true },
  { name: texts.programmes.clicks, cell: ({ figures }) => count(figures?.clicks ?? 0), isNumber: true },
  { name: texts.programmes.status, cell: (programme) => <Status programme={programme} /> },
];

export function ProgrammesPage() {
  const [isTrying, setTrying] = useState(false);
  const [tried, setTried] = useState<CommissionRuleInput | null>(null);
  const period = periodOf("quarter").span;
  const { data, error, isLoading, isReading, reload } = usePage(
    ProgrammesDocument,
    {
      period,
      rule: tried ?? NONE,
      withSimulation: tried !== null,
    },
    [],
  );
  const programmes = data?.programmes;
  return (
    <>
      <PageTitle
        action={
          <Button kind="main" onClick={() => setTrying(true)}>
            {texts.programmes.newRule}
          </Button>
        }
      >
        {texts.programmes.title}
      </PageTitle>
      {error && !tried && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : programmes ? (
        <div className="flex flex-col gap-6">
          <Card title={texts.programmes.programmes}>
            {programmes.nodes.length === 0 ? (
              <Empty>{texts.programmes.empty}</Empty>
            ) : (
              <Table label={texts.programmes.programmes} rows={programmes.nodes} columns={COLUMNS} total={programmes.totalCount} />
            )}
          </Card>
          <Card title={texts.programmes.rules}>
            {data.commissionRules?.length ? (
              <ul>
                {data.commissionRules.map((rule) => (
                  <li key={rule.id} className="border-b border-line px-4 py-3 text-sm last:border-0">
                    <p>{rule.description}</p>
                    <p className="text-muted">
                      {[
                        rule.partner?.companyName ?? (rule.programme ? undefined : texts.programmes.everyone),
                        rule.programme?.name,
                        texts.programmes.since(dayOf(rule.validFrom)),
                      ]
                        .filter(Boolean)
                        .join(" · ")}
                    </p>
                  </li>
                ))}
              </ul>
            ) : (
              <Empty>{texts.programmes.noRules}</Empty>
            )}
          </Card>
        </div>
      ) : null}
      {isTrying && data && (
        <TryRule
          partners={data.partners?.nodes ?? []}
          programmes={data.programmes?.nodes ?? []}
          tried={tried}
          simulation={(tried && !isReading && data.simulateCommissionRule) || null}
          fault={tried ? error?.graphQLErrors[0]?.message : undefined}
          onTry={setTried}
          onClose={() => {
            setTrying(false);
            setTried(null);
          }}
          onDone={reload}
        />
      )}
    </>
  );
}

function Status({ programme }: { programme: Programme }) {
  const { run, isRunning } = useChange(UpdateProgrammeDocument);
  const isActive = programme.status === "ACTIVE";
  const turn = async () => {
    const outcome = await run({
      input: { id: programme.id, status: isActive ? "PAUSED" : "ACTIVE", expectedUpdatedAt: programme.updatedAt },
    });
    if (!outcome.done) notify(faultOf(outcome) ?? "");
  };
  return (
    <span className="flex items-center gap-3">
      <Badge tone={isActive ? "good" : "neutral"}>{texts.programmes.statuses[programme.status]}</Badge>
      <Button
        kind="quiet"
        isBusy={isRunning}
        aria-label={`${programme.name}: ${texts.programmes.turn(isActive)}`}
        onClick={() => void turn()}
      >
        {texts.programmes.turn(isActive)}
      </Button>
    </span>
  );
}
