// A table that sorts: columns are {name, title, value, cell, left}.
function sortable(columns, rows, sort, pick, options = {}) {
  const [by, down] = sort;
  const column = columns.find((each) => each.name === by);
  const rank = (row) => column.value(row);
  const ordered = column ? [...rows].sort((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    if (left === null || left === undefined) return 1;
    if (right === null || right === undefined) return -1;
    const order = typeof left === "string" ? natural(left, right) : left - right;
    return down ? -order : order;
  }) : rows;
  const head = columns.map((each) => el("th", {
    scope: "col", class: each.left && "left", title: each.title,
    "aria-sort": each.name === by ? (down ? "descending" : "ascending") : "none",
  }, el("button", { type: "button", class: "bare", "data-key": `sort:${each.name}`,
    on: { click: () => pick([each.name, each.name === by ? !down : !each.left]) } }, each.name)));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": options.label },
    el("table", null, options.caption && el("caption", null, options.caption),
      el("thead", null, el("tr", null, head)),
      el("tbody", null, ordered.map((row) => el("tr", { class: options.rowClass?.(row) },
        columns.map((each) => el("td", { class: each.left && "left" }, each.cell(row))))))));
}

function whiskers(estimate, low, high, reference) {
  if (!estimate) return NONE;
  const x = (value) => 4 + (102 * (value - low)) / (high - low || 1);
  return svg("svg", { class: "whisk", viewBox: "0 0 110 16", "aria-hidden": "true" },
    known(reference) && svg("line", { x1: x(reference), x2: x(reference), y1: 1, y2: 15 }),
    svg("line", { class: "bar", x1: x(estimate[1]), x2: x(estimate[2]), y1: 8, y2: 8 }),
    svg("circle", { cx: x(estimate[0]), cy: 8, r: 3.2 }));
}

const within = (estimate, tell) => estimate
  ? [tell(estimate[0]), el("span", { class: "range" }, range(estimate, tell))] : NONE;

function entryTable(entries, state, colours, sort, choose) {
  const judged = entries.filter((each) => each.accuracy);
  const low = Math.min(...judged.map((each) => each.accuracy[1]));
  const high = Math.max(...judged.map((each) => each.accuracy[2]));
  const base = entries.find((each) => each.baseline);
  const mean = (name) => ({ value: (e) => e.means[name], cell: (e) => short(e.means[name]) });
  const cost = (name) => ({ value: (e) => e.costs[name]?.[0],
    cell: (e) => within(e.costs[name], COSTS[name].show) });
  const columns = [
    { name: "strategy", left: true, value: (e) => e.label, cell: (e) => entryName(e, colours, choose) },
    { name: "accuracy", value: (e) => e.accuracy?.[0], cell: (e) => within(e.accuracy, percent) },
    { name: "interval", title: "95% bootstrap interval over problems; the line is the baseline",
      value: (e) => e.accuracy?.[1], cell: (e) => whiskers(e.accuracy, low, high, base?.accuracy?.[0]) },
    { name: "gain", title: "Paired difference in percentage points, problem by problem",
      value: (e) => e.difference?.gain[0], cell: gained },
    { name: "p", title: "McNemar's exact test, not corrected for several comparisons",
      value: (e) => e.difference?.p, cell: (e) => chance(e.difference?.p) },
    { name: "total tokens", ...cost("total") },
    { name: "critical tokens", ...cost("critical") },
    { name: "seconds", ...cost("seconds") },
    { name: "USD / 1,000", ...cost("usd") },
    { name: "calls", ...mean("calls") },
    { name: "samples", ...mean("samples") },
    { name: "stopped", title: "Share that a stopping rule ended early", value: (e) => e.stopped / e.results,
      cell: (e) => e.stopped ? percent(e.stopped / e.results, 0) : NONE },
    { name: "n", title: "Problems, and results of all seeds", value: (e) => e.n,
      cell: (e) => e.seeds.length > 1 ? `${e.n} × ${e.seeds.length}` : e.n },
    { name: "not answered", title: "No answer, budget ended, failed runs, failed checks",
      value: (e) => e.counts.no_answer + e.counts.failed + e.counts.check_failed, cell: missing },
  ];
  return sortable(columns, entries, state.sort, sort, { label: "Strategies",
    rowClass: (e) => e.baseline && "base" });
}

function entryName(entry, colours, choose) {
  return el("div", { class: "named" },
    el("span", { class: `swatch b${colours.get(entry.strategy) % 8}`, "aria-hidden": "true" }),
    el("div", null, el("button", { type: "button", class: "bare", "data-key": `entry:${entry.number}`,
      title: "Its settings, and its problems", on: { click: () => choose(entry) } }, entry.label), " ",
    entry.baseline && el("span", { class: "tag" }, "baseline"),
    entry.front.length > 0 && el("span", { class: "tag",
      title: `On the front for ${entry.front.join(", ")}` }, "front")));
}

function gained(entry) {
  if (!entry.difference) return NONE;
  const { gain, better, worse, problems, to } = entry.difference;
  const tone = gain[1] > 0 ? "good" : gain[2] < 0 ? "bad" : null;
  return el("span", { title: `${problems} problems with ${to}: better on ${better}, worse on ${worse}` },
    el("span", { class: tone }, points(gain[0])), el("span", { class: "range" }, range(gain, points)));
}

function missing(entry) {
  const { counts } = entry;
  const parts = [["no_answer", "none"], ["budget_exhausted", "out of budget"], ["failed", "failed"],
    ["check_failed", "unjudged"]].filter(([kind]) => counts[kind])
    .map(([kind, word]) => `${counts[kind]} ${word}`);
  return parts.length ? el("span", { class: "small" }, parts.join(", ")) : NONE;
}
