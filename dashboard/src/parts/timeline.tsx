import type { ReactNode } from "react";
import { moment } from "../format/time";
import { texts } from "../texts";

export interface TimelineEvent {
  id: string;
  at: string;
  what: ReactNode;
  note?: string | null;
  by?: string | null | undefined;
}

/** What has happened, the latest first. */
export function Timeline({ title, events }: { title: string; events: TimelineEvent[] }) {
  return (
    <section aria-label={title}>
      <h3 className="mb-3 font-semibold">{title}</h3>
      <ol className="flex flex-col gap-4 border-l-2 border-line pl-4">
        {[...events]
          .sort((one, other) => (one.at < other.at ? 1 : -1))
          .map(({ id, at, what, note, by }) => (
            <li key={id} className="text-sm">
              <p className="font-medium">{what}</p>
              <p className="text-muted">
                {moment(at)} {by && texts.leads.by(by)}
              </p>
              {note && <p className="mt-1 rounded-lg bg-hover px-3 py-2">{note}</p>}
            </li>
          ))}
      </ol>
    </section>
  );
}
