import { useState } from "react";
import { count, money } from "../../../format/money";
import { dayOf, range } from "../../../format/time";
import { Button } from "../../../parts/button";
import { Badge, Facts } from "../../../parts/card";
import { Detail } from "../../../parts/failed";
import { notify } from "../../../parts/notice";
import { Reason } from "../../../parts/reason";
import { Sheet } from "../../../parts/sheet";
import { Timeline } from "../../../parts/timeline";
import { texts } from "../../../texts";
import { STATUS_TONES } from "../../payouts/status";
import type { ManagePayoutsQuery } from "./payouts.generated";
import { type Step, stepsOf, useSteps, WORDS } from "./steps";

type Payout = NonNullable<ManagePayoutsQuery["payout"]>;

/** One payout beside the list: its next step, what has happened, and what is in it. */
export function PayoutSheet({ payout, onClose }: { payout: Payout | null | undefined; onClose(): void }) {
  const [asked, setAsked] = useState<Step | null>(null);
  const { run, isRunning } = useSteps();
  const take = async (step: Step, words: string) => {
    if (!payout) return [];
    const outcome = await run(step, payout.id, words);
    if (!outcome.done) return outcome.faults;
    setAsked(null);
    notify(texts.payouts.done[step]);
    return [];
  };
  const begin = async (step: Step) => {
    if (WORDS[step]) return setAsked(step);
    const faults = await take(step, "");
    if (faults[0]) notify(faults[0].message);
  };
  if (payout && asked) {
    return (
      <Reason
        title={texts.payouts.steps[asked]}
        label={WORDS[asked] === "reference" ? texts.payouts.reference : texts.reason.label}
        action={texts.payouts.steps[asked]}
        isRunning={isRunning}
        onDone={(words) => take(asked, words)}
        onClose={() => setAsked(null)}
      />
    );
  }
  return (
    <Sheet title={payout?.partner.companyName ?? texts.shell.loading} onClose={onClose}>
      <Detail of={payout}>{(payout) => <Contents payout={payout} isRunning={isRunning} onStep={(step) => void begin(step)} />}</Detail>
    </Sheet>
  );
}

function Contents({ payout, isRunning, onStep }: { payout: Payout; isRunning: boolean; onStep(step: Step): void }) {
  return (
    <>
      <p className="flex items-center justify-between gap-4">
        <span className="text-2xl font-semibold tabular-nums">{money(payout.total)}</span>
        <Badge tone={STATUS_TONES[payout.status]}>{texts.payouts.statuses[payout.status]}</Badge>
      </p>
      <div className="flex flex-wrap gap-2">
        {stepsOf(payout).map((step) => (
          <Button
            key={step}
            kind={["release", "start", "complete", "retry"].includes(step) ? "main" : "bad"}
            isBusy={isRunning}
            onClick={() => onStep(step)}
          >
            {texts.payouts.steps[step]}
          </Button>
        ))}
      </div>
      <Facts
        of={[
          [texts.payouts.period, range(payout.periodStart, payout.periodEnd)],
          [texts.payouts.date, dayOf(payout.payoutDate)],
          [texts.payouts.method, texts.payouts.methods[payout.paymentMethod]],
          [texts.payouts.reference, payout.paymentReference],
          [texts.payouts.failure, payout.failureReason],
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
              <span>
                {texts.earnings.types[eventType]}
                <span className="block text-muted">
                  {[dayOf(eventDate), customer?.name ?? lead?.clientName].filter(Boolean).join(" · ")}
                </span>
              </span>
              <span className="tabular-nums">{money(amount)}</span>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}
