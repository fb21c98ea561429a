import type { Interval, PeriodInput } from "../api/schema.generated";
import { monthsAgo, tomorrow } from "./time";

/** The periods that figures are shown of. */
export const PERIODS = ["month", "quarter", "year"] as const;
export type PeriodName = (typeof PERIODS)[number];

const MONTHS = { month: 0, quarter: 2, year: 11 };

/** A period as the API takes it: from the beginning of a month up to today, so that it is compared with as many days, and by what it is divided. */
export function periodOf(name: PeriodName, now = new Date()): { span: PeriodInput; interval: Interval } {
  const interval = name === "month" ? "DAY" : name === "quarter" ? "WEEK" : "MONTH";
  return { span: { from: monthsAgo(MONTHS[name], now), before: tomorrow(now) }, interval };
}
