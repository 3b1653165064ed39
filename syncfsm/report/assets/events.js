// Every event in a list. Only the rows that can be seen are in the page, so that 20,000 cost no more than 20.

const ROWS_BEYOND = 8; // rows kept ready above and below what is seen

class EventList {
  constructor(columns, onVersion) {
    this.columns = columns;
    this.onVersion = onVersion;
    this.box = byId("events");
    this.space = byId("events-space");
    this.version = 1;
    this.texts = columns.words.map((words, index) => this.text(index + 1, words).toLowerCase());
    this.hidden = new Set();
    this.listening = new AbortController();
    this.isSeen = true;
    this.watch = new IntersectionObserver(([entry]) => this.seen(entry.isIntersecting));
    this.watch.observe(this.box);
    this.makeTypes();
    this.listen();
    byId("filter").value = "";
    this.filter();
  }

  destroy() {
    this.listening.abort();
    this.watch.disconnect();
  }

  /** Return all that can be searched in an event. */
  text(version, words) {
    return `v${version} ${typeAt(this.columns, version)} ${words} ${valueAt(this.columns.meta, version)}`;
  }

  listen() {
    const { signal } = this.listening;
    byId("filter").addEventListener("input", () => this.filter(), { signal });
    this.box.addEventListener("scroll", () => this.render(), { passive: true, signal });
    this.box.addEventListener("click", (event) => this.click(event), { signal });
    this.box.addEventListener("keydown", (event) => this.key(event), { signal });
    addEventListener("resize", () => this.measure(), { signal });
  }

  makeTypes() {
    const counts = new Map();
    for (const type of this.columns.type_of) counts.set(type, (counts.get(type) || 0) + 1);
    const labels = this.columns.types.map((name, type) => {
      const box = element("input", { type: "checkbox", value: name });
      box.checked = true;
      box.addEventListener("change", () => {
        if (box.checked) this.hidden.delete(type);
        else this.hidden.add(type);
        this.filter();
      });
      return element("label", {}, box, ` ${name} `, element("span", {}, number(counts.get(type))));
    });
    byId("types").replaceChildren(element("legend", {}, "Types"), ...labels);
  }

  filter() {
    const wanted = byId("filter").value.trim().toLowerCase();
    const { type_of } = this.columns;
    this.found = [];
    for (let index = 0; index < this.texts.length; index += 1) {
      if (!this.hidden.has(type_of[index]) && this.texts[index].includes(wanted)) this.found.push(index + 1);
    }
    this.box.scrollTop = 0;
    byId("events-count").textContent = `${number(this.found.length)} of ${plural(this.texts.length, "event")}`;
    this.measure();
  }

  /** Find out how high a row is, here and now: the font may have been made larger. */
  measure() {
    this.space.replaceChildren(this.row(1, 0));
    this.rowHeight = this.space.firstChild.offsetHeight || 48;
    this.space.replaceChildren();
    this.rows = new Map(); // the rows that are in the page, by version: none of them is right any more
    this.space.style.height = `${this.found.length * this.rowHeight}px`;
    this.reach();
  }

  render() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.rowHeight) - ROWS_BEYOND);
    const seen = Math.ceil(this.box.clientHeight / this.rowHeight) + 2 * ROWS_BEYOND;
    const versions = this.found.slice(first, first + seen);
    const rows = versions.map((version, index) => this.rows.get(version) ?? this.row(version, first + index));
    const isAsBefore = versions.length === this.rows.size && versions.every((version) => this.rows.has(version));
    if (!isAsBefore) this.space.replaceChildren(...rows);
    this.rows = new Map(versions.map((version, index) => [version, rows[index]]));
    this.choose();
  }

  /** Mark the row of the version as the chosen one, and no other. */
  choose() {
    for (const [version, row] of this.rows) row.setAttribute("aria-selected", version === this.version);
    const chosen = this.rows.get(this.version);
    if (chosen) this.box.setAttribute("aria-activedescendant", chosen.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  row(version, index) {
    const type = typeAt(this.columns, version);
    const words = this.columns.words[version - 1];
    const meta = valueAt(this.columns.meta, version);
    const row = element(
      "div",
      {
        role: "option",
        id: `event-${version}`,
        "aria-posinset": index + 1,
        "aria-setsize": this.found.length,
        "data-version": version,
        "data-type": type,
      },
      element("span", { class: "version" }, `v${version}`),
      element("span", { class: "time" }, clockTime(timeAt(this.columns, version)).slice(11)),
      element("span", { class: "type" }, type),
      element("span", { class: "words foreign" }, meta ? `${words} [${meta}]` : words),
    );
    row.style.top = `${index * this.rowHeight}px`;
    return row;
  }

  /** Show a version, now or once the list is on the screen: drawing it takes longer than all else does. */
  show(version) {
    this.version = version;
    if (this.isSeen) this.reach();
  }

  seen(isSeen) {
    const appeared = isSeen && !this.isSeen;
    this.isSeen = isSeen;
    if (appeared) this.reach();
  }

  /** Mark the row of the version, and bring it into view if it passes the filter. */
  reach() {
    const { version } = this;
    const index = countUpTo(this.found, version) - 1;
    if (this.found[index] === version) this.reveal(index);
    this.render();
  }

  reveal(index) {
    const top = index * this.rowHeight;
    const above = top < this.box.scrollTop;
    const below = top + this.rowHeight > this.box.scrollTop + this.box.clientHeight;
    if (above) this.box.scrollTop = top;
    else if (below) this.box.scrollTop = top + this.rowHeight - this.box.clientHeight;
  }

  click(event) {
    const row = event.target.closest("[data-version]");
    if (row) this.onVersion(Number(row.dataset.version));
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.rowHeight) - 1);
    const last = this.found.length - 1;
    const here = countUpTo(this.found, this.version) - 1; // the row of this version, or the last before it
    const isHere = this.found[here] === this.version;
    const moves = {
      ArrowDown: here + 1,
      ArrowUp: isHere ? here - 1 : here,
      PageDown: here + page,
      PageUp: here - page,
      Home: 0,
      End: last,
    };
    if (!(event.key in moves) || last < 0) return;
    event.preventDefault();
    this.onVersion(this.found[Math.min(last, Math.max(0, moves[event.key]))]);
  }
}
