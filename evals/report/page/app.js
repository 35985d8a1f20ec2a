// The page: state, sections, and news where it is served live.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
let data = prepare(read("summary"));
let details = null;
const LIVE = data.live;

const state = {
  facet: "all", search: "", cost: "total", log: true, hidden: new Set(), hiddenRules: new Set(), sort: ["accuracy", true],
  sought: "", outcome: "all", from: 0, theme: "auto", result: null,
};

function prepare(summary) {
  for (const list of ["entries", "problems", "results"]) {
    summary[list].forEach((each, number) => { each.number = number; });
  }
  summary.byProblem = summary.problems.map(() => []);
  for (const each of summary.results) summary.byProblem[each.problem].push(each);
  for (const list of summary.byProblem) list.sort((a, b) => a.entry - b.entry || a.seed - b.seed);
  const budgets = [...new Set(["none", ...summary.entries.map((each) => each.budget)])];
  for (const each of summary.entries) each.ring = budgets.indexOf(each.budget);
  const families = [...new Set(summary.entries.map((each) => each.strategy))];
  summary.colours = new Map(families.map((name, n) => [name, n]));
  const rules = [...new Set(summary.rules.flatMap((each) => each.points.map((p) => p.rule)))];
  summary.ruleColours = new Map(rules.map((name, n) => [name, n]));
  summary.facets = [...new Map(summary.entries.map((each) => [facetOf(each), each])).keys()];
  return summary;
}

function facetOf(entry) { return `${entry.task} · ${entry.model}`; }

function loadDetail(result) {
  if (!LIVE) {
    details = details || read("details");
    return Promise.resolve(details[result.number]);
  }
  const asked = new URLSearchParams({ run: result.run, cell: result.cell,
    example: data.problems[result.problem].id });
  return fetch(`detail.json?${asked}`).catch(() => { throw new Error(SILENT); }).then(answered);
}

const SILENT = "The server does not answer: is tts view still running?";

// A detail, or the error that says why there is none.
async function answered(answer) {
  if (answer.ok) return answer.json();
  const said = (await answer.text()).trim();
  throw new Error(answer.status === 404
    ? `The run store has nothing of this problem now (${said}): it may be another run's by now.`
    : `The server could not read it: ${said || `it says ${answer.status}`}.`);
}

const app = document.getElementById("app");
const parts = {};
for (const name of ["top", "filters", "notes", "fronts", "curves", "rules", "table", "problems", "nav"]) {
  parts[name] = el("div");
}

function chosen() {
  const words = state.search.trim().toLowerCase().split(/\s+/);
  return data.entries.filter((each) => (state.facet === "all" || facetOf(each) === state.facet)
    && words.every((word) => `${each.label} ${each.task} ${each.model}`.toLowerCase().includes(word)));
}

function byFacet(entries, draw) {
  const groups = data.facets.map((facet) => [facet, entries.filter((each) => facetOf(each) === facet)])
    .filter(([, members]) => members.length);
  return el("div", { class: groups.length < 2 ? "facets alone" : "facets" },
    groups.map(([facet, members]) => draw(facet, members, groups.length > 1)));
}

const set = (changes, ...which) => { Object.assign(state, changes); draw(...which); remember(); };

function hide(which, name, part) {
  const hidden = new Set(state[which]);
  if (!hidden.delete(name)) hidden.add(name);
  set({ [which]: hidden }, part);
}

function frontLegend(facet, members) {
  const hollow = new Set(members.filter((each) => each.baseline).map((each) => each.strategy));
  return legend([...new Set(members.map((each) => each.strategy))], data.colours, { hidden: state.hidden,
    hollow, key: facet, rings: [...new Map(members.filter((each) => each.ring > 0)
      .map((each) => [each.ring, `under the budget ${each.budget}`]))], toggle: (name) => hide("hidden", name, "fronts"),
    lines: [[["front"], "the front"], [["whisker"], "95% intervals"],
      ...(hollow.size ? [[[`line thin s${data.colours.get([...hollow][0]) % 8}`], "fewer samples of the baseline"]] : [])] });
}

