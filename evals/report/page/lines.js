// Curves from stored samples, and the frontier of stopping rules.
function polyline(points) {
  return points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

function band(sizes, estimates, x, y) {
  const over = sizes.map((size, n) => [x(size), y(estimates[n][2])]);
  const under = sizes.map((size, n) => [x(size), y(estimates[n][1])]).reverse();
  return `${polyline([...over, ...under])}Z`;
}

function sampleCurves(entry, colour) {
  const { curve, saturation } = entry;
  const sizes = curve.map((each) => each.k);
  const fitted = saturation.values || [];
  const beyond = saturation.sizes || sizes;
  const low = Math.min(...curve.map((each) => each.accuracy[1]), ...curve.map((each) => each.pass));
  const high = Math.max(...curve.map((each) => each.accuracy[2]), ...curve.map((each) => each.pass),
    ...fitted);
  return chart((box) => {
    const x = powers(beyond, MARGIN.left + 10, box.width - MARGIN.right - 44);
    const y = shares(low, high, box);
    const line = (of, second) => svg("path", {
      class: `line s${colour % 8}${second ? " second" : ""}`,
      d: polyline(curve.map((each) => [x(each.k), y(of(each))])) });
    const vote = (each) => each.accuracy[0];
    const any = (each) => each.pass;
    const last = curve[curve.length - 1];
    const apart = Math.abs(y(vote(last)) - y(any(last))) > 14 ? 4 : -8;
    return [
      axes(box, x, y, "samples k (log scale)", (size) => size, "accuracy"),
      svg("path", { class: `band f${colour % 8}`,
        d: band(sizes, curve.map((each) => each.accuracy), x, y) }),
      fitted.length > 0 && svg("path", { class: `line fit s${colour % 8}`,
        d: polyline(beyond.map((size, n) => [x(size), y(fitted[n])])) }),
      line(any, true), line(vote),
      curve.map((each) => sampleMark(x(each.k), y(any(each)), colour, true,
        `pass@${each.k}: ${percent(each.pass)}`)),
      curve.map((each) => sampleMark(x(each.k), y(vote(each)), colour, false,
        `maj@${each.k}: ${percent(vote(each))} ${range(each.accuracy, percent)}`)),
      svg("text", { class: "name", x: x(last.k) + 8, y: y(vote(last)) + 14 }, "maj@k"),
      svg("text", { class: "name", x: x(last.k) + 8, y: y(any(last)) + apart }, "pass@k"),
    ];
  }, "Accuracy by number of samples", 300);
}

function sampleMark(x, y, colour, hollow, text) {
  return tipOn(svg("g", { tabindex: 0, role: "img", "aria-label": text },
    svg("circle", { cx: x, cy: y, r: 11, fill: "transparent" }), mark(colour, x, y, 3, hollow)), text);
}

function curveFigure(entry, colour) {
  const { enough } = entry.saturation;
  const said = known(enough) ? ` By the fitted curve (dotted, a Beta mixture of rates), from `
    + `${count(enough, "sample")} on another one adds at most one point of pass@k.` : "";
  const looks = [[[`band f${colour % 8}`, `line s${colour % 8}`], "maj@k, with its 95% band"],
    [[`line second s${colour % 8}`], "pass@k"]];
  if (entry.saturation.values) looks.push([[`line fit s${colour % 8}`], "fitted pass@k"]);
  return el("figure", null, sampleCurves(entry, colour),
    el("ul", { class: "legend", "aria-label": "Legend" }, lineKeys(looks)), el("figcaption", null,
    `${entry.label}: ${count(entry.problems, "problem")}, 95% band of the vote over problems.${said}`));
}

function ruleChart(points, colours, pick) {
  if (!points.length) return el("p", { class: "muted" }, "All rules are hidden: press one below to show it.");
  const low = Math.min(...points.map((each) => each.accuracy[1]));
  const high = Math.max(...points.map((each) => each.accuracy[2]));
  const most = Math.max(...points.map((each) => each.tokens[2]));
  const rules = [...new Set(points.map((each) => each.rule))];
  return chart((box) => {
    const x = linear(0, most * 1.05, MARGIN.left + 4, box.width - MARGIN.right);
    const y = shares(low, high, box);
    const own = (rule) => points.filter((each) => each.rule === rule)
      .sort((a, b) => a.tokens[0] - b.tokens[0]);
    const ends = rules.map((rule) => {
      const first = own(rule)[0];
      return { x: x(first.tokens[0]), y: y(first.accuracy[0]), name: rule };
    });
    return [
      axes(box, x, y, "tokens a problem", (v) => short(v), "accuracy"),
      rules.map((rule) => svg("path", { class: `line s${colours.get(rule) % 8}`,
        d: polyline(own(rule).map((each) => [x(each.tokens[0]), y(each.accuracy[0])])) })),
      points.map((each) => rulePoint(each, x, y, colours, pick)),
      svg("g", { "aria-hidden": "true" }, names(box, ends)),
    ];
  }, "Accuracy of stopping rules against tokens", 320);
}

function rulePoint(each, x, y, colours, pick) {
  const colour = colours.get(each.rule);
  const text = `${each.rule} ${each.setting}: accuracy ${percent(each.accuracy[0])} `
    + `${range(each.accuracy, percent)}, ${short(each.tokens[0])} tokens `
    + `${range(each.tokens, short)}, ${short(each.samples)} ${each.samples === 1 ? "sample" : "samples"} in ${short(each.rounds)} ${each.rounds === 1 ? "round" : "rounds"}`;
  const [left, up] = [x(each.tokens[0]), y(each.accuracy[0])];
  return tipOn(svg("g", { tabindex: 0, role: "img", "aria-label": text },
    svg("line", { class: `whisker faint s${colour % 8}`, x1: left, x2: left,
      y1: y(each.accuracy[1]), y2: y(each.accuracy[2]) }),
    svg("circle", { cx: left, cy: up, r: 10, fill: "transparent" }),
    mark(colour, left, up, 4, each.rule === "never")), text);
}
