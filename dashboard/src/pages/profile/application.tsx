import { useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange } from "../../api/change";
import { dayOf } from "../../format/time";
import { Button } from "../../parts/button";
import { Card } from "../../parts/card";
import { Faults, Input, TextArea } from "../../parts/field";
import { notify } from "../../parts/notice";
import { texts } from "../../texts";
import { type ProfilePartsFragment, SubmitPartnerApplicationDocument } from "./profile.generated";

/** What somebody says who wants to become a partner. It can be changed until it is decided. */
export function Application({ partner }: { partner: ProfilePartsFragment }) {
  const form = useForm({
    defaultValues: {
      companyName: partner.companyName,
      website: partner.profile?.website ?? "",
      country: partner.profile?.address?.country ?? "",
      salesPlan: partner.application?.salesPlan ?? "",
      taxId: "",
      bankAccount: "",
    },
  });
  const { run, isRunning } = useChange(SubmitPartnerApplicationDocument);
  const [others, setOthers] = useState<string[]>([]);
  const { register } = form;
  const { errors } = form.formState;
  const send = form.handleSubmit(async (values) => {
    setOthers([]);
    const input = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value || undefined]));
    const outcome = await run({ input });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    // Neither stays in the page in clear text.
    form.resetField("taxId", { defaultValue: "" });
    form.resetField("bankAccount", { defaultValue: "" });
    notify(texts.application.sent);
  });
  return (
    <div className="flex max-w-2xl flex-col gap-6">
      {partner.application && (
        <p className="rounded-xl bg-good-soft px-4 py-3 text-good">{texts.application.waiting(dayOf(partner.application.submittedAt))}</p>
      )}
      <Card title={texts.application.about}>
        <form className="flex flex-col gap-4 p-4" noValidate onSubmit={(event) => void send(event)}>
          <Faults of={others} />
          <Input
            label={texts.application.companyName}
            form={register("companyName")}
            fault={errors.companyName}
            autoComplete="organization"
          />
          <Input label={texts.profile.website} form={register("website")} fault={errors.website} type="url" autoComplete="url" />
          <Input
            label={texts.profile.country}
            hint={texts.profile.countryHint}
            form={register("country")}
            fault={errors.country}
            autoComplete="country"
          />
          <TextArea
            label={texts.application.salesPlan}
            hint={texts.application.salesPlanHint}
            form={register("salesPlan")}
            fault={errors.salesPlan}
            rows={5}
          />
          <Input label={texts.profile.taxId} form={register("taxId")} fault={errors.taxId} isOptional autoComplete="off" />
          <Input
            label={texts.profile.bankAccount}
            form={register("bankAccount")}
            fault={errors.bankAccount}
            isOptional
            autoComplete="off"
          />
          <Button kind="main" type="submit" className="self-start" isBusy={isRunning}>
            {partner.application ? texts.application.change : texts.application.send}
          </Button>
        </form>
      </Card>
    </div>
  );
}
