/** Negotiate flags ([MS-NLMP] 2.2.2.5), those that matter here. */
export enum Flag {
  Unicode = 0x00000001,
  Oem = 0x00000002,
  RequestTarget = 0x00000004,
  Sign = 0x00000010,
  Seal = 0x00000020,
  Ntlm = 0x00000200,
  Anonymous = 0x00000800,
  AlwaysSign = 0x00008000,
  TargetTypeServer = 0x00020000,
  ExtendedSecurity = 0x00080000,
  Identify = 0x00100000,
  TargetInfo = 0x00800000,
  Version = 0x02000000,
  Key128 = 0x20000000,
  KeyExchange = 0x40000000,
  Key56 = 0x80000000,
}

/** Without these there is no session worth having: a peer that lacks one is refused. */
export const INDISPENSABLE: u32 = Flag.Unicode | Flag.ExtendedSecurity | Flag.Key128 | Flag.KeyExchange;

/** What a session needs that signs. */
export const SESSION: u32 = INDISPENSABLE | Flag.Sign;
