/** The codec's description of itself; the ABI's document defines the keys. */
export const DESCRIPTION = `{
  "abi": 1,
  "name": "ipsec-codec",
  "version": "1.0.0",
  "layer": "socket",
  "offers": {
    "integrity": true,
    "confidentiality": true,
    "mutualAuthentication": true,
    "impersonation": "impersonate",
    "delegation": false
  },
  "imports": [],
  "options": [
    { "name": "allowInsecure", "type": "boolean", "doc": "Clear text may be sent where nothing is required." },
    { "name": "mainModePolicy", "type": "text", "maxLength": 36, "doc": "The key of a main-mode policy." },
    { "name": "quickModePolicy", "type": "text", "maxLength": 36, "doc": "The key of a quick-mode policy." },
    { "name": "optionalPeerName", "type": "boolean", "doc": "A peer that does not prove its name is accepted." },
    { "name": "rawPeerName", "type": "boolean", "doc": "The peer's name is not a service principal name." },
    { "name": "skipFilters", "type": "boolean", "doc": "No filters are made for the socket." },
    { "name": "firstPacketInClear", "type": "boolean", "doc": "A peer's first packet may come in clear." }
  ]
}`;
