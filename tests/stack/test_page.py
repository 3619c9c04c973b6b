"""The page at / in a real Chromium, through real nginx and gunicorn: what a person does with it, and what it never does."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from tepal import choice
from tests import servers
from tests.parts import need
from tests.stack import page_models
from tests.transports import over_http
from tests.wire import request
from train import iris

EXAMPLE = {"sepal_length": 5.8, "sepal_width": 2.8, "petal_length": 5.1, "petal_width": 2.4}
HEADER = ",".join(EXAMPLE)


@pytest.fixture(scope="module")
def door(store, tmp_path_factory):
    """nginx before a gunicorn with the models of the tests and those of page_models."""
    copy = shutil.copytree(store, tmp_path_factory.mktemp("page") / "store")
    page_models.publish(copy)
    broken = shutil.copytree(copy / "iris-logistic" / "1", copy / "iris-logistic" / "2")
    (broken / "manifest.json").write_text("{}")
    with (
        servers.gunicorn(copy, WEB_CONCURRENCY="1") as server,
        servers.nginx([f"127.0.0.1:{server.port}"]) as before,
    ):
        yield before


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, door):
    """Opens the page of a model in a new context; afterwards, nothing was asked elsewhere and nothing went wrong."""
    contexts, hosts, wrong = [], set(), []

    def open_page(where: str = "", url: str = door.url, clock: bool = False, **options) -> Page:
        options = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda sent: hosts.add(urlsplit(sent.url).netloc) if not sent.url.startswith("blob:") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        if clock:
            page.clock.install()
        page.goto(f"{url}/{f'#/{where}' if where else ''}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert len(hosts) <= 1, hosts
    # That a refused body was refused is in the console, whatever a page does.
    refused = r"Failed to load resource: (the server responded with a status of (404|422|503)|net::ERR_CONNECTION_REFUSED)"
    assert [text for text in wrong if not re.match(refused, text)] == []


def answer(page: Page):
    return page.locator("#answer .label")


def ask(door, name: str, body: bytes | str, **headers: str) -> dict:
    return over_http(door.port)(request("POST", f"/models/{name}/predict", body, **headers)).json


def test_the_form_is_filled_with_an_example_and_answers_as_one_types(opened, door):
    page = opened("iris-logistic")
    expect(answer(page)).to_have_text(re.compile("^virginica"))

    page.get_by_label("petal_length", exact=True).fill("1.4")
    page.get_by_label("petal_width", exact=True).fill("0.2")

    expect(answer(page)).to_have_text(re.compile("^setosa"))
    chances = ask(door, "iris-logistic", json.dumps(EXAMPLE | {"petal_length": 1.4, "petal_width": 0.2}))["probabilities"][0]
    names = sorted(chances, key=lambda name: -chances[name])
    expect(page.locator(".bars .class")).to_have_text(names)
    shown = [f"{chances[name] * 100:.1f} %" if chances[name] >= 0.001 else "< 0.1 %" for name in names]
    expect(page.locator(".bars .share")).to_have_text(shown)
    widths = page.locator(".bars .rule > span").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    assert widths == sorted(widths, reverse=True)
    expect(page.locator("#timing")).to_have_text(re.compile(r"version 1 ?decode [\d.]+ ms ?predict [\d.]+ ms ?encode"))
    expect(page.locator("#spoken")).to_have_text(re.compile("^setosa, "))


def test_a_slider_moves_its_number(opened):
    page = opened("iris-logistic")
    slider = page.get_by_label("petal_width, slider")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("0.1", "2.5")

    slider.fill("0.2")

    expect(page.get_by_label("petal_width", exact=True)).to_have_value("0.2")


def test_an_error_and_a_warning_stand_at_their_fields(opened):
    page = opened("iris-logistic")
    field = page.get_by_label("petal_width", exact=True)

    field.fill("wide")
    note = page.locator(f"#{field.get_attribute('aria-describedby').split()[1]}")
    expect(note).to_have_text('Error: Expects a number, got "wide"')
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(answer(page)).to_have_text("no answer")

    field.fill("9")
    expect(note).to_have_text("Warning: 9.0 is outside the range 0.1–2.5 seen in training")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(answer(page)).to_have_text(re.compile("^virginica"))

    page.get_by_text("Back to the example").click()
    expect(note).to_be_empty()


def test_what_belongs_to_no_field_is_said_in_one_place(opened):
    page = opened("temper")

    page.get_by_label("x0", exact=True).fill("50")

    expect(page.get_by_role("alert")).to_have_text(
        re.compile("Not what the model takes.*50 is more than I can take.*request", re.DOTALL)
    )


def test_every_type_of_column_has_its_control(opened, door):
    page = opened("people")
    expect(answer(page)).not_to_be_empty()
    assert page.get_by_label("city", exact=True).evaluate("one => one.tagName") == "SELECT"
    assert page.get_by_label("member", exact=True).get_attribute("type") == "checkbox"
    assert page.get_by_label("joined", exact=True).get_attribute("type") == "date"

    page.get_by_label("age", exact=True).fill("44")
    page.get_by_label("height is missing").check()
    page.get_by_label("city", exact=True).select_option("Berlin")
    page.get_by_label("plan", exact=True).select_option("premium")
    page.get_by_label("member", exact=True).uncheck()
    page.get_by_label("joined", exact=True).fill("2021-05-03")

    expect(page.get_by_label("height", exact=True)).to_be_disabled()
    row = {"age": 44, "height": None, "city": "Berlin", "plan": "premium", "member": False, "joined": "2021-05-03"}
    expect(page.locator("#code")).to_contain_text(json.dumps(row, separators=(",", ":")))
    (label,) = ask(door, "people", json.dumps(row))["predictions"]
    expect(answer(page)).to_have_text(re.compile(f"^{label}"))


def test_only_the_newest_answer_is_shown(opened):
    page = opened("stall")
    expect(answer(page)).to_have_text("0")
    page.get_by_label("x1", exact=True).fill("0")
    with page.expect_request(lambda sent: sent.method == "POST" and '"x0":2' in (sent.post_data or "")) as slow:
        page.get_by_label("x0", exact=True).fill("2")

    page.get_by_label("x0", exact=True).fill("0.5")

    expect(answer(page)).to_have_text("0.5")
    assert "ABORTED" in slow.value.failure


def test_whole_numbers_beyond_2_to_53_stay_exact(opened):
    page = opened("big")
    expect(answer(page)).to_have_text("9007199254740993")

    page.get_by_label("id", exact=True).fill("4611686018427387905")

    expect(answer(page)).to_have_text("4611686018427387905")
    expect(page.locator("#code")).to_contain_text('{"id":4611686018427387905}')
    page.get_by_label("JavaScript").check()
    expect(page.locator("#code")).to_contain_text(r'body: "{\"id\":4611686018427387905}"')


def download(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as saved:
        page.get_by_text("Download CSV").click()
    return list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text())))


def rows_of(count: int) -> np.ndarray:
    return np.random.default_rng(3).uniform([4.3, 2, 1, 0.1], [7.9, 4.4, 6.9, 2.5], (count, 4)).round(2)


def expected(door, body: str) -> list[dict[str, str]]:
    """The service's own CSV, its numbers as floats."""
    received = over_http(door.port)(
        request("POST", "/models/iris-logistic/predict", body, content_type="text/csv", accept="text/csv")
    )
    return list(csv.DictReader(io.StringIO(received.body.decode())))


