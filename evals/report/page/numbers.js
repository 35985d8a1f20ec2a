// Numbers as a reader wants them.
const NONE = "–";
const MINUS = "\u2212";

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

// Half goes to the even neighbour, as in the table of the terminal: both say the same of 27 in 48.
function rounded(value, digits) {
  const scaled = Math.abs(value) * 10 ** digits;
  const below = Math.floor(scaled);
  const tie = Number.isInteger(value * 2 ** (digits + 1)) && scaled - below === 0.5;
  return tie ? (Math.sign(value) * (below + below % 2) / 10 ** digits).toFixed(digits)
    : value.toFixed(digits);
}

const percent = (share, digits = 1) => known(share) ? `${rounded(100 * share, digits)}%` : NONE;

function points(share) { // a difference of shares, in percentage points
  if (!known(share)) return NONE;
  const value = rounded(100 * share, 1);
  if (Number(value) === 0) return "0.0";
  return value.startsWith("-") ? MINUS + value.slice(1) : `+${value}`;
}

function short(value, digits = 3) {
  if (!known(value)) return NONE;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const [scale, unit] = size >= 1e6 ? [1e6, "M"] : size >= 1e4 ? [1e3, "k"] : [1, ""];
  const scaled = value / scale;
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(scaled))));
  return Number(rounded(scaled, Math.min(places, 6))).toLocaleString("en-US",
    { maximumFractionDigits: 6 }).replace("-", MINUS) + unit;
}

const COSTS = {
  total: { name: "Total tokens", axis: "total tokens a problem", show: (v) => short(v) },
  critical: { name: "Critical tokens", axis: "tokens on the critical path a problem",
    show: (v) => short(v) },
  seconds: { name: "Seconds", axis: "seconds on the longest chain of calls a problem",
    show: (v) => short(v) },
  usd: { name: "Money", axis: "US dollars for 1,000 problems", show: (v) => known(v) ? `$${short(1000 * v)}` : NONE },
};

const range = (estimate, show) => estimate ? `[${show(estimate[1])}, ${show(estimate[2])}]` : "";

const chance = (p) => !known(p) ? NONE : p < 0.001 ? "< .001" : p >= 0.9995 ? "1" : p.toFixed(3).slice(1);

const count = (n, one, many) => `${n.toLocaleString("en-US")} ${n === 1 ? one : many || one + "s"}`;

// Order in which sample10 follows sample9.
const natural = new Intl.Collator("en", { numeric: true }).compare;
