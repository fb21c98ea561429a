import { useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange, useKey } from "../../api/change";
import type { PeriodInput } from "../../api/schema.generated";
import { Button } from "../../parts/button";
import { Faults, Input } from "../../parts/field";
import { notify } from "../../parts/notice";
import { Sheet } from "../../parts/sheet";
import { texts } from "../../texts";
import { CreateLinkDocument } from "./links.generated";

const EMPTY = { url: "", title: "", key: "", couponCode: "" };

/** Makes a link to a product. */
export function NewLink({ period, onClose, onMade }: { period: PeriodInput; onClose(): void; onMade(id: string): void }) {
  const form = useForm({ defaultValues: EMPTY });
  const [keyOf, renew] = useKey();
  const { run, isRunning } = useChange(CreateLinkDocument);
  const [others, setOthers] = useState<string[]>([]);
  const { register } = form;
  const { errors } = form.formState;
  const send = form.handleSubmit(async ({ url, title, key, couponCode }) => {
    setOthers([]);
    const input = { url, title: title || null, key: key || null, couponCode: couponCode || null };
    const outcome = await run({ input: { ...input, idempotencyKey: keyOf(input) }, period });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    renew();
    const link = outcome.data.createLink?.link;
    if (!link) return onClose();
    notify(texts.links.created(link.shortUrl));
    onMade(link.id);
  });
  return (
    <Sheet title={texts.links.new} isKept={form.formState.isDirty} onClose={onClose}>
      <form className="flex flex-col gap-4" noValidate onSubmit={(event) => void send(event)}>
        <Faults of={others} />
        <Input label={texts.links.url} hint={texts.links.urlHint} form={register("url")} fault={errors.url} type="url" autoComplete="off" />
        <Input label={texts.links.name} form={register("title")} fault={errors.title} isOptional autoComplete="off" />
        <Input label={texts.links.key} hint={texts.links.keyHint} form={register("key")} fault={errors.key} isOptional autoComplete="off" />
        <Input label={texts.links.coupon} form={register("couponCode")} fault={errors.couponCode} isOptional autoComplete="off" />
        <div className="flex gap-3">
          <Button kind="main" type="submit" isBusy={isRunning}>
            {isRunning ? texts.form.saving : texts.links.new}
          </Button>
          <Button onClick={onClose}>{texts.form.cancel}</Button>
        </div>
      </form>
    </Sheet>
  );
}
