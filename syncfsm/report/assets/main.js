// What is shown is in the address: `#p=PROCESS&v=VERSION`, so that a link in a ticket leads to one moment.

const about = JSON.parse(byId("data").textContent);
let view = null;

function placeOf(process, version) {
  return `#p=${encodeURIComponent(process)}${version ? `&v=${version}` : ""}`;
}

/** Return the process and the version that the address asks for. */
function place() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const process = asked.get("p") ?? (about.overview ? null : about.shown[0]);
  return { index: about.shown.indexOf(process), version: Number(asked.get("v")) || null };
}

function open() {
  const { index, version } = place();
  if (view) view.destroy();
  view = null;
  if (index < 0 && about.overview) {
    byId("overview").hidden = false;
    document.title = about.log;
    return;
  }
  byId("overview").hidden = true;
  const shown = JSON.parse(byId(`data-${Math.max(0, index)}`).textContent);
  const { process } = shown.columns;
  document.title = `${process} in ${about.log}`;
  byId("back").hidden = !about.overview;
  view = new ProcessView(shown, version, (settled) => history.replaceState(null, "", placeOf(process, settled)));
  if (about.overview) byId("title").focus();
}

if (about.overview) new OverviewView(about);
addEventListener("hashchange", open);
open();
