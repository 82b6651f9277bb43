/** Where the sources lie: a test file itself has the address of its bundle where one was made of it. */
export const ROOT: URL = new URL("../../", import.meta.url);
