/** The provider's description; the ABI's document defines the keys. */
export const DESCRIPTION = `{
  "abi": 2,
  "name": "ntlm",
  "version": "1.0.0",
  "layer":"context",
  "offers": {
    "integrity": true,
    "confidentiality": true,
    "mutualAuthentication": false,
    "impersonation": "identify",
    "delegation": false
  },
  "imports": ["random", "clock"],
  "also": ["wrapUnencrypted", "wrapSizeLimit", "peerIdentity"],
  "options": [
    { "name": "spnego", "type": "boolean", "doc": "Speak NTLM inside SPNEGO, as Negotiate peers do." },
    { "name": "workstation", "type": "text", "maxLength": 15, "doc": "The computer a client says it is." },
    { "name": "computerName", "type": "text", "maxLength": 15, "doc": "The computer a server says it is." },
    { "name": "domainName", "type": "text", "maxLength": 15, "doc": "The domain a server says it is in." }
  ],
  "credentials": { "client": ["password"], "server": ["none"] },
  "questions": [
    {
      "name": "account",
      "roles": ["server"],
      "fields": [{ "name": "domain", "type": "text" }, { "name": "username", "type": "text" }],
      "answers": [{ "name": "ntHash", "type": "bytes", "length": 16 }],
      "doc": "The NT hash of the account that a client claims to be."
    }
  ]
}`;
