/**
 * Walks folders.
 *
 * @module
 */

/**
 * Every file under the folder `root`, as paths from it, sorted. What begins with a dot is left out, as are installed
 * packages and folders for which `enter` returns false; they are named with a slash at the end.
 */
export async function listFiles(
  root: string,
  enter: (folder: string) => boolean = () => true,
  below = "",
): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(`${root}/${below}`)) {
    const path = below + entry.name;
    if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
    if (entry.isFile) files.push(path);
    else if (entry.isDirectory && enter(`${path}/`)) files.push(...await listFiles(root, enter, `${path}/`));
  }
  return files.sort();
}
