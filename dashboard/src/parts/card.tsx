import { type ReactNode, useId } from "react";

/** A part of a page with a heading. */
export function Card({
  title,
  action,
  children,
  className = "",
}: {
  title: string;
  action?: ReactNode;
  children: ReactNode;
  className?: string;
}) {
  const id = useId();
  return (
    <section aria-labelledby={id} className={`min-w-0 rounded-xl border border-line bg-surface ${className}`}>
      <header className="flex min-h-13 flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2">
        <h2 id={id} className="font-semibold">
          {title}
        </h2>
        {action}
      </header>
      {children}
    </section>
  );
}

/** One figure, and how it has changed. */
export function Figure({ label, value, note, tone }: { label: string; value: string; note?: ReactNode; tone?: "good" | "bad" }) {
  return (
    <div className="min-w-0 rounded-xl border border-line bg-surface p-4">
      <dt className="text-sm text-muted">{label}</dt>
      <dd className="mt-1 truncate text-xl font-semibold tabular-nums" title={value}>
        {value}
      </dd>
      {note && <dd className={`mt-1 text-sm ${tone === "good" ? "text-good" : tone === "bad" ? "text-bad" : "text-muted"}`}>{note}</dd>}
    </div>
  );
}

/** What is said where there is nothing, and the next step. */
export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-4 px-6 py-10 text-center text-muted">
      <p className="max-w-md text-balance">{children}</p>
      {action}
    </div>
  );
}

const TONES = {
  neutral: "bg-hover text-text",
  accent: "bg-accent-soft text-accent",
  good: "bg-good-soft text-good",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
};
export type Tone = keyof typeof TONES;

/** A status. */
export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return <span className={`inline-block rounded-full px-2.5 py-0.5 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}>{children}</span>;
}

/** Pairs of a name and what it is. */
export function Facts({ of }: { of: [name: string, value: ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-2 text-sm">
      {of
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value], index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two may have one name, and none has a state.
          <div key={index} className="contents">
            <dt className="text-muted">{name}</dt>
            <dd className="min-w-0 text-right break-words">{value}</dd>
          </div>
        ))}
    </dl>
  );
}
