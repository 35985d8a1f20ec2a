// Elements are made here and nowhere else. Text becomes text nodes: nothing is ever parsed as HTML.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("aria-")) node.setAttribute(name, String(value)); // false is a value there
    else if (value === false) continue;
    else if (name === "on") {
      for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    } else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

const el = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// Replaces a node's content. What had the focus gets it back, found by its data-key.
function show(host, ...children) {
  const held = document.activeElement;
  const key = held && host.contains(held) ? held.getAttribute("data-key") : null;
  const at = held && "selectionStart" in held ? held.selectionStart : null;
  host.replaceChildren();
  fill(host, null, children);
  const again = key && host.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!again) return;
  again.focus({ preventScroll: true });
  if (at !== null && again.type === "search") again.setSelectionRange(at, at);
}

// A group of buttons of which one is pressed.
function choice(label, options, current, pick) {
  return el("div", { class: "choice", role: "group", "aria-label": label },
    options.map(([value, text]) => el("button", {
      type: "button", "aria-pressed": value === current, "data-key": `${label}:${value}`,
      on: { click: () => pick(value) },
    }, text)));
}

function picker(label, options, current, pick) {
  const select = el("select", { "data-key": label, on: { change: () => pick(select.value) } },
    options.map(([value, text]) =>
      el("option", { value, selected: value === current }, text)));
  return el("label", null, label, select);
}

function searchBox(label, current, pick) {
  const box = el("input", {
    type: "search", value: current, "data-key": label, placeholder: "type to search",
    on: { input: () => pick(box.value) },
  });
  return el("label", null, label, box);
}

// One tip for the whole page: shown at what is pointed at or focused, announced by its label.
const tip = el("div", { class: "tip", hidden: true, "aria-hidden": "true" });

function tipOn(node, text) {
  const place = () => {
    tip.textContent = text;
    (node.closest("dialog") || document.body).append(tip);
    tip.hidden = false;
    const box = node.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2),
      document.documentElement.clientWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : box.bottom + 8}px`;
  };
  const hide = () => { tip.hidden = true; };
  node.addEventListener("pointerenter", place);
  node.addEventListener("focus", place);
  node.addEventListener("pointerleave", hide);
  node.addEventListener("blur", hide);
  return node;
}
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true, capture: true });

// What Enter and Space do to a drawn button.
const pressable = (act) => ({
  click: act,
  keydown: (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(event); }
  },
});
