import { createContext, useContext, useMemo, useState } from "react";
import type { Permission } from "../api/schema.generated";
import { setTenantZone } from "../format/time";
import type { ViewerFragment } from "./viewer.generated";

type Held = [ViewerFragment | null, (viewer: ViewerFragment) => void];

/** Who looks, as the last page's answer says: each page asks for it along with its own. */
export const ViewerContext = createContext<Held>([null, () => {}]);

export function useViewerState(): Held {
  const [viewer, setViewer] = useState<ViewerFragment | null>(null);
  if (viewer) setTenantZone(viewer.tenant.timeZone);
  return useMemo(() => [viewer, setViewer], [viewer]);
}

export function useViewer(): Held {
  return useContext(ViewerContext);
}

/** Whether the viewer may do something. */
export function useMay(permission: Permission): boolean {
  const [viewer] = useViewer();
  return viewer?.permissions.includes(permission) ?? false;
}
