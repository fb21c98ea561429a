import { faultOf, type Outcome, useChange, useKey } from "../../../api/change";
import type { WebhookDeliveryStatus } from "../../../api/schema.generated";
import { moment } from "../../../format/time";
import { Button } from "../../../parts/button";
import { Badge, Facts, type Tone } from "../../../parts/card";
import { Detail } from "../../../parts/failed";
import { notify } from "../../../parts/notice";
import { Sheet } from "../../../parts/sheet";
import { texts } from "../../../texts";
import { RedeliverWebhookDocument, RemoveWebhookEndpointDocument, SendTestWebhookDocument, type WebhooksQuery } from "./webhooks.generated";

type Endpoint = NonNullable<WebhooksQuery["webhookEndpoint"]>;

const TONES: Record<WebhookDeliveryStatus, Tone> = { DELIVERED: "good", FAILED: "bad", WAITING: "warn" };

/** One endpoint beside the list: what was sent to it, and what it answered. */
export function EndpointSheet({
  endpoint,
  onClose,
  onDone,
  onRemoved,
}: {
  endpoint: Endpoint | null | undefined;
  onClose(): void;
  onDone(): void;
  onRemoved(): void;
}) {
  const [keyOf, renew] = useKey();
  const test = useChange(SendTestWebhookDocument);
  const again = useChange(RedeliverWebhookDocument);
  const remove = useChange(RemoveWebhookEndpointDocument);
  const say = (outcome: Outcome<unknown>, text: string, done = onDone) => {
    notify(outcome.done ? text : (faultOf(outcome) ?? ""));
    if (outcome.done) done();
  };
  if (!endpoint) {
    return (
      <Sheet title={texts.webhooks.title} onClose={onClose}>
        <Detail of={endpoint}>{() => null}</Detail>
      </Sheet>
    );
  }
  const { id } = endpoint;
  return (
    <Sheet title={endpoint.description || endpoint.url} onClose={onClose}>
      <Facts
        of={[
          [
            texts.webhooks.url,
            <span key="url" className="break-all">
              {endpoint.url}
            </span>,
          ],
          [texts.webhooks.events, endpoint.eventTypes.join(", ")],
          [texts.webhooks.disabled, endpoint.disabledReason],
        ]}
      />
      <div className="flex flex-wrap gap-2">
        <Button
          kind="main"
          isBusy={test.isRunning}
          onClick={async () => {
            say(await test.run({ input: { id, idempotencyKey: keyOf(id) } }), texts.webhooks.tested);
            renew();
          }}
        >
          {texts.webhooks.test}
        </Button>
        <Button onClick={onDone}>{texts.webhooks.refresh}</Button>
        <Button
          kind="bad"
          isBusy={remove.isRunning}
          onClick={async () => confirm(texts.webhooks.sure) && say(await remove.run({ id }), texts.webhooks.removed, onRemoved)}
        >
          {texts.webhooks.remove}
        </Button>
      </div>
      <section aria-label={texts.webhooks.deliveries}>
        <h3 className="mb-2 font-semibold">{texts.webhooks.deliveries}</h3>
        {endpoint.deliveries?.nodes.length === 0 && <p className="text-sm text-muted">{texts.webhooks.noDeliveries}</p>}
        <ul className="flex flex-col gap-3 text-sm">
          {endpoint.deliveries?.nodes.map((delivery) => (
            <li key={delivery.id} className="rounded-xl border border-line p-3">
              <p className="flex flex-wrap items-center justify-between gap-2">
                <span className="font-medium">{delivery.eventType}</span>
                <Badge tone={TONES[delivery.status]}>{texts.webhooks.statuses[delivery.status]}</Badge>
              </p>
              <p className="text-muted">
                {moment(delivery.createdAt)} · {texts.webhooks.attempts(delivery.attemptCount)}
              </p>
              {delivery.attempts?.nodes.map((attempt) => (
                <p key={attempt.id} className="text-muted">
                  {attempt.number}. {attempt.status ?? attempt.fault} · {attempt.milliseconds} ms
                </p>
              ))}
              <details className="mt-2">
                <summary className="cursor-pointer text-accent">{texts.webhooks.body}</summary>
                {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard. */}
                <pre tabIndex={0} className="mt-2 max-h-60 overflow-auto rounded-lg bg-hover p-3 text-xs">
                  {delivery.body}
                </pre>
              </details>
              {delivery.status !== "WAITING" && (
                <Button
                  className="mt-2"
                  isBusy={again.isRunning}
                  onClick={async () => say(await again.run({ id: delivery.id }), texts.webhooks.sentAgain)}
                >
                  {texts.webhooks.again}
                </Button>
              )}
            </li>
          ))}
        </ul>
      </section>
    </Sheet>
  );
}
