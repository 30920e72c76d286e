import { test } from "uvu";
import * as assert from "uvu/assert";
import { axisOf } from "../../examples/plot/axis.js";
import { escapeText, lineChart } from "../../examples/plot/line-chart.js";

const axes = { x: { label: "step" }, y: { label: "loss" } };

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

test("every series has a line, its dots and a name", () => {
  const svg = lineChart({
    title: "two",
    ...axes,
    series: [
      {
        name: "first",
        points: [
          [0, 1],
          [1, 2],
          [2, 3],
        ],
      },
      {
        name: "second",
        points: [
          [0, 3],
          [2, 1],
        ],
      },
    ],
  });
  assert.is(count(svg, "<path "), 2);
  assert.is(count(svg, "<circle "), 5);
  for (const text of [">two<", ">first<", ">second<", ">step<", ">loss<"])
    assert.ok(svg.includes(text), text);
});

test("points have their labels, escaped, where there are some", () => {
  const points: [number, number][] = [
    [1, 1],
    [2, Number.NaN],
    [3, 2],
  ];
  const svg = lineChart({
    title: "",
    ...axes,
    series: [{ name: "a", points, labels: ["<1>", "none", "3 %"] }],
  });
  assert.is(count(svg, ">&lt;1&gt;</text>"), 1);
  assert.is(count(svg, ">3 %</text>"), 1);
  assert.not.ok(svg.includes(">none<"));
  const bare = lineChart({ title: "", ...axes, series: [{ name: "a", points }] });
  assert.is(count(bare, "<text"), count(svg, "<text") - 2);
});

test("what users name is escaped wherever it stands", () => {
  const hostile = `<b a="1" c='2'>&\u0000\ud800`;
  const svg = lineChart({
    title: hostile,
    x: { label: hostile },
    y: { label: hostile },
    series: [{ name: hostile, points: [] }],
  });
  assert.not.ok(svg.includes("<b"));
  assert.is(escapeText(hostile), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\ufffd\ufffd");
  assert.is(count(svg, escapeText(hostile)), 5);
});

test("a point that cannot be drawn leaves a gap, and nothing is NaN", () => {
  const points: [number, number][] = [
    [1, 1],
    [2, Number.NaN],
    [3, 2],
    [4, Number.POSITIVE_INFINITY],
    [5, 2],
    [6, 3],
  ];
  const svg = lineChart({ title: "gaps", ...axes, series: [{ name: "a", points }] });
  const path = /<path d="([^"]*)"/.exec(svg)![1];
  assert.is(count(path, "M"), 3);
  assert.not.match(svg, /NaN|Infinity|undefined/);
});

test("no series, one point and equal values still make a chart", () => {
  const cases: [number, number][][] = [
    [],
    [[5, 7]],
    [
      [1, 4],
      [2, 4],
      [3, 4],
    ],
    [[0, 0]],
  ];
  for (const points of cases) {
    for (const log of [false, true]) {
      const svg = lineChart({
        title: "t",
        x: { label: "x", log },
        y: { label: "y", log },
        series: [{ name: "s", points }],
      });
      assert.not.match(svg, /NaN|Infinity|undefined/);
    }
  }
  assert.not.match(lineChart({ title: "t", ...axes, series: [] }), /NaN|Infinity|undefined/);
});

test("a linear axis has few round ticks that enclose the values", () => {
  const cases: [number, number][] = [
    [0, 1],
    [0.91, 0.97],
    [-3, 12],
    [0, 14_500_000],
    [1e-7, 3e-7],
    [1e9, 1e9 + 5],
  ];
  for (const [low, high] of cases) {
    const axis = axisOf([low, high], { label: "" });
    assert.ok(axis.ticks.length >= 3 && axis.ticks.length <= 9, `${low} ${high}: ${axis.ticks}`);
    assert.ok(axis.ticks[0] <= low + 1e-9 && axis.ticks.at(-1)! >= high - 1e-9, `${axis.ticks}`);
    assert.ok(axis.place(low) >= -1e-9 && axis.place(high) <= 1 + 1e-9);
  }
});

test("ticks are told apart and short", () => {
  const text = (values: number[], log = false) => {
    const axis = axisOf(values, { label: "", log });
    return axis.ticks.map((tick) => axis.text(tick));
  };
  assert.equal(text([0, 10_000_000]), ["0", "2 M", "4 M", "6 M", "8 M", "10 M"]);
  assert.equal(text([0.91, 0.96]), ["0.91", "0.92", "0.93", "0.94", "0.95", "0.96"]);
  assert.equal(text([10_000, 4_000_000], true), [
    "10 k",
    "20 k",
    "50 k",
    "100 k",
    "200 k",
    "500 k",
    "1 M",
    "2 M",
  ]);
  assert.equal(text([1, 1e6], true), ["1", "10", "100", "1 k", "10 k", "100 k", "1 M"]);
  assert.equal(text([0, 1000]), ["0", "200", "400", "600", "800", "1 k"]);
});

test("`from` is in the range, and a log axis leaves out what has no logarithm", () => {
  assert.is(axisOf([5, 9], { label: "", from: 0 }).ticks[0], 0);
  const axis = axisOf([0, -2, 10, 1000], { label: "", log: true });
  assert.is(axis.ticks[0], 10);
  assert.ok(Number.isNaN(axis.place(0)));
});

test.run();
