import type { LinkOrderField } from "../../api/schema.generated";

export const ORDERS: LinkOrderField[] = ["CREATED_AT", "CLICKS", "SIGN_UPS", "SALES", "EARNINGS"];
