// Curves from stored samples, and the frontier of stopping rules.
function polyline(points) {
  return points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

function band(sizes, estimates, x, y) {
  const over = sizes.map((size, n) => [x(size), y(estimates[n][2])]);
  const under = sizes.map((size, n) => [x(size), y(estimates[n][1])]).reverse();
  return `${polyline([...over, ...under])}Z`;
}

function sampleCurves(curve, colour) {
  const { sizes } = curve;
  const all = [...curve.vote, ...curve.coverage];
  const beyond = curve.fitted.length
    ? [...sizes, sizes[sizes.length - 1] * 2, sizes[sizes.length - 1] * 4] : sizes;
  const low = Math.min(...all.map((each) => each[1]));
  const high = Math.max(...all.map((each) => each[2]), ...curve.fitted);
  const say = (name, estimates, n) => `${name} of ${sizes[n]}: ${percent(estimates[n][0])} `
    + range(estimates[n], percent);
  return chart((box) => {
    const x = powers(beyond, MARGIN.left + 10, box.width - MARGIN.right - 44);
    const y = shares(low, high, box);
    const line = (estimates, second) => svg("path", {
      class: `line s${colour % 8}${second ? " second" : ""}`,
      d: polyline(sizes.map((size, n) => [x(size), y(estimates[n][0])])) });
    const marks = (name, estimates, hollow) => sizes.map((size, n) => tipOn(
      svg("g", { tabindex: 0, role: "img", "aria-label": say(name, estimates, n) },
        svg("circle", { cx: x(size), cy: y(estimates[n][0]), r: 11, fill: "transparent" }),
        mark(colour, x(size), y(estimates[n][0]), 3, hollow)), say(name, estimates, n)));
    const last = sizes.length - 1;
    const apart = Math.abs(y(curve.vote[last][0]) - y(curve.coverage[last][0])) > 14 ? 4 : -8;
    return [
      axes(box, x, y, "samples k (log scale)", (size) => size, "accuracy"),
      svg("path", { class: `band f${colour % 8}`, d: band(sizes, curve.coverage, x, y) }),
      svg("path", { class: `band f${colour % 8}`, d: band(sizes, curve.vote, x, y) }),
      curve.fitted.length && svg("path", { class: `line fit s${colour % 8}`,
        d: polyline(beyond.map((size, n) => [x(size), y(curve.fitted[n])])) }),
      line(curve.coverage, true), line(curve.vote),
      marks("pass@k", curve.coverage, true), marks("maj@k", curve.vote),
      svg("text", { class: "name", x: x(sizes[last]) + 8, y: y(curve.vote[last][0]) + 14 }, "maj@k"),
      svg("text", { class: "name", x: x(sizes[last]) + 8, y: y(curve.coverage[last][0]) + apart },
        "pass@k"),
    ];
  }, "Accuracy by number of samples", 300);
}

function curveFigure(curve, entry, colour) {
  const left = curve.left_out ? ` ${count(curve.left_out, "result")} left out: too few samples, or `
    + "one that could not be judged." : "";
  const enough = known(curve.enough) ? ` By the fitted curve (dotted, a Beta mixture of rates), from `
    + `${count(curve.enough, "sample")} on another one adds at most one point of pass@k.` : "";
  return el("figure", null, sampleCurves(curve, colour), el("figcaption", null,
    `${entry.label}: ${count(curve.problems, "problem")}, 95% bands over problems.${enough}${left}`));
}

function ruleChart(points, colours, pick) {
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
    + `${range(each.tokens, short)}, ${short(each.samples)} samples in ${short(each.rounds)} rounds`;
  const [left, up] = [x(each.tokens[0]), y(each.accuracy[0])];
  return tipOn(svg("g", { tabindex: 0, role: "img", "aria-label": text },
    svg("line", { class: `whisker faint s${colour % 8}`, x1: left, x2: left,
      y1: y(each.accuracy[1]), y2: y(each.accuracy[2]) }),
    svg("circle", { cx: left, cy: up, r: 10, fill: "transparent" }),
    mark(colour, left, up, 4, each.rule === "never")), text);
}
