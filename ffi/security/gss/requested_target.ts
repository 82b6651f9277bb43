/**
 * Finds the target that a Kerberos client requested: the clear-text name in the client's ticket, where the key that
 * decrypted the ticket and the client's authenticator agree with it.
 *
 * @module
 */

import { Spn } from "../../../spn.ts";
import { type Gss, Slots } from "./gss.ts";
import { keyBelongsTo, type KeySource } from "./key_table.ts";
import { clientTargets, type Ticket } from "./ticket_name.ts";

/**
 * Returns the name in a ticket that the library has decrypted; `null` where the name may belong to another service.
 *
 * @param context a server's context, established by Kerberos (gss-ntlmssp 1.2 crashes on this query).
 */
export function requestedTarget(gss: Gss, context: bigint, keys: KeySource, ticket: Ticket): string | null {
  if (!keyBelongsTo(gss, keys, ticket, openedBy(gss, context))) return null;
  return clientAgrees(gss, context, ticket.name) ? ticket.name : null;
}

/** The entry of the key table whose key decrypted the ticket. */
function openedBy(gss: Gss, context: bigint): string {
  return gss.withTargetName(
    context,
    (name) => name === 0n ? "" : gss.displayName(name),
    "read the name of the key that was used",
  );
}

/** Whether the client's authenticator contains the ticket's clear-text name, or no name. */
function clientAgrees(gss: Gss, context: bigint, name: string): boolean {
  const { call, memory, oids } = gss;
  const slots = new Slots(16);
  const [minor, set] = [slots.slice(0, 4), slots.slice(8, 8)];
  // Contains the authorization data of the ticket and of the authenticator.
  const major = call.gss_inquire_sec_context_by_oid(minor, context, oids.ifRelevant, set);
  gss.check("gss_inquire_sec_context_by_oid", major, slots.u32[0], "read the client's authorization data");
  try {
    return gss.buffersOfSet(slots.u64[1]).every(({ value, length }) =>
      clientTargets(memory.read(value, length))?.every((target) => isSame(target, name)) ?? false
    );
  } finally {
    call.gss_release_buffer_set(minor, set);
  }
}

function isSame(one: string, other: string): boolean {
  try {
    return Spn.parse(one).equals(Spn.parse(other));
  } catch {
    return one === other;
  }
}
