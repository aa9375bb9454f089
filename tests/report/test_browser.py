"""A page in a real browser: headless Chromium, driven through a pipe by its own protocol, with no other dependency."""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from eailab.data.registry import load
from eailab.report.write import find_studies, write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

AXE = Path(__file__).parents[2] / ".ci" / "node_modules" / "axe-core" / "axe.min.js"
"""Where `.ci/install` puts it."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install Debian's package chromium")


class Browser:
    """One page in headless Chromium; messages are JSON, each ended by a zero byte."""

    def __init__(self, profile: Path):
        read_by_browser, self.out = os.pipe()
        self.into, written_by_browser = os.pipe()

        # The browser reads commands from its descriptor 3 and answers on 4.
        there = f'exec "$@" 3<&{read_by_browser} 4>&{written_by_browser}'
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        self.process = subprocess.Popen(
            ["bash", "-c", there, "bash", CHROMIUM, *flags, "about:blank"],
            pass_fds=(read_by_browser, written_by_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_by_browser)
        os.close(written_by_browser)
        self.number, self.rest, self.events, self.session = 0, b"", [], None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        """Send a command and return its result; what happens meanwhile is kept in `events`."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, file, width=1280, height=900, scheme="light"):
        """Show a file in a window of a size."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.ask("Page.navigate", url=file.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def run(self, script):
        """Return the value of an expression in the page, a promise's once it is there."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def click(self, selector, number=0):
        """Click on the middle of an element, as a person does."""
        x, y = self.middle(selector, number)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def middle(self, selector, number=0):
        """Return where an element stands in the window, scrolled into view."""
        box = self.run(
            f"(() => {{ const e = document.querySelectorAll({json.dumps(selector)})[{number}];"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return tuple(box)

    def close(self):
        """End the browser."""
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)

    def _next(self):
        while b"\0" not in self.rest:
            data = os.read(self.into, 1 << 20)
            assert data, "the browser has gone"
            self.rest += data
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def report(shop_at, tmp_path_factory):
    """A report over two studies of the real digits, one of which has lost a trial."""
    folder = tmp_path_factory.mktemp("report")
    shop = shop_at(folder / "runs", load("digits"))
    shop.study({32: [0.90, 0.92, 0.91], 9: [0.80, 0.83, 0.81], 100: ["diverged", 0.97, 0.95]})
    shop.study({1e-3: [0.9, 0.91], 1e-2: [0.8, 0.82]}, factor="lr")
    return write_report(find_studies(shop.store, []), folder / "out").files["html"]


