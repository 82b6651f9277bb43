/** The SDK's face. A guest imports from here and re-exports `abi_version`, `alloc` and `call`. */

export * from "./abi";
export * from "./guest";
export { equal, Slice } from "./memory";
import * as host from "./host";
import * as input from "./input";
import * as output from "./output";
export { host, input, output };
