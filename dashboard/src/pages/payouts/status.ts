import type { PayoutStatus } from "../../api/schema.generated";
import type { Tone } from "../../parts/card";

export const STATUSES: PayoutStatus[] = ["PENDING", "READY", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"];

export const STATUS_TONES: Record<PayoutStatus, Tone> = {
  PENDING: "neutral",
  READY: "accent",
  PROCESSING: "warn",
  COMPLETED: "good",
  FAILED: "bad",
  CANCELLED: "neutral",
};
