// The trace of a solved problem: who called when (a Gantt chart), and the tree of its spans.
const MOST_BARS = 400;
const ROW = 15;

const isFine = (call) => call.outcome === "stop" || call.outcome === "length";

const callWords = (call) => `${call.role} #${call.ticket} on ${call.name || call.model}: ${call.outcome}, `
  + `${call.prompt_tokens}+${call.completion_tokens} tokens, ${short(call.end - call.start)} s`
  + (known(call.seconds) ? `: kept, took ${short(call.seconds)} s when made` : "")
  + (call.cached ? ", from a cache" : "") + (call.attempts > 1 ? `, sent ${call.attempts} times` : "");

function gantt(calls, roles, pick) {
  const shown = calls.slice(0, MOST_BARS);
  const first = Math.min(...calls.map((each) => each.start));
  const last = Math.max(...calls.map((each) => each.end));
  const host = el("div", { class: "plot gantt" });
  let width = 0;
  const draw = () => {
    const now = Math.round(host.clientWidth);
    if (!now || now === width) return;
    width = now;
    const x = linear(first, last, 4, width - 6);
    const height = shown.length * ROW + 24;
    const ticks = linear(0, last - first, 4, width - 6);
    show(host, svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "group",
      "aria-label": "Calls in time" },
    ticks.ticks(Math.max(2, Math.floor(width / 110))).map((at) => [
      svg("line", { class: "grid", x1: ticks(at), x2: ticks(at), y1: 0, y2: height - 20 }),
      svg("text", { x: ticks(at), y: height - 6, "text-anchor": at ? "middle" : "start" },
        `${short(at)} s`)]),
    shown.map((call, n) => tipOn(svg("g", { tabindex: 0, role: "button",
      "aria-label": callWords(call), "data-key": `call:${n}`, on: pressable(() => pick(call)) },
    svg("rect", { x: 0, y: n * ROW, width, height: ROW, fill: "transparent" }),
    svg("rect", { x: x(call.start), y: n * ROW + 2, rx: 2, height: ROW - 4,
      width: Math.max(2.5, x(call.end) - x(call.start)),
      class: `call ${isFine(call) ? `f${roles.indexOf(call.role) % 8}` : "failed"}` })),
    callWords(call)))));
  };
  new ResizeObserver(draw).observe(host);
  return host;
}

function callText(call, prompts) {
  const prompt = prompts[call.prompt_digest];
  const texts = Array.isArray(call.text) ? call.text : [call.text];
  return el("div", { class: "chosen", tabindex: -1 },
    el("p", { class: "small" }, el("strong", null, callWords(call)), el("br"), call.span),
    prompt ? prompt.map((message) => [el("div", { class: "muted small" }, `prompt, ${message.role}`),
      el("pre", { tabindex: 0 }, message.content)])
      : el("p", { class: "muted small" }, "The prompt was not kept; its digest is ",
        call.prompt_digest || NONE, ". Keep texts in the suite to see it."),
    texts.some((each) => each) && texts.map((each, n) => [
      el("div", { class: "muted small" }, texts.length > 1 ? `completion ${n + 1}` : "completion"),
      el("pre", { tabindex: 0 }, each ?? ABSTAINED)]));
}

function spanTree(trace, pick) {
  const spans = new Map();
  const at = (path) => {
    if (!spans.has(path)) spans.set(path, { path, span: null, inner: [], records: [] });
    return spans.get(path);
  };
  for (const record of trace) {
    if (record.event === "span") at(record.path).span = record;
    else if (typeof record.span === "string") at(record.span).records.push(record);
  }
  const roots = [];
  for (const node of [...spans.values()].sort((a, b) => natural(a.path, b.path))) {
    let path = node.path;
    while (path.includes("/") && !spans.has(path = path.slice(0, path.lastIndexOf("/")))) { /* up */ }
    (path !== node.path && spans.has(path) ? spans.get(path).inner : roots).push(node);
  }
  return el("div", { class: "tree" }, roots.map((node) => branch(node, pick, 0)));
}

function totals(node) {
  const own = node.records.filter((each) => each.event === "call");
  const inner = node.inner.map(totals);
  const sum = (part, of) => inner.reduce((all, each) => all + each[part], of);
  return { calls: sum("calls", own.reduce((all, each) => all + (each.n || 1), 0)),
    tokens: sum("tokens", own.reduce((all, c) => all + c.prompt_tokens + c.completion_tokens, 0)) };
}

function branch(node, pick, depth) {
  const { calls, tokens } = totals(node);
  const critical = node.span ? `, critical path ${short(node.span.critical_tokens, 5)}` : ", unfinished";
  return el("details", { open: depth < 2 },
    el("summary", null, el("strong", null, node.path), " ",
      el("span", { class: "muted" }, `${count(calls, "call")}, ${short(tokens, 5)} tokens${critical}`)),
    node.records.map((record) => record.event === "call"
      ? el("button", { type: "button", class: "bare", on: { click: () => pick(record) } },
        callWords(record))
      : el("p", { class: "small" }, remark(record))),
    node.inner.map((each) => branch(each, pick, depth + 1)));
}

function remark(record) {
  if (record.event === "stop") {
    return [el("strong", null, `stopped by ${record.rule}`),
      `: ${record.reason} (${record.guarantee || "no guarantee"})`];
  }
  const told = Object.entries(record).filter(([name]) => !["event", "span", "steps"].includes(name))
    .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  const text = told.join(" · ");
  return [el("strong", null, record.event), ` ${text.length > 300 ? `${text.slice(0, 299)}…` : text}`];
}

function calls(told) {
  const made = told.trace.filter((each) => each.event === "call")
    .sort((a, b) => a.start - b.start || a.ticket - b.ticket);
  if (!made.length) return el("p", { class: "muted" }, "No trace was kept of this problem.");
  const roles = [...new Set(made.map((each) => each.role))];
  const chosen = el("div", { "aria-live": "polite" });
  const pick = (call) => { show(chosen, callText(call, told.prompts)); chosen.scrollIntoView({ block: "nearest" }); };
  return [
    el("ul", { class: "legend" }, roles.map((role, n) => el("li", { class: "small" },
      el("span", { class: `swatch b${n % 8}`, "aria-hidden": "true" }), role))),
    gantt(made, roles, pick),
    made.length > MOST_BARS && el("p", { class: "muted small" },
      `The first ${MOST_BARS} of ${made.length} calls; the tree has all.`),
    el("p", { class: "muted small" }, "Press a bar, or a call below, to read its prompt and text."),
    chosen,
    spanTree(told.trace, pick),
  ];
}
