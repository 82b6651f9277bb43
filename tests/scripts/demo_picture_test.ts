import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { chosenLines, picture } from "../../scripts/demo_picture.ts";

const OUTPUT = `
1. A realm
   made in 0.5 s

5. What is refused
   ok  A name <unknown> & more
       cache FILE:/tmp/secure-sockets-demo-0123/cc, http://localhost:45249

6. HTTP sign-on
   200
`;

test("chosenLines() takes the parts of the picture, without folders and ports that differ each time", () => {
  assertEquals(chosenLines(OUTPUT), [
    "5. What is refused",
    "   ok  A name <unknown> & more",
    "       cache FILE:/tmp/realm/cc, http://localhost:8080",
    "",
    "6. HTTP sign-on",
    "   200",
    "",
  ]);
});

test("picture() is an SVG with every line, escaped", () => {
  const svg = picture(chosenLines(OUTPUT));
  assert(svg.includes(">   ok  A name &lt;unknown&gt; &amp; more</text>"));
  assertEquals(svg.match(/<text /g)?.length, 8);
});