function remember() {
  const kept = { task: state.facet === "all" ? "" : state.facet, s: state.search, cost: state.cost,
    q: state.sought, ...(state.result || {}), outcome: state.outcome === "all" ? "" : state.outcome };
  const words = new URLSearchParams(Object.entries(kept).filter(([, value]) => value));
  history.replaceState(null, "", `#${words}`);
}

function recall() {
  const words = new URLSearchParams(location.hash.slice(1));
  state.facet = data.facets.includes(words.get("task")) ? words.get("task") : "all";
  state.search = words.get("s") || "";
  state.sought = words.get("q") || "";
  if (Object.hasOwn(COSTS, words.get("cost"))) state.cost = words.get("cost");
  state.outcome = OUTCOMES.some(([name]) => name === words.get("outcome")) ? words.get("outcome") : "all";
  return data.results.find((each) => String(each.run) === words.get("run")
    && each.cell === words.get("cell") && data.problems[each.problem].id === words.get("example"));
}

function go(result) {
  if (!result) return;
  // Not its place in the list, which moves while a bench runs.
  state.result = { run: String(result.run), cell: result.cell, example: data.problems[result.problem].id };
  remember();
  openProblem(data, result, loadDetail, go);
}
dialog.addEventListener("close", () => { state.result = null; tip.hidden = true; remember(); });

// What the provider's bill should say: more than the rows, of which some were replaced or left out.
function paid(runs) {
  const known = runs.map((each) => each.paid).filter(Boolean);
  if (known.length < runs.length) return "";
  const sum = (name) => known.reduce((all, each) => all + each[name], 0);
  const usd = known.every((each) => each.usd !== null) ? `$${short(sum("usd"))}` : "price unknown";
  return `paid in all ${short(sum("tokens"))} tokens, ${usd}`;
}

// A link that is pasted into the address of an open page.
addEventListener("hashchange", () => {
  if (location.hash === "#main") { remember(); return; } // the link that skips to the results
  const linked = recall();
  draw();
  if (linked) go(linked);
  else dialog.close();
});

