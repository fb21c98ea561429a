import { useState } from "react";
import type { LeadStatus } from "../../api/schema.generated";
import { money } from "../../format/money";
import { moment } from "../../format/time";
import { Button } from "../../parts/button";
import { Badge, Facts } from "../../parts/card";
import { Detail } from "../../parts/failed";
import { TextArea } from "../../parts/field";
import { Sheet } from "../../parts/sheet";
import { Timeline } from "../../parts/timeline";
import { useMay } from "../../shell/viewer";
import { texts } from "../../texts";
import type { LeadsQuery } from "./leads.generated";
import { STATUS_TONES } from "./status";

type Lead = NonNullable<LeadsQuery["lead"]>;
type Step = (lead: Lead, status: LeadStatus, note?: string) => Promise<boolean>;

/** One lead beside the list: what is known of it, the next step, and what has happened. */
export function LeadSheet({ lead, onClose, onStep }: { lead: Lead | null | undefined; onClose(): void; onStep: Step }) {
  return (
    <Sheet title={lead?.clientName ?? texts.shell.loading} onClose={onClose}>
      <Detail of={lead}>{(lead) => <Contents lead={lead} onStep={onStep} />}</Detail>
    </Sheet>
  );
}

function Contents({ lead, onStep }: { lead: Lead; onStep: Step }) {
  const mayWrite = useMay("LEADS_WRITE");
  return (
    <>
      <p>
        <Badge tone={STATUS_TONES[lead.status]}>{texts.leads.statuses[lead.status]}</Badge>
      </p>
      <Facts
        of={[
          [texts.leads.service, lead.service],
          [
            texts.leads.email,
            <a key="email" className="text-accent underline" href={`mailto:${lead.clientEmail}`}>
              {lead.clientEmail}
            </a>,
          ],
          [texts.leads.phone, lead.clientPhone],
          [texts.leads.dealValue, lead.dealValue && money(lead.dealValue)],
          [texts.leads.commission, money(lead.commission)],
          [texts.leads.sent, moment(lead.createdAt)],
          [texts.leads.notes, lead.notes],
        ]}
      />
      {mayWrite && <Steps lead={lead} onStep={onStep} />}
      <Timeline
        title={texts.leads.history}
        events={lead.history.map(({ id, from, to, note, at, changedBy }) => ({
          id,
          at,
          note,
          by: changedBy?.name,
          what: from ? texts.leads.from(texts.leads.statuses[from], texts.leads.statuses[to]) : texts.leads.began,
        }))}
      />
    </>
  );
}

function Steps({ lead, onStep }: { lead: Lead; onStep: Step }) {
  const [note, setNote] = useState("");
  const [isRunning, setRunning] = useState(false);
  if (lead.nextStatuses.length === 0) return <p className="text-sm text-muted">{texts.leads.noSteps}</p>;
  const step = async (status: LeadStatus) => {
    setRunning(true);
    // What was typed stays where the step was refused.
    if (await onStep(lead, status, note)) setNote("");
    setRunning(false);
  };
  return (
    <section aria-label={texts.leads.step} className="flex flex-col gap-3 rounded-xl border border-line p-4">
      <TextArea label={texts.leads.note} isOptional value={note} onChange={(event) => setNote(event.target.value)} rows={2} />
      <div className="flex flex-wrap gap-2">
        {lead.nextStatuses.map((status) => (
          <Button key={status} kind={status === "LOST" ? "plain" : "main"} isBusy={isRunning} onClick={() => void step(status)}>
            {texts.leads.moveTo(texts.leads.statuses[status])}
          </Button>
        ))}
      </div>
    </section>
  );
}
