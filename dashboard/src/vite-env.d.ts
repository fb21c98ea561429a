/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** Where the API is, if not at `/graphql` of the page's own origin. */
  readonly VITE_API_URL?: string;
  /** Clerk's application. Without it people sign in by the development tokens of the server. */
  readonly VITE_CLERK_PUBLISHABLE_KEY?: string;
}
