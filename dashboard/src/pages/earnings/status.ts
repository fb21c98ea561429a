import type { CommissionStatus, EarningsGroup } from "../../api/schema.generated";
import type { Tone } from "../../parts/card";

export const STATUSES: CommissionStatus[] = ["PENDING", "APPROVED", "PAID", "REJECTED"];
export const GROUPS: EarningsGroup[] = ["LINK", "PROGRAMME", "CUSTOMER", "EVENT_TYPE"];

export const STATUS_TONES: Record<CommissionStatus, Tone> = { PENDING: "warn", APPROVED: "accent", PAID: "good", REJECTED: "bad" };
