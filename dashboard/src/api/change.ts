import type { TypedDocumentNode } from "@urql/core";
import { useCallback, useRef } from "react";
import type { FieldValues, Path, UseFormReturn } from "react-hook-form";
import { type AnyVariables, useMutation } from "urql";
import { texts } from "../texts";

/** Why the server did not do something: which input, and what to do about it. */
export interface Fault {
  field: string[];
  message: string;
}

interface Payload {
  userErrors: Fault[];
}

/** What came of a change: what it answered, or why it was not made. */
export type Outcome<Data> = { done: true; data: Data } | { done: false; faults: Fault[] };

/** A mutation: `run` sends it, and `isRunning` says that it is under way. */
export function useChange<Data, Variables extends AnyVariables>(document: TypedDocumentNode<Data, Variables>) {
  const [{ fetching }, execute] = useMutation(document);
  const run = useCallback(
    async (variables: Variables): Promise<Outcome<Data>> => {
      const { data, error } = await execute(variables);
      const payload = data && (Object.values(data as object).find((value) => value && typeof value === "object") as Payload | undefined);
      if (payload && payload.userErrors.length > 0) return { done: false, faults: payload.userErrors };
      if (payload && !error) return { done: true, data };
      const fault = error?.graphQLErrors[0];
      const field = Array.isArray(fault?.extensions.field) ? fault.extensions.field.map(String) : [];
      return { done: false, faults: [{ field, message: fault?.message ?? texts.faults.away }] };
    },
    [execute],
  );
  return { run, isRunning: fetching };
}

/**
 * The key under which an input is sent once, however often its answer is lost: it stays the same while the input does, and is another one for another
 * input, and after `renew`.
 */
export function useKey(): [keyOf: (input: unknown) => string, renew: () => void] {
  const kept = useRef({ input: "", key: "" });
  const keyOf = useCallback((input: unknown) => {
    const text = JSON.stringify(input);
    if (kept.current.input !== text || !kept.current.key) kept.current = { input: text, key: crypto.randomUUID() };
    return kept.current.key;
  }, []);
  const renew = useCallback(() => {
    kept.current = { input: "", key: "" };
  }, []);
  return [keyOf, renew];
}

/** What is said of a change that was not made. */
export function faultOf(outcome: Outcome<unknown>): string | undefined {
  return outcome.done ? undefined : (outcome.faults[0]?.message ?? texts.faults.away);
}

/** Shows the server's faults at a form's fields; what belongs to none is given back. What was typed stays. */
export function showFaults<Values extends FieldValues>(form: UseFormReturn<Values>, faults: Fault[]): string[] {
  const fields = Object.keys(form.getValues());
  const others: string[] = [];
  for (const { field, message } of faults) {
    const name = field.find((part) => fields.includes(part));
    if (name) form.setError(name as Path<Values>, { type: "server", message }, { shouldFocus: true });
    else others.push(message);
  }
  return others;
}
