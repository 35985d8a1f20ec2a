// Accuracy against cost: points with intervals both ways, and the front of what nothing beats.
function scatter(entries, cost, log, colours, pick) {
  const shown = entries.filter((each) => each.accuracy && each.costs[cost]);
  const told = COSTS[cost];
  if (!shown.length) return el("p", { class: "muted" }, cost === "usd"
    ? "No price is known for these models, so there is no money to show."
    : "Nothing has been measured here yet.");
  const lowest = Math.min(...shown.map((each) => each.accuracy[1]));
  const highest = Math.max(...shown.map((each) => each.accuracy[2]));
  const dear = shown.flatMap((each) => [each.costs[cost][1], each.costs[cost][2]]);
  return chart((box) => {
    const ends = [MARGIN.left + 8, box.width - MARGIN.right];
    const positive = dear.filter((value) => value > 0);
    const x = log && positive.length
      ? logarithmic(Math.min(...positive) / 1.15, Math.max(...positive) * 1.3, ...ends)
      : linear(0, Math.max(...dear) * 1.08 || 1, ...ends);
    const y = shares(lowest, highest, box);
    const at = (each) => ({ x: x(each.costs[cost][0]), y: y(each.accuracy[0]) });
    const front = shown.filter((each) => each.front.includes(cost))
      .sort((a, b) => a.costs[cost][0] - b.costs[cost][0]);
    const path = front.map((each, n) => {
      const { x: left, y: up } = at(each);
      return n ? `H${left}V${up}` : `M${left} ${up}`;
    }).join("");
    return [
      axes(box, x, y, told.axis + (log ? " (log scale)" : ""), told.show, "accuracy"),
      svg("path", { class: "front", d: path + (front.length ? `H${ends[1]}` : "") }),
      shown.map((each) => point(each, cost, x, y, colours, pick)),
      svg("g", { "aria-hidden": "true" }, names(box, shown.map((each) => ({
        ...at(each), name: front.includes(each) || shown.length <= 9 ? each.label : "" })))),
    ];
  }, `Accuracy against ${told.axis}`, 360);
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
  mark(colour, left, up, 5, entry.baseline)), text);
}

// What the colours mean; pressing a name hides and shows it.
function legend(strategies, colours, hidden, toggle) {
  return el("ul", { class: "legend" }, strategies.map((name) => el("li", null, el("button", {
    type: "button", "aria-pressed": !hidden.has(name), "data-key": `legend:${name}`,
    on: { click: () => toggle(name) },
  }, svg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, mark(colours.get(name), 7, 7, 4.5)),
  name))));
}
