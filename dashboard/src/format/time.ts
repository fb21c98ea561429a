const formats = new Map<string, Intl.DateTimeFormat>();

function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify(options);
  let known = formats.get(key);
  if (!known) {
    known = new Intl.DateTimeFormat(undefined, options);
    formats.set(key, known);
  }
  return known;
}

/** A calendar day, "2026-11-20", which is the same everywhere. */
export function day(date: string): string {
  return format({ dateStyle: "medium", timeZone: "UTC" }).format(new Date(`${date}T00:00:00Z`));
}

/** The month of a calendar day: "Nov 2026". */
export function month(date: string): string {
  return format({ month: "short", year: "numeric", timeZone: "UTC" }).format(new Date(`${date}T00:00:00Z`));
}

/** The month that begins at an instant, by the tenant's days. */
export function monthOf(instant: string): string {
  return format({ month: "short", year: "numeric", timeZone: tenantZone }).format(new Date(instant));
}

/** The day of an instant, where the visitor is. */
export function dayOf(instant: string): string {
  return format({ dateStyle: "medium" }).format(new Date(instant));
}

/** An instant, where the visitor is. */
export function moment(instant: string): string {
  return format({ dateStyle: "medium", timeStyle: "short" }).format(new Date(instant));
}

let tenantZone: string | undefined;

/** Says in which time zone the tenant's days begin: periods are shown by them. */
export function setTenantZone(zone: string) {
  tenantZone = zone;
}

/** A period of the tenant's days, whose end is exclusive: "Oct 1 – 31, 2026". */
export function range(start: string, end: string): string {
  return format({ dateStyle: "medium", timeZone: tenantZone }).formatRange(new Date(start), new Date(Date.parse(end) - 1));
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** How long ago an instant is: "3 days ago". */
export function ago(instant: string, now = Date.now()): string {
  const seconds = (Date.parse(instant) - now) / 1000;
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

/** The first day of a calendar month so many months before this one, where the visitor is: "2026-06-01". */
export function monthsAgo(months: number, now = new Date()): string {
  const first = new Date(Date.UTC(now.getFullYear(), now.getMonth() - months, 1));
  return first.toISOString().slice(0, 10);
}

/** The calendar day after today, where the visitor is. */
export function tomorrow(now = new Date()): string {
  return new Date(Date.UTC(now.getFullYear(), now.getMonth(), now.getDate() + 1)).toISOString().slice(0, 10);
}
