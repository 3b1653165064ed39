// The slider, and the state at the version it stands at.

const TROUBLES = new Set(["RetryScheduled", "PagesShifted", "RecordRejected", "SyncFailed", "SyncCancelled"]);

class Slider {
  /** `onVersion` is told each version that somebody asks for; `onRest` when they have settled on it. */
  constructor(columns, onVersion, onRest) {
    this.columns = columns;
    this.onVersion = onVersion;
    this.range = byId("version");
    this.number = byId("version-number");
    this.version = 1;
    this.listening = new AbortController();
    this.values = new Map();
    this.makeFields();
    for (const input of [this.range, this.number]) input.max = versionsOf(columns);
    this.on("version", "input", () => onVersion(Number(this.range.value)));
    this.on("version", "change", onRest);
    this.on("version-number", "change", () => {
      onVersion(Number(this.number.value) || this.version);
      onRest();
    });
    this.on("previous", "click", () => onVersion(this.version - 1));
    this.on("next", "click", () => onVersion(this.version + 1));
    this.on("next-trouble", "click", () => this.toTrouble());
    for (const button of ["previous", "next", "next-trouble"]) this.on(button, "click", onRest);
  }

  destroy() {
    this.listening.abort();
  }

  on(id, type, listener) {
    byId(id).addEventListener(type, listener, { signal: this.listening.signal });
  }

  makeFields() {
    const { fields } = this.columns;
    const names = Object.keys(stateAt(this.columns, 1));
    const isFixed = (name) => name in fields && fields[name].values.length === 1;
    names.sort((one, other) => isFixed(one) - isFixed(other)); // what changes comes first
    const pairs = names.map((name) => {
      const value = element("data", { class: "foreign", "data-field": name });
      this.values.set(name, value);
      return element("div", {}, element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, value));
    });
    byId("fields").replaceChildren(...pairs);
  }

  /** Go to the next event that is trouble, from the last one around to the first. */
  toTrouble() {
    const count = versionsOf(this.columns);
    for (let step = 1; step <= count; step += 1) {
      const version = ((this.version - 1 + step) % count) + 1;
      if (TROUBLES.has(typeAt(this.columns, version))) {
        this.onVersion(version);
        return;
      }
    }
  }

  show(version) {
    this.version = version;
    const { columns } = this;
    const state = stateAt(columns, version);
    const count = versionsOf(columns);
    const time = clockTime(timeAt(columns, version));
    const before = version > 1 ? valueAt(columns.fields.state, version - 1) : "(none)";
    this.range.value = version;
    this.number.value = version;
    this.range.setAttribute("aria-valuetext", `version ${version} of ${count}, ${state.state}`);
    byId("previous").disabled = version === 1;
    byId("next").disabled = version === count;
    byId("moment").textContent =
      `${state.state}, ${number(state.delivered)} delivered · ${time} UTC · version ${number(version)} of ${number(count)}`;
    byId("because").textContent =
      `${before} → ${state.state}, because ${typeAt(columns, version)}: ${columns.words[version - 1]}`;
    byId("next-action").textContent = `Next: ${valueAt(columns.next, version)}`;
    for (const [name, value] of Object.entries(state)) this.showField(name, value);
  }

  showField(name, value) {
    const shown = this.values.get(name);
    const json = JSON.stringify(value);
    if (shown.value === json) return;
    shown.value = json; // for machines
    shown.textContent = fieldWords(value); // for people
  }
}
