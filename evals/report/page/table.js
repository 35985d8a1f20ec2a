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

const EQUAL = [["total", "total"], ["critical", "critical"], ["usd", "money"]];

const within = (estimate, tell) => estimate
  ? [tell(estimate[0]), el("span", { class: "range" }, range(estimate, tell))] : NONE;

// With what it were if all runs without a verdict were wrong, where there are any.
function accuracy(entry) {
  const open = entry.counts.failed + entry.counts.unjudged;
  const worst = open > 0 && entry.at_worst !== null && el("span", { class: "range",
    title: "If all that failed or could not be judged were wrong" }, `at worst ${percent(entry.at_worst)}`);
  return [within(entry.accuracy, percent), worst].flat();
}

function entryTable(entries, state, colours, sort, choose) {
  const judged = entries.filter((each) => each.accuracy);
  const low = Math.min(...judged.map((each) => each.accuracy[1]));
  const high = Math.max(...judged.map((each) => each.accuracy[2]));
  const base = entries.find((each) => each.baseline);
  const cost = (name) => ({ value: (e) => e.costs[name]?.[0],
    cell: (e) => e.problems < 2 && e.costs[name] ? COSTS[name].show(e.costs[name][0])
      : within(e.costs[name], COSTS[name].show) }); // one problem has no interval
  const columns = [
    { name: "strategy", left: true, value: (e) => e.label, cell: (e) => entryName(e, colours, choose) },
    { name: "accuracy", value: (e) => e.accuracy?.[0], cell: accuracy },
    { name: "interval", title: "95% bootstrap interval over problems; the line is the baseline",
      value: (e) => e.accuracy?.[1], cell: (e) => whiskers(e.accuracy, low, high, base?.accuracy?.[0]) },
    ...EQUAL.filter(([kind]) => entries.some((e) => e.equal[kind])).map(([kind, word]) => ({
      name: `gain, equal ${word}`, value: (e) => e.equal[kind]?.gain[0],
      title: `Percentage points more than plain votes of as many samples as cost the same ${word} tokens`,
      cell: (e) => gained(e.equal[kind]) })),
    { name: "total tokens", ...cost("total") },
    { name: "critical tokens", ...cost("critical") },
    { name: "seconds", title: "Seconds on the longest chain of calls, as first measured",
      ...cost("seconds") },
    { name: "USD / 1,000", ...cost("usd") },
    { name: "n", title: "Runs with a verdict", value: (e) => e.n, cell: (e) =>
      e.planned > e.results ? [e.n, el("span", { class: "range" }, `${e.results} of ${e.planned} run`)]
        : e.seeds.length > 1 ? [e.n, el("span", { class: "range" }, `${e.seeds.length} seeds`)] : e.n },
    { name: "failures", title: "Runs without answer, out of budget, failed, or not judged",
      value: (e) => e.counts.no_answer + e.counts.failed + e.counts.unjudged, cell: missing },
    { name: "calls", value: (e) => e.calls, cell: (e) => short(e.calls) },
    { name: "samples", value: (e) => e.samples, cell: (e) => short(e.samples) },
    { name: "oracle", title: "Share of problems that any candidate solved", value: (e) => e.oracle,
      cell: (e) => percent(e.oracle) },
    { name: "stopped", title: "Share that a stopping rule ended early",
      value: (e) => stops(e) / e.results,
      cell: (e) => stops(e) ? percent(stops(e) / e.results, 0) : NONE },
  ];
  return sortable(columns, entries, state.sort, sort, { label: "Strategies",
    rowClass: (e) => e.baseline && "base" });
}

const FRONTS = { total: "total", critical: "critical", seconds: "seconds", usd: "money" };

function entryName(entry, colours, choose) {
  return el("div", { class: "named" },
    svg("svg", { class: "sign", viewBox: "0 0 14 14", "aria-hidden": "true" },
      mark(colours.get(entry.strategy), 7, 7, entry.ring ? 4 : 4.5, entry.baseline, entry.ring)),
    el("div", null, el("button", { type: "button", class: "bare", "data-key": `entry:${entry.number}`,
      title: "Its settings, and its problems", on: { click: () => choose(entry) } }, entry.label), " ",
    entry.baseline && el("span", { class: "tag" }, "baseline"),
    entry.front.length > 0 && el("span", { class: "tag",
      title: "By these estimates nothing here is both cheaper and better; its gain says how certain that is" }, `front: ${entry.front.map((cost) => FRONTS[cost]).join(", ")}`)));
}

