import { useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange, useKey } from "../../api/change";
import { money } from "../../format/money";
import { Button } from "../../parts/button";
import { Faults, Input } from "../../parts/field";
import { notify } from "../../parts/notice";
import { texts } from "../../texts";
import { AcceptInviteDocument, ChooseInviteCodeDocument, TakeOutOfWalletDocument, type WalletPartsFragment } from "./affiliates.generated";

/** Asks for money of the wallet: it is paid with the next payout. */
export function TakeOut({ wallet, onDone }: { wallet: WalletPartsFragment; onDone(): void }) {
  const form = useForm({ defaultValues: { amount: wallet.available.amount } });
  const [keyOf, renew] = useKey();
  const { run, isRunning } = useChange(TakeOutOfWalletDocument);
  const [others, setOthers] = useState<string[]>([]);
  const { errors } = form.formState;
  if (!wallet.canTakeOut) return <p className="text-sm text-muted">{texts.affiliates.cannotTakeOut}</p>;
  const send = form.handleSubmit(async ({ amount }) => {
    setOthers([]);
    const input = { amount, currency: wallet.currency };
    const outcome = await run({ input: { ...input, idempotencyKey: keyOf(input) } });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    renew();
    form.reset({ amount: "" });
    notify(texts.affiliates.takenOutNow(money({ amount, currency: wallet.currency })));
    onDone();
  });
  return (
    <form className="flex flex-col gap-3" noValidate onSubmit={(event) => void send(event)}>
      <Faults of={others} />
      <div className="flex items-end gap-3">
        <Input
          label={texts.affiliates.amount}
          form={form.register("amount")}
          fault={errors.amount}
          inputMode="decimal"
          autoComplete="off"
        />
        <Button kind="main" type="submit" isBusy={isRunning}>
          {texts.affiliates.takeOut}
        </Button>
      </div>
    </form>
  );
}

/** An own invite code in place of the present one, which stays good. */
export function ChooseCode({ code, onDone }: { code: string; onDone(): void }) {
  const [isOpen, setOpen] = useState(false);
  const form = useForm({ defaultValues: { code: "" } });
  const { run, isRunning } = useChange(ChooseInviteCodeDocument);
  const { errors } = form.formState;
  if (!isOpen) return <Button onClick={() => setOpen(true)}>{texts.affiliates.chooseCode}</Button>;
  const send = form.handleSubmit(async ({ code: chosen }) => {
    const outcome = await run({ input: { code: chosen, replacing: code } });
    if (!outcome.done) {
      const others = showFaults(form, outcome.faults);
      if (others.length > 0) notify(others.join(" "));
      return;
    }
    setOpen(false);
    onDone();
  });
  return (
    <form className="flex items-end gap-2" noValidate onSubmit={(event) => void send(event)}>
      <Input label={texts.affiliates.code} form={form.register("code")} fault={errors.code} autoComplete="off" />
      <Button kind="main" type="submit" isBusy={isRunning}>
        {texts.form.save}
      </Button>
    </form>
  );
}

/** Says who invited one, for those who signed up without their link. */
export function AcceptInvite({ onDone }: { onDone(): void }) {
  const form = useForm({ defaultValues: { code: "" } });
  const { run, isRunning } = useChange(AcceptInviteDocument);
  const { errors } = form.formState;
  const send = form.handleSubmit(async ({ code }) => {
    const outcome = await run({ code });
    if (!outcome.done) {
      const others = showFaults(form, outcome.faults);
      if (others.length > 0) notify(others.join(" "));
      return;
    }
    notify(texts.affiliates.accepted);
    onDone();
  });
  return (
    <form className="flex items-end gap-2 border-t border-line pt-4" noValidate onSubmit={(event) => void send(event)}>
      <Input label={texts.affiliates.invitedBy} form={form.register("code")} fault={errors.code} autoComplete="off" />
      <Button type="submit" isBusy={isRunning}>
        {texts.affiliates.accept}
      </Button>
    </form>
  );
}
