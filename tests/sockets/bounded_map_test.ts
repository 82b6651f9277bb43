import { assertEquals } from "@std/assert";
import { test } from "@test";
import { Recent } from "../../sockets/bounded_map.ts";

test("beyond its limit the value that was set first goes, and is handed back", () => {
  const recent = new Recent<number>(2);
  assertEquals([recent.set("a", 1), recent.set("b", 2), recent.set("c", 3)], [undefined, undefined, 1]);
  assertEquals([recent.get("a"), recent.get("b"), recent.get("c"), recent.size], [undefined, 2, 3, 2]);
});

test("a key that is known takes a new value without another's going", () => {
  const recent = new Recent<number>(2);
  recent.set("a", 1);
  recent.set("b", 2);
  assertEquals([recent.set("a", 3), recent.get("a"), recent.get("b")], [undefined, 3, 2]);
  recent.delete("a");
  assertEquals([recent.set("c", 4), recent.size], [undefined, 2]);
});
