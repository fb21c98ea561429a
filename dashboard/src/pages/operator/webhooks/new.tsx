import { useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange, useKey } from "../../../api/change";
import type { WebhookEventType } from "../../../api/schema.generated";
import { Button } from "../../../parts/button";
import { Copy } from "../../../parts/copy";
import { Faults, Input } from "../../../parts/field";
import { notify } from "../../../parts/notice";
import { Sheet } from "../../../parts/sheet";
import { texts } from "../../../texts";
import { CreateWebhookEndpointDocument } from "./webhooks.generated";

/** The events that are offered. An endpoint receives those that are chosen. */
const EVENTS: WebhookEventType[] = [
  "LEAD_CREATED",
  "LEAD_STATUS_CHANGED",
  "SIGN_UP_RECORDED",
  "SALE_RECORDED",
  "SALE_REFUNDED",
  "COMMISSION_CREATED",
  "COMMISSION_APPROVED",
  "COMMISSION_REJECTED",
  "COMMISSION_PAID",
  "PAYOUT_CREATED",
  "PAYOUT_COMPLETED",
  "PAYOUT_FAILED",
  "PARTNER_CREATED",
  "PARTNER_STATUS_CHANGED",
  "APPLICATION_SUBMITTED",
  "MEMBER_ADDED",
  "CREDIT_ASSIGNED",
  "CREDIT_REDEEMED",
];

const EMPTY = { url: "", description: "", eventTypes: EVENTS };

/** Adds an endpoint, and shows its secret once. */
export function NewEndpoint({ onClose, onDone }: { onClose(): void; onDone(): void }) {
  const form = useForm({ defaultValues: EMPTY });
  const [keyOf] = useKey();
  const { run, isRunning } = useChange(CreateWebhookEndpointDocument);
  const [others, setOthers] = useState<string[]>([]);
  const [secret, setSecret] = useState<string | null>(null);
  const { errors } = form.formState;
  const send = form.handleSubmit(async ({ url, description, eventTypes }) => {
    setOthers([]);
    const input = { url, description: description || null, eventTypes };
    const outcome = await run({ input: { ...input, idempotencyKey: keyOf(input) } });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    notify(texts.webhooks.added);
    onDone();
    const secret = outcome.data.createWebhookEndpoint?.secret;
    // It is given with the first answer alone.
    if (secret) setSecret(secret);
    else onClose();
  });
  return (
    <Sheet title={texts.webhooks.new} isKept={secret !== null || form.formState.isDirty} onClose={onClose}>
      {secret ? (
        <>
          <p>{texts.webhooks.secret}</p>
          <code className="rounded-lg bg-hover p-3 text-sm break-all">{secret}</code>
          <Copy text={secret} />
        </>
      ) : (
        <form className="flex flex-col gap-4" noValidate onSubmit={(event) => void send(event)}>
          <Faults of={others} />
          <Input label={texts.webhooks.url} form={form.register("url")} fault={errors.url} type="url" autoComplete="off" />
          <Input
            label={texts.webhooks.description}
            form={form.register("description")}
            fault={errors.description}
            isOptional
            autoComplete="off"
          />
          <fieldset className="flex flex-col gap-1 text-sm">
            <legend className="mb-1 font-medium">{texts.webhooks.events}</legend>
            {errors.eventTypes && (
              <p role="alert" className="text-bad">
                {errors.eventTypes.message}
              </p>
            )}
            {EVENTS.map((event) => (
              <label key={event} className="flex items-center gap-2">
                <input type="checkbox" className="size-4" value={event} {...form.register("eventTypes")} /> {event}
              </label>
            ))}
          </fieldset>
          <div className="flex gap-3">
            <Button kind="main" type="submit" isBusy={isRunning}>
              {texts.webhooks.new}
            </Button>
            <Button onClick={onClose}>{texts.form.cancel}</Button>
          </div>
        </form>
      )}
    </Sheet>
  );
}
