/**
 * The functions that PAC files call, as a program for the sandbox in which they run. `__lookUp(host)` is the host's: the
 * addresses of a name, joined by semicolons; empty if it has none.
 *
 * @module
 */

/** Defines the functions of Netscape's specification and, without IPv6 ranges in text, of Microsoft's extension. */
export const PAC_FUNCTIONS = String.raw`
"use strict";
const isPlainHostName = (host) => !host.includes(".") && !host.includes(":");
const dnsDomainIs = (host, domain) => host.toLowerCase().endsWith(domain.toLowerCase());
const localHostOrDomainIs = (host, name) =>
  host === name || (!host.includes(".") && name.startsWith(host + "."));
const dnsDomainLevels = (host) => host.split(".").length - 1;
const isV4 = (text) => /^\d{1,3}(\.\d{1,3}){3}$/.test(text);
const addressesOf = (host) => (isV4(host) || host.includes(":") ? [host] : __lookUp(host).split(";").filter(Boolean));
const dnsResolve = (host) => addressesOf(String(host)).find(isV4) ?? null;
const dnsResolveEx = (host) => addressesOf(String(host)).join(";");
const isResolvable = (host) => dnsResolve(host) !== null;
const isResolvableEx = (host) => dnsResolveEx(host) !== "";
const myIpAddress = () => __myAddresses.split(";").find(isV4) ?? "127.0.0.1";
const myIpAddressEx = () => __myAddresses;
const convert_addr = (address) =>
  address.split(".").reduce((sum, part) => ((sum << 8) | (Number(part) & 255)) >>> 0, 0);
const isInNet = (host, pattern, mask) => {
  const address = dnsResolve(host);
  if (address === null || !isV4(pattern) || !isV4(mask)) return false;
  const bits = convert_addr(mask);
  return (convert_addr(address) & bits) === (convert_addr(pattern) & bits);
};
const bytesOf = (address) => {
  if (isV4(address)) return address.split(".").map(Number);
  const text = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    ((a << 8) | +b).toString(16) + ":" + ((c << 8) | +d).toString(16));
  const [head, tail] = text.split("::");
  const left = head ? head.split(":") : [];
  const right = tail ? tail.split(":") : [];
  const groups = tail === undefined ? left : [...left, ...Array(Math.max(0, 8 - left.length - right.length)).fill("0"), ...right];
  return groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]);
};
const isInNetEx = (host, network) => {
  const [base, length] = String(network).split("/");
  const wanted = bytesOf(base);
  return addressesOf(String(host)).some((address) => {
    const given = bytesOf(address);
    if (given.length !== wanted.length) return false;
    for (let bit = 0; bit < Number(length); bit++) {
      const mask = 128 >> (bit & 7);
      if ((given[bit >> 3] & mask) !== (wanted[bit >> 3] & mask)) return false;
    }
    return true;
  });
};
const sortIpAddressList = (list) => String(list).split(";").sort().join(";");
const getClientVersion = () => "1.0";
const shExpMatch = (text, pattern) => {
  // Without a regular expression: a pattern of many stars must not take for ever.
  let at = 0, star = -1, mark = 0, p = 0;
  while (at < text.length) {
    if (p < pattern.length && pattern[p] === "*") { star = p++; mark = at; }
    else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[at])) { p++; at++; }
    else if (star >= 0) { p = star + 1; at = ++mark; }
    else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
};
const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const __clock = (values) => {
  const now = new Date();
  const gmt = values[values.length - 1] === "GMT";
  if (gmt) values = values.slice(0, -1);
  const get = (part) => now[(gmt ? "getUTC" : "get") + part]();
  return [values, get];
};
const __between = (value, from, to) => from <= to ? from <= value && value <= to : value >= from || value <= to;
const weekdayRange = (...given) => {
  const [[from, to = from], get] = __clock(given);
  return __between(get("Day"), DAYS.indexOf(from), DAYS.indexOf(to));
};
const timeRange = (...given) => {
  const [values, get] = __clock(given);
  const seconds = (get("Hours") * 60 + get("Minutes")) * 60 + get("Seconds");
  const half = values.length / 2;
  if (values.length === 1) return get("Hours") === values[0];
  const at = (parts) => ((parts[0] ?? 0) * 60 + (parts[1] ?? 0)) * 60 + (parts[2] ?? 0);
  // The end of a range given in hours or minutes is its last second, as in Firefox and Chromium.
  const last = [3600, 60, 1][half - 1] - 1;
  return __between(seconds, at(values.slice(0, half)), at(values.slice(half)) + last);
};
const dateRange = (...given) => {
  const [values, get] = __clock(given);
  const kind = (value) => typeof value === "string" ? "month" : value > 31 ? "year" : "day";
  const half = values.length === 1 ? 1 : values.length / 2;
  const key = (parts) => {
    const found = { year: 0, month: 0, day: 0 };
    for (const part of parts) found[kind(part)] = typeof part === "string" ? MONTHS.indexOf(part) : part;
    return (found.year * 12 + found.month) * 32 + found.day;
  };
  const used = new Set(values.slice(0, half).map(kind));
  const now = key([
    ...(used.has("day") ? [get("Date")] : []),
    ...(used.has("month") ? [MONTHS[get("Month")]] : []),
    ...(used.has("year") ? [get("FullYear")] : []),
  ]);
  const from = key(values.slice(0, half));
  return __between(now, from, values.length === 1 ? from : key(values.slice(half)));
};
const alert = () => {};
`;

/**
 * How long one evaluation may run; the process does nothing else meanwhile. QuickJS looks at the clock between steps: one
 * step of a function such as `fill()` is bounded by the memory alone.
 */
export const MAX_RUN_MS = 300;

/** A text of a PAC file, for a message of one line. */
export function printable(value: unknown): string {
  return String(value).slice(0, 200).replace(/[^\x20-\x7e]/g, "?");
}
