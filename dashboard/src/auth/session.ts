import type { ComponentType, ReactNode } from "react";

/** Who is signed in. The pages know nothing else of the sign-in: Clerk's and the one for development are two implementations. */
export interface Session {
  /** Whether the token is one of the tenant's staff. It decides which pages are shown; what may be done the server decides. */
  isOperator: boolean;
  /** A token for the next request. `refused` is one that the server did not take. */
  getToken(refused?: string): Promise<string>;
  /** Ends it. */
  signOut(): Promise<void>;
  /** Whom else the visitor may be (in development). */
  others?: { label: string; isCurrent: boolean; become(): void }[];
}

/** Shows how to sign in until somebody has, and then what is inside. */
export type SignIn = ComponentType<{ children: (session: Session) => ReactNode }>;

/** The sign-in that the build was made for. */
export async function loadSignIn(): Promise<SignIn> {
  const { SignIn } = import.meta.env.VITE_CLERK_PUBLISHABLE_KEY ? await import("./clerk") : await import("./development");
  return SignIn;
}

/** Whether a token says that its bearer is staff: `metadata.role` (docs/access.md). */
export function isOperator(token: string): boolean {
  return claims(token).metadata?.role === "operator";
}

/** When a token ends, in milliseconds since 1970. */
export function endOf(token: string): number {
  return (claims(token).exp ?? 0) * 1000;
}

function claims(token: string): { exp?: number; metadata?: { role?: string } } {
  try {
    const part = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (character) => character.charCodeAt(0))));
  } catch {
    return {};
  }
}
