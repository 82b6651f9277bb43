/**
 * The folder that stores what is slow to build, and the locks that let several runs share it.
 *
 * @module
 */

/** `$XDG_CACHE_HOME/secure-sockets`, or `~/.cache/secure-sockets`. */
export function cacheFolder(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") ?? "/root"}/.cache`;
  return `${base}/secure-sockets`;
}

/** Whether a file or folder is there. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** How long Windows may take to release the files of a process that has ended. */
const PATIENCE_MS = 5000;
/** How long until something is tried once more. */
const AGAIN_MS = 100;

/** Removes a file or a tree, if it is there. */
export async function removeTree(path: string): Promise<void> {
  for (const endMs = Date.now() + PATIENCE_MS;;) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (Deno.build.os !== "windows" || Date.now() >= endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

/** A lock file held by this process; the system releases it when the process ends, however it ends. */
export interface Lock extends Disposable {
  /** Releases it. */
  release(): void;
}

/**
 * Locks `<name>.lock` in the cache folder.
 *
 * @param mode `shared` by those who use what it guards, `exclusive` by the one who builds or removes it.
 * @param waiting called once, where the lock is held by another process and this one has to wait.
 * @param signal gives up waiting; its reason is rethrown unchanged.
 */
export async function lock(
  name: string,
  mode: "shared" | "exclusive",
  waiting: () => void,
  signal: AbortSignal,
): Promise<Lock> {
  const file = await openLock(name);
  try {
    // Asked again and again: a lock that is waited for cannot be given up.
    for (let asked = 0; !await file.tryLock(mode === "exclusive"); asked++) {
      if (asked === 0) waiting();
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      signal.throwIfAborted();
    }
    return owned(file);
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Locks exclusively where no process has the lock; else returns `null` at once. */
export async function tryExclusive(name: string): Promise<Lock | null> {
  const file = await openLock(name);
  if (await file.tryLock(true)) return owned(file);
  file.close();
  return null;
}

/** Notes that what a lock guards is in use today. */
export async function markUsed(name: string): Promise<void> {
  await Deno.utime(`${cacheFolder()}/${name}.lock`, new Date(), new Date());
}

/** When {@linkcode markUsed} was last called, in milliseconds; 0 where it never was. */
export async function lastUsed(name: string): Promise<number> {
  const path = `${cacheFolder()}/${name}.lock`;
  return await exists(path) ? (await Deno.stat(path)).mtime?.getTime() ?? 0 : 0;
}

async function openLock(name: string): Promise<Deno.FsFile> {
  await Deno.mkdir(cacheFolder(), { recursive: true });
  return await Deno.open(`${cacheFolder()}/${name}.lock`, { create: true, read: true, write: true });
}

function owned(file: Deno.FsFile): Lock {
  let held = true;
  const release = () => {
    if (held) file.close();
    held = false;
  };
  return { release, [Symbol.dispose]: release };
}