const stops = (entry) => Object.values(entry.stopped).reduce((all, each) => all + each, 0);

function gained(equal) {
  if (!equal) return NONE;
  const tone = equal.is_result && !equal.is_split ? (equal.gain[0] > 0 ? "good" : "bad") : null;
  const off = `${equal.off > 0 ? "+" : ""}${short(100 * equal.off, 2)}%`;
  const marks = [equal.note && `${equal.note} ${off}`, equal.is_split && "signs differ"].filter(Boolean);
  return el("span", { title: `${equal.pairs} pairs; better on ${equal.better} problems, worse on `
    + `${equal.worse}; a true gain of ${points(equal.detectable)} would probably show` },
  el("span", { class: tone }, points(equal.gain[0])),
  el("span", { class: "range" }, range(equal.gain, points)),
  el("span", { class: "range" }, `${equal.better}:${equal.worse}`),
  el("span", { class: "range" },
    `N ${short(equal.samples, 2)}${marks.length ? ` (${marks.join(", ")})` : ""}, p ${chance(equal.p_holm)}`),
  equal.left_out > 0 && el("span", { class: "range" }, `${count(equal.left_out, "run")} left out`),
  equal.failed > 0 && el("span", { class: "range" }, `${count(equal.failed, "run")} failed`),
  equal.unjudged > 0 && el("span", { class: "range" }, `${count(equal.unjudged, "pair")} not judged`));
}

function missing(entry) {
  const words = { no_answer: "without answer", exhausted: "out of budget", failed: "failed",
    unjudged: "not judged", unjudged_draws: "candidates not judged", unread: "replies unread", failed_calls: "calls failed" };
  const one = { unjudged_draws: "candidate not judged", unread: "reply unread", failed_calls: "call failed" };
  const parts = Object.entries(words).filter(([kind]) => entry.counts[kind])
    .map(([kind, word]) => `${entry.counts[kind]} ${entry.counts[kind] === 1 ? one[kind] || word : word}`);
  return parts.length ? parts.map((part) => el("span", { class: "range" }, part)) : NONE;
}

// What the comparisons of a table can and cannot say.
function comparisonNotes(entries) {
  const all = entries.flatMap((each) => Object.values(each.equal));
  const whose = new Map();
  entries.forEach((each) => Object.entries(each.unequal).forEach(([kind, why]) => {
    const place = `No comparison at equal ${new Map(EQUAL).get(kind) || kind}\n${why}`;
    whose.set(place, [...(whose.get(place) || []), each.label]);
  }));
  const without = [...whose].map(([place, labels]) =>
    `${place.split("\n")[0]} for ${[...new Set(labels)].join(", ")}: ${place.slice(place.indexOf("\n") + 1)}.`);
  if (!all.length) return without;
  const least = Math.min(...all.map((each) => each.detectable));
  const most = Math.max(...all.map((each) => each.detectable));
  const size = (share) => rounded(100 * share, 1);
  const asked = `${least === most ? size(least) : `${size(least)} to ${size(most)}`} points`;
  const left = all.some((each) => each.left_out) ? ["Left out of a comparison are runs whose problem has "
    + "no pool of the baseline's samples, or lost more than a tenth of it: there is nothing to pair them with."] : [];
  return [...without, ...left, `Under a gain, better:worse are the problems that the strategy wins and loses. Gains are paired, problem by problem, with plain votes of N of the baseline's samples, `
    + `which cost the same on average; "capped" means that even all of them cost less, "dearer" that even one `
    + `costs more, "signs differ" that the strategy is better on average over votes in random orders, and worse than one `
    + `vote in the order of drawing, or the other way round: believe neither there. The others are coloured where the 95% interval leaves out zero, which some do by chance among so many. p is of the mean difference from that one vote, by the sign-flip test (with one seed, McNemar's exact test), `
    + `adjusted by Holm for all comparisons of a run; a budget that changed nothing is no further one. `
    + `A strategy that is that vote itself differs from it nowhere, and its gain is luck.`,
  `With so many problems a true gain of ${asked} would show with a chance of 80% in p, if nothing else differs; smaller ones `
    + "probably would not: no difference seen is not no difference."];
}
