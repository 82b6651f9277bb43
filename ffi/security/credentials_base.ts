/**
 * The rules that credentials keep, whatever the operating system: contexts outlive the closing of the credentials
 * that they were made from, which are released with the last of them.
 *
 * @module
 */

import { StateError } from "../../errors.ts";
import { track } from "../handles.ts";
import {
  checkContextRequest,
  type ContextRequest,
  type SecurityContext,
  type SecurityCredentials,
} from "./context.ts";
import { Users } from "../reference_count.ts";

/** Keeps the rules; `native` members do the work. */
export abstract class CredentialsBase implements SecurityCredentials {
  readonly #users: Users;

  /** @param unhold Lets go of the library that the credentials are held by. */
  protected constructor(unhold: () => void) {
    const untrack = track("credentials");
    this.#users = new Users(() => {
      try {
        this.nativeRelease();
      } finally {
        untrack();
        unhold();
      }
    });
  }

  /** Makes a context, which calls `release` once, when it no longer uses the credentials. */
  protected abstract nativeContext(
    role: "client" | "server",
    request: ContextRequest,
    release: () => void,
  ): SecurityContext;
  /** Releases everything; called once, when no context uses it. */
  protected abstract nativeRelease(): void;

  client(request: ContextRequest & { readonly target: string }): SecurityContext {
    return this.#context("client", request);
  }

  server(request: ContextRequest): SecurityContext {
    return this.#context("server", request);
  }

  #context(role: "client" | "server", request: ContextRequest): SecurityContext {
    if (this.#users.closed) throw new StateError("The credentials are closed; acquire them again");
    checkContextRequest(role, request);
    const release = this.#users.hold();
    try {
      return this.nativeContext(role, request, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  close(): void {
    this.#users.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
