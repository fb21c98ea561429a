import { useState } from "react";
import { type Fault, useChange, useKey } from "../../../api/change";
import { money } from "../../../format/money";
import { Button } from "../../../parts/button";
import { Empty } from "../../../parts/card";
import { Day, Faults } from "../../../parts/field";
import { notify } from "../../../parts/notice";
import { Sheet } from "../../../parts/sheet";
import { texts } from "../../../texts";
import { CreatePayoutBatchesDocument, type CreatePayoutBatchesMutation } from "./payouts.generated";

type Result = NonNullable<CreatePayoutBatchesMutation["createPayoutBatches"]>["results"][number];
interface Days {
  from: string;
  before: string;
}

/** Prepares a payout for every partner that has something to be paid, and says for each what became of it. */
export function PrepareAll({ period: given, onClose, onDone }: { period: Days; onClose(): void; onDone(): void }) {
  const [period, setPeriod] = useState(given);
  const [results, setResults] = useState<Result[] | null>(null);
  const [faults, setFaults] = useState<Fault[]>([]);
  const [isRunning, setRunning] = useState(false);
  const [keyOf] = useKey();
  const { run } = useChange(CreatePayoutBatchesDocument);
  const make = async () => {
    setRunning(true);
    setFaults([]);
    const made: Result[] = [];
    const idempotencyKey = keyOf(period);
    let fromPartnerId: string | null = null;
    do {
      const outcome = await run({ input: { period, fromPartnerId, idempotencyKey } });
      if (!outcome.done) {
        setFaults(outcome.faults);
        break;
      }
      const page: CreatePayoutBatchesMutation["createPayoutBatches"] = outcome.data.createPayoutBatches;
      made.push(...(page?.results ?? []));
      fromPartnerId = page?.nextPartnerId ?? null;
    } while (fromPartnerId);
    setResults(made);
    setRunning(false);
    notify(texts.payouts.madeAll(made.filter(({ payout }) => payout).length));
    onDone();
  };
  return (
    <Sheet title={texts.payouts.prepareAll} onClose={onClose}>
      <Faults of={faults.map(({ message }) => message)} />
      <div className="grid grid-cols-2 gap-3">
        <Day label={texts.payouts.from} value={period.from} onChange={(from) => setPeriod({ ...period, from })} />
        <Day label={texts.payouts.before} value={period.before} onChange={(before) => setPeriod({ ...period, before })} />
      </div>
      <Button kind="main" className="self-start" isBusy={isRunning} onClick={() => void make()}>
        {texts.payouts.createAll}
      </Button>
      {results?.length === 0 && <Empty>{texts.payouts.nothingToPay}</Empty>}
      <ul className="flex flex-col text-sm">
        {results?.map(({ partner, payout, userError }) => (
          <li key={partner.id} className="flex justify-between gap-4 border-b border-line py-2 last:border-0">
            <span>
              {partner.companyName}
              {userError && <span className="block text-bad">{userError.message}</span>}
            </span>
            {payout && <span className="tabular-nums">{money(payout.total)}</span>}
          </li>
        ))}
      </ul>
    </Sheet>
  );
}
