/**
 * The chart of the results: the ratios to C of a saved table, as SVG. The same table gives the same bytes.
 *
 * @module
 */

/** One line of the chart. */
export interface Bar {
  /** What was measured. */
  readonly title: string;
  /** The ratio of each peer to C; null where there is none. */
  readonly ratios: readonly (number | null)[];
}

/** The peers in the chart, each by the heading of its column, and its colour. */
const PEERS = [
  { name: "Deno", column: "Deno/C", colour: "#2563eb" },
  { name: "Node", column: "Node/C", colour: "#16a34a" },
] as const;

const ROW = 34, BAR = 11, LEFT = 300, WIDTH = 860, TOP = 58;

/**
 * Reads the ratios to C in a page of results.
 *
 * @throws TypeError if the page has no table with a column for each peer.
 */
export function readBars(page: string): Bar[] {
  const table = page.split("\n").filter((line) => line.startsWith("|"));
  const cells = table.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const [head, , ...rows] = cells;
  const columns = PEERS.map(({ column }) => head?.indexOf(column) ?? -1);
  if (columns.includes(-1)) throw new TypeError("the page of results has no table with the ratios to C");
  return rows.map(([title, ...rest]) => ({
    title,
    ratios: columns.map((at) => rest[at - 1] === "" ? null : Number(rest[at - 1])),
  })).filter(({ ratios }) => ratios.some((ratio) => ratio !== null));
}

/** Draws the bars as SVG. */
export function drawChart(bars: readonly Bar[], caption: string): string {
  const most = Math.max(1, ...bars.flatMap(({ ratios }) => ratios.map((ratio) => ratio ?? 0)));
  const end = Math.ceil(most * 2) / 2;
  const x = (ratio: number): number => LEFT + Math.round(ratio / end * (WIDTH - LEFT - 60));
  const height = TOP + bars.length * ROW + 24;
  const steps = Array.from({ length: Math.floor(end * 2) + 1 }, (_, index) => index / 2)
    .filter((step) => end <= 4 || Number.isInteger(step));
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ` +
    'role="img" font-family="system-ui, sans-serif" font-size="12">',
    `<title>${escaped(caption)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="12" y="22" font-size="14" fill="#111827">${escaped(caption)}</text>`,
    ...PEERS.flatMap(({ name, colour }, index) => [
      `<rect x="${12 + index * 70}" y="32" width="12" height="12" fill="${colour}"/>`,
      `<text x="${30 + index * 70}" y="42" fill="#374151">${name}</text>`,
    ]),
    ...steps.flatMap((step) => [
      `<line x1="${x(step)}" y1="${TOP - 6}" x2="${x(step)}" y2="${height - 20}" ` +
      `stroke="${step === 1 ? "#111827" : "#e5e7eb"}"/>`,
      `<text x="${x(step)}" y="${height - 6}" text-anchor="middle" fill="#6b7280">${
        step === 1 ? "C" : step
      }</text>`,
    ]),
  ];
  for (const [row, { title, ratios }] of bars.entries()) {
    const y = TOP + row * ROW;
    parts.push(
      `<text x="${LEFT - 10}" y="${y + 15}" text-anchor="end" fill="#111827">${escaped(title)}</text>`,
    );
    for (const [index, ratio] of ratios.entries()) {
      if (ratio === null) continue;
      const at = y + index * (BAR + 2);
      parts.push(
        `<rect x="${LEFT}" y="${at}" width="${x(ratio) - LEFT}" height="${BAR}" fill="${
          PEERS[index].colour
        }"/>`,
        `<text x="${x(ratio) + 4}" y="${at + 10}" font-size="10" fill="#374151">${ratio.toFixed(2)}</text>`,
      );
    }
  }
  return [...parts, "</svg>", ""].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const CAPTION = "secure-sockets beside a C program on libgssapi (1 = as fast as C)";

/** Makes the chart of a page of results. */
export function chartOf(page: string): string {
  return drawChart(readBars(page), CAPTION);
}
