import { type DragEvent, useState } from "react";
import type { LeadStatus } from "../../api/schema.generated";
import { count, money } from "../../format/money";
import { ago } from "../../format/time";
import { More } from "../../parts/more";
import { texts } from "../../texts";
import type { LeadRowFragment } from "./leads.generated";
import { STATUSES } from "./status";

interface Moves {
  onOpen(lead: LeadRowFragment): void;
  onStep(lead: LeadRowFragment, status: LeadStatus): Promise<unknown>;
  mayStep: boolean;
}

/** The pipeline: a column for each status. A card is dragged to another column, or opened, where its steps are. */
export function Board({
  leads,
  counts,
  onMore,
  ...moves
}: { leads: LeadRowFragment[]; counts: Map<LeadStatus, number>; onMore: (() => void) | undefined } & Moves) {
  const [dragged, setDragged] = useState<LeadRowFragment | null>(null);
  return (
    <>
      {moves.mayStep && <p className="mb-3 text-sm text-muted">{texts.leads.boardHint}</p>}
      <div className="grid auto-cols-[minmax(15rem,1fr)] grid-flow-col gap-3 overflow-x-auto pb-2">
        {STATUSES.map((status) => (
          <Column
            key={status}
            status={status}
            leads={leads.filter((lead) => lead.status === status)}
            total={counts.get(status) ?? 0}
            dragged={dragged}
            onDrag={setDragged}
            {...moves}
          />
        ))}
      </div>
      {onMore && (
        <div className="pt-2 text-center">
          <More key={leads.length} onMore={onMore} />
        </div>
      )}
    </>
  );
}

function Column({
  status,
  leads,
  total,
  dragged,
  onDrag,
  ...moves
}: {
  status: LeadStatus;
  leads: LeadRowFragment[];
  total: number;
  dragged: LeadRowFragment | null;
  onDrag(lead: LeadRowFragment | null): void;
} & Moves) {
  const takes = dragged?.nextStatuses.includes(status) ?? false;
  const allow = (event: DragEvent) => takes && event.preventDefault();
  const drop = (event: DragEvent) => {
    event.preventDefault();
    if (dragged && takes) void moves.onStep(dragged, status);
    onDrag(null);
  };
  return (
    <section
      aria-label={texts.leads.statuses[status]}
      className={`rounded-xl border p-2 ${takes ? "border-accent bg-accent-soft" : "border-line bg-hover"}`}
      onDragOver={allow}
      onDrop={drop}
    >
      <h2 className="flex justify-between px-2 py-1 text-sm font-semibold">
        {texts.leads.statuses[status]} <span className="font-normal text-muted">{count(total)}</span>
      </h2>
      <ul className="flex min-h-24 flex-col gap-2 pt-1">
        {leads.map((lead) => (
          <li
            key={lead.id}
            draggable={moves.mayStep && lead.nextStatuses.length > 0}
            onDragStart={() => onDrag(lead)}
            onDragEnd={() => onDrag(null)}
            className="rounded-lg border border-line bg-surface p-3 text-sm"
          >
            <button type="button" className="block w-full cursor-pointer truncate text-left font-medium" onClick={() => moves.onOpen(lead)}>
              {lead.clientName}
            </button>
            <p className="truncate text-muted">
              {lead.dealValue ? money(lead.dealValue) : lead.service} · {ago(lead.createdAt)}
            </p>
          </li>
        ))}
        {leads.length === 0 && <li className="p-2 text-center text-sm text-muted">{texts.leads.columnEmpty}</li>}
      </ul>
    </section>
  );
}
