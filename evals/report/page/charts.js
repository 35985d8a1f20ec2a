// Scales and axes. A chart is drawn anew for each width, so that its letters keep their size.
const MARGIN = { left: 46, right: 14, top: 24, bottom: 42 };

function chart(draw, label, height = 320) {
  const host = el("div", { class: "plot" });
  let width = 0;
  const redraw = () => {
    const now = Math.round(host.clientWidth);
    if (!now || now === width) return;
    width = now;
    const box = { width, height: Math.round(Math.min(height, Math.max(230, width * 0.72))) };
    show(host, svg("svg", { viewBox: `0 0 ${box.width} ${box.height}`, height: box.height,
      role: "group", "aria-label": label }, draw(box)));
  };
  new ResizeObserver(redraw).observe(host);
  return host;
}

function steps(low, high, wanted) {
  const rough = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) || rough;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) {
    found.push(Number(at.toPrecision(12)));
  }
  return found;
}

function linear(low, high, from, to) {
  const span = high - low || 1;
  const scale = (value) => from + ((value - low) / span) * (to - from);
  scale.ticks = (wanted) => steps(low, high, wanted);
  return scale;
}

function logarithmic(low, high, from, to) {
  const [a, b] = [Math.log(low), Math.log(high)];
  const scale = (value) => from + ((Math.log(Math.max(value, low)) - a) / (b - a || 1)) * (to - from);
  scale.ticks = (wanted) => {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const n of b - a > 5 ? [1] : [1, 2, 5]) {
        const at = n * 10 ** power;
        if (at >= low * 0.999 && at <= high * 1.001) found.push(at);
      }
    }
    return found.length >= 2 && found.length <= wanted * 2 ? found : thin(found, wanted, low, high);
  };
  return scale;
}

function thin(found, wanted, low, high) {
  if (found.length < 2) return steps(low, high, wanted);
  const every = Math.ceil(found.length / wanted);
  return found.filter((_, at) => at % every === 0);
}

function powers(sizes, from, to) { // numbers of samples: 1, 2, 4, ...
  const scale = logarithmic(Math.min(...sizes), Math.max(...sizes), from, to);
  scale.ticks = () => sizes;
  return scale;
}

function shares(low, high, box) { // accuracies, upwards
  const pad = Math.max(0.02, (high - low) * 0.06);
  return linear(Math.max(0, low - pad), Math.min(1, high + pad),
    box.height - MARGIN.bottom, MARGIN.top);
}

function axes(box, x, y, xLabel, showX, yLabel) {
  const floor = box.height - MARGIN.bottom;
  const right = box.width - MARGIN.right;
  const ups = y.ticks(5);
  const digits = ups.length > 1 && ups[1] - ups[0] < 0.0099 ? 1 : 0;
  let last = -Infinity;
  const across = x.ticks(Math.max(3, Math.floor(box.width / 90))).filter((at) => {
    const free = x(at) - last > 34;
    if (free) last = x(at);
    return free;
  });
  return svg("g", { "aria-hidden": "true" },
    ups.map((at) => [
      svg("line", { class: "grid", x1: MARGIN.left, x2: right, y1: y(at), y2: y(at) }),
      svg("text", { x: MARGIN.left - 7, y: y(at) + 4, "text-anchor": "end" }, percent(at, digits)),
    ]),
    across.map((at) => [
      svg("line", { class: "axis", x1: x(at), x2: x(at), y1: floor, y2: floor + 4 }),
      svg("text", { x: x(at), y: floor + 17, "text-anchor": "middle" }, showX(at)),
    ]),
    svg("path", { class: "axis", d: `M${MARGIN.left} ${floor}H${right}` }),
    svg("text", { x: right, y: floor + 35, "text-anchor": "end" }, xLabel),
    yLabel && svg("text", { x: MARGIN.left - 40, y: 11 }, yLabel));
}

const SHAPES = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  (x, y, r) => `M${x} ${y - r * 1.2}L${x + r * 1.1} ${y + r * 0.8}H${x - r * 1.1}Z`,
  (x, y, r) => `M${x} ${y - r * 1.25}L${x + r * 1.25} ${y}L${x} ${y + r * 1.25}L${x - r * 1.25} ${y}Z`,
  (x, y, r) => `M${x - r * 0.9} ${y - r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}Z`,
];

function mark(colour, x, y, r, hollow, ring = 0) { // colours come round again in another shape
  const shape = SHAPES[Math.floor(colour / 8) % SHAPES.length];
  return [svg("path", { class: `mark s${colour % 8} f${colour % 8}${hollow ? " hollow" : ""}`,
    d: shape(x, y, r) }), ring > 0 && ringed(`s${colour % 8}`, x, y, r, ring)];
}

const RINGS = [null, "3 1.6", "1 1.6"]; // dashes: budgets come round again after them

function ringed(colour, x, y, r, ring) {
  return svg("circle", { class: `ring ${colour}`, cx: x, cy: y, r: r + 2.4,
    "stroke-dasharray": RINGS[(ring - 1) % RINGS.length] });
}

// Writes names beside points where there is room; those that find none stay in the tips.
function names(box, wanted) {
  const taken = wanted.map(({ x, y }) => [x - 6, y - 6, x + 6, y + 6]);
  const free = (spot) => spot[0] >= MARGIN.left - 4 && spot[2] <= box.width
    && spot[1] >= 0 && spot[3] <= box.height - MARGIN.bottom + 2
    && taken.every((t) => spot[2] < t[0] || spot[0] > t[2] || spot[3] < t[1] || spot[1] > t[3]);
  return wanted.filter((each) => each.name).map(({ x, y, name }) => {
    const text = name.length > 30 ? `${name.slice(0, 29)}…` : name;
    const long = text.length * 6.8;
    const tries = [[x + 9, y + 4, "start"], [x - 9, y + 4, "end"], [x, y - 11, "middle"],
      [x, y + 18, "middle"], [x + 8, y - 9, "start"], [x - 8, y - 9, "end"],
      [x + 8, y + 16, "start"], [x - 8, y + 16, "end"]];
    for (const [left, base, anchor] of tries) {
      const from = anchor === "start" ? left : anchor === "end" ? left - long : left - long / 2;
      const spot = [from, base - 10, from + long, base + 3];
      if (free(spot)) {
        taken.push(spot);
        return svg("text", { class: "name", x: left, y: base, "text-anchor": anchor }, text);
      }
    }
    return null;
  });
}
