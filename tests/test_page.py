"""The page in a real browser: every control, by mouse and by keys, as a file and from a server."""

import json
import time
from urllib.parse import quote

import pytest
from browser import emulate, errors, served, unavailable
from test_report import make
from toy_results import Toy, toys, write_results

from stages.artifacts.results import Results
from stages.report.command import run
from stages.score.command import run as score

REASON = unavailable()
pytestmark = [pytest.mark.timeout(300), pytest.mark.skipif(bool(REASON), reason=REASON)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A page of 4 samples of the toy experiment, one of them failed."""
    return make(tmp_path_factory.mktemp("page")).path


class Page:
    """What a person does with it."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def open(self, address="", *, width=1280, height=860, dark=False):
        emulate(self.driver, width=width, height=height, dark=dark)
        self.driver.get("about:blank")
        errors(self.driver)
        self.driver.get(f"{self.url}{address}")
        self.until("return document.documentElement.dataset.ready === 'true'")
        return self

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def until(self, code, seconds=10):
        end = time.monotonic() + seconds
        while not (found := self.js(code)):
            assert time.monotonic() < end, f"never: {code}\n{errors(self.driver)}"
            time.sleep(0.02)
        return found

    def press(self, *keys):
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        for key in keys:
            ActionChains(self.driver, duration=0).send_keys(getattr(Keys, key, key)).perform()

    def click(self, selector):
        self.until(f"return document.querySelector({json.dumps(selector)}) !== null")
        self.js("document.querySelector(arguments[0]).click()", selector)

    def button(self, text):
        find = "[...document.querySelectorAll('button')].find((one) => one.textContent === arguments[0])"
        self.js(f"{find}.click()", text)

    def sample(self, name, **screen):
        self.open(f"#id={quote(name)}", **screen)
        self.until("return document.querySelector('.sample h2') !== null")
        return self

    @property
    def ids(self):
        return self.js("return [...document.querySelectorAll('.card bdi')].map((one) => one.textContent)")

    @property
    def text(self):
        return self.js("return document.body.innerText")

    @property
    def hash(self):
        return self.js("return decodeURIComponent(location.hash).replaceAll('+', ' ')")

    @property
    def picture(self):
        return self.js("return document.querySelector('.run canvas').toDataURL()")


@pytest.fixture
def page(driver, folder):
    one = Page(driver, (folder / "index.html").as_uri())
    yield one
    assert errors(driver) == [], "the console is silent"


def test_the_most_suspicious_stand_first_and_a_filter_is_in_the_address(page):
    page.open()
    assert page.ids[0] == "../third", "failed samples first"
    page.press("/")
    page.press(*"iou<.6 -is:failed", "ENTER")
    page.until("return document.querySelectorAll('.card').length === 2")
    assert set(page.ids) == {"first", "=fourth"} and "iou<.6 -is:failed" in page.hash
    again = page.js("return location.hash")
    page.open(again)
    assert set(page.ids) == {"first", "=fourth"} and "2 of 4" in page.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("circle", {"first", "second <b>", "../third"}),
        ("word:circ", set()),
        ('phrase:"blue square"', {"first", "../third"}),
        ("tag:small", {"first", "=fourth"}),
        ("is:failed reason:map", {"../third"}),
        ("stage:prompt", {"../third"}),
        ("file:000001", {"second <b>", "=fourth"}),
        ('id:"<b>"', {"second <b>"}),
        ("miou:0.5..0.8", {"first"}),
        ("split:none", set()),
        ("<script>", {"=fourth"}),
    ],
)
def test_filters(page, query, found):
    page.open(f"#q={quote(query)}")
    assert set(page.ids) == found


def test_a_filter_that_makes_no_sense_says_so(page):
    page.open("#q=" + quote("colour:red"))
    assert "there is no column colour" in page.text
    page.open("#q=" + quote("iou<much"))
    assert "much is no number" in page.text


def test_sorting_ranges_and_counts_beside_each_column(page):
    page.open("#sort=miou&order=up")
    assert page.ids[-1] == "second <b>"
    page.click("#order")
    page.until("return document.querySelector('.card bdi').textContent.startsWith('second')")
    page.js(
        "const field = document.querySelector('[aria-label^=\"mIoU, from\"]');"
        "field.value = 0.5; field.dispatchEvent(new Event('change'))"
    )
    page.until("return document.querySelectorAll('.card').length === 2")
    assert "q=miou>=0.5" in page.hash
    bars = "[...document.querySelector('.histogram').querySelectorAll('.now')]"
    full = page.js(f"return {bars}.filter((one) => one.height.baseVal.value > 0).length")
    assert full == 2, "the histogram shows what the filter leaves"
    page.click(".value[title='a blue square']")
    page.until("return document.querySelectorAll('.card').length === 1")
    assert 'phrase:"a blue square"' in page.hash


