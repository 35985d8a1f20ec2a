// Accuracy against cost: points with intervals both ways, and the front of what nothing beats.
function scatter(entries, front, cost, log, colours, pick) {
  if (!entries.length) return el("p", { class: "muted" }, "All are hidden: press a name below to show it.");
  const shown = entries.filter((each) => each.accuracy && each.costs[cost]);
  const told = COSTS[cost];
  const without = entries.length > shown.length;
  if (!shown.length) return el("p", { class: "muted" }, absent(cost, entries));
  if (shown.every((each) => each.costs[cost][2] === 0)) {
    return el("p", { class: "muted" }, `All of this cost nothing: ${told.name.toLowerCase()} 0.`);
  }
  const fewer = shown.flatMap((each) => fewerOf(each, cost));
  const lowest = Math.min(...[...shown, ...fewer].map((each) => each.accuracy[1]));
  const highest = Math.max(...[...shown, ...fewer].map((each) => each.accuracy[2]));
  const dear = [...shown.flatMap((each) => each.costs[cost].slice(1)),
    ...fewer.map((each) => each[cost])];
  const drawn = chart((box) => {
    const ends = [MARGIN.left + 8, box.width - MARGIN.right];
    const positive = dear.filter((value) => value > 0);
    const x = log && positive.length
      ? logarithmic(Math.min(...positive) / 1.15, Math.max(...positive) * 1.3, ...ends)
      : linear(0, Math.max(...dear) * 1.08 || 1, ...ends);
    const y = shares(lowest, highest, box);
    const at = (each) => ({ x: x(each.costs[cost][0]), y: y(each.accuracy[0]) });
    const path = (front?.path || []).map(([spent, share], n) =>
      n ? `H${x(spent)}V${y(share)}` : `M${x(spent)} ${y(share)}`).join("");
    return [
      axes(box, x, y, told.axis + (log ? " (log scale)" : ""), told.show, "accuracy"),
      svg("path", { class: "front", d: path && `${path}H${ends[1]}` }),
      shown.map((each) => fewerSamples(each, cost, x, y, colours)),
      shown.map((each) => point(each, cost, x, y, colours, pick)),
      svg("g", { "aria-hidden": "true" }, names(box, shown.map((each) => ({
        ...at(each), name: each.front.includes(cost) || shown.length <= 9 ? each.label : "" })))),
    ];
  }, `Accuracy against ${told.axis}`, 360);
  return without ? [drawn, el("figcaption", null, absent(cost, entries.filter((each) => !shown.includes(each))))] : drawn;
}

function absent(cost, missed) {
  const bare = missed.filter((each) => !each.accuracy);
  const reasons = [
    [bare.filter((each) => !each.results), "no run has finished yet"],
    [bare.filter((each) => each.results), "all runs failed or could not be judged"],
    [missed.filter((each) => each.accuracy), cost === "usd" ? "the price of a model is not known"
      : `${COSTS[cost].name.toLowerCase()} are not known of every run`]];
  return reasons.filter(([who]) => who.length).map(([who, why]) =>
    `${count(who.length, "entry is", "entries are")} not shown: ${why}.`).join(" ");
}

// What a baseline would have reached with fewer of its samples, at what they cost.
const fewerOf = (entry, cost) => entry.baseline ? entry.curve.filter((each) => known(each[cost])) : [];

function fewerSamples(entry, cost, x, y, colours) {
  const points = fewerOf(entry, cost);
  const colour = colours.get(entry.strategy) % 8;
  return svg("g", null,
    svg("path", { class: `line thin s${colour}`,
      d: polyline(points.map((each) => [x(each[cost]), y(each.accuracy[0])])) }),
    points.slice(0, -1).map((each) => {
      const text = `${entry.label}: the vote of ${count(each.k, "sample")}, accuracy `
        + `${percent(each.accuracy[0])} ${range(each.accuracy, percent)}, `
        + `${COSTS[cost].axis} ${COSTS[cost].show(each[cost])}`;
      return tipOn(svg("g", { tabindex: 0, role: "img", "aria-label": text },
        svg("circle", { cx: x(each[cost]), cy: y(each.accuracy[0]), r: 8, fill: "transparent" }),
        svg("circle", { class: `mark s${colour} f${colour}`, r: 1.8, cx: x(each[cost]),
          cy: y(each.accuracy[0]) })), text);
    }));
}

function point(entry, cost, x, y, colours, pick) {
  const [left, from, to] = entry.costs[cost].map(x);
  const [up, low, high] = entry.accuracy.map(y);
  const colour = colours.get(entry.strategy);
  const text = `${entry.label}: accuracy ${percent(entry.accuracy[0])} `
    + `${range(entry.accuracy, percent)}, ${COSTS[cost].axis} ${COSTS[cost].show(entry.costs[cost][0])} `
    + `${range(entry.costs[cost], COSTS[cost].show)}`
    + (entry.front.includes(cost) ? ", on the front" : "");
  return tipOn(svg("g", { tabindex: 0, role: "button", "aria-label": text,
    "data-key": `point:${cost}:${entry.number}`, on: pressable(() => pick(entry)) },
  svg("line", { class: `whisker s${colour % 8}`, x1: left, x2: left, y1: low, y2: high }),
  svg("line", { class: `whisker s${colour % 8}`, x1: from, x2: to, y1: up, y2: up }),
  svg("circle", { cx: left, cy: up, r: 11, fill: "transparent" }),
  mark(colour, left, up, 5, entry.baseline, entry.ring)), text);
}

// What the marks and lines mean; pressing a name hides and shows its marks.
function legend(names, colours, { hidden, toggle, hollow = new Set(), key = "", lines = [], rings = [] }) {
  return el("ul", { class: "legend", "aria-label": "Legend" },
    names.map((name) => el("li", null, el("button", {
      type: "button", "aria-pressed": !hidden.has(name), "data-key": `legend:${key}:${name}`,
      title: hidden.has(name) ? "Show its marks" : "Hide its marks", on: { click: () => toggle(name) },
    }, svg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" },
      mark(colours.get(name), 7, 7, 4.5, hollow.has(name))), name))),
    rings.map(([ring, text]) => el("li", { class: "small" }, svg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" },
      ringed("", 7, 7, 4, ring)), text)),
    lineKeys(lines));
}

const lineKeys = (lines) => lines.map(([looks, text]) => el("li", { class: "small" },
  svg("svg", { class: "wide", viewBox: "0 0 24 14", "aria-hidden": "true" },
    looks.map((look) => look.startsWith("band") ? svg("rect", { class: look, width: 24, height: 14 })
      : svg("path", { class: look, d: look.startsWith("whisker") ? "M12 1V13M4 7H20" : "M1 7H23" }))), text));
