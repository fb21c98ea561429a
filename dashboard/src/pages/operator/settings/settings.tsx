import { useState } from "react";
import { useForm } from "react-hook-form";
import { showFaults, useChange } from "../../../api/change";
import { usePage } from "../../../api/page";
import { Button } from "../../../parts/button";
import { Card, Facts } from "../../../parts/card";
import { Failed, Loading } from "../../../parts/failed";
import { Faults, Input, WHOLE } from "../../../parts/field";
import { notify } from "../../../parts/notice";
import { PageTitle } from "../../../shell/title";
import { useMay } from "../../../shell/viewer";
import { texts } from "../../../texts";
import { SettingsDocument, type SettingsQuery, UpdateTenantSettingsDocument } from "./settings.generated";

type Tenant = SettingsQuery["me"]["tenant"];

export function SettingsPage() {
  const { data, error, isLoading, reload } = usePage(SettingsDocument, {});
  const tenant = data?.me.tenant;
  return (
    <>
      <PageTitle>{texts.settings.title}</PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : tenant ? (
        <div className="grid items-start gap-6 lg:grid-cols-2">
          <Card title={texts.settings.commissions}>
            <Terms key={`${tenant.commissionHoldDays} ${tenant.minimumPayout.amount}`} tenant={tenant} />
          </Card>
          <Card title={texts.settings.tenant}>
            <div className="p-4">
              <Facts
                of={[
                  [texts.settings.name, tenant.name],
                  [texts.settings.currency, tenant.defaultCurrency],
                  [texts.settings.timeZone, tenant.timeZone],
                ]}
              />
            </div>
          </Card>
        </div>
      ) : null}
    </>
  );
}

function Terms({ tenant }: { tenant: Tenant }) {
  const form = useForm({
    defaultValues: { commissionHoldDays: String(tenant.commissionHoldDays), minimumPayout: tenant.minimumPayout.amount },
  });
  const { run, isRunning } = useChange(UpdateTenantSettingsDocument);
  const [others, setOthers] = useState<string[]>([]);
  const mayChange = useMay("SETTINGS_MANAGE");
  const { errors } = form.formState;
  const send = form.handleSubmit(async ({ commissionHoldDays, minimumPayout }) => {
    setOthers([]);
    const outcome = await run({ input: { commissionHoldDays: Number(commissionHoldDays), minimumPayout } });
    if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
    notify(texts.form.saved);
  });
  return (
    <form className="p-4" noValidate onSubmit={(event) => void send(event)}>
      <fieldset className="flex flex-col gap-4" disabled={!mayChange}>
        <Faults of={others} />
        <Input
          label={texts.settings.holdDays}
          hint={texts.settings.holdHint}
          form={form.register("commissionHoldDays", WHOLE)}
          fault={errors.commissionHoldDays}
          inputMode="numeric"
        />
        <Input
          label={texts.settings.minimum(tenant.defaultCurrency)}
          form={form.register("minimumPayout")}
          fault={errors.minimumPayout}
          inputMode="decimal"
        />
        <Button kind="main" type="submit" className="self-start" isBusy={isRunning}>
          {texts.form.save}
        </Button>
      </fieldset>
    </form>
  );
}
