import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { texts } from "../texts";
import { Button } from "./button";

/** Something beside the page: the browser's own dialogue, which keeps the keyboard inside, and is left with Escape. */
export function Sheet({ title, onClose, children }: { title: string; onClose(): void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const isPressed = useRef(false);
  // Before it leaves the page: the browser then gives the focus back.
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape and the button close it for the keyboard.
    <dialog
      ref={dialog}
      aria-labelledby={id}
      className="sheet m-0 ml-auto h-dvh max-h-none w-full max-w-lg border-l border-line bg-raised p-0 text-text shadow-xl"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      // Pressed and released beside it: what is marked in a field may end there.
      onPointerDown={(event) => {
        isPressed.current = event.target === dialog.current;
      }}
      onClick={(event) => isPressed.current && event.target === dialog.current && onClose()}
    >
      <div className="flex min-h-full flex-col">
        <header className="sticky top-0 z-10 flex items-center justify-between gap-4 border-b border-line bg-raised px-5 py-3">
          <h2 id={id} className="min-w-0 truncate text-lg font-semibold">
            {title}
          </h2>
          <Button kind="quiet" onClick={onClose}>
            {texts.shell.close}
          </Button>
        </header>
        <div className="flex flex-col gap-6 p-5">{children}</div>
      </div>
    </dialog>
  );
}
