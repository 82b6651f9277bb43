/** The module that ships: the codec of the Winsock secure socket extensions, without an import. */

import { failArgument, input, Op, output } from "../../sdk/assembly/index";
import { query, settings, target } from "./codec";
import { DESCRIPTION } from "./description";

export { abi_version, alloc } from "../../sdk/assembly/index";

/** Operations of the socket layer, as plugins/sandbox/abi.md numbers them. */
enum SocketOp {
  Settings = 32,
  Target = 33,
  Query = 34,
}

/** The export of that name. */
export function call(ptr: usize, len: u32): u64 {
  input.begin(ptr, len);
  output.begin();
  dispatch(input.word());
  return output.finish();
}

function dispatch(operation: u32): void {
  if (operation == Op.Describe) return output.restText(DESCRIPTION);
  if (operation == Op.Release) return;
  if (operation == <u32> SocketOp.Settings) return settings();
  if (operation == <u32> SocketOp.Target) return target();
  if (operation == <u32> SocketOp.Query) return query();
  failArgument("this operation is not known");
}