const drawers = {
  top() {
    const solved = data.entries.reduce((all, each) => all + each.results, 0);
    const planned = data.entries.reduce((all, each) => all + (each.planned ?? each.results), 0);
    const facts = [count(data.entries.length, "entry", "entries"), count(data.problems.length, "problem"),
      planned > solved ? `${solved} of ${count(planned, "run")} finished, figures are provisional` : `${count(solved, "run")} finished`,
      paid(data.runs), [...new Set(data.runs.map((each) => each.version).filter(Boolean))].map((each) => `tts ${each}`).join(", "), `made ${data.made_at.replace("T", " ").replace("+00:00", " UTC")}`];
    show(parts.top, el("header", { class: "top" },
      el("div", null, el("h1", null, data.title),
        el("p", { class: `facts${LIVE ? ` live${data.lost ? " lost" : ""}` : ""}`, role: LIVE && "status" },
          LIVE ? (data.lost ? `no news: ${data.lost} · ` : "live · ") : "", facts.filter(Boolean).join(" · "))),
      choice("Colours", [["auto", "Auto"], ["light", "Light"], ["dark", "Dark"]], state.theme, paint)));
  },
  filters() {
    const facets = [["all", "all tasks and models"], ...data.facets.map((each) => [each, each])];
    show(parts.filters, el("div", { class: "controls" },
      data.facets.length > 1 && picker("Task and model", facets, state.facet,
        (facet) => set({ facet, from: 0 })),
      searchBox("Search strategies", state.search, (search) => set({ search, from: 0 })),
      el("span", { class: "muted small", role: "status" },
        `${chosen().length} of ${count(data.entries.length, "entry", "entries")}`)));
  },
  notes() {
    const { details: without, results, texts, text_bytes: bytes } = data.left_out;
    const sum = (kind) => data.entries.reduce((all, each) => all + each.counts[kind], 0);
    const all = [
      sum("failed") > 0 && `${count(sum("failed"), "run")} failed with an error: no accuracy counts them, and gains hold whatever they would have answered.`,
      sum("unjudged") > 0 && `${count(sum("unjudged"), "answer")} could not be judged, because the checker failed; they do not count as wrong.`,
      sum("unjudged_draws") > 0 && `${count(sum("unjudged_draws"), "drawn candidate")} could not be judged: `
        + "“oracle” takes them for not right, intervals of votes hold whatever they are, and stopping rules are not "
        + "replayed on their problems.",
      results > 0 && `${count(results, "result")} count in the statistics and are not listed below.`,
      texts && "This page holds no text of problems or models: no question, answer, error, prompt or trace. The run store has all.",
      !LIVE && !texts && without > 0 && `Candidates and traces of ${count(without, "listed result")} were left out: `
        + `this page keeps at most ${short(bytes / 1e6)} MB of them. The run store has all.`].filter(Boolean);
    show(parts.notes, el("div", { class: "prose notes" }, el("p", null,
      "Accuracy is the share of problems solved; intervals are at 95%, over problems. Total tokens "
      + "count every call, cancelled ones too; critical tokens are those of the longest chain of calls "
      + "that waited for each other, and seconds what such a chain took when its calls were made."), all.length > 0 && el("p", null, all.join(" "))));
  },
  fronts() {
    show(parts.fronts, heading("Accuracy against cost",
      "The dashed line is the front: nothing here is both cheaper and better than a point on it. The hollow mark is the baseline, self-consistency with all its samples; the thin line is what fewer of them would have reached, over random orders; its end can differ from the mark, where ties go by the order of drawing."),
    el("div", { class: "controls" },
      el("div", { class: "field" }, "Cost", choice("Cost", Object.entries(COSTS).map(([name, told]) =>
        [name, told.name]), state.cost, (cost) => set({ cost }, "fronts"))),
      el("div", { class: "field" }, "Scale", choice("Scale", [[true, "log"], [false, "linear"]],
        state.log, (log) => set({ log }, "fronts")))),
    byFacet(chosen(), (facet, members, several) => el("figure", null, several && el("h3", null, facet),
      scatter(members.filter((each) => !state.hidden.has(each.strategy)),
        data.fronts.find((each) => facetOf(each) === facet && each.cost === state.cost),
        state.cost, state.log, data.colours, (entry) => choose(entry)),
      frontLegend(facet, members))));
  },
  curves() {
    const shown = chosen().filter((each) => each.is_pool && each.curve.length > 1);
    show(parts.curves, shown.length > 0 && heading("What fewer samples would have given",
      "From the stored samples, without a new call: the plain vote of k of them (maj@k), and whether any of k is right (pass@k), what a perfect choice would reach."),
    byFacet(shown, (facet, members, several) =>
      el("div", null, several && el("h3", null, facet), members.map((entry) =>
        curveFigure(entry, data.colours.get(entry.strategy))))));
    parts.curves.parentElement.hidden = !shown.length;
  },
  rules() {
    const wanted = new Set(chosen().map((each) => each.number));
    const shown = data.rules.filter((each) => wanted.has(each.entry));
    const names = (all) => [...new Set(all.map((each) => each.rule))];
    show(parts.rules, shown.length > 0 && heading("What stopping early would have given",
      "Each rule replayed over the stored samples, from its most cautious setting to its boldest. Tokens are of all samples that it would have sent; the hollow mark draws them all."),
    byFacet(shown.map((each) => data.entries[each.entry]), (facet, members, several) =>
      el("div", null, several && el("h3", null, facet), members.map((entry) => {
        const { points: all } = shown.find((each) => each.entry === entry.number);
        return el("figure", null,
          ruleChart(all.filter((each) => !state.hiddenRules.has(each.rule)), data.ruleColours),
          legend(names(all), data.ruleColours, { hidden: state.hiddenRules, hollow: new Set(["never"]),
            key: `rule ${entry.number}`, toggle: (name) => hide("hiddenRules", name, "rules"),
            lines: [[["whisker"], "95% interval of accuracy"]] }), el("figcaption", null,
          `${entry.label}, replayed on ${count(all[0].problems, "problem")}`
            + `${all[0].runs > all[0].problems ? ` in several seeds, ${all[0].runs} runs` : ""}; intervals are over problems.`));
      }))));
    parts.rules.parentElement.hidden = !shown.length;
  },
  table() {
    show(parts.table, heading("All entries",
      "Press a column to sort by it, a strategy to see its settings. A narrow window scrolls the table sideways."),
    data.facets.map((facet) => [facet, chosen().filter((each) => facetOf(each) === facet)])
      .filter(([, members]) => members.length).map(([facet, members]) => [el("h3", null, facet),
        entryTable(members, state, data.colours, (sort) => set({ sort }, "table"), choose)]),
    comparisonNotes(chosen()).map((text) => el("p", { class: "muted small" }, text)),
    parts.settings);
  },
  problems() {
    show(parts.problems, heading("Problems", "A mark for each entry, in the order of the legends above: ✓ right, ✗ wrong, – no answer, ? not judged, ! failed. Press one to see its candidates and calls."),
      problemList(data, chosen(), state, (changes) => set(changes, "problems"), go));
  },
  nav() { // after the sections, as it lists those that there are
    const headings = SECTIONS.filter((name) => !parts[name].parentElement.hidden)
      .map((name) => parts[name].querySelector("h2"));
    show(parts.nav, el("nav", { class: "nav", "aria-label": "Sections" }, headings.map((h2) =>
      el("button", { type: "button", "data-key": `nav:${h2.textContent}`,
        on: { click: () => goTo(h2.getAttribute("data-key")) } }, h2.textContent))));
  },
};

