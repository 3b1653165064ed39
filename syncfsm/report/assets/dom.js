// Elements and words. Text from the log is only ever added as text: there is no way here to make markup of it.

function byId(id) {
  return document.getElementById(id);
}

/** Make an element; strings among its children become text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

const NUMBERS = new Intl.NumberFormat("en");

function number(value) {
  return NUMBERS.format(value);
}

/** Return an instant as the log writes it: UTC, to the microsecond. JavaScript's own dates end at the millisecond. */
function isoTime(us) {
  const ms = Math.floor(us / 1000);
  return new Date(ms).toISOString().slice(0, -1) + String(us - ms * 1000).padStart(3, "0") + "Z";
}

/** Return `2026-01-01 10:02:03.123`. */
function clockTime(us) {
  return isoTime(us).replace("T", " ").slice(0, -4);
}

function duration(us) {
  const s = us / 1e6;
  if (s < 60) return `${s.toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  return `${number(Math.floor(s / 3600))} h ${Math.floor((s % 3600) / 60)} min`;
}

/** Return a value of the state in words. */
function fieldWords(value) {
  if (value === null) return "–";
  if (typeof value === "number") return number(value);
  if (typeof value === "string") return value.replace(/^(\d{4}-\d\d-\d\d)T/, "$1 ");
  if (typeof value !== "object") return String(value);
  return Object.entries(value).map(([name, part]) => `${name}: ${fieldWords(part)}`).join("; ");
}

function plural(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}
