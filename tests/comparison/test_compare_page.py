"""The page in a real headless Chromium: every control, videos, no request to anywhere, 3 and 300 runs."""

import time

import pytest

from pirig.comparison.collect import collect
from pirig.comparison.compare import Comparison
from pirig.comparison.page.build import write_page
from tests.comparison.run_folders import RunFolders

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    folders = RunFolders(tmp_path_factory.mktemp("three"))
    folders.write("h20", {"horizon.steps": 20}, policy=(28, 40), videos=True)
    folders.write("h10", {"horizon.steps": 10}, policy=(3, 40), videos=True, skipped=["transforms"])
    folders.write("h10b", {"horizon.steps": 10, "train.seed": 1}, policy=(5, 40), videos=True)
    folders.data_set()
    return written(folders)


@pytest.fixture(scope="module")
def three_hundred(tmp_path_factory):
    folders = RunFolders(tmp_path_factory.mktemp("many"))
    for place in range(300):
        if place < 30:
            settings = {
                "horizon.steps": (10, 16, 20)[place % 3],
                "schedule.peak_lr": 1e-4 * (1 + place % 5),
                "train.seed": place,
            }
            folders.write(f"run{place:03d}", settings, policy=(place * 7 % 41, 40), steps=2000)
        else:
            folders.copy(folders.root / "sweep" / f"run{place % 30:03d}", f"run{place:03d}", {"train.seed": place})
    return written(folders)


def written(folders):
    started_s = time.monotonic()
    runs = collect([folders.root])
    read_s = time.monotonic() - started_s
    path = folders.root / "page.html"
    said = write_page(Comparison(runs), path)
    print(
        f"\n{len(runs)} runs read in {read_s:.1f} s, page written in {time.monotonic() - started_s - read_s:.1f} s: {said}"
    )
    return path


@pytest.fixture
def opened(browser):
    """`opened(path)` -> the page, with the requests that left the file and the errors that it raised, checked at the end."""
    contexts, requests, errors = [], [], []

    def open_it(path):
        context = browser.new_context(viewport={"width": 1440, "height": 1000}, offline=True)
        contexts.append(context)
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        started_s = time.monotonic()
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        page.load_s = time.monotonic() - started_s
        return page

    yield open_it
    for context in contexts:
        context.close()
    outside = [url for url in requests if not url.startswith(("file:", "blob:file:", "blob:null", "data:"))]
    assert outside == [] and sum(url.startswith("file:") for url in requests) == len(contexts)
    assert errors == []


def wait(page, expression, seconds=20):
    """Until the expression is true. (Playwright's own waiting evaluates a string, which the page's policy forbids.)"""
    until = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < until, expression
        page.wait_for_timeout(20)


def names(page):
    return page.locator("#rows tbody th").all_inner_texts()


def inked(page, chart):
    """Pixels of the chart that are drawn in colour."""
    return page.locator(f"[data-chart={chart}] canvas").evaluate(
        """canvas => { const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let count = 0; for (let i = 0; i < data.length; i += 4) {
        const [r, g, b, a] = data.subarray(i, i + 4); if (a > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 25) count++; }
        return count; }"""
    )


def test_sort_and_filter(three, opened):
    page = opened(three)
    print(f"3 runs: open and drawn in {page.load_s:.2f} s")
    assert names(page) == ["h20", "h10b", "h10"]
    page.click("[data-sort='success']")
    assert names(page) == ["h20", "h10b", "h10"]
    page.click("[data-sort='success']")
    assert names(page) == ["h10", "h10b", "h20"]
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("success")
    page.click("[data-sort='run']")
    assert names(page) == ["h10", "h10b", "h20"]
    for query, expected in (
        ("horizon.steps=10", ["h10", "h10b"]),
        ("horizon.steps>=16", ["h20"]),
        ("success<0.1", ["h10"]),
        ("h10 train.seed!=0", ["h10b"]),
        ("transforms", ["h10"]),
        ("train.batch_size=999", []),
    ):
        page.fill("#filter", query)
        wait(
            page,
            f"[...document.querySelectorAll('#rows tbody th')].map(one => one.textContent).join() === '{','.join(expected)}'",
        )
    assert "No row passes the filter" in page.locator("#rows").inner_text()
    page.keyboard.press("Escape")
    assert len(names(page)) == 3


def test_a_curve_is_switched_off_and_on(three, opened):
    page = opened(three)
    page.locator("#charts").scroll_into_view_if_needed()
    canvas = page.locator("[data-chart=loss] canvas")
    page.wait_for_timeout(200)
    before = inked(page, "loss")
    assert canvas.get_attribute("data-visible") == "3" and before > 300
    chip = page.locator("#legend button", has_text="h20")
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false" and canvas.get_attribute("data-visible") == "2"
    assert inked(page, "loss") < before
    chip.click()
    assert canvas.get_attribute("data-visible") == "3" and inked(page, "loss") == before
    for chart in ("grad_norm", "lr", "samples_per_s"):
        assert inked(page, chart) > 50, chart


