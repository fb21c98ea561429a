import type { MemberImportOutcome, MemberStatus } from "../../api/schema.generated";
import type { Tone } from "../../parts/card";

export const STATUSES: MemberStatus[] = ["ACTIVE", "INVITED", "INACTIVE"];

export const STATUS_TONES: Record<MemberStatus, Tone> = { ACTIVE: "good", INVITED: "warn", INACTIVE: "neutral" };

export const OUTCOME_TONES: Record<MemberImportOutcome, Tone> = { IMPORTED: "good", UPDATED: "accent", SKIPPED: "neutral", FAILED: "bad" };
