import { useChange } from "../../../api/change";
import type { PayoutStatus } from "../../../api/schema.generated";
import {
  CancelPayoutDocument,
  CompletePayoutDocument,
  FailPayoutDocument,
  type ManagedPayoutFragment,
  ReleasePayoutDocument,
  RetryPayoutDocument,
  ReturnPayoutDocument,
  StartPayoutDocument,
} from "./payouts.generated";

/** What is done to a payout, in the words of the API. */
export type Step = "release" | "start" | "complete" | "fail" | "return" | "retry" | "cancel";

/** The steps that lead from where a payout is to where it may go. */
export function stepsOf({ status, nextStatuses }: Pick<ManagedPayoutFragment, "status" | "nextStatuses">): Step[] {
  const toward: Record<PayoutStatus, Step | null> = {
    PENDING: null,
    READY: status === "FAILED" ? "retry" : "release",
    PROCESSING: "start",
    COMPLETED: "complete",
    FAILED: status === "COMPLETED" ? "return" : "fail",
    CANCELLED: "cancel",
  };
  return nextStatuses.flatMap((next) => toward[next] ?? []);
}

/** Which steps ask for words: a reference, or why. */
export const WORDS: Partial<Record<Step, "reference" | "reason">> = {
  complete: "reference",
  fail: "reason",
  return: "reason",
  cancel: "reason",
};

/** Takes a payout a step further. */
export function useSteps() {
  const release = useChange(ReleasePayoutDocument);
  const start = useChange(StartPayoutDocument);
  const retry = useChange(RetryPayoutDocument);
  const complete = useChange(CompletePayoutDocument);
  const fail = useChange(FailPayoutDocument);
  const giveBack = useChange(ReturnPayoutDocument);
  const cancel = useChange(CancelPayoutDocument);
  const isRunning = [release, start, retry, complete, fail, giveBack, cancel].some((change) => change.isRunning);
  const run = (step: Step, id: string, words: string) => {
    switch (step) {
      case "release":
        return release.run({ id });
      case "start":
        return start.run({ id });
      case "retry":
        return retry.run({ id });
      case "complete":
        return complete.run({ id, reference: words });
      case "fail":
        return fail.run({ id, reason: words });
      case "return":
        return giveBack.run({ id, reason: words });
      case "cancel":
        return cancel.run({ id, reason: words || null });
    }
  };
  return { run, isRunning };
}
