import { useEffect, useRef, useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange } from "../../api/change";
import type { PaymentMethod } from "../../api/schema.generated";
import { Button } from "../../parts/button";
import { Card } from "../../parts/card";
import { Faults, Input, Select } from "../../parts/field";
import { notify } from "../../parts/notice";
import { useMay } from "../../shell/viewer";
import { texts } from "../../texts";
import { type ProfilePartsFragment, UpdatePartnerProfileDocument } from "./profile.generated";

const METHODS: PaymentMethod[] = ["BANK_TRANSFER", "PAYPAL", "STRIPE", "CHECK", "MANUAL"];

function valuesOf({ profile }: ProfilePartsFragment) {
  return {
    contactName: profile?.contactName ?? "",
    contactEmail: profile?.contactEmail ?? "",
    contactPhone: profile?.contactPhone ?? "",
    website: profile?.website ?? "",
    line1: profile?.address?.line1 ?? "",
    postalCode: profile?.address?.postalCode ?? "",
    city: profile?.address?.city ?? "",
    state: profile?.address?.state ?? "",
    country: profile?.address?.country ?? "",
    paymentMethod: profile?.paymentMethod ?? ("BANK_TRANSFER" as PaymentMethod),
    paymentEmail: profile?.paymentEmail ?? "",
    // Never shown whole; what is entered takes the place of what is there.
    bankAccount: "",
    taxId: "",
    enabled: profile?.notifications.enabled ?? true,
    email: profile?.notifications.email ?? true,
    monthlyReports: profile?.notifications.monthlyReports ?? true,
  };
}

/** Who the partner is, where to pay, and what to write about. What somebody else has changed meanwhile is not overwritten. */
export function ProfileForm({ partner, onConflict }: { partner: ProfilePartsFragment; onConflict(): void }) {
  const form = useForm({ defaultValues: valuesOf(partner) });
  const isSaving = useRef(false);
  const version = partner.profile?.updatedAt;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another version is another profile, and nothing else is.
  useEffect(() => {
    // What somebody else has saved comes in, and what was typed here stays; once it is saved, it is not kept in the form.
    form.reset(valuesOf(partner), { keepDirtyValues: !isSaving.current });
  }, [version]);
  const { run, isRunning } = useChange(UpdatePartnerProfileDocument);
  const [others, setOthers] = useState<string[]>([]);
  const mayWrite = useMay("PROFILE_WRITE");
  const { register } = form;
  const { errors, dirtyFields } = form.formState;
  const send = form.handleSubmit(async (values) => {
    setOthers([]);
    const { line1, postalCode, city, state, country, enabled, email, monthlyReports, bankAccount, taxId, paymentMethod, ...plain } = values;
    const given = Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, value || null]));
    const address = {
      line1: line1 || null,
      postalCode: postalCode || null,
      city: city || null,
      state: state || null,
      country: country || null,
    };
    const input = {
      ...given,
      paymentMethod,
      address,
      notifications: { enabled, email, monthlyReports },
      ...(dirtyFields.bankAccount && { bankAccount }),
      ...(dirtyFields.taxId && { taxId }),
      expectedUpdatedAt: partner.profile?.updatedAt,
    };
    isSaving.current = true;
    const outcome = await run({ input });
    isSaving.current = outcome.done;
    if (!outcome.done) {
      setOthers(showFaults(form, outcome.faults));
      return onConflict();
    }
    // Neither stays in the page in clear text.
    form.resetField("bankAccount", { defaultValue: "" });
    form.resetField("taxId", { defaultValue: "" });
    notify(texts.form.saved);
  });
  return (
    <form className="flex flex-col gap-6" noValidate onSubmit={(event) => void send(event)}>
      <Faults of={others} />
      <fieldset disabled={!mayWrite} className="grid items-start gap-6 lg:grid-cols-2">
        <Card title={texts.profile.contact}>
          <div className="flex flex-col gap-4 p-4">
            <Input label={texts.profile.contactName} form={register("contactName")} fault={errors.contactName} autoComplete="name" />
            <Input
              label={texts.profile.contactEmail}
              form={register("contactEmail")}
              fault={errors.contactEmail}
              type="email"
              autoComplete="email"
            />
            <Input
              label={texts.profile.contactPhone}
              form={register("contactPhone")}
              fault={errors.contactPhone}
              type="tel"
              autoComplete="tel"
            />
            <Input label={texts.profile.website} form={register("website")} fault={errors.website} type="url" autoComplete="url" />
          </div>
        </Card>
        <Card title={texts.profile.payment}>
          <div className="flex flex-col gap-4 p-4">
            <Select label={texts.profile.paymentMethod} form={register("paymentMethod")} fault={errors.paymentMethod}>
              {METHODS.map((method) => (
                <option key={method} value={method}>
                  {texts.payouts.methods[method]}
                </option>
              ))}
            </Select>
            <Input
              label={texts.profile.paymentEmail}
              form={register("paymentEmail")}
              fault={errors.paymentEmail}
              type="email"
              autoComplete="off"
            />
            <Input
              label={texts.profile.bankAccount}
              hint={partner.profile?.bankAccountMasked ? texts.profile.kept(partner.profile.bankAccountMasked) : undefined}
              form={register("bankAccount")}
              fault={errors.bankAccount}
              autoComplete="off"
            />
            <Input
              label={texts.profile.taxId}
              hint={partner.profile?.taxIdMasked ? texts.profile.kept(partner.profile.taxIdMasked) : undefined}
              form={register("taxId")}
              fault={errors.taxId}
              autoComplete="off"
            />
          </div>
        </Card>
        <Card title={texts.profile.address}>
          <div className="flex flex-col gap-4 p-4">
            <Input label={texts.profile.line1} form={register("line1")} fault={errors.line1} autoComplete="street-address" />
            <div className="grid grid-cols-2 gap-4">
              <Input label={texts.profile.postalCode} form={register("postalCode")} fault={errors.postalCode} autoComplete="postal-code" />
              <Input label={texts.profile.city} form={register("city")} fault={errors.city} autoComplete="address-level2" />
              <Input label={texts.profile.state} form={register("state")} fault={errors.state} autoComplete="address-level1" />
              <Input
                label={texts.profile.country}
                hint={texts.profile.countryHint}
                form={register("country")}
                fault={errors.country}
                autoComplete="country"
              />
            </div>
          </div>
        </Card>
        <Card title={texts.profile.notifications}>
          <div className="flex flex-col gap-3 p-4 text-sm">
            {(["enabled", "email", "monthlyReports"] as const).map((name) => (
              <label key={name} className="flex items-center gap-2">
                <input type="checkbox" className="size-4" {...register(name)} /> {texts.profile.switches[name]}
              </label>
            ))}
          </div>
        </Card>
      </fieldset>
      {mayWrite && (
        <Button kind="main" type="submit" className="self-start" isBusy={isRunning}>
          {isRunning ? texts.form.saving : texts.form.save}
        </Button>
      )}
    </form>
  );
}
