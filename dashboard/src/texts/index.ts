/** The texts of all pages. Another language is another file like it. */
export { en as texts } from "./en";
