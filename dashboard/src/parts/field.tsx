import { type ComponentProps, type ReactNode, useEffect, useId, useState } from "react";
import type { FieldError, UseFormRegisterReturn } from "react-hook-form";
import { texts } from "../texts";

const INPUT = "w-full rounded-lg border border-field bg-surface px-3 text-base sm:text-sm aria-invalid:border-bad";

/** What is a number for the API is one before it is sent. */
export const WHOLE_OR_NONE = { pattern: { value: /^\d{0,9}$/, message: texts.form.whole } };
export const WHOLE = { ...WHOLE_OR_NONE, required: texts.form.whole };

interface Labelled {
  label: string;
  hint?: string;
  fault?: FieldError | undefined;
  isOptional?: boolean;
}

function Field({ label, hint, fault, isOptional, children }: Labelled & { children(attributes: Record<string, unknown>): ReactNode }) {
  const id = useId();
  const described = [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(" ") || undefined;
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-sm font-medium">
        {label} {isOptional && <span className="font-normal text-muted">({texts.form.optional})</span>}
      </label>
      {children({ id, "aria-invalid": fault ? true : undefined, "aria-describedby": described })}
      {hint && (
        <p id={`${id}-hint`} className="text-sm text-muted">
          {hint}
        </p>
      )}
      {fault && (
        <p id={`${id}-fault`} role="alert" className="text-sm text-bad">
          {fault.message}
        </p>
      )}
    </div>
  );
}

type Of<Tag extends "input" | "textarea" | "select"> = Labelled & Omit<ComponentProps<Tag>, "form"> & { form?: UseFormRegisterReturn };

export function Input({ label, hint, fault, isOptional, form, className = "", ...rest }: Of<"input">) {
  return (
    <Field label={label} hint={hint} fault={fault} isOptional={isOptional}>
      {(attributes) => <input className={`h-10 sm:h-9 ${INPUT} ${className}`} {...attributes} {...form} {...rest} />}
    </Field>
  );
}

export function TextArea({ label, hint, fault, isOptional, form, ...rest }: Of<"textarea">) {
  return (
    <Field label={label} hint={hint} fault={fault} isOptional={isOptional}>
      {(attributes) => <textarea rows={3} className={`py-2 ${INPUT}`} {...attributes} {...form} {...rest} />}
    </Field>
  );
}

export function Select({ label, hint, fault, isOptional, form, children, ...rest }: Of<"select">) {
  return (
    <Field label={label} hint={hint} fault={fault} isOptional={isOptional}>
      {(attributes) => (
        <select className={`h-10 sm:h-9 ${INPUT}`} {...attributes} {...form} {...rest}>
          {children}
        </select>
      )}
    </Field>
  );
}

/** A filter in a row above a list: its name is in front of it. */
export function Choice<Value extends string>({
  label,
  value,
  of,
  onChange,
}: {
  label: string;
  value: Value;
  of: [Value, string][];
  onChange(value: Value): void;
}) {
  const id = useId();
  return (
    <span className="inline-flex items-center gap-2 text-sm">
      <label htmlFor={id} className="text-muted">
        {label}
      </label>
      <select
        id={id}
        className="h-9 rounded-lg border border-field bg-surface px-2"
        value={value}
        onChange={(event) => onChange(event.target.value as Value)}
      >
        {of.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </span>
  );
}

/** Faults that belong to no field. */
export function Faults({ of }: { of: string[] }) {
  if (of.length === 0) return null;
  return (
    <div role="alert" className="rounded-lg bg-bad-soft px-3 py-2 text-sm text-bad">
      <p className="font-medium">{texts.faults.form}</p>
      {of.map((message) => (
        <p key={message}>{message}</p>
      ))}
    </div>
  );
}

/** A day that takes effect once it has been entered whole. */
export function Day({ label, value, onChange }: { label: string; value: string; onChange(value: string): void }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const commit = () => (typed ? typed !== value && onChange(typed) : setTyped(value));
  return <Input label={label} type="date" value={typed} onChange={(event) => setTyped(event.target.value)} onBlur={commit} />;
}
