/**
 * Headless Chromium and Firefox, which sign on to `localhost` as the user of the process.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, mustRun, run } from "../../scripts/process.ts";

/** Debian packages with both. */
export const BROWSER_PACKAGES: readonly string[] = ["chromium", "firefox-esr"];

/** Why a browser cannot run here, as a sentence that says what to install; null where it can. */
export function browserUnavailable(name: "chromium" | "firefox-esr"): string | null {
  return findProgram(name) === null ? `the browser is needed: install ${name}` : null;
}

/** Loads a page in Chromium and resolves to its document, as HTML. */
export async function chromiumPage(url: string, env: Record<string, string>): Promise<string> {
  return await withProfile(async (profile) => {
    // Without it the first answer that asks for Negotiate fails, and the library is loaded for the next.
    const seen = { net: { received_http_auth_negotiate_headers: true } };
    writeFileSync(join(profile, "Local State"), JSON.stringify(seen));
    const { stdout } = await mustRun(findProgram("chromium")!, [
      ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
      ...["--disable-background-networking", "--disable-component-update", "--no-proxy-server"],
      ...[`--user-data-dir=${profile}`, "--auth-server-allowlist=localhost", "--dump-dom", url],
    ], { env: { ...env, HOME: profile, XDG_CONFIG_HOME: profile, TMPDIR: profile }, timeoutMs: 60_000 });
    return stdout;
  });
}

/** Loads a page in Firefox, and waits for the end of it; what it shows can be seen in `screenshot` only. */
export async function firefoxLoad(
  url: string,
  env: Record<string, string>,
  screenshot?: string,
): Promise<void> {
  await withProfile(async (profile) => {
    const preferences = {
      "network.negotiate-auth.trusted-uris": "localhost",
      "network.proxy.type": 0,
      "datareporting.policy.dataSubmissionEnabled": false,
      "browser.shell.checkDefaultBrowser": false,
    };
    const lines = Object.entries(preferences).map(([name, value]) =>
      `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`
    );
    writeFileSync(join(profile, "user.js"), lines.join("\n"));
    const image = screenshot ?? join(profile, "page.png");
    await run(findProgram("firefox-esr")!, [
      ...["--headless", "--no-remote", "--profile", profile],
      ...["--screenshot", image, "--window-size=760,260", url],
    ], { env: { ...env, HOME: profile, MOZ_HEADLESS: "1", TMPDIR: profile }, timeoutMs: 60_000 });
  });
}

/** Runs `body` with a folder that is removed after it. */
async function withProfile<T>(body: (profile: string) => Promise<T>): Promise<T> {
  // A short name: Chromium puts a socket below it.
  const profile = mkdtempSync(join(tmpdir(), "b-"));
  try {
    return await body(profile);
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
  }
}
