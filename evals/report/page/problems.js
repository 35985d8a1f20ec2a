// The list of problems, each with a mark for every entry.
const MARKS = { right: "✓", wrong: "✗", unjudged: "?", failed: "!", none: "–" };

function verdict(result) {
  if (result.status === "failed") return ["failed", "wrong", "the run failed"];
  if (result.right === true) return ["right", "right", "right"];
  if (result.answer === null) return ["none", "wrong", "no answer"];
  if (result.right === false) return ["wrong", "wrong", "wrong"];
  return ["unjudged", "unjudged", "not judged: the checker failed"];
}

function markButton(result, entry, open, extra = {}) {
  const [sign, tone, words] = verdict(result);
  const text = `${entry.label}${entry.seeds.length > 1 ? `, seed ${result.seed}` : ""}: ${words}`
    + (result.answer ? `, ${result.answer}` : "");
  return tipOn(el("button", { type: "button", class: `markbox ${tone}`, "aria-label": text,
    "data-key": `mark:${result.number}`, on: { click: open }, ...extra }, MARKS[sign]), text);
}

const OUTCOMES = [
  ["all", "all"], ["split", "entries disagree"], ["wrong", "some wrong"], ["never", "none right"],
  ["always", "all right"], ["odd", "failed or not judged"],
];

function matches(problem, results, state) {
  const right = results.filter((each) => each.right === true).length;
  const odd = results.some((each) => each.status === "failed" || each.right === null);
  const kept = { all: true, split: right > 0 && right < results.length, wrong: right < results.length,
    never: right === 0, always: right === results.length, odd }[state.outcome];
  if (!kept || !results.length) return false;
  const sought = state.sought.trim().toLowerCase();
  if (!sought) return true;
  const said = [problem.id, problem.text, problem.answer, ...Object.values(problem.extra).map(String),
    ...results.map((each) => `${each.answer ?? ""} ${each.error ?? ""}`)].join("\n").toLowerCase();
  return sought.split(/\s+/).every((word) => said.includes(word));
}

const PAGE = 25;

function problemList(data, chosen, state, set, open) {
  const wanted = new Set(chosen.map((each) => each.number));
  const found = data.problems.map((problem) => [problem,
    data.byProblem[problem.number].filter((each) => wanted.has(each.entry))])
    .filter(([problem, results]) => matches(problem, results, state));
  const first = Math.min(state.from, Math.max(0, Math.floor((found.length - 1) / PAGE) * PAGE));
  const part = found.slice(first, first + PAGE);
  const tasks = new Set(data.problems.map((each) => each.task)).size > 1;
  return [
    el("div", { class: "controls" },
      searchBox("Search problems and answers", state.sought, (sought) => set({ sought, from: 0 })),
      picker("Outcome", OUTCOMES, state.outcome, (outcome) => set({ outcome, from: 0 })),
      el("span", { class: "muted small", role: "status" }, count(found.length, "problem"))),
    el("ol", { class: "problems", start: first + 1 }, part.map(([problem, results]) => el("li", null,
      el("div", { class: "what" },
        el("button", { type: "button", class: "bare", "data-key": `problem:${problem.number}`,
          on: { click: () => open(results[0]) } },
        el("strong", null, problem.id), tasks && el("span", { class: "tag" }, problem.task)),
        el("div", { class: "said" }, problem.text),
        problem.answer && el("div", { class: "muted small" }, `right: ${problem.answer}`)),
      el("div", { class: "marks" }, results.map((each) =>
        markButton(each, data.entries[each.entry], () => open(each))))))),
    found.length > PAGE && el("div", { class: "controls" },
      el("button", { type: "button", disabled: first === 0, "data-key": "back",
        on: { click: () => set({ from: first - PAGE }) } }, "← Earlier"),
      el("span", { class: "muted small" }, `${first + 1}–${first + part.length} of ${found.length}`),
      el("button", { type: "button", disabled: first + PAGE >= found.length, "data-key": "on",
        on: { click: () => set({ from: first + PAGE }) } }, "Further →")),
  ];
}