def complaints(browser):
    """What the console and the policy said, and what was asked of the network beside the page."""
    said = [event for event in browser.events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
    asked = [event for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    outside = [event for event in asked if not event["params"]["request"]["url"].startswith(("file:", "data:"))]
    return said + outside


FIRST_CELLS = "[...document.querySelectorAll('table.sortable')[0].tBodies[0].rows].map(r => r.cells[%d].innerText)"


def test_a_page_opens_without_a_complaint_and_asks_nothing_of_the_network(browser, report):
    browser.open(report)
    assert browser.run("document.querySelectorAll('article').length") == 2
    assert complaints(browser) == []


def test_the_policy_stops_what_would_load_or_run(browser, report, tmp_path):
    """The same page with an injected script: it does not run, and the browser says so."""
    attacked = tmp_path / "attacked.html"
    injected = "<script>document.title = 'owned'</script><img src='http://127.0.0.1:9/x.png'>"
    attacked.write_text(report.read_text().replace("<main>", f"<main>{injected}"))
    browser.open(attacked)
    assert browser.run("document.title") == "Report"
    assert len(complaints(browser)) >= 2


def test_a_click_on_a_heading_sorts_numbers_as_numbers_and_gaps_last(browser, report):
    browser.open(report)
    browser.click("table.sortable th button", 0)
    assert browser.run(FIRST_CELLS % 0) == ["9", "32 (baseline)", "100"]
    browser.click("table.sortable th button", 3)
    assert browser.run(FIRST_CELLS % 3)[-1] == "-"
    browser.click("table.sortable th button", 3)
    differences = browser.run(FIRST_CELLS % 3)
    assert float(differences[0]) > float(differences[1])
    assert differences[-1] == "-"
    assert browser.run("document.querySelectorAll('table.sortable th')[3].ariaSort") == "descending"


def test_an_arm_is_switched_off_in_all_panels_and_on_again(browser, report):
    browser.open(report)
    hidden = "document.querySelectorAll('#study-1 .curves g[visibility=hidden]').length"
    browser.click("#study-1 input[data-arm='1']")
    assert browser.run(hidden) == 4
    browser.click("#study-1 input[data-arm='1']")
    assert browser.run(hidden) == 0


def test_the_pointer_and_the_arrow_keys_read_values_out(browser, report):
    browser.open(report)
    x, y = browser.middle("#study-1 .curves .plot")
    browser.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    said = browser.run("document.querySelector('#study-1 .readout').innerText")
    assert "epoch 2" in said
    assert "32 (baseline) 60.67%" in said  # two thirds of the mean, as the store was made

    browser.run("document.querySelector('#study-1 .plot').focus()")
    for key in ("ArrowRight", "ArrowRight"):
        browser.ask("Input.dispatchKeyEvent", type="keyDown", key=key)
    assert "epoch 3" in browser.run("document.querySelector('#study-1 .readout').innerText")


def test_the_logarithmic_scale_draws_the_losses_again_and_leaves_accuracies(browser, report):
    browser.open(report)
    paths = "[...document.querySelectorAll('#study-1 .line[d]')].filter(p => p.closest('.plot')).map(p => p.outerHTML)"
    before = browser.run(paths)
    browser.click("#study-1 input.log")
    after = browser.run(paths)
    changed = [a != b for a, b in zip(before, after, strict=True)]
    assert changed == [False] * 6 + [True] * 6 + [False] * 6  # the last are of a figure with a switch of its own
    assert browser.run("document.querySelector('#study-1 .curves').dataset.scale") == "log"


def test_the_script_draws_lines_where_the_page_had_them(browser, report):
    """The same mapping is written in two languages: on the linear scale they agree to the unit."""
    browser.open(report)
    before = browser.run("[...document.querySelectorAll('.plot path')].map(p => p.getAttribute('d'))")
    for _ in range(2):
        browser.click("#study-1 input.log")
    after = browser.run("[...document.querySelectorAll('.plot path')].map(p => p.getAttribute('d'))")
    numbers = [[float(n) for d in paths for n in re.findall(r"[\d.]+", d)] for paths in (before, after)]
    assert len(numbers[0]) > 100
    assert max(abs(a - b) for a, b in zip(*numbers, strict=True)) <= 1.0


def test_the_theme_follows_the_system_until_it_is_chosen(browser, report):
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.open(report)
    light = browser.run(paper)
    browser.open(report, scheme="dark")
    dark = browser.run(paper)
    browser.click("button.theme")
    assert light != dark
    assert browser.run(paper) == light
    assert browser.run("document.querySelector('button.theme').textContent") == "Dark"


@pytest.mark.parametrize("width", [380, 1280])
def test_nothing_is_wider_than_the_window_and_no_text_is_tiny(browser, report, width):
    browser.open(report, width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    smallest = (
        "Math.min(...[...document.querySelectorAll('body *')].filter(e => [...e.childNodes].some(n => "
        "n.nodeType === 3 && n.textContent.trim()) && e.getClientRects().length && e.tagName !== 'SCRIPT')"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert browser.run(smallest) >= 11


def test_a_window_of_a_thousand_pixels_shows_the_notes_of_all_factors(browser, report):
    """They were cut, and reached by scrolling the table."""
    browser.open(report, width=1000)
    assert browser.run("document.querySelectorAll('td.text:last-child').length") > 0
    wide = (
        "[...document.querySelectorAll('.scroll:has(td.text:last-child)')].filter(e => e.scrollWidth > e.clientWidth)"
    )
    assert browser.run(f"{wide}.map(e => e.ariaLabel)") == []


def test_a_narrow_window_cuts_no_verdict_and_breaks_no_word_of_a_heading(browser, report):
    """What does not fit beside these columns is reached by scrolling the table."""
    browser.open(report, width=500)
    right = "Math.max(...[...document.querySelectorAll('td.verdict')].map(e => e.getBoundingClientRect().right))"
    assert browser.run(right) <= 500
    lines = (
        "(() => { const r = document.createRange(); "
        "r.selectNodeContents(document.querySelector('table.sortable th button').firstChild); "
        "return new Set([...r.getClientRects()].map(b => b.top)).size; })()"
    )
    assert browser.run(lines) == 1


def test_all_that_can_be_done_can_be_reached_by_keyboard_and_has_a_name(browser, report):
    browser.open(report)
    nameless = (
        "[...document.querySelectorAll('a, button, input, [tabindex], svg[role=img], img, summary')].filter(e => "
        "!(e.getAttribute('aria-label') || e.getAttribute('alt') || e.innerText || e.labels?.length)).length"
    )
    assert browser.run(nameless) == 0
    assert browser.run("[...document.querySelectorAll('svg')].every(e => e.ariaHidden || e.role === 'img')")
    assert browser.run(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1]).every((l, i, all) => "
        "i === 0 || l <= all[i - 1] + 1)"
    )


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core here: run .ci/install, which takes it from npm")
def test_axe_finds_nothing_that_keeps_a_reader_out(browser, report):
    """Folded parts are opened first; the debugger may run axe although the page's own policy would not."""
    violations = "axe.run({resultTypes: ['violations']}).then(r => r.violations.map(v => [v.impact, v.id, v.help]))"
    for width, scheme in ((1280, "light"), (380, "dark")):
        browser.open(report, width=width, scheme=scheme)
        browser.run("document.querySelectorAll('details').forEach(e => e.open = true)")
        browser.run(AXE.read_text())
        assert browser.run(violations) == [], (width, scheme)


def test_text_stands_out_from_its_background(browser, report):
    """WCAG 2.1, 1.4.3: a contrast of 4.5 or more, in both themes."""
    for scheme in ("light", "dark"):
        browser.open(report, scheme=scheme)
        assert browser.run(CONTRAST) >= 4.5, scheme


CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const c of colours) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  let least = 21;
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.getClientRects().length) continue;
    const behind = [];
    for (let at = e; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(e), ink = e.namespaceURI.endsWith('svg') ? style.fill : style.color;
    const [a, b] = [light(paint(behind)), light(paint([...behind, ink]))].sort((p, q) => q - p);
    least = Math.min(least, (a + .05) / (b + .05));
  }
  return least;
})()"""


def test_a_page_prints_on_a4(browser, report):
    browser.open(report)
    printed = base64.b64decode(browser.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
    assert printed.startswith(b"%PDF")
    width, height = (float(n) for n in re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", printed).groups())
    assert (width / 72 * 25.4, height / 72 * 25.4) == pytest.approx((210, 297), abs=1)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 3
