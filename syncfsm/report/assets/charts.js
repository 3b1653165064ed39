// The three charts, drawn by uPlot, on one time axis. A mark in each shows the version that is looked at.

const STATES = ["CANCELLED", "FAILED", "COMPLETED", "FETCHING", "INITIALIZING"]; // from the lowest lane up
const AXIS_PX = 96; // one width for all, so that a time is at the same place in each chart
const LANE_PX = 24;

/** A colour of the style sheet, asked for anew at each drawing, so that dark and light are followed. */
function colour(name) {
  return () => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function laneColour(lane) {
  return colour({ waits: "wait", retries: "retry" }[lane] || lane.toLowerCase());
}

function timeTicks(chart, ticks, _axis, _space, increment) {
  return ticks.map((s) => {
    const iso = new Date(s * 1000).toISOString();
    if (increment >= 86400) return iso.slice(5, 10);
    if (increment >= 60) return iso.slice(11, 16);
    return increment >= 1 ? iso.slice(11, 19) : iso.slice(11, 23);
  });
}

function latencyTick(ms) {
  return ms < 1000 ? `${number(ms)} ms` : `${number(ms / 1000)} s`;
}

function axis(extra) {
  const line = { stroke: colour("grid"), width: 1 };
  return { stroke: colour("muted"), grid: line, ticks: line, ...extra };
}

/** Points in time, in the order in which they were added where their times are equal. */
class Points {
  constructor(seriesCount) {
    this.rows = [];
    this.width = seriesCount;
  }

  add(time, series, value) {
    this.rows.push([time, series, value]);
  }

  /** Add a stretch from one time to another, and a gap after it. */
  stretch(from, to, series, value) {
    this.add(from, series, value);
    this.add(to, series, value);
    this.add(to, series, null);
  }

  /** Return what uPlot takes: times, then each series. `undefined` is no point; a gap is `null` up to its end. */
  data() {
    this.rows.sort((one, other) => one[0] - other[0]); // a stable sort
    const columns = Array.from({ length: this.width }, () => new Array(this.rows.length));
    const gap = new Array(this.width).fill(null);
    this.rows.forEach(([, series, value], index) => {
      gap[series] = value === null ? null : undefined;
      columns.forEach((column, other) => {
        column[index] = other === series ? value : gap[other];
      });
    });
    return [this.rows.map((row) => row[0]), ...columns];
  }
}

class Charts {
  constructor(columns, onVersion) {
    this.columns = columns;
    this.onVersion = onVersion;
    this.times = chartTimes(columns);
    // A wait may go on after the last event: the axis then shows it to its end.
    this.end = Math.max(this.times[this.times.length - 1], ...columns.waits.values.slice(-1).map((us) => this.place(us)));
    this.version = 1;
    this.charts = [];
    this.hosts = [];
    this.resizes = new ResizeObserver(() => this.resize());
    this.redraw = () => this.charts.forEach((chart) => chart.redraw());
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", this.redraw);
    this.drawLanes();
    this.drawDelivered();
    this.drawLatency();
    this.afterDrawing();
  }

  /** Return the place of a time, microseconds since the first event, in a chart: seconds since 1970. */
  place(us) {
    return (this.columns.began_us + us) / 1e6;
  }

  /** Show the version again once uPlot is done: it empties its legends when it draws, and when a mouse leaves. */
  afterDrawing() {
    requestAnimationFrame(() => this.show(this.version));
  }

  destroy() {
    this.resizes.disconnect();
    this.dark.removeEventListener("change", this.redraw);
    this.charts.forEach((chart) => chart.destroy());
  }

  /** Move the mark to a version. */
  show(version) {
    this.version = version;
    this.charts.forEach((chart) => this.mark(chart));
  }

  mark(chart) {
    const time = this.times[this.version - 1];
    const { min, max } = chart.scales.x;
    const isSeen = time >= min && time <= max;
    chart.versionMark.hidden = !isSeen;
    if (chart.hasLegend) chart.setLegend({ idx: Math.max(0, countUpTo(chart.data[0], time) - 1) });
    if (isSeen) chart.versionMark.style.transform = `translateX(${chart.valToPos(time, "x")}px)`;
  }

  resize() {
    this.charts.forEach((chart, index) => {
      const width = this.hosts[index].clientWidth;
      if (width && width !== chart.width) chart.setSize({ width, height: chart.height });
    });
  }

  /** Add a chart to the element of that id. */
  draw(id, data, { height, series, yAxis, yScale = {}, legend = true }) {
    const host = byId(id);
    const chart = new uPlot(
      {
        width: host.clientWidth,
        height,
        tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
        cursor: { sync: { key: "report" }, y: false, points: { show: false } },
        legend: { show: legend },
        scales: { x: { range: (_chart, min, max) => this.span(min, max) }, y: yScale },
        axes: [axis({ values: timeTicks, space: 90 }), axis({ size: AXIS_PX, ...yAxis })],
        series: [{ value: (_chart, s) => (s === null ? "–" : clockTime(Math.round(s * 1e6))) }, ...series],
        hooks: { draw: [(drawn) => drawn.versionMark && this.mark(drawn)] },
      },
      data,
      host,
    );
    chart.hasLegend = legend;
    chart.versionMark = element("div", { class: "mark" });
    chart.over.append(chart.versionMark);
    chart.over.addEventListener("click", () => this.choose(chart));
    chart.over.addEventListener("mouseleave", () => this.afterDrawing());
    this.charts.push(chart);
    this.hosts.push(host);
    this.resizes.observe(host);
  }

  /** Return the time axis, with room for what happened first and last; it has some width in any case. */
  span(min, max) {
    const room_s = (max - min) / 100 || 0.5;
    return [min - room_s, max + room_s];
  }

  choose(chart) {
    if (chart.cursor.left < 0) return;
    const time = chart.posToVal(chart.cursor.left, "x");
    this.onVersion(Math.max(1, countUpTo(this.times, time)));
  }

  drawLanes() {
    const { fields, waits } = this.columns;
    const lanes = ["waits", "retries", ...STATES.filter((state) => fields.state.values.includes(state))];
    const points = new Points(lanes.length);
    const last = this.times[this.times.length - 1];
    const at = (version) => this.times[version - 1];
    fields.state.values.forEach((state, index) => {
      const until = fields.state.versions[index + 1];
      const lane = lanes.indexOf(state);
      points.stretch(at(fields.state.versions[index]), until ? at(until) : last, lane, lane);
    });
    waits.versions.forEach((version, index) => {
      points.stretch(at(version), Math.max(at(version), this.place(waits.values[index])), 0, 0);
      points.add(at(version), 1, 1);
    });
    this.draw("lanes", points.data(), {
      height: 60 + LANE_PX * lanes.length,
      legend: false,
      series: lanes.map((lane) => ({
        label: lane,
        stroke: laneColour(lane),
        width: lane === "retries" ? 0 : 10,
        cap: "butt",
        paths: lane === "retries" ? () => null : uPlot.paths.linear({ alignGaps: 0 }),
        points: { show: lane !== "waits", size: 8, width: 0, fill: laneColour(lane), space: 0 },
      })),
      yScale: { range: [-0.6, lanes.length - 0.4] },
      yAxis: { splits: () => lanes.map((_lane, index) => index), values: () => lanes },
    });
    const totals = stateAt(this.columns, versionsOf(this.columns));
    byId("lanes-words").textContent =
      `${totals.state} at the end; ${number(totals.retries)} retries, ` +
      `${number(totals.rate_limited)} of them for rate limits, ${number(totals.waited_s)} s of waiting.`;
  }

  drawDelivered() {
    const { delivered, rejected } = this.columns.fields;
    const end = versionsOf(this.columns);
    const versions = [...new Set([1, ...delivered.versions, ...rejected.versions, end])].sort((a, b) => a - b);
    const stepped = uPlot.paths.stepped({ align: 1 });
    const line = (label, name) => ({
      label,
      class: `of-${name}`,
      stroke: colour(name),
      width: 2,
      paths: stepped,
      points: { show: false },
    });
    const data = [versions.map((version) => this.times[version - 1])];
    for (const runs of [delivered, rejected]) data.push(versions.map((version) => valueAt(runs, version)));
    data.forEach((column, index) => column.push(index ? undefined : this.end));
    this.draw("delivered", data, {
      height: 220,
      series: [line("delivered", "delivered"), line("rejected", "rejected")],
      yScale: { range: (_chart, _min, max) => [0, Math.max(1, max * 1.05)] },
    });
    byId("delivered-words").textContent =
      `${number(valueAt(delivered, end))} delivered and ${number(valueAt(rejected, end))} rejected at the end.`;
  }

  drawLatency() {
    const { fetch_ms, deliver_ms } = this.columns;
    const points = new Points(2);
    [fetch_ms, deliver_ms].forEach((runs, series) => {
      runs.versions.forEach((version, index) => points.add(this.times[version - 1], series, runs.values[index]));
    });
    // The ends of the process, so that all three charts have one axis.
    points.add(this.times[0], 0, undefined);
    points.add(this.end, 0, undefined);
    const dots = (label, name) => ({
      label,
      class: `of-${name}`,
      stroke: colour(name),
      width: 0,
      paths: () => null,
      points: { show: true, size: 4, width: 0, fill: colour(name), space: 0 },
      value: (_chart, ms) => (ms === null || ms === undefined ? "–" : `${number(ms)} ms`),
    });
    this.draw("latency", points.data(), {
      height: 220,
      series: [dots("asking the source", "fetch"), dots("giving to the sink", "deliver")],
      yScale: { range: (_chart, _min, max) => [0, Math.max(1, (max || 0) * 1.05)] },
      yAxis: { values: (_chart, ticks) => ticks.map(latencyTick) },
    });
    byId("latency-words").textContent =
      `${plural(fetch_ms.values.length, "page")} asked for; the slowest took ${number(largest(fetch_ms))} ms ` +
      `from the source, ${number(largest(deliver_ms))} ms into the sink.`;
  }
}

function largest(runs) {
  return runs.values.reduce((most, value) => Math.max(most, value), 0);
}
