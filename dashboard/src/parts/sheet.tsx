import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { texts } from "../texts";
import { Button } from "./button";
import { Notices } from "./notice";

/** Something beside the page: the browser's own dialogue, which keeps the keyboard inside, and is left with Escape. */
export function Sheet({
  title,
  isKept = false,
  onClose,
  children,
}: {
  title: string;
  /** Whether something would be lost: it is asked for before the sheet is closed. */
  isKept?: boolean;
  onClose(): void;
  children: ReactNode;
}) {
  const close = () => {
    if (!isKept || confirm(texts.form.leave)) onClose();
  };
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
        close();
      }}
      // Pressed and released beside it: what is marked in a field may end there.
      onPointerDown={(event) => {
        isPressed.current = event.target === dialog.current;
      }}
      onClick={(event) => isPressed.current && event.target === dialog.current && close()}
    >
      <div className="flex min-h-full flex-col">
        <header className="sticky top-0 z-10 flex items-center justify-between gap-4 border-b border-line bg-raised px-5 py-3">
          <h2 id={id} className="min-w-0 truncate text-lg font-semibold">
            {title}
          </h2>
          <Button kind="quiet" onClick={close}>
            {texts.shell.close}
          </Button>
        </header>
        <div className="flex flex-col gap-6 p-5">{children}</div>
      </div>
      <Notices />
    </dialog>
  );
}
