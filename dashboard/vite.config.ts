import { createReadStream, createWriteStream, readdirSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { constants, createBrotliCompress, createGzip } from "node:zlib";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const SERVER = process.env.PORTAL_URL ?? "http://127.0.0.1:8080";
const COMPRESSED = /\.(js|css|html|svg|json)$/;

/** The built files once more, compressed as far as it goes: the server sends them as they are. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    async closeBundle() {
      const files = readdirSync("dist", { recursive: true, encoding: "utf8" }).filter((file) => COMPRESSED.test(file));
      for (const file of files.map((file) => `dist/${file}`)) {
        const brotli = createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
        await pipeline(createReadStream(file), brotli, createWriteStream(`${file}.br`));
        await pipeline(createReadStream(file), createGzip({ level: 9 }), createWriteStream(`${file}.gz`));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), tailwindcss(), compressed()],
  build: { target: "es2023", modulePreload: { polyfill: false } },
  server: {
    proxy: Object.fromEntries(
      ["/graphql", "/development", "/exports", "/l/", "/i/"].map((path) => [
        path,
        { target: SERVER, changeOrigin: true, ws: path === "/graphql" },
      ]),
    ),
  },
});
