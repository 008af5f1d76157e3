"""The page of `pirig inspect` in a real headless Chromium, without a network (`make test-browser`)."""

import time

import pytest

from pirig.cli import main
from tests.datasets.kinova_recordings import make_recording, write_recording

pytestmark = pytest.mark.browser
FILLED = """node => { const data = node.getContext("2d").getImageData(0, 0, node.width, node.height).data;
    let count = 0; for (let i = 3; i < data.length; i += 4) count += data[i] > 40; return count / (node.width * node.height); }"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    episodes = [make_recording(seed, 24 - seed) for seed in range(4)]
    tasks = ["Put the mug on the plate."] * 3 + ["Hang the <b>mug</b> up."]
    write_recording(folder / "arm", version="v3.0", video=True, episodes=episodes, task=tasks)
    assert main(["inspect", str(folder / "arm"), "--html", str(folder / "page.html")]) == 0
    return folder / "page.html"


@pytest.fixture
def page(browser, file):
    """The open page; nothing that it asks leaves the file, and no script of it fails."""
    asked, errors = [], []
    context = browser.new_context(viewport={"width": 1360, "height": 900}, offline=True)
    context.on("request", lambda request: asked.append(request.url))
    opened = context.new_page()
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.goto(file.as_uri())
    opened.wait_for_selector("html[data-ready]")
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()] and errors == []


def wait(page, expression, seconds=30):
    """(Playwright's own waiting evaluates a string, which the page's policy forbids.)"""
    until = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < until, expression
        page.wait_for_timeout(20)


def shown(page):
    return int(page.locator("#clock").inner_text().split()[1])


def test_an_episode_plays_with_its_numbers(page):
    assert shown(page) == 0 and "Put the mug" in page.locator("#said").inner_text()
    assert page.locator("#views figcaption").all_inner_texts() == ["base", "wrist"]
    before = page.locator("#views img").first.get_attribute("src"), page.locator(".keys b").first.inner_text()
    page.locator("#speed").select_option("4")
    page.locator("#play").click()
    wait(page, "document.getElementById('play').textContent === 'Play'")
    assert shown(page) == int(page.locator("#scrub").get_attribute("max")) >= 20
    after = page.locator("#views img").first.get_attribute("src"), page.locator(".keys b").first.inner_text()
    assert before[0] != after[0] and before[1] != after[1]
    wait(page, "[...document.querySelectorAll('#views img')].every(one => one.complete && one.naturalWidth > 0)")


def test_a_chart_and_the_slider_seek(page):
    box = page.locator(".trace svg").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    assert 9 <= shown(page) <= 13
    page.locator("#scrub").focus()
    page.keyboard.press("Home")
    assert shown(page) == 0
    page.keyboard.press("ArrowRight")
    assert shown(page) == 1
    cursors = page.locator(".trace .cursor").evaluate_all("all => all.map(one => one.getAttribute('x1'))")
    assert cursors == ["1", "1"]


def test_a_name_hides_its_line_and_scales_the_others(page):
    trace = page.locator(".trace").first
    before = trace.locator("path").nth(1).get_attribute("d")
    names = trace.locator(".keys button")
    for number in (0, *range(2, names.count())):
        names.nth(number).click()
    assert trace.locator("path").first.evaluate("one => getComputedStyle(one).display") == "none"
    heights = [float(part.split()[1]) for part in trace.locator("path").nth(1).get_attribute("d")[1:].split("L")]
    assert min(heights) == 4 and max(heights) == 96
    for number in (0, *range(2, names.count())):
        names.nth(number).click()
    assert trace.locator("path").nth(1).get_attribute("d") == before


def test_every_number_has_a_card_that_is_drawn(page):
    cards = page.locator(".column").first.locator(".dim")
    assert cards.count() == 8
    for number in range(8):
        assert cards.nth(number).locator("canvas").evaluate(FILLED) > 0.02
    light = page.locator(".dim canvas").first.evaluate("one => one.toDataURL()")
    page.locator("#theme").click()
    assert page.locator(".dim canvas").first.evaluate("one => one.toDataURL()") != light


def test_episodes_frames_sentences_and_gates_are_there(page):
    assert page.locator("#bars rect").count() == 4 and page.locator("#bars rect.on").count() == 1
    assert page.locator("#prompts tbody tr").count() == 2
    assert "Hang the <b>mug</b> up." in page.locator("#prompts").inner_text()
    assert page.locator(".pair").count() == 4 and page.locator(".pair").first.locator("img").count() == 4
    assert page.locator(".strip img").count() == 4 * 2 * 10
    page.locator("#looks").scroll_into_view_if_needed()
    assert page.locator(".asked li").count() >= 3 and page.locator("#tiles dd").first.inner_text() == "4"
    page.locator("#bars rect").nth(2).hover()
    assert page.locator("#tip").inner_text().startswith("Episode 2: 22 frames")


def test_no_element_is_wider_than_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
