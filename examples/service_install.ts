/**
 * Installs the service of `service_server.ts`, or uninstalls it: publishes its connection point and registers its SPN for
 * the account that it runs as. If a step fails, the steps before it are taken back.
 *
 * ```sh
 * deno run --allow-net --allow-ffi --allow-env examples/service_install.ts example.test 'WEB1$' \
 *   CN=WEB1,CN=Computers,DC=example,DC=test web1.example.test 7777
 * deno run --allow-net --allow-ffi --allow-env examples/service_install.ts example.test 'WEB1$' --uninstall GUID ADSockAuth/web1.example.test
 * ```
 *
 * It prints the GUID that the service is started with. DIRECTORY_SERVER=dc1.example.test[=ADDRESS] is asked instead of
 * the controller that DNS names.
 *
 * @module
 */

import process from "node:process";
import {
  type DirectoryOptions,
  installService,
  openDirectory,
  uninstallService,
} from "@winsock/secure-sockets/directory";

/** The class of the service: what its SPN begins with. Its clients know it. */
export const SERVICE_CLASS = "ADSockAuth";
/** The GUID that stands for the product: what its clients search for. */
export const PRODUCT = "a762885a-aa44-11d2-81f1-00c04fb9624e";

/** How the directory is reached. */
export function directoryOptions(domain: string): DirectoryOptions {
  const [hostname, address] = process.env.DIRECTORY_SERVER?.split("=") ?? [];
  return { domain, ...(hostname ? { servers: [{ hostname, address }] } : {}) };
}

if (import.meta.main) {
  const [domain, account, under, host, port = "7777"] = process.argv.slice(2);
  await using directory = await openDirectory(directoryOptions(domain));
  if (under === "--uninstall") {
    const { removed, unregistered } = await uninstallService(directory, {
      guid: host,
      account,
      target: port,
    });
    console.log(
      `${removed ? "removed the connection point" : "there was no connection point"}, ${unregistered}`,
    );
  } else {
    const { point, change, target } = await installService(directory, {
      account,
      under,
      name: SERVICE_CLASS,
      serviceClass: SERVICE_CLASS,
      keywords: [PRODUCT, "Auth-O-Matic"],
      dnsName: host,
      bindingInformation: Number(port),
    });
    console.log(`${change} ${point.dn}; ${target} is registered for ${account}`);
    console.log(point.guid);
  }
}
