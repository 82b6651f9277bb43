import { assertEquals } from "@std/assert";
import { test } from "@test";
import { BoundedMap } from "../../sockets/bounded_map.ts";

test("BoundedMap removes and returns the oldest entry when it is full", () => {
  const map = new BoundedMap<number>(2);
  assertEquals([map.set("a", 1), map.set("b", 2), map.set("c", 3)], [undefined, undefined, 1]);
  assertEquals([map.get("a"), map.get("b"), map.get("c"), map.size], [undefined, 2, 3, 2]);
});

test("BoundedMap replaces the value of a key without removing another", () => {
  const map = new BoundedMap<number>(2);
  map.set("a", 1);
  map.set("b", 2);
  assertEquals([map.set("a", 3), map.get("a"), map.get("b")], [undefined, 3, 2]);
  map.delete("a");
  assertEquals([map.set("c", 4), map.size], [undefined, 2]);
});
