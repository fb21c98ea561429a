import type { Interval, PeriodInput } from "../api/schema.generated";
import { monthsAgo } from "./time";

/** The periods that figures are shown of. */
export const PERIODS = ["month", "quarter", "year"] as const;
export type PeriodName = (typeof PERIODS)[number];

const MONTHS = { month: 0, quarter: 2, year: 11 };

/** A period as the API takes it: whole months up to the end of this one, and by what it is divided. */
export function periodOf(name: PeriodName, now = new Date()): { span: PeriodInput; interval: Interval } {
  const interval = name === "month" ? "DAY" : name === "quarter" ? "WEEK" : "MONTH";
  return { span: { from: monthsAgo(MONTHS[name], now), before: monthsAgo(-1, now) }, interval };
}
