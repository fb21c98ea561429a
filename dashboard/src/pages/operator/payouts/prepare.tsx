import { useState } from "react";
import { type Fault, useChange, useKey } from "../../../api/change";
import { money } from "../../../format/money";
import { dayOf } from "../../../format/time";
import { Button } from "../../../parts/button";
import { Empty } from "../../../parts/card";
import { Day, Faults, Select } from "../../../parts/field";
import { notify } from "../../../parts/notice";
import { Sheet } from "../../../parts/sheet";
import { texts } from "../../../texts";
import { CreatePayoutBatchDocument, type ManagePayoutsQuery } from "./payouts.generated";

type Preview = NonNullable<ManagePayoutsQuery["previewPayout"]>;
interface Days {
  from: string;
  before: string;
}

/** Prepares a payout: whom, for which days, what would be in it; then it is made of exactly that, or not at all. */
export function PreparePayout({
  partners,
  partner,
  period,
  preview,
  onChoose,
  onPeriod,
  onClose,
  onMade,
  onRefused,
}: {
  partners: { id: string; companyName: string }[];
  partner: string | undefined;
  period: Days;
  preview: Preview | null;
  onChoose(partner: string): void;
  onPeriod(changed: Partial<Days>): void;
  onClose(): void;
  onMade(payout: string): void;
  onRefused(): void;
}) {
  const [keyOf] = useKey();
  const { run, isRunning } = useChange(CreatePayoutBatchDocument);
  const [faults, setFaults] = useState<Fault[]>([]);
  const make = async (partnerId: string, { fingerprint, previewedAt }: Preview) => {
    const input = { partnerId, period, expectedFingerprint: fingerprint, previewedAt };
    const outcome = await run({ input: { ...input, idempotencyKey: keyOf(input) } });
    if (!outcome.done) {
      setFaults(outcome.faults);
      // What is approved by now is shown, to be looked at once more.
      return onRefused();
    }
    const payout = outcome.data.createPayoutBatch?.payout;
    if (!payout) return;
    notify(texts.payouts.made(money(payout.total), payout.partner.companyName));
    onMade(payout.id);
  };
  return (
    <Sheet title={texts.payouts.prepare} onClose={onClose}>
      <Faults of={faults.map(({ message }) => message)} />
      <Select label={texts.payouts.partner} value={partner ?? ""} onChange={(event) => onChoose(event.target.value)}>
        <option value="">{texts.payouts.choosePartner}</option>
        {partners.map(({ id, companyName }) => (
          <option key={id} value={id}>
            {companyName}
          </option>
        ))}
      </Select>
      <div className="grid grid-cols-2 gap-3">
        <Day label={texts.payouts.from} value={period.from} onChange={(from) => onPeriod({ from })} />
        <Day label={texts.payouts.before} value={period.before} onChange={(before) => onPeriod({ before })} />
      </div>
      {partner && preview && (
        <section aria-label={texts.payouts.preview} className="flex flex-col gap-4">
          <p className="flex items-baseline justify-between">
            <span>{texts.payouts.wouldHave(preview.commissionCount)}</span>
            <span className="text-2xl font-semibold tabular-nums">{money(preview.total)}</span>
          </p>
          {!preview.isPayable && (
            <p className="rounded-lg bg-warn-soft px-3 py-2 text-sm text-warn">{texts.payouts.notPayable(money(preview.minimum))}</p>
          )}
          {preview.lines?.nodes.length === 0 ? (
            <Empty>{texts.payouts.nothingToPay}</Empty>
          ) : (
            <ul className="flex flex-col text-sm">
              {preview.lines?.nodes.map(({ id, eventType, eventDate, amount, customer, lead }) => (
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
          )}
          <Button
            kind="main"
            className="self-start"
            disabled={!preview.isPayable}
            isBusy={isRunning}
            onClick={() => void make(partner, preview)}
          >
            {texts.payouts.create}
          </Button>
        </section>
      )}
    </Sheet>
  );
}
