/** The module that ships: NTLMv2 and nothing older, as a sandboxed provider. */

import { serve } from "../../sdk/assembly/index";
import { Ntlm } from "./ntlm";

export { abi_version, alloc, call } from "../../sdk/assembly/index";

serve(new Ntlm());
