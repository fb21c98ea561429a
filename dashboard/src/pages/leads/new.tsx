import { useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange, useKey } from "../../api/change";
import { Button } from "../../parts/button";
import { Faults, Input, TextArea } from "../../parts/field";
import { notify } from "../../parts/notice";
import { Sheet } from "../../parts/sheet";
import { texts } from "../../texts";
import { CreateLeadDocument } from "./leads.generated";

const EMPTY = { clientName: "", clientEmail: "", clientPhone: "", service: "", dealValue: "", notes: "" };

/** Sends a lead, once, however often the answer is lost. */
export function NewLead({ onClose }: { onClose(): void }) {
  const form = useForm({ defaultValues: EMPTY });
  const [keyOf, renew] = useKey();
  const { run, isRunning } = useChange(CreateLeadDocument);
  const [others, setOthers] = useState<string[]>([]);
  const { register } = form;
  const { errors } = form.formState;
  const send = form.handleSubmit(async ({ clientPhone, dealValue, notes, ...values }) => {
    setOthers([]);
    const input = { ...values, clientPhone: clientPhone || null, dealValue: dealValue || null, notes: notes || null };
    const outcome = await run({ input: { ...input, idempotencyKey: keyOf(input) } });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    renew();
    notify(texts.leads.sentNow(values.clientName));
    onClose();
  });
  return (
    <Sheet title={texts.leads.new} isKept={form.formState.isDirty} onClose={onClose}>
      <form className="flex flex-col gap-4" noValidate onSubmit={(event) => void send(event)}>
        <Faults of={others} />
        <Input label={texts.leads.client} form={register("clientName")} fault={errors.clientName} autoComplete="off" />
        <Input label={texts.leads.email} form={register("clientEmail")} fault={errors.clientEmail} type="email" autoComplete="off" />
        <Input
          label={texts.leads.phone}
          form={register("clientPhone")}
          fault={errors.clientPhone}
          type="tel"
          isOptional
          autoComplete="off"
        />
        <Input label={texts.leads.service} form={register("service")} fault={errors.service} autoComplete="off" />
        <Input
          label={texts.leads.dealValue}
          hint={texts.leads.dealValueHint}
          form={register("dealValue")}
          fault={errors.dealValue}
          inputMode="decimal"
          isOptional
          autoComplete="off"
        />
        <TextArea label={texts.leads.notes} form={register("notes")} fault={errors.notes} isOptional />
        <div className="flex gap-3">
          <Button kind="main" type="submit" isBusy={isRunning}>
            {isRunning ? texts.form.saving : texts.leads.new}
          </Button>
          <Button onClick={onClose}>{texts.form.cancel}</Button>
        </div>
      </form>
    </Sheet>
  );
}
