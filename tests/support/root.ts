/** The folder of the sources: a bundled test file has the address of its bundle instead. */
export const ROOT: URL = new URL("../../", import.meta.url);