@pytest.mark.parametrize("header", [True, False], ids=["with a header", "without"])
def test_a_csv_that_is_dropped_is_answered_as_the_api_answers_it(opened, door, header):
    """In three parts, of which the last two must be read as the first one was."""
    rows = rows_of(2500)
    lines = "".join(f"{','.join(map(str, row))}\r\n" for row in rows.tolist())
    text = f"{HEADER}\r\n{lines}" if header else lines
    page = opened("iris-logistic")
    expect(answer(page)).not_to_be_empty()
    transfer = page.evaluate_handle(
        "text => { const all = new DataTransfer(); all.items.add(new File([text], 'flowers.csv')); return all; }", text
    )

    page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})

    expect(page.locator(".done")).to_contain_text("2,500 rows in", timeout=30_000)
    expect(page.locator(".result tbody tr")).to_have_count(100)
    saved = download(page)
    for got, own, row in zip(saved, expected(door, text), rows.tolist(), strict=True):
        assert [float(got.pop(name)) for name in EXAMPLE] == row
        assert got.pop("prediction") == own.pop("prediction")
        assert got.keys() == own.keys()
        # scikit-learn differs from itself in the last digits between batches
        assert [float(value) for value in got.values()] == pytest.approx([float(value) for value in own.values()], rel=1e-9)


