import { useState } from "react";
import type { Fault } from "../api/change";
import { texts } from "../texts";
import { Button } from "./button";
import { Faults, Input } from "./field";
import { Sheet } from "./sheet";

/** Asks for a reason or a reference before something is done. What was typed stays where the server refuses it. */
export function Reason({
  title,
  label = texts.reason.label,
  action,
  isRunning,
  onDone,
  onClose,
}: {
  title: string;
  label?: string;
  action: string;
  isRunning: boolean;
  onDone(reason: string): Promise<Fault[]>;
  onClose(): void;
}) {
  const [reason, setReason] = useState("");
  const [faults, setFaults] = useState<Fault[]>([]);
  return (
    <Sheet title={title} onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        noValidate
        onSubmit={async (event) => {
          event.preventDefault();
          setFaults(await onDone(reason.trim()));
        }}
      >
        <Faults of={faults.map(({ message }) => message)} />
        <Input label={label} value={reason} onChange={(event) => setReason(event.target.value)} autoComplete="off" />
        <div className="flex gap-3">
          <Button kind="main" type="submit" disabled={isRunning}>
            {action}
          </Button>
          <Button onClick={onClose}>{texts.form.cancel}</Button>
        </div>
      </form>
    </Sheet>
  );
}
