/**
 * QuickJS, in which PAC files run. This module is loaded with the first PAC file.
 *
 * @module
 */

import variant from "@jitl/quickjs-singlefile-mjs-release-sync";
import { networkInterfaces } from "node:os";
import {
  newQuickJSWASMModuleFromVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSWASMModule,
} from "quickjs-emscripten-core";
import { ProtocolError, TimeoutError } from "../../errors.ts";
import { MAX_RUN_MS, PAC_FUNCTIONS, printable } from "./pac_functions.ts";

const MAX_MEMORY = 16 * 1024 * 1024;
const MAX_STACK = 256 * 1024;

/** The result of one evaluation. */
export interface Run {
  readonly result: string;
  /** The name that must be looked up before the result counts; the evaluation is then repeated. */
  readonly unknown: string | null;
}

/** One PAC file in a runtime of its own. */
export class Program {
  readonly #context: QuickJSContext;
  readonly #url: URL;
  #endsAt = 0;
  #known: (name: string) => string | undefined = () => "";
  #unknown: string | null = null;
  #closed = false;

  constructor(quickjs: QuickJSWASMModule, text: string, url: URL) {
    this.#url = url;
    const context = quickjs.newContext();
    this.#context = context;
    context.runtime.setMemoryLimit(MAX_MEMORY);
    context.runtime.setMaxStackSize(MAX_STACK);
    context.runtime.setInterruptHandler(() => performance.now() > this.#endsAt);
    const lookUp = context.newFunction("__lookUp", (name) => this.#lookUp(context.getString(name)));
    lookUp.consume((handle) => context.setProp(context.global, "__lookUp", handle));
    context.newString(ownAddresses()).consume((own) => context.setProp(context.global, "__myAddresses", own));
    try {
      this.#evaluate(PAC_FUNCTIONS, "functions").dispose();
      this.#evaluate(text, "proxy.pac").dispose();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Evaluates FindProxyForURL. */
  run(url: string, host: string, known: (name: string) => string | undefined): Run {
    this.#known = known;
    this.#unknown = null;
    const call = `String(FindProxyForURL(${JSON.stringify(url)}, ${JSON.stringify(host)}))`;
    let result = "";
    try {
      result = this.#evaluate(call, "call").consume((handle) => this.#context.getString(handle));
    } catch (error) {
      // What failed for want of an address is repeated.
      if (this.#unknown === null || error instanceof TimeoutError) throw error;
    }
    return { result, unknown: this.#unknown };
  }

  #lookUp(name: string): QuickJSHandle {
    const known = this.#known(name);
    if (known !== undefined) return this.#context.newString(known);
    this.#unknown ??= name;
    throw new Error("not looked up yet");
  }

  #evaluate(code: string, name: string): QuickJSHandle {
    this.#endsAt = performance.now() + MAX_RUN_MS;
    const result = this.#context.evalCode(code, name);
    if (!result.error) return result.value;
    const error = result.error.consume((handle) => this.#context.dump(handle)) as { message?: unknown };
    if (performance.now() > this.#endsAt) {
      throw new TimeoutError(
        `The PAC file ${this.#url} ran for more than ${MAX_RUN_MS} ms. Correct it`,
        MAX_RUN_MS,
      );
    }
    const message = printable(error?.message ?? error);
    throw new ProtocolError("malformed", `The PAC file ${this.#url} failed: ${message}. Correct it`);
  }

  /** Whether it can no longer be run. */
  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.dispose();
  }
}

let loading: Promise<QuickJSWASMModule> | undefined;

/** Reads a PAC file's text. The caller closes the program. */
export async function openProgram(text: string, url: URL): Promise<Program> {
  return new Program(await (loading ??= newQuickJSWASMModuleFromVariant(variant)), text, url);
}

function ownAddresses(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.filter(({ internal }) => !internal).map(({ address }) => address.replace(/%.*$/, "")).join(";");
}