def npy(rows: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.jsonl", lambda rows: "".join(f"{json.dumps(row)}\n" for row in rows.tolist()).encode()),
        ("rows.json", lambda rows: json.dumps({"columns": list(EXAMPLE), "data": rows.tolist()}).encode()),
        ("list.json", lambda rows: json.dumps({"instances": rows.tolist()}).encode()),
        ("dict.json", lambda rows: json.dumps(dict(zip(EXAMPLE, rows.T.tolist()))).encode()),
        ("rows.npy", npy),
        ("fortran.npy", lambda rows: npy(np.asfortranarray(rows.astype("f4")))),
    ],
)
def test_a_file_of_any_format_is_joined_with_its_answers(opened, door, name, write):
    rows = rows_of(30)
    page = opened("iris-logistic")
    expect(answer(page)).not_to_be_empty()

    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": write(rows)})

    expect(page.locator(".done")).to_contain_text("30 rows")
    saved = download(page)
    assert np.array([[row[column] for column in EXAMPLE] for row in saved], dtype=float) == pytest.approx(rows, rel=1e-6)
    own = expected(door, "".join(f"{','.join(map(str, row))}\n" for row in rows.tolist()))
    assert [row["prediction"] for row in saved] == [row["prediction"] for row in own]


def test_a_bad_row_of_a_file_is_named_by_its_place(opened):
    rows = "".join(f"{','.join(map(str, row))}\n" for row in rows_of(1500).tolist())
    page = opened("iris-logistic")
    expect(answer(page)).not_to_be_empty()

    page.set_input_files(
        "#file", {"name": "bad.csv", "mimeType": "", "buffer": f"{HEADER}\n{rows}1,2,x,4\n1,2,,4\n".encode()}
    )

    expect(page.locator(".result [role=alert]")).to_contain_text('row 1500, column petal_length: expects a number, got "x"')
    expect(page.locator(".result [role=alert]")).to_contain_text("row 1501, column petal_length")


