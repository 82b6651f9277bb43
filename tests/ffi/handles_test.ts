import { assertEquals } from "@std/assert";
import { test } from "@test";
import { ReferenceCount } from "../../ffi/handles.ts";

test("What is used by several ends once, when it is closed and the last of them has gone", () => {
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

test("What nobody uses ends when it is closed, and not before", () => {
  let ends = 0;
  const users = new ReferenceCount(() => ends++);
  users.hold()();
  assertEquals(ends, 0);
  users.close();
  assertEquals(ends, 1);
});
