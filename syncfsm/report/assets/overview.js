// All processes of a log, a row each; those that the page carries in full can be opened.

const ROWS_AT_ONCE = 200;

class OverviewView {
  /** `about` is the page's data; `shown` the ids of the processes that can be opened. */
  constructor({ log, overview, shown }) {
    this.log = log;
    this.shown = new Set(shown);
    this.rows = overview.rows.map((row) => Object.fromEntries(overview.names.map((name, i) => [name, row[i]])));
    this.texts = overview.rows.map((row) => row.map(fieldWords).join(" ").toLowerCase());
    this.limit = ROWS_AT_ONCE;
    byId("overview-title").textContent = log;
    byId("overview-note").textContent = this.note(overview.count);
    byId("overview-filter").addEventListener("input", () => this.render());
    byId("overview-more").addEventListener("click", () => {
      this.limit += ROWS_AT_ONCE;
      this.render();
    });
    this.render();
  }

  note(count) {
    const states = new Map();
    for (const row of this.rows) states.set(row.state, (states.get(row.state) || 0) + 1);
    const counts = [...states].map(([state, of]) => `${number(of)} ${state}`).join(", ");
    const listed = this.rows.length < count ? `, the last ${number(this.rows.length)} of them here` : "";
    const kept =
      this.shown.size < this.rows.length
        ? ` ${number(this.shown.size)} can be opened here; the others with \`syncfsm report LOG PROCESS\`.`
        : "";
    return `${plural(count, "process").replace("processs", "processes")}${listed}: ${counts}. The last to begin comes first.${kept}`;
  }

  render() {
    const wanted = byId("overview-filter").value.trim().toLowerCase();
    const found = this.rows.filter((_row, index) => this.texts[index].includes(wanted));
    byId("overview-rows").replaceChildren(...found.slice(0, this.limit).flatMap((row) => this.row(row)));
    byId("overview-more").hidden = found.length <= this.limit;
    byId("overview-count").textContent = `${number(found.length)} of ${number(this.rows.length)}`;
  }

  row(row) {
    const us = (Date.parse(row.updated_at) - Date.parse(row.started_at)) * 1000;
    const count = (value) => element("td", { class: "number" }, number(value));
    const cells = element(
      "tr",
      {},
      element("th", { scope: "row", class: "foreign" }, this.link(row.process)),
      element("td", {}, badge(row.state)),
      element("td", {}, clockTime(Date.parse(row.started_at) * 1000).slice(0, 19)),
      element("td", { class: "number" }, duration(Math.max(0, us))),
      element("td", { class: "foreign" }, this.what(row)),
      ...[row.pages, row.delivered, row.rejected, row.retries, row.version].map(count),
    );
    if (!row.failure) return [cells];
    const failure = element("td", { colspan: 10, class: "foreign failed" });
    showFailure(failure, row.failure);
    return [cells, element("tr", {}, failure)];
  }

  what(row) {
    const of = row.parent ? `rejects of ${row.parent}` : row.object;
    return `${of} of ${row.source} → ${row.sink}`;
  }

  link(process) {
    return this.shown.has(process) ? element("a", { href: placeOf(process) }, process) : process;
  }
}
