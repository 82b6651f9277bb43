/**
 * Where things stand inside the rig, as Linux and as Windows name them.
 *
 * @module
 */

/** The rig's own folder inside its system: runtimes, koffi, the manifest. */
export const RIG = "/opt/rig";

/** Wine's loader. */
export const WINE = "/usr/lib/wine/wine64";

/** The Wine prefix. */
export const PREFIX = "/opt/prefix";

/** Drive C: of the prefix. */
export const DRIVE_C = `${PREFIX}/drive_c`;

/** Windows' own folder of system libraries, as Linux names it. */
export const SYSTEM32 = `${DRIVE_C}/windows/system32`;

/** Where the repository is seen inside, read-only. */
export const REPOSITORY = `${DRIVE_C}/secure-sockets`;

/** The run's own files: what `stage.ts` prepared, what was compiled, and the output of each process. */
export const RUN = `${RIG}/run`;

/** A path inside the rig as Windows names it: below C: where it stands on that drive, else below Z:. */
export function windowsPath(path: string): string {
  const [drive, rest] = path.startsWith(`${DRIVE_C}/`) ? ["C:", path.slice(DRIVE_C.length)] : ["Z:", path];
  return drive + rest.replaceAll("/", "\\");
}

/** {@linkcode windowsPath} as a `file:` URL. */
export function windowsUrl(path: string): string {
  return `file:///${windowsPath(path).replaceAll("\\", "/")}`;
}

/** The environment every Wine process gets. */
export function wineEnvironment(): { [name: string]: string } {
  return {
    WINEPREFIX: PREFIX,
    WINEARCH: "win64",
    WINEDEBUG: "-all",
    DISPLAY: "",
    XDG_RUNTIME_DIR: "/run",
    HOME: "/root",
    NO_COLOR: "1",
    // Five hours ahead of UTC, in a form that Node reads as UTC: the system's time zone is not always the runtime's.
    TZ: "RIG-5",
    DENO_NO_UPDATE_CHECK: "1",
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  };
}
