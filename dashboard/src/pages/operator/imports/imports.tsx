import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { faultOf, showFaults, useChange, useKey } from "../../../api/change";
import { detail, usePage } from "../../../api/page";
import type { DataImportStatus, DataSource } from "../../../api/schema.generated";
import { count } from "../../../format/money";
import { moment } from "../../../format/time";
import { Button } from "../../../parts/button";
import { Badge, Card, Empty, Facts, type Tone } from "../../../parts/card";
import { Detail, Failed, Loading } from "../../../parts/failed";
import { Faults, Input, Select } from "../../../parts/field";
import { notify } from "../../../parts/notice";
import { Sheet } from "../../../parts/sheet";
import { type Column, Table } from "../../../parts/table";
import { PageTitle } from "../../../shell/title";
import { texts } from "../../../texts";
import {
  CancelDataImportDocument,
  ImportDataDocument,
  type ImportRowFragment,
  ImportsDocument,
  type ImportsQuery,
} from "./imports.generated";

const SOURCES: DataSource[] = ["DUB", "REWARDFUL", "TOLT", "PARTNERSTACK", "FIRSTPROMOTER", "TAPFILIATE", "LEGACY"];
const TONES: Record<DataImportStatus, Tone> = {
  WAITING: "neutral",
  RUNNING: "warn",
  COMPLETED: "good",
  FAILED: "bad",
  CANCELLED: "neutral",
};

const COLUMNS: Column<ImportRowFragment>[] = [
  { name: texts.imports.source, cell: ({ source }) => texts.imports.sources[source] },
  { name: texts.imports.started, cell: ({ createdAt }) => moment(createdAt), isExtra: true },
  { name: texts.imports.rows, cell: ({ rowsDone, rowsTotal }) => texts.imports.progress(rowsDone, rowsTotal), isNumber: true },
  {
    name: texts.imports.status,
    cell: ({ status, isDryRun }) => (
      <>
        <Badge tone={TONES[status]}>{texts.imports.statuses[status]}</Badge>{" "}
        {isDryRun && <Badge tone="neutral">{texts.imports.dryRun}</Badge>}
      </>
    ),
  },
];

export function ImportsPage() {
  const search = useSearch({ from: "/operator/imports" });
  const navigate = useNavigate({ from: "/operator/imports" });
  const [isNew, setNew] = useState(false);
  const open = (id?: string) => void navigate({ search: { import: id } });
  const { data, error, isLoading, isReading, reload } = usePage(
    ImportsDocument,
    { import: search.import ?? "", withImport: search.import !== undefined },
    ["DATA_IMPORT"],
  );
  const imports = data?.dataImports?.nodes;
  const begin = (
    <Button kind="main" onClick={() => setNew(true)}>
      {texts.imports.new}
    </Button>
  );
  return (
    <>
      <PageTitle action={begin}>{texts.imports.title}</PageTitle>
      {error && <Failed error={error} onAgain={reload} />}
      {isLoading ? (
        <Loading />
      ) : imports ? (
        <Card title={texts.imports.title}>
          {imports.length === 0 ? (
            <Empty action={begin}>{texts.imports.empty}</Empty>
          ) : (
            <Table label={texts.imports.title} rows={imports} columns={COLUMNS} onOpen={({ id }) => open(id)} />
          )}
        </Card>
      ) : null}
      {search.import && data && <Report of={detail(isReading, search.import, data.dataImport)} onClose={() => open()} onDone={reload} />}
      {isNew && (
        <NewImport
          onClose={() => setNew(false)}
          onBegun={(id) => {
            setNew(false);
            open(id);
          }}
        />
      )}
    </>
  );
}

type Import = NonNullable<ImportsQuery["dataImport"]>;