def test_rows_are_pasted(opened):
    page = opened("words")
    expect(answer(page)).not_to_be_empty()
    page.get_by_label("Rows as CSV").fill('text\ngood day\n"bad, ""very"" bad\nluck"\n')

    page.get_by_text("Predict these rows").click()

    expect(page.locator(".result td.answer:first-of-type")).to_have_text(["true", "false"])
    assert [row["text"] for row in download(page)] == ["good day", 'bad, "very" bad\nluck']


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_code_that_is_copied_runs_and_gets_the_same_answer(opened, door, language):
    page = opened("words")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("text", exact=True).fill("it's a \"good\" $HOME `day`\\n\n— 你好 😀 'quoted'")
    expect(page.locator("#code")).to_contain_text("你好")
    page.get_by_label(language, exact=True).check()

    page.get_by_text("Copy", exact=True).click()
    expect(page.get_by_text("Copied").first).to_be_visible()
    code = page.evaluate("navigator.clipboard.readText()")

    command = ["sh", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    predictions = json.loads(output)["predictions"] if language == "curl" else json.loads(output.lower())
    assert [str(value).lower() for value in predictions] == [answer(page).inner_text().split()[0]]
    assert door.url in code


def test_the_javascript_runs(opened):
    page = opened("people")
    expect(answer(page)).not_to_be_empty()
    page.get_by_label("JavaScript").check()
    code = page.locator("#code").inner_text().replace("console.log(answer.predictions)", "return answer.predictions")

    (label,) = page.evaluate(f"(async () => {{ {code} }})()")

    expect(answer(page)).to_have_text(re.compile(f"^{label}"))


def test_a_curve_is_drawn_with_its_band_and_picks_a_day(opened):
    page = opened("hill")
    expect(page.locator("path.band")).to_have_attribute("d", re.compile(r"^M[\d. L]+Z$"))
    expect(page.locator(".around")).to_have_text("between 8 and 12")
    box = page.locator(".chart svg").bounding_box()

    page.locator(".chart svg").click(position={"x": box["width"] - 20, "y": 100})

    expect(page.get_by_label("day", exact=True)).not_to_have_value("2024-03-01")
    expect(page.locator(".around")).to_have_text(re.compile(r"between [\d.]+e-\d+ and"))
    page.locator(".choice select").first.select_option("size")
    expect(page.get_by_label("over ±")).to_be_hidden()
    expect(page.locator("path.band")).to_be_visible()


def test_a_sequence_is_asked_with_the_rows_before_and_drawn(opened):
    page = opened("before")
    expect(answer(page)).to_have_text("98")
    expect(page.locator("path.curve")).to_have_attribute("d", re.compile(r"^M[\d. L]+$"))

    page.get_by_text("The rows before it", exact=True).click()
    page.get_by_label("The rows before it, as CSV").fill("x0\n1\n7\n")
    expect(answer(page)).to_have_text("7")

    page.get_by_label("The rows before it, as CSV").fill("x0\n1\nseven\n")
    expect(page.locator("#history-note")).to_contain_text("row 1, column x0: expects a number")

    page.get_by_label("The rows before it, as CSV").fill("x0\n")
    expect(answer(page)).to_have_text("no answer")
    expect(page.locator(".said")).to_contain_text("the model needs 1 earlier row")


def test_markup_in_a_name_stays_text(opened):
    page = opened("markup")
    expect(answer(page)).to_have_text(f"{page_models.MARKUP}75.0 %")
    page.get_by_label("__proto__", exact=True).fill("3")
    expect(page.locator("#code")).to_contain_text('"__proto__":3')

    page.set_input_files(
        "#file", {"name": "a.csv", "mimeType": "", "buffer": f"{page_models.MARKUP},__proto__\n<b>,1\n".encode()}
    )

    expect(page.locator(".done")).to_contain_text("1 row")
    expect(page.locator(".confusion tbody th")).to_have_text([page_models.MARKUP, "</script>"])
    assert page.locator("main img, main b:not(#timing b), main script").count() == 0


def test_hundreds_of_columns_and_categories_stay_usable(opened):
    page = opened("wide-" + "long-name-" * 5)
    expect(answer(page)).to_have_text("a75.0 %")
    page.get_by_label("Find a column").fill("column_150")
    expect(page.locator(".field:visible")).to_have_count(1)
    page.get_by_label("Find a column").fill("city")
    field = page.get_by_label("city", exact=True)

    field.focus()
    expect(field).to_have_value("")  # so that the list offers all
    field.blur()
    expect(field).to_have_value("city 0000")
    field.fill("city 0999")

    expect(page.locator("#code")).to_contain_text('{"city":"city 0999","column_000":')
    page.get_by_label("Find a model").fill("peop")
    expect(page.locator("#models a")).to_have_text(["people"])


def test_a_version_in_the_address_is_the_one_that_is_asked(opened):
    page = opened("iris-logistic/1")
    expect(answer(page)).to_have_text(re.compile("^virginica"))
    expect(page.locator("#code")).to_contain_text("/models/iris-logistic/versions/1/predict")

    page.get_by_label("Version", exact=True).select_option("")
    expect(page.locator("#code")).to_contain_text("/models/iris-logistic/predict")
    assert page.url.endswith("/#/iris-logistic")


def test_a_version_that_cannot_serve_says_why(opened):
    page = opened("iris-logistic/2")

    expect(page.get_by_role("heading", level=2)).to_have_text("This version cannot serve")
    expect(page.locator("main")).to_contain_text("manifest.json is damaged")
    page.get_by_role("link", name="version 1").click()
    expect(answer(page)).to_have_text(re.compile("^virginica"))


def test_a_model_that_is_not_there_is_said_kindly(opened):
    page = opened("nothing%3Cb%3E")

    expect(page.get_by_role("heading", level=1)).to_have_text("nothing<b>")
    expect(page.locator("main")).to_contain_text("There is no such model here")


def test_an_empty_repository_says_what_to_do_and_a_service_that_is_away_comes_back(opened, store, tmp_path):
    (tmp_path / "store").mkdir()
    port = servers.free_port()
    with servers.gunicorn(tmp_path / "store", PORT=str(port), WEB_CONCURRENCY="1"):
        page = opened(url=f"http://127.0.0.1:{port}", clock=True)
        expect(page.get_by_role("heading", level=1)).to_have_text("No model yet")
    page.clock.run_for(11_000)
    expect(page.locator("#status")).to_have_text("not reachable")
    shutil.copytree(store / "iris", tmp_path / "store" / "iris")
    with servers.gunicorn(tmp_path / "store", PORT=str(port), WEB_CONCURRENCY="1"):
        page.clock.run_for(11_000)
        expect(page.locator("#status")).to_have_text("1 model ready")
        expect(answer(page)).to_have_text("versicolor")


def test_what_was_chosen_and_what_is_elsewhere_is_seen(opened, store, tmp_path):
    for name in ("iris", "words"):
        shutil.copytree(store / name, tmp_path / name)
    iris.run("svm", iris.ALGORITHMS["svm"], tmp_path)
    choice.split(tmp_path / "iris", {"1": 9.0, "2": 1.0})
    with servers.gunicorn(tmp_path, WEB_CONCURRENCY="1", ROOMS="words=127.0.0.1:9") as server:
        page = opened("iris", url=server.url)
        expect(page.locator("#tags")).to_have_text("split 1 = 9.0, 2 = 1.0")
        expect(page.locator("#versions tbody tr")).to_contain_text(
            ["version 210.0 % of the clients", "version 190.0 % of the clients"]
        )
        page.get_by_role("link", name="words").click()
        expect(page.locator("main")).to_contain_text("It has replicas of its own")
        expect(page.get_by_role("link", name="words")).to_contain_text("elsewhere")


@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 360, "height": 740}}],
    ids=["light", "dark", "phone"],
)
def test_everyone_can_read_it_and_it_fits(opened, options):
    """axe finds nothing, in any state of the page that a person comes to; and nothing is wider than the window."""
    page = opened("iris-logistic", **options)
    for name in ("iris-logistic", "people", "hill", "before", "markup", "iris-logistic/2"):
        page.evaluate("hash => (location.hash = hash)", f"#/{name}")
        expect(page.get_by_role("heading", level=1)).to_have_text(name.split("/")[0])
        if name != "iris-logistic/2":
            expect(page.locator("#timing")).not_to_be_empty()
        if name == "iris-logistic":
            page.get_by_label("petal_width", exact=True).fill("9")
            expect(page.locator("[data-note=warning]")).to_be_visible()
            page.set_input_files("#file", {"name": "a.csv", "mimeType": "", "buffer": b"5.8,2.8,5.1,2.4\n9,9,9,9\n"})
            expect(page.locator(".done")).to_be_visible()
        if name == "people":
            page.get_by_label("age", exact=True).fill("old")
            expect(page.locator("[data-note=error]")).to_be_visible()

        found = Axe().run(page)

        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_colours_follow_the_button_and_are_kept(opened):
    page = opened("iris-logistic", color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)

    page.get_by_role("button", name="Dark colours").click()
    dark = page.evaluate(paper)
    page.reload()

    assert page.evaluate(paper) == dark != light


