// A problem in full: its text, what each entry made of it, candidates and calls.
const dialog = el("dialog", { "aria-labelledby": "problem-title" });

function pairs(entries) {
  return el("dl", { class: "pairs" }, entries.filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => [el("dt", null, name), el("dd", null, value)]));
}

const spent = (costs) => Object.entries(COSTS).filter(([name]) => known(costs[name]))
  .map(([name, told]) => `${told.name.toLowerCase()} ${told.show(costs[name])}`).join(" · ");

function openProblem(data, result, loadDetail, go) {
  const problem = data.problems[result.problem];
  const entry = data.entries[result.entry];
  const others = data.byProblem[problem.number];
  const [, tone, words] = verdict(result);
  const body = el("div", { class: "body" });
  const said = el("div", { role: "status", tabindex: -1 });
  const load = () => {
    show(said, el("p", { class: "muted" }, "Loading …"));
    loadDetail(result).then((told) => show(said, told ? detailParts(told) : el("p", { class: "muted" },
      "Its candidates and trace were left out to keep this page small. They are in the run store: make the "
      + "report again with a larger --text-limit, or use tts view.")),
    (error) => show(said, el("p", null, error.message), el("button", { type: "button", "data-key": "again",
      on: { click: () => { said.focus({ preventScroll: true }); load(); } } }, "Try again")));
  };
  const turn = (by) => {
    const next = data.problems[problem.number + by];
    if (!next) return;
    const list = data.byProblem[next.number];
    go(list.find((each) => each.entry === result.entry) || list[0]);
  };
  show(body,
    problem.text && el("pre", { tabindex: 0 }, problem.text),
    pairs([["right answer", problem.answer || null],
      ...Object.entries(problem.extra).map(([name, value]) =>
        [name, typeof value === "object" ? JSON.stringify(value) : String(value)])]),
    el("div", { class: "chips", role: "group", "aria-label": "Entries" }, others.map((each) =>
      el("button", { type: "button", "aria-pressed": each.number === result.number,
        "data-key": `chip:${each.number}`, on: { click: () => go(each) } },
      el("span", { class: verdict(each)[1] === "right" ? "good" : "bad" }, MARKS[verdict(each)[0]]),
      ` ${data.entries[each.entry].label}${data.entries[each.entry].seeds.length > 1
        ? ` · seed ${each.seed}` : ""}`))),
    el("h3", null, entry.label),
    pairs([["answer", [el("strong", { class: tone === "right" ? "good" : tone === "wrong" ? "bad" : "odd" },
      result.answer || (result.answer === null ? ABSTAINED : "left out")), ` (${words}${result.status === "budget_exhausted"
      ? "; the budget ended the run" : ""})`]],
    ["cost", spent(result.costs)], ["calls", result.calls],
    ["error", result.error]]),
    said);
  const key = document.activeElement?.getAttribute("data-key");
  show(dialog, el("div", { class: "bar" },
    el("h2", { id: "problem-title" }, problem.id),
    el("button", { type: "button", "aria-label": "Earlier problem", "data-key": "earlier",
      disabled: problem.number === 0, on: { click: () => turn(-1) } }, "←"),
    el("button", { type: "button", "aria-label": "Next problem", "data-key": "next",
      disabled: problem.number === data.problems.length - 1, on: { click: () => turn(1) } }, "→"),
    el("button", { type: "button", "data-key": "close", on: { click: () => dialog.close() } },
      "Close")), body);
  if (!dialog.open) dialog.showModal();
  (key && dialog.querySelector(`[data-key="${CSS.escape(key)}"]`)
    || dialog.querySelector('[data-key="close"]')).focus({ preventScroll: true });
  dialog.scrollTop = 0;
  load();
}

function detailParts(told) {
  const stopped = told.stopped_by;
  return [
    pairs([
      ["stopped by", stopped && `${stopped.rule}: ${stopped.reason} (${stopped.guarantee || "no guarantee"})`],
      ["not judged", told.check_failure],
      ["replies unread", told.parse_failures || null],
      ["failed calls", told.failed_calls || null],
      ["tried before", told.earlier && `${count(told.earlier.tries, "time")}: `
        + `${count(told.earlier.tokens, "token")} of that were lost, and are part of the cost`
        + (told.earlier.killed ? "; what tries have paid whose worker was killed is not known" : "")]]),
    told.text && el("details", null, el("summary", null, "The completion that carries the answer"),
      el("pre", { tabindex: 0 }, told.text)),
    el("h3", null, "Candidates"), candidates(told),
    el("h3", null, "Calls"),
    told.replayed_calls > 0 && el("p", { class: "muted small" }, `${count(told.replayed_calls, "call")} `
      + "of these had been made before, by another strategy or before the run was resumed: answered at once, and "
      + "paid for at their first price."),
    calls(told),
  ];
}
