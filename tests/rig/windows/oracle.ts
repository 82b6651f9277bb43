/**
 * The layout oracle: a C program that states size, offsets and values as the compiler sees them in the Windows
 * headers, and the comparison with the values of `ffi/raw`.
 *
 * @module
 */

import { isGuid, type Layout, type RawTables } from "./raw_tables.ts";

const HEADERS = [
  "winsock2.h",
  "ws2tcpip.h",
  "mswsock.h",
  "mstcpip.h",
  "windows.h",
  "sspi.h",
  "secext.h",
  "ntsecapi.h",
  "ntdsapi.h",
  "oleauto.h",
  "rpc.h",
  "fwpmu.h",
];

/**
 * The program's source. Where the headers lack a name, compiling fails and names it: it then belongs into
 * `tests/golden/sdk_gaps.h` with its source, or into `c_names.ts`.
 */
export function oracleSource(tables: RawTables): string {
  const structs = Object.entries(tables.structs).map(([name, layout]) => {
    const fields = Object.entries(layout.fields).map(([field, { size }]) => {
      // sizeof a flexible tail does not compile: it has no size.
      const width = size === 0 ? "(size_t)0" : `sizeof(((${name} *)0)->${field})`;
      return `  field("${field}", offsetof(${name}, ${field}), ${width});`;
    });
    return [`  begin("${name}", sizeof(${name}));`, ...fields, "  end();"].join("\n");
  });
  const constants = Object.entries(tables.constants).map(([expression, value]) =>
    isGuid(value)
      ? `  { static const GUID value = ${expression}; guid("${expression}", &value); }`
      : `  constant("${expression}", (unsigned long long)(${expression}), sizeof(${expression}));`
  );
  return `#define SECURITY_WIN32
${HEADERS.map((header) => `#include <${header}>`).join("\n")}
#include <stddef.h>
#include <stdio.h>
#include "sdk_gaps.h"

static int first_struct = 1, first_field, first_constant = 1;
static void begin(const char *name, size_t size) {
  printf("%s\\n\\"%s\\":{\\"size\\":%zu,\\"fields\\":{", first_struct ? "" : ",", name, size);
  first_struct = 0;
  first_field = 1;
}
static void field(const char *name, size_t offset, size_t size) {
  printf("%s\\"%s\\":{\\"offset\\":%zu,\\"size\\":%zu}", first_field ? "" : ",", name, offset, size);
  first_field = 0;
}
static void end(void) {
  printf("}}");
}
static void constant(const char *name, unsigned long long value, size_t size) {
  if (size < 8) value &= (1ull << (8 * size)) - 1;
  printf("%s\\n\\"%s\\":\\"%llu\\"", first_constant ? "" : ",", name, value);
  first_constant = 0;
}
static void guid(const char *name, const GUID *g) {
  const unsigned char *d = g->Data4;
  printf("%s\\n\\"%s\\":\\"%08lx-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x\\"", first_constant ? "" : ",", name,
         (unsigned long)g->Data1, g->Data2, g->Data3, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]);
  first_constant = 0;
}
int main(void) {
  printf("{\\"structs\\":{");
${structs.join("\n")}
  printf("},\\n\\"constants\\":{");
${constants.join("\n")}
  printf("}}\\n");
  return 0;
}
`;
}

/** What a comparison came to. */
export interface Comparison {
  /** How many structs and constants agree. */
  readonly passed: number;
  /** Those that do not, each with both views of it. */
  readonly failed: readonly { readonly name: string; readonly detail: string }[];
}

/** Compares the library's values with a compiler's; every struct and constant is one test. */
export function compareTables(ours: RawTables, compiler: RawTables): Comparison {
  let passed = 0;
  const failed: { name: string; detail: string }[] = [];
  const judge = (name: string, mine: string, theirs: string | undefined): void => {
    if (mine === theirs) passed++;
    else failed.push({ name, detail: `  ffi/raw:  ${mine}\n  compiler: ${theirs ?? "not asked"}\n` });
  };
  for (const [name, layout] of Object.entries(ours.structs)) {
    judge(`the layout of ${name} is the compiler's`, describe(layout), describe(compiler.structs[name]));
  }
  for (const [name, value] of Object.entries(ours.constants)) {
    judge(`the value of ${name} is the compiler's`, value, compiler.constants[name]);
  }
  return { passed, failed };
}

function describe(layout: Layout | undefined): string {
  if (layout === undefined) return "not asked";
  const fields = Object.entries(layout.fields).map(([name, { offset, size }]) => `${name} ${offset}+${size}`);
  return `${layout.size} bytes: ${fields.join(", ")}`;
}
