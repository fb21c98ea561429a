import { useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange, useKey } from "../../api/change";
import { count } from "../../format/money";
import { dayOf } from "../../format/time";
import { Button } from "../../parts/button";
import { Badge, Facts } from "../../parts/card";
import { Detail } from "../../parts/failed";
import { Faults, Input, WHOLE } from "../../parts/field";
import { notify } from "../../parts/notice";
import { Sheet } from "../../parts/sheet";
import { useMay } from "../../shell/viewer";
import { texts } from "../../texts";
import { AssignCreditsDocument, type CreditsQuery, type MemberRowFragment } from "./credits.generated";
import { STATUS_TONES } from "./status";

type Member = NonNullable<CreditsQuery["member"]>;

export function nameOf({ firstName, lastName }: Pick<MemberRowFragment, "firstName" | "lastName">): string {
  return lastName ? `${firstName} ${lastName}` : firstName;
}

/** One member beside the list: what they have, and more for them. */
export function MemberSheet({ member, onClose }: { member: Member | null | undefined; onClose(): void }) {
  return (
    <Sheet title={member ? nameOf(member) : texts.shell.loading} onClose={onClose}>
      <Detail of={member}>{(member) => <Contents member={member} />}</Detail>
    </Sheet>
  );
}

function Contents({ member }: { member: Member }) {
  const mayAssign = useMay("CREDITS_ASSIGN") && member.status !== "INACTIVE";
  return (
    <>
      <p>
        <Badge tone={STATUS_TONES[member.status]}>{texts.credits.statuses[member.status]}</Badge>
      </p>
      <Facts
        of={[
          [texts.credits.email, member.email],
          [texts.credits.available, count(member.creditsAvailable)],
          [texts.credits.assigned, count(member.creditsAssigned)],
          [texts.credits.used, count(member.creditsUsed)],
          [texts.credits.expired, count(member.creditsExpired)],
        ]}
      />
      {mayAssign && <Assign member={member} />}
      <section aria-label={texts.credits.allocations}>
        <h3 className="mb-2 font-semibold">{texts.credits.allocations}</h3>
        <ul className="flex flex-col text-sm">
          {member.creditAllocations?.nodes.map((allocation) => (
            <li key={allocation.id} className="flex justify-between gap-4 border-b border-line py-2 last:border-0">
              <span>
                {texts.credits.given(allocation.credits, dayOf(allocation.createdAt))}
                <span className="block text-muted">{texts.credits.until(dayOf(allocation.expiresAt))}</span>
              </span>
              <span className="text-right whitespace-nowrap tabular-nums">{texts.credits.left(allocation.available)}</span>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

function Assign({ member }: { member: Member }) {
  const form = useForm({ defaultValues: { credits: "", validDays: "90" } });
  const [keyOf, renew] = useKey();
  const { run, isRunning } = useChange(AssignCreditsDocument);
  const [others, setOthers] = useState<string[]>([]);
  const { errors } = form.formState;
  const send = form.handleSubmit(async ({ credits, validDays }) => {
    setOthers([]);
    const input = { memberId: member.id, credits: Number(credits), validDays: Number(validDays) };
    const outcome = await run({ input: { ...input, idempotencyKey: keyOf(input) } });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    renew();
    form.reset();
    notify(texts.credits.assignedNow(Number(credits), nameOf(member)));
  });
  return (
    <form className="flex flex-col gap-3 rounded-xl border border-line p-4" noValidate onSubmit={(event) => void send(event)}>
      <Faults of={others} />
      <div className="grid grid-cols-2 gap-3">
        <Input
          label={texts.credits.howMany}
          form={form.register("credits", WHOLE)}
          fault={errors.credits}
          inputMode="numeric"
          autoComplete="off"
        />
        <Input
          label={texts.credits.validDays}
          form={form.register("validDays", WHOLE)}
          fault={errors.validDays}
          inputMode="numeric"
          autoComplete="off"
        />
      </div>
      <Button kind="main" type="submit" className="self-start" isBusy={isRunning}>
        {texts.credits.assign}
      </Button>
    </form>
  );
}
