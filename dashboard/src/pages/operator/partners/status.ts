import type { PartnerStatus } from "../../../api/schema.generated";

export const STATUSES: PartnerStatus[] = ["ACTIVE", "PENDING", "SUSPENDED", "CLOSED"];
