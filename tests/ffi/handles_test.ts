import { assertEquals } from "@std/assert";
import { test } from "@test";
import { ReferenceCount } from "../../ffi/handles.ts";

test("ReferenceCount ends a resource once, when it is closed and its last reference is released", () => {
  let ends = 0;
  const users = new ReferenceCount(() => ends++);
  const [one, two] = [users.hold(), users.hold()];
  one();
  one();
  assertEquals([ends, users.closed], [0, false]);
  users.close();
  assertEquals([ends, users.closed], [0, true]);
  two();
  assertEquals(ends, 1);
  two();
  users.close();
  users.hold()();
  assertEquals(ends, 1);
});

test("ReferenceCount ends a resource without references when it is closed, and not before", () => {
  let ends = 0;
  const users = new ReferenceCount(() => ends++);
  users.hold()();
  assertEquals(ends, 0);
  users.close();
  assertEquals(ends, 1);
});