function goTo(key) {
  const h2 = app.querySelector(`h2[data-key="${CSS.escape(key)}"]`);
  h2.scrollIntoView();
  h2.focus({ preventScroll: true });
}

function heading(title, text) {
  return [el("h2", { tabindex: -1, "data-key": `heading:${title}` }, title), el("p", { class: "prose muted" }, text)];
}

parts.settings = el("div", { "aria-live": "polite" });
function choose(entry) {
  show(parts.settings, el("div", { class: "chosen", tabindex: -1 }, el("h3", null, `${entry.label} on ${facetOf(entry)}`),
    el("details", { open: true }, el("summary", null, "Settings"),
      el("pre", { tabindex: 0 }, JSON.stringify(entry.settings, null, 2)))));
  parts.settings.scrollIntoView({ block: "nearest" });
}

function draw(...which) {
  for (const name of which.length ? which : Object.keys(drawers)) drawers[name]();
}

function paint(theme) {
  state.theme = theme;
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
  try { localStorage.setItem("tts-theme", theme); } catch { /* a file may keep nothing */ }
  draw("top");
}

// The server says whether there is something new; a hidden page does not ask.
let tag = "";
async function news() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch("summary.json", { headers: tag ? { "If-None-Match": tag } : {} });
      if (answer.status === 200) {
        tag = answer.headers.get("ETag") || "";
        data = prepare(await answer.json());
        draw();
      } else if (answer.status !== 304) {
        data.lost = (await answer.text()).trim() || `the server says ${answer.status}`;
        draw("top");
      } else if (data.lost) { data.lost = ""; draw("top"); }
    } catch { data.lost = "the server does not answer"; draw("top"); }
  }
  setTimeout(news, 2000);
}

const SECTIONS = ["fronts", "table", "curves", "rules", "problems"];
const section = (name) => el("section", { "data-section": name }, parts[name]);
show(app, parts.top, el("main", { id: "main" },
  parts.notes, parts.nav, el("div", { class: "filters" }, parts.filters), SECTIONS.map(section)),
el("footer", null, "Made by tts. Every number comes from the stored runs; this page asks no server for anything",
  LIVE ? " but its own." : "."), dialog);
try { state.theme = localStorage.getItem("tts-theme") || "auto"; } catch { /* as above */ }
const linked = recall();
if (["light", "dark"].includes(state.theme)) document.documentElement.setAttribute("data-theme", state.theme);
draw();
go(linked);
if (LIVE) setTimeout(news, 2000);