/** One import beside the list: how far it is, whether its totals agree with the source, and every row that did not fit. */
function Report({ of, onClose, onDone }: { of: Import | null | undefined; onClose(): void; onDone(): void }) {
  const cancel = useChange(CancelDataImportDocument);
  if (!of) {
    return (
      <Sheet title={texts.imports.report} onClose={onClose}>
        <Detail of={of}>{() => null}</Detail>
      </Sheet>
    );
  }
  const { outcome, findings, status } = of;
  return (
    <Sheet title={`${texts.imports.report}: ${texts.imports.sources[of.source]}`} onClose={onClose}>
      <div className="flex items-center justify-between gap-3">
        <Badge tone={TONES[status]}>{texts.imports.statuses[status]}</Badge>
        <span className="text-sm text-muted">{of.step ?? texts.imports.progress(of.rowsDone, of.rowsTotal)}</span>
        {(status === "WAITING" || status === "RUNNING") && (
          <Button
            kind="bad"
            isBusy={cancel.isRunning}
            onClick={async () => {
              const outcome = await cancel.run({ id: of.id });
              if (!outcome.done) notify(faultOf(outcome) ?? "");
              onDone();
            }}
          >
            {texts.imports.cancel}
          </Button>
        )}
      </div>
      {of.failure && <p className="rounded-lg bg-bad-soft px-3 py-2 text-sm text-bad">{of.failure}</p>}
      {outcome && (
        <>
          <p className={`rounded-lg px-3 py-2 text-sm ${outcome.isProved ? "bg-good-soft text-good" : "bg-warn-soft text-warn"}`}>
            {outcome.isProved ? texts.imports.proved : texts.imports.notProved} {outcome.isAnythingLeft && texts.imports.left}
          </p>
          <Facts of={outcome.counts.map(({ kind, imported, total }) => [kind, texts.imports.progress(imported, total)])} />
        </>
      )}
      <section aria-label={texts.imports.findings}>
        <h3 className="mb-2 font-semibold">
          {texts.imports.findings} <span className="font-normal text-muted">({count(findings?.totalCount ?? 0)})</span>
        </h3>
        <ul className="flex flex-col gap-2 text-sm">
          {findings?.nodes.map((finding) => (
            <li key={finding.id} className={`rounded-lg px-3 py-2 ${finding.isLeft ? "bg-bad-soft text-bad" : "bg-hover"}`}>
              <p className="font-medium">
                {[finding.file, finding.line && `${texts.imports.line} ${finding.line}`, finding.field].filter(Boolean).join(" · ")}
              </p>
              <p>{finding.message}</p>
            </li>
          ))}
        </ul>
      </section>
    </Sheet>
  );
}

/** Begins an import, as a trial first. */
function NewImport({ onClose, onBegun }: { onClose(): void; onBegun(id: string): void }) {
  const form = useForm({ defaultValues: { source: "DUB" as DataSource } });
  const [files, setFiles] = useState<File[]>([]);
  const [keyOf, renew] = useKey();
  const { run, isRunning } = useChange(ImportDataDocument);
  const [others, setOthers] = useState<string[]>([]);
  const { errors } = form.formState;
  const send = (dryRun: boolean) =>
    form.handleSubmit(async ({ source }) => {
      setOthers([]);
      const idempotencyKey = keyOf([source, dryRun, files.map(({ name, size, lastModified }) => [name, size, lastModified])]);
      const input = { source, dryRun, idempotencyKey, files: files.map((file) => ({ name: file.name, file })) };
      const outcome = await run({ input });
      if (!outcome.done) return setOthers(showFaults(form, outcome.faults));
      renew();
      notify(texts.imports.begun);
      const id = outcome.data.importData?.import?.id;
      if (id) onBegun(id);
    });
  return (
    <Sheet title={texts.imports.new} onClose={onClose}>
      <form className="flex flex-col gap-4" noValidate onSubmit={(event) => void send(true)(event)}>
        <Faults of={others} />
        <Select label={texts.imports.source} form={form.register("source")} fault={errors.source}>
          {SOURCES.map((source) => (
            <option key={source} value={source}>
              {texts.imports.sources[source]}
            </option>
          ))}
        </Select>
        <Input
          label={texts.imports.files}
          hint={texts.imports.filesHint}
          type="file"
          multiple
          className="py-1.5"
          onChange={(event) => setFiles([...(event.target.files ?? [])])}
        />
        <div className="flex gap-3">
          <Button kind="main" type="submit" isBusy={isRunning}>
            {texts.imports.dry}
          </Button>
          <Button isBusy={isRunning} onClick={(event) => void send(false)(event)}>
            {texts.imports.real}
          </Button>
        </div>
      </form>
    </Sheet>
  );
}
