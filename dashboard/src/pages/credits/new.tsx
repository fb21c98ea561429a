import { useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange } from "../../api/change";
import { Button } from "../../parts/button";
import { Faults, Input } from "../../parts/field";
import { notify } from "../../parts/notice";
import { Sheet } from "../../parts/sheet";
import { texts } from "../../texts";
import { AddMemberDocument } from "./credits.generated";

/** Adds a member. The address is theirs alone, so that the same can be sent again. */
export function NewMember({ onClose, onDone }: { onClose(): void; onDone(): void }) {
  const form = useForm({ defaultValues: { firstName: "", lastName: "", email: "" } });
  const { run, isRunning } = useChange(AddMemberDocument);
  const [others, setOthers] = useState<string[]>([]);
  const { errors } = form.formState;
  const send = form.handleSubmit(async ({ lastName, ...values }) => {
    setOthers([]);
    const outcome = await run({ input: { ...values, lastName: lastName || null } });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    notify(texts.credits.added(values.email));
    onDone();
    onClose();
  });
  return (
    <Sheet title={texts.credits.new} isKept={form.formState.isDirty} onClose={onClose}>
      <form className="flex flex-col gap-4" noValidate onSubmit={(event) => void send(event)}>
        <Faults of={others} />
        <Input label={texts.credits.firstName} form={form.register("firstName")} fault={errors.firstName} autoComplete="off" />
        <Input label={texts.credits.lastName} form={form.register("lastName")} fault={errors.lastName} isOptional autoComplete="off" />
        <Input label={texts.credits.email} form={form.register("email")} fault={errors.email} type="email" autoComplete="off" />
        <div className="flex gap-3">
          <Button kind="main" type="submit" isBusy={isRunning}>
            {texts.credits.new}
          </Button>
          <Button onClick={onClose}>{texts.form.cancel}</Button>
        </div>
      </form>
    </Sheet>
  );
}
