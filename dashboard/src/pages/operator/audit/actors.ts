import type { AuditActor } from "../../../api/schema.generated";

export const ACTORS: AuditActor[] = ["OPERATOR", "PARTNER", "SERVICE", "SIGN_IN", "COMMAND", "WEBHOOK"];
