// What was drawn for a problem: how the votes fell, and each candidate in full.
const ABSTAINED = "no answer";

function tally(draws) {
  const counts = new Map();
  for (const draw of draws) {
    const key = draw.key ?? ABSTAINED;
    const held = counts.get(key) || { votes: 0, right: draw.right };
    counts.set(key, { votes: held.votes + 1, right: draw.right });
  }
  const rows = [...counts].sort((a, b) => b[1].votes - a[1].votes);
  const most = Math.max(1, ...rows.map(([, each]) => each.votes));
  return el("div", { class: "tally" }, rows.slice(0, 12).map(([key, each]) => [
    el("span", { class: `key ${tone(each.right)}`, title: key }, key),
    svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { width: (100 * each.votes) / most, height: 10,
        class: each.right === true ? "f2" : "f7" })),
    el("span", { class: "muted" }, count(each.votes, "vote")),
  ]), rows.length > 12 && el("span", { class: "muted" }, `and ${rows.length - 12} more`));
}

const tone = (right) => right === true ? "good" : right === false ? "bad" : "odd";

function candidate(draw, ticket) {
  const word = draw.right === true ? "right" : draw.right === false ? "wrong" : "not judged";
  const facts = [`${draw.prompt_tokens}+${draw.completion_tokens} tokens`,
    known(draw.score) && `score ${short(draw.score)}`,
    known(draw.mean_logprob) && `log-probability ${short(draw.mean_logprob)} a token`];
  return el("details", { class: "candidate" },
    el("summary", null, `#${ticket} `, el("strong", { class: tone(draw.right) },
      draw.answer ?? ABSTAINED), ` ${word} `,
    el("span", { class: "muted" }, facts.filter(Boolean).join(" · "))),
    el("pre", { tabindex: 0 }, draw.text || "(its text was not kept)"));
}

function candidates(told) {
  if (!told.draws.length) return el("p", { class: "muted" }, "This strategy kept no candidates.");
  return [told.draws.length > 1 && tally(told.draws), told.draws.map(candidate)];
}
