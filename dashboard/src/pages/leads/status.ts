import type { LeadStatus } from "../../api/schema.generated";
import type { Tone } from "../../parts/card";

/** The statuses in the order of the pipeline. */
export const STATUSES: LeadStatus[] = ["PENDING", "CONTACTED", "QUALIFIED", "CONVERTED", "LOST"];

export const STATUS_TONES: Record<LeadStatus, Tone> = {
  PENDING: "warn",
  CONTACTED: "accent",
  QUALIFIED: "accent",
  CONVERTED: "good",
  LOST: "neutral",
};