def test_keys_alone_lead_through_the_samples(page):
    page.open()
    page.press("TAB", "ENTER")  # the link that skips to the samples
    page.press("ARROW_RIGHT", "ENTER")
    page.until("return document.querySelector('.sample h2')?.textContent === 'first'")
    page.press("j")
    page.until("return document.querySelector('.sample h2').textContent === 'second <b>'")
    page.press("k", "k")
    page.until("return document.querySelector('.sample h2').textContent === '../third'")
    page.press("k")
    assert page.hash == "#id=../third", "there is nothing before the first"
    page.press("ESCAPE")
    page.until("return document.activeElement.classList.contains('card')")
    page.press("?")
    assert page.js("return document.getElementById('help').open")
    page.press("ESCAPE")
    assert not page.js("return document.getElementById('help').open")


def test_words_phrases_and_points(page):
    page.sample("first")
    whole = page.picture
    page.click("[data-word='2']")
    heat = page.picture
    assert heat != whole and "Map of “circle”" in page.text
    page.press("s")
    assert page.picture != heat, "the map's cells as they are"
    page.js("document.querySelector('[data-word=\"2\"]').focus()")
    page.press("ARROW_RIGHT")
    assert page.js("return document.activeElement.textContent") == "touches"
    page.press("ESCAPE")
    page.press("1")
    one = page.picture
    assert one != whole and "drawn where this only phrase does not respond" in page.text
    page.press("p")
    assert page.picture != one
    page.press("p", "t")
    assert page.picture != one, "truth is outlined"
    page.press("t", "ESCAPE", "s")
    assert page.picture == whole


def test_a_map_kept_layer_by_layer_has_a_slider_and_says_how_far_its_embedding_went(page):
    page.sample("first")
    page.click("[data-word='2']")
    mean = page.picture
    assert "embedding moved by 0.25 of its length" in page.text and "the mean of 2 maps" in page.text
    page.js("document.querySelector('[aria-label=\"Part of the map\"]').focus()")
    seen = []
    for name in ("up", "down"):
        page.press("ARROW_RIGHT")
        assert page.js("return document.activeElement.getAttribute('aria-valuetext')") == name
        seen.append(page.picture)
    assert seen[0] == mean != seen[1], "the first layer's map is the mean's"
    page.press("ARROW_LEFT", "ARROW_LEFT")
    assert page.picture == mean
    page.open("#q=" + quote("drift>1"))
    assert page.ids == [], "figures are the nouns': no noun begins its text"


def test_a_negative_says_whose_positive_it_is(page):
    page.sample("first")
    explained = page.js(
        "const [run] = open.sample.runs; const target = run.targets[0];"
        "const point = pointsOf(run, {...target, points: [[0.7, 0.5, 0, 28, 34]]})[0];"
        "return [whyPoint(open.sample, point), point.colour === colourOf(run.targets[1])]"
    )
    assert explained == [
        "a positive of “a blue square”, from the map of “square”: what is “a blue square” is not this",
        True,
    ]


def test_a_failed_sample_says_why_and_what_repairs_it(page):
    page.sample("../third")
    assert "Failed in prompt: no map. Look there." in page.text and "snakemake -c2 --forcerun" in page.text
    page.click("nav [data-view='failures']")
    page.until("return document.querySelector('.block') !== null")
    assert "1 in prompt" in page.text
    page.click("ul.plain a")
    page.until("return document.querySelector('.sample h2')?.textContent === '../third'")


def test_marks_are_kept_filtered_by_and_saved(page, downloads):
    page.sample("first")
    page.js("localStorage.clear()")
    page.sample("first")
    page.press("b", "n")
    page.press(*'two, "edges"', "ENTER", "ESCAPE")
    page.open("#q=mark:bad")
    assert page.ids == ["first"], "marks outlive the page"
    page.button("Save CSV")
    end = time.monotonic() + 10
    while not (files := list(downloads.glob("marks-toy*.csv"))) and time.monotonic() < end:
        time.sleep(0.05)
    assert files[0].read_text() == 'sample_id,mark,note\nfirst,bad,"two, ""edges"""\n'
    given = [{"sample_id": "=fourth", "mark": "good"}, {"sample_id": "nobody", "mark": "bad"}]
    assert page.js("return takeMarks(arguments[0])", json.dumps(given)) == 1
    page.js("localStorage.clear()")


def test_a_strip_for_a_paper(page, downloads):
    page.sample("first")
    for form in ("PNG", "SVG"):
        page.js(
            "[...document.querySelectorAll('button')].find((one) => one.textContent === arguments[0]).click()", form
        )
        end = time.monotonic() + 10
        while not (downloads / f"first.{form.lower()}").is_file():
            assert time.monotonic() < end
            time.sleep(0.05)
    drawn = (downloads / "first.svg").read_text()
    assert drawn.count("<image") == 6 and "a red circle touches a blue square" in drawn


