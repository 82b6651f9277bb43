/** A whole exchange and a record, for a process that is allowed nothing. */

import { pair, wrap } from "./pair.ts";

using both = await pair();
const plain = both.server.unwrap(wrap(both.client, new TextEncoder().encode("sealed without a permission")));
console.log(new TextDecoder().decode(plain));