def test_axis_smoothing_range_and_crosshair(three, opened):
    page = opened(three)
    page.locator("#charts").scroll_into_view_if_needed()
    plain = inked(page, "grad_norm")
    page.locator("#smoothing").evaluate("node => { node.value = 0.9; node.dispatchEvent(new Event('input')); }")
    assert inked(page, "grad_norm") < plain
    page.get_by_text("Time", exact=True).click()
    canvas = page.locator("[data-chart=loss] canvas")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    tip = page.locator("#tip")
    assert tip.is_visible() and " s" in tip.locator("p").first.inner_text() and tip.locator("p").count() == 4
    assert "h20" in page.locator("[data-chart=loss] [role=status]").inner_text()


def test_ticks_choose_what_every_section_shows(three, opened):
    page = opened(three)
    assert page.locator(".barrow").count() == 3 and page.locator(".funnel").count() == 3
    page.get_by_label("show h10 below").uncheck()
    assert page.locator(".barrow").count() == 2 and page.locator(".card").count() == 2
    assert page.locator("[data-chart=loss] canvas").get_attribute("data-visible") == "2"
    assert page.locator(".pair").count() == 1 and "differ" in page.locator(".pair").inner_text()
    page.get_by_role("button", name="Untick all").click()
    assert page.locator(".barrow").count() == 0 and "Two ticked rows" in page.locator("#matrix").inner_text()


def test_numbers_and_verdicts_are_those_of_the_terminal(three, opened):
    page = opened(three)
    assert "28/40 70 %, 55 % to 82 %" in page.locator(".barrow").first.inner_text().replace("\n", " ")
    page.locator(".pair", has_text="ep.").click()
    said = page.locator("#verdict").inner_text()
    assert "h10b 5/40, h10 3/40: not distinguishable at this n; about" in said and "Two seeds of one config" in said
    page.locator(".pair.differ").first.click()
    assert "h20 28/40, h10b 5/40: differ" in page.locator("#verdict").inner_text()
    assert "Only horizon.steps differs, besides the seed" in page.locator("#verdict").inner_text()
    settings = page.locator("#diff").inner_text()
    assert "horizon.steps" in settings and "train.batch_size" not in settings
    page.check("#every")
    assert "train.batch_size" in page.locator("#diff").inner_text()
    cards = page.locator(".card").first.inner_text()
    assert "64" in cards and "0 to 66" in cards
    funnel = page.locator(".funnel").first.inner_text().replace("\n", " ")
    assert "reached" in funnel and "28/40" in funnel
    assert "gate skipped: transforms" in page.locator("#rows").inner_text()


def test_videos_play(three, opened):
    page = opened(three)
    page.locator("#films").scroll_into_view_if_needed()
    assert page.locator("#films video").count() == 6 and page.locator("#films img").count() == 3
    wait(page, "[...document.querySelectorAll('#films img')].every(one => one.naturalWidth > 100)")
    page.click("#play")
    wait(
        page,
        "[...document.querySelectorAll('#films video')].every(one => one.readyState >= 2 && one.currentTime > 0.1 && !one.error)",
    )
    sizes = page.locator("#films video").evaluate_all("all => all.map(one => [one.videoWidth, one.videoHeight])")
    assert sizes == [[256, 256]] * 6
    page.get_by_text("oracle", exact=True).last.click()
    assert page.locator("#films video").count() == 3


def test_dark_and_light(three, opened):
    page = opened(three)
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) != before
    page.click("#theme")
    assert page.evaluate(ground) == before


def test_keys_alone(three, opened):
    page = opened(three)
    page.keyboard.press("/")
    page.keyboard.type("h20")
    wait(page, "document.querySelectorAll('#rows tbody th').length === 1")
    page.keyboard.press("Escape")
    page.locator("[data-sort=loss]").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.sort") == "loss"
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("loss")
    page.get_by_label("show h20 below").focus()
    page.keyboard.press("Space")
    assert page.locator(".barrow").count() == 2


def test_three_hundred_runs(three_hundred, opened):
    page = opened(three_hundred)
    inside_s = int(page.locator("html").get_attribute("data-ready")) / 1000
    print(f"300 runs: open and drawn in {page.load_s:.2f} s ({inside_s:.2f} s in the page)")
    assert len(names(page)) == 300 and page.locator(".barrow").count() == 8
    assert page.load_s < 10
    started_s = time.monotonic()
    page.fill("#filter", "horizon.steps=20 success>0.5")
    wait(page, "document.querySelectorAll('#rows tbody th').length < 100")
    print(f"filtered in {time.monotonic() - started_s:.2f} s")
    page.click("[data-sort='success']")
    shares = page.locator("#rows tbody .success span:last-child").all_inner_texts()
    counts = [int(one.split("/")[0]) for one in shares]
    assert counts == sorted(counts, reverse=True) and len(counts) > 30 and min(counts) > 20
    page.fill("#filter", "")
    wait(page, "document.querySelectorAll('#rows tbody th').length === 300")
    started_s = time.monotonic()
    page.get_by_role("button", name="Tick all shown").click()
    wait(page, "document.querySelector('[data-chart=loss] canvas').dataset.visible === '300'")
    print(f"300 curves in four charts drawn in {time.monotonic() - started_s:.2f} s")
    assert inked(page, "loss") > 150
