import "./styles.css";
import { RouterProvider } from "@tanstack/react-router";
import { createRoot } from "react-dom/client";
import { PortalProvider } from "./api/portal";
import { loadSignIn } from "./auth/session";
import { router } from "./router";
import { applyTheme } from "./shell/theme";

/** So long after the first page the code of the others is fetched, in milliseconds: then they open also while the server is away. */
const AHEAD = 4_000;

applyTheme();
const root = document.getElementById("root");
if (!root) throw new Error("the page has no root");
const SignIn = await loadSignIn();
createRoot(root).render(
  <SignIn>
    {(session) => (
      <PortalProvider session={session}>
        <RouterProvider router={router} />
      </PortalProvider>
    )}
  </SignIn>,
);

setTimeout(() => {
  for (const route of Object.values(router.routesById)) void router.loadRouteChunk(route)?.catch(() => {});
}, AHEAD);
