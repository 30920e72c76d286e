import { type Axis, type AxisOptions, axisOf } from "./axis.js";

export interface Series {
  readonly name: string;
  /** [x, y] in the order they are joined. A point that is not finite leaves a gap. */
  readonly points: readonly (readonly [number, number])[];
  /** What to write beside each point, in their order; none unless given. */
  readonly labels?: readonly string[];
}

export interface LineChart {
  readonly title: string;
  readonly x: AxisOptions;
  readonly y: AxisOptions;
  readonly series: readonly Series[];
  /** Pixels; 760 unless given. */
  readonly width?: number;
  /** Pixels; 440 unless given. */
  readonly height?: number;
}

/**
 * A line chart as the text of an SVG document on a white ground: title, legend, axes with ticks, one line per
 * series. Needs no fonts, scripts or styles from outside.
 */
export function lineChart({ title, x, y, series, width = 760, height = 440 }: LineChart): string {
  const legend = legendOf(series, width - 2 * MARGIN);
  const all = series.flatMap((one) => one.points);
  const xAxis = axisOf(
    all.map((point) => point[0]),
    x,
  );
  const yAxis = axisOf(
    all.map((point) => point[1]),
    y,
  );
  const top = 60 + legend.lines * LEGEND_LINE;
  const left = MARGIN + 30 + Math.max(...yAxis.ticks.map((tick) => textWidth(yAxis.text(tick))));
  const plot: Plot = { left, top, right: width - MARGIN - 8, bottom: height - 58, xAxis, yAxis };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeText(title)}" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif" font-size="12" fill="#3d4551">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${MARGIN}" y="32" font-size="16" font-weight="600" fill="#1a1f27">${escapeText(title)}</text>`,
    ...legend.marks,
    ...gridOf(plot),
    `<text x="${at((plot.left + plot.right) / 2)}" y="${height - 16}" text-anchor="middle">${escapeText(x.label)}</text>`,
    `<text transform="translate(${MARGIN + 8} ${at((plot.top + plot.bottom) / 2)}) rotate(-90)" text-anchor="middle">${escapeText(y.label)}</text>`,
    ...series.flatMap((one, index) => lineOf(one, index, plot)),
    "</svg>",
    "",
  ].join("\n");
}

/** `text` so that it can stand in an SVG's text or attribute; characters that XML forbids become U+FFFD. */
export function escapeText(text: string): string {
  return text.replace(FORBIDDEN, "\ufffd").replace(/[&<>"']/g, (c) => ENTITIES[c]);
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** XML 1.0, section 2.2: control characters, lone surrogates and non-characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is these that are looked for
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udfff]/gu;

interface Plot {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly xAxis: Axis;
  readonly yAxis: Axis;
}

const MARGIN = 24;
const LEGEND_LINE = 20;

/** Told apart by colour-blind readers too, and dark enough on white (after Okabe and Ito, 2008). */
const COLOURS = ["#0b6bb8", "#d1495b", "#1b8a6b", "#c77700", "#7a4fb5", "#54606e", "#a8326e", "#2f9ec4"];
/** A second round through the colours is dashed. */
const DASHES = ["", ' stroke-dasharray="7 4"', ' stroke-dasharray="2 3"'];

function strokeOf(index: number): string {
  const dash = DASHES[Math.floor(index / COLOURS.length) % DASHES.length];
  return `stroke="${COLOURS[index % COLOURS.length]}"${dash}`;
}

/** The names beside samples of their lines, broken into as many lines as `width` needs. */
function legendOf(series: readonly Series[], width: number): { marks: string[]; lines: number } {
  const marks: string[] = [];
  let left = 0;
  let line = 0;
  series.forEach(({ name }, index) => {
    const entryWidth = 30 + textWidth(name) + 22;
    if (left > 0 && left + entryWidth > width) {
      left = 0;
      line++;
    }
    const x = MARGIN + left;
    const y = 54 + line * LEGEND_LINE;
    marks.push(
      `<line x1="${at(x)}" y1="${y}" x2="${at(x + 22)}" y2="${y}" ${strokeOf(index)} stroke-width="2.5"/>`,
      `<text x="${at(x + 30)}" y="${y + 4}">${escapeText(name)}</text>`,
    );
    left += entryWidth;
  });
  return { marks, lines: series.length === 0 ? 0 : line + 1 };
}

function gridOf({ left, top, right, bottom, xAxis, yAxis }: Plot): string[] {
  const marks: string[] = [];
  for (const tick of yAxis.ticks) {
    const y = at(bottom - yAxis.place(tick) * (bottom - top));
    marks.push(
      `<line x1="${at(left)}" y1="${y}" x2="${at(right)}" y2="${y}" stroke="#e4e7eb"/>`,
      `<text x="${at(left - 8)}" y="${y}" dy="0.35em" text-anchor="end">${escapeText(yAxis.text(tick))}</text>`,
    );
  }
  for (const tick of xAxis.ticks) {
    const x = at(left + xAxis.place(tick) * (right - left));
    marks.push(
      `<line x1="${x}" y1="${at(bottom)}" x2="${x}" y2="${at(bottom + 5)}" stroke="#9aa3ae"/>`,
      `<text x="${x}" y="${at(bottom + 20)}" text-anchor="middle">${escapeText(xAxis.text(tick))}</text>`,
    );
  }
  marks.push(
    `<line x1="${at(left)}" y1="${at(bottom)}" x2="${at(right)}" y2="${at(bottom)}" stroke="#9aa3ae"/>`,
  );
  return marks;
}

/** One path per run of drawable points; dots while they are few enough to be told apart. */
function lineOf(
  { points, labels }: Series,
  index: number,
  { left, top, right, bottom, xAxis, yAxis }: Plot,
): string[] {
  const places = points.map(([x, y]) => [
    left + xAxis.place(x) * (right - left),
    bottom - yAxis.place(y) * (bottom - top),
  ]);
  let path = "";
  let pen = "M";
  const dots: string[] = [];
  const colour = COLOURS[index % COLOURS.length];
  for (const [i, [x, y]] of places.entries()) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      pen = "M";
      continue;
    }
    path += `${pen}${at(x)} ${at(y)}`;
    pen = "L";
    const label = labels?.[i];
    if (label !== undefined) {
      // Clear of the line that comes from the left, and of the axis; the last one of the right edge.
      const [dx, anchor] = i < places.length - 1 ? [5, "start"] : [0, "middle"];
      dots.push(
        `<text x="${at(x + dx)}" y="${at(y - 9)}" text-anchor="${anchor}" font-size="11" fill="${colour}">${escapeText(label)}</text>`,
      );
    }
    if (points.length <= 40) dots.push(`<circle cx="${at(x)}" cy="${at(y)}" r="3" fill="${colour}"/>`);
  }
  if (path === "") return [];
  return [
    `<path d="${path}" fill="none" ${strokeOf(index)} stroke-width="2" stroke-linejoin="round" stroke-linecap="round"/>`,
    ...dots,
  ];
}

/** A coordinate with one decimal: enough on any screen, and short. */
function at(pixels: number): string {
  return String(Math.round(pixels * 10) / 10);
}

/** About how wide a text of 12 px is; wide characters count double. */
function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += character.codePointAt(0)! > 0x2e7f ? 12 : 7;
  return width;
}