def test_what_it_was_made_by(page):
    page.open("#view=about")
    assert "phrases: mIoU" in page.text and "What toy was made by" in page.text and "Suspicion" in page.text
    page.open("#id=nobody")
    page.until("return document.body.innerText.includes('no sample nobody')")


@pytest.mark.parametrize("dark", [False, True])
def test_contrast_and_names_of_controls(page, dark):
    for address in ("", "#id=first", "#view=failures", "#view=about"):
        page.open(address, dark=dark)
        page.until("return document.querySelector('#main').children.length > 0 && !document.querySelector('.loading')")
        assert page.js(CONTRAST) == []
        unnamed = page.js(UNNAMED)
        assert unnamed == []


# Text whose contrast with the nearest opaque ground is below WCAG's 4.5.
CONTRAST = """
const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ground = (one) => {
  for (; one; one = one.parentElement) {
    const colour = parse(getComputedStyle(one).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const says = (one) => [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
const seen = (one) => one.offsetParent !== null && !one.disabled && one.tagName !== "OPTION" && says(one);
return [...document.querySelectorAll("body *")].filter(seen).map((one) => {
  const [a, b] = [light(parse(getComputedStyle(one).color)), light(ground(one))];
  return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.textContent.slice(0, 40)];
}).filter(([ratio]) => ratio < 4.5);
"""
# Controls in sight that a screen reader could not name.
UNNAMED = """
const labelled = (one) => one.getAttribute("aria-label") || one.closest("label")?.textContent.trim();
const named = (one) => one.textContent.trim() || labelled(one);
return [...document.querySelectorAll("button, input, select, a[href]")]
  .filter((one) => one.offsetParent !== null && !named(one)).map((one) => one.outerHTML);
"""


def test_a_phone(page):
    for address in ("", "#id=first", "#view=about"):
        page.open(address, width=390, height=800)
        page.until("return document.querySelector('#main').children.length > 0 && !document.querySelector('.loading')")
        assert page.js("return document.documentElement.scrollWidth") <= 390
    page.open(width=390, height=800)
    page.click("#show-facets")
    assert page.js("return document.querySelector('#facets').getBoundingClientRect().width") > 300


def test_from_a_server_too(driver, folder):
    with served(folder) as url:
        page = Page(driver, f"{url}/index.html").sample("first")
        assert page.picture.startswith("data:image/png")
    assert errors(driver) == []


def test_two_experiments_side_by_side(driver, tmp_path):
    samples = toys()
    write_results(tmp_path, samples)
    grounding = {"kind": "grounding", "replicates": 20}
    samples[1].masks[("phrase", 1)] = samples[1].masks[("phrase", 0)]  # the square becomes the circle
    write_results(tmp_path, samples, experiment="other")
    for name in ("toy", "other"):
        score(root=tmp_path, experiment=name, shards=2, recipe=grounding, output=Results(tmp_path).score(name))
    output = tmp_path / "compare" / "manifest.json"
    run(root=tmp_path, experiment="toy", beside="other", shards=2, recipe={"kind": "page"}, output=output)
    page = Page(driver, (output.parent / "index.html").as_uri()).open("#q=disagreement>0")
    assert page.ids == ["second <b>"]
    page.press("ENTER") if page.js("return document.activeElement.className === 'card'") else page.click(".card")
    page.until("return document.querySelectorAll('.run canvas').length === 2")
    page.press("2")
    first, second = page.js("return [...document.querySelectorAll('.run canvas')].map((one) => one.toDataURL())")
    assert first != second
    assert errors(driver) == []


def test_hostile_words_stay_words(driver, tmp_path):
    text = '"><img src=x onerror=alert(1)> \u202e {{7*7}} </script><script>alert(2)</script> 😀 a cat'
    hostile = Toy(text[:20], text, toys()[3].parse.model_copy(update={"phrases": ()}), toys()[3].truth)
    page = Page(driver, (make(tmp_path, samples=[hostile], scored=False).path / "index.html").as_uri()).open()
    page.click(".card")
    page.until("return document.querySelector('.sample h2') !== null")
    assert page.js("return document.querySelectorAll('img, script:not([src])').length") == 0
    words = page.js("return document.querySelector('.sentence').textContent")
    assert words == text, "emoji do not shift the words"
    assert errors(driver) == []


def test_the_benchmark_measures_a_page(tmp_path, monkeypatch):
    import sys
    from pathlib import Path

    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[1] / "benchmarks"), *sys.path])
    import page

    output = tmp_path / "page.json"
    page.main(["--samples", "3", "--repeats", "1", "--output", str(output)])
    (row,) = json.loads(output.read_text())
    assert row.keys() == {"samples", "load_s", "filter_s", "files", "bytes"} and row["samples"] == 3
