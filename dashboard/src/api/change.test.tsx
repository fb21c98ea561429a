import { act, renderHook } from "@testing-library/react";
import { useForm } from "react-hook-form";
import { expect, it } from "vitest";
import { showFaults } from "./change";

it("the server's faults are shown at their fields, what belongs to none is given back, and what was typed stays", () => {
  const { result } = renderHook(() => {
    const form = useForm({ defaultValues: { clientEmail: "ada@", service: "Support" } });
    return { form, errors: form.formState.errors };
  });
  let others: string[] = [];
  act(() => {
    others = showFaults(result.current.form, [
      { field: ["input", "clientEmail"], message: "No address." },
      { field: ["input", "address", "city"], message: "No town." },
      { field: [], message: "The partner is closed." },
    ]);
  });
  expect(result.current.errors.clientEmail?.message).toBe("No address.");
  expect(others).toEqual(["No town.", "The partner is closed."]);
  expect(result.current.form.getValues()).toEqual({ clientEmail: "ada@", service: "Support" });
});
