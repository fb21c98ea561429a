import { Link } from "@tanstack/react-router";
import { money, percent } from "../../format/money";
import { dayOf, moment } from "../../format/time";
import { Badge, Facts } from "../../parts/card";
import { Detail } from "../../parts/failed";
import { Sheet } from "../../parts/sheet";
import { texts } from "../../texts";
import type { EarningsQuery } from "./earnings.generated";
import { STATUS_TONES } from "./status";

type Commission = NonNullable<EarningsQuery["commission"]>;

/** One commission beside the list: where it comes from, and why it is this amount. */
export function CommissionSheet({ commission, onClose }: { commission: Commission | null | undefined; onClose(): void }) {
  return (
    <Sheet title={commission ? texts.earnings.types[commission.eventType] : texts.shell.loading} onClose={onClose}>
      <Detail of={commission}>{(commission) => <Contents commission={commission} />}</Detail>
    </Sheet>
  );
}

function Contents({ commission }: { commission: Commission }) {
  const { explanation, payout, customer, lead, link } = commission;
  return (
    <>
      <p className="flex items-center justify-between gap-4">
        <span className="text-2xl font-semibold tabular-nums">{money(commission.amount)}</span>
        <Badge tone={STATUS_TONES[commission.status]}>{texts.earnings.statuses[commission.status]}</Badge>
      </p>
      {commission.status === "PENDING" && commission.dueAt && (
        <p className="text-sm text-muted">{texts.earnings.due(dayOf(commission.dueAt))}</p>
      )}
      <Facts
        of={[
          [texts.earnings.date, moment(commission.eventDate)],
          [texts.earnings.customer, customer?.name ?? lead?.clientName],
          [texts.earnings.groups.LINK, link && (link.title ?? link.key)],
          [texts.earnings.rejected, commission.rejectionReason],
          [
            texts.earnings.inPayout,
            payout && (
              <Link to="/payouts" search={{ payout: payout.id }} className="text-accent underline">
                {dayOf(payout.payoutDate)}
              </Link>
            ),
          ],
        ]}
      />
      <section aria-label={texts.earnings.explain} className="rounded-xl border border-line">
        <h3 className="border-b border-line px-4 py-3 font-semibold">{texts.earnings.explain}</h3>
        <p className="px-4 py-3">{explanation.sentence}</p>
        {explanation.steps.length > 0 && (
          <table className="w-full border-t border-line text-sm">
            <caption className="sr-only">{texts.earnings.calculation}</caption>
            <thead className="sr-only">
              <tr>
                <th scope="col">{texts.earnings.step}</th>
                <th scope="col">{texts.earnings.amount}</th>
              </tr>
            </thead>
            <tbody>
              {explanation.steps.map((step) => (
                <tr key={`${step.kind} ${step.description}`} className="border-b border-line last:border-0">
                  <td className="px-4 py-2">
                    {step.description}
                    {step.rate && step.base && (
                      <span className="block text-muted">
                        {percent(step.rate)} {texts.earnings.of(money(step.base))}
                      </span>
                    )}
                  </td>
                  <td className="px-4 py-2 text-right tabular-nums">
                    {money({ amount: step.amount, currency: explanation.amount.currency })}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      {commission.flags.length > 0 && (
        <section aria-label={texts.earnings.flags}>
          <h3 className="mb-2 font-semibold">{texts.earnings.flags}</h3>
          <ul className="flex flex-col gap-2 text-sm">
            {commission.flags.map(({ kind, reason }) => (
              <li key={kind} className="rounded-lg bg-warn-soft px-3 py-2 text-warn">
                {reason}
              </li>
            ))}
          </ul>
        </section>
      )}
      {commission.reversals.length > 0 && (
        <section aria-label={texts.earnings.taken}>
          <h3 className="mb-2 font-semibold">{texts.earnings.taken}</h3>
          <Facts of={commission.reversals.map(({ eventDate, amount }) => [dayOf(eventDate), money(amount)])} />
        </section>
      )}
    </>
  );
}