def test_the_keyboard_reaches_the_form_and_nothing_moves_for_who_wants_that(opened):
    page = opened("iris-logistic")
    expect(answer(page)).not_to_be_empty()
    page.keyboard.press("Tab")
    expect(page.get_by_text("To the model")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(3):  # the version, the example, the first slider
        page.keyboard.press("Tab")
    expect(page.get_by_label("sepal_length, slider")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowRight")

    expect(page.get_by_label("sepal_length", exact=True)).to_have_value("5.9")
    assert page.evaluate("getComputedStyle(document.querySelector('.rule > span')).transitionDuration") == "0s"


def test_it_is_small(opened):
    page = opened()
    expect(answer(page)).not_to_be_empty()

    asked = "performance.getEntriesByType('resource').filter(one => one.name.includes('/page/'))"
    files = page.evaluate(f"Object.fromEntries({asked}.map(one => [one.name, one.decodedBodySize]))")
    own = page.evaluate("performance.getEntriesByType('navigation')[0].decodedBodySize")

    assert len(files) > 10
    assert own + sum(files.values()) < 100_000


def test_numbers_and_tables_are_read_exactly(opened):
    page = opened()
    found = page.evaluate(
        """async () => {
          const { parse, write, token } = await import("/page/exact.js");
          const { csv } = await import("/page/tables.js");
          const number = { type: "number" };
          return {
            same: write(parse('{"a":[1.0,9007199254740993,1e-7,-0.0,1E400,"1.0 \\\\" 2"],"b":null,"c":true}')),
            typed: [".5", "5.", "+5", "007", "-.5e3", "1_0", "", "nan"].map((text) => token(number, text)),
            bad: csv('a,b\\n"x"y,1\\n\\n"c\\nd",""', false).cells,
          };
        }"""
    )

    assert found == {
        "same": '{"a":[1.0,9007199254740993,1e-7,-0.0,1E400,"1.0 \\" 2"],"b":null,"c":true}',
        "typed": ["0.5", "5", "5", "7", "-0.5e3", '"1_0"', "null", '"nan"'],
        "bad": [["a", "b"], ["xy", "1"], ["c\nd", ""]],
    }
