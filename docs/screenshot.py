"""Takes docs/report.png anew: the report of a simulated bad day, as Chromium shows it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from syncfsm.log import open_log
from syncfsm.report import render
from syncfsm_simulator.runs.run import simulate
from syncfsm_simulator.stage.scenario import load_scenario
from tests.acceptance.browser import browsers

PICTURE = Path(__file__).with_name("report.png")
WIDTH_PX = 1000
SEED = 1


def main() -> None:
    """Simulate, render, look, and keep what is seen above the list of events."""
    with TemporaryDirectory() as folder, open_log(":memory:") as log:
        simulate(load_scenario("flaky-network"), SEED, log)
        page = Path(folder) / "report.html"
        page.write_text(render(log, log_name="sync.db").html, encoding="utf-8")
        for browser in browsers():
            browser.screen(WIDTH_PX, 1000)
            browser.open(page)
            browser.click("#delivered .u-over")
            height_px = browser.run("return document.getElementById('events').offsetTop + 240")
            browser.screen(WIDTH_PX, height_px)
            browser.run("scrollTo(0, 0)")
            browser.later("requestAnimationFrame(() => requestAnimationFrame(done))")
            browser.driver.get_screenshot_as_file(str(PICTURE))


if __name__ == "__main__":
    main()
