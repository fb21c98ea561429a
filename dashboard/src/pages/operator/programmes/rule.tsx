import { useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange, useKey } from "../../../api/change";
import type { CommissionRuleInput } from "../../../api/schema.generated";
import { money } from "../../../format/money";
import { Button } from "../../../parts/button";
import { Empty, Facts } from "../../../parts/card";
import { Faults, Input, Select, WHOLE_OR_NONE } from "../../../parts/field";
import { notify } from "../../../parts/notice";
import { Sheet } from "../../../parts/sheet";
import { texts } from "../../../texts";
import { type ProgrammesQuery, SetCommissionRuleDocument } from "./programmes.generated";

type Simulation = NonNullable<ProgrammesQuery["simulateCommissionRule"]>;

const EMPTY = {
  partnerId: "",
  programmeId: "",
  kind: "PERCENTAGE" as "PERCENTAGE" | "FLAT",
  rate: "",
  flatAmount: "",
  cap: "",
  durationMonths: "",
};

function inputOf({ partnerId, programmeId, kind, rate, flatAmount, cap, durationMonths }: typeof EMPTY): CommissionRuleInput {
  return {
    kind,
    partnerId: partnerId || null,
    programmeId: programmeId || null,
    ...(kind === "PERCENTAGE" ? { rate: rate || null, cap: cap || null } : { flatAmount: flatAmount || null }),
    durationMonths: durationMonths ? Number(durationMonths) : null,
  };
}

/** A rule, tried out on the payments of the last months before it is set: what each partner would have had more or less. */
export function TryRule({
  partners,
  programmes,
  tried,
  simulation,
  fault,
  onTry,
  onClose,
  onDone,
}: {
  partners: { id: string; companyName: string }[];
  programmes: { id: string; name: string }[];
  /** The rule that the simulation is of. */
  tried: CommissionRuleInput | null;
  simulation: Simulation | null;
  fault: string | undefined;
  onTry(rule: CommissionRuleInput): void;
  onClose(): void;
  onDone(): void;
}) {
  const form = useForm({ defaultValues: EMPTY });
  const [keyOf, renew] = useKey();
  const { run, isRunning } = useChange(SetCommissionRuleDocument);
  const [others, setOthers] = useState<string[]>([]);
  const { register, watch } = form;
  const { errors } = form.formState;
  const isTried = JSON.stringify(inputOf(watch())) === JSON.stringify(tried);
  const set = form.handleSubmit(async () => {
    if (!tried || !isTried) return;
    setOthers([]);
    const outcome = await run({ input: { ...tried, idempotencyKey: keyOf(tried) } });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    renew();
    notify(texts.programmes.setNow);
    onDone();
    onClose();
  });
  return (
    <Sheet title={texts.programmes.newRule} onClose={onClose}>
      <form className="flex flex-col gap-4" noValidate onSubmit={(event) => void set(event)}>
        <Faults of={[...others, ...(fault ? [fault] : [])]} />
        <Select label={texts.payouts.partner} form={register("partnerId")} fault={errors.partnerId}>
          <option value="">{texts.programmes.everyone}</option>
          {partners.map(({ id, companyName }) => (
            <option key={id} value={id}>
              {companyName}
            </option>
          ))}
        </Select>
        <Select label={texts.programmes.programmes} form={register("programmeId")} fault={errors.programmeId}>
          <option value="">{texts.filter.all}</option>
          {programmes.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </Select>
        <Select label={texts.programmes.kind} form={register("kind")} fault={errors.kind}>
          <option value="PERCENTAGE">{texts.programmes.kinds.PERCENTAGE}</option>
          <option value="FLAT">{texts.programmes.kinds.FLAT}</option>
        </Select>
        {watch("kind") === "PERCENTAGE" ? (
          <div className="grid grid-cols-2 gap-3">
            <Input
              label={texts.programmes.rate}
              hint={texts.programmes.rateHint}
              form={register("rate")}
              fault={errors.rate}
              inputMode="decimal"
              autoComplete="off"
            />
            <Input
              label={texts.programmes.cap}
              form={register("cap")}
              fault={errors.cap}
              inputMode="decimal"
              isOptional
              autoComplete="off"
            />
          </div>
        ) : (
          <Input
            label={texts.programmes.flat}
            form={register("flatAmount")}
            fault={errors.flatAmount}
            inputMode="decimal"
            autoComplete="off"
          />
        )}
        <Input
          label={texts.programmes.months}
          form={register("durationMonths", WHOLE_OR_NONE)}
          fault={errors.durationMonths}
          inputMode="numeric"
          isOptional
          autoComplete="off"
        />
        <div className="flex flex-wrap gap-3">
          <Button
            kind={isTried && simulation ? "plain" : "main"}
            onClick={(event) => void form.handleSubmit((values) => onTry(inputOf(values)))(event)}
          >
            {texts.programmes.simulate}
          </Button>
          {isTried && simulation && (
            <Button kind="main" type="submit" isBusy={isRunning}>
              {texts.programmes.set}
            </Button>
          )}
        </div>
      </form>
      {isTried && simulation && <Simulated simulation={simulation} />}
    </Sheet>
  );
}

function Simulated({ simulation }: { simulation: Simulation }) {
  return (
    <section aria-label={texts.programmes.simulation} className="flex flex-col gap-4">
      <h3 className="font-semibold">{texts.programmes.simulation}</h3>
      {simulation.totals.length === 0 && <Empty>{texts.programmes.noPayments}</Empty>}
      {simulation.totals.map(({ payments, affectedPayments, actual, simulated, difference }) => (
        <Facts
          key={actual.currency}
          of={[
            [texts.programmes.actual, money(actual)],
            [texts.programmes.simulated, money(simulated)],
            [texts.programmes.difference, money(difference)],
            ["", texts.programmes.payments(affectedPayments, payments)],
          ]}
        />
      ))}
      <ul className="flex flex-col text-sm">
        {simulation.partners.map(({ partner, difference, affectedPayments, payments }) => (
          <li key={`${partner.id} ${difference.currency}`} className="flex justify-between gap-4 border-b border-line py-2 last:border-0">
            <span>
              {partner.companyName}
              <span className="block text-muted">{texts.programmes.payments(affectedPayments, payments)}</span>
            </span>
            <span className="tabular-nums">{money(difference)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
