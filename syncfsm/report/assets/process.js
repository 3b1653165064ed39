// One process: its head, its slider, its charts and its events, which all look at the same version.

class ProcessView {
  /** `onRest` is told the version that somebody has settled on. */
  constructor({ columns, account }, version, onRest) {
    this.columns = columns;
    byId("process").hidden = false; // charts need to know how wide they are
    this.showHead();
    this.showAccount(account);
    const onVersion = (wanted) => this.show(wanted);
    const onSettled = (wanted) => {
      this.show(wanted);
      onRest(this.version);
    };
    this.slider = new Slider(columns, onVersion, () => onRest(this.version));
    this.charts = new Charts(columns, onSettled);
    this.events = new EventList(columns, onSettled);
    this.parts = [this.slider, this.charts, this.events];
    this.show(version || versionsOf(columns));
  }

  destroy() {
    this.parts.forEach((part) => part.destroy());
    byId("process").hidden = true;
  }

  show(wanted) {
    const version = Math.min(versionsOf(this.columns), Math.max(1, Math.round(wanted)));
    this.version = version;
    this.parts.forEach((part) => part.show(version));
  }

  showHead() {
    const { columns } = this;
    const count = versionsOf(columns);
    const last = stateAt(columns, count);
    byId("title").textContent = `${last.object} of ${last.source} → ${last.sink}`;
    byId("subtitle").replaceChildren(
      badge(last.state),
      element("span", { class: "foreign" }, ` process ${columns.process}`),
      ` · began ${clockTime(columns.began_us)} UTC · took ${duration(Math.max(0, columns.times_us[count - 1]))}`,
      ` · ${plural(count, "event")} · ${number(last.delivered)} delivered · ${number(last.rejected)} rejected`,
    );
    showFailure(byId("failure"), last.failure);
  }

  showAccount(sections) {
    const parts = sections.flatMap(({ heading, sentences }) => [
      element("dt", {}, heading),
      ...sentences.map((sentence) => element("dd", { class: "foreign" }, sentenceOf(sentence))),
    ]);
    byId("account").hidden = parts.length === 0;
    byId("account-sections").replaceChildren(...parts);
  }
}

/** Commands are indented. */
function sentenceOf(sentence) {
  return sentence.startsWith("    ") ? element("code", {}, sentence.trim()) : sentence;
}

function badge(state) {
  return element("span", { class: "badge", "data-state": state }, state);
}

function showFailure(shown, failure) {
  shown.hidden = !failure;
  if (!failure) return;
  const after = failure.resumable ? "It can be resumed: run its sync again." : "Going on would not help.";
  shown.textContent = `It failed to ${failure.action} (${failure.reason}): ${failure.error} ${after}`;
}
