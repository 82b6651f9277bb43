/** The bytes of the secure socket functions' arguments, written from the layouts: the codec is compared with them. */

import {
  SOCKET_PEER_TARGET_NAME,
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SECURITY_QUERY_INFO,
  SOCKET_SECURITY_QUERY_TEMPLATE,
  SOCKET_SECURITY_SETTINGS,
  SOCKET_SECURITY_SETTINGS_IPSEC,
} from "../../ffi/raw/fwpuclnt.ts";

/** UTF-16 units without a terminator. */
export function utf16(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < text.length; index++) view.setUint16(index * 2, text.charCodeAt(index), true);
  return bytes;
}

/** A `SOCKET_SECURITY_SETTINGS`. */
export function plainSettings(
  flags: number,
  protocol: number = SOCKET_SECURITY_PROTOCOL.DEFAULT,
): Uint8Array {
  const bytes = new Uint8Array(SOCKET_SECURITY_SETTINGS.size);
  SOCKET_SECURITY_SETTINGS.write(new DataView(bytes.buffer), {
    SecurityProtocol: protocol,
    SecurityFlags: flags,
  });
  return bytes;
}

/** A `SOCKET_SECURITY_SETTINGS_IPSEC`. */
export function ipsecSettings(fields: {
  flags?: number;
  ipsecFlags?: number;
  mainMode?: string;
  quickMode?: string;
  strings?: readonly [user: string, domain: string, password: string];
}): Uint8Array {
  const parts = (fields.strings ?? ["", "", ""]).map(utf16);
  const strings = parts.reduce((sum, part) => sum + part.length, 0);
  const at = SOCKET_SECURITY_SETTINGS_IPSEC.offsets.AllStrings;
  const bytes = new Uint8Array(Math.max(at + strings, SOCKET_SECURITY_SETTINGS_IPSEC.size));
  SOCKET_SECURITY_SETTINGS_IPSEC.write(new DataView(bytes.buffer), {
    SecurityProtocol: SOCKET_SECURITY_PROTOCOL.IPSEC,
    SecurityFlags: fields.flags ?? 0,
    IpsecFlags: fields.ipsecFlags ?? 0,
    ...(fields.mainMode ? { AuthipMMPolicyKey: fields.mainMode } : {}),
    ...(fields.quickMode ? { AuthipQMPolicyKey: fields.quickMode } : {}),
    UserNameStringLen: parts[0].length,
    DomainNameStringLen: parts[1].length,
    PasswordStringLen: parts[2].length,
  });
  let offset = at;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** A `SOCKET_PEER_TARGET_NAME`; the length counts bytes, as the structure's page says. */
export function targetName(peer: Uint8Array, name: string, protocol: number): Uint8Array {
  const text = utf16(name);
  const { offsets, size } = SOCKET_PEER_TARGET_NAME;
  const bytes = new Uint8Array(Math.max(offsets.AllStrings + text.length, size));
  const view = new DataView(bytes.buffer);
  SOCKET_PEER_TARGET_NAME.write(view, {
    SecurityProtocol: protocol,
    PeerTargetNameStringLen: text.length,
  });
  bytes.set(peer, offsets.PeerAddress);
  bytes.set(text, offsets.AllStrings);
  return bytes;
}

/** A `SOCKET_SECURITY_QUERY_TEMPLATE`. */
export function queryTemplate(peer: Uint8Array, access: number, protocol: number): Uint8Array {
  const { offsets, size } = SOCKET_SECURITY_QUERY_TEMPLATE;
  const bytes = new Uint8Array(size);
  SOCKET_SECURITY_QUERY_TEMPLATE.write(new DataView(bytes.buffer), {
    SecurityProtocol: protocol,
    PeerTokenAccessMask: access,
  });
  bytes.set(peer, offsets.PeerAddress);
  return bytes;
}

/** The flags of a query's answer. */
export function answerFlags(answer: Uint8Array): number {
  return SOCKET_SECURITY_QUERY_INFO.read(new DataView(answer.buffer, answer.byteOffset, answer.length)).Flags;
}
