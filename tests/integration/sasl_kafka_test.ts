/** SASL GSSAPI for npm's kafkajs, unchanged, against a broker whose SASL server is this library's. */

import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { gssapi, kafka } from "../../examples/kafka_sasl.ts";
import { noExamples, runExample } from "../support/example.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { startBroker } from "../support/kafka_broker.ts";

const skip = noRealm;
const TARGET = "kafka/localhost";
/** kafkajs' level for nothing. */
const NOTHING = 0;

test(
  "saslClient(): kafkajs connects by GSSAPI, and authenticates again when its session runs out",
  () =>
    inRealm(async (realm, system) => {
      await realm.addPrincipal(TARGET);
      await using broker = await startBroker(
        { mechanism: "GSSAPI", acceptedTargets: [TARGET], layers: ["none"], system },
        1_000,
      );
      const admin = kafka({
        brokers: [broker.address],
        logLevel: NOTHING,
        retry: { retries: 0 },
        sasl: gssapi({ system }),
        // So long before its end is a session of one second renewed: at once.
        reauthenticationThreshold: 10_000,
      }).admin();
      await admin.connect();
      const before = broker.peers.length;
      const { brokers } = await admin.describeCluster();
      await admin.disconnect();
      assertEquals(brokers.map(({ host }) => host), ["localhost"]);
      assertEquals(broker.errors, []);
      assertEquals([before >= 1, broker.peers.length > before], [true, true]);
      assertEquals(new Set(broker.peers), new Set([`alice@${realm.realm}`]));
    }),
  { skip },
);

test(
  "saslServer(): a broker refuses kafkajs where the client asked for another name",
  () =>
    inRealm(async (realm, system) => {
      await realm.addPrincipal(TARGET);
      await using broker = await startBroker(
        { mechanism: "GSSAPI", acceptedTargets: [TARGET], layers: ["none"], system },
      );
      const admin = kafka({
        brokers: [broker.address],
        logLevel: NOTHING,
        retry: { retries: 0 },
        sasl: gssapi({ system, target: "HTTP/localhost" }),
      }).admin();
      await assertRejects(() => admin.connect(), Error, "refused");
      assertEquals(broker.peers, []);
      assertEquals(broker.errors.map(({ name, message }) => [name, /acceptedTargets/.test(message)]), [
        ["AuthenticationError", true],
      ]);
    }),
  { skip },
);

test("examples/kafka_sasl.ts prints the brokers that it finds", () =>
  inRealm(async (realm, system) => {
    await realm.addPrincipal(TARGET);
    await using broker = await startBroker(
      { mechanism: "GSSAPI", acceptedTargets: [TARGET], layers: ["none"], system },
    );
    const { code, stdout } = await runExample("kafka_sasl", ["--without-tls", broker.address]);
    assertEquals([code, stdout, broker.errors], [0, `${broker.address}\n`, []]);
  }), { skip: skip ?? noExamples });
