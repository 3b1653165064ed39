// Reading the columns that syncfsm/report/columns.py wrote. Nothing is folded here: every value is looked up.

/** Return how many of the sorted numbers are at most `limit`. */
function countUpTo(sorted, limit) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Return what a column of runs says at a version; undefined before its first. */
function valueAt(runs, version) {
  return runs.values[countUpTo(runs.versions, version) - 1];
}

function versionsOf(columns) {
  return columns.times_us.length;
}

/** Return when an event happened, microseconds since 1970. */
function timeAt(columns, version) {
  return columns.began_us + columns.times_us[version - 1];
}

function typeAt(columns, version) {
  return columns.types[columns.type_of[version - 1]];
}

/** Return the state at a version: the fields of `syncfsm replay --json`. */
function stateAt(columns, version) {
  const state = { version, updated_at: isoTime(timeAt(columns, version)) };
  for (const [name, runs] of Object.entries(columns.fields)) state[name] = valueAt(runs, version);
  return state;
}

/** Return each event's place in a chart, seconds since 1970. Where a clock was set back, the chart waits for it. */
function chartTimes(columns) {
  let latest = -Infinity;
  return columns.times_us.map((us) => {
    latest = Math.max(latest, us);
    return (columns.began_us + latest) / 1e6;
  });
}
