import { useState } from "react";
import { type Fault, useChange, useKey } from "../../api/change";
import { count } from "../../format/money";
import { Button } from "../../parts/button";
import { Badge, Facts } from "../../parts/card";
import { Faults, Input } from "../../parts/field";
import { notify } from "../../parts/notice";
import { Sheet } from "../../parts/sheet";
import { texts } from "../../texts";
import { ImportMembersDocument, type ImportMembersMutation } from "./credits.generated";
import { OUTCOME_TONES } from "./status";

type Report = NonNullable<NonNullable<ImportMembersMutation["importMembers"]>["import"]>;

/** A file of members: first tried out, with what would become of each row, then brought in. */
export function ImportMembers({ onClose, onDone }: { onClose(): void; onDone(): void }) {
  const [file, setFile] = useState<File | null>(null);
  const [report, setReport] = useState<Report | null>(null);
  const [faults, setFaults] = useState<Fault[]>([]);
  const [keyOf, renew] = useKey();
  const { run, isRunning } = useChange(ImportMembersDocument);
  const send = async (dryRun: boolean) => {
    if (!file) return setFaults([{ field: [], message: texts.credits.noFile }]);
    const outcome = await run({
      input: { file, dryRun, idempotencyKey: dryRun ? null : keyOf([file.name, file.size, file.lastModified]) },
    });
    setFaults(outcome.done ? [] : outcome.faults);
    if (!outcome.done) return setReport(null);
    const found = outcome.data.importMembers?.import ?? null;
    setReport(found);
    if (dryRun || !found) return;
    renew();
    notify(texts.credits.importedNow(found.imported + found.updated));
    onDone();
  };
  return (
    <Sheet title={texts.credits.import} onClose={onClose}>
      <p className="text-sm text-muted">{texts.credits.importAbout}</p>
      <Faults of={faults.map(({ message }) => message)} />
      <Input
        label={texts.credits.file}
        type="file"
        accept=".csv,text/csv"
        className="py-1.5"
        onChange={(event) => {
          setFile(event.target.files?.[0] ?? null);
          setReport(null);
        }}
      />
      <div className="flex gap-3">
        <Button kind={report?.dryRun ? "plain" : "main"} isBusy={isRunning} onClick={() => void send(true)}>
          {texts.credits.tryOut}
        </Button>
        {report?.dryRun && report.imported + report.updated > 0 && (
          <Button kind="main" isBusy={isRunning} onClick={() => void send(false)}>
            {texts.credits.bringIn}
          </Button>
        )}
      </div>
      {report && <Rows report={report} />}
    </Sheet>
  );
}

function Rows({ report }: { report: Report }) {
  return (
    <section aria-label={texts.credits.result} className="flex flex-col gap-4">
      <h3 className="font-semibold">{report.dryRun ? texts.credits.wouldBe : texts.credits.result}</h3>
      <Facts
        of={[
          [texts.credits.outcomes.IMPORTED, count(report.imported)],
          [texts.credits.outcomes.UPDATED, count(report.updated)],
          [texts.credits.outcomes.SKIPPED, count(report.skipped)],
          [texts.credits.outcomes.FAILED, count(report.failed)],
          [texts.credits.assigned, count(report.creditsAssigned)],
          [texts.credits.ignored, report.ignoredColumns.join(", ")],
        ]}
      />
      <table className="w-full text-sm">
        <thead>
          <tr className="border-b border-line text-left text-muted">
            <th scope="col" className="py-2 font-medium">
              {texts.credits.row}
            </th>
            <th scope="col" className="py-2 font-medium">
              {texts.credits.result}
            </th>
          </tr>
        </thead>
        <tbody>
          {report.rows.map(({ row, outcome, message, member, cell }) => (
            <tr key={row} className="border-b border-line align-top last:border-0">
              <td className="py-2 pr-3 tabular-nums">{count(row)}</td>
              <td className="py-2">
                <Badge tone={OUTCOME_TONES[outcome]}>{texts.credits.outcomes[outcome]}</Badge> {member?.email ?? cell?.value}
                {message && <p className="text-bad">{message}</p>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
